"""Decoding beside the work: in order, and what repeats only once."""

import numpy as np
import pytest
from kit.traces import program_rows, same, write

from mmuexp.guest import Columns, Op
from mmuexp.trace import open_trace


def test_small_buffers_that_repeat_are_decoded_once_and_read_only(tmp_path, monkeypatch):
    """All but the third batch have a `page` of zeros."""
    monkeypatch.setattr("mmuexp.trace.format.BATCH_ROWS", 1000)
    rows = program_rows(4000)
    rows.op[2000:3000], rows.flags[2000:3000], rows.page[2000:3000] = Op.MAP, 0, np.arange(1000)
    rows.vaddr[2000:3000] &= ~np.uint32(4095)
    path = write(tmp_path / "t.arrow", rows, mode="system")
    for ahead in (False, True):
        with open_trace(path) as trace:
            found = list(trace.batches(ahead=ahead))
        assert same(Columns(*map(np.concatenate, zip(*found, strict=True))), rows)
        assert ahead or np.shares_memory(found[0].page, found[1].page)  # two threads may have met the same at once
        assert not any(np.shares_memory(found[2].page, found[at].page) for at in (0, 1, 3))
        with pytest.raises(ValueError, match="read-only"):
            found[0].page[0] = 1


def test_batches_that_two_threads_decode_come_in_order(tmp_path, monkeypatch):
    monkeypatch.setattr("mmuexp.trace.format.BATCH_ROWS", 16)
    rows = program_rows(16 * 50 + 3)
    path = write(tmp_path / "t.arrow", rows)
    with open_trace(path) as trace:
        assert same(Columns(*map(np.concatenate, zip(*trace.batches(), strict=True))), rows)
        assert [len(part.op) for part in trace.batches(16 * 3 + 5)] == [11, *[16] * 46, 3]
