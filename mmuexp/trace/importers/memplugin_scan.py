"""The loop of the importer of QEMU's mem plugin: from bytes to events."""

import numpy as np

from mmuexp.native.jitcache import guarded, inside, kept
from mmuexp.trace.importers import text_scan as scan
from mmuexp.trace.importers.rows_scan import READ, WRITE

PHYSICAL = scan.OWN  # how many accesses had a physical address
NO_BYTES = scan.FIRST_OWN  # why a line is refused: its bits are not whole bytes
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
    _, first = scan.hexadecimal(data, at, virtual)
    good = first > at and data[first] == COMMA and first < virtual
    address, after = scan.hexadecimal(data, virtual + 1, hardware)
    good = good and after == hardware and after > virtual + 1
    physical, after = scan.hexadecimal(data, hardware + 1, bits)
    good = good and after == bits and after > hardware + 1
    size, after = scan.decimal(data, bits + 1, operation)
    good = good and after == operation and after > bits + 1
    load, store = scan.word_is(data, operation + 1, value, LOAD), scan.word_is(data, operation + 1, value, STORE)
    good = good and (load or store)
    good = good and end > value + 3 and data[value + 1] == 48 and data[value + 2] | 32 == 120
    for place in range(value + 3, end):
        good = good and scan.DIGITS[data[place]] != scan.NO_DIGIT
    return (WRITE if store else READ), address, physical, size, good


@inside
def _take(data, at, end, open_end, events, state, threads):
    """Take what a line tells, as `each_line` has it."""
    here = scan.skip_blanks(data, at, end)
    own = _begins(data, here, end, HEADER) or _begins(data, here + 3, end, SUMS) or _begins(data, here + 2, end, SUMS)
    if here == end or own:
        return 0
    kind, address, physical, bits, good = _line(data, here, end)
    if not good:
        return scan.MALFORMED
    if bits == 0 or bits & 7:
        return NO_BYTES
    place, wanted = scan.turn(np.int64(scan.NO_THREAD), events, state, threads)
    state[scan.OPEN_END] = open_end
    state[PHYSICAL] += physical != 0
    scan.take(kind, address, scan.size_of(bits >> 3), place, wanted, events, state, threads)
    return 0


@guarded()
@kept
def parse(data, final, events, state, threads):
    """Put the events of the lines of `data` into `events`. Returns (bytes consumed, why), as text_scan.py says."""
    return scan.each_line(_take, data, final, events, state, threads)
