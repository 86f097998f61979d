"""Finds the rows of a batch that can matter to a scheme that revokes nothing: the *firsts*.

Rows are cut into eras of at most ERA_ROWS; a row that drops translations (FLUSH, FLUSH_PAGE) ends its era. In an era
the first aligned plain access of each kind to each page is a first, the first entry of each block but a very long one,
and every other row (keys.py). A scheme that has seen a first, and has revoked nothing since, would change and count
nothing at the rows that repeat it: so it is asked about the firsts alone, a few in a hundred rows, and they are found
once for all schemes. Once a scheme revokes something, the loop reads every row up to the era's end (loop.py).
"""

import numpy as np

from mmuexp.native.bits import lowest_bit, lowest_bits
from mmuexp.native.jitcache import Number, inside
from mmuexp.replay.keys import FORM_BITS, LONG, ODD, is_block

ERA_ROWS = 1 << 13
PIECE = 1 << 6  # rows that are looked up together: a bit each of what is not known

# A direct-mapped table of what was seen. Slot and tag together identify key, form and era: the tag holds the key's
# upper bits, the form and the era; the slot is the key's lower bits, xor-ed with the upper ones. A collision makes a
# row a first again: slower, never wrong.
SLOT_BITS = 13
SLOTS = 1 << SLOT_BITS
NO_SLOT = SLOTS  # of a row that is always a first; what stands there is never looked at
FORM_AT, ERA_AT = 32 - SLOT_BITS, 32 - SLOT_BITS + FORM_BITS
LAST_ERA = (1 << (32 - ERA_AT)) - 1
WORD_FORM_BITS = 16  # of a first's word, key << 16 | form
WORD_FORM_MASK = (1 << WORD_FORM_BITS) - 1

# of an era: the row before which it ends; how many firsts were found, and guest instructions were in the trace, by then
END_ROW, END_FIRST, END_INSNS = range(3)


def new_seen() -> np.ndarray:
    """Make the empty table of what was seen: uint32[SLOTS + 1]."""
    return np.zeros(SLOTS + 1, np.uint32)


@inside
def slot_and_tag(key: Number, form: Number, era: Number) -> tuple[Number, Number]:
    """Give the slot in which a row is looked up, and the tag that stands there if it was seen in this era: uint32."""
    u4 = np.uint32
    high = u4(key >> u4(SLOT_BITS))
    tag = u4(high | u4(form << u4(FORM_AT)) | u4(era << u4(ERA_AT)))
    return u4(u4(key ^ high) & u4(SLOTS - 1)), tag


@inside
def unseen(keys: np.ndarray, forms: np.ndarray, seen: np.ndarray, era: Number, start: Number, rows: Number) -> Number:
    """Look up `rows` rows from `start` on. Returns a bit for each not in the table. No branches: vector code."""
    bits = np.uint64(0)
    for j in range(rows):
        slot, tag = slot_and_tag(keys[start + j], np.uint32(forms[start + j]), era)
        bits |= np.uint64(seen[slot] != tag) << j
    return bits


@inside
def find(
    keys: np.ndarray, forms: np.ndarray, ops: np.ndarray, first: Number, found: Number, firsts: np.ndarray,
    first_words: np.ndarray, seen: np.ndarray, era: np.ndarray, eras: np.ndarray, ended: Number
) -> tuple[Number, Number]:  # fmt: skip
    """Append the firsts of some rows, of which the first is row `first` of the batch, and their words, so that who
    reads them need not go to the columns. Returns the numbers of firsts and of eras ended."""
    u4, u8 = np.uint32, np.uint64
    rows, n, now = u8(len(ops)), u8(found), u4(era[0])
    for start in range(u8(0), rows, u8(PIECE)):
        count = min(u8(PIECE), rows - start)
        if count == PIECE:  # of a length that the compiler knows
            bits = unseen(keys, forms, seen, now, start, u8(PIECE))
        else:
            bits = unseen(keys, forms, seen, now, start, count)
        while bits:
            i = start + lowest_bit(bits)
            bits &= bits - u8(1)
            key, form = keys[i], u4(forms[i])
            slot, tag = slot_and_tag(key, form, now)
            firsts[n] = first + np.int64(i)
            first_words[n] = u8(key) << u8(WORD_FORM_BITS) | u8(form)
            n += u8(seen[slot] != tag)  # it may have come earlier in the piece
            seen[slot if form < u4(LONG) else u4(NO_SLOT)] = tag
            if form == u4(ODD) and (ops[i] == 3 or ops[i] == 4):
                ended = end_era(first + np.int64(i) + 1, np.int64(n), seen, era, eras, ended)
                now = u4(era[0])
                bits = lowest_bits(count) & ~lowest_bits(i - start + u8(1))  # each that comes later may be one now
    return np.int64(n), ended


@inside
def end_era(row: Number, found: Number, seen: np.ndarray, era: np.ndarray, eras: np.ndarray, ended: Number) -> Number:
    """End the era before `row`; the firsts found so far are its own. Returns the number of eras ended."""
    eras[ended, END_ROW] = row
    eras[ended, END_FIRST] = found
    era[0] += 1
    if era[0] > LAST_ERA:
        seen[:] = 0
        era[0] = 1
    return ended + 1


@inside
def count_insns(
    forms: np.ndarray, insns: np.ndarray, start: Number, before: Number, after: Number, eras: np.ndarray, first: Number,
    ended: Number
) -> None:  # fmt: skip
    """Write, of the eras from `first` on, how many guest instructions the trace had by their end: `before` up to row
    `start`, which is that of `forms`, and `after` at their end."""
    row, end = start, start + len(forms)
    for at in range(first, ended):
        if eras[at, END_ROW] == end:
            before = after
        else:
            for i in range(row - start, eras[at, END_ROW] - start):
                before += np.int64(insns[i]) * np.int64(is_block(forms[i]))
        row = eras[at, END_ROW]
        eras[at, END_INSNS] = before
