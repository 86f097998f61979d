"""The loops of the importers of Dinero's texts, din and xdin: from bytes to events."""

import numpy as np

from mmuexp.guest import PAGE_BITS, PAGE_BYTES
from mmuexp.native.jitcache import guarded, inside, kept
from mmuexp.trace.importers import text_scan as scan
from mmuexp.trace.importers.rows_scan import FLUSH, FLUSH_PAGE, INSTRUCTION, OPEN, READ, WRITE

NEXT_PAGE, PAGES_LEFT = scan.OWN, scan.OWN + 1  # of a `v` that drops more pages than there was room for
MANY_PAGES = scan.FIRST_OWN  # why a line is refused
MOST_PAGES = 1 << 20  # that one line may drop: 4 GiB
NOTHING, DROP = 98, 99  # kinds that are not an event's: what has no row, what drops pages


@inside
def _din(data, at, end):
    """(kind, address, size, whether it is well-formed) of a line of din."""
    label = np.int64(data[at]) - 48
    good = 0 <= label <= 5 and at + 1 < end and scan.is_blank(data, at + 1)
    start = scan.skip_blanks(data, at + 1, end)
    address, after = scan.hexadecimal(data, start, end)
    good = good and after > start and (after == end or scan.is_blank(data, after))
    kind = NOTHING
    if label < 3:
        kind = OPEN if label == 2 else WRITE if label == 1 else READ
    return kind, address, np.int64(0), good


@inside
def _xdin(data, at, end):
    """(kind, address, size, whether it is well-formed) of a line of xdin. The size is hexadecimal."""
    letter, kind = data[at] | 32, -1
    if letter == 114:  # r
        kind = READ
    elif letter == 119:  # w
        kind = WRITE
    elif letter == 105:  # i
        kind = INSTRUCTION
    elif letter == 118:  # v
        kind = DROP
    elif letter == 109 or letter == 99:  # m, c
        kind = NOTHING
    good = kind >= 0 and at + 1 < end and scan.is_blank(data, at + 1)
    start = scan.skip_blanks(data, at + 1, end)
    address, after = scan.hexadecimal(data, start, end)
    good = good and after > start and after < end and scan.is_blank(data, after)
    start = scan.skip_blanks(data, after, end)
    size, after = scan.hexadecimal(data, start, end)
    return kind, address, size, good and after > start and (after == end or scan.is_blank(data, after))


@inside
def _drop_pages(events, state):
    """Add an event for each page that is to be dropped, as long as there is room."""
    while state[PAGES_LEFT] > 0 and scan.has_room(events, state):
        scan.put(np.uint8(FLUSH_PAGE), state[NEXT_PAGE], np.int32(0), events, state)
        state[NEXT_PAGE] += PAGE_BYTES
        state[PAGES_LEFT] -= 1


@inside
def _drop(address, size, events, state):
    """Begin what `v` does: everything, or each page of a range. Returns why it is refused, or 0."""
    if size == 0:
        if address == 0:
            scan.put(np.uint8(FLUSH), np.int64(0), np.int32(0), events, state)
        else:
            state[scan.LEFT] += 1  # a range of no bytes
        return 0
    pages = ((np.uint64(size) - np.uint64(1)) >> np.uint64(PAGE_BITS)) + np.uint64(1)
    if pages > np.uint64(MOST_PAGES):
        return MANY_PAGES
    within = address & (PAGE_BYTES - 1)
    state[NEXT_PAGE] = address - within
    state[PAGES_LEFT] = (within + size - 1 >> PAGE_BITS) + 1
    return 0


@guarded()
@kept
def parse(data, final, events, state, threads, extended):
    """Put the events of the lines of `data` into `events`. Returns (bytes consumed, why), as text_scan.py says."""
    at, length = 0, len(data)
    while scan.has_room(events, state):
        _drop_pages(events, state)
        if at >= length or not scan.has_room(events, state):
            break
        end, after = scan.line_end(data, at, length)
        if after == 0 and not final:
            break
        here = scan.skip_blanks(data, at, end)
        if here < end and data[here] != scan.HASH:
            kind, address, size, good = _xdin(data, here, end) if extended else _din(data, here, end)
            if good:
                place, wanted = scan.turn(np.int64(scan.NO_THREAD), events, state, threads)
                state[scan.OPEN_END] = after == 0
                if kind == NOTHING:
                    state[scan.LEFT] += 1
                elif kind == DROP:
                    why = _drop(address, size, events, state)
                    if why:
                        return at, why
                else:
                    scan.take(kind, address, scan.size_of(size), place, wanted, events, state, threads)
            elif state[scan.SKIP] == 0:
                return at, scan.MALFORMED
            else:
                state[scan.FOREIGN] += 1
        at = after if after else length
        state[scan.LINE] += 1
    return at, 0
