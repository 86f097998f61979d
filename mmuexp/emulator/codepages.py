"""Decides what is done with a code page: parameter `code` of the schemes that map guest pages (MODEL.md, section 11).

* `page`: a code page is mapped read-only. A store to it faults, drops all blocks of the page, and opens its window.
* `block`: the store faults too, but the handler does it, and drops only the blocks that it overlaps. The window stays
  closed while the page has a block.
* `check`: a frame that took `check_after` such faults is protected no more. Its blocks compare their source with what
  they were made of whenever they are entered.
* `free`: the guest says which code it wrote. Nobody watches; an overlapped block goes at no cost.

A store is *noticed* where the page is a code page of which the policy wants to know.
"""

from typing import Any, NamedTuple

import numpy as np

from mmuexp.emulator.code import (
    drop_block,
    is_code_page,
    mark_block,
    overlapped_block,
    overlaps,
    store_drops_overlapped,
    store_drops_page,
)
from mmuexp.emulator.faults import fault
from mmuexp.emulator.kernel import kernel, seldom
from mmuexp.emulator.reserve import Reserve, map_window, protect_frame, set_writable
from mmuexp.emulator.state import MAX_BLOCKS, Emulator, Row, address_of, zeros
from mmuexp.events import FIRST_EXTRA, Event
from mmuexp.guest import PAGE_BITS, PAGES

PAGE, BLOCK, CHECK, FREE = range(4)
CODE_POLICIES = {"page": PAGE, "block": BLOCK, "check": CHECK, "free": FREE}
CHECKED_ENTRIES, CHECKED_BYTES, CHECKS_FAILED = range(3)  # from `CodePages.first_event` on
CHECK_EVENTS = ("checked_entries", "checked_bytes", "checks_failed")
MAPPED_IT, KEEPS_CODE = 1, 2  # what `serve_page` answers


class CodePages(NamedTuple):
    """The policy, and what it knows of frames and blocks."""

    policy: int
    check_after: int
    track: int  # 1: a page is writable once it is dirty; 0: at once (`dirty=none`)
    first_event: int  # place of checked_entries in `n`
    taken: np.ndarray  # uint8[frames], faults_code that each took, up to check_after
    changed: np.ndarray  # uint8[blocks], 1: a store overlapped it since it was translated


def new_code_pages(code: str, check_after: int, extra_events: tuple[str, ...], *, track: bool = True) -> CodePages:
    """Make the state of a policy whose scheme counts these events of its own."""
    checks = code == "check"
    first = FIRST_EXTRA + extra_events.index(CHECK_EVENTS[0]) if CHECK_EVENTS[0] in extra_events else 0
    return CodePages(
        CODE_POLICIES[code], check_after, int(track), first,
        zeros(PAGES if checks else 1, np.uint8), zeros(MAX_BLOCKS if checks else 1, np.uint8),
    )  # fmt: skip


@kernel
def _is_checked(p: CodePages, frame: int) -> bool:
    return p.policy == CHECK and bool(p.taken[frame] >= p.check_after)


@kernel
def is_noticed(p: CodePages, e: Emulator, frame: int) -> bool:
    """Tells whether a store to the frame must be noticed."""
    return is_code_page(e, frame) and p.policy != FREE and not _is_checked(p, frame)


@kernel
def may_write(p: CodePages, e: Emulator, frame: int) -> int:
    """1 if a window that a load maps is writable."""
    return 1 if (e.frame[frame].dirty or not p.track) and not is_noticed(p, e, frame) else 0


@kernel
def note_whole_store(p: CodePages, e: Emulator, n: np.ndarray, frame: int, first: int, last: int) -> None:
    """Note that a handler which sees pages, not bytes, did a store to bytes first..last of the frame."""
    if is_noticed(p, e, frame):
        store_drops_page(e, n, frame, first, last)
    e.frame[frame].dirty = 1


@seldom
def _serve_store(p: CodePages, e: Emulator, n: np.ndarray, frame: int, first: int, last: int, cause: int) -> int:
    """Do what the handler of a store's fault does for the frame. Returns 1 if it keeps a block."""
    e.frame[frame].dirty = 1
    if p.policy == BLOCK:
        if is_code_page(e, frame):
            store_drops_overlapped(e, n, frame, first, last)
        return 1 if is_code_page(e, frame) else 0
    note_whole_store(p, e, n, frame, first, last)
    if cause == Event.FAULTS_CODE and p.policy == CHECK:
        p.taken[frame] += 1
    return 0


@kernel
def fault_cause(p: CodePages, r: Reserve, e: Emulator, w: int, frame: int, store: int, unmapped: int) -> int:
    """Give the cause of the fault that an access to window w takes, -1 if it takes none; `unmapped`: if that is why."""
    if r.window[w].frame == 0:
        return unmapped
    if not store or r.window[w].writable:
        return -1
    return Event.FAULTS_CODE if is_noticed(p, e, frame) else Event.FAULTS_WRITE


@kernel
def serve_page(
    p: CodePages, r: Reserve, e: Emulator, n: np.ndarray, w: int, page: int, frame: int, store: int, first: int,
    last: int, cause: int, quiet: int, patched: int
) -> int:  # fmt: skip
    """Do what one handler run does for bytes first..last of a page that faults with this cause, at window w.

    `quiet`: the run that is under way does it, without a fault of its own. `patched`: the store itself is done
    elsewhere, and a code page stays as it is. Answers MAPPED_IT, and KEEPS_CODE if the store cannot be done again.
    """
    if not quiet:
        fault(e, n, cause, address_of(e, page, first))
    keeps = 0
    if store and patched and p.policy == BLOCK and is_code_page(e, frame):
        e.frame[frame].dirty = 1
        keeps = KEEPS_CODE
    elif store and _serve_store(p, e, n, frame, first, last, cause):
        keeps = KEEPS_CODE
    if r.window[w].frame == 0:
        n[Event.MMAP_CALLS] += 1
        map_window(r, e, n, w, frame, 1 if store and not keeps else may_write(p, e, frame))
        return keeps | MAPPED_IT
    if not keeps:
        n[Event.MPROTECT_CALLS] += 1
        set_writable(r, e, w, 1)
    return keeps


@seldom
def _mark_changed(p: CodePages, e: Emulator, frame: int, first: int, last: int) -> None:
    link = e.frame[frame].first_link - 1
    while link >= 0:
        if overlaps(e, link, first, last):
            p.changed[link >> 1] = 1
        link = e.link[link].next - 1


@kernel
def _after_store(p: CodePages, e: Emulator, n: np.ndarray, frame: int, first: int, last: int) -> int:
    if not is_code_page(e, frame):
        return 0
    if p.policy == CHECK:
        _mark_changed(p, e, frame, first, last)
    elif overlapped_block(e, frame, first, last) >= 0:
        store_drops_overlapped(e, n, frame, first, last)
    return 1


@kernel
def after_store(p: CodePages, e: Emulator, n: np.ndarray, row: Row) -> int:
    """Do what no handler does: what a store changes unseen is remembered (`check`), or dropped (`free`). Answers 1 if
    the same store, again, would come here for something: it is not settled."""
    if not row.store or p.policy < CHECK:
        return 0
    answer = _after_store(p, e, n, row.frame, row.first, row.last)
    if row.second >= 0:
        answer |= _after_store(p, e, n, row.second_frame, 0, row.second_last)
    return answer


@kernel
def _has_checked_page(p: CodePages, e: Emulator, b: int) -> bool:
    second = int(e.block[b].second) - 1
    return _is_checked(p, e.block[b].start >> PAGE_BITS) or (second >= 0 and _is_checked(p, second))


@kernel
def new_block(p: CodePages, e: Emulator, b: int) -> None:
    """Block b was translated: its source is what it was made of."""
    if p.policy == CHECK:
        p.changed[b] = 0
        if _has_checked_page(p, e, b):
            mark_block(e, b)


@kernel
def check_block(p: CodePages, e: Emulator, n: np.ndarray, b: int) -> None:
    """Compare the source of block b, which is entered, if a page of it is checked; drop it if it is another."""
    if p.policy == CHECK and b >= 0 and _has_checked_page(p, e, b):
        n[p.first_event + CHECKED_ENTRIES] += 1
        n[p.first_event + CHECKED_BYTES] += e.block[b].length
        if p.changed[b]:
            n[p.first_event + CHECKS_FAILED] += 1
            drop_block(e, b)


@kernel
def protect_noticed(s: Any, e: Emulator, n: np.ndarray, frame: int) -> None:
    """Serve as `protect` of a scheme whose state has a reserve, and its policy as `code`."""
    if is_noticed(s.code, e, frame):
        protect_frame(s.reserve, e, n, frame)


@kernel
def enter_block(s: Any, e: Emulator, n: np.ndarray, block: int) -> int:
    """Serve as `execute` of such a scheme."""
    check_block(s.code, e, n, block)
    return 0


@kernel
def translate_block(s: Any, e: Emulator, n: np.ndarray, block: int) -> int:
    """Serve as `translated` of such a scheme."""
    new_block(s.code, e, block)
    return 0
