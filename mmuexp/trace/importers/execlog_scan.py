"""The loop of the importer of QEMU's execlog plugin: from bytes to events."""

import numpy as np

from mmuexp.native.jitcache import guarded, inside, kept
from mmuexp.trace.importers import text_scan as scan
from mmuexp.trace.importers.rows_scan import OPEN, READ, WRITE

# Why a line is refused: its addresses are physical; never: it is too long.
PHYSICAL, FULL = scan.FIRST_OWN, scan.FIRST_OWN + 1
# Places in `state`, while a long line is gone through: a `rep` has all its accesses on one line, of many MB perhaps.
# Whether it is; its thread's place, whether it is wanted; the kind of the access whose address follows, or 0; whether
# the field before was an address.
LONG, PLACE, WANTED_NOW, COMING, TOLD = range(scan.OWN, scan.OWN + 5)
LONG_BYTES = 1 << 16
COMMA, QUOTE, MINUS, GREATER = 44, 34, 45, 62
LOAD, STORE = np.frombuffer(b"load", np.uint8), np.frombuffer(b"store", np.uint8)


@inside
def _after_comma(data, at, end):
    """Where the next field begins, behind a comma and blanks; `at` if there is none."""
    return scan.skip_blanks(data, at + 1, end) if at < end and data[at] == COMMA else at


@inside
def _head(data, at, end):
    """(vCPU, address, where the disassembly ends, whether it is well-formed) of a line."""
    vcpu, here = scan.decimal(data, at, end)
    start = _after_comma(data, here, end)
    good = here > at and start > here
    address, here = scan.hexadecimal(data, start, end)
    good = good and here > start
    start = _after_comma(data, here, end)
    good = good and start > here
    _, here = scan.hexadecimal(data, start, end)
    good = good and here > start
    start = _after_comma(data, here, end)
    good = good and start > here and start < end and data[start] == QUOTE
    stop = start + 1
    while stop < end and data[stop] != QUOTE:
        stop += 1
    return vcpu, address, stop + 1, good and stop < end


@inside
def _field_end(data, at, end):
    while at < end and data[at] != COMMA:
        at += 1
    return at


@inside
def _is_register(data, at, end):
    """Is this `REG -> 0xVALUE`?"""
    found = False
    for place in range(at, end - 1):
        found = found or (data[place] == MINUS and data[place + 1] == GREATER)
    return found


@inside
def _accesses(data, at, end, events, first):
    """Write what stands behind the disassembly to `events` from `first` on. Returns (where they end, why it is refused
    or 0); state knows nothing of them yet."""
    told, stop = False, first  # whether the field before was an address
    while at < end:
        start = _after_comma(data, at, end)
        if start == at:
            return stop, scan.MALFORMED
        if stop + 1 >= len(events.kinds):
            return stop, FULL
        at = _field_end(data, start, end)
        load, store = scan.word_is(data, start, at, LOAD), scan.word_is(data, start, at, STORE)
        if load or store:
            start = _after_comma(data, at, end)
            address, after = scan.hexadecimal(data, start, end)
            if start == at or after == start or (after < end and data[after] != COMMA):
                return stop, scan.MALFORMED
            at, told = after, True
            events.kinds[stop], events.addresses[stop] = (WRITE if store else READ), address
            stop += 1
        elif _is_register(data, start, at):
            told = False
        else:
            return stop, PHYSICAL if told and at > start else scan.MALFORMED
    return stop, 0


@inside
def _long_field(data, start, stop, events, state, threads):
    """Take what a field of a long line tells. Returns why it is refused, or 0."""
    end = stop
    while end > start and (scan.is_blank(data, end - 1) or data[end - 1] == scan.RETURN):
        end -= 1
    if state[COMING]:
        address, after = scan.hexadecimal(data, start, end)
        if after < end or end == start:
            return scan.MALFORMED
        scan.take(state[COMING], address, np.int32(0), state[PLACE], state[WANTED_NOW] != 0, events, state, threads)
        state[COMING], state[TOLD] = 0, 1
    elif scan.word_is(data, start, end, LOAD):
        state[COMING] = READ
    elif scan.word_is(data, start, end, STORE):
        state[COMING] = WRITE
    elif _is_register(data, start, end):
        state[TOLD] = 0
    else:
        return PHYSICAL if state[TOLD] and end > start else scan.MALFORMED
    return 0


@inside
def _long_line(data, at, final, events, state, threads):
    """Go on with a long line, as far as there are whole fields and room. Returns (bytes consumed, why)."""
    length = len(data)
    while scan.has_room(events, state):
        if at == length or data[at] == scan.LINE_FEED or data[at] == scan.RETURN:
            if at == length and not final:
                break
            if state[COMING]:
                return at, scan.MALFORMED
            state[LONG], state[scan.OPEN_END] = 0, at == length
            break
        start = _after_comma(data, at, length)
        stop = start
        while stop < length and data[stop] != COMMA and data[stop] != scan.LINE_FEED:
            stop += 1
        if stop == length and not final:
            break
        why = scan.MALFORMED if start == at else _long_field(data, start, stop, events, state, threads)
        if why:
            return at, why
        at = stop
    return at, 0


@guarded()
@kept
def parse(data, final, events, state, threads):
    """Put the events of the lines of `data` into `events`. Returns (bytes consumed, why), as text_scan.py says."""
    at, length = 0, len(data)
    while (at < length or (state[LONG] and final)) and scan.has_room(events, state):
        if state[LONG]:
            at, why = _long_line(data, at, final, events, state, threads)
            if why or state[LONG]:
                return at, why
        end, after = scan.line_end(data, at, length)
        if after == 0 and not final and length - at < LONG_BYTES:
            break
        here = scan.skip_blanks(data, at, end)
        if here < end:
            vcpu, address, rest, good = _head(data, here, end)
            first = state[scan.EVENTS] + 2  # behind the end of another thread's run, and the instruction
            stop, why = first, scan.MALFORMED
            if not good and after == 0 and not final:
                break
            if good:
                stop, why = _accesses(data, rest, end, events, first) if after or final else (first, FULL)
            if why == 0 or why == FULL:
                place, wanted = scan.turn(vcpu, events, state, threads)
                if place < 0:
                    return at, scan.CROWDED
                state[scan.OPEN_END] = after == 0
                scan.take(OPEN, address, np.int32(0), place, wanted, events, state, threads)
                if why == FULL:
                    state[LONG], state[PLACE], state[WANTED_NOW], state[COMING], state[TOLD] = 1, place, wanted, 0, 0
                    at = rest
                    continue
                for index in range(first, stop):
                    kind, address = events.kinds[index], events.addresses[index]
                    scan.take(kind, address, np.int32(0), place, wanted, events, state, threads)
            elif why == PHYSICAL or state[scan.SKIP] == 0:
                return at, why
            else:
                state[scan.FOREIGN] += 1
        at = after if after else length
        state[scan.LINE] += 1
    return at, 0
