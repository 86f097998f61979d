"""Says what the survey walks, and finds where the sites of a run are now: in the trace's own addresses (pages.py)."""

from typing import NamedTuple

import numpy as np

from mmuexp.guest import PAGE_BITS, PAGE_BYTES, PAGE_MASK
from mmuexp.native.bits import lowest_bit, lowest_bits
from mmuexp.native.jitcache import Number, inside
from mmuexp.replay.firsts import ERA_AT, columns_of, packed_row
from mmuexp.replay.pages import NONE, traced
from mmuexp.replay.shapes import alignment_of, kind_of


class Walked(NamedTuple):
    """The runs that are walked, and what is known of their shapes; see runs.py and shapes.py."""

    run: np.ndarray
    changed: np.ndarray
    steps: np.ndarray
    vaddr: np.ndarray  # uint32[accesses + MOST_SITES], trace addresses, of the rows that were walked
    block_real: np.ndarray  # uint64[shapes], the guest's own address of each EXEC row
    other_real: np.ndarray  # the guest's own address
    other_vaddr: np.ndarray  # uint32, the trace address, once it was walked
    other_page: np.ndarray
    other_size: np.ndarray
    other_insns: np.ndarray
    other_op: np.ndarray
    other_flags: np.ndarray
    other_frame: np.ndarray  # int32, the frame of each MAP row
    shapes: int  # so far, and one for OTHER
    counts: np.ndarray
    shape: np.ndarray
    site: np.ndarray


class Sites(NamedTuple):
    """Where the sites of a group were the last time; and of a trace of 64 bits how pages are numbered (pages.py)."""

    vaddr: np.ndarray  # uint32[sites], trace addresses
    real: np.ndarray  # uint32 or uint64[sites], the guest's own: of 32 bits the same array
    apart: np.ndarray
    step: np.ndarray
    back: np.ndarray
    numbered: np.ndarray
    counts: np.ndarray  # int64[2]; 1: what touched a page too many, the number of its site or shape and one


class Pages(NamedTuple):
    """What the survey keeps of each page."""

    touched: np.ndarray  # uint8[PAGES], by data
    epoch: np.ndarray  # int64[PAGES]: a page of a system trace is known while this is the present epoch
    page_of: np.ndarray  # uint32[PAGES], what the MAP row had in `page`
    seen: np.ndarray  # uint32[PAGES], the era in which plain accesses of it were seen << ERA_AT, and of which kinds
    step: np.ndarray  # int32[PAGES], which page follows it (pages.py)


@inside
def other_row(w: Walked, other: Number) -> Number:
    """Pack the columns of a row of OTHER."""
    return packed_row(w.other_size[other], w.other_insns[other], w.other_op[other], w.other_flags[other])


@inside
def place(g: Sites, real: Number, size: Number, number: Number) -> Number:
    """Make the trace address of what touches so many bytes at an address of a trace of 64 bits. Where a page is one too
    many, it is noted that `number` touches it."""
    full = g.counts[1]
    found = traced(real, np.uint64(size), g.apart, g.step, g.back, g.numbered, g.counts)
    if found == NONE:
        g.counts[1] = full if full else np.int64(number) + 1
    return np.uint32(found)


@inside
def move(w: Walked, g: Sites, site: Number, real: Number, new: Number, wide: bool) -> Number:
    """Take note of where a site is now, the guest's own address. Returns the trace address."""
    if wide:
        size, before = np.uint64(columns_of(w.site[site])[0]), np.uint64(g.real[site])
        over = (real & np.uint64(PAGE_MASK)) + size > np.uint64(PAGE_BYTES)
        if new or over or (real ^ before) >> np.uint64(PAGE_BITS):
            vaddr = place(g, real, size, site)
        else:
            vaddr = g.vaddr[site] & ~np.uint32(PAGE_MASK) | np.uint32(real & np.uint64(PAGE_MASK))
        g.vaddr[site] = vaddr
    else:
        vaddr = np.uint32(real & np.uint64(0xFFFFFFFF))
    g.real[site] = real
    return vaddr


@inside
def begun(
    w: Walked, g: Sites, first: Number, access: Number, begin: Number, end: Number, bits: Number, before: Number,
    change: Number, wide: bool
) -> Number:  # fmt: skip
    """Find where the data rows from number `begin` to `end` of a shape are in its first run, whose first access is
    number `access`; `before` is the site of the data row before. Returns how many changes are done."""
    u8 = np.uint64
    for k in range(u8(begin), u8(end)):
        site, bit = u8(first) + k, bits >> k & u8(1)
        base = u8(g.real[u8(before)]) if before >= 0 else u8(0)
        w.vaddr[u8(access) + k] = move(w, g, site, base + (u8(w.steps[change]) if bit else u8(0)), True, wide)
        change, before = change + bit, np.int64(site)
    return change


@inside
def moved(
    w: Walked, p: Pages, g: Sites, first: Number, access: Number, bits: Number, change: Number, era: Number, wide: bool
) -> tuple[Number, Number]:  # fmt: skip
    """Move the sites of a run whose bits are set, and its accesses, the first of which is number `access`. Returns a
    bit for each that is not plain now, or whose page was not accessed so in this era; and how many changes are done."""
    u4, u8 = np.uint32, np.uint64
    found = u8(0)
    while bits:
        k = lowest_bit(bits)
        bits &= bits - u8(1)
        site = u8(first) + k
        vaddr = move(w, g, site, u8(g.real[site]) + u8(w.steps[change]), False, wide)
        w.vaddr[u8(access) + k] = vaddr
        change += u8(1)
        packed = w.site[site]
        odd, misaligned = alignment_of(packed, vaddr)
        seen = p.seen[vaddr >> u4(12)]
        old = (seen >> u4(ERA_AT) != u4(era)) | (seen & kind_of(packed) == u4(0))
        if wide:
            old |= g.counts[1] != 0
        found |= u8(odd | misaligned | old) << k
    return found, change


@inside
def bits_of_run(changed: np.ndarray, access: Number, count: Number) -> Number:
    """Take the bits of `count` data rows from `access` on; there is a word behind the last."""
    u8 = np.uint64
    if count == 0:
        return u8(0)
    word, bit = u8(access) >> u8(6), u8(access) & u8(63)
    bits = changed[word] >> bit | (changed[word + u8(1)] << u8(1)) << (u8(63) - bit)
    return bits & lowest_bits(count)
