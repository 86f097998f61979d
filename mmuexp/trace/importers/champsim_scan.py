"""The loop of the ChampSim importers: from records of 64 or 96 bytes to events."""

import numpy as np

from mmuexp.native.jitcache import guarded, kept
from mmuexp.trace.importers.rows_scan import OPEN, OPEN_TAKEN, READ, WRITE

# Places in `state`, carried over calls.
SPACE, ACCESSES = range(2)
STATE_WORDS = 2

# Why a scan ends before its bytes do.
FULL, UNSOUND, TWO_SPACES = 1, 2, 3


@kept
def _slots(data, at, count, kind, place, out, events):
    """An access for each slot of a record that is in use."""
    kinds, addresses, sizes, places = out
    for slot in range(count):
        address = np.int64(0)
        for index in range(8):
            address |= np.int64(data[at + 8 * slot + index]) << (8 * index)
        if address != 0:
            kinds[events], addresses[events], sizes[events], places[events] = kind, address, 0, place
            events += 1
    return events


@guarded(_slots)
@kept
def scan(data, record_bytes, writes_at, writes, reads_at, reads, space_at, state, out, events, first):
    """Put the events of the records of `data` into `out` behind those that are there. Returns (events, records
    consumed, why).

    A record begins with the instruction's address, whether it is a branch, and whether that was taken. Where its other
    parts stand is told: `space_at` is where its address space does, 0 where it has none.
    """
    kinds, addresses, sizes, places = out
    room = len(kinds) - 1 - writes - reads
    for record in range(len(data) // record_bytes):
        if events > room:
            return events, record, FULL
        at, place = record * record_bytes, first + record
        address = np.int64(0)
        for index in range(8):
            address |= np.int64(data[at + index]) << (8 * index)
        branch, taken = data[at + 8], data[at + 9]
        if branch > 1 or taken > branch or address == 0:
            return events, record, UNSOUND
        if space_at:
            space = np.int64(data[at + space_at]) | np.int64(data[at + space_at + 1]) << 8
            if state[SPACE] >= 0 and state[SPACE] != space:
                return events, record, TWO_SPACES
            state[SPACE] = space
        kinds[events], addresses[events], sizes[events], places[events] = (
            OPEN_TAKEN if taken else OPEN,
            address,
            0,
            place,
        )
        events = _slots(data, at + reads_at, reads, READ, place, out, events + 1)
        events = _slots(data, at + writes_at, writes, WRITE, place, out, events)
    return events, len(data) // record_bytes, 0
