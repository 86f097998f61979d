"""Another thread decodes beside the work, and the rows stay in order."""

import numpy as np
from kit.traces import program_rows, same, write

from mmuexp.guest import Columns
from mmuexp.trace import open_trace


def test_batches_that_another_thread_decodes_come_in_order(tmp_path, monkeypatch):
    monkeypatch.setattr("mmuexp.trace.format.BATCH_ROWS", 16)
    rows = program_rows(16 * 50 + 3)
    path = write(tmp_path / "t.arrow", rows)
    with open_trace(path) as trace:
        assert same(Columns(*map(np.concatenate, zip(*trace.batches(), strict=True))), rows)
        assert [len(part.op) for part in trace.batches(16 * 3 + 5)] == [11, *[16] * 46, 3]
