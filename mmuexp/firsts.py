"""Which rows of a batch can matter to a scheme that loses nothing: the *firsts*.

Rows are cut into eras of at most ERA_ROWS; a row that drops translations (FLUSH, FLUSH_PAGE) ends its era. In an era
the first aligned plain access of each kind to each page is a first, the first entry of each block, and every other row
(keys.py). A scheme that has seen a first, and has lost nothing since, would change and count nothing at the rows that
repeat it: so it is asked about the firsts alone, a few in a hundred rows, and they are found once for all schemes. A
scheme that loses something reads the rest of the era row by row (loop.py).
"""

import numpy as np

from mmuexp.bits import lowest_bit, lowest_bits
from mmuexp.jitcache import inside
from mmuexp.keys import ALIGNED, EXEC_KEY

ERA_ROWS = 1 << 13
PIECE = 1 << 6  # rows that are looked up together: a bit each of what is not known

SLOT_BITS = 13  # of the table of what was seen; two words of one slot make each other firsts again, which is no error
SLOTS = 1 << SLOT_BITS
EACH_SLOT = SLOTS  # always empty, so that each row that is looked up there is a first
LAST_ERA = (1 << 16) - 1
SIZE_BITS = 16  # the size of a block, in a word; the era below it takes as many

# of an era: the row before which it ends; how many firsts were found, and guest instructions were in the trace, by then
END_ROW, END_FIRST, END_INSNS = range(3)


def new_seen() -> np.ndarray:
    """uint64[SLOTS + 1]: the table of what was seen. A word is the key (of a block: address and size) and the era."""
    return np.zeros(SLOTS + 1, np.uint64)


@inside
def word_of(key, vaddr, size, era):
    """What is looked up, and in which slot: key or vaddr (32 bits), 0 or size of a block (16), the era (16)."""
    u4, u8 = np.uint32, np.uint64
    block = u4(key & u4(EXEC_KEY)) != u4(0)
    what = vaddr if block else key
    word = u8(what) << u8(32) | u8(u4(era | (u4(size << u4(SIZE_BITS)) if block else u4(0))))
    slot = u4(u4(what ^ u4(what >> u4(SLOT_BITS))) & u4(SLOTS - 1))
    return word, slot if u4(key & u4(EXEC_KEY | ALIGNED)) else u4(EACH_SLOT)


@inside
def unseen(keys, vaddrs, sizes, seen, era, start, rows):
    """A bit for each of `rows` rows from `start` on whose word is not in the table. No branches: vector code."""
    u4, u8 = np.uint32, np.uint64
    bits = u8(0)
    for j in range(rows):
        i = start + j
        word, slot = word_of(keys[i], u4(vaddrs[i]), u4(sizes[i]), era)
        bits |= u8(seen[slot] != word) << j
    return bits


@inside
def find(keys, vaddrs, sizes, ops, first, found, firsts, first_words, seen, era, eras, ended):
    """Append the firsts of some rows, of which the first is row `first` of the batch, and their words, so that who
    reads them need not go to the columns. Returns the numbers of firsts and of eras ended."""
    u4, u8 = np.uint32, np.uint64
    rows, n, now = u8(len(ops)), u8(found), u4(era[0])
    for start in range(u8(0), rows, u8(PIECE)):
        count = min(u8(PIECE), rows - start)
        if count == PIECE:  # of a length that the compiler knows
            bits = unseen(keys, vaddrs, sizes, seen, now, start, u8(PIECE))
        else:
            bits = unseen(keys, vaddrs, sizes, seen, now, start, count)
        while bits:
            i = start + lowest_bit(bits)
            bits &= bits - u8(1)
            word, slot = word_of(keys[i], u4(vaddrs[i]), u4(sizes[i]), now)
            firsts[n] = first + np.int64(i)
            first_words[n] = word >> u8(SIZE_BITS)
            n += u8(seen[slot] != word)  # it may have come earlier in the piece
            seen[slot] = word
            seen[EACH_SLOT] = 0
            if ops[i] == 3 or ops[i] == 4:
                ended = end_era(first + np.int64(i) + 1, np.int64(n), seen, era, eras, ended)
                now = u4(era[0])
                bits = lowest_bits(count) & ~lowest_bits(i - start + u8(1))  # each that comes later may be one now
    return np.int64(n), ended


@inside
def end_era(row, found, seen, era, eras, ended):
    """The era ends before `row`; the firsts found so far are its own. Returns the number of eras ended."""
    eras[ended, END_ROW] = row
    eras[ended, END_FIRST] = found
    era[0] += 1
    if era[0] > LAST_ERA:
        seen[:] = 0
        era[0] = 1
    return ended + 1


@inside
def count_insns(keys, insns, start, before, after, eras, first, ended):
    """Of the eras from `first` on, write how many guest instructions the trace had by their end: `before` up to row
    `start`, which is that of `keys`, and `after` at their end."""
    row, end = start, start + len(keys)
    for at in range(first, ended):
        if eras[at, END_ROW] == end:
            before = after
        else:
            for i in range(row - start, eras[at, END_ROW] - start):
                before += np.int64(insns[i]) * np.int64((keys[i] & EXEC_KEY) != 0)
        row = eras[at, END_ROW]
        eras[at, END_INSNS] = before
