"""--fail-if: which rows an expression is about, what is said of it, and when nothing can be said."""

import itertools

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from kit.cli import one_line
from kit.places import TESTS

from mmuexp.errors import CheckFailed, MmuexpError, UsageError
from mmuexp.result.checks import fail_if, parse_check
from mmuexp.result.table import Result
from mmuexp.result.turns import turns

BIG = 2**53


def result(*rows: tuple, parameters: tuple[str, ...] = (), more: tuple[str, ...] = ()) -> Result:
    """Of (trace, strategy, faults, tlb_fills, *parameters or more)"""
    columns = ["trace", "strategy", "faults", "tlb_fills", *parameters, *more]
    frame = pd.DataFrame([dict(zip(columns, row, strict=True)) for row in rows], columns=columns)
    for name in columns[2:]:
        frame[name] = pd.array(frame[name].tolist(), dtype="Int64")
    return Result("compare", frame, {}, parameters)


TWO = result(("a", "softmmu", 0, 10), ("a", "map-block", 8, None), ("b", "softmmu", 0, 3), ("b", "map-block", 8, None))


def outcome(found: Result, *texts: str, columns=()) -> tuple[str, list[str]]:
    """(the failure or "", what was said)"""
    said: list[str] = []
    try:
        fail_if(found, [parse_check(text, columns) for text in texts], said.append)
    except CheckFailed as error:
        assert error.exit_code == 3
        return str(error), said
    return "", said


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("map-block:faults > softmmu:tlb_fills", "b: map-block has faults 8, softmmu has tlb_fills 3, which --fail-if"),
        ("softmmu:tlb_fills < map-block:faults", "b: softmmu has tlb_fills 3, map-block has faults 8"),
        ("map-block:faults > 2.7 * softmmu:tlb_fills", ""),  # 8 > 8.1
        ("map-block:faults > 2.6 * softmmu:tlb_fills", "b: map-block has faults 8"),
        ("map-block:faults < 0.8 * softmmu:tlb_fills", ""),  # 8 < 8
        ("map-block:faults <= 0.8 * softmmu:tlb_fills", "a: map-block has faults 8, softmmu has tlb_fills 10"),
        ("faults > softmmu:tlb_fills", "b: map-block has faults 8, softmmu has tlb_fills 3"),  # each row in turn
        ("faults == softmmu:faults + 8", "a: map-block has faults 8, softmmu has faults 0, which"),
        ("faults >= 8", "a: map-block has faults 8, which --fail-if 'faults >= 8' forbids, and 1 more"),
        ("tlb_fills / map-block:faults > 1", "a: softmmu has tlb_fills 10, map-block has faults 8"),
    ],
)
def test_schemes_are_compared_in_the_same_recording(text, says):
    failure, said = outcome(TWO, text)
    assert failure.startswith(says) if says else failure == ""
    assert said == []


def test_integers_are_compared_exactly():
    found = result(("a", "softmmu", BIG, 0), ("a", "map-block", BIG + 1, 0))
    assert outcome(found, "map-block:faults > softmmu:faults")[0]
    assert outcome(found, "map-block:faults / 3 == softmmu:faults / 3")[0] == ""
    assert outcome(found, f"map-block:faults == {BIG}")[0] == ""
    assert outcome(found, "map-block:faults * 3 - softmmu:faults * 3 == 3")[0]


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("map-block:tlb_fills > 0", "map-block has no tlb_fills"),
        ("qemu-fast:faults > 0", "no rows of these schemes stand beside each other"),
        ("qemu-fast:faults > softmmu:faults", "no rows"),
    ],
)
def test_what_is_decided_nowhere_is_told_and_does_not_fail(text, why):
    failure, said = outcome(TWO, text)
    assert failure == ""
    (line,) = said
    assert line.startswith(f"--fail-if {text!r} could not be decided for any row: ")
    assert why in line


@pytest.mark.parametrize("text", ["faults / softmmu:faults > 1", "tlb_fills / softmmu:faults > 1"])
def test_what_divides_by_0_wherever_it_is_asked_is_an_error(text):
    """The second has an empty cell in the last row: what divides by 0 beside it is an error all the same."""
    with pytest.raises(MmuexpError) as error:
        outcome(TWO, text)
    assert error.value.exit_code == 1
    assert str(error.value).startswith(f"--fail-if: {text!r} has a value for no row: it divides by 0; write it as ")


def test_what_is_decided_somewhere_is_not_told():
    assert outcome(TWO, "tlb_fills > 100") == ("", [])
    found = result(("a", "softmmu", 0, 0), ("b", "softmmu", 5, 5))
    assert outcome(found, "softmmu:faults / softmmu:tlb_fills > 1") == ("", [])


SWEPT = result(
    ("a", "softmmu", 6, 0, None),
    ("a", "map-block,map_block_bits=12", 9, 0, 12),
    ("a", "map-block", 5, 0, 16),
    ("a", "map-block,map_block_bits=20", 1, 0, 20),
    parameters=("map_block_bits",),
)


@pytest.mark.parametrize(
    ("text", "failures"),
    [
        ("map-block:faults > softmmu:faults", 1),  # the reference stands beside each value
        ("softmmu:faults > map-block:faults", 2),
        ("faults > map-block:faults", 2),  # softmmu against 5 and 1; each value against itself alone
        ("map-block:faults > map-block,map_block_bits=16:faults", 1),  # named with its settings: all against it
        ("faults > map-block,:faults", 2),
        ("map-block,map_block_bits=20:faults > 0", 1),
        ("map-block,map_block_bits=12:faults > 8 * map-block,map_block_bits=20:faults", 1),
        ("map_block_bits > 12", 2),
    ],
)
def test_swept_values_stand_beside_themselves(text, failures):
    failure, _ = outcome(SWEPT, text, columns=["map_block_bits"])
    assert failure.endswith("forbids" if failures == 1 else f"forbids, and {failures - 1} more")


def test_windows_stand_beside_themselves():
    rows = [("a", name, faults, 0, window) for name, base in (("softmmu", 0), ("map-block", 1)) for window, faults in
            enumerate([base, 2 - base])]  # fmt: skip
    failure, _ = outcome(result(*rows, more=("window_index",)), "map-block:faults < softmmu:faults")
    assert failure.startswith("a: map-block in window 1 has faults 1, softmmu in window 1 has faults 2, which")
    assert failure.endswith("forbids")


@given(
    st.lists(st.tuples(st.sampled_from("ab"), st.sampled_from(["softmmu", "map-block"]), st.integers(0, 3)), max_size=9)
)
def test_turns_are_all_pairs_of_a_recording(rows):
    check = parse_check("map-block:faults > softmmu:faults")
    dicts = [
        {"trace": trace, "strategy": name, "faults": faults, "at": at} for at, (trace, name, faults) in enumerate(rows)
    ]
    found = {(turn["map-block"]["at"], turn["softmmu"]["at"]) for turn in turns(check, dicts)}
    pairs = itertools.product(dicts, dicts)
    assert found == {
        (m["at"], s["at"])
        for m, s in pairs
        if (m["strategy"], s["strategy"]) == ("map-block", "softmmu") and m["trace"] == s["trace"]
    }


@pytest.mark.parametrize("text", ["qemu-fast:ns>1", "map-block,map_block_bits=20:ns > softmmu:ns"])
def test_a_scheme_that_will_not_be_there_is_refused(text):
    with pytest.raises(UsageError, match="which the result does not hold; it holds softmmu map-block"):
        parse_check(text, schemes=["softmmu", "map-block"])


def test_names_and_specs_of_what_will_be_there_are_not():
    for text in ("map-block:ns>1", "map-block,map_block_bits=20:ns>1", "ns>1"):
        parse_check(text, schemes=["map-block,map_block_bits=20"])
    with pytest.raises(UsageError):
        parse_check("map-block,:ns>1", schemes=["map-block,map_block_bits=20"])


@pytest.mark.parametrize(
    ("arguments", "check", "code", "says"),
    [
        (["-s", "softmmu", "-s", "map-block"], "map-block:insns_per_access > 1.05 * softmmu:insns_per_access", 0, ""),
        (
            ["-s", "softmmu", "-s", "map-block"],
            "softmmu:insns_per_access > 1.05 * map-block:insns_per_access",
            3,
            "has",
        ),
        (["-s", "softmmu"], "map-block:faults > 0", 2, "the result does not hold"),
        (["-s", "map-block", "--reference", "softmmu"], "softmmu:faults > 0", 0, ""),
        ([], "map-block,map_block_bits=20:faults > 0", 2, "the result does not hold"),
        ([], "qemu-fast,guest_limit=0x100000000:faults > 0", 0, "could not be decided"),  # of system traces alone
        (["-s", "softmmu"], "softmmu:maps >= 0", 0, "softmmu has no maps"),
        ([], "map-block:host_faults > 10", 2, "there is no column 'host_faults' of numbers; did you mean faults?"),
        ([], "map-block:xyzzy > 10", 2, "'xyzzy' of numbers; `mmuexp help columns` lists them"),
    ],
)
def test_the_option(cli, trace, arguments, check, code, says):
    done = cli("compare", trace, *arguments, "--fail-if", check)
    assert done.code == code
    assert says in one_line(done.err) if says else done.err == ""
    assert bool(done.out) == (code != 2)


def test_a_sweep_and_a_saved_result_know_their_schemes(cli, trace, tmp_path):
    assert cli("sweep", "entries=8,16", "--trace", trace, "--fail-if", "softmmu:ns>0").code == 2
    saved = tmp_path / "saved.json"
    assert cli("sweep", "entries=8,16", "--trace", trace, "-o", saved).code == 0
    assert cli("export", saved, "--fail-if", "softmmu:ns>0").code == 2
    assert cli("export", saved, "--fail-if", "byte-lookup,entries=8:ns > 9 * byte-lookup,entries=16:ns").code == 0
    assert cli("export", saved, "--fail-if", "byte-lookup,entries=8:ns >= byte-lookup,entries=16:ns").code == 3


def test_a_scheme_s_own_events_are_columns(cli, trace):
    victim = str(TESTS / "kit" / "third_party" / "mmuexp_victim.py")
    done = cli("compare", "gone.arrow", "-s", victim, "--fail-if", "pages_entered > 0")
    assert (done.code, "gone.arrow" in one_line(done.err)) == (1, True)  # the check is one, and nothing is compiled
    assert cli("compare", trace, "-s", "softmmu", "--fail-if", "pages_entered > 0").code == 2


@pytest.mark.parametrize(
    ("text", "maker"),
    [
        ("window_index>1", "compare --every ROWS"),
        ("window > 1", "compare --every ROWS"),
        ("map-block:faults > WINDOW_INDEX", "compare --every ROWS"),
        ("live_ns_per_access > 1", "compare --live"),
    ],
)
def test_a_column_that_an_option_makes_is_told_with_it(text, maker):
    column = "live_ns_per_access" if "live" in text else "window_index"
    with pytest.raises(UsageError) as caught:
        parse_check(text)
    assert str(caught.value) == (
        f"--fail-if: only `{maker}` makes the column {column!r}; give that option, or check another column"
    )
    assert parse_check(text, [column]).terms
