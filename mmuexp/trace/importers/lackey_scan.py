"""The loops of the lackey importer: bytes to records, records to rows.

A record is a line's kind, address and size. Addresses are int64 bit patterns; lackey prints up to 64 bits.
"""

import numpy as np

from mmuexp.guest import MAX_ACCESS_BYTES, USER
from mmuexp.native.jitcache import guarded, kept

INSTRUCTION, READ, WRITE, MODIFY = 0, 1, 2, 3
MAX_RECORD_BYTES = 65535
MAX_BLOCK_INSNS = 64
REGION_BITS = 28  # --rebase moves regions of 256 MiB
SLOTS = 16

# Places in `state`, carried over calls.
EXEC_ROW, BLOCK_AT, BLOCK_BYTES, BLOCK_INSNS, NEXT, SPLIT, CUT, REGIONS = range(8)
STATE_WORDS = 8

# Why a record is refused.
MALFORMED, WIDE, CROWDED, LONG = 1, 2, 3, 4


@guarded()
@kept
def parse(data, length, final, kinds, addresses, sizes, lines):
    """Records of data[:length]. Returns (records, bytes consumed, lines consumed, why).

    A line that does not end here is left for the next call, unless `final`. `lines` gets each record's line, from 0.
    When refused, the offending line is the first one not consumed.
    """
    records = at = line = 0
    while at < length:
        end = at
        while end < length and data[end] != 10:
            end += 1
        if end == length and not final:
            break
        after = end + 1
        if end > at and data[end - 1] == 13:
            end -= 1
        first = data[at] if end > at else 0
        if end == at or (end - at >= 2 and first == data[at + 1] and (first == 61 or first == 45 or first == 42)):
            at, line = after, line + 1  # nothing, or valgrind's own ==PID==, --PID--, **PID**
            continue
        kind = -1
        if end - at > 3 and data[at + 2] == 32:
            second = data[at + 1]
            if first == 73 and second == 32:
                kind = INSTRUCTION
            elif first == 32 and second == 76:
                kind = READ
            elif first == 32 and second == 83:
                kind = WRITE
            elif first == 32 and second == 77:
                kind = MODIFY
        if kind < 0:
            return records, at, line, MALFORMED
        here = at + 3
        address, digits = np.int64(0), 0
        while here < end:
            byte = np.int64(data[here])
            if 48 <= byte <= 57:
                digit = byte - 48
            elif 97 <= byte <= 102:
                digit = byte - 87
            elif 65 <= byte <= 70:
                digit = byte - 55
            else:
                break
            address = (address << 4) | digit
            digits += 1
            here += 1
        if not 1 <= digits <= 16 or here >= end or data[here] != 44:
            return records, at, line, MALFORMED
        here += 1
        size, digits = np.int64(0), 0
        while here < end and 48 <= data[here] <= 57 and digits < 6:
            size = size * 10 + np.int64(data[here]) - 48
            digits += 1
            here += 1
        if here != end or size == 0:
            return records, at, line, MALFORMED
        kinds[records], addresses[records], sizes[records], lines[records] = kind, address, size, line
        records += 1
        at, line = after, line + 1
    return records, min(at, length), line, 0


@kept
def _slot(address, state, regions):
    """The slot of an address's region, a new one if need be; -1 when all are taken."""
    region = (address >> REGION_BITS) & ((1 << 36) - 1)
    for slot in range(state[REGIONS]):
        if regions[slot] == region:
            return slot
    if state[REGIONS] == SLOTS:
        return -1
    regions[state[REGIONS]] = region
    state[REGIONS] += 1
    return state[REGIONS] - 1


@kept
def _place(address, size, rebase, state, regions):
    """Where a record's first byte goes, and how many of its bytes follow it there. (-why, 0) if refused."""
    if not rebase:
        if (address >> 32) != 0:
            return -WIDE, 0
        return address, size  # a 32-bit guest's addresses wrap
    slot = _slot(address, state, regions)
    if slot < 0:
        return -CROWDED, 0
    low = address & ((1 << REGION_BITS) - 1)
    fits = (1 << REGION_BITS) - low
    if size > fits:
        high = _slot(address + fits, state, regions)
        if high < 0:
            return -CROWDED, 0
        if high == (slot + 1) % SLOTS:  # its neighbour in the guest too
            fits = size
    return (slot << REGION_BITS) | low, min(size, fits)


@kept
def _end_block(state, out_size, out_insns):
    if state[EXEC_ROW] >= 0:
        out_size[state[EXEC_ROW]] = state[BLOCK_BYTES]
        out_insns[state[EXEC_ROW]] = state[BLOCK_INSNS]
        state[EXEC_ROW] = -1


@guarded(_slot, _place, _end_block)
@kept
def to_rows(kinds, addresses, sizes, start, records, rebase, state, regions, out, row):
    """Turn records[start:] into rows of `out` from `row` on. Returns (records consumed, rows in `out`, why).

    An EXEC row stands before its block's data and gets its size when the block ends: rows from state[EXEC_ROW] on are
    not final. Stops early when `out` might not hold another record.
    """
    out_vaddr, _, out_size, out_insns, out_op, out_flags = out
    wrap = np.int64(-1 if rebase else 0xFFFFFFFF)
    room = len(out_op) - 2 * (MAX_RECORD_BYTES // MAX_ACCESS_BYTES + 4)
    for index in range(start, records):
        if row > room:
            if state[EXEC_ROW] == 0 and row > 1:  # a block that fills all of `out`: no program's, but it must end
                _end_block(state, out_size, out_insns)
            return index, row, 0
        kind, address, left = kinds[index], addresses[index], np.int64(sizes[index])
        if left > MAX_RECORD_BYTES or (kind == INSTRUCTION and left > 4096):
            return index, row, LONG
        at, part = _place(address, left, rebase, state, regions)
        if at < 0:
            return index, row, -at
        if kind == INSTRUCTION:
            joins = state[EXEC_ROW] >= 0 and address == state[NEXT] and state[BLOCK_INSNS] < MAX_BLOCK_INSNS
            if joins:
                joins = (state[BLOCK_AT] & 4095) + state[BLOCK_BYTES] + left <= 8192
                joins = joins and (state[BLOCK_AT] + state[BLOCK_BYTES]) & 0xFFFFFFFF == at
            count, state[NEXT] = 1, (address + left) & wrap
            state[CUT] += part < left
            while left:
                if not joins:
                    _end_block(state, out_size, out_insns)
                    state[EXEC_ROW], state[BLOCK_AT], state[BLOCK_BYTES], state[BLOCK_INSNS] = row, at, 0, 0
                    out_vaddr[row], out_op[row], out_flags[row] = at, 2, USER
                    row += 1
                state[BLOCK_BYTES] += part
                state[BLOCK_INSNS] += count
                left -= part
                if left:  # the other side of a region's end lies elsewhere: code bytes of an instruction counted before
                    address += part
                    at, part = _place(address, left, rebase, state, regions)
                    joins, count = False, 0
            continue
        position = state[BLOCK_INSNS] if state[EXEC_ROW] >= 0 else 0
        state[SPLIT] += left > MAX_ACCESS_BYTES
        state[CUT] += part < left
        for op in range(2):
            if kind != MODIFY and kind != READ + op:
                continue
            done = 0
            while done < left:
                at, part = _place((address + done) & wrap, left - done, rebase, state, regions)
                part = min(part, MAX_ACCESS_BYTES)
                out_vaddr[row], out_size[row], out_insns[row] = at, part, position
                out_op[row], out_flags[row] = op, USER
                row += 1
                done += part
    return records, row, 0
