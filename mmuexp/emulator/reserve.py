"""Keeps the reserve: the range of host pages in which an mmap scheme shows guest pages.

Each host page (window) is inaccessible, or shows one frame, read-only or writable. The kernel of the host keeps a
mapping (VMA) for each maximal run of equal neighbours; their number is kept up to date here, page by page.
"""

from typing import NamedTuple

import numpy as np

from mmuexp.emulator.kernel import kernel
from mmuexp.emulator.state import Emulator, next_page, page_before, real_page, records, zeros
from mmuexp.events import Event
from mmuexp.guest import PAGES

MAPPED, MAPPINGS, GUEST_PAGES, LINKED, GUARDED, SPLITS = range(6)  # places in Reserve.control


class Reserve(NamedTuple):
    """Holds the windows. A frame's record says by which it is shown."""

    window: np.ndarray  # WINDOW[windows]
    # int64[6]; SPLITS: mappings that mprotect split off or joined. GUEST_PAGES: 0, or the reserve is the guest's
    # address space up to this page of it, and windows are numbers of its pages, PAGES for each view; LINKED: 1, or
    # `low` and `high` do not say which windows are neighbours; GUARDED: 1 if an inaccessible page follows each view
    control: np.ndarray
    low: np.ndarray  # int32[windows] if LINKED: the mapped window + 1 below, 0 if that is not mapped, -1 at the end
    high: np.ndarray  # int32, the same above


WINDOW = np.dtype(
    [
        ("frame", "i4"),  # frame + 1 that the window shows, 0 = inaccessible
        ("next", "i4"),  # window + 1 that shows the same frame
        ("prev", "i4"),
        ("mapped", "i4"),  # slot i of the list of mapped windows (the rest of the record is window i's own)
        ("mapped_at", "i4"),  # where the window stands in that list
        ("writable", "u1"),
    ]
)


def new_reserve(windows: int, *, linked: bool = False) -> Reserve:
    """Make an inaccessible reserve of `windows` host pages: one mapping. `linked`: which windows are neighbours is told
    by `link_windows`."""
    low, high = (zeros(windows if linked else 1, np.int32) for _ in range(2))
    return Reserve(records(windows, WINDOW), np.array([0, 1, 0, linked, 0, 0], np.int64), low, high)


def new_views(guest_pages: int, views: int = 1, *, guarded: bool = False) -> Reserve:
    """Make an inaccessible reserve that shows the guest up to this page of its address space, each page at its own
    place: in each of so many views, one behind the other. The window of a page is PAGES * view + its number.
    `guarded`: an inaccessible page follows each view, and is part of the reserve."""
    reserve = new_reserve(views * PAGES)
    reserve.control[GUEST_PAGES], reserve.control[GUARDED] = guest_pages, guarded
    return reserve


@kernel
def link_windows(r: Reserve, low: int, high: int) -> None:
    """Say that two windows, one of which is mapped and the other about to be, lie beside each other."""
    r.high[low] = high + 1
    r.low[high] = low + 1


@kernel
def unlink_window(r: Reserve, w: int) -> None:
    """Say that a window is mapped no more."""
    if r.low[w] > 0:
        r.high[r.low[w] - 1] = 0
    if r.high[w] > 0:
        r.low[r.high[w] - 1] = 0
    r.low[w] = r.high[w] = 0


@kernel
def _are_apart(r: Reserve, e: Emulator, one: int, other: int) -> int:
    """1 if neighbours lie in different host mappings."""
    a, b = r.window[one].frame, r.window[other].frame
    if a == 0 or b == 0:
        return 1 if a != b else 0
    if r.window[one].writable != r.window[other].writable:
        return 1
    following = np.int64(e.frame[a - 1].number) + 1
    if following & 0xFFFFFFFF != np.int64(e.frame[b - 1].number):
        return 1
    return 0 if (following >> 32) + e.number_high[a - 1] == e.number_high[b - 1] else 1


@kernel
def _border(r: Reserve, e: Emulator, w: int) -> int:
    """1 if windows w and w + 1 lie in different host mappings."""
    if w < 0 or w + 1 >= r.window.size:
        return 0
    return _are_apart(r, e, w, w + 1)


@kernel
def _linked_border(r: Reserve, e: Emulator, other: int, w: int) -> int:
    """1 if there is a border between window w and its neighbour, which `low` or `high` tells."""
    if other <= 0:
        return 1 if other == 0 and r.window[w].frame else 0
    low, high = (other - 1, w) if r.high[other - 1] == w + 1 else (w, other - 1)
    return _are_apart(r, e, low, high)


@kernel
def _borders(r: Reserve, e: Emulator, w: int) -> int:
    if r.control[GUEST_PAGES]:  # a neighbour that no row touched is inaccessible, and stands for itself: a border, too
        number = w & (PAGES - 1)
        view, page = w - number, real_page(e, number)
        low, high, at_end = view + page_before(e, number), view + next_page(e, number), 0
        if r.control[GUARDED]:
            at_end = _are_apart(r, e, w, w)
        below = _are_apart(r, e, low, w) if page else at_end if view else 0
        return below + (_are_apart(r, e, w, high) if page + 1 < r.control[GUEST_PAGES] else at_end)
    if r.control[LINKED]:
        return _linked_border(r, e, r.low[w], w) + _linked_border(r, e, r.high[w], w)
    return _border(r, e, w - 1) + _border(r, e, w)


@kernel
def set_writable(r: Reserve, e: Emulator, w: int, writable: int) -> None:
    """Set the rights of one mapped window, as one mprotect does; counts what mappings it splits or joins, no more."""
    before = _borders(r, e, w)
    r.window[w].writable = writable
    more = _borders(r, e, w) - before
    r.control[MAPPINGS] += more
    r.control[SPLITS] += abs(more)


@kernel
def map_window(r: Reserve, e: Emulator, n: np.ndarray, w: int, frame: int, writable: int) -> None:
    """Map one page: the inaccessible window w shows `frame` from here on."""
    n[Event.MAPS] += 1
    before = _borders(r, e, w)
    r.window[w].frame = frame + 1
    r.window[w].writable = writable
    r.control[MAPPINGS] += _borders(r, e, w) - before
    head = e.frame[frame].window
    r.window[w].next = head
    r.window[w].prev = 0
    if head:
        r.window[head - 1].prev = w + 1
    e.frame[frame].window = w + 1
    at = r.control[MAPPED]
    r.window[at].mapped = w
    r.window[w].mapped_at = at
    r.control[MAPPED] = at + 1


@kernel
def unmap_window(r: Reserve, e: Emulator, n: np.ndarray, w: int) -> None:
    """Unmap window w, which shows a page: it becomes inaccessible."""
    n[Event.UNMAPS] += 1
    frame = r.window[w].frame - 1
    before = _borders(r, e, w)
    r.window[w].frame = 0
    r.window[w].writable = 0
    r.control[MAPPINGS] += _borders(r, e, w) - before
    if r.window[w].prev:
        r.window[r.window[w].prev - 1].next = r.window[w].next
    else:
        e.frame[frame].window = r.window[w].next
    if r.window[w].next:
        r.window[r.window[w].next - 1].prev = r.window[w].prev
    top = r.control[MAPPED] - 1
    moved = r.window[top].mapped
    at = r.window[w].mapped_at
    r.window[at].mapped = moved
    r.window[moved].mapped_at = at
    r.control[MAPPED] = top


@kernel
def unmap_all(r: Reserve, e: Emulator, n: np.ndarray) -> None:
    """Unmap every window."""
    n[Event.UNMAPS] += r.control[MAPPED]
    for i in range(r.control[MAPPED]):
        w = r.window[i].mapped
        e.frame[r.window[w].frame - 1].window = 0
        r.window[w].frame = 0
        r.window[w].writable = 0
    r.control[MAPPED] = 0
    r.control[MAPPINGS] = 1


@kernel
def protect_frame(r: Reserve, e: Emulator, n: np.ndarray, frame: int) -> None:
    """Protect each writable window of a frame that became a code page, by an mprotect of its own."""
    w = e.frame[frame].window - 1
    while w >= 0:
        if r.window[w].writable:
            n[Event.PROTECTS] += 1
            n[Event.MPROTECT_CALLS] += 1
            set_writable(r, e, w, 0)
        w = r.window[w].next - 1


@kernel
def watch_peak(r: Reserve, n: np.ndarray) -> None:
    """Looked at after each row: the host's mappings in the reserve at their highest."""
    if r.control[MAPPINGS] > n[Event.PEAK_MAPPINGS]:
        n[Event.PEAK_MAPPINGS] = r.control[MAPPINGS]
