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
PLAIN_KINDS = (1 << KINDS) - 1
EXEC_KEY = 1 << KINDS  # an EXEC row. Bits 12.. are the virtual page.
NOT_ODD = EXEC_KEY | PLAIN_KINDS

# What `fill` adds up, of plain accesses and of EXEC rows that are no errors; the last two of every LOAD and STORE.
PLAIN, PLAIN_STORES, MISALIGNED, UNITS8, WIDE_UNITS8, MISALIGNED_UNITS8, BLOCKS, INSNS, ACCESSES, USER_ACCESSES = range(
    10
)
STRIP = 1 << 10  # rows that `fill` takes at most: what it adds up is below 2**16 then, guest instructions apart
UNIT_BYTES = 8


@inside
def fill(vaddrs, pages, sizes, insns, ops, flags, user_mode, keys, sums):
    """Write the key of each row, and the sums.

    The loop has no branches: the compiler makes vector code of it, of 16 bits where all that is computed is said to be
    of 16 bits, which is most of it.
    """
    u2, u4 = np.uint16, np.uint32
    one, none = u2(1), u2(0)
    always = u2(1 if user_mode else 0)
    plains = stores = misaligned = wide = largest = blocks = accesses = users = none
    guest_insns = u4(0)
    for i in range(len(ops)):
        op, size, flag, vaddr = u2(ops[i]), u2(sizes[i]), u2(flags[i]), u4(vaddrs[i])
        less = u2(size - one)  # of size 0: too large for either
        offset = u2(vaddr & u4(PAGE_MASK))
        end = u2(offset + less)  # of the last byte, in the page; what does not fit in 16 bits has too large a `less`
        access = op < u2(2)
        clean = (pages[i] == u4(0)) & (u2(flag & one) == none)
        plain = access & clean & (end < u2(PAGE_BYTES)) & (less < u2(MAX_ACCESS_BYTES))
        odd = plain & (u2(offset & less) != none) & (u2(size & less) == none)
        block = (op == u2(2)) & clean & (end < u2(2 * PAGE_BYTES)) & (less < u2(2 * PAGE_BYTES))
        user = u2(flag & u2(2))
        kind = u2(op + one)
        kind = u2(kind << u2(2)) if u2(user | always) != none else kind
        kind = u2(kind << u2(KINDS // 2)) if odd else kind
        kind = kind if plain else none
        kind = u2(EXEC_KEY) if block else kind
        keys[i] = u4(u4(vaddr & ~u4(PAGE_MASK)) | u4(kind))
        plains = u2(plains + u2(plain))
        stores = u2(stores + (op if plain else none))
        misaligned = u2(misaligned + u2(odd))
        wide = u2(wide + u2(plain & (size > u2(4))))
        largest = u2(largest | (less if plain else none))
        blocks = u2(blocks + u2(block))
        guest_insns = u4(guest_insns + u4(u2(insns[i]) if block else none))
        accesses = u2(accesses + u2(access))
        users = u2(users + (user if access else none))
    sums[PLAIN] = plains
    sums[PLAIN_STORES] = stores
    sums[BLOCKS] = blocks
    sums[INSNS] = guest_insns
    sums[ACCESSES] = accesses
    sums[USER_ACCESSES] = users >> one
    sums[MISALIGNED] = misaligned
    if largest < u2(UNIT_BYTES):
        sums[UNITS8], sums[WIDE_UNITS8], sums[MISALIGNED_UNITS8] = plains, wide, misaligned
    else:
        _count_units(vaddrs, sizes, keys, sums)


@inside
def _count_units(vaddrs, sizes, keys, sums):
    """The sums of units of 8 bytes, where some access has several."""
    u2, u4 = np.uint16, np.uint32
    none = u2(0)
    units8 = wide8 = odd8 = none
    for i in range(len(keys)):
        size, kind = u2(sizes[i]), u2(keys[i] & u4(PLAIN_KINDS))
        units = u2(u2(size + u2(UNIT_BYTES - 1)) >> u2(3)) if kind != none else none
        units8 = u2(units8 + units)
        wide8 = u2(wide8 + (units if size > u2(4) else none))
        odd8 = u2(odd8 + (units if kind > u2(ALIGNED) else none))
    sums[UNITS8], sums[WIDE_UNITS8], sums[MISALIGNED_UNITS8] = units8, wide8, odd8


assert PAGE_BITS > KINDS
