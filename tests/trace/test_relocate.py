"""Load addresses: what a region is, where a seed puts it, and that nothing but addresses changes."""

import numpy as np
import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from kit.cli import one_line
from kit.replays import Rows, run
from kit.traces import (
    columns_of,
    exec_,
    flush,
    flush_page,
    load,
    map_,
    note,
    random_trace,
    read,
    same,
    store,
    traces,
    write,
)
from truth.oracle import misses as oracle_misses
from truth.oracle.guest import FLUSH_PAGE, PAGE

from mmuexp.errors import TraceError, UsageError
from mmuexp.guest import PAGES
from mmuexp.trace import open_trace
from mmuexp.trace.regions import Region, _splitmix64, joined, offsets_of, regions_of
from mmuexp.trace.relocate import Relocated, relocated
from mmuexp.trace.rewrite import relocate_file
from mmuexp.trace.verify import FAILED, verify

ROWS = [
    exec_(0x8048FF8, 16),  # code across two pages: 0x8048, 0x8049
    load(0x8050000), store(0x804AFFE), load(0x40000000), flush_page(0x40010000),
    flush(), note(), store(0xBFFFF000),
]  # fmt: skip


def wraps(rows) -> bool:
    return any(op <= 2 and vaddr + size > PAGES * PAGE for op, vaddr, size, *_ in rows)


def test_regions_by_hand():
    """0x8048 0x8049 0x804a 0x804b 0x8050 | 0x40000 0x40010 | 0xbffff; five and sixteen pages are near."""
    assert regions_of(Rows(ROWS, "user"), 16) == [Region(0x8048, 9), Region(0x40000, 17), Region(0xBFFFF, 1)]
    assert regions_of(Rows(ROWS, "user"), 15)[1:3] == [Region(0x40000, 1), Region(0x40010, 1)]
    assert regions_of(Rows(ROWS, "user"), 4)[:2] == [Region(0x8048, 4), Region(0x8050, 1)]
    assert joined(np.array([], np.int64), 1) == []


@settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
@given(rows=traces("user"), join=st.integers(1, 40))
def test_the_oracle_sees_the_same_regions(rows, join):
    assume(not wraps(rows))
    found = regions_of(Rows(rows, "user"), join)
    assert [(region.first, region.first + region.pages - 1) for region in found] == oracle_misses.regions(rows, join)


def test_the_draws_are_splitmix64():
    """The published sequence of seed 1234567, so that another program can draw the same."""
    state, found = 1234567, []
    for _ in range(3):
        state, drawn = _splitmix64(state)
        found.append(drawn)
    assert found == [6457827717110365317, 3203168211198807973, 9817491932198370423]


def test_offsets_by_hand():
    """The upper 32 bits of the draws are 0x599ed017 and 0x2c73f084: 0.350 and 0.174 of 256 values from -128 on."""
    assert offsets_of([Region(0x10000, 9), Region(0x40000, 17)], 1234567) == [89 - 128, 44 - 128]
    assert offsets_of([Region(0x10000, 9), Region(0x40000, 17)], 0) == [0, 0]
    # pressed against page 0 and the last page there is one place each
    assert offsets_of([Region(1, PAGES - 1)], 5) == [0]
    assert offsets_of([Region(0, PAGES)], 5) == [0]


@settings(max_examples=200, deadline=None)
@given(
    pages=st.lists(st.integers(0, PAGES - 1), min_size=1, max_size=30, unique=True),
    near=st.booleans(),
    join=st.sampled_from([1, 3, 256]),
    seed=st.integers(1, 2**32 - 1),
    bits=st.integers(1, 19),
)
def test_regions_keep_order_and_do_not_meet(pages, near, join, seed, bits):
    pages = sorted({page % 500 for page in pages} if near else pages)
    regions = joined(np.array(pages), join)
    offsets = offsets_of(regions, seed, bits)
    end = 0
    for region, offset in zip(regions, offsets, strict=True):
        assert -(1 << bits - 1) <= offset < 1 << bits - 1
        assert region.first + offset >= end
        assert region.first + offset > 0 or region.first == 0
        end = region.first + offset + region.pages
    assert end <= PAGES


def test_each_place_is_drawn_as_often():
    """256 places, 25,600 seeds: 100 each, give or take five standard deviations of 10."""
    regions = [Region(0x8048, 9), Region(0x40000, 600)]
    drawn = np.array([offsets_of(regions, seed) for seed in range(1, 25_601)])
    for column in drawn.T:
        counts = np.bincount(column + 128, minlength=256)
        assert len(counts) == 256
        assert 50 <= counts.min() <= counts.max() <= 150
    together = np.bincount((drawn[:, 0] - drawn[:, 1]) % 256, minlength=256)  # and each distance of the two
    assert 50 <= together.min() <= together.max() <= 150


def test_only_addresses_of_rows_move():
    regions = regions_of(Rows(ROWS, "user"), 16)
    moved = Relocated(open_like(ROWS), regions, [1, -2, 3])
    (after,) = moved.batches()
    by = [PAGE, PAGE, PAGE, -2 * PAGE, -2 * PAGE, 0, 0, 3 * PAGE]
    want = [(row[0], row[1] + step, *row[2:]) for row, step in zip(ROWS, by, strict=True)]
    assert same(after, columns_of(want))


def open_like(rows):
    trace = Rows(rows, "user")
    trace.file_rows, trace.metadata, trace.complete, trace.window, trace.size_bytes = len(rows), {}, "yes", None, 0
    return trace


@settings(max_examples=30, deadline=None, suppress_health_check=list(HealthCheck))
@given(rows=traces("user"), seed=st.integers(1, 99))
def test_the_oracle_moves_rows_so(rows, seed):
    assume(not wraps(rows))
    trace = relocated(open_like(rows), seed, join_pages=8, move_bits=5)
    offset = {}
    for (first, last), by in zip(oracle_misses.regions(rows, 8), trace.offsets, strict=True):
        offset |= dict.fromkeys(range(first, last + 1), by)
    want = [(op, vaddr + (offset[vaddr >> 12] << 12 if op <= 2 or op == FLUSH_PAGE else 0), *rest)
            for op, vaddr, *rest in rows]  # fmt: skip
    assert same(next(trace.batches()), columns_of(want)) if rows else not list(trace.batches())


def test_what_does_not_depend_on_addresses_stays():
    rows = [row for row in random_trace(seed=3, n=20_000, mode="user") if 0x8000 <= row[1] >> 12 < 0x8400]
    trace = relocated(open_like(rows), 7)
    (moved,) = trace.batches()
    assert trace.offsets != [0]
    before, after = (run(some, "softmmu", "user") for some in (rows, moved))
    assert {name for name in before if before[name] != after[name]} <= {"tlb_fills", "table_lines"}


@pytest.fixture
def file(tmp_path):
    return write(tmp_path / "program.arrow", columns_of(ROWS * 50), command="./program", recorder="by hand")


def test_a_file_is_moved(file, tmp_path):
    new = str(tmp_path / "moved.arrow")
    done = relocate_file(file, new, 5, join_pages=16)
    with open_trace(new) as trace, open_trace(file) as source:
        assert same(read(trace), read(Relocated(source, done.regions, done.offsets)))
        assert not same(read(trace), read(source))
        assert trace.metadata["command"] == "./program"
        assert trace.metadata["relocation_of"].startswith("program.arrow load_seed 5 join_pages 16 move_bits 8 sha256 ")
        assert (trace.mode, trace.complete, trace.window) == (source.mode, source.complete, source.window)
    assert not [check for check in verify(new) if check.state == FAILED]


def test_seed_0_is_the_recording(file, tmp_path):
    relocate_file(file, str(tmp_path / "same.arrow"), 0)
    with open_trace(tmp_path / "same.arrow") as trace, open_trace(file) as source:
        assert same(read(trace), read(source))


def test_what_cannot_move_is_told(file, tmp_path):
    system = write(tmp_path / "system.arrow", columns_of([map_(0x1000, 0x101), load(0x1000)]), mode="system")
    round_ = write(tmp_path / "round.arrow", columns_of([load(0xFFFFFFFE)]))
    new = str(tmp_path / "new.arrow")
    with pytest.raises(TraceError, match="whole guest"):
        relocate_file(system, new, 1)
    with pytest.raises(TraceError, match="goes round the end"):
        relocate_file(round_, new, 1)
    with pytest.raises(UsageError, match="is the trace to be moved"):
        relocate_file(file, file, 1)
    for seed in (-1, 1 << 32, True, "1"):
        with pytest.raises(UsageError, match=r"^seed: "):
            relocate_file(file, new, seed)
    assert not (tmp_path / "new.arrow").exists()


def test_the_command(cli, file, tmp_path):
    new = tmp_path / "new.arrow"
    done = cli("trace", "relocate", file, "--seed", 5, "-o", new)
    assert done.code == 0
    assert done.err.splitlines()[-1].endswith("400 rows")
    assert len([line for line in done.err.splitlines() if " moved " in line]) == 3
    assert cli("trace", "verify", new).code == 0
    done = cli("trace", "relocate", tmp_path / "none.arrow", "--seed", 5, "-o", tmp_path / "other.arrow")
    assert done.code == 1
    assert "cannot be read" in one_line(done.err)
    assert not (tmp_path / "other.arrow").exists()


@pytest.mark.long
def test_a_moved_recording_runs_for_real(cli, tmp_path):
    """Model and engine agree on it, as on the recording itself."""
    moved = tmp_path / "moved.arrow"
    relocate_file("traces/huffman.arrow", str(moved), 5)
    done = cli("verify", moved, "-s", "softmmu", "-s", "map-block", "-s", "byte-lookup")
    assert done.code == 0, done.err
    assert "agree on every count and every fault of 3 runs" in done.out
