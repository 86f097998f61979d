"""The loops that make rows of what importers read: runs of instructions, records of at most 64 bytes, moved regions.

An importer gives *events*, one for each instruction and access: a kind, an address (an int64 bit pattern of 64 bits), a
size. Where a format tells no lengths of instructions, it gives OPEN events, and `resolve` finds the lengths.
"""

from typing import NamedTuple

import numpy as np

from mmuexp.guest import MAX_ACCESS_BYTES, PAGE_MASK, USER, WIDE_BITS
from mmuexp.native.jitcache import guarded, kept

# What an event is. LAST is an instruction after which the run ends; at END it ends, too. OPEN and OPEN_TAKEN are
# instructions of unknown length, the latter branches that were taken. Data of size 0 is of unknown size.
INSTRUCTION, READ, WRITE, MODIFY, LAST, END, FLUSH, FLUSH_PAGE, OPEN, OPEN_TAKEN = range(10)

LONGEST_INSTRUCTION = 15
MAX_RECORD_BYTES = 65535
MAX_CODE_BYTES = 4096
MAX_RUN_INSNS, MAX_RUN_BYTES = 64, 8192
SMALL_BITS = 24  # the smallest regions that can be moved
MOST_REGIONS = 1 << 16
HASHED = 1 << 18

# Places in `state`, carried over calls.
EXEC_ROW, RUN_AT, RUN_BYTES, RUN_INSNS, NEXT, JOINS, SPLIT, CUT, UNKNOWN_SIZES = range(9)
REGIONS, SMALL, LAST_SMALL, LAST_SLOT = range(9, 13)
STATE_WORDS = 13

# Why an event is refused.
WIDE, CROWDED, LONG, EMPTY = 1, 2, 3, 4


class Regions(NamedTuple):
    """Regions that were touched: hash tables of their numbers plus 1, those that are moved, and small ones."""

    moved: np.ndarray  # int64[HASHED]
    ranks: np.ndarray  # int32[HASHED], in order of first touch
    small: np.ndarray  # int64[HASHED], of 2**SMALL_BITS bytes
    slots: np.ndarray  # int32[HASHED], where a small one went
    origins: np.ndarray  # int64[256], number of the region that is in a slot


@guarded()
@kept
def resolve(kinds, addresses, sizes, count, final):
    """Give each OPEN event its length, by the instruction after it. Returns how many events are ready: all if `final`,
    else those before the last instruction, whose length the next one will tell."""
    ready, after = count, -1
    for index in range(count - 1, -1, -1):
        kind = kinds[index]
        if kind == END:
            after = -2
        if kind in (OPEN, OPEN_TAKEN):
            if after == -1 and not final:
                ready = index
            else:
                length = addresses[after] - addresses[index] if after >= 0 else 0
                follows = kind == OPEN and 1 <= length <= LONGEST_INSTRUCTION
                kinds[index], sizes[index] = (INSTRUCTION, length) if follows else (LAST, 1)
            after = index
        elif kind in (INSTRUCTION, LAST):
            after = index
    return ready


@kept
def _rank(table, ranks, number, count):
    """(place of a number in a hash table, whether it is new there). The place is -1 where the table is full."""
    place = np.int64((np.uint64(number) * np.uint64(0x9E3779B97F4A7C15)) >> np.uint64(46))
    while table[place] != 0:
        if table[place] == number + 1:
            return place, False
        place = (place + 1) & (HASHED - 1)
    if count >= MOST_REGIONS:
        return -1, False
    table[place], ranks[place] = number + 1, count
    return place, True


@kept
def _slot(address, bits, state, regions):
    """The slot of an address's region; one that is too large where all are taken, -1 where there are far too many."""
    small = (address >> SMALL_BITS) & ((1 << (64 - SMALL_BITS)) - 1)
    if small == state[LAST_SMALL]:
        return state[LAST_SLOT]
    place, new = _rank(regions.small, regions.slots, small, state[SMALL])
    if place < 0:
        return -1
    if new:
        state[SMALL] += 1
        region = (address >> bits) & ((np.int64(1) << (64 - bits)) - 1)
        other, first = _rank(regions.moved, regions.ranks, region, state[REGIONS])
        if first:
            if state[REGIONS] < len(regions.origins):
                regions.origins[state[REGIONS]] = region
            state[REGIONS] += 1
        regions.slots[place] = regions.ranks[other]
    state[LAST_SMALL], state[LAST_SLOT] = small, regions.slots[place]
    return state[LAST_SLOT]


@kept
def _place(address, size, bits, state, regions):
    """Where an event's first byte goes, and how many of its bytes follow it there. (0, -why) if refused."""
    if bits == WIDE_BITS:
        return address, size
    if not bits:
        if (address >> 32) != 0:
            return 0, -WIDE
        return address, size  # a 32-bit guest's addresses wrap
    slots = np.int64(1) << (32 - bits)
    slot = _slot(address, bits, state, regions)
    if slot < 0 or slot >= slots:
        return 0, -CROWDED
    low = address & ((np.int64(1) << bits) - 1)
    fits = (np.int64(1) << bits) - low
    if size > fits:
        high = _slot(address + fits, bits, state, regions)
        if high < 0 or high >= slots:
            return 0, -CROWDED
        if high == (slot + 1) % slots:  # its neighbour in the guest too
            fits = size
    return (slot << bits) | low, min(size, fits)


@kept
def end_run(state, out_size, out_insns):
    """The run is over: its EXEC row is told what it holds."""
    if state[EXEC_ROW] >= 0:
        out_size[state[EXEC_ROW]] = state[RUN_BYTES]
        out_insns[state[EXEC_ROW]] = state[RUN_INSNS]
        state[EXEC_ROW] = -1
    state[JOINS] = 0


@kept
def _follows(address, size, state):
    """Is this instruction the run's next one, within a small region? Then nothing else needs to be looked at."""
    low = address & ((1 << SMALL_BITS) - 1)
    return (
        state[JOINS] != 0
        and address == state[NEXT]
        and 0 < size <= LONGEST_INSTRUCTION
        and low != 0
        and low + size <= 1 << SMALL_BITS
        and state[RUN_INSNS] < MAX_RUN_INSNS
        and (state[RUN_AT] & PAGE_MASK) + state[RUN_BYTES] + size <= MAX_RUN_BYTES
    )


@kept
def _add_code(kind, address, left, bits, state, regions, out, row):
    """Add an instruction to the run, or begin one with it. Returns the rows in `out`, or -why."""
    if left > MAX_CODE_BYTES or left <= 0:
        return -LONG if left else -EMPTY
    at, part = _place(address, left, bits, state, regions)
    if part < 0:
        return part
    joins = state[JOINS] != 0 and address == state[NEXT] and state[RUN_INSNS] < MAX_RUN_INSNS
    if joins:
        joins = (state[RUN_AT] & PAGE_MASK) + state[RUN_BYTES] + left <= MAX_RUN_BYTES
        joins = joins and (state[RUN_AT] + state[RUN_BYTES]) & (-1 if bits == WIDE_BITS else 0xFFFFFFFF) == at
    count = 1
    state[NEXT] = (address + left) & (-1 if bits else 0xFFFFFFFF)
    state[CUT] += part < left
    while left:
        if not joins:
            end_run(state, out.size, out.insns)
            state[EXEC_ROW], state[RUN_AT], state[RUN_BYTES], state[RUN_INSNS] = row, at, 0, 0
            out.vaddr[row], out.op[row], out.flags[row] = at, 2, USER
            row += 1
        state[RUN_BYTES] += part
        state[RUN_INSNS] += count
        left -= part
        if left:  # the other side of a region's end lies elsewhere: code bytes of an instruction counted before
            address += part
            at, part = _place(address, left, bits, state, regions)
            joins, count = False, 0
    state[JOINS] = kind == INSTRUCTION
    return row


@kept
def _add_data(kind, address, left, bits, state, regions, out, row):
    """Add the rows of an access. Returns the rows in `out`, or -why."""
    if left > MAX_RECORD_BYTES or left < 0:
        return -LONG
    at, part = _place(address, left, bits, state, regions)
    if part < 0:
        return part
    position = state[RUN_INSNS] if state[EXEC_ROW] >= 0 else 0
    state[SPLIT] += left > MAX_ACCESS_BYTES
    state[CUT] += part < left
    for op in range(2):
        if kind != MODIFY and kind != READ + op:
            continue
        done = 0
        while done < left:
            at, part = _place((address + done) & (-1 if bits else 0xFFFFFFFF), left - done, bits, state, regions)
            part = min(part, MAX_ACCESS_BYTES)
            out.vaddr[row], out.size[row], out.insns[row] = at, part, position
            out.op[row], out.flags[row] = op, USER
            row += 1
            done += part
    return row


@guarded(_rank, _slot, _place, end_run, _follows, _add_code, _add_data)
@kept
def to_rows(kinds, addresses, sizes, start, count, unknown, bits, state, regions, out, row):
    """Turn events from `start` to `count` into rows of `out` from `row` on. Returns (events consumed, rows, why).

    An EXEC row stands before its run's data and gets its size when the run ends: rows from state[EXEC_ROW] on are not
    final. Stops early when `out` might not hold another event. `unknown` is the size of data whose size is not known.
    `bits` are those of an address that stay when regions are moved into 4 GiB; WIDE_BITS: all of them stay, and none is
    moved; 0: none is moved, and what does not fit into 32 bits is refused.
    """
    room = len(out.op) - 2 * (MAX_RECORD_BYTES // MAX_ACCESS_BYTES + 4)
    for index in range(start, count):
        if row > room:
            if state[EXEC_ROW] == 0 and row > 1:  # a run that fills all of `out`: no program's, but it must end
                end_run(state, out.size, out.insns)
            return index, row, 0
        kind, address, size = kinds[index], addresses[index], np.int64(sizes[index])
        if size == 0 and kind in (READ, WRITE, MODIFY):
            state[UNKNOWN_SIZES] += 1
            size = unknown
        if kind == INSTRUCTION and _follows(address, size, state):
            state[RUN_BYTES] += size
            state[RUN_INSNS] += 1
            state[NEXT] = (address + size) & (-1 if bits else 0xFFFFFFFF)
            after = row
        elif kind in (INSTRUCTION, LAST):
            after = _add_code(kind, address, size, bits, state, regions, out, row)
        elif (
            kind in (READ, WRITE)
            and 0 < size <= MAX_ACCESS_BYTES
            and (bits == WIDE_BITS or (bits == 0 and (address >> 32) == 0))
        ):  # nothing else needs to be looked at
            out.vaddr[row], out.size[row], out.op[row], out.flags[row] = address, size, kind - READ, USER
            out.insns[row] = state[RUN_INSNS] if state[EXEC_ROW] >= 0 else 0
            after = row + 1
        elif kind == END:
            end_run(state, out.size, out.insns)
            after = row
        elif kind in (FLUSH, FLUSH_PAGE):
            at, part = np.int64(0), np.int64(1)
            if kind == FLUSH_PAGE:
                at, part = _place(address, part, bits, state, regions)
            after = part if part < 0 else row + 1
            if part >= 0:
                out.vaddr[row], out.size[row], out.insns[row] = at, 0, 0
                out.op[row], out.flags[row] = kind - FLUSH + 3, USER
        else:
            after = _add_data(kind, address, size, bits, state, regions, out, row)
        if after < 0:
            return index, row, -after
        row = after
    return count, row, 0


@guarded(_rank, _slot)
@kept
def count_regions(kinds, addresses, sizes, count, bits, state, regions):
    """Count the regions that these events touch, once there are too many to move. False where it stops counting."""
    for index in range(count):
        if kinds[index] == END or kinds[index] == FLUSH:
            continue
        if _slot(addresses[index], bits, state, regions) < 0:
            return False
        last = addresses[index] + max(np.int64(sizes[index]), 1) - 1
        if _slot(last, bits, state, regions) < 0:
            return False
    return True
