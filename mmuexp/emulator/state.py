"""What the emulator knows of the guest's pages, and the arrays in which it keeps translated code.

Physical pages are numbered densely, in order of first appearance: a *frame*. In user-mode traces the frame is the
virtual page. Links and frames are kept plus one, so that 0 means none and an array of zeros (which costs no memory
until it is touched) is an empty state.
"""

from typing import NamedTuple

import numpy as np

from mmuexp.emulator.kernel import kernel
from mmuexp.guest import PAGES

FRAMES = PAGES  # distinct physical pages that a trace may have
FIRST_BLOCKS = 1 << 12
MAX_BLOCKS = 1 << 22  # translated blocks alive at once; a real guest has some hundred thousand

# places in Emulator.control
FREE_BLOCK, USED_BLOCKS, CODE_EPOCH, KNOWN_PAGES, TOLD, FIRST_FAULT = range(6)
ROW_FAULTS = 16  # faults that one row may take, a power of two; of our schemes none takes more than 2


class Emulator(NamedTuple):
    """Record arrays, so that what belongs together lies together; see the dtypes below for the fields."""

    page: np.ndarray  # PAGE[PAGES], by virtual page
    frame: np.ndarray  # FRAME[FRAMES], by frame
    block: np.ndarray  # BLOCK[room for blocks]
    link: np.ndarray  # LINK[2 a block]
    bucket: np.ndarray  # int32[power of two], first block + 1 of the hash bucket
    settled: np.ndarray  # uint32[PAGES], epoch << KINDS | kinds of access that are settled in it; the loop's memory
    control: np.ndarray  # int64[FIRST_FAULT + ROW_FAULTS]; TOLD: faults of this row, vaddr << 8 | cause each


PAGE = np.dtype(
    [
        ("frame", "i4"),  # frame + 1 that backs the page, 0 = unknown
        ("known", "i4"),  # slot i of the list of known pages (the rest of the record is page i's own)
        ("known_at", "i4"),  # where the page stands in that list
    ]
)
FRAME = np.dtype(
    [
        ("first_link", "i4"),  # link + 1 of a block that lies in the frame, 0 = no code page
        ("number", "u4"),  # guest-physical page number
        ("dirty", "u1"),
        ("quiet_stores", "u1"),  # softmmu: stores that hit no block since the page's blocks changed
    ]
)
BLOCK = np.dtype(
    [
        ("start", "i8"),  # frame << 12 | offset of the first byte
        ("length", "i4"),  # bytes; not "size", which a NumPy record has of its own
        ("second", "i4"),  # frame + 1 of the second page, 0 = none
        ("chain", "i4"),  # next block + 1 in the bucket, or in the free list
    ]
)
LINK = np.dtype([("next", "i4"), ("prev", "i4")])  # link + 1 in the frame's list


def records(count: int, dtype: np.dtype) -> np.recarray:
    """Zeroed records; their memory is not touched until they are."""
    return np.zeros(count, dtype).view(np.recarray)


class Row(NamedTuple):
    """One access as a kernel sees it; all int64. `second` is -1 when the access stays in its page."""

    vaddr: int
    size: int
    store: int  # 1 = store, 0 = load
    user: int
    misaligned: int
    page: int
    frame: int
    first: int  # offset of the first byte in `page`
    last: int  # offset of the last byte in `page`
    second: int  # the next virtual page, for an access that crosses
    second_frame: int
    second_last: int  # offset of the last byte in `second`


def new_emulator() -> Emulator:
    """The empty state at a trace's first row."""
    return Emulator(
        page=records(PAGES, PAGE),
        frame=records(FRAMES, FRAME),
        block=records(FIRST_BLOCKS, BLOCK),
        link=records(2 * FIRST_BLOCKS, LINK),
        bucket=np.zeros(2 * FIRST_BLOCKS, np.int32),
        settled=np.zeros(PAGES, np.uint32),
        control=np.zeros(FIRST_FAULT + ROW_FAULTS, np.int64),
    )


@kernel
def unsettle(e, page):
    """Accesses to the page were settled, and may be so no longer. (LOST says it of all pages.)"""
    e.settled[page] = 0


@kernel
def frame_of(e, page, user_mode):
    """The frame behind a page that a row touches; in user mode the page is its own frame."""
    if user_mode:
        e.frame[page].number = page
        return page
    return np.int64(e.page[page].frame) - 1


@kernel
def learn_page(e, page, frame):
    """From here on `page` is backed by `frame`."""
    if e.page[page].frame == 0:
        at = e.control[KNOWN_PAGES]
        e.page[at].known = page
        e.page[page].known_at = at
        e.control[KNOWN_PAGES] = at + 1
    e.page[page].frame = frame + 1


@kernel
def forget_page(e, page):
    if e.page[page].frame == 0:
        return
    e.page[page].frame = 0
    top = e.control[KNOWN_PAGES] - 1
    moved = e.page[top].known
    at = e.page[page].known_at
    e.page[at].known = moved
    e.page[moved].known_at = at
    e.control[KNOWN_PAGES] = top


@kernel
def forget_all_pages(e):
    for i in range(e.control[KNOWN_PAGES]):
        e.page[e.page[i].known].frame = 0
    e.control[KNOWN_PAGES] = 0
