"""Where a trace is written to: never is anything taken away that is not ours."""

import os
import stat

import pytest
from kit.traces import program_rows

from mmuexp.errors import MmuexpError
from mmuexp.trace import TraceWriter
from mmuexp.trace.sink import Sink

ROWS = program_rows(2500)


@pytest.fixture
def device(tmp_path):
    """A way to a device in a folder of ours: what would take it away takes away the link at most."""
    if not stat.S_ISCHR(os.stat("/dev/full").st_mode):
        pytest.fail("this machine lost /dev/full: mknod -m 666 /dev/full c 1 7")
    (tmp_path / "full").symlink_to("/dev/full")
    return tmp_path / "full"


def test_a_device_is_written_to_and_never_taken_away(device, monkeypatch):
    monkeypatch.setattr("mmuexp.trace.sink.Path.unlink", lambda *_, **__: pytest.fail("unlinks a device"))
    monkeypatch.setattr("mmuexp.trace.sink.os.replace", lambda *_: pytest.fail("renames over a device"))
    with pytest.raises(MmuexpError, match="no space left"), TraceWriter(device, mode="user", metadata={}) as writer:
        writer.append(ROWS)
    TraceWriter(device, mode="user", metadata={}).abort()
    assert stat.S_ISCHR(os.stat(device).st_mode)


def test_recordings_to_devices_and_pipes_are_refused(tmp_path, device):
    os.mkfifo(tmp_path / "pipe")
    for target in (device, tmp_path / "pipe"):
        with pytest.raises(MmuexpError, match="is not a regular file"):
            TraceWriter(target, mode="user", metadata={}, recording=True)
    assert sorted(os.listdir(tmp_path)) == ["full", "pipe"]


def test_what_stands_there_by_now_is_not_taken_away(tmp_path):
    for recording in (True, False):
        writer = TraceWriter(tmp_path / f"{recording}.arrow", mode="user", metadata={}, recording=recording)
        name = next(tmp_path.glob(f"{recording}*.part"))
        name.unlink()
        os.mkfifo(name)
        writer.abort()
        assert name.is_fifo()
    path = tmp_path / "later"
    with pytest.raises(MmuexpError, match="is not a regular file"), TraceWriter(path, mode="user", metadata={}):
        os.mkfifo(path)
    assert path.is_fifo() and len(os.listdir(tmp_path)) == 3


@pytest.mark.parametrize("name", ["write", "finish"])
def test_an_interrupt_at_any_time_leaves_no_part(tmp_path, monkeypatch, name):
    """SIGTERM raises SystemExit wherever it finds us, also while the file is closed."""
    old, calls = getattr(Sink, name), []

    def call(self, *args):
        calls.append(name)
        if len(calls) == stop:
            raise SystemExit(143)
        return old(self, *args)

    monkeypatch.setattr(Sink, name, call)
    for stop in range(1, 1000):  # noqa: B007  (`call` reads it)
        calls.clear()
        try:
            with TraceWriter(tmp_path / "t.arrow", mode="user", metadata={}) as writer:
                writer.append(ROWS)
        except SystemExit:
            assert os.listdir(tmp_path) == []
        else:
            break
    assert stop > 1 and os.listdir(tmp_path) == ["t.arrow"]
