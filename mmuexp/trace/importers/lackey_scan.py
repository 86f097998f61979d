"""The loop of the lackey importer: from bytes to events. Addresses are int64 bit patterns of up to 64 bits."""

import numpy as np

from mmuexp.native.jitcache import guarded, kept
from mmuexp.trace.importers.rows_scan import INSTRUCTION, MODIFY, READ, WRITE

# Places in `state`, carried over calls.
PID, BANNERS, ENDED, FOREIGN, RECORDS = range(5)
STATE_WORDS = 5

# Why a line is refused.
MALFORMED, THIRD_COLUMN, TWO_PROCESSES, PAGES = 1, 2, 3, 4
REMARK = -2  # a kind that is not a kind: valgrind's own line, or the address of a superblock

MOST_SIZE_DIGITS = 6
BLANK, TAB, LINE_FEED, RETURN, COMMA = 32, 9, 10, 13, 44


@kept
def _hex(data, at, end):
    """(number, digits) of the hexadecimal number that begins here."""
    value, digits = np.int64(0), 0
    while at + digits < end:
        byte = np.int64(data[at + digits])
        if 48 <= byte <= 57:
            digit = byte - 48
        elif 97 <= byte <= 102:
            digit = byte - 87
        elif 65 <= byte <= 70:
            digit = byte - 55
        else:
            break
        value = (value << 4) | digit
        digits += 1
    return value, digits


@kept
def _kind(data, at, end):
    """The kind of a line by its first three characters: of a record, REMARK, or -1."""
    if end - at < 4 or data[at + 2] != BLANK:
        return -1
    first, second = data[at], data[at + 1]
    if first == 73 and second == BLANK:  # I
        return INSTRUCTION
    if first == 83 and second == 66:  # SB
        return REMARK
    if first == BLANK and second == 76:  # L
        return READ
    if first == BLANK and second == 83:  # S
        return WRITE
    return MODIFY if first == BLANK and second == 77 else -1  # M


@kept
def _record(data, at, end):
    """(kind, address, size, why) of a line that begins as no remark does."""
    kind = _kind(data, at, end)
    here = at + 3
    if kind == -1:  # a page list has one blank at most before and behind its letter
        here = at + 1 if data[at] == BLANK else at
        if end - here < 3 or data[here + 1] != BLANK or data[here] not in (73, 76, 83, 77):
            return -1, np.int64(0), np.int64(0), MALFORMED
        here += 2
    address, digits = _hex(data, here, end)
    here += digits
    if not 1 <= digits <= 16:
        return kind, address, np.int64(0), MALFORMED
    if kind == REMARK:
        return kind, address, np.int64(0), MALFORMED if here != end else 0
    if here == end:
        return kind, address, np.int64(0), PAGES
    size, digits = np.int64(0), 0
    if data[here] == COMMA:
        here += 1
        while here < end and 48 <= data[here] <= 57 and digits < MOST_SIZE_DIGITS:
            size = size * 10 + np.int64(data[here]) - 48
            digits += 1
            here += 1
    if kind == -1 or size == 0:
        return kind, address, size, MALFORMED
    if here < end:
        apart = data[here] == BLANK or data[here] == TAB or data[here] == COMMA
        return kind, address, size, THIRD_COLUMN if apart else MALFORMED
    return kind, address, size, 0


@kept
def _process(data, at, end):
    """(process, first byte behind it) of valgrind's own line ==PID==, --PID-- or **PID**, a time before the number or
    not. The process is -1 for any other line."""
    mark = data[at]
    if end - at < 5 or data[at + 1] != mark or (mark != 61 and mark != 45 and mark != 42):
        return np.int64(-1), at
    here, process = at + 2, np.int64(-1)
    while here < end and (48 <= data[here] <= 58 or data[here] == 46 or data[here] == BLANK):
        digit = np.int64(data[here]) - 48
        is_digit = 0 <= digit <= 9  # else : . or a blank
        process = (max(process, np.int64(0)) * 10 + digit) & 0xFFFFFFFFFFFF if is_digit else np.int64(-1)
        here += 1
    if process < 0 or here + 1 >= end or data[here] != mark or data[here + 1] != mark:
        return np.int64(-1), at
    return process, here + 2


@kept
def _says_end(data, at, end):
    """Is this " Exit code:", which lackey prints at last?"""
    says = (32, 69, 120, 105, 116, 32, 99, 111, 100, 101, 58)
    index = 0
    while index < len(says) and at + index < end and data[at + index] == says[index]:
        index += 1
    return index == len(says)


@kept
def _line(data, at, end, state):
    """(kind, address, size, why) of a line that is not empty."""
    process, after = _process(data, at, end)
    if process < 0:
        return _record(data, at, end)
    why = 0
    if state[BANNERS] and state[PID] != process:
        why = TWO_PROCESSES
    else:
        state[PID] = process
        state[BANNERS] += 1
        state[ENDED] |= _says_end(data, after, end)
    return REMARK, np.int64(0), np.int64(0), why


@guarded(_hex, _kind, _record, _process, _says_end, _line)
@kept
def parse(data, final, skip_foreign, state, kinds, addresses, sizes, places, events, first_line):
    """Put the events of the lines of `data` behind those that are there. Returns (events, bytes and lines consumed,
    why).

    A line that does not end here is left for the next call, unless `final`; so are all where there is no more room.
    When refused, the offending line is the first one not consumed.
    """
    at = line = 0
    length = len(data)
    while at < length and events < len(kinds):
        end = at
        while end < length and data[end] != LINE_FEED:
            end += 1
        if end == length and not final:
            break
        after = min(end + 1, length)
        while end > at and (data[end - 1] == RETURN or data[end - 1] == BLANK or data[end - 1] == TAB):
            end -= 1
        if end > at:
            kind, address, size, why = _line(data, at, end, state)
            if why == PAGES and state[RECORDS]:
                why = MALFORMED
            if why == MALFORMED and skip_foreign:
                state[FOREIGN] += 1
            elif why:
                return events, at, line, why
            elif kind >= 0:
                kinds[events], addresses[events], sizes[events], places[events] = kind, address, size, first_line + line
                events += 1
                state[RECORDS] += 1
        at, line = after, line + 1
    return events, at, line, 0
