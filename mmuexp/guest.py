"""Facts about the guest: a 32-bit x86 machine, and the rows in which its behaviour is recorded.

A trace is an ordered table of rows; `Op` says what a row is, `IO` and `USER` are its flags. Everything else
in the package builds on the constants here, and this module builds on nothing.
"""

from enum import IntEnum
from typing import Any, NamedTuple

import numpy as np

PAGE_BITS = 12
PAGE_BYTES = 1 << PAGE_BITS
PAGE_MASK = PAGE_BYTES - 1
ADDRESS_BITS = 32
PAGES = 1 << (ADDRESS_BITS - PAGE_BITS)  # virtual pages of the guest; page 0 follows the last
MAX_ACCESS_BYTES = 64


class Op(IntEnum):
    """What a row records. Codes 6-127 are reserved (refused); 128-255 are annotations (skipped)."""

    LOAD = 0
    STORE = 1
    EXEC = 2
    FLUSH = 3
    FLUSH_PAGE = 4
    MAP = 5


FIRST_ANNOTATION = 128
THREAD = 128  # annotation: the rows from here on are of the thread whose number is in `vaddr`

IO = 1  # device memory, not RAM
USER = 2  # guest privilege level 3


class FlushReason(IntEnum):
    """`size` of a FLUSH row."""

    UNKNOWN = 0
    CR3 = 1
    CR0 = 2
    CR4 = 3
    OTHER = 4


class Columns(NamedTuple):
    """Consecutive rows of a trace, one C-contiguous array a column, all of one length."""

    vaddr: np.ndarray  # uint32, guest virtual address
    page: np.ndarray  # uint32, guest-physical page number of a MAP row, else 0
    size: np.ndarray  # uint16, bytes (LOAD STORE EXEC), FlushReason (FLUSH), log2 bytes (MAP)
    insns: np.ndarray  # uint8, guest instructions (EXEC), position in the block (LOAD STORE)
    op: np.ndarray  # uint8, Op
    flags: np.ndarray  # uint8, IO | USER


DTYPES: Any = Columns._make(map(np.dtype, ("u4", "u4", "u2", "u1", "u1", "u1")))
BATCH_ROWS = 1 << 20
