"""Lists the EXEC rows of a batch, for schemes that ask which block a row is of (`Row.block`).

Most of them are known to the loop, which passes them by: where it stops at a row it finds the last one here.
"""

from typing import Any, NamedTuple

import numpy as np

from mmuexp.blocks.runs import OTHER
from mmuexp.native.jitcache import Number, guarded, kept
from mmuexp.replay.firsts import END_PART, END_ROW, END_RUN
from mmuexp.replay.shapes import COUNT, HAS_BLOCK, PLACE_BITS, SIZE, VADDR


class Entries(NamedTuple):
    """EXEC rows in order, an array a column."""

    row: np.ndarray  # int32, number in the batch
    vaddr: np.ndarray  # uint32
    size: np.ndarray  # uint16


def _room_for(rows: int) -> Entries:
    return Entries(np.empty(rows, np.int32), np.empty(rows, np.uint32), np.empty(rows, np.uint16))


NO_ENTRIES = _room_for(0)


def entries_of(part: Any) -> Entries:
    """List those of a part of a batch (survey.py)."""
    entries = _room_for(len(part.batch.runs.run))
    found = _find(part.batch.walked, part.place, part.stop, entries)
    return Entries(*(column[:found] for column in entries))


@guarded()
@kept
def _find(w: Any, place: np.ndarray, stop: Number, entries: Entries) -> Number:
    u8 = np.uint64
    count, row, run, part = u8(0), place[END_ROW], place[END_RUN], place[END_PART]
    while row < stop:
        shape = u8(w.run[u8(run)])
        run += 1
        if shape == OTHER:
            row += 1
            continue
        about = shape << u8(PLACE_BITS)
        has = np.int64(w.shape[about | u8(HAS_BLOCK)])
        if has > part:
            entries.row[count] = row
            entries.vaddr[count], entries.size[count] = w.shape[about | u8(VADDR)], w.shape[about | u8(SIZE)]
            count += u8(1)
        row += np.int64(w.shape[about | u8(COUNT)]) + has - part
        part = 0
    return count
