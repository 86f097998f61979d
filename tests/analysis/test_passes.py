"""`mmuexp.analysis.passes`: however many threads replay, in however many passes, the counts are the same."""

from itertools import pairwise

import pytest
from kit.traces import columns_of, load, random_trace
from truth.schemes import NAMES

import mmuexp
from mmuexp.analysis import passes
from mmuexp.analysis.compare import compare
from mmuexp.errors import SchemeStopped, TraceError, UsageError
from mmuexp.replay.replay import Replay
from mmuexp.replay.survey import Part
from mmuexp.strategy.registry import parse_spec
from mmuexp.trace import TraceWriter, open_trace

SPECS = [*NAMES, "map-block,pool_blocks=3"]


@pytest.fixture
def write(tmp_path, monkeypatch):
    """Rows to a trace of small batches."""

    def written(rows, batch_rows: int) -> str:
        monkeypatch.setattr("mmuexp.trace.format.BATCH_ROWS", batch_rows)
        with TraceWriter(str(tmp_path / "t.arrow"), mode="user", metadata={}) as writer:
            writer.append(columns_of(rows))
        return str(tmp_path / "t.arrow")

    return written


@pytest.fixture
def trace(write):
    return write(random_trace(3, 4000, "user"), 500)


@pytest.mark.parametrize("jobs", [1, 2, 7])
def test_threads_change_nothing(trace, jobs):
    alone = compare(trace, SPECS, jobs=1)
    assert mmuexp.compare(trace, SPECS, jobs=jobs).equals(alone.frame)
    windows = mmuexp.compare(trace, SPECS, jobs=jobs, every=777)
    for spec in SPECS:
        for column in ("faults", "tlb_fills", "translations", "accesses", "rows"):
            parts, whole = (f[f["strategy"] == str(parse_spec(spec))][column] for f in (windows, alone.frame))
            assert parts.fillna(0).sum() == whole.fillna(0).sum()


def test_rows_are_made_ahead_for_schemes_that_read_most(trace, write, monkeypatch):
    made, real = [], Part.make_all_rows
    monkeypatch.setattr(Part, "make_all_rows", lambda part: made.append(part.stop) or real(part))
    reads_every_row = "qemu-fast,guest_limit=0x1000"
    alone = compare(trace, [reads_every_row], jobs=1)
    assert not made
    assert mmuexp.compare(trace, [reads_every_row], jobs=2).equals(alone.frame)
    assert made
    made.clear()
    mmuexp.compare(write([load(0x1000)] * 4000, 500), ["softmmu"], jobs=2)
    assert not made


def test_schemes_that_need_too_much_memory_wait_for_another_pass(trace, monkeypatch):
    whole = mmuexp.compare(trace, SPECS)
    growing = iter(range(0, 1 << 40, passes.SCHEMES_BYTES // 2))
    monkeypatch.setattr(passes, "resident_bytes", lambda: next(growing))
    monkeypatch.setattr(passes, "ASK_SECONDS", -1)  # each time
    begun = []
    real = passes._Pass.run
    monkeypatch.setattr(passes._Pass, "run", lambda one, *a: begun.append(len(one.lanes)) or real(one, *a))
    told = []
    again = mmuexp.compare(trace, SPECS, progress=lambda _, done, rows: told.append((done, rows)))
    assert again.equals(whole)  # rows in the order of the strategies, too
    rows = whole["rows"].iloc[0]
    assert begun[0] == len(SPECS) and begun[-1] == 1 and len(begun) >= 3
    assert all(later < earlier for earlier, later in pairwise(begun))
    assert told[-1] == (len(begun) * rows, len(begun) * rows)


def test_what_it_takes_to_load_kernels_is_no_schemes(trace, monkeypatch):
    """A loop that is loaded, or compiled, grows the process once, in the first replay of its class."""
    taken, real, begun = {}, Replay.feed, []

    def feed(replay, rows):
        taken[type(replay.strategy)] = 2 * passes.SCHEMES_BYTES
        real(replay, rows)

    monkeypatch.setattr(Replay, "feed", feed)
    monkeypatch.setattr(passes, "resident_bytes", lambda: sum(taken.values()))
    monkeypatch.setattr(passes, "ASK_SECONDS", -1)
    run = passes._Pass.run
    monkeypatch.setattr(passes._Pass, "run", lambda one, *a: begun.append(len(one.lanes)) or run(one, *a))
    mmuexp.compare(trace, SPECS)
    assert begun == [len(SPECS)]


def test_a_scheme_that_stops_comes_before_a_later_bad_row(write):
    colliding = "qemu-fast,guest_limit=0x100000000,kernel_offset=0x30000000"
    rows = [load(0x60000000), load(0x90000000), *[load(0x1000)] * 600]
    path = write([*rows, load(0x1000, size=65)], 300)
    with open_trace(path) as opened, pytest.raises(SchemeStopped, match="row 1:"):
        list(passes.run_passes(opened, [parse_spec(colliding)], label="x"))
    with open_trace(path) as opened, pytest.raises(TraceError, match="row 602:"):
        list(passes.run_passes(opened, [parse_spec("softmmu")], label="x"))


@pytest.mark.parametrize("jobs", [0, -1, 257, 1.5, True])
def test_what_is_no_number_of_threads(trace, jobs):
    with pytest.raises(UsageError, match="jobs"):
        compare(trace, ["softmmu"], jobs=jobs)


def test_the_option(trace, cli):
    told = cli("compare", trace, "-s", "softmmu", "-j", "1", "--format", "csv")
    assert told.code == 0 and len(told.out.splitlines()) == 2
    assert cli("sweep", "tlb_bits=7,8", "--trace", trace, "-j", "0").code == 2
