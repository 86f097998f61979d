"""The loop of the ChampSim importers: from records of 64 or 96 bytes to events."""

from mmuexp.native.jitcache import guarded, inside, kept
from mmuexp.trace.importers.rows_scan import OPEN, OPEN_TAKEN, READ, WRITE

# Places in `state`, carried over calls.
SPACE, ACCESSES = range(2)
STATE_WORDS = 2

# Why a scan ends before its bytes do.
FULL, UNSOUND, TWO_SPACES = 1, 2, 3


@inside
def _slots(words, at, count, kind, place, out, events):
    """An access for each slot of a record that is in use."""
    kinds, addresses, sizes, places = out
    for slot in range(at, at + count):
        if words[slot] != 0:
            kinds[events], addresses[events], sizes[events], places[events] = kind, words[slot], 0, place
            events += 1
    return events


@guarded()
@kept
def scan(words, record_words, writes_at, writes, reads_at, reads, space_at, state, out, events, first):
    """Put the events of the records of `words` (int64) into `out` behind those that are there. Returns (events, records
    consumed, why).

    A record begins with the instruction's address; in the next word stand whether it is a branch, and whether that was
    taken. In which word its other parts begin is told: `space_at` is that of its address space, 0 if it has none.
    """
    kinds, addresses, sizes, places = out
    room = len(kinds) - 1 - writes - reads
    for record in range(len(words) // record_words):
        if events > room:
            return events, record, FULL
        at, place = record * record_words, first + record
        address, branch, taken = words[at], words[at + 1] & 0xFF, (words[at + 1] >> 8) & 0xFF
        if branch > 1 or taken > branch or address == 0:
            return events, record, UNSOUND
        if space_at:
            space = words[at + space_at] & 0xFFFF
            if state[SPACE] >= 0 and state[SPACE] != space:
                return events, record, TWO_SPACES
            state[SPACE] = space
        kinds[events], addresses[events], sizes[events], places[events] = (
            OPEN_TAKEN if taken else OPEN,
            address,
            0,
            place,
        )
        events = _slots(words, at + reads_at, reads, READ, place, out, events + 1)
        events = _slots(words, at + writes_at, writes, WRITE, place, out, events)
    return events, len(words) // record_words, 0
