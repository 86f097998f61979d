"""Facts about the guest: an x86 machine of 32 or 64 bits, and the rows in which its behaviour is recorded.

A trace is an ordered table of rows; `Op` says what a row is, `IO` and `USER` are its flags. Everything else
in the package builds on the constants here, and this module builds on nothing.
"""

from enum import IntEnum
from typing import Any, NamedTuple

import numpy as np

PAGE_BITS = 12
PAGE_BYTES = 1 << PAGE_BITS
PAGE_MASK = PAGE_BYTES - 1
ADDRESS_BITS, WIDE_BITS = 32, 64  # of a trace's addresses
# Virtual pages of a guest of 32 bits; page 0 follows the last. A trace of 64 bits may touch as many (replay/pages.py).
PAGES = 1 << (ADDRESS_BITS - PAGE_BITS)
MOST_MAP_PAGE = 1 << 40  # the largest guest-physical page number: a processor has 52 bits of physical addresses
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

    vaddr: np.ndarray  # uint32, guest virtual address; uint64 of a trace of 64 bits
    page: np.ndarray  # as vaddr: guest-physical page number of a MAP row, else 0
    size: np.ndarray  # uint16, bytes (LOAD STORE EXEC), FlushReason (FLUSH), log2 bytes (MAP)
    insns: np.ndarray  # uint8, guest instructions (EXEC), position in the block (LOAD STORE)
    op: np.ndarray  # uint8, Op
    flags: np.ndarray  # uint8, IO | USER


DTYPES: Any = Columns._make(map(np.dtype, ("u4", "u4", "u2", "u1", "u1", "u1")))  # of 32 bits
WIDE_DTYPES: Any = DTYPES._replace(vaddr=np.dtype("u8"), page=np.dtype("u8"))  # of 64 bits
BATCH_ROWS = 1 << 20


def dtypes_of(address_bits: int) -> Any:
    """Give the types of the columns of a trace of so many bits."""
    return WIDE_DTYPES if address_bits == WIDE_BITS else DTYPES


def bits_of(vaddr: np.ndarray) -> int:
    """Tell by the type of its addresses how many bits a trace has."""
    return WIDE_BITS if vaddr.dtype == WIDE_DTYPES.vaddr else ADDRESS_BITS
