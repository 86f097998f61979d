"""Makes two numbers of each row, *key* and *form*, which tell whether it repeats another one.

A *plain* access (RAM, inside its page, of 1 to 64 bytes) is known by its page and its kind: load or store, kernel or
user, aligned or not. A block is known by its address and its size. Every other row is *odd*.

The survey makes them of each strip of rows, to find those that repeat others (firsts.py), and sums in the same pass
what plain accesses and blocks count (survey_scan.py), since it has all of the row in hand. The loop makes them again
where it must look at every row.
"""

from typing import Any

import numpy as np

from mmuexp.guest import MAX_ACCESS_BYTES, PAGE_BITS, PAGE_BYTES, PAGE_MASK
from mmuexp.native.jitcache import inside

KINDS = 8  # bits 0..7 of an access's key, one for each kind of plain access: op | user << 1 | misaligned << 2
ALIGNED = (1 << KINDS // 2) - 1
PLAIN_KINDS = (1 << KINDS) - 1

# A key is the row's vaddr if it is a block, else its page in bits 12.. and the bit of a plain access. Forms of a row:
# of a block its size in bytes, and of others
FORM_BITS = 9
ACCESS = 0  # plain and aligned
MISALIGNED, ODD = range((1 << FORM_BITS) - 2, 1 << FORM_BITS)  # plain and misaligned; no bit of the key is set
LONG = MISALIGNED - 1  # a block of that size or more: they are not told apart

# What `fill` adds up, of plain accesses and of EXEC rows that are no errors; the last two of every LOAD and STORE.
PLAIN, PLAIN_STORES, PLAIN_MISALIGNED, UNITS8, WIDE_UNITS8, MISALIGNED_UNITS8, BLOCKS, INSNS = range(8)
ACCESSES, USER_ACCESSES = range(8, 10)
STRIP = 1 << 10  # rows that `fill` takes at most: what it adds up is below 2**16 then, guest instructions apart
UNIT_BYTES = 8


@inside
def is_block(form: Any) -> Any:
    """Tell whether this is the form of a block."""
    return np.uint32(np.uint32(form) - np.uint32(1)) < np.uint32(LONG)


@inside
def key_and_form(vaddr: Any, page: Any, size: Any, op: Any, flag: Any, always: Any) -> Any:
    """Make the key and the form of one row; `always` is 1 in a user-mode trace. Returns, beside these, whether the row
    is a plain access, a plain misaligned one, a block.

    `vaddr` and `page` are uint32, all else is uint16, and there are no branches: for loops that are to be vector code.
    """
    u2, u4 = np.uint16, np.uint32
    less = u2(size - u2(1))  # of size 0: too large for either
    offset = u2(vaddr & u4(PAGE_MASK))
    end = u2(offset + less)  # of the last byte, in the page; what does not fit in 16 bits has too large a `less`
    clean = (page == u4(0)) & (u2(flag & u2(1)) == u2(0))
    plain = (op < u2(2)) & clean & (end < u2(PAGE_BYTES)) & (less < u2(MAX_ACCESS_BYTES))
    odd = plain & (u2(offset & less) != u2(0)) & (u2(size & less) == u2(0))
    block = (op == u2(2)) & clean & (end < u2(2 * PAGE_BYTES)) & (less < u2(2 * PAGE_BYTES))
    kind = u2(op + u2(1))
    kind = u2(kind << u2(2)) if u2(u2(flag & u2(2)) | always) != u2(0) else kind
    kind = u2(kind << u2(KINDS // 2)) if odd else kind
    kind = kind if plain else u2(0)
    key = u4(vaddr & ~u4(PAGE_MASK)) | u4(offset if block else kind)
    form = u2(ACCESS) if plain else u2(ODD)
    form = u2(MISALIGNED) if odd else form
    form = (size if size < u2(LONG) else u2(LONG)) if block else form
    return key, form, plain, odd, block


@inside
def fill(
    vaddrs: np.ndarray, pages: np.ndarray, sizes: np.ndarray, insns: np.ndarray, ops: np.ndarray, flags: np.ndarray,
    user_mode: Any, keys: np.ndarray, forms: np.ndarray, sums: np.ndarray,
) -> None:  # fmt: skip
    """Write the key and the form of each row, and the sums.

    The loop has no branches: the compiler makes vector code of it, of 16 bits where all that is computed is said to be
    of 16 bits, which is most of it.
    """
    u2, u4 = np.uint16, np.uint32
    one, none = u2(1), u2(0)
    always = u2(1 if user_mode else 0)
    plains = stores = misaligned = wide = largest = blocks = accesses = users = none
    guest_insns = u4(0)
    for i in range(len(ops)):
        op, size, flag = u2(ops[i]), u2(sizes[i]), u2(flags[i])
        keys[i], forms[i], plain, odd, block = key_and_form(u4(vaddrs[i]), u4(pages[i]), size, op, flag, always)
        access = op < u2(2)
        plains = u2(plains + u2(plain))
        stores = u2(stores + (op if plain else none))
        misaligned = u2(misaligned + u2(odd))
        wide = u2(wide + u2(plain & (size > u2(4))))
        largest = u2(largest | (u2(size - one) if plain else none))
        blocks = u2(blocks + u2(block))
        guest_insns = u4(guest_insns + u4(u2(insns[i]) if block else none))
        accesses = u2(accesses + u2(access))
        users = u2(users + (u2(flag & u2(2)) if access else none))
    sums[PLAIN] = plains
    sums[PLAIN_STORES] = stores
    sums[BLOCKS] = blocks
    sums[INSNS] = guest_insns
    sums[ACCESSES] = accesses
    sums[USER_ACCESSES] = users >> one
    sums[PLAIN_MISALIGNED] = misaligned
    if largest < u2(UNIT_BYTES):
        sums[UNITS8], sums[WIDE_UNITS8], sums[MISALIGNED_UNITS8] = plains, wide, misaligned
    else:
        _count_units(sizes, forms, sums)


@inside
def _count_units(sizes: np.ndarray, forms: np.ndarray, sums: np.ndarray) -> None:
    """Sum the units of 8 bytes, where some access has several."""
    u2 = np.uint16
    none = u2(0)
    units8 = wide8 = odd8 = none
    for i in range(len(sizes)):  # there may be room for more forms
        size, form = u2(sizes[i]), u2(forms[i])
        odd = form == u2(MISALIGNED)
        units = u2(u2(size + u2(UNIT_BYTES - 1)) >> u2(3)) if odd | (form == u2(ACCESS)) else none
        units8 = u2(units8 + units)
        wide8 = u2(wide8 + (units if size > u2(4) else none))
        odd8 = u2(odd8 + (units if odd else none))
    sums[UNITS8], sums[WIDE_UNITS8], sums[MISALIGNED_UNITS8] = units8, wide8, odd8


assert PAGE_BITS > KINDS
