"""Format 2: what stands in the file, read by a program that knows the page alone; no trace is larger for it."""

import os
from itertools import islice
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from kit.awkward import awkward
from kit.places import TRACES
from kit.traces import SYSTEM, columns_of, concat, program_rows, random_trace, read, same, write
from numba import typeof
from plain_reader import batches

from mmuexp.blocks.builder import runs_of
from mmuexp.blocks.rows import RowMaker
from mmuexp.guest import BATCH_ROWS, DTYPES, THREAD, Columns
from mmuexp.trace import open_trace
from mmuexp.trace.export import export
from mmuexp.trace.relocate import relocated
from mmuexp.trace.rewrite import compress_trace, slice_trace
from mmuexp.trace.threads import OfThread

READER = Path(__file__).parent / "plain_reader.py"
QUICK = ("smc", "ownpage", "textdata", "lu")  # recordings that plain Python reads in less than a second


def plainly_equal(path, most: int = 1 << 30) -> int:
    """Compare the plain reader's rows with ours, batch by batch up to so many; returns how many rows there are."""
    rows = 0
    with open_trace(path) as trace:
        ours = trace.batches()
        for found in islice(batches(path), most):
            assert np.array_equal(np.array(found, "u8"), np.stack(next(ours), axis=1, dtype="u8", casting="safe"))
            rows += len(found)
        assert len(trace.layouts) > most or (rows == trace.file_rows and next(ours, None) is None)
    return rows


def test_the_plain_reader_is_short_and_stands_alone():
    lines = [line for line in READER.read_text().splitlines() if line.strip()]
    assert len(lines) <= 60 and {line for line in lines if "import" in line} == {
        "import sys", "from itertools import accumulate", "import pyarrow as pa"
    }  # fmt: skip


@pytest.mark.parametrize("name", QUICK)
def test_a_plain_reader_reads_recordings(tmp_path, name):
    compress_trace(TRACES / f"{name}.arrow", str(tmp_path / "t.arrow"), 1)
    assert plainly_equal(str(tmp_path / "t.arrow")) > 20_000


@pytest.mark.long
@pytest.mark.parametrize("path", sorted(TRACES.glob("*.arrow")), ids=lambda path: path.stem)
def test_a_plain_reader_reads_all_recordings(path):
    assert plainly_equal(str(path), 2) > 20_000


@pytest.mark.parametrize("mode", ["user", "system"])
def test_a_plain_reader_reads_random_traces(tmp_path, mode, small_groups):
    rows = columns_of(random_trace(7, 20_000, mode))
    assert plainly_equal(write(tmp_path / "t.arrow", rows, mode)) == 20_000


@pytest.fixture
def small_groups(monkeypatch):
    """Batches of 1,000 rows, groups of 3 of them."""
    monkeypatch.setattr("mmuexp.trace.format.BATCH_ROWS", 1000)
    monkeypatch.setattr("mmuexp.blocks.builder.GROUP_BATCHES", 3)


def test_runs_are_of_one_type_wherever_they_come_from(tmp_path, small_groups):
    """A kernel is compiled anew for arrays of another type, such as read-only ones; for what walks runs that is 7 s."""
    told = write(tmp_path / "system.arrow", SYSTEM, "system")
    loops = write(tmp_path / "loops.arrow", Columns(*(np.tile(column[2:3], 3000) for column in SYSTEM)))
    found = [*open_trace(told).runs(), *open_trace(loops).runs(), *runs_of([SYSTEM])]
    assert [runs.shapes_so_far for runs in found[1:4]] == [1, 1, 1]  # two batches of the loops tell nothing
    assert len({tuple(typeof(array) for array in (*runs[1:2], *runs[3:8])) for runs in found}) == 1


def test_rows_from_any_place(tmp_path, small_groups):
    rows = program_rows(7_500)
    trace = open_trace(write(tmp_path / "t.arrow", rows))
    assert trace.group_rows() == [0, 3000, 6000] and list(trace.layouts.rows) == [1000] * 7 + [500, 0]
    for start in (0, 1, 999, 1000, 2999, 3000, 3001, 5000, 7000, 7499):
        found = concat(list(trace.batches(start)))
        assert same(found, Columns(*(column[start:] for column in rows)))
        assert same(concat([*map(RowMaker().rows, trace.runs(start))]), found)
        assert next(trace.runs(start)).before == 0
    assert list(trace.batches(7500)) == list(trace.runs(7500)) == []


def test_runs_are_those_that_the_builder_makes(tmp_path, small_groups):
    rows = columns_of(random_trace(5, 9_000, "system"))
    trace = open_trace(write(tmp_path / "t.arrow", rows, "system"))
    export(trace.path, str(tmp_path / "rows.arrow"))
    with open_trace(tmp_path / "rows.arrow") as of_rows:
        assert of_rows.metadata["format"] == "1" and same(read(of_rows), rows)
        for one, other in zip(trace.runs(), of_rows.runs(), strict=True):
            assert (one.rows, one.accesses, one.before) == (other.rows, other.accesses, other.before)
            arrays = ((r.run, r.steps[:-1], *r.others, *r.shapes, *r.sites) for r in (one, other))
            for ours, theirs in zip(*arrays, strict=True):
                assert ours.dtype == theirs.dtype and np.array_equal(ours, theirs)
            bits = one.accesses
            assert np.array_equal(
                *(np.unpackbits(r.changed.view("u1"), bitorder="little")[:bits] for r in (one, other))
            )


def test_what_is_exported_is_written_again_with_the_same_crcs(tmp_path, small_groups):
    rows, again = tmp_path / "rows.arrow", tmp_path / "again.arrow"
    path = write(tmp_path / "t.arrow", SYSTEM, "system", command="c")
    export(path, str(rows))
    compress_trace(rows, str(again), 3)
    first, between, last = map(open_trace, (path, rows, again))
    assert first.metadata == last.metadata == between.metadata | {"format": "2"} and between.metadata_intact
    assert first.window == between.window == last.window
    crcs = [[batch.custom.get("mmuexp.crc32") for batch in trace.layouts] for trace in (first, between, last)]
    assert crcs[0] == crcs[1] == crcs[2]
    assert (tmp_path / "t.arrow").read_bytes() == again.read_bytes()


def test_a_slice_from_the_middle_of_a_group(tmp_path, small_groups):
    rows = program_rows(7_500)
    slice_trace(write(tmp_path / "t.arrow", rows), 4321, 6789, str(tmp_path / "n.arrow"))
    assert same(read(open_trace(tmp_path / "n.arrow")), Columns(*(column[4321:6789] for column in rows)))


@pytest.mark.parametrize("rows", [3, 1000, 150_000])
def test_no_trace_is_a_tenth_larger_than_its_rows(tmp_path, rows):
    for name, columns in awkward(rows).items():
        path = write(tmp_path / "t.arrow", columns, "system")
        export(path, str(tmp_path / "rows.arrow"))
        assert same(read(open_trace(path)), columns), name
        assert os.path.getsize(path) <= 1.1 * os.path.getsize(tmp_path / "rows.arrow"), name


def test_the_file_is_what_the_page_says(tmp_path, small_groups):
    path = write(tmp_path / "t.arrow", program_rows(2500), guest="i386")
    with pa.OSFile(path) as file, pa.ipc.open_file(file) as reader:
        assert reader.schema.names == ["run", "changed", "near", "far", "new"]
        assert {str(field.type) for field in reader.schema} == {"binary"}
        assert reader.schema.metadata == {b"mmuexp.format": b"2", b"mmuexp.mode": b"user", b"mmuexp.guest": b"i386"}
        told = [reader.get_batch_with_custom_metadata(index) for index in range(reader.num_record_batches)]
    assert [batch.num_rows for batch, _ in told] == [1, 1, 1, 0]
    rows, before, new = zip(*(map(int, keys[b"mmuexp.batch"].split(b",")) for _, keys in told[:3]), strict=True)
    assert rows == (1000, 1000, 500) and before == (0, new[0], new[0] + new[1])


def test_rows_for_data_frames(tmp_path):
    rows = program_rows(BATCH_ROWS // 300)
    trace = open_trace(write(tmp_path / "t.arrow", rows))
    frame, polars, table = trace.to_pandas(), trace.to_polars(), trace.to_arrow()
    assert list(frame.columns) == polars.columns == table.column_names == list(DTYPES._fields)
    for name, column in rows._asdict().items():
        for found in (frame[name], polars[name], table[name]):
            assert np.array_equal(found.to_numpy(), column)
        assert frame[name].dtype == column.dtype


@pytest.mark.parametrize("shown", ["one thread", "moved"])
def test_what_shows_a_trace_otherwise_has_runs_too(tmp_path, small_groups, shown):
    rows = program_rows(4_000)
    rows.op[[1500, 2500]], rows.vaddr[[1500, 2500]] = THREAD, (1, 0)
    trace = open_trace(write(tmp_path / "t.arrow", rows))
    other = OfThread(trace, 1) if shown == "one thread" else relocated(trace, 7)
    found = concat([*map(RowMaker().rows, other.runs())])
    assert same(found, read(other)) and not same(found, rows)
