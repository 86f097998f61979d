"""The loop of the lackey importer: from bytes to events."""

import numpy as np

from mmuexp.native.jitcache import guarded, inside, kept
from mmuexp.trace.importers import text_scan as scan
from mmuexp.trace.importers.rows_scan import INSTRUCTION, MODIFY, READ, WRITE

PID, BANNERS = scan.OWN, scan.OWN + 1  # the process that valgrind's own lines name, and how many there were
THIRD_COLUMN, TWO_PROCESSES, PAGES = range(scan.FIRST_OWN, scan.FIRST_OWN + 3)  # why a line is refused
REMARK = -2  # a kind that is not a kind: valgrind's own line, or the address of a superblock

MOST_ADDRESS_DIGITS, MOST_SIZE_DIGITS = 16, 6
COMMA, X = 44, 120
EXIT = np.frombuffer(b" exit code:", np.uint8)  # which lackey prints at last


@inside
def _kind(data, at, end):
    """The kind of a line by its first three characters: of a record, REMARK, or -1."""
    if end - at < 4 or data[at + 2] != scan.BLANK:
        return -1
    first, second = data[at], data[at + 1]
    if first == 73 and second == scan.BLANK:  # I
        return INSTRUCTION
    if first == 83 and second == 66:  # SB
        return REMARK
    if first == scan.BLANK and second == 76:  # L
        return READ
    if first == scan.BLANK and second == 83:  # S
        return WRITE
    return MODIFY if first == scan.BLANK and second == 77 else -1  # M


@inside
def _record(data, at, end, state):
    """(kind, address, size, why) of a line that begins as no remark does."""
    kind = _kind(data, at, end)
    here = at + 3
    if kind == -1:  # a page list has one blank at most before and behind its letter
        here = at + 1 if data[at] == scan.BLANK else at
        if end - here < 3 or data[here + 1] != scan.BLANK or data[here] not in (73, 76, 83, 77):
            return -1, np.int64(0), np.int64(0), scan.MALFORMED
        here += 2
    address, after = scan.hexadecimal(data, here, end)
    if not 1 <= after - here <= MOST_ADDRESS_DIGITS or (after > here + 1 and data[here + 1] | 32 == X):
        return kind, address, np.int64(0), scan.MALFORMED
    if kind == REMARK:
        return kind, address, np.int64(0), scan.MALFORMED if after != end else 0
    if after == end:
        return kind, address, np.int64(0), scan.MALFORMED if state[scan.ACCESSES] + state[scan.INSTRUCTIONS] else PAGES
    size, here = np.int64(0), after
    if data[after] == COMMA:
        size, here = scan.decimal(data, after + 1, end)
    if kind == -1 or size <= 0 or here - after > 1 + MOST_SIZE_DIGITS:
        return kind, address, size, scan.MALFORMED
    if here < end:
        return kind, address, size, THIRD_COLUMN if scan.is_blank(data, here) or data[here] == COMMA else scan.MALFORMED
    return kind, address, size, 0


@inside
def _process(data, at, end):
    """(process, first byte behind it) of valgrind's own line ==PID==, --PID-- or **PID**, a time before the number or
    not. The process is -1 for any other line."""
    mark = data[at]
    if end - at < 5 or data[at + 1] != mark or (mark != 61 and mark != 45 and mark != 42):
        return np.int64(-1), at
    here, process = at + 2, np.int64(-1)
    while here < end and (48 <= data[here] <= 58 or data[here] == 46 or data[here] == scan.BLANK):
        digit = np.int64(data[here]) - 48
        is_digit = 0 <= digit <= 9  # else : . or a blank
        process = (max(process, np.int64(0)) * 10 + digit) & 0xFFFFFFFFFFFF if is_digit else np.int64(-1)
        here += 1
    if process < 0 or here + 1 >= end or data[here] != mark or data[here + 1] != mark:
        return np.int64(-1), at
    return process, here + 2


@inside
def _line(data, at, end, state):
    """(kind, address, size, why) of a line that is not empty."""
    process, after = _process(data, at, end)
    if process < 0:
        return _record(data, at, end, state)
    why = TWO_PROCESSES if state[BANNERS] and state[PID] != process else 0
    if why == 0:
        state[PID] = process
        state[BANNERS] += 1
        state[scan.ENDED] |= scan.begins(data, after, end, EXIT)
    return REMARK, np.int64(0), np.int64(0), why


@inside
def _take(data, at, end, open_end, events, state, threads):
    """Take what a line tells, as `each_line` has it."""
    if end == at:
        return 0
    kind, address, size, why = _line(data, at, end, state)
    if why == 0:
        state[scan.OPEN_END] = open_end
        if kind != REMARK:
            place, wanted = scan.turn(np.int64(scan.NO_THREAD), events, state, threads)
            scan.take(kind, address, scan.size_of(size), place, wanted, events, state, threads)
    return why


@guarded()
@kept
def parse(data, final, events, state, threads):
    """Put the events of the lines of `data` into `events`. Returns (bytes consumed, why), as text_scan.py says."""
    return scan.each_line(_take, data, final, events, state, threads)
