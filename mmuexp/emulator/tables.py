"""A scheme's lookup tables, as large as the guest's address space asks for: which parts of one are used, and places in
it by number, so that no table of 2**48 is there.

A table that has an entry for each guest page, or for each block of them, is used where the trace touches pages. So what
is touched is kept by page; lines and pages of the table are counted from that when somebody asks.
"""

from typing import NamedTuple

import numpy as np

from mmuexp.emulator.kernel import kernel
from mmuexp.emulator.state import Emulator, are_pages, zeros
from mmuexp.guest import PAGES

READ, HANDLED = 1, 2  # who touched the entry of a page: the hit path, a helper or the fault handler
LINE_BITS, TABLE_PAGE_BITS = 6, 12  # of a line of the cache, of a host page
SOME_PAGES = 1 << 10  # that are looked at together
NUMBER_BITS = 21  # places of a `Numbering`: at most half of them are taken


class Touched(NamedTuple):
    """Says of each page of the guest who touched its entry, in each of some tables."""

    how: np.ndarray  # uint8[tables, PAGES]
    apart: np.ndarray  # int64[PAGES]: the guest's page behind each number that was touched, less the number


def new_touched(tables: int) -> Touched:
    """Make it for so many tables, of which nothing is touched."""
    return Touched(zeros(tables * PAGES, np.uint8).reshape(tables, PAGES), zeros(PAGES, np.int64))


@kernel
def touch(t: Touched, e: Emulator, table: int, page: int, how: int) -> None:
    """Say that the entry of a page is read by the hit path (READ), or used by a helper or the handler (HANDLED)."""
    if (t.how[table, page] & how) != how:
        t.how[table, page] |= how
        if not are_pages(e):
            t.apart[page] = e.apart[page]


def parts_touched(t: Touched, how: int, part_bits: int, entry_bytes: int, block_pages_bits: int = 0) -> int:
    """Count the parts of 2**part_bits bytes of the tables that were touched so; each table begins with a part of its
    own, and has an entry for each block of 2**block_pages_bits pages."""
    found = 0
    for table in t.how.reshape(len(t.how), -1, SOME_PAGES):
        some = np.flatnonzero(table.view(np.uint64).any(1))  # of nearly all pages nothing is touched
        at = np.flatnonzero(table[some] & how)
        pages = some[at // SOME_PAGES] * SOME_PAGES + at % SOME_PAGES
        apart = t.apart[pages]
        parts = (pages + apart >> block_pages_bits) * entry_bytes >> part_bits
        if apart.any():  # else the parts ascend, as the numbers do
            parts.sort()
        found += int(np.count_nonzero(np.diff(parts))) + (len(parts) > 0)
    return found


class Numbering(NamedTuple):
    """Numbers some of the places of a table that is too large to be there, from 0 on; or, with room for none, a number
    is the place."""

    place: np.ndarray  # int64[PAGES], by number
    number: np.ndarray  # int32[2**NUMBER_BITS], by a hash of the place: its number + 1, 0 = none; one entry: no room
    used: np.ndarray  # int64[1], how many


def new_numbering(is_sparse: bool) -> Numbering:
    """Make it: sparse, places get numbers when somebody uses them, at most as many as there are pages of a trace."""
    if not is_sparse:
        return Numbering(np.zeros(1, np.int64), np.zeros(1, np.int32), np.zeros(1, np.int64))
    return Numbering(zeros(PAGES, np.int64), zeros(1 << NUMBER_BITS, np.int32), np.zeros(1, np.int64))


@kernel
def find_number(t: Numbering, place: int) -> int:
    """Give the number of a place, -1 if it has none."""
    if t.number.size == 1:
        return place
    at = _hashed(t, place)
    return int(t.number[at]) - 1


@kernel
def place_of_number(t: Numbering, number: int) -> int:
    """Give the place that has a number."""
    return number if t.number.size == 1 else int(t.place[number])


@kernel
def number_of(t: Numbering, place: int) -> int:
    """Give the number of a place that is used; one that is new gets the next."""
    if t.number.size == 1:
        return place
    at = _hashed(t, place)
    if t.number[at] == 0:
        number = t.used[0]
        t.used[0] = number + 1
        t.place[number] = place
        t.number[at] = number + 1
    return int(t.number[at]) - 1


@kernel
def _hashed(t: Numbering, place: int) -> int:
    """Find where a place stands, or would: neighbours stand beside each other."""
    mask = t.number.size - 1
    mixed = np.uint64(place >> 9) * np.uint64(0x9E3779B97F4A7C15) >> np.uint64(64 - NUMBER_BITS)
    at = (np.int64(mixed) + (place & 511)) & mask
    while t.number[at] != 0 and t.place[t.number[at] - 1] != place:
        at = (at + 1) & mask
    return int(at)
