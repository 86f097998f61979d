"""`mmuexp diff`: every cell that changed, exactly, and why."""

import csv
import io
import json
from fractions import Fraction

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from kit.cli import one_line
from kit.traces import write_trace

import mmuexp
from mmuexp.errors import MmuexpError, UsageError
from mmuexp.render.difffile import WRITERS
from mmuexp.render.export import Output
from mmuexp.result.difference import CHANGED, Change, Difference, diff, same
from mmuexp.result.table import TIMES, Result

BIG = 2**53


def result(*rows: dict, manifest=None, kind="compare", parameters=()) -> Result:
    names = list(dict.fromkeys(name for row in rows for name in row))
    frame = pd.DataFrame({name: pd.Series([row.get(name) for row in rows], dtype=object) for name in names})
    return Result(kind, frame, manifest or {}, parameters)


def row(trace="a", strategy="softmmu", **cells) -> dict:
    return {"trace": trace, "strategy": strategy, **cells}


def changes(a: Result, b: Result, **options) -> list[tuple]:
    found = diff(a, b, **options).frame.astype(object)
    return [tuple(None if value is None else value for value in line) for line in found.itertuples(index=False)]


def test_each_cell_that_changed_and_no_other():
    a = result(row(faults=BIG, ns=1.5, maps=None), row(strategy="map-block", faults=4, ns=2.0, maps=0))
    b = result(row(faults=BIG + 1, ns=1.5, maps=0), row(strategy="map-block", faults=4, ns=3.0, maps=0))
    assert changes(a, b) == [
        ("changed", "a", "softmmu", None, "faults", BIG, BIG + 1, 1, (BIG + 1) / BIG),
        ("changed", "a", "softmmu", None, "maps", None, 0, None, None),  # empty is not 0
        ("changed", "a", "map-block", None, "ns", 2.0, 3.0, 1.0, 1.5),
    ]
    assert changes(a, a) == []


def test_order_of_rows_and_columns_is_no_change():
    a = result(row(faults=1, ns=2.0), row("b", faults=3, ns=4.0))
    b = Result("compare", a.frame.iloc[::-1][["ns", "strategy", "trace", "faults"]].reset_index(drop=True))
    assert not diff(a, b)


def test_rows_and_columns_of_only_one():
    a = result(row(faults=1, old=5), row("b", faults=1, old=5))
    b = result(row(faults=1, new=5), row("c", faults=1, new=5))
    assert [line[:5] for line in changes(a, b)] == [
        ("only in A", None, None, None, "old"),
        ("only in B", None, None, None, "new"),
        ("only in A", "b", "softmmu", None, None),
        ("only in B", "c", "softmmu", None, None),
    ]


def test_windows_and_swept_values_are_told_apart():
    a = result(row(window_index=0, faults=1), row(window_index=1, faults=2))
    b = result(row(window_index=0, faults=1), row(window_index=1, faults=5))
    assert [line[:5] for line in changes(a, b)] == [("changed", "a", "softmmu", 1, "faults")]
    a = result(row(bits=12, faults=1), row(bits=13, faults=2), kind="sweep", parameters=("bits",))
    b = result(row(bits=12, faults=1), row(bits=13, faults=3), kind="sweep", parameters=("bits",))
    assert [line[4:7] for line in changes(a, b)] == [("faults", 2, 3)]


def test_a_row_twice_is_refused():
    with pytest.raises(MmuexpError, match="result B has a row of softmmu in a twice"):
        diff(result(row(faults=1)), result(row(faults=1), row(faults=1)))


numbers = st.one_of(
    st.none(), st.integers(-BIG * 4, BIG * 4), st.floats(-1e18, 1e18), st.sampled_from(["lifo", "fifo"])
)


@given(numbers, numbers, st.sampled_from([0.0, 1e-9, 0.5]))
def test_same_is_what_fractions_say(a, b, tolerance):
    if isinstance(a, int | float) and isinstance(b, int | float):
        apart = abs(Fraction(a) - Fraction(b))
        whole = isinstance(a, int) and isinstance(b, int)
        known = (
            apart == 0
            if whole or not tolerance
            else apart <= Fraction(tolerance) * max(abs(Fraction(a)), abs(Fraction(b)))
        )
        near = (
            not whole
            and tolerance
            and apart
            and abs(float(apart) - tolerance * max(abs(a), abs(b))) < 1e-6 * float(apart)
        )
        if near:  # of a float's last digit
            return
    else:
        known = a == b
    assert same(a, b, tolerance) is known


def test_a_tolerance_is_for_floats_alone():
    a, b = result(row(faults=10**9, ns=1e9)), result(row(faults=10**9 + 1, ns=1e9 + 1))
    assert [line[4] for line in changes(a, b)] == ["faults", "ns"]
    assert [line[4] for line in changes(a, b, tolerance=1e-8)] == ["faults"]
    for odd in (-1, float("nan"), float("inf"), "1"):
        with pytest.raises(UsageError, match="is not a tolerance"):
            diff(a, b, tolerance=odd)


def test_columns_are_chosen_by_name():
    a, b = result(row(faults=1, ns=1.0)), result(row(faults=2, ns=2.0))
    assert [line[4] for line in changes(a, b, columns=["ns"])] == ["ns"]
    with pytest.raises(UsageError, match="did you mean faults"):
        diff(a, b, columns=["fault"])


@pytest.mark.parametrize(
    ("a", "b", "says"),
    [
        ({"model_version": 1}, {"model_version": 2}, "model version: 1, then 2"),
        ({"commit": "abc"}, {"commit": "def"}, "commit: abc, then def"),
        ({"commit": "abc", "modified": True}, {"commit": "abc"}, "A was made by files that were changed"),
        (
            {"prices": {"host": {"name": "x", "prices": {"insn": {"ns": 1}, "mmap": {"ns": 2}}}}},
            {"prices": {"host": {"name": "x", "prices": {"insn": {"ns": 3}, "mmap": {"ns": 2}}}}},
            "prices of the host differ: insn",
        ),
        (
            {"prices": {"host": {"prices": {"insn": {"ns": 1}}, "path": {"softmmu": {"ns": 1}}}}},
            {"prices": {"host": {"prices": {"insn": {"ns": 1}}, "path": {"softmmu": {"ns": 2}}}}},
            "prices of the host differ: path.softmmu",
        ),
        (
            {"prices": {"strategies": {"softmmu": {"tlb_fills": {"insn": 1}}}}},
            {"prices": {"strategies": {"softmmu": {"tlb_fills": {"insn": 2}}}}},
            "prices of softmmu differ: tlb_fills",
        ),
        (
            {"traces": [{"trace": "a", "sha256": "1"}]},
            {"traces": [{"trace": "a", "sha256": "2"}]},
            "a is another recording",
        ),
        ({"kind": "compare"}, {}, "B has no manifest"),
    ],
)
def test_the_manifests_say_why(a, b, says):
    found = diff(result(row(faults=1), manifest=a), result(row(faults=2), manifest=b))
    assert any(says in line for line in found.why), found.why


def test_equal_manifests_say_nothing():
    about = {"model_version": 1, "commit": "abc", "traces": [{"trace": "a", "sha256": "1"}]}
    assert diff(result(row(faults=1), manifest=about), result(row(faults=2), manifest=about)).why == ()


@pytest.fixture
def saved(cli, trace, tmp_path):
    """Two results of the small trace, at the prices of two hosts, and of a trace with a row more."""
    paths = [tmp_path / name for name in ("a.csv", "b.json", "c.parquet")]
    schemes = ["-s", "softmmu", "-s", "map-block"]
    assert cli("compare", trace, *schemes, "-o", paths[0]).code == 0
    assert cli("compare", trace, *schemes, "--host", "pentium4-2004", "-o", paths[1]).code == 0
    write_trace(tmp_path / "small.arrow", rows=13)
    assert cli("compare", trace, *schemes, "-o", paths[2]).code == 0
    return [str(path) for path in paths]


def test_a_result_equals_itself_in_every_format(cli, saved, tmp_path):
    for path in saved:
        other = str(tmp_path / "again.json")
        assert cli("export", path, "-o", other).code == 0
        done = cli("diff", path, other)
        assert (done.code, done.err) == (0, "")
        assert done.out.startswith("Equal: ")
        assert len(done.out.splitlines()) == 1


def test_prices_change_no_count(cli, saved):
    done = cli("diff", saved[0], saved[1], "--format", "csv")
    assert done.code == 3
    found = list(csv.DictReader(io.StringIO(done.out)))
    prices = {"kernel_ns", "ns", "cross_ns", "cross_kernel_ns", "second_half_ns", *TIMES}
    assert {line["column"] for line in found} <= prices
    assert {line["strategy"] for line in found} == {"softmmu", "map-block"}
    counts = [
        name for name in mmuexp.compare(str(saved[0]).replace("a.csv", "small.arrow")).columns if "ns" not in name
    ]
    assert cli("diff", saved[0], saved[1], "--columns", "faults,rows", "--columns", "maps").code == 0
    assert {"faults", "rows", "maps"} <= set(counts)


def test_a_row_more_is_seen_to_the_digit(cli, saved):
    done = cli("diff", saved[0], saved[2])
    assert done.code == 3
    rows = next(line.split() for line in done.out.splitlines() if line.startswith("rows "))
    assert rows == ["rows", "12", "13", "+1", "1.08333"]
    assert "is another recording: its digest differs" in done.words
    frame = mmuexp.diff(saved[0], saved[2], columns=["rows"])
    assert list(frame["difference"]) == [1, 1]


def test_json_and_markdown_hold_the_same(cli, saved, tmp_path):
    out = [tmp_path / "d.json", tmp_path / "d.md", tmp_path / "d.csv"]
    done = cli("diff", saved[0], saved[2], *[word for path in out for word in ("-o", path)])
    assert (done.code, done.out) == (3, "")
    found = json.loads(out[0].read_text())
    assert found["differ"] is True
    assert {"change", "column", "a", "b", "difference", "ratio"} <= set(found["changes"][0])
    assert len(found["changes"]) == len(list(csv.DictReader(out[2].open())))
    assert "| rows | 12 | 13 | +1 | 1.08333 |" in out[1].read_text()
    assert json.loads((tmp_path / "d.md.manifest.json").read_text())["kind"] == "diff"
    assert json.loads(cli("diff", saved[0], saved[0], "--format", "json").out)["changes"] == []


def test_a_long_difference_is_written_for_people_too(tmp_path):
    changes = tuple(Change(CHANGED, "t", f"s{n}", None, "faults", n, n + 1) for n in range(3000))
    path = tmp_path / "changes.md"
    Output(str(path), WRITERS).save(Difference(changes, 3000, 3000), {})
    assert path.read_text().count("| faults |") == 3000


def test_results_of_the_notebook_are_taken_as_they_are(trace):
    a = mmuexp.compare(trace, ["softmmu"])
    b = mmuexp.compare(trace, ["softmmu", "map-block"])
    assert list(mmuexp.diff(a, b)["change"]) == ["only in B"]
    with pytest.raises(UsageError, match="is not a result"):
        mmuexp.diff(a, 3)


@pytest.mark.parametrize(
    ("arguments", "code", "says"),
    [
        (["{a}", "{a}.nothing.csv"], 1, "cannot be read"),
        (["{a}", "{a}", "--columns", "fualts"], 2, "did you mean faults?"),
        (["{a}", "{a}", "--tolerance", "-1"], 2, "is not a tolerance"),
        (["{a}", "{a}", "-o", "x.html"], 2, "known: .csv .json .md"),
        (["{a}"], 2, "Missing argument"),
        (["{a}", "notes.txt"], 2, "not a saved result by its suffix"),
    ],
)
def test_what_goes_wrong_is_one_line(cli, saved, tmp_path, monkeypatch, arguments, code, says):
    monkeypatch.chdir(tmp_path)
    done = cli("diff", *(word.format(a=saved[0]) for word in arguments))
    assert done.code == code
    assert says in one_line(done.err)
    assert not list(tmp_path.glob("*.part"))


def test_the_examples_of_the_help_run(cli, saved, tmp_path, monkeypatch):
    from mmuexp.cli.diff import command

    monkeypatch.chdir(tmp_path)
    for name in ("before.csv", "before.json", "after.csv"):
        assert cli("export", saved["after" in name], "-o", name).code == 0
    examples = [line.split()[1:] for line in command.help.splitlines() if line.strip().startswith("mmuexp ")]
    assert [cli(*words).code for words in examples] == [3, 3]


def test_what_is_compared_is_not_written_over(cli, trace, tmp_path):
    a, b, link = tmp_path / "a.csv", tmp_path / "b.csv", tmp_path / "link.csv"
    assert cli("compare", trace, "-s", "softmmu", "-o", a, "-o", b).code == 0
    link.symlink_to(b)
    before = b.read_bytes()
    for target in (a, b, link):
        assert cli("diff", a, b, "-o", target).code == 2
        assert "is one of the results to be compared" in cli.err
    assert b.read_bytes() == before
