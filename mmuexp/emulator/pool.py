"""The windows of a pool of host blocks: a place in an array for each, or, in a pool so large that no array holds it, a
place for each page that can be shown.

A guest page is shown at most twice, in its own block and as the extra page of the block before. So the windows of a
large pool are numbered by page: that of page p, and PAGES + p as an extra page. Which of them lie beside each other in
the pool is kept for those that are mapped, and which block shows them in a list.
"""

from typing import NamedTuple

import numpy as np

from mmuexp.emulator.kernel import kernel
from mmuexp.emulator.reserve import Reserve, link_windows, new_reserve, unlink_window
from mmuexp.emulator.state import Emulator, next_page, page_before, zeros
from mmuexp.guest import PAGES

MOST_WINDOWS = 1 << 22  # that are an array: 16 GiB of host address space


class Pool(NamedTuple):
    """Says which windows show what."""

    by_page: int  # 1 in a large pool
    block_pages: int  # of a host block, its extra page included
    blocks: int
    shown: np.ndarray  # int32[windows], the page that a window showed last
    first: np.ndarray  # int32[blocks], of a large pool: the first window + 1 in the list of a host block
    following: np.ndarray  # int32[windows], the next + 1
    listed: np.ndarray  # uint8[windows], 1 while it stands in the list of its block


def new_pool(blocks: int, block_pages: int) -> tuple[Pool, Reserve]:
    """Make an empty pool, and the reserve that it is."""
    by_page = blocks * block_pages > MOST_WINDOWS
    windows = 2 * PAGES if by_page else blocks * block_pages
    lists = (blocks, windows, windows) if by_page else (1, 1, 1)
    first, following, listed = (zeros(size, dtype) for size, dtype in zip(lists, ("i4", "i4", "u1"), strict=True))
    pool = Pool(int(by_page), block_pages, blocks, zeros(windows, np.int32), first, following, listed)
    return pool, new_reserve(windows, linked=by_page)


@kernel
def window_of(p: Pool, block: int, place: int, page: int) -> int:
    """Give the window in which a host block shows a page at this place of it."""
    if not p.by_page:
        return block * p.block_pages + place
    return page if place + 1 < p.block_pages else PAGES + page


@kernel
def _link_if_mapped(r: Reserve, low: int, high: int, other: int) -> None:
    """Link two windows that lie beside each other, if the one of them that is not at work is mapped."""
    if r.window[other].frame:
        link_windows(r, low, high)


@kernel
def put_window(
    p: Pool, r: Reserve, e: Emulator, w: int, block: int, place: int, page: int, below: int, above: int
) -> None:
    """Say that window w, which is about to be mapped, shows `page` at this place of a host block.

    `below` is the page that the host block before shows as its extra page, `above` the first page of the one behind; -1
    where there is none, or it has no number.
    """
    p.shown[w] = page
    if not p.by_page:
        return
    if not p.listed[w]:
        p.listed[w] = 1
        p.following[w] = p.first[block]
        p.first[block] = w + 1
    last = p.block_pages - 1
    r.low[w] = -1 if place == 0 and block == 0 else 0
    r.high[w] = -1 if place == last and block == p.blocks - 1 else 0
    if place > 0:
        low = page_before(e, page)
        if low != page:
            _link_if_mapped(r, low, w, low)
    elif below >= 0:
        _link_if_mapped(r, PAGES + below, w, PAGES + below)
    if place < last:
        high = next_page(e, page)
        if high != page:
            high += PAGES if place + 1 == last else 0
            _link_if_mapped(r, w, high, high)
    elif above >= 0:
        _link_if_mapped(r, w, above, above)


@kernel
def take_window(p: Pool, r: Reserve, w: int) -> None:
    """Say that window w was unmapped."""
    if p.by_page:
        unlink_window(r, w)


@kernel
def next_window(p: Pool, block: int, before: int) -> int:
    """Give the window of a host block that follows `before`, or its first one for -1; -1 behind the last. Of a large
    pool those that were put, and none but the last may be asked for again: it leaves the list."""
    if not p.by_page:
        w = block * p.block_pages if before < 0 else before + 1
        return w if w < (block + 1) * p.block_pages else -1
    w = int(p.first[block]) - 1
    if w >= 0:
        p.first[block] = p.following[w]
        p.listed[w] = 0
    return w


@kernel
def empty_pool(p: Pool, r: Reserve, used: int) -> None:
    """Forget what the first `used` blocks show; their windows are unmapped elsewhere."""
    if p.by_page:
        for block in range(used):
            w = next_window(p, block, -1)
            while w >= 0:
                r.low[w] = r.high[w] = 0
                w = next_window(p, block, w)
