"""`--thread`: the rows of one thread alone, as if nobody else had run. The traces here are made by hand."""

import json

import numpy as np
import pandas as pd
import pytest
from kit.cli import one_line
from kit.traces import columns_of, read, same, write, write_foreign, write_trace

import mmuexp
from mmuexp.guest import BATCH_ROWS, THREAD, Columns, Op
from mmuexp.trace import open_trace
from mmuexp.trace.rewrite import slice_trace
from mmuexp.trace.threads import OfThread, ThreadRows
from mmuexp.trace.verify import verify

OWN = {
    0: [(Op.EXEC, 0x40000, 20, 5), (Op.LOAD, 0x10000, 4, 1), (Op.STORE, 0x10008, 4, 2), (Op.LOAD, 0x20FFE, 4, 3)],
    3: [(Op.EXEC, 0x41000, 8, 2), (Op.STORE, 0x30000, 4, 1), (Op.LOAD, 0x50000, 4, 2), (200, 7, 7, 7)],
    4_000_000_000: [(Op.EXEC, 0x41000, 8, 2), (Op.LOAD, 0x10FFF, 2, 1), (Op.STORE, 0x41002, 1, 2)],
}
TURNS = [0, 3, 0, 4_000_000_000, 3, 4_000_000_000, 0, 0]
LAST = TURNS[-1]


def turn(thread: int) -> tuple[int, ...]:
    return (THREAD, thread, 0, 0)


def rows_of_turns(turns) -> list[tuple[int, ...]]:
    return [row for n, thread in enumerate(turns) for row in [*([turn(thread)] if n else []), *OWN[thread]]]


@pytest.fixture
def threaded(tmp_path) -> str:
    return write_trace(tmp_path / "threads.arrow", rows_of_turns(TURNS))


@pytest.fixture
def alone(tmp_path) -> dict[int, str]:
    """Each thread's rows as a trace of their own."""
    times = {thread: TURNS.count(thread) for thread in OWN}
    return {thread: write_trace(tmp_path / f"{thread}.arrow", OWN[thread], repeat=times[thread]) for thread in OWN}


@pytest.mark.parametrize("thread", OWN)
def test_one_thread_counts_what_its_rows_alone_count(threaded, alone, thread):
    for work in (mmuexp.compare, lambda trace, **more: mmuexp.sweep("entries=2,3", trace, **more), mmuexp.tlb_misses):
        one, other = work(threaded, thread=thread), work(alone[thread])
        assert one.attrs["manifest"]["traces"][0]["thread"] == thread
        pd.testing.assert_frame_equal(one.drop(columns="trace"), other.drop(columns="trace"))


@pytest.mark.parametrize("thread", OWN)
def test_its_faults_keep_their_rows_in_the_file(threaded, alone, thread):
    mine = np.array([n for n, owner in enumerate(owner_of_rows(TURNS)) if owner == thread])
    one, other = mmuexp.faults(threaded, "map-block", thread=thread), mmuexp.faults(alone[thread], "map-block")
    assert len(one) >= 2
    assert one["row"].tolist() == mine[other["row"]].tolist()
    pd.testing.assert_frame_equal(one.drop(columns="row"), other.drop(columns="row"))


def owner_of_rows(turns) -> list[int]:
    """-1 for a THREAD row."""
    return [owner for n, thread in enumerate(turns) for owner in [*([-1] if n else []), *[thread] * len(OWN[thread])]]


def test_all_is_every_row_in_its_order(threaded, tmp_path):
    bare = write_trace(tmp_path / "bare.arrow", [row for thread in TURNS for row in OWN[thread]])
    every = [mmuexp.compare(threaded, **more) for more in ({}, {"thread": "all"}, {"thread": None})]
    without = mmuexp.compare(bare)
    assert (every[0]["rows"] == without["rows"] + len(TURNS) - 1).all()
    for one in every:
        pd.testing.assert_frame_equal(one.drop(columns=["trace", "rows"]), without.drop(columns=["trace", "rows"]))


@pytest.mark.parametrize("batch", [1, 2, 3, 7, 1000])
def test_turns_over_the_ends_of_batches(tmp_path, threaded, batch):
    columns = read(open_trace(threaded))
    path = write_foreign(tmp_path / "foreign.arrow", columns._asdict(), batch=batch)
    for thread in OWN:
        times = TURNS.count(thread)
        one = OfThread(open_trace(path), thread)
        assert same(read(one), columns_of(OWN[thread] * times))
        assert one.rows == len(OWN[thread]) * times


def test_threads_of_a_long_trace(tmp_path):
    """Turns of 1 to 100,000 rows over three batches, counted naively."""
    r = np.random.default_rng(1)
    rows = 2 * BATCH_ROWS + 12345
    columns = columns_of([(Op.LOAD, 0, 4, 1)])
    columns = Columns(*(np.resize(column, rows) for column in columns))
    columns.vaddr[:] = np.arange(rows)
    at = np.sort(r.choice(rows, 500, replace=False))
    columns.op[at], columns.vaddr[at] = THREAD, r.integers(0, 9, 500)
    path = write(tmp_path / "long.arrow", columns)
    owner, now = np.empty(rows, np.int64), 0
    for row, (op, vaddr) in enumerate(zip(columns.op.tolist(), columns.vaddr.tolist(), strict=True)):
        now = vaddr if op == THREAD else now
        owner[row] = -1 if op == THREAD else now
    counted = ThreadRows()
    for batch in open_trace(path).batches():
        counted.feed(batch)
    assert counted.rows == {thread: int((owner == thread).sum()) for thread in range(9)}
    for thread in (0, 5):
        assert np.array_equal(read(OfThread(open_trace(path), thread)).vaddr, columns.vaddr[owner == thread])


def test_info_counts_the_rows_of_each_thread(threaded, trace, cli):
    listed = [{"thread": thread, "rows": len(OWN[thread]) * TURNS.count(thread)} for thread in OWN]
    assert json.loads(cli("trace", "info", threaded, "--format", "json").out)["threads"] == listed
    lines = cli("trace", "info", threaded).out.splitlines()
    at = next(n for n, line in enumerate(lines) if line.startswith("threads"))
    assert [line.split(maxsplit=1)[-1] for line in lines[at : at + 2]] == ["3", "0: 16 rows"]
    assert "thread 4,000,000,000: 6 rows" in lines[at + 3]
    assert json.loads(cli("trace", "info", trace, "--format", "json").out)["threads"] is None
    assert not any(line.startswith("threads") for line in cli("trace", "info", trace).out.splitlines())


def test_info_of_more_threads_than_are_shown_or_counted(tmp_path, cli):
    rows = [row for n in range(20) for row in [turn(n), *OWN[3][:3] * (2 if n == 19 else 1)]]
    told = cli("trace", "info", write_trace(tmp_path / "20.arrow", rows)).out
    assert "thread 19: 6 rows" in told and "4 others: 12 rows" in told
    turns = np.zeros(2 << 17, np.uint32)
    turns[::2] = np.arange(1 << 17)
    load = columns_of([(Op.LOAD, 0x1000, 4, 1)])
    columns = Columns(*(np.resize(column, len(turns)) for column in load))
    columns.op[::2], columns.vaddr[::2] = THREAD, turns[::2]
    path = write(tmp_path / "many.arrow", columns)
    assert json.loads(cli("trace", "info", path, "--format", "json").out)["threads"] is None
    assert "has more than 65,536 threads" in one_line(cli("compare", path, "--thread", 1).err)


@pytest.mark.parametrize("command", ["compare", "sweep", "faults", "misses", "verify"])
def test_a_thread_that_is_not_there(threaded, trace, cli, command):
    words = {"sweep": ["sweep", "entries=2", "--trace"], "faults": ["faults", "-s", "map-block"]}.get(
        command, [command]
    )
    for thread in (1, 4, 4_294_967_295):
        done = cli(*words, threaded, "--thread", thread)
        assert (done.code, done.out) == (1, "")
        expected = f"threads.arrow: has no thread {thread}; there is thread 0, 3, 4,000,000,000; or say --thread all"
        assert expected in one_line(done.err)
    done = cli(*words, trace, "--thread", 1)
    assert (done.code, done.out) == (1, "") and "has no thread 1; there is thread 0;" in one_line(done.err)
    for wrong in ("x", "-1", "1.0", "", "4294967296", "0" * 5000, "²"):
        done = cli(*words, threaded, f"--thread={wrong}")
        assert (done.code, done.out) == (2, "") and "is not a thread" in one_line(done.err)
    assert cli(*words, trace, "--thread", 0).code == cli(*words, threaded, "--thread", "all").code == 0


def test_a_whole_guest_tells_no_threads(tmp_path, cli):
    path = write(tmp_path / "guest.arrow", columns_of([(Op.FLUSH, 0, 1, 0), turn(0)]), "system")
    done = cli("compare", path, "--thread", 0)
    assert done.code == 1 and "is a recording of a whole guest, which tells no threads" in one_line(done.err)
    assert json.loads(cli("trace", "info", path, "--format", "json").out)["threads"] is None


def test_a_bad_row_is_told_by_its_number_in_the_file(tmp_path, cli):
    rows = [*rows_of_turns(TURNS), turn(3), (Op.EXEC, 0x40000, 0, 1)]
    path = write_trace(tmp_path / "bad.arrow", rows)
    for words in (["compare"], ["faults", "-s", "map-block"], ["misses"]):
        line = one_line(cli(*words, path, "--thread", 3).err)
        assert f"row {len(rows) - 1}: EXEC" in line and f" 0:{len(rows) - 1} -o" in line
        assert cli(*words, path, "--thread", 0).code == 0


def test_the_live_engine_runs_one_thread_and_all(threaded, cli):
    for thread in ("3", "0", "all"):
        done = cli("verify", threaded, "--thread", thread, "--format", "csv")
        assert done.code == 0, done.err
    assert "thread 3 alone" in cli("compare", threaded, "--thread", 3).out


def test_a_slice_says_whose_turn_it_is(threaded, tmp_path, cli):
    rows, owners = rows_of_turns(TURNS), owner_of_rows(TURNS)
    for start in range(len(rows)):
        before = next((owner for owner in reversed(owners[:start]) if owner >= 0), 0)
        if start and rows[start - 1][0] == THREAD:
            before = rows[start - 1][1]
        path = tmp_path / f"{start}.arrow"
        done = slice_trace(threaded, start, len(rows), str(path))
        prefix = [turn(before)] if before else []
        assert done == (len(rows) - start, len(prefix), (start, len(rows) - start))
        assert same(read(open_trace(path)), columns_of([*prefix, *rows[start:]]))
        assert [check for check in verify(path) if check.state != "ok"] == []
        again = slice_trace(path, len(prefix) + 1, len(rows), str(tmp_path / "again.arrow")) if start < 30 else None
        if again:
            assert again.window == (start + 1, len(rows) - start - 1)
    assert (
        "rows after a THREAD row for what is known there"
        in cli("trace", "slice", threaded, "6:8", "-o", tmp_path / "six.arrow").err
    )
    head = cli("trace", "head", tmp_path / "six.arrow", "-n", 1).out.splitlines()[1]
    assert head.split()[:3] == ["0", "THREAD", "0x00000003"]
