"""The counters of a replay: one name a column, one place in the counter array.

`Event` is the one list of them: tables, records, strategies and the live engine take names from here. Each strategy
says which of them it has; a column that a scheme does not have stays empty in its results, which is not the same as 0.
A scheme with an event of its own names it in `Strategy.extra_events`; it counts from `FIRST_EXTRA` on. Source of every
meaning: MODEL.md, sections 2 to 6.
"""

from collections.abc import Iterable
from enum import Enum, IntEnum
from typing import Any


class Group(Enum):
    """What an event is about."""

    FAULT = "a host fault, by what made the access fault; column `faults` is their sum"
    TLB = "the software TLB"
    CODE = "translated code"
    HOST = "the pages that the host shows"
    POOL = "the pool of blocks"
    CALL = "a call of the host; column `host_calls` is their sum"


class Event(IntEnum):
    """Index into the counter array `n` (int64), and, in lower case, the column's name.

    Each carries its group, the place of its column in a result's table (the first is 0), and its meaning, where that is
    the same in every scheme. A table grows at its end only: a new event takes the place after the last column.
    """

    group: Group
    place: int
    meaning: str

    def __new__(cls, *about: Any) -> "Event":
        """Make the next one of group, place and meaning; its index is its place in this list."""
        event = int.__new__(cls, len(cls.__members__))
        event._value_ = len(cls.__members__)
        event.group, event.place, event.meaning = (*about, "")[:3]
        return event

    FAULTS_UNMAPPED = Group.FAULT, 16
    FAULTS_BLOCK = Group.FAULT, 17
    FAULTS_WRITE = Group.FAULT, 18
    FAULTS_CODE = Group.FAULT, 19
    FAULTS_CROSS = Group.FAULT, 20
    FAULTS_IO = Group.FAULT, 21
    FAULTS_SOFTMMU = Group.FAULT, 22
    TLB_FILLS = Group.TLB, 23
    SLOW_MISALIGNED = Group.TLB, 24
    SLOW_CROSS = Group.TLB, 25
    SLOW_IO = Group.TLB, 26
    SLOW_CODE = Group.TLB, 27
    CODE_LIST_WALKS = Group.TLB, 28
    SOFTMMU_ACCESSES = Group.TLB, 29
    TRANSLATIONS = Group.CODE, 30, "blocks translated: entered for the first time, or again after they were dropped"
    TRANSLATED_INSNS = Group.CODE, 31, "guest instructions of these"
    SMC_STORES = Group.CODE, 32, "stores noticed on a code page that overlap a block"
    CODE_PAGE_DATA_STORES = Group.CODE, 33, "stores noticed on a code page beside its blocks"
    PROTECTS = Group.HOST, 34, "writable windows protected because their page became a code page"
    MAPS = Group.HOST, 35, "pages that became mapped"
    UNMAPS = Group.HOST, 36, "pages that stopped being mapped: FLUSH, FLUSH_PAGE, eviction"
    EVICTIONS = Group.POOL, 38
    PEAK_MAPPINGS = (
        Group.HOST, 39, "the host's mappings (VMAs) in the reserve at their highest, looked at after each row"
    )  # fmt: skip
    MMAP_CALLS = Group.CALL, 49, "host calls: one for each fault that maps"
    MPROTECT_CALLS = Group.CALL, 50, "host calls: one for each faults_write and faults_code, and each of protects"
    MUNMAP_CALLS = Group.CALL, 51, "host calls: what FLUSH, FLUSH_PAGE and evictions unmap"
    BLOCKS_DROPPED = Group.CODE, 61, "translated blocks dropped because their code page was stored to"
    RETRANSLATED_INSNS = (
        Group.CODE, 62, "of translated_insns, those of blocks that had been translated before, and were dropped"
    )  # fmt: skip
    SEARCHED_BLOCKS = Group.TLB, 73, "blocks in the list of a code page's blocks when a helper begins to walk it"
    SPLIT_MAPPINGS = (
        Group.HOST, 74, "mappings of the host (VMAs) that mprotect split off, or joined again: a page protected amid"
        " one makes three of it"
    )  # fmt: skip

    @property
    def column(self) -> str:
        return self.name.lower()


FIRST_EXTRA = len(Event)


def of_group(group: Group) -> frozenset[Event]:
    """The events of a group."""
    return frozenset(event for event in Event if event.group is group)


FAULTS, CALLS, CODE = of_group(Group.FAULT), of_group(Group.CALL), of_group(Group.CODE)
HOST = CALLS | of_group(Group.HOST)

# What the rows alone tell is the same under every scheme: the shape of a trace ...
SHAPE = (
    *("rows", "accesses", "loads", "stores", "execs", "guest_insns", "misaligned", "page_cross", "io_accesses"),
    *("flushes", "page_flushes", "pages", "mode_switches"),
)
# ... and sums over its RAM accesses that prices need: with them a saved table is priced anew without a replay.
# What prices need of a trace, and no column: how many levels the guest's page table has, by the bits of its addresses.
WALK_LEVELS = "walk_levels"
SUMS = ("units8", "wide_units8", "ram_misaligned_units8", "ram_cross_loads", "ram_cross_store_bytes")


def meanings(events: Iterable[Event]) -> dict[Event, str]:
    """These events with their common meaning, in the order of their columns."""
    return {event: event.meaning for event in sorted(events)}
