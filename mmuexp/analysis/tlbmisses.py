"""How often a direct-mapped TLB fills, and why, at several load addresses at once.

Every lookup of a row goes to a TLB without limit and to a fully associative one with LRU replacement; they see pages
and not addresses, so one of each serves all load addresses. Then each load address has its direct-mapped TLB, the
softmmu scheme's (MODEL.md, section 3): if it fills, the other two say why.
"""

from collections.abc import Sequence
from enum import IntEnum
from typing import Any, NamedTuple

import numpy as np

from mmuexp.emulator.state import PageTable, new_page_table
from mmuexp.guest import IO, PAGE_BITS, PAGE_MASK, PAGES, USER, Op
from mmuexp.native.jitcache import guarded, kept
from mmuexp.progress import part_of
from mmuexp.replay.pages import followed_by
from mmuexp.trace.relocate import Region

MODES = 2  # kernel, user
TOGETHER = 1 << 23  # entries of direct-mapped TLBs that one pass over a trace fills


class MissKind(IntEnum):
    """Says why a fill was needed: the first that fits. KINDS of misses.py are these names, for users."""

    COMPULSORY = 0
    FLUSH = 1
    WRITE_RIGHT = 2
    CAPACITY = 3
    CONFLICT = 4


# places in State.control
EPOCH, LAST = 0, 1


class State(NamedTuple):
    """Pages are virtual, by mode * PAGES + page where a mode matters; of a trace of 64 bits, numbers (pages.py). An
    *entry* is page + 1 << 1 | may be written."""

    entry: np.ndarray  # uint32[load addresses, MODES << tlb_bits], the direct-mapped TLBs; 0 = invalid
    region: np.ndarray  # int32[PAGES], the region that a page lies in
    offset: np.ndarray  # int64[regions, load addresses], in pages
    apart: np.ndarray  # int64[PAGES], the guest's page less its number
    step: np.ndarray  # int32[PAGES], which page follows it (pages.py)
    seen: np.ndarray  # int64[MODES * PAGES], the TLB without limit: 0 never, else epoch << 2 | may be written << 1 | 1
    frame: np.ndarray  # int32[PAGES], what a MAP row told
    dirty: np.ndarray  # uint8[frames]
    slot: np.ndarray  # int32[MODES * PAGES], slot + 1 in the LRU TLB; 0 = not there
    held: np.ndarray  # int64[MODES * (entries + 1)], the page in a slot, + 1; 0 = free; a mode's last ends its list
    right: np.ndarray  # uint8, as `held`: may be written
    next: np.ndarray  # int32, as `held`: towards the longest unused, round through the end
    prev: np.ndarray  # int32, as `held`
    control: np.ndarray  # int64[2]: EPOCH, raised by each FLUSH; LAST, the lookup before, which hits again
    fills: np.ndarray  # int64[load addresses, kinds]
    lru_fills: np.ndarray  # int64[1]
    lookups: np.ndarray  # int64[1]


def new_state(tlb_bits: int, region: np.ndarray, offset: np.ndarray, pages: PageTable | None = None) -> State:
    """Everything empty. `region` and `offset` as in State."""
    pages = pages or new_page_table()
    slots = (1 << tlb_bits) + 1
    ring = np.arange(MODES * slots, dtype=np.int32).reshape(MODES, slots)
    seeds = offset.shape[1]
    return State(
        entry=np.zeros((seeds, MODES << tlb_bits), np.uint32),
        region=region,
        offset=offset,
        apart=pages.apart,
        step=pages.step,
        seen=np.zeros(MODES * PAGES, np.int64),
        frame=np.zeros(PAGES, np.int32),
        dirty=np.zeros(PAGES, np.uint8),
        slot=np.zeros(MODES * PAGES, np.int32),
        held=np.zeros(MODES * slots, np.int64),
        right=np.zeros(MODES * slots, np.uint8),
        next=np.roll(ring, -1, axis=1).ravel(),
        prev=np.roll(ring, 1, axis=1).ravel(),
        control=np.array([1, -1]),
        fills=np.zeros((seeds, len(MissKind)), np.int64),
        lru_fills=np.zeros(1, np.int64),
        lookups=np.zeros(1, np.int64),
    )


@kept
def _move(s, slot, after):
    """Put a slot of the LRU TLB behind another in the list."""
    s.next[s.prev[slot]], s.prev[s.next[slot]] = s.next[slot], s.prev[slot]
    s.next[slot], s.prev[slot] = s.next[after], after
    s.prev[s.next[after]] = slot
    s.next[after] = slot


@kept
def _lru_fills(s, at, user, store, right):
    """One lookup in the fully associative TLB; does it fill?"""
    end = (user + 1) * (s.held.size // MODES) - 1
    slot = s.slot[at] - 1
    fills = slot < 0 or (store and not s.right[slot])
    if slot < 0:
        slot = s.prev[end]  # the longest unused
        if s.held[slot]:
            s.slot[s.held[slot] - 1] = 0
        s.held[slot] = at + 1
        s.slot[at] = slot + 1
    if fills:
        s.right[slot] = right
        s.lru_fills[0] += 1
    if s.next[end] != slot:
        _move(s, slot, end)
    return fills


@kept
def _look_up(s, page, frame, store, user):
    s.lookups[0] += 1
    at = user * PAGES + page
    if s.control[LAST] == at << 1 | 1 or s.control[LAST] == at << 1 | store:
        return
    s.control[LAST] = at << 1 | store
    if store:
        s.dirty[frame] = 1
    right = np.int64(s.dirty[frame])
    was = s.seen[at]
    kind = -1
    if was >> 2 != s.control[EPOCH]:
        kind = MissKind.COMPULSORY if was == 0 else MissKind.FLUSH
    elif store and not was & 2:
        kind = MissKind.WRITE_RIGHT
    if kind >= 0:
        s.seen[at] = s.control[EPOCH] << 2 | right << 1 | 1
    lru = _lru_fills(s, at, user, store, right)
    if kind < 0:
        kind = MissKind.CAPACITY if lru else MissKind.CONFLICT
    entries = s.entry.shape[1] // MODES
    wanted = np.uint32((page + 1) << 1 | 1)
    load = np.uint32(1 - store)
    offset = s.offset[s.region[page]]
    for seed in range(s.entry.shape[0]):
        place = user * entries + ((page + s.apart[page] + offset[seed]) & (entries - 1))
        if s.entry[seed, place] | load != wanted:
            s.entry[seed, place] = np.uint32((page + 1) << 1 | right)
            s.fills[seed, kind] += 1


@kept
def _flush(s):
    s.entry[:] = 0
    s.control[EPOCH] += 1
    for slot in range(s.held.size):
        if s.held[slot]:
            s.slot[s.held[slot] - 1] = 0
            s.held[slot] = 0


@kept
def _flush_page(s, page):
    entries = s.entry.shape[1] // MODES
    for user in range(MODES):
        at = user * PAGES + page
        s.seen[at] &= 1
        slot = s.slot[at] - 1
        if slot >= 0:
            s.slot[at] = 0
            s.held[slot] = 0
            last = s.prev[(user + 1) * (s.held.size // MODES) - 1]
            if slot != last:
                _move(s, slot, last)  # free: the next to be taken
        for seed in range(s.entry.shape[0]):
            place = user * entries + ((page + s.apart[page] + s.offset[s.region[page], seed]) & (entries - 1))
            if s.entry[seed, place] >> 1 == page + 1:
                s.entry[seed, place] = 0


@guarded(_look_up, _flush, _flush_page)
@kept
def feed(s, vaddrs, sizes, ops, flags, frames, user_mode):
    """Look up what these rows access; they have passed the survey. `frames` as `Survey.feed` gives it, or empty."""
    for i in range(ops.size):
        op, vaddr = ops[i], np.int64(vaddrs[i])
        page = vaddr >> PAGE_BITS
        if op <= Op.STORE:
            if flags[i] & IO:
                continue
            user = np.int64(1) if user_mode else np.int64(flags[i] & USER) >> 1
            frame = page if user_mode else np.int64(s.frame[page])
            _look_up(s, page, frame, np.int64(op), user)
            if (vaddr & PAGE_MASK) + sizes[i] > PAGE_MASK + 1:
                second = followed_by(page, s.step)
                frame = second if user_mode else np.int64(s.frame[second])
                _look_up(s, second, frame, np.int64(op), user)
        elif op == Op.FLUSH:
            _flush(s)
            s.control[LAST] = -1
        elif op == Op.FLUSH_PAGE:
            _flush_page(s, page)
            s.control[LAST] = -1
        elif op == Op.MAP:
            s.frame[page] = frames[i]


def split(
    trace: Any, tlb_bits: int, regions: Sequence[Region], offsets: np.ndarray, label: str = "", progress=None
) -> tuple[np.ndarray, dict[str, int]]:
    """The fills of an open trace at several load addresses, int64[load addresses, KINDS], and what all of them share.

    `offsets` is int64[regions, load addresses], in pages. A pass over the trace serves as many as memory allows.
    """
    together = max(1, TOGETHER >> tlb_bits)
    firsts = range(0, offsets.shape[1], together)
    found = []
    for at, first in enumerate(firsts):
        some = np.ascontiguousarray(offsets[:, first : first + together])
        state, shape = _one_pass(trace, tlb_bits, regions, some, label, part_of(progress, at, len(firsts)))
        found.append(state.fills)
    shared = {"lru_fills": int(state.lru_fills[0]), "lookups": int(state.lookups[0])}
    return np.concatenate(found), shared | {name: shape[name] for name in ("rows", "flushes")}


def _one_pass(trace, tlb_bits, regions, offsets, label, progress):
    from mmuexp.replay.survey import Survey

    survey, state, known = Survey(trace.mode, label), None, 0
    none, user_mode, done = np.zeros(0, np.int32), trace.mode == "user", 0
    for columns in trace.batches():
        frames = survey.feed(columns).frames
        told = none if frames is None else frames
        if state is None:
            state = new_state(
                tlb_bits, _regions_by_page(regions), offsets, survey.pages.table if survey.pages else None
            )
        if survey.pages is not None:  # the region of each page that has a number since
            numbers = np.arange(known, survey.pages.count)
            begin = [region.first for region in regions]
            state.region[numbers] = np.maximum(np.searchsorted(begin, survey.pages.real(numbers), "right") - 1, 0)
            known, columns = survey.pages.count, survey.traced(columns)
        feed(state, columns.vaddr, columns.size, columns.op, columns.flags, told, user_mode)
        done += len(columns.op)
        if progress is not None:
            progress(label, done, trace.rows)
    return state or new_state(tlb_bits, _regions_by_page(regions), offsets), survey.counts()


def _regions_by_page(regions: Sequence[Region]) -> np.ndarray:
    """int32[PAGES]: the region of each page of a trace of 32 bits."""
    region = np.zeros(PAGES, np.int32)
    for number, (first, pages) in enumerate(regions):
        region[first : first + pages] = number
    return region
