"""The loop of the importer of QEMU's mem plugin: from bytes to events."""

import numpy as np

from mmuexp.native.jitcache import guarded, inside, kept
from mmuexp.trace.importers.rows_scan import READ, WRITE
from mmuexp.trace.importers.text_scan import (
    DIGITS,
    FIRST_OWN,
    FOREIGN,
    LINE,
    MALFORMED,
    NO_DIGIT,
    NO_THREAD,
    OPEN_END,
    OWN,
    SKIP,
    decimal,
    has_room,
    hexadecimal,
    line_end,
    size_of,
    skip_blanks,
    take,
    turn,
    word_is,
)  # fmt: skip

PHYSICAL = OWN  # how many accesses had a physical address
NO_BYTES = FIRST_OWN  # why a line is refused: its bits are not whole bytes
COMMA = 44
LOAD, STORE = np.frombuffer(b"load", np.uint8), np.frombuffer(b"store", np.uint8)
HEADER, SUMS = np.frombuffer(b"insn_vaddr,", np.uint8), np.frombuffer(b" accesses: ", np.uint8)


@inside
def _begins(data, at, end, word):
    same = end - at >= len(word)
    for index in range(len(word)):
        same = same and data[at + index] == word[index]
    return same


@inside
def _comma_before(data, at, end):
    """The last comma before `end`, or `at` if there is none."""
    end -= 1
    while end > at and data[end] != COMMA:
        end -= 1
    return end


@inside
def _line(data, at, end):
    """(kind, address, physical address, bits, whether it is well-formed) of a line. A symbol may hold commas, so fields
    are found from the right."""
    value = _comma_before(data, at, end)
    operation = _comma_before(data, at, value)
    bits = _comma_before(data, at, operation)
    hardware = _comma_before(data, at, bits)
    virtual = _comma_before(data, at, hardware)
    _, first = hexadecimal(data, at, virtual)
    good = first > at and data[first] == COMMA and first < virtual
    address, after = hexadecimal(data, virtual + 1, hardware)
    good = good and after == hardware and after > virtual + 1
    physical, after = hexadecimal(data, hardware + 1, bits)
    good = good and after == bits and after > hardware + 1
    size, after = decimal(data, bits + 1, operation)
    good = good and after == operation and after > bits + 1
    load, store = word_is(data, operation + 1, value, LOAD), word_is(data, operation + 1, value, STORE)
    good = good and (load or store)
    good = good and end > value + 3 and data[value + 1] == 48 and data[value + 2] | 32 == 120
    for place in range(value + 3, end):
        good = good and DIGITS[data[place]] != NO_DIGIT
    return (WRITE if store else READ), address, physical, size, good


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
        own = (
            _begins(data, here, end, HEADER) or _begins(data, here + 3, end, SUMS) or _begins(data, here + 2, end, SUMS)
        )
        if here < end and not own:
            kind, address, physical, bits, good = _line(data, here, end)
            if good:
                if bits == 0 or bits & 7:
                    return at, NO_BYTES
                place, wanted = turn(np.int64(NO_THREAD), events, state, threads)
                state[OPEN_END] = after == 0
                state[PHYSICAL] += physical != 0
                take(kind, address, size_of(bits >> 3), place, wanted, events, state, threads)
            elif state[SKIP] == 0:
                return at, MALFORMED
            else:
                state[FOREIGN] += 1
        at = after if after else length
        state[LINE] += 1
    return at, 0
