"""Counts the pages of the guest's page tables behind the pages that views show: what is compared at a FLUSH.

A guest of 32 bits has tables of 1024 entries, and a directory of them. One of 64 bits has tables of 512 entries in
three levels, and a root: four levels, whatever bits its addresses take.
"""

from typing import NamedTuple

import numpy as np

from mmuexp.emulator.kernel import kernel
from mmuexp.emulator.state import Emulator, real_page, zeros
from mmuexp.guest import ADDRESS_BITS, PAGES

ENTRY_BITS, WIDE_ENTRY_BITS = 10, 9
WIDE_LEVELS = 3  # below the root; a table of the trace is one of a page's, so there are at most 3 * PAGES
PLACE_BITS = 22


class GuestTables(NamedTuple):
    """The tables below the root. Of a guest of 64 bits they are numbered in order of their first use."""

    entry_bits: int  # log2 of a table's entries
    levels: int
    key: np.ndarray  # int64[power of two], by a hash: which table; of size 1: a table's number is its place
    number: np.ndarray  # int32[power of two]: its number + 1
    shown: np.ndarray  # int32[views, tables], entries that stand for something that the view shows
    total: np.ndarray  # int64[views + 1], tables with such an entry; the last: how many have a number


def new_guest_tables(address_bits: int, views: int = 1) -> GuestTables:
    """Make the state of views that show nothing of a guest with so many bits of addresses."""
    total = np.zeros(views + 1, np.int64)
    if address_bits == ADDRESS_BITS:
        tables = PAGES >> ENTRY_BITS
        shown = np.zeros((views, tables), np.int32)
        return GuestTables(ENTRY_BITS, 1, np.zeros(1, np.int64), np.zeros(1, np.int32), shown, total)
    key, number = zeros(1 << PLACE_BITS, np.int64), zeros(1 << PLACE_BITS, np.int32)
    shown = zeros(views * WIDE_LEVELS * PAGES, np.int32).reshape(views, -1)
    return GuestTables(WIDE_ENTRY_BITS, WIDE_LEVELS, key, number, shown, total)


@kernel
def _number_of(t: GuestTables, level: int, place: int) -> int:
    if t.key.size == 1:
        return place
    key = (place << 2 | level) + 1
    at = np.uint64(key) * np.uint64(0x9E3779B97F4A7C15) >> np.uint64(64 - PLACE_BITS)
    while t.number[at] and t.key[at] != key:
        at = (at + np.uint64(1)) & np.uint64(t.key.size - 1)
    if t.number[at] == 0:
        t.total[-1] += 1
        t.key[at], t.number[at] = key, t.total[-1]
    return int(t.number[at]) - 1


@kernel
def count_shown(t: GuestTables, e: Emulator, view: int, page: int, more: int) -> None:
    """A view shows a page (`more` is 1), or does so no longer (-1): its table, and what stands for that in turn."""
    place = real_page(e, page)
    for level in range(t.levels):
        place >>= t.entry_bits
        table = _number_of(t, level, place)
        before = t.shown[view, table]
        t.shown[view, table] = before + more
        if before and before + more:
            return
        t.total[view] += more


@kernel
def compared_tables(t: GuestTables, view: int) -> int:
    """Give how many tables, with the root, stand for the pages that the view shows: none if it shows none."""
    return t.total[view] + 1 if t.total[view] else 0
