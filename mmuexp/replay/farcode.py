"""Counts the accesses that code makes which did not run lately: `far_accesses`. A processor keeps what it decoded for a
while, then makes room: an access of far code takes longer, under any scheme.

An *execution* is an EXEC row with the RAM accesses up to the next one; its block is known by its address. One without
such accesses is left out. A *generation* ends with the execution that brings the accesses of blocks that are executed
in it for the first time to GENERATION. An execution is *near* if its block was executed in this generation or in the
one before, else *far*, as is each block's first. So near is what lies among the last 128 to 256 accesses of different
code. `calibrate` measures loops of 64, which this calls near, and of 512, which it calls far; the bound lies at their
geometric middle, which is 181, and no recording was asked where.

Accesses before the first EXEC row are of a block that nobody knows, and are not counted. It hangs on the rows alone.
"""

import numpy as np

from mmuexp.native.bits import count_bits, lowest_bit, lowest_bits
from mmuexp.native.jitcache import Number, inside

GENERATION = 128  # accesses
PIECE = 1 << 6  # rows that are looked at together
# A table for this generation and one for the one before, by the last bit of its number: number << 32 | address of each
# block executed in it, at most GENERATION. What another generation left there is no block: nothing is ever cleared.
SLOT_BITS = 10
SLOTS = 1 << SLOT_BITS
SPREAD = 0x4F1BBCDD  # 2**31 by the golden ratio: addresses that lie close fall apart
NUMBER_AT = 32

# State: this generation's number; accesses of new blocks in it; the far accesses so far. Of the execution at hand: is
# it its block's first in the generation, and is it far; what stands for its block, and where; its accesses
NUMBER, SUM, FAR_ACCESSES, IS_FIRST, IS_FAR, ENTRY, PLACE, ACCESSES = range(8)


def new_state() -> np.ndarray:
    """Make the state before the first row: int64[8]."""
    state = np.zeros(ACCESSES + 1, np.int64)
    state[NUMBER] = 2  # an empty table is of generation 0
    return state


def new_tables() -> np.ndarray:
    """Make the tables before any block was executed: int64[2 * SLOTS]."""
    return np.zeros(2 * SLOTS, np.int64)


@inside
def _place(tables: np.ndarray, entry: Number, slot: Number) -> Number:
    """Find where a block stands in the table of a generation, or would, if it is looked for in this slot first."""
    table = (entry >> NUMBER_AT & 1) << SLOT_BITS
    while tables[table | slot] != entry and tables[table | slot] >> NUMBER_AT == entry >> NUMBER_AT:
        slot = slot + 1 & SLOTS - 1
    return table | slot


@inside
def _rows_of(ops: np.ndarray, flags: np.ndarray, start: Number, count: Number) -> tuple[Number, Number]:
    """Tell two bits of each of `count` rows from `start` on: a block; accesses RAM. No branches: vector code."""
    u8 = np.uint64
    blocks, accesses = u8(0), u8(0)
    for j in range(u8(count)):
        op, flag = np.uint32(ops[u8(start) + j]), np.uint32(flags[u8(start) + j])
        blocks |= u8(op == np.uint32(2)) << j
        accesses |= u8((op < np.uint32(2)) & (flag & np.uint32(1) == np.uint32(0))) << j
    return blocks, accesses


@inside
def count_far(vaddrs: np.ndarray, ops: np.ndarray, flags: np.ndarray, state: np.ndarray, tables: np.ndarray) -> None:
    """Go on over these rows, which the survey accepted. Nearly no branches: who is near cannot be guessed."""
    u8 = np.uint64
    number, sum_, far = state[NUMBER], state[SUM], state[FAR_ACCESSES]
    is_first, is_far = state[IS_FIRST], state[IS_FAR]
    entry, place, made = state[ENTRY], state[PLACE], state[ACCESSES]
    rows = len(ops)
    for start in range(0, rows, PIECE):
        if rows - start >= PIECE:  # of a length that the compiler knows
            blocks, accesses = _rows_of(ops, flags, start, PIECE)
        else:
            blocks, accesses = _rows_of(ops, flags, start, rows - start)
        while blocks:
            i = lowest_bit(blocks)
            blocks &= blocks - u8(1)
            before = lowest_bits(i + u8(1))
            n = np.int64(count_bits(accesses & before))
            accesses &= ~before
            made += n
            far += is_far * n
            tables[place] = entry if made else tables[place]
            sum_ += is_first * made
            if sum_ >= GENERATION:
                number, sum_ = number + 1, 0
            vaddr = np.int64(vaddrs[u8(start) + i])
            slot = vaddr * SPREAD >> 31 - SLOT_BITS & SLOTS - 1
            entry, made = number << NUMBER_AT | vaddr, 0
            earlier = entry - (1 << NUMBER_AT)
            place = _place(tables, entry, slot)
            is_first = np.int64(tables[place] != entry)
            is_far = is_first & np.int64(tables[_place(tables, earlier, slot)] != earlier)
        n = np.int64(count_bits(accesses))
        made += n
        far += is_far * n
    state[NUMBER], state[SUM], state[FAR_ACCESSES] = number, sum_, far
    state[IS_FIRST], state[IS_FAR] = is_first, is_far
    state[ENTRY], state[PLACE], state[ACCESSES] = entry, place, made
