"""What a live engine takes of memory is known, and told, before it starts; over a limit it does not start."""

import numpy as np
import pytest
from kit.traces import SYSTEM, write

from mmuexp.guest import DTYPES, USER, Columns, Op
from mmuexp.live.limits import check_memory, memory_needed
from mmuexp.trace import open_trace


def stores_to(pages: int) -> Columns:
    rows = Columns(*(np.zeros(pages, dtype) for dtype in DTYPES))
    return rows._replace(
        vaddr=np.arange(pages, dtype="u4") << 12,
        size=np.full(pages, 4, "u2"),
        insns=np.ones(pages, "u1"),
        op=np.full(pages, Op.STORE, "u1"),
        flags=np.full(pages, USER, "u1"),
    )


def test_a_page_is_needed_twice(tmp_path):
    with open_trace(write(tmp_path / "u.arrow", stores_to(1000))) as trace:
        assert memory_needed(trace, "u") == 2 * 4096 * 1000
    with open_trace(write(tmp_path / "s.arrow", SYSTEM, "system")) as trace:
        assert memory_needed(trace, "s") == 2 * 4096 * 3  # physical pages 0x101, 0x102 and 0x103


def test_the_limit_is_what_was_asked_for():
    assert check_memory(81_920_000, "t", 82) == "guest RAM and its reference take 82 MB"
    with pytest.raises(Exception, match=r"t: .* take 82 MB, and 81 MB are allowed; give it that with memory_mb=82"):
        check_memory(81_920_000, "t", 81)


def test_verify_refuses_before_an_engine_starts(tmp_path, cli, monkeypatch):
    path = write(tmp_path / "t.arrow", stores_to(20_000))
    done = cli("verify", path, "-s", "softmmu", "--memory", 200)
    assert done.code == 0 and "t.arrow: guest RAM and its reference take 164 MB" in done.err
    monkeypatch.setattr("mmuexp.analysis.verify.Engine", lambda *_, **__: pytest.fail("it was started"))
    done = cli("verify", path, "-s", "softmmu", "--memory", 163)
    assert done.code == 1 and "take 164 MB, and 163 MB are allowed" in done.err and done.err.count("\n") == 1
    monkeypatch.setattr("mmuexp.live.limits.PAGE_BYTES", 4096 * 100)  # as if they were 2,000,000 pages
    done = cli("verify", path, "-s", "softmmu")
    assert done.code == 1 and "and 2,000 MB are allowed" in done.err
