"""A scheme of one's own that is wrong: one line says what, before memory is overwritten or a price is made of it."""

from pathlib import Path

import pytest
from kit.places import HONEST_FILE
from kit.traces import exec_, load, write_trace

from mmuexp.contract.rules import check
from mmuexp.errors import MmuexpError, UsageError
from mmuexp.replay.plausible import check_counts
from mmuexp.strategy.registry import parse_spec, strategies_of_file


def honest_but(tmp_path, old: str, new: str) -> Path:
    """honest.py with a change, as a file of its own."""
    text = HONEST_FILE.read_text()
    assert old in text
    (tmp_path / "own.py").write_text(text.replace(old, new))
    return tmp_path / "own.py"


REFUSED = {  # what is wrong, and what is said of it
    "no such field": ("s.only[0] != row.page:", "s.only[0] != row.pages:", "'pages' (own.py:17)"),
    "numba knows less": ("s.only[0] != row.page:", "type(s).__name__ != 'x':", "Unknown attribute '__name__'"),
    "an index too far": ("s.only[0] = row.page", "s.only[1000] = row.page", "IndexError: index 1000 is out of bounds"),
    "a kernel that is a function": ("@kernel\ndef flush(", "def flush(", "flush is not a kernel; write @kernel above"),
    "spells that are not counted": (
        "=flush_page)",
        "=flush_page, spells=True)",
        "but events not both FAULTS_SOFTMMU and",
    ),
    "a kernel with other arguments": ("flush(s, e, n)", "flush(s, e)", "the kernel flush is not def flush(s, e, n)"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_kernels_that_cannot_run_are_told_once_and_nothing_crashes(tmp_path, case):
    old, new, said = REFUSED[case]
    (cls,) = strategies_of_file(honest_but(tmp_path, old, new))
    wrong = [str(wrong) for _, wrong in check(cls) if wrong]
    assert len(wrong) == 1
    assert said in wrong[0]
    assert "\n" not in wrong[0]


def test_a_file_without_a_docstring_is_told(tmp_path):
    file = honest_but(tmp_path, '"""A scheme with one entry, which says what it takes away."""', "")
    (cls,) = strategies_of_file(file)
    assert "no docstring" in str(next(wrong for _, wrong in check(cls)))


def test_a_cost_below_nothing_is_refused(tmp_path):
    with pytest.raises(MmuexpError, match="a cost holds -1 insn"):
        strategies_of_file(honest_but(tmp_path, "Cost(insn=1,", "Cost(insn=-1,"))


def test_a_scheme_that_counts_backwards_is_refused(tmp_path, cli, plain_python):
    """compare names the scheme and the counter, and writes nothing."""
    file = honest_but(tmp_path, "n[Event.TLB_FILLS] += 1", "n[Event.TLB_FILLS] -= 1")
    trace = write_trace(tmp_path / "one_page.arrow", [exec_(0x40000), load(0x10000)], rows=1000)
    for words in ([], ["--every", "500"]):
        done = cli("compare", trace, "-s", file, *words, "-o", tmp_path / "out.csv")
        assert (done.code, done.out) == (1, "")
        assert done.err.startswith("mmuexp: honest: counts -1 tlb_fills, less than nothing; its kernels miscount")
        assert done.err.count("\n") == 1
        assert not list(tmp_path.glob("*out*"))


def test_a_key_without_a_value_is_shown_with_one():
    with pytest.raises(UsageError) as told:
        parse_spec("map-block,map_block_bits")
    assert str(told.value).endswith("is not key=value; write map_block_bits=16, or one of 12..40")


COUNTED = {"rows": 10, "execs": 4, "guest_insns": 20, "translations": 4, "translated_insns": 20, "maps": 3, "unmaps": 3}


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"maps": 2}, "counts 3 unmaps, and 2 maps"),
        ({"translations": 5}, "counts 5 translations, and 4 execs"),
        ({"translated_insns": 21}, "counts 21 translated_insns, and 20 guest_insns"),
        ({"faults": 2**21 * 10 + 2}, "counts 20,971,522 faults in 10 rows"),
        ({"faults": -1}, "counts -1 faults"),
    ],
)
def test_counts_that_cannot_be(changed, said):
    check_counts("x", COUNTED)
    check_counts("x", COUNTED | {"faults": 2**21 * 10 + 1, "reserved_bytes": 2**34, "evictions": None})
    check_counts("x", COUNTED | {"maps": 2}, part=True)  # the third was mapped in an earlier one
    with pytest.raises(MmuexpError, match=f"^x: {said}"):
        check_counts("x", COUNTED | changed)
