"""A word for each row that holds all that a replay must know of it when nothing can happen: its page, and what it is.

One pass over the columns makes them, for every scheme that replays the rows; the loop (loop.py) then reads one word of
four bytes instead of four columns. A *plain* access (RAM, inside its page, aligned) is known by its page and its kind:
load or store, kernel or user.
"""

import numpy as np

from mmuexp.guest import PAGE_BITS, PAGE_BYTES, PAGE_MASK, Columns
from mmuexp.jitcache import guarded, kept

KINDS = 4  # bits 0..3 of a key, one for each kind of plain access: op | user << 1
EXEC_KEY = 1 << KINDS  # an EXEC row; no bit at all: any other row. Bits 12.. are the virtual page.


@guarded()
@kept
def _fill(vaddrs, sizes, ops, flags, user_mode, keys):
    """The loop has no branches: the compiler makes vector code of it."""
    one = np.uint32(1)
    always = np.uint32(1 if user_mode else 0)
    for i in range(len(ops)):
        op, size, flag, vaddr = np.uint32(ops[i]), np.uint32(sizes[i]), np.uint32(flags[i]), np.uint32(vaddrs[i])
        less = np.uint32(size - one)
        odd = np.uint32((size & less) == 0) & np.uint32((vaddr & less) != 0)
        inside = np.uint32((vaddr & np.uint32(PAGE_MASK)) + size <= np.uint32(PAGE_BYTES))
        plain = np.uint32(op < 2) & inside & (one - odd) & (one - (flag & one))
        user = (flag >> one & one) | always
        kind = np.uint32(op & one) | user << one
        keys[i] = (vaddr & ~np.uint32(PAGE_MASK)) | plain << kind | np.uint32(op == 2) << np.uint32(KINDS)


def keys_of(columns: Columns, mode: str, into: np.ndarray | None = None) -> np.ndarray:
    """uint32[rows]; `into` is reused where it is long enough."""
    rows = len(columns.op)
    keys = np.empty(rows, np.uint32) if into is None or len(into) < rows else into[:rows]
    _fill(columns.vaddr, columns.size, columns.op, columns.flags, mode == "user", keys)
    return keys


assert PAGE_BITS > KINDS
