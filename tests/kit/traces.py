"""Valid traces for tests: hypothesis strategies that shrink well, and fast seeded long traces.

A trace begins as a list of wishes ("a store of 4 bytes at byte 0xffe of page 7"). `record` plays the recorder of
MODEL.md section 1: it puts MAP rows before the first touch of an unknown page and FLUSH_PAGE where a page becomes
device memory or gets another frame. So every list of wishes is a valid trace, and so is every part of one.
"""

import random
from collections.abc import Iterable

from hypothesis import strategies as st
from truth.oracle.guest import EXEC, FLUSH, FLUSH_PAGE, IO, LOAD, MAP, PAGE, PAGES, STORE, USER

from kit.tracerows import Row

# Few virtual pages, so that they meet in TLB sets, guest blocks and windows. What each is for:
# 0xfffff and 0 are neighbours; 0xf/0x10 and 0x3ff/0x400 lie at block ends of MAP_BLOCK_BITS 16 and 22 (and of the
# smaller ones); 0x110 meets 0x10 in a TLB set; 0x8ffff/0x90000 is where kernel_offset begins, 0xa7fff/0xa8000 the
# guest_limit of 2004, and 0xd7fff/0xd8000 the same limit for an address that moved by 0x30000000.
PAGES_APART = [0x0, 0x1, 0xF, 0x10, 0x11, 0x110, 0x3FF, 0x400, 0x8048, 0x8FFFF, 0x90000, 0x90001]
PAGES_APART += [0xA7FFF, 0xA8000, 0xD7FFF, 0xD8000, 0xFFFFE, 0xFFFFF]
# With kernel_offset=0x30000000 these lie where 0x90000 (moved; and unmoved, crossed into from 0x8ffff) lies.
PAGES_COLLIDING = [*PAGES_APART, 0x60000, 0xC0000]

FRAMES = [*range(0x100, 0x108), 0xFFFFF, 0x100000]  # few: two virtual pages often share one; neighbours join VMAs
OFFSETS = [0, 1, 4, 8, 0x10, 0x18, 0x40, 0xFC0, 0xFE0, 0xFF8, 0xFFC, 0xFFE, 0xFFF]
SIZES = [1, 1, 2, 4, 4, 4, 8, 3, 5, 10, 16, 32, 63, 64]
CODE_SIZES = [1, 5, 16, 16, 40, 200, PAGE, PAGE + 1]

# What a wish asks for, as often as it stands here.
KINDS = ["load"] * 6 + ["store"] * 8 + ["exec"] * 5 + ["io load", "io store", "flush page", "flush page", "alias"]
KINDS += ["flush", "move", "note"]
USER_KINDS = [kind for kind in KINDS if kind not in ("io load", "io store", "alias", "move")]

Wish = tuple[str, int, int, int, int, bool, int]  # kind, page, offset, pick of a size, insns, user, pick of a frame


class Recorder:
    """Turns wishes into rows, and remembers what a recorder knows: the frame of each page."""

    def __init__(self, mode: str):
        self.system = mode == "system"
        self.rows: list[Row] = []
        self.frame_of: dict[int, int] = {}

    def forget(self, page: int) -> None:
        """A known page is about to become device memory, or to move."""
        if self.frame_of.pop(page, None) is not None:
            self.rows.append((FLUSH_PAGE, page * PAGE, 0, 0, 0, 0))

    def learn(self, page: int, frame: int) -> None:
        """MAP a page that is not known."""
        if self.system and page not in self.frame_of:
            self.frame_of[page] = frame
            self.rows.append((MAP, page * PAGE, 12, 0, 0, frame))

    def touch(self, op: int, vaddr: int, size: int, insns: int, flags: int, frame: int) -> None:
        """A row that touches one page or two."""
        page = vaddr // PAGE
        self.learn(page, frame)
        if vaddr % PAGE + size > PAGE:
            self.learn((page + 1) % PAGES, frame + (insns & 1))  # the next frame, or the same one
        self.rows.append((op, vaddr, size, insns, flags, 0))

    def grant(self, wish: Wish) -> None:
        """Write the rows of one wish."""
        kind, page, offset, pick, insns, user, frame = wish
        vaddr, flags = page * PAGE + offset, USER if user or not self.system else 0
        size = SIZES[pick % len(SIZES)]
        if kind == "load" or kind == "store":
            self.touch(LOAD if kind == "load" else STORE, vaddr, size, insns, flags, frame)
        elif kind == "exec":
            self.touch(EXEC, vaddr, CODE_SIZES[pick % len(CODE_SIZES)], insns, flags, frame)
        elif kind == "io load" or kind == "io store":
            self.forget(page)
            self.rows.append((LOAD if kind == "io load" else STORE, vaddr, size, insns, flags | IO, 0))
        elif kind == "flush":
            self.frame_of.clear()
            self.rows.append((FLUSH, offset * PAGE, pick % 5, 0, 0, 0))
        elif kind == "flush page":
            self.frame_of.pop(page, None)
            self.rows.append((FLUSH_PAGE, vaddr, 0, 0, 0, 0))
        elif kind == "move":  # to another frame, known before it is touched
            self.forget(page)
            self.learn(page, frame)
        elif kind == "alias":  # a frame that another page has
            self.forget(page)
            self.learn(page, next(iter(self.frame_of.values()), frame))
        else:
            self.rows.append((128 + frame % 128, vaddr, size, insns, flags, frame))


def record(wishes: Iterable[Wish], mode: str) -> list[Row]:
    """The trace that grants these wishes in their order."""
    recorder = Recorder(mode)
    for wish in wishes:
        recorder.grant(wish)
    return recorder.rows


def wishes(mode: str, pages: list[int] = PAGES_APART) -> st.SearchStrategy[Wish]:
    """One wish. Bursts of equal wishes are worth a draw of their own: see `traces`."""
    return st.tuples(
        st.sampled_from(KINDS if mode == "system" else USER_KINDS),
        st.sampled_from(pages),
        st.sampled_from(OFFSETS),
        st.integers(0, 27),
        st.integers(0, 255),
        st.booleans(),
        st.sampled_from(FRAMES),
    )


def traces(mode: str, pages: list[int] = PAGES_APART, max_wishes: int = 60) -> st.SearchStrategy[list[Row]]:
    """Traces of one mode, on a few of the pages. Some wishes are granted up to 12 times: bitmaps need 10 stores."""

    def on(few: list[int]) -> st.SearchStrategy[list[Row]]:
        burst = st.tuples(wishes(mode, few), st.sampled_from([1, 1, 1, 1, 2, 12]))
        return st.lists(burst, max_size=max_wishes).map(
            lambda bursts: record([wish for wish, times in bursts for _ in range(times)], mode)
        )

    return st.lists(st.sampled_from(pages), min_size=1, max_size=6, unique=True).flatmap(on)


def any_traces(pages: list[int] = PAGES_APART, max_wishes: int = 60) -> st.SearchStrategy[tuple[str, list[Row]]]:
    """A mode, and a trace of it."""
    return st.sampled_from(["user", "system"]).flatmap(
        lambda mode: st.tuples(st.just(mode), traces(mode, pages, max_wishes))
    )


def random_trace(seed: int, n: int, mode: str, pages: list[int] = PAGES_APART) -> list[Row]:
    """A trace of exactly n rows, always the same for the same arguments; about 0.3 M rows/s.

    Half of the wishes stay near the one before (its page, bytes beside it), as programs do, some are granted 12
    times over. FLUSH is rare, and beside the odd pages there are 400 ordinary ones, so that every pool and table
    comes under pressure.
    """
    rng = random.Random(seed)
    kinds = KINDS if mode == "system" else USER_KINDS
    kinds = [kind for kind in kinds for _ in range(1 if kind == "flush" else 40)]
    recorder = Recorder(mode)
    page, offset = pages[0], 0
    while len(recorder.rows) < n:
        if rng.random() < 0.5:
            page = rng.choice(pages) if rng.random() < 0.6 else 0x8000 + rng.randrange(400)
            offset = rng.choice(OFFSETS) if rng.random() < 0.7 else rng.randrange(PAGE)
        else:
            offset = (offset + rng.choice([-8, -1, 0, 4, 8, 64])) % PAGE
        frame = rng.choice(FRAMES) if rng.random() < 0.5 else 0x2000 + page
        wish = (rng.choice(kinds), page, offset, rng.randrange(28), rng.randrange(256), rng.random() < 0.5, frame)
        for _ in range(12 if rng.random() < 0.03 else 1):
            recorder.grant(wish)
    return recorder.rows[:n]


def to_columns(rows: list[Row]) -> dict:
    """The rows as the columns of a trace file: numpy arrays of the contract's types."""
    import numpy as np

    names = {"op": "u1", "vaddr": "u4", "size": "u2", "insns": "u1", "flags": "u1", "page": "u4"}
    table = np.array(rows, dtype=np.int64).reshape(-1, len(names))
    return {name: table[:, i].astype(kind) for i, (name, kind) in enumerate(names.items())}
