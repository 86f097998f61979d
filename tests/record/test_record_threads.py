"""`mmuexp record` of programs with several threads: each row with its thread, and the file right however they end."""

import os
import signal
import time
from itertools import pairwise

import numpy as np
import pytest
from kit.recordings import build, finish, qemu_of, record, rows_of, start

import mmuexp
from mmuexp.guest import THREAD, Columns, Op
from mmuexp.trace import open_trace

LOAD, STORE, EXEC = Op.LOAD, Op.STORE, Op.EXEC


def owners(rows: Columns) -> np.ndarray:
    """The thread of each row, naively; -1 for the annotations that tell it."""
    found, now = np.empty(len(rows.op), np.int64), 0
    turns = np.flatnonzero(rows.op == THREAD).tolist()
    for at, end in zip([-1, *turns], [*turns, len(rows.op)], strict=True):
        if at >= 0:
            now = int(rows.vaddr[at])
            found[at] = -1
        found[at + 1 : end] = now
    return found


def of_thread(rows: Columns, thread: int) -> Columns:
    return Columns(*(column[owners(rows) == thread] for column in rows))


def stores_at(rows: Columns, cell: int) -> int:
    return int(((rows.op == STORE) & (rows.vaddr == cell)).sum())


def check_turns(rows: Columns) -> None:
    """A turn begins with a block, and tells another thread than the one before."""
    turns = np.flatnonzero(rows.op == THREAD)
    assert set(rows.op[turns + 1].tolist()) <= {EXEC}
    told = [0, *rows.vaddr[turns].tolist()]
    assert all(one != other for one, other in pairwise(told))
    for column in (rows.page, rows.size, rows.insns):
        assert not column[turns].any()


def test_a_thread_and_its_rows(tmp_path, bits):
    done = record("--", build("threads", bits), cwd=tmp_path)
    assert done.code == 4
    cell, left = map(int, done.out.split())
    assert left == 999 + 3_000_000
    rows = rows_of(tmp_path / "threads.arrow")
    check_turns(rows)
    assert [stores_at(of_thread(rows, thread), cell) for thread in (0, 1)] == [1000, 3_000_000]
    assert set(owners(rows).tolist()) == {-1, 0, 1}
    assert open_trace(tmp_path / "threads.arrow").complete == "yes"


def work_of(rows: Columns, thread: int, cells: int, marks: int) -> list[np.ndarray]:
    """What crew.c's thread of that number does between its marks; addresses as offsets in its own page."""
    own = of_thread(rows, thread)
    mark = marks + 4 * (thread - 1)
    first, last = np.flatnonzero((own.op == STORE) & (own.vaddr == mark))
    own = Columns(*(column[first + 1 : last] for column in own))
    mine = own.vaddr.astype(np.int64) - (cells + 4096 * (thread - 1))
    shared = (mine < 0) | (mine >= 4096)
    stack = (own.op != EXEC) & shared & (own.vaddr > cells + 64 * 4096)
    place = np.where(shared, own.vaddr, mine)
    place[stack] = 0  # each has its own
    return [place, own.size, own.insns, own.op, own.flags]


def test_eight_threads_each_do_what_it_does_alone(tmp_path, bits):
    threads, rounds = 8, 20_000
    for name, words in (("together", []), ("alone", ["alone"])):
        done = record("-o", f"{name}.arrow", "--", build("crew", bits), threads, rounds, *words, cwd=tmp_path)
        assert (done.code, open_trace(tmp_path / f"{name}.arrow").complete) == (4, "yes")
        check_turns(rows_of(tmp_path / f"{name}.arrow"))
    cells, marks = map(int, done.out.split())
    together, alone = (rows_of(tmp_path / f"{name}.arrow") for name in ("together", "alone"))
    expected = work_of(alone, 1, cells, marks)
    assert len(expected[0]) > 4 * rounds
    for thread in range(1, threads + 1):
        for rows in (together, alone):
            assert all(map(np.array_equal, work_of(rows, thread, cells, marks), expected))
            assert stores_at(of_thread(rows, thread), cells + 4096 * (thread - 1) + 4) == -(-(rounds - 1) // 1024)


ENDS = {
    "exit": (11, "yes"),
    "_exit": (12, "yes"),
    "exec": (13, "the program executed another program"),
    "fault": (128 + signal.SIGSEGV, "the program was ended by SIGSEGV"),
    "kill": (128 + signal.SIGKILL, "the program was ended by SIGKILL"),
    "fork": (14, "yes"),
    "system": (15, "yes"),
    "create": (16, "yes"),
}


@pytest.mark.long
@pytest.mark.parametrize(("how", "bits"), [(how, 32) for how in ENDS] + [("fault", 64), ("exec", 64), ("create", 64)])
def test_a_thread_ends_the_program(tmp_path, how, bits):
    """crowd.c: while two others run, the last thread does something. What each row is does not depend on it."""
    done = record("--", build("crowd", bits), how, cwd=tmp_path)
    trace = open_trace(tmp_path / "crowd.arrow")
    assert (done.code, trace.complete) == (ENDS[how][0], ENDS[how][1])
    assert "Traceback" not in done.err
    cells, *_ = map(int, done.out.split()[:1])
    rows = rows_of(tmp_path / "crowd.arrow")
    assert len(rows.op) == trace.rows
    check_turns(rows)
    for thread in (1, 2):  # cell++: whole blocks, none lost and none twice
        own = of_thread(rows, thread)
        work = own.vaddr == cells + 4096 * thread
        ops = own.op[work]
        assert np.array_equal(ops, np.resize([LOAD, STORE], len(ops)))
    last = of_thread(rows, 3)
    assert stores_at(last, cells + 4096 * 3) == 1000
    assert stores_at(rows, cells + 4096 * 4) == 0  # of forked children
    made = 3 + (50 if how == "create" else 0)
    assert {0, 3} <= set(owners(rows).tolist()) <= set(range(-1, made + 1))
    if how == "create":
        assert [stores_at(of_thread(rows, 4 + n), cells + 4096 * 5) for n in range(50)] == [1] * 50


@pytest.mark.long
def test_killing_qemu_while_threads_run(tmp_path):
    process = start("-o", "crowd.arrow", "--", build("crowd"), "spin", cwd=tmp_path)
    cells = int(process.stdout.readline())
    end = time.monotonic() + 30
    while os.path.getsize(tmp_path / "crowd.arrow.part") < 40_000 and time.monotonic() < end:
        time.sleep(0.05)
    os.kill(qemu_of(process), signal.SIGKILL)
    finish(process)
    rows = rows_of(tmp_path / "crowd.arrow")
    assert open_trace(tmp_path / "crowd.arrow").complete == "the program was ended by SIGKILL"
    check_turns(rows)
    for thread in (1, 2):
        ops = of_thread(rows, thread).op[1000:]
        assert not np.any(ops[3:] != ops[:-3])  # EXEC LOAD STORE, again and again
    assert stores_at(rows, cells + 4096 * 3) == 1000


@pytest.mark.long
@pytest.mark.parametrize(("skip", "limit"), [(30_000, 5_000), (200_000, 100_001)])
def test_a_window_says_whose_its_first_rows_are(tmp_path, skip, limit):
    """crew.c, one thread after the other: rows of the same number are of the same thread, but for the first few."""
    words = ["--", build("crew"), 4, 20_000, "alone"]
    assert record("-o", "all.arrow", *words, cwd=tmp_path).code == 4
    assert record("-o", "part.arrow", "--skip", skip, "--limit", limit, *words, cwd=tmp_path).code == 4
    trace = open_trace(tmp_path / "part.arrow")
    assert (trace.window, trace.complete) == ((skip, limit), f"the limit of {limit:,} rows")
    rows, whole = rows_of(tmp_path / "part.arrow"), rows_of(tmp_path / "all.arrow")
    before = len(rows.op) - limit
    assert (before, rows.op[0] == THREAD) in ((0, False), (1, True))
    middle = limit // 2
    assert owners(rows)[before + middle] == owners(whole)[skip + middle]


def test_a_recording_of_threads_in_every_command(tmp_path, cli):
    """The model and the live engine agree on all threads and on one; each thread's share adds up to the whole."""
    assert record("-o", "crew.arrow", "--", build("crew"), 4, 2000, cwd=tmp_path).code == 4
    path = tmp_path / "crew.arrow"
    assert cli("trace", "verify", path).code == 0
    every = mmuexp.compare(path, "softmmu")
    each = [mmuexp.compare(path, "softmmu", thread=thread) for thread in range(5)]
    for name in ("accesses", "loads", "stores", "execs", "guest_insns", "page_cross"):
        assert sum(int(one[name].iloc[0]) for one in each) == int(every[name].iloc[0])
    rows = rows_of(path)
    assert [int(one["rows"].iloc[0]) for one in each] == [int((owners(rows) == thread).sum()) for thread in range(5)]
    for thread in ("all", 2):
        done = cli("verify", path, "--thread", thread)
        assert done.code == 0, done.err
