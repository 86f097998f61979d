"""What is written anew from a trace says no more than the trace could: CRCs, windows, reasons, names."""

import os

import numpy as np
import pytest
from kit.traces import SYSTEM, program_rows, read, same, write, write_foreign

from mmuexp.errors import TraceError
from mmuexp.guest import THREAD, Columns
from mmuexp.trace import TraceWriter, open_trace
from mmuexp.trace.recover import recover
from mmuexp.trace.rewrite import slice_trace
from mmuexp.trace.verify import FAILED, verify

ROWS = program_rows(2500)


def failed(path) -> list[str]:
    return [check.name for check in verify(path) if check.state == FAILED]


@pytest.fixture
def wrong_crc(tmp_path, monkeypatch):
    """A trace of batches of 1000 rows; the CRC of the second one is wrong."""
    monkeypatch.setattr("mmuexp.trace.format.BATCH_ROWS", 1000)
    path = tmp_path / "t.arrow"
    write(path, ROWS)
    with open_trace(path) as trace:
        told = trace.layouts[1].custom["mmuexp.crc32"].encode()
    path.write_bytes(path.read_bytes().replace(told, b"00000000"))
    assert failed(path) == ["digests"]
    return path


def test_a_slice_launders_no_crc(tmp_path, wrong_crc):
    new = tmp_path / "n.arrow"
    for start, stop in ((0, 1001), (999, 1001), (1500, 1600), (1999, 2500), (0, 2500)):
        with pytest.raises(TraceError, match=r"damaged at row 1,000: the rows do not have.*trace recover") as at:
            slice_trace(wrong_crc, start, stop, str(new))
        assert at.value.row == 1000 and not new.exists()
    for start, stop in ((0, 1000), (2000, 2500), (2100, 2200)):
        slice_trace(wrong_crc, start, stop, str(new))
        assert same(read(open_trace(new)), Columns(*(column[start:stop] for column in ROWS)))
    assert recover(wrong_crc, str(new)).rows == 1000


def test_a_slice_checks_one_huge_batch(tmp_path, monkeypatch):
    import pyarrow as pa

    from mmuexp.trace.format import crc32

    for name in ("BATCH_ROWS", "WHOLE_ROWS"):
        monkeypatch.setattr(f"mmuexp.trace.decode.{name}", 700)
    table = pa.table(ROWS._asdict()).replace_schema_metadata({"mmuexp.format": "1", "mmuexp.mode": "user"})
    for told in (crc32(ROWS), "12345678"):
        with pa.OSFile(str(tmp_path / "f.arrow"), "wb") as file, pa.ipc.new_file(file, table.schema) as writer:
            writer.write_batch(table.to_batches()[0], custom_metadata={"mmuexp.crc32": told})
        if told == "12345678":
            with pytest.raises(TraceError, match="CRC"):
                slice_trace(tmp_path / "f.arrow", 900, 1900, str(tmp_path / "n.arrow"))
            continue
        slice_trace(tmp_path / "f.arrow", 900, 1900, str(tmp_path / "n.arrow"))
        assert same(read(open_trace(tmp_path / "n.arrow")), Columns(*(column[900:1900] for column in ROWS)))


@pytest.mark.parametrize(
    ("mode", "count", "good"),
    [("user", 12, True), ("user", 11, False), ("user", 13, False), ("system", 11, True), ("system", 13, False)],
)
def test_a_window_that_the_rows_contradict(tmp_path, cli, mode, count, good):
    path, new = tmp_path / "t.arrow", tmp_path / "n.arrow"
    rows = SYSTEM if mode == "system" else Columns(*(column[:12] for column in ROWS))
    with TraceWriter(path, mode=mode, metadata={}) as writer:
        writer.append(rows)
        writer.close(window=(5, count))
    done = cli("trace", "verify", path)
    assert done.code == (0 if good else 3)
    assert good or f"window: mmuexp.window says {count} rows, and the file holds 12" in done.err
    done = recover(path, str(new))
    assert ("nothing needed mending" in done.reason) == good
    assert open_trace(new).window == ((5, count) if good else None) and failed(new) == []


def test_recover_of_a_whole_file_says_so(tmp_path, cli):
    path, new = write(tmp_path / "t.arrow", ROWS, command="ls"), tmp_path / "n.arrow"
    done = cli("trace", "recover", path, "-o", new)
    assert done.code == 0 and "2,500 rows; t.arrow: the file was whole, nothing needed mending" in done.err
    trace = open_trace(new)
    assert (trace.complete, trace.window, trace.metadata["command"]) == ("yes", (0, 2500), "ls")
    with TraceWriter(path, mode="user", metadata={}) as writer:
        writer.append(ROWS)
        writer.close(complete="cut short: ^C")
    recover(path, str(new))
    assert open_trace(new).complete == "cut short: ^C"


def test_recover_says_what_was_wrong(tmp_path):
    path, new = tmp_path / "t.arrow", tmp_path / "n.arrow"
    tail = {"mmuexp.rows": "2501"}
    write_foreign(path, ROWS._asdict(), tail=tail)
    assert recover(path, str(new)).reason == "read to its end; it was refused: declares 2,501 rows and holds 2,500"
    data = (tmp_path / "w.arrow", write(tmp_path / "w.arrow", ROWS, guest="i386"))[0].read_bytes()
    first = (open_trace(tmp_path / "w.arrow").layouts.starts[0]).to_bytes(8, "little")
    at = data.rindex(first) - 4
    path.write_bytes(data[:at] + b"\x01" + data[at + 1 :])  # the footer lists one batch of two
    assert recover(path, str(new)).rows == 2500
    trace = open_trace(new)
    assert "is damaged: its footer lists 1 of 2 batches" in trace.complete and trace.complete.startswith("recovered: ")
    assert trace.window == (0, 2500) and failed(new) == []


def test_names_that_are_not_utf_8(tmp_path, cli):
    name = os.path.join(tmp_path, os.fsdecode(b"n\xff\xe4me.arrow"))
    new = os.path.join(tmp_path, os.fsdecode(b"\xfe.arrow"))
    write(name, ROWS)
    assert same(read(open_trace(name)), ROWS)
    for argv in (["verify"], ["info"], ["info", "--format", "json"], ["head"], ["export"]):
        done = cli("trace", argv[0], name, *argv[1:])
        assert done.code == 0, done.err
        done.out.encode()
    assert "n\\xff\\xe4me.arrow" in cli("trace", "info", name).out
    for argv in (["slice", name, "0:9"], ["recover", name]):
        assert cli("trace", *argv, "-o", new).code == 0
        assert failed(new) == []
    for suffix in (".csv", ".parquet"):
        assert cli("trace", "export", name, "-o", new + suffix).code == 0


def test_the_rows_of_a_slice_are_checked_only_where_it_reads(tmp_path):
    """In user mode a slice needs of what stands before it only whose turn it was, if there are threads."""
    path = tmp_path / "t.arrow"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("mmuexp.trace.format.BATCH_ROWS", 1000)
        patch.setattr("mmuexp.blocks.builder.GROUP_BATCHES", 1)  # none needs one before it
        write(path, ROWS)
    data = bytearray(path.read_bytes())
    with open_trace(path) as trace:
        data[trace.layouts[0].buffers[1].offset + 12] ^= 0xFF
    path.write_bytes(data)
    slice_trace(path, 1000, 2500, str(tmp_path / "n.arrow"))
    assert np.array_equal(read(open_trace(tmp_path / "n.arrow")).vaddr, ROWS.vaddr[1000:])


def test_a_slice_of_threads_needs_what_stands_before_it(tmp_path):
    path, rows = tmp_path / "t.arrow", Columns(*(column.copy() for column in ROWS))
    rows.op[[500, 2000]] = THREAD
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("mmuexp.trace.format.BATCH_ROWS", 1000)
        patch.setattr("mmuexp.blocks.builder.GROUP_BATCHES", 1)  # none needs one before it
        write(path, rows)
    data = bytearray(path.read_bytes())
    with open_trace(path) as trace:
        data[trace.layouts[0].buffers[1].offset + 12] ^= 0xFF
    path.write_bytes(data)
    with pytest.raises(TraceError, match="is damaged"):
        slice_trace(path, 1000, 2500, str(tmp_path / "n.arrow"))
    assert not (tmp_path / "n.arrow").exists()
