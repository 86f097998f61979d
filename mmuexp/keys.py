"""A word for each row that holds all that a replay must know of it when nothing can happen: its page, and what it is.

One pass over the columns makes them, for every scheme that replays the rows; the loop (loop.py) then reads one word of
four bytes instead of four columns. A *plain* access (RAM, inside its page, of 1 to 64 bytes) is known by its page and
its kind: load or store, kernel or user, aligned or not. Every other row but EXEC is *odd*: no bit is set.

The same pass sums what plain accesses and blocks count (shape_scan.py), since it has all of the row in hand.
"""

import numpy as np

from mmuexp.guest import MAX_ACCESS_BYTES, PAGE_BITS, PAGE_BYTES, PAGE_MASK
from mmuexp.jitcache import inside

KINDS = 8  # bits 0..7 of a key, one for each kind of plain access: op | user << 1 | misaligned << 2
ALIGNED = (1 << KINDS // 2) - 1
EXEC_KEY = 1 << KINDS  # an EXEC row. Bits 12.. are the virtual page.
NOT_ODD = EXEC_KEY | (1 << KINDS) - 1

# What `fill` adds up, of plain accesses and of EXEC rows that are no errors; the last two of every LOAD and STORE.
PLAIN, PLAIN_STORES, MISALIGNED, UNITS8, WIDE_UNITS8, MISALIGNED_UNITS8, BLOCKS, INSNS, ACCESSES, USER_ACCESSES = range(
    10
)


@inside
def fill(vaddrs, pages, sizes, insns, ops, flags, user_mode, keys, sums):
    """Write the key of each row. The loop has no branches: the compiler makes vector code of it, in 32 bits where all
    that is computed is said to be of 32 bits."""
    u4, one, none = np.uint32, np.uint32(1), np.uint32(0)
    always = np.uint32(1 if user_mode else 0)
    plains = stores = misaligned = units8 = wide8 = odd8 = blocks = guest_insns = accesses = users = np.uint32(0)
    for i in range(len(ops)):
        op, size, flag, vaddr = u4(ops[i]), u4(sizes[i]), u4(flags[i]), u4(vaddrs[i])
        less = u4(size - one)  # of size 0: too large for either
        end = u4(u4(vaddr & u4(PAGE_MASK)) + less)  # of the last byte, in the page
        user = u4(u4(flag >> one) & one)
        access = u4(op < u4(2))
        clean = u4(u4(pages[i] == u4(0)) & u4(u4(flag & one) ^ one))
        plain = u4(access & clean & u4(end < u4(PAGE_BYTES)) & u4(less < u4(MAX_ACCESS_BYTES)))
        odd = u4(plain & u4(u4(vaddr & less) != u4(0)) & u4(u4(size & less) == u4(0)))
        block = u4(u4(op == u4(2)) & clean & u4(end < u4(2 * PAGE_BYTES)) & u4(less < u4(2 * PAGE_BYTES)))
        kind = u4(plain + u4(plain & op))  # shifts by a variable would be made in 64 bits
        kind = u4(kind << u4(2)) if u4(user | always) else kind
        kind = u4(kind << u4(4)) if odd else kind
        keys[i] = u4(u4(vaddr & ~u4(PAGE_MASK)) | kind | u4(block << u4(KINDS)))
        units = u4(u4(size + u4(7)) >> u4(3)) if plain else none
        plains = u4(plains + plain)
        stores = u4(stores + u4(plain & op))
        misaligned = u4(misaligned + odd)
        odd8 = u4(odd8 + (units if odd else none))
        blocks = u4(blocks + block)
        guest_insns = u4(guest_insns + (u4(insns[i]) if block else none))
        units8 = u4(units8 + units)
        wide8 = u4(wide8 + (units if size > u4(4) else none))
        accesses = u4(accesses + access)
        users = u4(users + u4(access & user))
    sums[PLAIN] = plains
    sums[PLAIN_STORES] = stores
    sums[MISALIGNED] = misaligned
    sums[MISALIGNED_UNITS8] = odd8
    sums[BLOCKS] = blocks
    sums[INSNS] = guest_insns
    sums[UNITS8] = units8
    sums[WIDE_UNITS8] = wide8
    sums[ACCESSES] = accesses
    sums[USER_ACCESSES] = users


assert PAGE_BITS > KINDS
