"""What one vector instruction does to memory at once is one row, whatever the pieces in which QEMU does it.

Two witnesses: what the sources of the programs say, by hand from the processor's manual, and valgrind's lackey.
"""

import re
import subprocess

import numpy as np
import pytest
from kit.places import TESTS
from kit.recordings import build, count, need, record, rows_of

from mmuexp.guest import Op
from mmuexp.trace.importers.work import import_trace

COPIES = 4096  # of vectorcopy.S


def accesses(path) -> list[tuple[int, int, int]]:
    """(op, vaddr, size) of each load and store."""
    c = rows_of(path)
    data = (c.op == Op.LOAD) | (c.op == Op.STORE)
    return list(zip(c.op[data].tolist(), c.vaddr[data].tolist(), c.size[data].tolist(), strict=True))


def test_a_vector_access_is_one_row_and_crosses_pages(tmp_path, bits):
    done = record("-o", "copy.arrow", "--", build("vectorcopy", bits), cwd=tmp_path)
    assert done.code == 0, done.err
    counts = count(rows_of(tmp_path / "copy.arrow"))
    assert counts["loads"] == counts["stores"] == counts["misaligned"] == COPIES
    assert counts["page_cross"] == COPIES // 256
    assert {size for _, _, size in accesses(tmp_path / "copy.arrow")} == {16}


@pytest.mark.long
@pytest.mark.parametrize("skip", [2, 101])
def test_skipping_counts_the_same_rows(tmp_path, skip, bits):
    for name, options in (("whole", ()), ("rest", ("--skip", skip))):
        done = record("-o", f"{name}.arrow", *options, "--", build("vectorcopy", bits), cwd=tmp_path)
        assert done.code == 0, done.err
    whole, rest = rows_of(tmp_path / "whole.arrow"), rows_of(tmp_path / "rest.arrow")
    for expected, found in zip(whole, rest, strict=True):
        assert np.array_equal(expected[skip:], found)


BLOCK = 8192  # bytes of a case, its page boundary in the middle
ROW = re.compile(r"[LS]-?\d+:\d+")
# one instruction at a time: of longer pieces lackey's own optimizer takes the loads whose result is not used
ONE_BY_ONE = "--vex-guest-max-insns=1"


def cases(name: str) -> list[tuple[str, list[str], list[str]]]:
    """(instructions, rows by hand, lackey's rows) of each case in tests/kit/record_programs/NAME.S."""
    source = (TESTS / "kit" / "record_programs" / f"{name}.S").read_text()
    found = []
    for words, says in re.findall(r"^ +case; (.*?) */\*(.*?)\*/$", source, re.M):
        ours, differs, theirs = says.partition("lackey")
        assert bool(differs) == (": " in theirs), f"{words}: lackey differs, and why"
        found.append((words, ROW.findall(ours), ROW.findall(theirs if differs else ours)))
    return found


def rows_of_cases(path, program: str, number: int) -> list[list[str]]:
    """The rows of each case, written as in its source."""
    need("nm", "binutils")
    symbols = subprocess.run(["nm", program], capture_output=True, text=True, check=True).stdout
    first = int(re.search(r"^(\w+) . pages$", symbols, re.M)[1], 16)
    found: list[list[str]] = [[] for _ in range(number)]
    for op, vaddr, size in accesses(path):
        if first <= vaddr:
            found[(vaddr - first) // BLOCK].append(f"{'LS'[op]}{(vaddr - first) % BLOCK - BLOCK // 2}:{size}")
    return found


def lackey(program: str, folder, *options: str) -> str:
    """What lackey sees of a program, as a trace."""
    need("valgrind", "valgrind")
    log, trace = folder / "lackey.log", folder / "lackey.arrow"
    words = ["valgrind", "-q", "--tool=lackey", "--trace-mem=yes", *options, f"--log-file={log}", program]
    done = subprocess.run(words, capture_output=True)
    assert done.returncode == 0, log.read_text()[-2000:]
    import_trace(str(log), str(trace))
    return str(trace)


def test_a_copy_has_the_accesses_that_lackey_sees(tmp_path, bits):
    program = build("vectorcopy", bits)
    assert record("-o", "copy.arrow", "--", program, cwd=tmp_path).code == 0
    assert accesses(tmp_path / "copy.arrow") == accesses(lackey(program, tmp_path))


BATTERIES = [("battery", 32), ("battery_short", 32), ("battery_wide", 32)]
BATTERIES += [("battery", 64), ("battery_wide", 64), ("battery_long", 64)]


@pytest.mark.parametrize(("name", "bits"), BATTERIES)
def test_each_instruction_makes_the_rows_of_the_manual_and_of_lackey(tmp_path, name, bits):
    program = build(name, bits)
    done = record("-o", "battery.arrow", "--", program, cwd=tmp_path)
    assert done.code == 0, done.err
    expected = cases(name)
    words = [words for words, *_ in expected]
    found = rows_of_cases(tmp_path / "battery.arrow", program, len(expected))
    assert list(zip(words, found, strict=True)) == [(insn, ours) for insn, ours, _ in expected]

    if (name, bits) == ("battery", 64):  # lackey breaks off at its addr32 cmpsl
        return
    if name == "battery_wide":  # valgrind knows these in 64-bit programs only
        program = build(name, 64)
    found = rows_of_cases(lackey(program, tmp_path, ONE_BY_ONE), program, len(expected))
    assert list(zip(words, found, strict=True)) == [(insn, theirs) for insn, _, theirs in expected]


def test_a_half_that_faults_makes_no_row_before_the_whole_is_done(tmp_path, bits):
    done = record("-o", "fault.arrow", "--", build("vectorfault", bits), cwd=tmp_path)
    assert done.code == 0, done.err
    border = 0x50001000
    there = [row for row in accesses(tmp_path / "fault.arrow") if border - 64 <= row[1] < border + 64]
    assert there == [(Op.LOAD, border - 8, 16), (Op.STORE, border - 4, 16), (Op.LOAD, border - 24, 32)]
