"""The loop of the pinatrace importer: from bytes to events."""

import numpy as np

from mmuexp.native.jitcache import guarded, inside, kept
from mmuexp.trace.importers import text_scan as scan
from mmuexp.trace.importers.rows_scan import READ, WRITE

VALUES = scan.OWN  # whether lines have values: then a read without one is a prefetch
COLON, SEMICOLON = 58, 59
END_MARK, TID = np.frombuffer(b"eof", np.uint8), np.frombuffer(b"tid:", np.uint8)


@inside
def _thread(data, at, end):
    """(thread, whether it is well-formed) of what may stand behind an access: nothing, or `; TID: 3`."""
    if at == end:
        return np.int64(scan.NO_THREAD), True
    at = scan.skip_blanks(data, at + 1, end) if data[at] == SEMICOLON else end
    if not scan.begins(data, at, end, TID):
        return np.int64(scan.NO_THREAD), False
    start = scan.skip_blanks(data, at + len(TID), end)
    thread, after = scan.decimal(data, start, end)
    return thread, after > start and after == end and thread >= 0


@inside
def _line(data, at, end):
    """(kind, address, size, whether a value stands there, thread, whether it is well-formed) of a line."""
    kind, address, size, thread, valued = np.uint8(READ), np.int64(0), np.int64(0), np.int64(scan.NO_THREAD), False
    _, here = scan.hexadecimal(data, at, end)
    good = here > at and here < end and data[here] == COLON
    if good:
        here = scan.skip_blanks(data, here + 1, end)
        good = here + 1 < end and scan.is_blank(data, here + 1) and (data[here] == 82 or data[here] == 87)
    if good:
        kind = np.uint8(READ if data[here] == 82 else WRITE)
        start = scan.skip_blanks(data, here + 1, end)
        address, here = scan.hexadecimal(data, start, end)
        good = here > start and (here == end or scan.is_blank(data, here) or data[here] == SEMICOLON)
    if good:
        start = scan.skip_blanks(data, here, end)
        size, here = scan.decimal(data, start, end)
        good = here == end or scan.is_blank(data, here) or data[here] == SEMICOLON
    if good:
        start = here = scan.skip_blanks(data, here, end)
        while here < end and not scan.is_blank(data, here) and data[here] != SEMICOLON:
            here += 1
        valued = here > start
        thread, good = _thread(data, scan.skip_blanks(data, here, end), end)
    return kind, address, size, valued, thread, good


@inside
def _take(data, at, end, open_end, events, state, threads):
    """Take what a line tells, as `each_line` has it."""
    here = scan.skip_blanks(data, at, end)
    if here == end:
        return 0
    if data[here] == scan.HASH:
        state[scan.ENDED] |= scan.begins(data, here + 1, end, END_MARK)
        return 0
    kind, address, size, valued, thread, good = _line(data, here, end)
    if not good:
        return scan.MALFORMED
    place, wanted = scan.turn(thread, events, state, threads)
    if place < 0:
        return scan.CROWDED
    state[VALUES] |= valued
    state[scan.ENDED], state[scan.OPEN_END] = 0, open_end
    if kind == READ and state[VALUES] and not valued:
        state[scan.LEFT] += wanted
    else:
        scan.take(kind, address, scan.size_of(size), place, wanted, events, state, threads)
    return 0


@guarded()
@kept
def parse(data, final, events, state, threads):
    """Put the events of the lines of `data` into `events`. Returns (bytes consumed, why), as text_scan.py says."""
    return scan.each_line(_take, data, final, events, state, threads)
