"""Writing and reading: round trips, foreign files, what the writer leaves behind."""

import os
import signal
import struct
import subprocess
import sys
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from kit.places import TESTS
from kit.traces import dense_rows, program_rows, read, same, write, write_foreign

from mmuexp.errors import MmuexpError, TraceError
from mmuexp.guest import BATCH_ROWS, DTYPES, Columns
from mmuexp.trace import TraceWriter, digest, layout, open_trace
from mmuexp.trace.export import export
from mmuexp.trace.format import UNKNOWN, crc32
from mmuexp.trace.verify import verify

ROWS = program_rows(2500)


@pytest.fixture
def small_batches(monkeypatch):
    """Files of several batches, from few rows."""
    monkeypatch.setattr("mmuexp.trace.format.BATCH_ROWS", 1000)


def as_dict(columns: Columns) -> dict:
    return columns._asdict()


def test_round_trip_over_several_batches(tmp_path):
    rows = program_rows(2 * BATCH_ROWS + 12_345)
    path = tmp_path / "t.arrow"
    with TraceWriter(path, mode="user", metadata={"command": "ls", "mmuexp.licence": "CC0"}) as writer:
        cuts = [5, 5, 700_000, 700_001, BATCH_ROWS + 700_000]
        for part in zip(*(np.split(column, cuts) for column in rows), strict=True):
            writer.append(Columns(*part))
    trace = open_trace(path)
    assert same(read(trace), rows)
    assert list(trace.layouts.rows) == [BATCH_ROWS, BATCH_ROWS, 12_345, 0]
    assert (trace.mode, trace.rows, trace.file_rows) == ("user", len(rows.op), len(rows.op))
    assert (trace.complete, trace.window, trace.metadata_intact) == ("yes", (0, len(rows.op)), True)
    assert trace.metadata["command"] == "ls" and trace.metadata["licence"] == "CC0"
    assert trace.size_bytes == os.path.getsize(path) and trace.path == str(path)
    for start in (0, 1, BATCH_ROWS - 1, BATCH_ROWS, 2 * BATCH_ROWS + 5):
        assert same(
            next(trace.batches(start)), Columns(*(c[start : start - start % BATCH_ROWS + BATCH_ROWS] for c in rows))
        )
    assert list(trace.batches(len(rows.op))) == []


def test_the_file_is_what_the_contract_says(tmp_path, small_batches):
    """What `trace export` writes: format 1, rows."""
    path = str(tmp_path / "rows.arrow")
    export(write(tmp_path / "t.arrow", ROWS, guest="i386"), path)
    with pa.OSFile(path) as file, pa.ipc.open_file(file) as reader:
        names = ["vaddr", "page", "size", "insns", "op", "flags"]
        assert reader.schema.names == names
        assert [str(field.type) for field in reader.schema] == ["uint32", "uint32", "uint16", "uint8", "uint8", "uint8"]
        assert reader.schema.metadata == {b"mmuexp.format": b"1", b"mmuexp.mode": b"user", b"mmuexp.guest": b"i386"}
        assert reader.num_record_batches == 4
        for index, rows in enumerate((1000, 1000, 500)):
            batch, custom = reader.get_batch_with_custom_metadata(index)
            part = Columns(*(column[index * 1000 : index * 1000 + rows] for column in ROWS))
            assert same(Columns(*(column.to_numpy() for column in batch.columns)), part)
            assert custom[b"mmuexp.crc32"].decode() == crc32(part)
        last, custom = reader.get_batch_with_custom_metadata(3)
        assert last.num_rows == 0
        ends = {b"mmuexp.rows": b"2500", b"mmuexp.window": b"0,2500", b"mmuexp.complete": b"yes"}
        assert {key: custom[key] for key in ends} == ends


def test_crc32_by_hand():
    # zlib.crc32 of the bytes 01000000 02000000 0300 04 05 06
    one = Columns(*(np.array([value], dtype) for value, dtype in zip(range(1, 7), DTYPES, strict=True)))
    import binascii

    assert crc32(one) == f"{binascii.crc32(bytes.fromhex('01000000020000000300040506')):08x}"


def test_the_empty_trace(tmp_path):
    path = write(tmp_path / "t.arrow", Columns(*(column[:0] for column in ROWS)), "system")
    trace = open_trace(path)
    assert (trace.rows, trace.window, list(trace.batches())) == (0, (0, 0), [])


def test_what_is_known_only_at_the_end(tmp_path):
    with TraceWriter(tmp_path / "a.arrow", mode="user", metadata={}) as writer:
        writer.append(ROWS)
        writer.close(complete="cut short: killed", window=(7, 2500), metadata={"note": "x"})
    trace = open_trace(tmp_path / "a.arrow")
    assert (trace.complete, trace.window, trace.metadata["note"]) == ("cut short: killed", (7, 2500), "x")
    with TraceWriter(tmp_path / "b.arrow", mode="user", metadata={}) as writer:
        writer.close(window=UNKNOWN)
    assert open_trace(tmp_path / "b.arrow").window is None


@pytest.mark.parametrize("compression", [None, "lz4", "zstd"])
@pytest.mark.parametrize("batch", [None, 999])
def test_foreign_compression_order_and_widths(tmp_path, monkeypatch, compression, batch):
    monkeypatch.setattr("mmuexp.trace.decode.BATCH_ROWS", 700)  # so that a batch of 999 is one to hand out in pieces
    monkeypatch.setattr("mmuexp.trace.decode.WHOLE_ROWS", 700)
    widths = {"flags": "u8", "op": "u4", "insns": "u1", "size": "u1", "page": "u8", "vaddr": "u8"}
    sizes = np.minimum(ROWS.size, 255)
    arrays = {name: as_dict(ROWS)[name].astype(width) for name, width in widths.items()}
    arrays["size"] = sizes.astype("u1")
    path = write_foreign(tmp_path / "f.arrow", arrays, batch=batch, compression=compression)
    trace = open_trace(path)
    assert same(read(trace), ROWS._replace(size=sizes))
    assert same(read(trace), ROWS._replace(size=sizes))  # again
    assert (trace.rows, trace.window, trace.complete, trace.metadata_intact) == (None, None, None, None)
    for start in (1, 700, 998, 999, 1500, 2499):
        assert next(trace.batches(start)).vaddr[0] == ROWS.vaddr[start]


def test_foreign_padding(tmp_path):
    """A writer that pads its magic, its messages and its end to 64 bytes; the stream inside is the same."""
    data = Path(write_foreign(tmp_path / "f.arrow", as_dict(ROWS), batch=999)).read_bytes()
    (length,) = struct.unpack("<i", data[-10:-6])
    foot = bytearray(data[-10 - length : -10])
    with open(tmp_path / "f.arrow", "rb") as file:
        blocks = list(layout.footer(file.fileno(), len(data)).batches())
    out = bytearray(data[:8] + bytes(56) + data[8 : blocks[0][0]])
    for offset, header, body in blocks:
        out += bytes(-len(out) % 64)
        packed = struct.pack("<qi4xq", offset, header, body)
        assert foot.count(packed) == 1
        foot[:] = foot.replace(packed, struct.pack("<qi4xq", len(out), header, body))
        out += data[offset : offset + header + body]
    out += b"\xff\xff\xff\xff" + bytes(4)
    out += bytes(-len(out) % 64) + foot + data[-10:]
    (tmp_path / "p.arrow").write_bytes(out)
    assert same(read(open_trace(tmp_path / "p.arrow")), ROWS)
    states = {check.name: check.state for check in verify(tmp_path / "p.arrow")}
    assert states["structure"] == states["rows"] == "ok" and states["metadata"] == "unknown"


def test_a_body_at_an_odd_byte_is_taken_to_a_whole_one(tmp_path):
    """Kernels are compiled for arrays whose values lie at multiples of their size."""
    path = Path(write_foreign(tmp_path / "f.arrow", as_dict(ROWS)))
    data = path.read_bytes()
    with open_trace(path) as trace:
        start = trace.layouts.starts[0]
        body = trace.layouts.message(start).body
    data = data[: start + 4] + struct.pack("<i", body - start - 7) + data[start + 8 : body] + b"\0" + data[body:]
    told = struct.pack("<qi", start, body - start), struct.pack("<qi", start, body - start + 1)
    assert data.count(told[0]) == 1
    path.write_bytes(data.replace(*told))
    found = next(open_trace(path).batches())
    assert same(found, ROWS) and all(column.flags.aligned for column in found)


def test_one_huge_foreign_batch_comes_in_pieces(tmp_path):
    rows = program_rows(2_300_000)
    path = write_foreign(tmp_path / "f.arrow", as_dict(rows), compression="zstd")
    trace = open_trace(path)
    assert len(trace.layouts) == 1
    assert [len(part.op) for part in trace.batches()] == [BATCH_ROWS, BATCH_ROWS, 2_300_000 - 2 * BATCH_ROWS]
    assert same(read(trace), rows)


def test_unknown_keys_and_columns_are_ignored(tmp_path):
    n = len(ROWS.op)
    arrays = {
        "note": pa.array(["abc"] * n),
        "list": pa.array([[1, 2], None] * (n // 2)),
        **as_dict(ROWS),
        "pair": pa.array([{"a": 1, "b": "x"}] * n),
        "null": pa.nulls(n),
        "bool": pa.array([True] * n),
        "word": pa.array(["x", "y"] * (n // 2)).dictionary_encode(),
        "union": pa.UnionArray.from_sparse(pa.array([0] * n, pa.int8()), [pa.array([1] * n)]),
        "fixed": pa.array([[1, 2]] * n, pa.list_(pa.int8(), 2)),
        "when": pa.array([0] * n, pa.timestamp("ns")),
    }
    first = {name: arrays[name] for name in arrays if name not in DTYPES._fields} | as_dict(ROWS)
    metadata = {"mmuexp.format": "1", "mmuexp.mode": "system", "mmuexp.later": "?", "pandas": "{}"}
    for compression in (None, "zstd"):
        for columns in (arrays, first):
            trace = open_trace(write_foreign(tmp_path / "f.arrow", columns, metadata, compression=compression))
            assert same(read(trace), ROWS)
            assert trace.mode == "system" and trace.metadata["later"] == "?" and "pandas" not in trace.metadata


def test_rows_that_the_file_declares_are_counted(tmp_path):
    meta = {"mmuexp.format": "1", "mmuexp.mode": "user"}
    good = write_foreign(tmp_path / "g.arrow", as_dict(ROWS), meta, tail={"mmuexp.rows": "2500"})
    assert open_trace(good).rows == 2500
    bad = write_foreign(tmp_path / "b.arrow", as_dict(ROWS), meta, tail={"mmuexp.rows": "2501"})
    with pytest.raises(TraceError, match=r"declares 2,501 rows and holds 2,500.*trace recover"):
        open_trace(bad)


def test_an_abandoned_writer_leaves_nothing(tmp_path):
    (tmp_path / "t.arrow").write_text("what was there")
    with pytest.raises(ZeroDivisionError), TraceWriter(tmp_path / "t.arrow", mode="user", metadata={}) as writer:
        writer.append(ROWS)
        raise ZeroDivisionError
    assert os.listdir(tmp_path) == ["t.arrow"]
    assert (tmp_path / "t.arrow").read_text() == "what was there"


def test_of_a_recording_an_exception_keeps_what_was_recorded(tmp_path):
    with (
        pytest.raises(ZeroDivisionError),
        TraceWriter(tmp_path / "t.arrow", mode="user", metadata={}, recording=True) as writer,
    ):
        writer.append(ROWS)
        raise ZeroDivisionError("half way")
    trace = open_trace(tmp_path / "t.arrow")
    assert trace.rows == 2500 and trace.complete == "cut short: half way"


def test_of_a_recording_what_fails_before_the_first_row_leaves_nothing(tmp_path):
    with pytest.raises(ZeroDivisionError), TraceWriter(tmp_path / "t.arrow", mode="user", recording=True):
        raise ZeroDivisionError
    assert os.listdir(tmp_path) == []


def test_targets_that_cannot_be_written(tmp_path):
    for target in (tmp_path, tmp_path / "none" / "t.arrow", "/proc/t.arrow"):
        with pytest.raises(MmuexpError, match="cannot be written"):
            TraceWriter(target, mode="user", metadata={})


FULL_DISK = """
import resource, signal, sys
from mmuexp.errors import MmuexpError
from mmuexp.trace import TraceWriter
import mmuexp.trace.format as format
from kit.traces import dense_rows
format.BATCH_ROWS = 1000
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)  # a write beyond the limit fails as on a full disk
resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[2]),) * 2)
writer = TraceWriter(sys.argv[1], mode="user", metadata={}, recording=True, force=True)
try:
    for _ in range(10):
        writer.append(dense_rows(1000))
except MmuexpError as error:
    print(error.what, writer.rows)
    writer.close(complete="cut short: full")
"""


def test_a_full_disk_costs_the_last_batch_only(tmp_path, small_batches):
    path = tmp_path / "t.arrow"
    with TraceWriter(path, mode="user", metadata={}) as writer:
        for _ in range(10):
            writer.append(dense_rows(1000))
    room = open_trace(path).layouts.starts[7] + 4000  # for 7 batches, the end, and not for an 8th
    done = subprocess.run(
        [sys.executable, "-c", FULL_DISK, str(path), str(room)],
        capture_output=True,
        text=True,
        cwd=TESTS,
    )
    assert done.returncode == 0, done.stderr
    trace = open_trace(path)
    assert "cannot be written: file too large" in done.stdout
    assert trace.rows == int(done.stdout.split()[-1]) == 7000 and trace.complete == "cut short: full"


KILLED = """
import os, signal, sys
from mmuexp.trace import TraceWriter
import mmuexp.trace.format as format
from kit.traces import program_rows
format.BATCH_ROWS = 1000
with TraceWriter(sys.argv[1], mode="user", metadata={"command": "c"}, recording=True) as writer:
    writer.append(program_rows(2500))
    os.kill(os.getpid(), signal.SIGKILL)
"""


def test_a_killed_writer_leaves_whole_batches(tmp_path):
    from mmuexp.trace.recover import recover

    path = tmp_path / "t.arrow"
    done = subprocess.run([sys.executable, "-c", KILLED, str(path)], cwd=TESTS)
    assert done.returncode == -signal.SIGKILL
    with pytest.raises(TraceError, match=r"no such file.*t.arrow.part: mmuexp trace recover .*t.arrow.part -o"):
        open_trace(path)
    path = tmp_path / "t.arrow.part"
    with pytest.raises(TraceError, match=r"its writer was killed.*trace recover"):
        open_trace(path)
    assert recover(path, str(tmp_path / "new.arrow")).rows == 2000
    trace = open_trace(tmp_path / "new.arrow")
    assert same(read(trace), Columns(*(column[:2000] for column in program_rows(2500))))
    assert trace.complete.startswith("recovered: ") and trace.metadata["command"] == "c" and trace.window is None


def test_digest_is_sha256(tmp_path):
    (tmp_path / "x").write_bytes(b"abc")
    assert digest(tmp_path / "x").startswith("ba7816bf8f01cfea")


def test_a_trace_that_is_open_when_python_ends(tmp_path):
    """It is closed while there are modules: a module that outlives ours holds it."""
    write(tmp_path / "t.arrow", ROWS)
    code = "import sys; from mmuexp.trace import open_trace; sys.modules['os'].kept = open_trace('t.arrow')"
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")


def test_the_guest_module_stays_cheap():
    code = "import sys, mmuexp.guest, mmuexp.errors, mmuexp; print('pyarrow' in sys.modules, 'numba' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout == "False False\n"
