"""The loop of the pinatrace importer: from bytes to events."""

import numpy as np

from mmuexp.native.jitcache import guarded, inside, kept
from mmuexp.trace.importers.rows_scan import READ, WRITE
from mmuexp.trace.importers.text_scan import (
    CROWDED,
    ENDED,
    FOREIGN,
    HASH,
    LEFT,
    LINE,
    MALFORMED,
    NO_THREAD,
    OPEN_END,
    OWN,
    SKIP,
    begins,
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

VALUES = OWN  # whether lines have values: then a read without one is a prefetch
COLON, SEMICOLON = 58, 59
END_MARK, TID = np.frombuffer(b"eof", np.uint8), np.frombuffer(b"tid:", np.uint8)


@inside
def _thread(data, at, end):
    """(thread, whether it is well-formed) of what may stand behind an access: nothing, or `; TID: 3`."""
    if at == end:
        return np.int64(NO_THREAD), True
    at = skip_blanks(data, at + 1, end) if data[at] == SEMICOLON else end
    if not begins(data, at, end, TID):
        return np.int64(NO_THREAD), False
    start = skip_blanks(data, at + len(TID), end)
    thread, after = decimal(data, start, end)
    return thread, after > start and after == end and thread >= 0


@inside
def _line(data, at, end):
    """(kind, address, size, whether a value stands there, thread, whether it is well-formed) of a line."""
    kind, address, size, thread, valued = np.uint8(READ), np.int64(0), np.int64(0), np.int64(NO_THREAD), False
    _, here = hexadecimal(data, at, end)
    good = here > at and here < end and data[here] == COLON
    if good:
        here = skip_blanks(data, here + 1, end)
        good = here + 1 < end and is_blank(data, here + 1) and (data[here] == 82 or data[here] == 87)
    if good:
        kind = np.uint8(READ if data[here] == 82 else WRITE)
        start = skip_blanks(data, here + 1, end)
        address, here = hexadecimal(data, start, end)
        good = here > start and (here == end or is_blank(data, here) or data[here] == SEMICOLON)
    if good:
        start = skip_blanks(data, here, end)
        size, here = decimal(data, start, end)
        good = here == end or is_blank(data, here) or data[here] == SEMICOLON
    if good:
        start = here = skip_blanks(data, here, end)
        while here < end and not is_blank(data, here) and data[here] != SEMICOLON:
            here += 1
        valued = here > start
        thread, good = _thread(data, skip_blanks(data, here, end), end)
    return kind, address, size, valued, thread, good


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
        if here < end and data[here] == HASH:
            state[ENDED] |= begins(data, here + 1, end, END_MARK)
        elif here < end:
            kind, address, size, valued, thread, good = _line(data, here, end)
            if good:
                place, wanted = turn(thread, events, state, threads)
                if place < 0:
                    return at, CROWDED
                state[VALUES] |= valued
                state[ENDED], state[OPEN_END] = 0, after == 0
                if kind == READ and state[VALUES] and not valued:
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
