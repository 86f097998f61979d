"""The loop of the importer of address lists: from bytes to events."""

import numpy as np

from mmuexp.native.jitcache import guarded, inside, kept
from mmuexp.trace.importers import text_scan as scan
from mmuexp.trace.importers.rows_scan import MODIFY, READ, WRITE

# Places in `state`: how many columns there are, what they are (3 bits each), whether addresses are decimal, whether one
# had a letter or 0x.
COLUMNS, CODES, DECIMAL, LETTERS = range(scan.OWN, scan.OWN + 4)
OTHER, ADDRESS, OPERATION, THREAD, SIZE = range(5)  # what a column is
MOST_COLUMNS = 20
FETCH = 99  # a kind that is no event's: an instruction's address

COMMA, COLON, SEMICOLON, BAR = 44, 58, 59, 124


def packed(word: bytes) -> int:
    """A word of at most 8 small letters as a number."""
    return int.from_bytes(word, "big")


READS = tuple(map(packed, (b"r", b"l", b"read", b"load", b"ld")))
WRITES = tuple(map(packed, (b"w", b"s", b"write", b"store", b"st")))
FETCHES = tuple(map(packed, (b"i", b"ifetch")))
BOTH = packed(b"m")


@inside
def _is_mark(data, at):
    return data[at] == COMMA or data[at] == COLON or data[at] == SEMICOLON or data[at] == BAR


@inside
def _field_end(data, at, end):
    while at < end and not scan.is_blank(data, at) and not _is_mark(data, at):
        at += 1
    return at


@inside
def _next_field(data, at, end):
    """Where the next column begins: behind blanks, and one comma or the like."""
    at = scan.skip_blanks(data, at, end)
    if at < end and _is_mark(data, at):
        at = scan.skip_blanks(data, at + 1, end)
    return at


@inside
def _kind(data, at, end):
    """What an operation is as an event; 0 if it is not an operation."""
    word = np.int64(0)
    for place in range(at, min(end, at + 8)):
        word = (word << 8) | np.int64(data[place] | 32)
    kind = MODIFY if word == BOTH else 0
    for one in READS:
        kind = READ if word == one else kind
    for one in WRITES:
        kind = WRITE if word == one else kind
    for one in FETCHES:
        kind = FETCH if word == one else kind
    return kind if end - at <= 6 else 0


@inside
def _line(data, at, end, state):
    """(kind, address, size, thread, whether it is well-formed) of a line."""
    kind, address, size, thread, good = 0, np.int64(0), np.int64(0), np.int64(scan.NO_THREAD), True
    here = at
    for column in range(state[COLUMNS]):
        stop = _field_end(data, here, end)
        code = (state[CODES] >> 3 * column) & 7
        good = good and stop > here
        if code == ADDRESS:
            if state[DECIMAL]:
                address, after = scan.decimal(data, here, stop)
            else:
                address, after = scan.hexadecimal(data, here, stop)
                for place in range(here, after):
                    state[LETTERS] |= data[place] > 57
            good = good and after == stop
        elif code == OPERATION:
            kind = _kind(data, here, stop)
            good = good and kind != 0
        elif code == THREAD:
            thread, after = scan.decimal(data, here, stop)
            if after < stop:
                thread, after = scan.hexadecimal(data, here, stop)
            good = good and after == stop and thread >= 0
        elif code == SIZE:
            size, after = scan.decimal(data, here, stop)
            good = good and after == stop
        here = _next_field(data, stop, end)
    return kind, address, size, thread, good and here == end and (end == at or not _is_mark(data, end - 1))


@inside
def _take(data, at, end, open_end, events, state, threads):
    """Take what a line tells, as `each_line` has it."""
    here = scan.skip_blanks(data, at, end)
    if here == end or data[here] == scan.HASH:
        return 0
    kind, address, size, thread, good = _line(data, here, end, state)
    if not good:
        return scan.MALFORMED
    place, wanted = scan.turn(thread, events, state, threads)
    if place < 0:
        return scan.CROWDED
    state[scan.OPEN_END] = open_end
    if kind == FETCH:
        state[scan.LEFT] += wanted
    else:
        scan.take(kind, address, scan.size_of(size), place, wanted, events, state, threads)
    return 0


@guarded()
@kept
def parse(data, final, events, state, threads):
    """Put the events of the lines of `data` into `events`. Returns (bytes consumed, why), as text_scan.py says."""
    return scan.each_line(_take, data, final, events, state, threads)
