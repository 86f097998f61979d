"""`mmuexp trace compress`: the same rows and metadata in fewer bytes."""

from pathlib import Path

import pytest
from kit.traces import SYSTEM, program_rows, read, same, write

from mmuexp.trace import TraceWriter, open_trace

ROWS = program_rows(20_000)


@pytest.fixture
def path(tmp_path):
    return write(tmp_path / "t.arrow", ROWS, command="ls", licence="CC0")


def test_rows_and_metadata_stay(tmp_path, path, cli):
    done = cli("trace", "compress", path, "-o", tmp_path / "n.arrow")
    assert done.code == 0 and done.out == ""
    before, after = open_trace(path), open_trace(tmp_path / "n.arrow")
    assert same(read(after), ROWS) and after.metadata == before.metadata and after.metadata_intact
    assert (after.mode, after.rows, after.window, after.complete) == ("user", 20_000, (0, 20_000), "yes")
    assert after.size_bytes < before.size_bytes
    assert f"20,000 rows, {before.size_bytes:,} bytes before, {after.size_bytes:,} now" in done.err
    assert cli("trace", "verify", tmp_path / "n.arrow").code == 0
    assert [batch.custom.get("mmuexp.crc32") for batch in before.layouts] == [
        batch.custom.get("mmuexp.crc32") for batch in after.layouts
    ]


def test_the_level_decides(tmp_path, path, cli):
    sizes = []
    for level in (1, 19):
        assert cli("trace", "compress", path, "--level", level, "-o", tmp_path / "n.arrow").code == 0
        sizes.append(open_trace(tmp_path / "n.arrow").size_bytes)
    assert sizes[1] < sizes[0]


def test_a_window_of_a_guest_that_was_cut_short(tmp_path, cli):
    with TraceWriter(tmp_path / "t.arrow", mode="system") as writer:
        writer.append(SYSTEM)
        writer.close("cut short: ^C", (500, len(SYSTEM.op)))
    assert cli("trace", "compress", tmp_path / "t.arrow", "-o", tmp_path / "n.arrow").code == 0
    after = open_trace(tmp_path / "n.arrow")
    assert same(read(after), SYSTEM)
    assert (after.mode, after.window, after.complete) == ("system", (500, len(SYSTEM.op)), "cut short: ^C")


@pytest.mark.parametrize(
    ("argv", "says"),
    [(["--level", "0", "-o", "n.arrow"], "--level: is 0, not a whole number from 1 to 22"),
     (["--level", "23", "-o", "n.arrow"], "is 23"),
     (["-o", "t.arrow"], "is the trace to be compressed"), (["--level", "x", "-o", "n.arrow"], "integer"), ([], "-o")],
)  # fmt: skip
def test_wrong_usage(tmp_path, path, cli, monkeypatch, argv, says):
    monkeypatch.chdir(tmp_path)
    before = Path(path).read_bytes()
    done = cli("trace", "compress", "t.arrow", *argv)
    assert done.code == 2 and says in done.err
    assert Path(path).read_bytes() == before and not (tmp_path / "n.arrow").exists()


def test_what_is_damaged_leaves_no_file(tmp_path, path, cli):
    data = bytearray(Path(path).read_bytes())
    with open_trace(path) as trace:
        data[trace.layouts[0].buffers[1].offset + 40] ^= 0xFF
    (tmp_path / "bad.arrow").write_bytes(data)
    done = cli("trace", "compress", tmp_path / "bad.arrow", "-o", tmp_path / "n.arrow")
    assert done.code == 1 and "is damaged at row 0" in done.err and not (tmp_path / "n.arrow").exists()


def test_a_missing_trace_is_told_as_such_whatever_stands_at_the_output(tmp_path, path, cli):
    done = cli("trace", "compress", tmp_path / "none.arrow", "-o", path)
    assert done.code == 1 and "none.arrow: cannot be read: no such file or directory" in done.err
    assert same(read(open_trace(path)), ROWS)
