"""Traces that are none, or are damaged: one clear line each, and never a crash or a wrong answer."""

import os
import struct
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from kit.traces import program_rows, read, same, write, write_foreign

from mmuexp.errors import TraceError
from mmuexp.guest import Columns
from mmuexp.trace import layout, open_trace
from mmuexp.trace.recover import recover
from mmuexp.trace.verify import FAILED, UNKNOWN, verify

ROWS = program_rows(1000)
META = {"mmuexp.format": "1", "mmuexp.mode": "user"}


def line_of(path) -> str:
    with pytest.raises(TraceError) as caught:
        read(open_trace(path))
    line = str(caught.value)
    assert line.startswith(f"{path}: ") and "\n" not in line
    assert caught.value.todo
    return line


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"", "is empty"),
        (b"no recording\n", "line 1 is 'no recording', which no format begins with"),
        (b"\x1f\x8b\x08\x00", "does not decompress as gzip"),
        (b"\x28\xb5\x2f\xfd\x00", "does not decompress as zstd"),
        (b"PAR1\x00\x01", "is a Parquet file"),
        (b"\xff\xff\xff\xff\x00\x01\x00\x00\x10", "is an Arrow stream"),
        (b"\x7fELF\x01\x00", "begins with the bytes 7f 45 4c 46 01 00, as no format does"),
        (b"ARROW1\x00\x00", "has no footer"),
        (b"ARROW1\x00\x00" + bytes(50) + b"ARROW1", "is damaged: its footer is longer"),
        (b"ARROW1\x00\x00" + b"\xff" * 50 + b"\x20\x00\x00\x00ARROW1", "is damaged"),
    ],
)
def test_files_that_are_no_trace(tmp_path, content, says):
    (tmp_path / "f").write_bytes(content)
    assert says in line_of(tmp_path / "f")


def test_paths_that_are_no_file(tmp_path):
    assert "is a folder" in line_of(tmp_path)
    assert "cannot be read: no such file" in line_of(tmp_path / "none.arrow")
    assert "is not a regular file" in line_of("/dev/null")
    os.mkfifo(tmp_path / "pipe")
    assert "is not a regular file" in line_of(tmp_path / "pipe")
    with pytest.raises(TraceError, match="is not a regular file"):  # and does not wait for somebody to write to it
        verify(tmp_path / "pipe")
    assert "cannot be read" in line_of(tmp_path / ("x" * 300))


def test_an_unreadable_file(tmp_path, monkeypatch):
    def refuse(*_):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("mmuexp.trace.reader.os.open", refuse)  # tests may run as root, who reads everything
    assert "cannot be read: permission denied" in line_of(tmp_path / "t.arrow")


def dictionary(name: str, column) -> dict:
    return ROWS._asdict() | {name: column}


NULL = pa.array([None, *ROWS.size[1:].tolist()], pa.uint16())


@pytest.mark.parametrize(
    ("arrays", "metadata", "says"),
    [
        (ROWS._asdict(), {}, "no mmuexp.format"),
        (ROWS._asdict(), META | {"mmuexp.format": "3"}, "format '3'; this mmuexp reads formats '1' and '2'"),
        (ROWS._asdict(), META | {"mmuexp.format": "2"}, "a batch is '', not its rows, shapes before it and new ones"),
        (ROWS._asdict(), META | {"mmuexp.address_bits": "36"}, "has '36' address bits; this mmuexp reads traces of 32"),
        (
            ROWS._asdict(),
            META | {"mmuexp.address_bits": "64", "mmuexp.guest": "i386"},
            "has 64 address bits, and its guest is i386",
        ),
        (ROWS._asdict(), {"mmuexp.format": "1"}, "has no mmuexp.mode, expected user or system"),
        (ROWS._asdict(), META | {"mmuexp.mode": "kernel"}, "has the mode 'kernel'"),
        (ROWS._asdict(), META | {"mmuexp.window": "1;2"}, "mmuexp.window is '1;2'"),
        (ROWS._asdict(), META | {"mmuexp.rows": "many"}, "mmuexp.rows is 'many', not a number"),
        ({"a": [1], "b": [2]}, META, "has no column 'vaddr' (its columns: a, b)"),
        ({k: v for k, v in ROWS._asdict().items() if k != "insns"}, META, "has no column 'insns'"),
        (dictionary("vaddr", ROWS.vaddr.astype("i8")), META, "column 'vaddr' is int64, expected an unsigned integer"),
        (dictionary("op", pa.array(ROWS.op.astype(str))), META, "column 'op' is string"),
        (dictionary("op", pa.array(ROWS.op).dictionary_encode()), META, "column 'op' is dictionary"),
        (dictionary("size", NULL), META, "column 'size' has empty values (nulls) in the batch at row 0"),
        (
            dictionary("vaddr", ROWS.vaddr.astype("u8") + (np.arange(1000) == 77).astype("u8") * 2**32),
            META | {"mmuexp.guest": "i386"},
            "row 77: vaddr is ",
        ),
        (
            dictionary("size", ROWS.size.astype("u4") + (np.arange(1000) == 5).astype("u4") * 65536),
            META,
            "row 5: size is ",
        ),
    ],
)
def test_schemas_and_columns_that_are_refused(tmp_path, arrays, metadata, says):
    assert says in line_of(write_foreign(tmp_path / "f.arrow", arrays, metadata))


def test_a_column_twice(tmp_path):
    table = pa.Table.from_arrays([pa.array(c) for c in (*ROWS, ROWS.op)], names=[*ROWS._fields, "op"])
    path = str(tmp_path / "f.arrow")
    with pa.OSFile(path, "wb") as file, pa.ipc.new_file(file, table.schema.with_metadata(META)) as writer:
        writer.write_table(table.replace_schema_metadata(META))
    assert "has two columns 'op'" in line_of(path)


@pytest.fixture(scope="module")
def small(tmp_path_factory):
    """A trace of three batches, its bytes, and what an undamaged reader finds in it."""
    path = tmp_path_factory.mktemp("small") / "t.arrow"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("mmuexp.trace.format.BATCH_ROWS", 400)
        write(path, ROWS, command="ls", recorder="test")
    return path.read_bytes(), open_trace(path).metadata


def test_cut_at_any_byte(tmp_path, small):
    """A cut file is refused with what mends it; mended, it is a trace of the whole batches before the cut."""
    data, _ = small
    cut, new = tmp_path / "cut.arrow", tmp_path / "new.arrow"
    kept = []
    schema_end = 8 + 8 + int.from_bytes(data[12:16], "little")
    cut.write_bytes(data)
    first_end = open_trace(cut).layouts.starts[1]
    for length in [*range(0, len(data), 41), *range(len(data) - 12, len(data))]:
        cut.write_bytes(data[:length])
        line = line_of(cut)
        if length < schema_end:
            with pytest.raises(TraceError):
                recover(cut, str(new))
            continue
        assert "trace recover" in line
        if length < first_end:
            with pytest.raises(TraceError, match="no row of it can be saved"):
                recover(cut, str(new))
            continue
        rows = recover(cut, str(new)).rows
        kept.append(rows)
        trace = open_trace(new)
        assert trace.complete.startswith("recovered: ")
        assert same(read(trace), Columns(*(column[:rows] for column in ROWS)))
        assert trace.window == ((0, 1000) if "window" in trace.metadata else None)
    assert kept == sorted(kept) and set(kept) == {400, 800, 1000}


@pytest.mark.long
def test_any_bit_flipped(tmp_path, small):
    """Whatever bit is wrong: `verify` says so, or it is a bit that means nothing; nothing crashes."""
    data, metadata = small
    path, new = tmp_path / "t.arrow", tmp_path / "new.arrow"
    found = harmless = 0
    for position in range(0, len(data), 9):
        damaged = bytearray(data)
        damaged[position] ^= 1 << (position * 5 // 9 % 8)
        path.write_bytes(damaged)
        try:
            checks = {check.name: check.state for check in verify(path)}
        except TraceError:
            found += 1
            continue
        if FAILED in checks.values():
            found += 1
        else:
            trace = open_trace(path)
            assert same(read(trace), ROWS)
            assert trace.metadata == metadata or checks["metadata"] == UNKNOWN
            harmless += 1
        try:
            recover(path, str(new))
        except TraceError:
            continue
        assert FAILED not in {check.state for check in verify(new)}
    assert found > 4 * harmless


@pytest.mark.long
def test_a_footer_that_hides_batches(tmp_path, small):
    """Whatever bit of the list of batches is wrong: the rows that the footer does not tell of are missed."""
    data, _ = small
    (length,) = struct.unpack("<i", data[-10:-6])
    start, found, path = len(data) - 10 - length, set(), tmp_path / "t.arrow"
    for position in range(length):
        for bit in range(8):
            damaged = bytearray(data)
            damaged[start + position] ^= 1 << bit
            path.write_bytes(damaged)
            try:
                assert open_trace(path).file_rows == 1000
                assert same(read(open_trace(path)), ROWS)
            except TraceError as error:
                found.add(str(error))
    assert any("is damaged: its footer lists 0 of 4 batches; " in line and "trace recover" in line for line in found)
    path.write_bytes(data)
    with open(path, "rb") as file:
        first = struct.pack("<q", next(layout.footer(file.fileno(), len(data)).batches()).offset)
    count = data.index(first, start) - 4
    assert data[count] == 4
    for listed in range(4):
        path.write_bytes(data[:count] + bytes([listed]) + data[count + 1 :])
        assert f"is damaged: its footer lists {listed} of 4 batches; " in line_of(path)
        assert [check.state for check in verify(path)] == [FAILED]


def test_bytes_at_random(tmp_path, small):
    data, _ = small
    r = np.random.default_rng(0)
    for _ in range(150):
        damaged = bytearray(data)
        start = int(r.integers(0, len(data)))
        damaged[start : start + 8] = r.choice([b"\xff" * 8, b"\x00" * 8, b"\x7f" * 8, r.bytes(8)])
        (tmp_path / "t.arrow").write_bytes(damaged)
        try:
            rows = read(open_trace(tmp_path / "t.arrow"))
            assert len(rows.op) == 1000
        except TraceError as error:
            assert "\n" not in str(error)


def test_a_lying_length_costs_no_memory(tmp_path):
    """A compressed buffer that declares 2**40 bytes, and a batch that declares 2**40 rows."""
    path = write_foreign(tmp_path / "t.arrow", ROWS._asdict(), compression="zstd")
    data = Path(path).read_bytes()
    declared = (4000).to_bytes(8, "little")
    assert data.count(declared) == 2  # vaddr and page
    (tmp_path / "t.arrow").write_bytes(data.replace(declared, (1 << 40).to_bytes(8, "little"), 1))
    assert "column 'vaddr' declares 1099511627776 bytes where its rows take 4000" in line_of(tmp_path / "t.arrow")
    rows = (1000).to_bytes(8, "little")
    (tmp_path / "t.arrow").write_bytes(data.replace(rows, (1 << 40).to_bytes(8, "little")))
    assert "is damaged" in line_of(tmp_path / "t.arrow")


def test_the_row_of_the_damage_is_told(tmp_path, small):
    data, _ = small
    with _opened(tmp_path, data) as trace:
        third = trace.layouts[2].buffers[1]
    damaged = bytearray(data)
    damaged[third.offset + 12] ^= 0xFF
    (tmp_path / "t.arrow").write_bytes(damaged)
    with pytest.raises(TraceError) as caught:
        read(open_trace(tmp_path / "t.arrow"))
    assert caught.value.row == 800 and "is damaged at row 800: " in str(caught.value)


def _opened(folder, data):
    (folder / "x.arrow").write_bytes(data)
    return open_trace(folder / "x.arrow")
