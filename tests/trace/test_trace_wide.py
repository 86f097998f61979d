"""Traces of 64 bits: the same rows as a trace of 32 bits has, and what no such trace can hold."""

import json

import numpy as np
import pyarrow as pa
import pytest
from kit.traces import (
    columns_of,
    concat,
    flush_page,
    load,
    map_,
    program_rows,
    random_trace,
    read,
    same,
    store,
    system_rows,
    widened,
    write,
    write_foreign,
)
from pyarrow import parquet
from test_blocks_format import plainly_equal

from mmuexp.errors import TraceError
from mmuexp.guest import MOST_MAP_PAGE, PAGES, THREAD, USER, WIDE_DTYPES, Columns, Op
from mmuexp.replay.survey import Survey
from mmuexp.trace import TraceWriter, open_trace
from mmuexp.trace.export import export
from mmuexp.trace.info import info, lines
from mmuexp.trace.recover import recover
from mmuexp.trace.regions import LOWER_END, UPPER_BEGIN, Region, offsets_of, regions_of
from mmuexp.trace.relocate import relocated
from mmuexp.trace.rewrite import compress_trace, slice_trace
from mmuexp.trace.verify import OK, verify

HIGH = 0xFFFF_8880_0000_0000
ANYWHERE = (0, 0x7F12_3456_7000, HIGH, 0x1234_5678_9ABC_D000, (1 << 64) - (1 << 32))  # canonical or not


def random_rows(rows: int) -> Columns:
    """User-mode rows that no two addresses of have much in common."""
    random = np.random.default_rng(3)
    op = random.choice([0, 1, 2, 4, THREAD], rows).astype("u1")
    return Columns(
        random.integers(0, 1 << 64, rows, "u8"), np.zeros(rows, "u8"), random.choice([1, 4, 8, 64], rows).astype("u2"),
        np.ones(rows, "u1"), op, np.full(rows, USER, "u1"),
    )  # fmt: skip


@pytest.mark.parametrize("by", ANYWHERE, ids=hex)
def test_rows_come_back_and_the_plain_reader_finds_them(tmp_path, by):
    for mode in ("user", "system"):
        rows = widened(columns_of(random_trace(7, 3_000, mode)), by)
        path = write(tmp_path / "t.arrow", rows, mode)
        assert plainly_equal(path) == 3_000
        with open_trace(path) as trace:
            assert trace.metadata["address_bits"] == "64" == str(trace.address_bits) and same(read(trace), rows)
    rows = random_rows(2_000)
    assert plainly_equal(write(tmp_path / "t.arrow", rows)) == 2_000
    assert same(read(open_trace(tmp_path / "t.arrow")), rows)


def test_what_a_file_has_for_its_bits(tmp_path):
    narrow, wide = program_rows(500), widened(program_rows(500))
    for guest, columns, bits in (
        (None, narrow, 32), (None, wide, 64), ("i386", wide, 32), ("x86_64", narrow, 64), ("mips", wide, 64)
    ):  # fmt: skip
        told = {"mmuexp.format": "1", "mmuexp.mode": "user"} | ({"mmuexp.guest": guest} if guest else {})
        with open_trace(write_foreign(tmp_path / "f.arrow", columns._asdict(), told)) as trace:
            assert trace.address_bits == bits and same(read(trace), wide if bits == 64 else narrow)
            assert trace.metadata.get("guest") == guest  # never guessed
    with TraceWriter(tmp_path / "x.arrow", mode="user", metadata={"guest": "x86_64"}) as writer:
        writer.append(narrow)
    assert same(read(open_trace(tmp_path / "x.arrow")), wide)
    with pytest.raises(ValueError, match="64 address bits, and its guest is i386"):
        TraceWriter(tmp_path / "y.arrow", mode="user", metadata={"guest": "i386"}, address_bits=64)
    assert not (tmp_path / "y.arrow").exists()


def test_an_import_that_moved_a_guest_of_64_bits_has_32(tmp_path):
    with TraceWriter(tmp_path / "t.arrow", mode="user") as writer:
        writer.append(rows := program_rows(500))
        writer.close(metadata={"guest": "x86_64"})
    export(tmp_path / "t.arrow", str(tmp_path / "rows.arrow"))
    compress_trace(tmp_path / "rows.arrow", str(tmp_path / "again.arrow"))
    for path in ("t.arrow", "rows.arrow", "again.arrow"):
        with open_trace(tmp_path / path) as trace:
            assert trace.address_bits == 32 and trace.metadata["guest"] == "x86_64" and same(read(trace), rows)
        assert {check.state for check in verify(tmp_path / path)} == {OK}


def without_key(path, new) -> str:
    """The file as a writer would leave it that does not know how many bits its streams have."""
    with pa.OSFile(path) as file, pa.ipc.open_file(file) as reader, pa.OSFile(str(new), "wb") as to:
        kept = {key: text for key, text in reader.schema.metadata.items() if key != b"mmuexp.address_bits"}
        with pa.ipc.new_file(to, reader.schema.with_metadata(kept)) as writer:
            for index in range(reader.num_record_batches):
                batch, custom = reader.get_batch_with_custom_metadata(index)
                writer.write_batch(batch.replace_schema_metadata(kept), custom_metadata=custom)
    return str(new)


def test_streams_of_another_width_are_damaged(tmp_path):
    path = write(tmp_path / "t.arrow", widened(program_rows(500), HIGH))
    with open_trace(without_key(path, tmp_path / "n.arrow")) as trace, pytest.raises(TraceError, match="is damaged"):
        read(trace)


@pytest.mark.parametrize("mode", ["user", "system"])
def test_what_is_counted_does_not_hang_on_the_width(tmp_path, mode):
    rows = columns_of(random_trace(11, 5_000, mode))
    inside = rows.vaddr.astype("i8") + rows.size * (rows.op <= Op.EXEC) <= 1 << 32  # none goes round the end
    rows = Columns(*(column[inside] for column in rows))
    narrow = info(write(tmp_path / "n.arrow", rows, mode))
    about_the_file = {"path", "address_bits", "sha256", "size_bytes", "bytes_per_row", "column_bytes", "metadata"}
    for by in ANYWHERE:
        wide = info(write(tmp_path / "w.arrow", widened(rows, by), mode))
        for part in (*wide["guest"]["address_map"], *wide["guest"]["device"]["pages"]):
            for place in part.keys() & {"start", "end", "vaddr"}:
                part[place] = (part[place] - 1 - by) % 2**64 + 1 if place == "end" else (part[place] - by) % 2**64
        if by % (1 << 22) == 0:  # regions are where they were
            assert {key for key in wide if wide[key] != narrow[key]} == about_the_file
        else:
            del wide["guest"]["address_map"]
            assert wide["guest"].items() <= narrow["guest"].items()
        assert {check.state for check in verify(tmp_path / "w.arrow")} == {OK}
    assert "addresses of 64 bits" in lines(info(tmp_path / "w.arrow"))[0]


def test_the_last_page_is_followed_by_page_0(tmp_path):
    last = (1 << 64) - 4
    rows = [(Op.EXEC, last, 8, 1, USER, 0), store(last + 2), load(0x10), flush_page(0)]
    path = write(tmp_path / "t.arrow", columns_of(rows, 64))
    told = info(path)
    assert told["counts"]["pages"] == 2 and told["footprint"]["code_pages"] == 2
    assert [part["start"] for part in told["guest"]["address_map"]] == [0, (1 << 64) - (1 << 22)]
    with pytest.raises(TraceError, match="goes round the end"):
        regions_of(open_trace(path))


def test_bad_rows_are_told_by_their_own_addresses():
    for rows, says in (
        ([load(HIGH), (Op.LOAD, HIGH, 65, 1, USER, 0)], "row 1: LOAD at 0xffff888000000000 of 65 bytes"),
        ([map_(HIGH, MOST_MAP_PAGE), map_(HIGH + 4096, MOST_MAP_PAGE + 1)], "MAP of physical page 0x10000000001"),
        ([map_(HIGH, 1 << 39), map_(HIGH, 7)], "physical page 0x7, but its page is known to be 0x8000000000"),
        ([map_(HIGH, 5), load(HIGH + 0xFFE)], "touches page 0xffff888000001, unknown since"),
        ([map_(HIGH + 1, 5)], "row 0: MAP at 0xffff888000000001 does not begin a page"),
    ):
        mode = "system" if any(row[0] == Op.MAP for row in rows) else "user"
        with pytest.raises(TraceError, match=says):
            Survey(mode, "t").feed(columns_of(rows, 64))


def test_a_page_too_many():
    """Each row up to the last but one has a page of its own; the last one crosses into the first page too many."""
    rows = PAGES + 1
    vaddr = (np.arange(rows, dtype="u8") * np.uint64(2) << np.uint64(12)) + np.uint64(HIGH)
    vaddr[-1] -= np.uint64(2 * 4096 + 2 - 4096)
    filled = (np.full(rows, value, dtype) for value, dtype in zip((0, 4, 1, 0, USER), WIDE_DTYPES[1:], strict=True))
    columns = Columns(vaddr, *filled)
    survey = Survey("user", "t.arrow")
    survey.feed(Columns(*(column[:-1] for column in columns)))
    assert survey.counts()["pages"] == PAGES
    with pytest.raises(TraceError, match=r"row 1,048,576: touches the trace's 1,048,577th page.*slice it") as error:
        survey.feed(Columns(*(column[-1:] for column in columns)))
    assert error.value.row == PAGES


def test_what_is_written_from_one(tmp_path, cli):
    rows = widened(program_rows(3_000), 0x7F12_0000_0000)
    path = write(tmp_path / "t.arrow", rows, guest="x86_64", command="c")
    new = str(tmp_path / "new.arrow")
    slice_trace(path, 1_000, 2_000, new)
    assert same(read(open_trace(new)), Columns(*(column[1_000:2_000] for column in rows)))
    compress_trace(path, new)
    assert same(read(open_trace(new)), rows)
    recover(path, new)
    assert same(read(open_trace(new)), rows)
    export(path, new)
    with open_trace(new) as trace:
        assert trace.metadata["format"] == "1" and trace.address_bits == 64 and same(read(trace), rows)
    assert {check.state for check in verify(new)} == {OK}
    recover(new, str(tmp_path / "again.arrow"))
    assert same(read(open_trace(tmp_path / "again.arrow")), rows)
    export(path, str(tmp_path / "rows.parquet"))
    assert parquet.read_table(tmp_path / "rows.parquet")["vaddr"].to_numpy().tolist() == rows.vaddr.tolist()
    text = cli("trace", "export", path).out.splitlines()
    assert text[1].startswith(f"{rows.vaddr[0]},0,")
    assert f"{rows.vaddr[1]:x}" in cli("trace", "export", "--to", "din", path).out
    assert json.loads(cli("trace", "head", path, "-n", "1", "--format", "json").out)[0]["vaddr"] == rows.vaddr[0]
    frame = open_trace(path).to_pandas()
    assert str(frame.vaddr.dtype) == "uint64" and frame.vaddr.tolist() == rows.vaddr.tolist()


def test_a_slice_of_a_system_trace_begins_with_what_is_known(tmp_path):
    high = (1 << 40) - 1
    rows = [map_(HIGH, high), map_(0x1000, 2), load(HIGH), *[load(0x1000 + 8 * i) for i in range(8)]]
    slice_trace(write(tmp_path / "t.arrow", columns_of(rows, 64), "system"), 3, 11, str(tmp_path / "n.arrow"))
    found = read(open_trace(tmp_path / "n.arrow"))
    assert found.vaddr[:2].tolist() == [0x1000, HIGH] and found.page[:2].tolist() == [2, high]
    assert {check.state for check in verify(tmp_path / "n.arrow")} == {OK}


def test_load_seeds_move_regions_and_keep_them_in_their_half(tmp_path):
    rows = concat([widened(program_rows(2_000), by) for by in (0x7F12_0000_0000, 0x5555_0000_0000)])
    with open_trace(write(tmp_path / "t.arrow", rows)) as trace:
        moved = relocated(trace, 5)
        assert len(moved.regions) >= 2 and any(moved.offsets)
        found = concat(list(moved.batches()))
    apart = (found.vaddr - rows.vaddr).astype("i8")
    assert {*apart.tolist()} <= {offset << 12 for offset in moved.offsets} and not (apart & 4095).any()
    at_the_ends = [Region(LOWER_END - 3, 3), Region(UPPER_BEGIN, 2), Region((1 << 52) - 9, 9)]
    for seed in range(1, 40):
        low, begin, end = offsets_of(at_the_ends, seed, address_bits=64)
        assert low <= 0 <= begin and end <= 0


def test_a_whole_guest_of_known_rows(tmp_path):
    rows = widened(system_rows((Op.MAP, 0x1000, 12, 0, 0, 0x101), (Op.STORE, 0x1004, 4), (Op.FLUSH, 0x5000, 1)), HIGH)
    rows.vaddr[2] = (1 << 64) - 1  # of FLUSH, CR3, which is not an address
    assert info(write(tmp_path / "t.arrow", rows, "system"))["counts"]["flushes"] == 1
