"""The counters of a replay: one name a column, one place in the counter array.

Each strategy says which of them it has; a column that a scheme does not have stays empty in its results, which is not
the same as 0. A scheme with an event of its own names it in `Strategy.extra_events`; it counts from `FIRST_EXTRA` on.
Source of every meaning: MODEL.md, sections 2 to 6.
"""

from collections.abc import Iterable
from enum import IntEnum


class Event(IntEnum):
    """Index into the counter array `n` (int64), and, in lower case, the column's name."""

    # host faults, by what made the access fault
    FAULTS_UNMAPPED = 0
    FAULTS_BLOCK = 1
    FAULTS_WRITE = 2
    FAULTS_CODE = 3
    FAULTS_CROSS = 4
    FAULTS_IO = 5
    FAULTS_SOFTMMU = 6
    # the software TLB
    TLB_FILLS = 7
    SLOW_MISALIGNED = 8
    SLOW_CROSS = 9
    SLOW_IO = 10
    SLOW_CODE = 11
    CODE_LIST_WALKS = 12
    SOFTMMU_ACCESSES = 13
    # translated code
    TRANSLATIONS = 14
    TRANSLATED_INSNS = 15
    SMC_STORES = 16
    CODE_PAGE_DATA_STORES = 17
    # what the scheme asks of the host
    PROTECTS = 18
    MAPS = 19
    UNMAPS = 20
    EVICTIONS = 21
    PEAK_MAPPINGS = 22
    MMAP_CALLS = 23
    MPROTECT_CALLS = 24
    MUNMAP_CALLS = 25
    # translated code, of which they are the repeated part
    BLOCKS_DROPPED = 26
    RETRANSLATED_INSNS = 27

    @property
    def column(self) -> str:
        return self.name.lower()


FIRST_EXTRA = len(Event)

MEANINGS = {  # what these mean in every scheme that has them
    Event.TRANSLATIONS: "blocks translated: entered for the first time, or again after they were dropped",
    Event.TRANSLATED_INSNS: "guest instructions of these",
    Event.SMC_STORES: "stores noticed on a code page that overlap a block",
    Event.CODE_PAGE_DATA_STORES: "stores noticed on a code page beside its blocks",
    Event.BLOCKS_DROPPED: "translated blocks dropped because their code page was stored to",
    Event.RETRANSLATED_INSNS: "of translated_insns, those of blocks that had been translated before, and were dropped",
    Event.PROTECTS: "writable windows protected because their page became a code page",
    Event.MAPS: "pages that became mapped",
    Event.UNMAPS: "pages that stopped being mapped: FLUSH, FLUSH_PAGE, eviction",
    Event.PEAK_MAPPINGS: "the host's mappings (VMAs) in the reserve at their highest, looked at after each row",
    Event.MMAP_CALLS: "host calls: one for each fault that maps",
    Event.MPROTECT_CALLS: "host calls: one for each faults_write and faults_code, and each of protects",
    Event.MUNMAP_CALLS: "host calls: what FLUSH, FLUSH_PAGE and evictions unmap",
}


def meanings(events: Iterable[Event]) -> dict[Event, str]:
    """These events with their common meaning, in the order of their columns."""
    return {event: MEANINGS[event] for event in sorted(events)}


FAULTS = frozenset(e for e in Event if e.column.startswith("faults_"))
CALLS = frozenset({Event.MMAP_CALLS, Event.MPROTECT_CALLS, Event.MUNMAP_CALLS})
CODE = frozenset(
    {
        *(Event.TRANSLATIONS, Event.TRANSLATED_INSNS, Event.SMC_STORES, Event.CODE_PAGE_DATA_STORES),
        *(Event.BLOCKS_DROPPED, Event.RETRANSLATED_INSNS),
    }
)
HOST = CALLS | {Event.PROTECTS, Event.MAPS, Event.UNMAPS, Event.PEAK_MAPPINGS}
