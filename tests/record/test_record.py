"""`mmuexp record`: which rows a program makes, and that the program notices nothing."""

import os
import shutil
import sys

import numpy as np
import pytest
from kit.places import TRACES
from kit.recordings import build, record, rows_of, tuples, workload

from mmuexp.guest import USER, Op
from mmuexp.trace import digest, open_trace

LOAD, STORE, EXEC = Op.LOAD, Op.STORE, Op.EXEC


GUEST = {32: "i386", 64: "x86_64"}


def test_the_program_keeps_its_input_output_and_exit_code(tmp_path, bits):
    program = build("echo", bits)
    done = record("-o", "echo.arrow", "--licence", "none", "--", program, cwd=tmp_path, stdin="one\ntwo\n")
    assert (done.code, done.out) == (7, "one\ntwo\n")
    assert done.err.startswith("done\n")
    assert "rows" in done.err and "B/row" in done.err and "rows/s" in done.err
    trace = open_trace(tmp_path / "echo.arrow")
    assert trace.mode == "user"
    assert trace.complete == "yes"
    assert trace.window == (0, trace.rows)
    assert trace.metadata["guest"] == GUEST[bits]
    assert trace.metadata["licence"] == "none"
    assert trace.metadata["command"].split()[0] == program
    assert trace.metadata["program.sha256"] == digest(program)
    assert f"qemu-{GUEST[bits]} version" in trace.metadata["recorder"]


def test_positions_and_long_blocks(tmp_path, bits):
    """longblock.S: 301 instructions in a line. QEMU ends a block where its buffer is full (7.2: after 197 of these), so
    only the sum of the EXEC rows is known; a position counts from its block's first instruction, 255 at most."""
    done = record("--", build("longblock", bits), cwd=tmp_path)
    assert done.code == 0
    rows = tuples(tmp_path / "longblock.arrow")
    blocks = [(at, size, insns) for op, at, size, insns, _, _ in rows if op == EXEC]
    assert all(insns <= 255 for _, _, insns in blocks)
    assert [at + size for at, size, _ in blocks[:-2]] == [at for at, _, _ in blocks[1:-1]]  # no gap, no overlap
    assert sum(size for _, size, _ in blocks[:-1]) == 7 + 8 + 6 + 243 + 7 + 7 + 44 + 9 + 2
    assert sum(insns for _, _, insns in blocks[:-1]) == 301
    assert blocks[-1][1:] == (9, 3)
    found, before, inside = [], 0, 0
    for op, _, size, insns, _, _ in rows[:-1]:
        if op == EXEC:
            before, inside = before + inside, insns
        else:
            found.append((op, size, before + insns))
    assert found == [(STORE, 1, 1), (LOAD, 4, 10), (STORE, 4, 10), (STORE, 1, 254), (STORE, 1, 255), (STORE, 2, 300)]
    assert len({at for op, at, *_ in rows if op != EXEC}) == 1
    assert {row[4:] for row in rows} == {(USER, 0)}


def test_the_same_program_makes_the_same_rows(tmp_path):
    program = workload("huffman")
    for name in "ab":
        assert record("-o", f"{name}.arrow", "--", program, cwd=tmp_path).code == 0
    one, other = (rows_of(tmp_path / f"{name}.arrow") for name in "ab")
    assert all(np.array_equal(x, y) for x, y in zip(one, other, strict=True))


@pytest.mark.long
@pytest.mark.parametrize(("skip", "limit"), [(1, 1000), (12345, 300_000), (1 << 20, None)])
def test_skip_and_limit_count_rows(tmp_path, skip, limit):
    """Whatever part is recorded, it is that part of the whole."""
    program = workload("string_sort")
    assert record("-o", "all.arrow", "--", program, cwd=tmp_path).code == 0
    words = ["--skip", skip] + (["--limit", limit] if limit else [])
    done = record("-o", "part.arrow", *words, "--", program, cwd=tmp_path)
    assert (done.code, done.out) == (0, "right\n")  # the program ran to its end
    whole, part = rows_of(tmp_path / "all.arrow"), rows_of(tmp_path / "part.arrow")
    assert all(np.array_equal(w[skip:][:limit], p) for w, p in zip(whole, part, strict=True))
    trace = open_trace(tmp_path / "part.arrow")
    assert trace.window == (skip, len(part.op))
    assert trace.complete == (f"the limit of {limit:,} rows" if limit else "yes")


def test_a_window_is_whole_if_it_holds_as_many_rows_as_were_asked_for(tmp_path, cli):
    for name, words in (("first", []), ("later", ["--skip", 10])):
        done = record("-o", f"{name}.arrow", *words, "--limit", 20, "--", workload("ownpage", 10), cwd=tmp_path)
        assert done.code == 0
        assert (
            "complete       ok       a window of 20 rows, as asked"
            in cli("trace", "verify", tmp_path / f"{name}.arrow").out
        )
    assert cli("trace", "slice", tmp_path / "first.arrow", "5:20", "-o", tmp_path / "part.arrow").code == 0
    assert "complete       warning  the limit of 20 rows" in cli("trace", "verify", tmp_path / "part.arrow").out


def test_skipping_more_than_there_is_leaves_an_empty_trace(tmp_path):
    done = record("-o", "none.arrow", "--skip", 10**9, "--", workload("ownpage", 10), cwd=tmp_path)
    assert done.code == 0
    assert "0 rows" in done.err and "41 rows skipped" in done.err
    trace = open_trace(tmp_path / "none.arrow")
    assert (trace.rows, trace.window, trace.complete) == (0, (41, 0), "yes")


def test_a_forked_child_is_not_recorded(tmp_path, bits):
    """forks.c: 1000 stores of the parent, none of the child's 100,000; the child's exit code comes through."""
    done = record("--", build("forks", bits), cwd=tmp_path)
    assert done.code == 5
    parent_cell, child_cell = map(int, done.out.split())
    rows = rows_of(tmp_path / "forks.arrow")
    stores = rows.vaddr[rows.op == STORE]
    assert (stores == parent_cell).sum() == 1000
    assert (stores == child_cell).sum() == 0
    assert open_trace(tmp_path / "forks.arrow").complete == "yes"
    assert "1 child was forked, which is not recorded" in done.err


def test_children_are_counted_and_theirs_are_not(tmp_path):
    """Three subshells, of which one forks again; a command in the shell's own process is none."""
    done = record(
        "-o", "sh.arrow", "--", "/bin/sh", "-c", "(echo a; (echo b); echo c); (echo d); (echo e); :", cwd=tmp_path
    )
    assert (done.code, done.out) == (0, "a\nb\nc\nd\ne\n")
    assert "3 children were forked, which are not recorded" in done.err


def test_exec_of_another_program_is_reported(tmp_path, bits):
    done = record("--", build("execs", bits), "/bin/sh", "-c", "sleep 0.3; echo other; exit 12", cwd=tmp_path)
    assert (done.code, done.out) == (12, "other\n")
    assert "executed another program; the recording ends here" in done.err and "name it as the program" in done.err
    trace = open_trace(tmp_path / "execs.arrow")
    assert trace.rows > 1000
    assert trace.complete == "the program executed another program"


def test_an_exec_that_fails_ends_nothing(tmp_path, bits):
    done = record("--", build("execs", bits), "/nonexistent/other", cwd=tmp_path)
    assert done.code == 9
    assert open_trace(tmp_path / "execs.arrow").complete == "yes"


def test_a_program_that_closes_every_file_is_recorded_to_its_end(tmp_path, bits):
    done = record("--", build("closes", bits), cwd=tmp_path)
    assert (done.code, done.out) == (6, "closed\n")
    assert open_trace(tmp_path / "closes.arrow").complete == "yes"


def test_atomic_instructions_are_a_load_and_a_store(tmp_path, bits):
    """atomic.S: lock incl, lock cmpxchgl, xchgl, lock cmpxchg8b and lock cmpxchg16b on one word, one each."""
    assert record("--", build("atomic", bits), cwd=tmp_path).code == 0
    rows = [(op, size, insns) for op, _, size, insns, _, _ in tuples(tmp_path / "atomic.arrow") if op != EXEC]
    sizes = [4, 4, 4, 8] + [16] * (bits == 64)
    assert rows == [(op, size, at) for at, size in enumerate(sizes, 1) for op in (LOAD, STORE)]


def test_atomic_instructions_of_16_bytes_beside_other_threads(tmp_path):
    """wideatomic.c: QEMU makes one access of cmpxchg16b then, and two of 8 bytes where a program has one thread."""
    done = record("--", build("wideatomic", 64), cwd=tmp_path)
    assert done.code == 0, done.err
    cell = int(done.out)
    rows = [(op, vaddr - cell, size) for op, vaddr, size, *_ in tuples(tmp_path / "wideatomic.arrow") if op != EXEC]
    assert [row for row in rows if 0 <= row[1] < 16] == [(LOAD, 0, 16), (STORE, 0, 16)] * 20


def test_options_after_the_program_are_the_programs_own(tmp_path):
    done = record("--limit", 100, build("execs"), "/bin/echo", "--limit", "-o", "x", cwd=tmp_path)
    assert (done.code, done.out) == (0, "--limit -o x\n")


def test_the_examples_of_the_help_run(tmp_path):
    help_text = record("--help", cwd=tmp_path).out
    examples = [line.split()[1:] for line in help_text.splitlines() if line.startswith("    mmuexp record ")]
    first, *examples = examples
    assert first == ["record", "-o", "ls.arrow", "--", "ls", "/"] and len(examples) == 2
    done = record(*first[1:], cwd=tmp_path)
    assert done.code == 0 and set(os.listdir("/")) >= set(done.out.split())
    shutil.copytree(TRACES / "workloads", tmp_path / "traces" / "workloads", dirs_exist_ok=True)
    for words in examples:
        program = tmp_path / words[-1]
        program.parent.mkdir(exist_ok=True)
        shutil.copy(workload(program.name), program)
        done = record(*words[1:], cwd=tmp_path)
        assert (done.code, "rows/s" in done.err) == (0, True), done.err


def test_the_python_interface(tmp_path, monkeypatch):
    from mmuexp.record import record as record_in_process

    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    before = sys.modules["signal"].getsignal(2)
    done = record_in_process([workload("ownpage", 10)], str(tmp_path / "own.arrow"))
    assert (done.rows, done.exit_code, done.complete, done.failure) == (41, 0, "yes", None)
    assert sys.modules["signal"].getsignal(2) == before
