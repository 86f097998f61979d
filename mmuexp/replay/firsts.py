"""Says what *firsts* and *eras* are: which rows of a batch can matter to a scheme that revokes nothing.

Rows are cut into eras: one ends with the run that brings it to ERA_ROWS, and with a row that drops translations (FLUSH,
FLUSH_PAGE). In an era the first aligned plain access of each kind to each page is a first, the first entry of each
shape, and every other row (keys.py). A scheme that has seen a first, and has revoked nothing since, would change and
count nothing at the rows that repeat it: so it is asked about the firsts alone, a few in a hundred rows, and they are
found once for all schemes. Once a scheme revokes something, the loop reads every row up to the era's end (loop.py).
"""

from typing import Any, NamedTuple

import numpy as np

from mmuexp.emulator.state import zeros
from mmuexp.native.jitcache import Number, inside

ERA_ROWS = 1 << 13
PIECE = 1 << 6  # rows that are looked up together: a bit each of what is not known
ERA_AT = 8  # in a page's entry of what was seen: above the kinds
LAST_ERA = (1 << (32 - ERA_AT)) - 1

# of an era: the row before which it ends; how many firsts were found, and guest instructions were in the trace, by
# then; where that is in the runs: run, rows of it that belong to the era, data row, row of OTHER; and the row from
# which on the rows of the era are made
END_ROW, END_FIRST, END_INSNS, END_RUN, END_PART, END_ACCESS, END_OTHER, END_MADE = range(8)


class Rows(NamedTuple):
    """Holds rows as the loop reads them, an array a column; `key` and `form`: keys.py."""

    vaddr: np.ndarray  # uint32
    about: np.ndarray  # uint64, the other columns in one word, as `packed_row` makes it
    key: np.ndarray  # uint32
    form: np.ndarray  # uint16


ROWS: Any = Rows._make(map(np.dtype, ("u4", "u8", "u4", "u2")))
OP_AT, SIZE_AT, INSNS_AT, FLAGS_AT = 24, 32, 48, 56  # in `about`; what is below the op says nothing here


def room_for(rows: int, *, dense: bool = False) -> Rows:
    """Make arrays for so many rows, as `zeros` does."""
    return Rows(*(zeros(rows, dtype, dense=dense) for dtype in ROWS))


@inside
def packed_row(size: Number, insns: Number, op: Number, flags: Number) -> Number:
    """Put columns into one word."""
    u8 = np.uint64
    return u8(op) << u8(OP_AT) | u8(size) << u8(SIZE_AT) | u8(insns) << u8(INSNS_AT) | u8(flags) << u8(FLAGS_AT)


@inside
def columns_of(about: Number) -> tuple[Number, Number, Number, Number]:
    """Take size, insns, op and flags of a row."""
    u8 = np.uint64
    size, insns = about >> u8(SIZE_AT) & u8(0xFFFF), about >> u8(INSNS_AT) & u8(0xFF)
    return np.int64(size), np.int64(insns), np.int64(about >> u8(OP_AT) & u8(0xFF)), np.int64(about >> u8(FLAGS_AT))
