"""An engine that somebody ends is one line and exit code 1, not a search for the row at which model and engine part."""

import signal

import pytest
from kit.traces import write_trace

from mmuexp.analysis import verify as check
from mmuexp.live.process import EngineFailed
from mmuexp.strategy.registry import parse_spec
from mmuexp.trace import open_trace


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT, signal.SIGSEGV])
def test_an_engine_that_somebody_ends(number, tmp_path, monkeypatch):
    """A SIGSEGV could be the engine's own: it runs again, once, and is not blamed for what does not happen twice."""
    path, fed, feed = write_trace(tmp_path / "t.arrow", repeat=50), [], check._Pair.feed

    def feed_and_kill(pair, columns):
        fed.append(len(columns.op))
        if len(fed) == 1:
            pair.engine._process.send_signal(number)
            pair.engine._process.wait()
        feed(pair, columns)

    monkeypatch.setattr(check._Pair, "feed", feed_and_kill)
    with open_trace(path) as trace, pytest.raises(EngineFailed, match=f"was ended by {number.name} in rows 0 to"):
        check.verify_one(trace, parse_spec("map-block"), "t")
    assert len(fed) <= 2
