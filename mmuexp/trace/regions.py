"""Infers the regions that a user-mode recording touches, and draws the places that a load seed moves them to.

A recording does not store the guest's mappings, so they are inferred: pages that rows touch (data, code, FLUSH_PAGE)
and that lie at most JOIN_PAGES apart are one *region*, which moves as a whole. So a library and its untouched holes
stay together, and so do libraries that lie beside each other, as they do under one mmap_base. What cannot be seen: two
mappings that touch (a stack just below a program) move as one.

A seed gives each region an offset in whole pages, drawn from the 2**MOVE_BITS values around 0. Regions keep their
order, do not overlap, and stay in the address space, of 64 bits in the half of 47 bits where they are, if they are in
one; none comes to page 0 that was not there. Seed 0 is the recording
as it is. (With 256 and 8 no region can reach another, so each draws evenly and by itself.)
8 bits is what Linux draws for mmap_base of a 32-bit x86 process (mmap_rnd, "8 bits of randomness in 32bit mmaps",
arch/x86/mm/mmap.c up to 4.0; since then the default of CONFIG_ARCH_MMAP_RND_COMPAT_BITS); it reaches each set of a TLB
of 256 entries. Linux draws more for a stack (11 bits) and a heap (13).

The draws are splitmix64 (Vigna), in whole numbers: the same on every machine and under every version of anything.
"""

from typing import NamedTuple

import numpy as np

from mmuexp.arguments import whole_from
from mmuexp.errors import TraceError, option
from mmuexp.guest import ADDRESS_BITS, PAGE_BITS, PAGES, WIDE_BITS, Op
from mmuexp.native.jitcache import guarded, kept
from mmuexp.replay.pages import PageNumbers
from mmuexp.trace.loadseed import checked_seeds

JOIN_PAGES = 256
MOVE_BITS = 8
MOST_MOVE_BITS = 19  # half the address space either way

LOWER_END, UPPER_BEGIN = 1 << 47 - PAGE_BITS, (1 << 64 - PAGE_BITS) - (1 << 47 - PAGE_BITS)  # pages of 48 bits

_MASK = (1 << 64) - 1


class Region(NamedTuple):
    """`pages` consecutive pages from page number `first`."""

    first: int
    pages: int


@guarded()
@kept
def _touch(vaddr, size, op, touched):
    """Mark the pages of LOAD, STORE, EXEC and FLUSH_PAGE rows in touched, uint8[PAGES]. Returns 1 if one goes round
    the end of the address space."""
    wraps = 0
    for i in range(op.size):
        if op[i] <= Op.EXEC or op[i] == Op.FLUSH_PAGE:
            first = np.int64(vaddr[i])
            touched[first >> PAGE_BITS] = 1
            if op[i] != Op.FLUSH_PAGE and size[i] > 0:
                last = (first + size[i] - 1) >> PAGE_BITS
                if last >= PAGES:
                    wraps = 1
                touched[last & (PAGES - 1)] = 1
    return wraps


def regions_of(trace, join_pages: int = JOIN_PAGES) -> list[Region]:
    """Find the regions of an open trace, by ascending address, in one pass over it.

    Raises TraceError for a system trace, and where an access goes round the end of the address space; UsageError for a
    distance out of range.
    """
    whole_from(join_pages, "join_pages", 1, PAGES)
    if trace.mode != "user":
        what = "is a recording of a whole guest, whose addresses its kernel chose"
        raise TraceError(what, where=trace.path, todo="move a user-mode recording")
    if trace.address_bits == WIDE_BITS:
        return joined(_touched_pages(trace), join_pages)
    touched = np.zeros(PAGES, np.uint8)
    for columns in trace.batches():
        if _touch(columns.vaddr, columns.size, columns.op, touched):
            raise _round_the_end(trace.path)
    return joined(np.flatnonzero(touched), join_pages)


def _touched_pages(trace) -> np.ndarray:
    """Find the pages that a trace of 64 bits touches, ascending. Raises TraceError as `regions_of`."""
    numbers = PageNumbers()
    for columns in trace.batches():
        places = (columns.op <= Op.EXEC) | (columns.op == Op.FLUSH_PAGE)
        vaddr, size = columns.vaddr[places], np.maximum(columns.size[places], 1)
        if ((columns.op[places] <= Op.EXEC) & (vaddr + size - np.uint64(1) < vaddr)).any():
            raise _round_the_end(trace.path)
        numbers.columns(columns._replace(op=np.where(places, columns.op, np.uint8(Op.FLUSH))))
        if numbers.is_full:
            raise TraceError(f"touches more than {PAGES:,} pages", where=trace.path, todo="slice it")
    return np.sort(numbers.real(np.arange(numbers.count)))


def _round_the_end(path: str) -> TraceError:
    what = "a row crosses from the last page to page 0: its region goes round the end"
    return TraceError(what, where=path, todo="compare it as it is, without a load seed")


def joined(pages: np.ndarray, join_pages: int) -> list[Region]:
    """Join ascending page numbers to regions: a distance of more than `join_pages` parts two."""
    if not len(pages):
        return []
    cuts = np.flatnonzero(np.diff(pages) > join_pages)
    firsts, lasts = pages[np.r_[0, cuts + 1]], pages[np.r_[cuts, len(pages) - 1]]
    return [Region(int(a), int(b - a) + 1) for a, b in zip(firsts, lasts, strict=True)]


def offsets_of(
    regions: list[Region], seed: int, move_bits: int = MOVE_BITS, address_bits: int = ADDRESS_BITS
) -> list[int]:
    """Draw the offset in pages of each region, -2**(move_bits-1) .. 2**(move_bits-1)-1; all 0 for seed 0.

    From the lowest region on, each draws evenly from what its neighbours leave of that range: the one below has its
    place already, those above must still find theirs. Raises UsageError.
    """
    checked_seeds([seed], option("seed"))
    whole_from(move_bits, "move_bits", 1, MOST_MOVE_BITS)
    if seed == 0:
        return [0] * len(regions)
    least, most = -(1 << move_bits - 1), (1 << move_bits - 1) - 1
    highest, above = [], 1 << address_bits - PAGE_BITS
    for region in reversed(regions):  # the highest place that leaves room for all above
        if address_bits == WIDE_BITS and region.first + region.pages <= LOWER_END:
            above = min(above, LOWER_END)
        above = min(region.first + most, above - region.pages)
        highest.append(above)
    state, found = seed, []
    free = 0 if regions and regions[0].first == 0 else 1
    for region, last in zip(regions, reversed(highest), strict=True):
        if address_bits == WIDE_BITS and region.first >= UPPER_BEGIN:
            free = max(free, UPPER_BEGIN)
        first = max(region.first + least, free)
        state, drawn = _splitmix64(state)
        place = first + ((drawn >> 32) * (last - first + 1) >> 32)
        found.append(place - region.first)
        free = place + region.pages
    return found


def _splitmix64(state: int) -> tuple[int, int]:
    """Draw once: (the next state, 64 random bits)."""
    state = (state + 0x9E3779B97F4A7C15) & _MASK
    mixed = (state ^ state >> 30) * 0xBF58476D1CE4E5B9 & _MASK
    mixed = (mixed ^ mixed >> 27) * 0x94D049BB133111EB & _MASK
    return state, mixed ^ mixed >> 31
