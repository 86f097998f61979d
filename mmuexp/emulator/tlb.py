"""QEMU's software TLB as it was in October 2004, and its helper for stores to code pages (MODEL.md, section 3).

Two tables (read, write) for each of two modes (kernel, user), direct mapped, set = page number mod entries. The softmmu
scheme lives on it; qemu-fast falls back to it for blocks that meet device memory.
"""

from typing import NamedTuple

import numpy as np

from mmuexp.emulator.code import is_code_page, list_length, store_drops_overlapped
from mmuexp.emulator.codepages import CodePages, is_noticed
from mmuexp.emulator.kernel import SETTLED, SETTLED_IN_SPELL, kernel
from mmuexp.emulator.state import Emulator, Row, real_page, unsettle
from mmuexp.events import Event

BITMAP_THRESHOLD = 10  # SMC_BITMAP_USE_THRESHOLD, exec.c:48 at 0d1a29f9fc


class Tlb(NamedTuple):
    """Virtual page + 1 by mode * entries + set; 0 = invalid. An entry's physical page follows from its virtual page:
    a trace tells every change of it by FLUSH or FLUSH_PAGE, which drop the entry."""

    read: np.ndarray  # int32[2 * entries]
    write: np.ndarray  # int32[2 * entries]
    touched: np.ndarray  # uint8[2, 2 * entries], entries for loads and stores that were looked up or filled


def new_tlb(tlb_bits: int) -> Tlb:
    """Make an empty TLB of 2**tlb_bits entries for each of two modes and two sides."""
    entries = 2 << tlb_bits
    return Tlb(np.zeros(entries, np.int32), np.zeros(entries, np.int32), np.zeros((2, entries), np.uint8))


@kernel
def tlb_flush(t: Tlb) -> None:
    """Drop every entry."""
    t.read[:] = 0
    t.write[:] = 0


@kernel
def tlb_set(t: Tlb, e: Emulator, page: int) -> int:
    """Give the set that a page belongs to: the guest's page decides, not its number."""
    return real_page(e, page) & ((t.read.size >> 1) - 1)


@kernel
def tlb_flush_page(t: Tlb, page: int, place: int = -1) -> None:
    """Drop the entries of one virtual page, in both modes and on both sides. `place` is its set (`tlb_set`), by default
    that of a guest of 32 bits."""
    entries = t.read.size >> 1
    for mode in range(2):
        i = mode * entries + (place if place >= 0 else page & (entries - 1))
        if t.read[i] == page + 1:
            t.read[i] = 0
        if t.write[i] == page + 1:
            t.write[i] = 0


@kernel
def _look_up(t: Tlb, e: Emulator, n: np.ndarray, page: int, frame: int, store: int, user: int) -> None:
    """One lookup; a miss walks the guest's page table and fills the entry, whose page before is pushed out."""
    i = user * (t.read.size >> 1) + tlb_set(t, e, page)
    tag = page + 1
    t.touched[store, i] = 1
    if (t.write[i] if store else t.read[i]) == tag:
        return
    n[Event.TLB_FILLS] += 1
    t.touched[1 - store, i] = 1
    if store:
        e.frame[frame].dirty = 1
    if t.read[i] != 0 and t.read[i] != tag:  # a valid write side is of the same page as the read side
        unsettle(e, t.read[i] - 1)
    t.read[i] = tag
    t.write[i] = tag if e.frame[frame].dirty else 0  # clean: the first store must miss, to set the guest's dirty bit


@kernel
def _store_to_code_page(e: Emulator, n: np.ndarray, frame: int, first: int, last: int) -> None:
    """Do what the helper for code pages does: walk the page's block list; after enough quiet stores, test a bitmap."""
    n[Event.SLOW_CODE] += 1
    quiet, blocks = e.frame[frame].quiet_stores, list_length(e, frame)
    dropped = store_drops_overlapped(e, n, frame, first, last)
    if dropped or quiet < BITMAP_THRESHOLD:
        n[Event.CODE_LIST_WALKS] += 1
        n[Event.SEARCHED_BLOCKS] += blocks
    if not dropped and quiet < BITMAP_THRESHOLD:
        e.frame[frame].quiet_stores = quiet + 1


@kernel
def _serve_page(
    t: Tlb, e: Emulator, n: np.ndarray, page: int, frame: int, store: int, user: int, first: int, last: int
) -> int:
    _look_up(t, e, n, page, frame, store, user)
    if store and is_code_page(e, frame):
        _store_to_code_page(e, n, frame, first, last)
        return 0
    return SETTLED


@kernel
def _serve_noticed(
    t: Tlb, p: CodePages, e: Emulator, n: np.ndarray, page: int, frame: int, store: int, user: int, first: int,
    last: int
) -> int:  # fmt: skip
    _look_up(t, e, n, page, frame, store, user)
    if store and is_noticed(p, e, frame):
        _store_to_code_page(e, n, frame, first, last)
        return 0
    return SETTLED_IN_SPELL


@kernel
def slow_access(t: Tlb, p: CodePages, e: Emulator, n: np.ndarray, row: Row) -> int:
    """One RAM access through the TLB of a scheme that does most of them otherwise, with its policy for code pages.
    Answers SETTLED_IN_SPELL if the same access, again, would only be counted."""
    n[Event.SOFTMMU_ACCESSES] += 1
    answer = _serve_noticed(t, p, e, n, row.page, row.frame, row.store, row.user, row.first, row.last)
    if row.second >= 0:
        n[Event.SLOW_CROSS] += 1
        _serve_noticed(t, p, e, n, row.second, row.second_frame, row.store, row.user, 0, row.second_last)
        return 0
    if row.misaligned:
        n[Event.SLOW_MISALIGNED] += 1
        return 0
    return answer


@kernel
def tlb_access(t: Tlb, e: Emulator, n: np.ndarray, row: Row) -> int:
    """One RAM access through the TLB; answers as an access kernel does."""
    answer = _serve_page(t, e, n, row.page, row.frame, row.store, row.user, row.first, row.last)
    if row.second >= 0:
        n[Event.SLOW_CROSS] += 1
        _serve_page(t, e, n, row.second, row.second_frame, row.store, row.user, 0, row.second_last)
    elif row.misaligned:
        n[Event.SLOW_MISALIGNED] += 1
        return 0  # and again the next time
    return answer
