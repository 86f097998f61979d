"""The loop of the importer of address lists: from bytes to events."""

import numpy as np

from mmuexp.native.jitcache import guarded, inside, kept
from mmuexp.trace.importers.rows_scan import MODIFY, READ, WRITE
from mmuexp.trace.importers.text_scan import (
    CROWDED,
    FOREIGN,
    HASH,
    LEFT,
    LINE,
    MALFORMED,
    NO_THREAD,
    OPEN_END,
    OWN,
    SKIP,
    decimal,
    has_room,
    hexadecimal,
    is_blank,
    line_end,
    size_of,
    skip_blanks,
    take,
    turn,
)  # fmt: skip

# Places in `state`: how many columns there are, what they are (3 bits each), whether addresses are decimal, whether one
# had a letter or 0x.
COLUMNS, CODES, DECIMAL, LETTERS = range(OWN, OWN + 4)
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
    while at < end and not is_blank(data, at) and not _is_mark(data, at):
        at += 1
    return at


@inside
def _next_field(data, at, end):
    """Where the next column begins: behind blanks, and one comma or the like."""
    at = skip_blanks(data, at, end)
    if at < end and _is_mark(data, at):
        at = skip_blanks(data, at + 1, end)
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
    kind, address, size, thread, good = 0, np.int64(0), np.int64(0), np.int64(NO_THREAD), True
    here = at
    for column in range(state[COLUMNS]):
        stop = _field_end(data, here, end)
        code = (state[CODES] >> 3 * column) & 7
        good = good and stop > here
        if code == ADDRESS:
            if state[DECIMAL]:
                address, after = decimal(data, here, stop)
            else:
                address, after = hexadecimal(data, here, stop)
                for place in range(here, after):
                    state[LETTERS] |= data[place] > 57
            good = good and after == stop
        elif code == OPERATION:
            kind = _kind(data, here, stop)
            good = good and kind != 0
        elif code == THREAD:
            thread, after = decimal(data, here, stop)
            if after < stop:
                thread, after = hexadecimal(data, here, stop)
            good = good and after == stop and thread >= 0
        elif code == SIZE:
            size, after = decimal(data, here, stop)
            good = good and after == stop
        here = _next_field(data, stop, end)
    return kind, address, size, thread, good and here == end and (end == at or not _is_mark(data, end - 1))


@guarded()
@kept
def parse(data, final, events, state, threads):
    """Put the events of the lines of `data` into `events`. Returns (bytes consumed, why), as text_scan.py says."""
    at, length = 0, len(data)
    while at < length and has_room(events, state):
        end, after = line_end(data, at, length)
        if after == 0 and not final:
            break
        here = skip_blanks(data, at, end)
        if here < end and data[here] != HASH:
            kind, address, size, thread, good = _line(data, here, end, state)
            if good:
                place, wanted = turn(thread, events, state, threads)
                if place < 0:
                    return at, CROWDED
                state[OPEN_END] = after == 0
                if kind == FETCH:
                    state[LEFT] += wanted
                else:
                    take(kind, address, size_of(size), place, wanted, events, state, threads)
            elif state[SKIP] == 0:
                return at, MALFORMED
            else:
                state[FOREIGN] += 1
        at = after if after else length
        state[LINE] += 1
    return at, 0
