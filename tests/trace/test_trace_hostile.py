"""Traces that were made to harm: memory that a header asks for, bytes that are in no file, rows that are not rows."""

import os
import struct

import numpy as np
import pyarrow as pa
import pytest
from kit.cli import run_and_measure
from kit.traces import dense_rows, program_rows, read, same, write, write_foreign

from mmuexp.errors import TraceError
from mmuexp.guest import DTYPES, USER, Columns
from mmuexp.trace import layout, open_trace
from mmuexp.trace.flatbuffer import Budget
from mmuexp.trace.recover import recover
from mmuexp.trace.rewrite import compress_trace, slice_trace
from mmuexp.trace.verify import FAILED, verify

ROWS = program_rows(1000)


def lz4_that_declares_more(path, held: int, declared: int, batch_rows: int) -> None:
    """A trace of one batch, whose `vaddr` is an LZ4 frame of fewer values than the batch has rows."""
    columns = {name: np.zeros(batch_rows, dtype) for name, dtype in DTYPES._asdict().items()}
    columns["vaddr"] = np.random.default_rng(1).integers(0, 1 << 32, batch_rows).astype("u4")
    write_foreign(path, columns, compression="lz4")
    data = bytearray(path.read_bytes())
    with open_trace(path) as trace:
        stored = trace.layouts[0].buffers[1]
    frame = pa.Codec("lz4").compress(columns["vaddr"][:held].tobytes(), asbytes=True)
    assert len(frame) + 8 <= stored.length
    skippable = struct.pack("<II", 0x184D2A50, stored.length - 16 - len(frame))  # a frame of nothing fills the rest
    filled = (frame + skippable).ljust(stored.length - 8, b"\0") if held else frame.ljust(stored.length - 8, b"\0")
    data[stored.offset : stored.offset + stored.length] = struct.pack("<q", declared) + filled
    path.write_bytes(data)


@pytest.mark.parametrize("held", [0, 1, 900])
def test_what_an_lz4_buffer_does_not_hold_is_no_row(tmp_path, held):
    path = tmp_path / "t.arrow"
    lz4_that_declares_more(path, held, 4000, 1000)
    exports = set()
    for pattern in ("1", "200"):  # malloc fills what it gives out
        code, out, err, _ = run_and_measure(
            "trace", "export", path, "-o", "-", MALLOC_PERTURB_=pattern, ARROW_DEFAULT_MEMORY_POOL="system"
        )
        assert code == 1 and len(err) == 1 and "is damaged at row 0" in err[0]
        exports.add(out)
    assert len(exports) == 1
    assert FAILED in {check.state for check in verify(path)}


@pytest.mark.parametrize("codec", ["lz4", "zstd"])
@pytest.mark.parametrize("rows", [1000, 70_000])
def test_a_buffer_of_another_length_is_refused_for_every_codec(tmp_path, monkeypatch, codec, rows):
    monkeypatch.setattr("mmuexp.trace.decode.WHOLE_ROWS", 50_000)  # the longer one is read as streams
    path = tmp_path / "t.arrow"
    dense = dense_rows(rows)
    write_foreign(path, dense._asdict(), compression=codec)
    with open_trace(path) as trace:
        assert same(read(trace), dense)
        stored = trace.layouts[0].buffers[1]
    data = path.read_bytes()
    for declared in (4 * rows - 4, 4 * rows + 4):
        path.write_bytes(data[: stored.offset] + struct.pack("<q", declared) + data[stored.offset + 8 :])
        with pytest.raises(TraceError, match="is damaged at row 0"):
            read(open_trace(path))


def with_large_windows(path, rows: int) -> None:
    """One batch of columns that are ZSTD streams, written without knowing their length: windows of 128 MB."""
    columns = {name: np.zeros(rows, dtype) for name, dtype in DTYPES._asdict().items()}
    columns["vaddr"] = np.random.default_rng(1).integers(0, 1 << 32, rows).astype("u4")
    write_foreign(path, columns, compression="zstd")
    data = bytearray(path.read_bytes())
    with open_trace(path) as trace:
        buffers = trace.layouts[0].buffers
    at = buffers[1].offset + 8
    data[at + 4 : at + 6] = bytes([0, (27 - 10) << 3])  # no content size, a window of 2**27
    path.write_bytes(data)


def test_the_window_of_a_zstd_stream_is_limited(tmp_path, monkeypatch):
    monkeypatch.setattr("mmuexp.trace.decode.WHOLE_ROWS", 500)
    with_large_windows(tmp_path / "t.arrow", 1000)
    with pytest.raises(TraceError, match="'vaddr' has a ZSTD window of 134,217,728 bytes, more than 8,388,608; write"):
        read(open_trace(tmp_path / "t.arrow"))


def test_a_large_window_behind_other_frames_is_found():
    from mmuexp.trace.zstdwindows import Windows

    small = pa.Codec("zstd").compress(bytes(5000) + os.urandom(3000), asbytes=True)
    skipped = struct.pack("<II", 0x184D2A51, 70) + bytes(70)
    large = struct.pack("<IBB", 0xFD2FB528, 0, (24 - 10) << 3)
    for step in (1, 7, 1 << 20):
        windows, data = Windows("op", "t.arrow"), small + skipped + small + skipped
        for at in range(0, len(data), step):
            windows.feed(data[at : at + step])
        with pytest.raises(TraceError, match="'op' has a ZSTD window of 16,777,216 bytes"):
            windows.feed(large)


def header(entries: int) -> bytes:
    """A message of no batch whose metadata is a list of `entries` pointers to one empty table (Message.fbs)."""
    root, vector = 24, 48
    vtable = struct.pack("<7H", 14, 24, 4, 6, 8, 16, 12)  # version, header's type, header, body's length, metadata
    data = bytearray(struct.pack("<I", root) + bytes(2) + vtable.ljust(18, b"\0"))
    empty = vector + 4 + 4 * entries
    spot = root + 8, root + 12
    data += struct.pack("<i", root - 6) + bytes([4, 0, 3, 0])
    data += struct.pack("<IIq", empty - spot[0], vector - spot[1], 0)
    data += struct.pack("<I", entries)
    data += (empty - (vector + 4) - 4 * np.arange(entries)).astype("<u4").tobytes()
    return bytes(data) + struct.pack("<iHH", -4, 4, 4)  # an empty table, its vtable behind it


def test_millions_of_entries_in_a_header(tmp_path):
    path = tmp_path / "t.arrow"
    data = (tmp_path / write(path, ROWS)).read_bytes()
    with open_trace(path) as trace:
        end = trace.layouts[1].end
    message = header((16 << 20) // 4 - 20)
    message += bytes(-len(message) % 8)
    path.write_bytes(data[:end] + struct.pack("<II", 0xFFFFFFFF, len(message)) + message + data[end:])
    for command in ("info", "recover"):
        code, _, err, peak = run_and_measure(
            "trace", command, path, *(["-o", tmp_path / "n.arrow"] if command == "recover" else [])
        )
        assert code == {"info": 1, "recover": 0}[command], err
        assert len(err) == 1 and peak < 300
    assert command == "recover" and "a header has more than 65,536 entries" in err[0]


@pytest.mark.parametrize("length", [1_500_000_000, 240_000_000, (16 << 20) + 8])
def test_a_footer_of_any_length(tmp_path, length):
    path = tmp_path / "t.arrow"
    data = (tmp_path / write(path, ROWS)).read_bytes()
    with open(path, "wb") as file:  # on disk, some kilobytes
        file.write(data[:-10])
        file.truncate(len(data) + length)
        file.seek(0, os.SEEK_END)
        file.write(struct.pack("<i", length) + layout.MAGIC)
    code, _, err, peak = run_and_measure("compare", path, "-s", "softmmu")
    assert code == 1 and len(err) == 1 and f"its footer has {length:,} bytes, more than 16,777,216" in err[0]
    assert peak < 250


def test_a_footer_of_as_many_blocks_as_it_can_hold(tmp_path):
    path, blocks = tmp_path / "t.arrow", 690_000
    data = (tmp_path / write(path, ROWS)).read_bytes()
    (old,) = struct.unpack("<i", data[-10:-6])
    body, footer = data[: -10 - old], data[-10 - old : -10]
    root = struct.unpack_from("<I", footer)[0]
    vtable = root - struct.unpack_from("<i", footer, root)[0]
    at = root + struct.unpack_from("<H", footer, vtable + 4 + 2 * 3)[0]
    footer = bytearray(footer.ljust(len(footer) + -len(footer) % 8 + 4, b"\0"))
    struct.pack_into("<I", footer, at, len(footer) - at)
    footer += struct.pack("<I", blocks) + struct.pack("<qixxxxq", 8, 8, 8) * blocks
    path.write_bytes(body + footer + struct.pack("<i", len(footer)) + layout.MAGIC)
    code, _, err, peak = run_and_measure("trace", "info", path)
    assert code == 1 and len(err) == 1 and "its footer" in err[0]
    assert peak < 300


def test_a_schema_is_looked_at_before_arrow_copies_it():
    """Fields may share children, so that a header of some kilobytes means 2**40 fields."""

    class Field:
        def __init__(self, children, text="x", kind=0):
            self.children, self.kind, self.budget, self.name = children, kind, None, text

        def integer(self, number, kind, default=0):
            return self.kind

        def table(self, number):
            return None

        def text(self, number):
            self.budget.spend(text_bytes=len(self.name))

        def pairs(self, number):
            return {}

        def tables(self, number):
            self.budget.spend(entries=len(self.children))
            for child in self.children:
                child.budget = self.budget
            return self.children

    field = Field([])
    for _ in range(40):
        field = Field([field, field])
    field.budget = Budget()
    with pytest.raises(layout.Broken, match="a header has more than 65,536 entries"):
        layout.check_schema(field)
    long = Field([], "x" * 1_000_000)
    field = Field([long] * 3)
    field.budget = Budget()
    with pytest.raises(layout.Broken, match="take more than 1,048,576 bytes"):
        layout.check_schema(field)


def test_metadata_is_bounded_over_all_batches(tmp_path):
    path = tmp_path / "t.arrow"
    schema = pa.schema(
        [pa.field(name, pa.from_numpy_dtype(dtype)) for name, dtype in DTYPES._asdict().items()],
        metadata={"mmuexp.format": "1", "mmuexp.mode": "user"},
    )
    none = pa.RecordBatch.from_pylist([], schema=schema)
    with pa.OSFile(str(path), "wb") as file, pa.ipc.new_file(file, schema) as writer:
        for number in range(20):
            writer.write_batch(none, custom_metadata={f"mmuexp.key{number}": "x" * 100_000})
    with pytest.raises(TraceError, match="take more than 1,048,576 bytes"):
        open_trace(path)


@pytest.mark.long
def test_columns_eight_times_as_wide_stay_below_400_mb(tmp_path):
    path, rows = tmp_path / "t.arrow", 1 << 20
    random = np.random.default_rng(1)
    columns = {name: random.integers(1, 3, rows).astype("u8") for name in DTYPES._fields}
    columns |= {"vaddr": random.integers(0, 1 << 31, rows).astype("u8")}
    columns |= {"page": np.zeros(rows, "u8"), "flags": np.full(rows, USER, "u8")}
    batch = pa.table(columns).replace_schema_metadata({"mmuexp.format": "1", "mmuexp.mode": "user"}).to_batches()[0]
    with pa.OSFile(str(path), "wb") as file, pa.ipc.new_file(file, batch.schema) as writer:
        for _ in range(6):
            writer.write_batch(batch)
    small = write(tmp_path / "small.arrow", ROWS)
    assert run_and_measure("trace", "info", small)[0] == 0  # what is compiled is kept, and not in the figure below
    code, _, err, peak = run_and_measure("trace", "info", path)
    assert code == 0, err
    assert peak < 400


@pytest.mark.parametrize("mode", ["user", "system"])
def test_slice_and_compress_do_not_write_bad_rows(tmp_path, mode):
    """What they write has right CRCs, and `trace verify` would refuse it."""
    path, new = tmp_path / "t.arrow", tmp_path / "new.arrow"
    ops = np.zeros(10, "u1") + (3 if mode == "system" else 0)  # FLUSH needs no page
    ops[7] = 77
    rows = Columns(*(np.full(10, 1, dtype) for dtype in DTYPES))._replace(
        op=ops, page=np.zeros(10, "u4"), flags=np.full(10, USER, "u1")
    )
    write_foreign(path, rows._asdict(), {"mmuexp.format": "1", "mmuexp.mode": mode})
    with pytest.raises(TraceError, match=r"row 7: op 77 is reserved.*trace slice .* 0:7 -o NEW"):
        slice_trace(path, 4, 9, str(new))
    with pytest.raises(TraceError, match="row 7: op 77 is reserved"):
        compress_trace(path, str(new))
    assert not new.exists()
    assert slice_trace(path, 4, 7, str(new)).rows == 3
    assert FAILED not in {check.state for check in verify(new)}


def test_recover_that_saves_no_row_is_no_success(tmp_path, cli):
    path, new = tmp_path / "t.arrow", tmp_path / "new.arrow"
    data = (tmp_path / write(path, ROWS)).read_bytes()
    path.write_bytes(data[:900])
    done = cli("trace", "recover", path, "-o", new)
    assert done.code == 1 and "no row of it can be saved" in done.err and done.err.count("\n") == 1
    assert not new.exists()


@pytest.mark.parametrize("told", ["00000000", "12345678"])
def test_recover_of_a_batch_of_no_rows_with_a_crc(tmp_path, told):
    path = tmp_path / "t.arrow"
    write_foreign(path, ROWS._asdict(), tail={"mmuexp.crc32": told})
    done = recover(path, str(tmp_path / "new.arrow"))
    assert done.rows == 1000
    assert ("do not have the CRC" in done.reason) == (told != "00000000")
