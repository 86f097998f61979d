"""Holds what the emulator knows of the guest's pages, and the arrays in which it keeps translated code.

Physical pages are numbered densely, in order of first appearance: a *frame*. In user-mode traces the frame is the
virtual page. Links and frames are kept plus one, so that 0 means none and an array of zeros (which costs no memory
until it is touched) is an empty state.
"""

from contextlib import suppress
from mmap import MADV_HUGEPAGE, MAP_ANONYMOUS, MAP_POPULATE, MAP_PRIVATE, mmap
from typing import Any, NamedTuple

import numpy as np

from mmuexp.emulator.kernel import kernel, seldom
from mmuexp.guest import PAGE_BITS, PAGES

OWN_MAPPING_BYTES = 1 << 18
FIRST_BLOCKS = 1 << 14
FIRST_ADDRESSES = 1 << 15  # of code, that blocks can be remembered at
MAX_BLOCKS = 1 << 22  # different blocks that were translated; a real guest has some hundred thousand

# places in Emulator.control
USED_BLOCKS, DROPPED, KNOWN_PAGES, GUEST_INSNS, REVOKED, TOLD, FIRST_FAULT = range(7)
ROW_FAULTS = 16  # faults that one row may take, a power of two; of our schemes none takes more than 2


class Emulator(NamedTuple):
    """Record arrays, so that what belongs together lies together; see the dtypes below for the fields."""

    page: np.ndarray  # PAGE[PAGES], by virtual page
    listed: np.ndarray  # LISTED[PAGES], the pages that a system trace knows
    frame: np.ndarray  # FRAME[PAGES], by frame
    block: np.ndarray  # BLOCK[room for blocks]
    link: np.ndarray  # LINK[2 a block]
    bucket: np.ndarray  # int32[power of two], first block + 1 of the hash bucket
    entered: np.ndarray  # uint32[addresses of code], size and code epoch of the block that was; the loop's memory
    entered_block: np.ndarray  # int32[addresses of code], which block that was
    control: np.ndarray  # int64[FIRST_FAULT + 2 * ROW_FAULTS]; DROPPED: blocks so far; GUEST_INSNS: up to this
    # FLUSH or FLUSH_PAGE row, since the trace's first; REVOKED: 1 since an answer that was remembered is so no longer,
    # or one could not be; TOLD: faults of this row, vaddr and cause of each
    listed_blocks: np.ndarray  # int32[PAGES], by frame: links in its list of blocks
    in_spell: np.ndarray  # uint32[PAGES], by virtual page: as PAGE.settled, of what is SETTLED_IN_SPELL
    number_high: np.ndarray  # uint32[PAGES], by frame: what FRAME.number has no bits for
    # Which pages the numbers of pages stand for (replay/pages.py); zeros where the number is the page
    apart: np.ndarray  # int64[PAGES]: the guest's page, less its number
    step: np.ndarray  # int32[PAGES]: the number of the page that follows, less the next number; -1 where it has none
    back: np.ndarray  # int32[PAGES]: the number of the page before, less the number before; 1 where it has none
    numbered: np.ndarray  # int32[power of two], by a hash of the guest's page: its number + 1; of size 1: not needed


# One record of 32 bytes, half a line of the cache, holds what is kept of virtual page i, of frame i and of slot i of
# the list: in user mode a page is its own frame, so that an access that misses finds both at one place.
RECORD_BYTES = 32
HOST_PAGE_RECORDS = 4096 // RECORD_BYTES


def _part(**fields: tuple[str, int]) -> np.dtype[Any]:
    """Some fields of that record: type and offset of each."""
    formats, offsets = zip(*fields.values(), strict=True)
    layout: Any = {
        "names": list(fields),
        "formats": formats,
        "offsets": offsets,
        "itemsize": RECORD_BYTES,
        "aligned": True,
    }
    return np.dtype(layout)


PAGE = _part(
    settled=("u4", 0),  # epoch << KINDS | kinds of access that are settled in it; the loop's memory
    frame=("i4", 4),  # frame + 1 that backs the page, 0 = unknown
)
FRAME = _part(
    first_link=("i4", 8),  # link + 1 of a block that lies in the frame, 0 = no code page
    number=("u4", 12),  # guest-physical page number, the lowest 32 bits of it
    window=("i4", 16),  # window + 1 of the scheme's reserve that shows the frame, 0 = none
    dirty=("u1", 20),
    quiet_stores=("u1", 21),  # softmmu: stores that hit no block since the page's blocks changed
)
LISTED = _part(page=("i4", 24), at=("i4", 28))  # slot i of the list; where page i stands in it
BLOCK = np.dtype(
    [
        ("start", "i8"),  # frame << 12 | offset of the first byte
        ("length", "i4"),  # bytes; not "size", which a NumPy record has of its own
        ("second", "i4"),  # frame + 1 of the second page, 0 = none
        ("chain", "i4"),  # next block + 1 in the bucket
        ("dropped", "i4"),  # 1 from a store to its page until it is translated again
        ("entered", "i4"),  # number + 1 of the address at which it is remembered as entered, 0 = none
        ("marked", "i4"),  # 1: the scheme wants to be asked whenever it is entered; stays when it is dropped
    ]
)
LINK = np.dtype([("next", "i4"), ("prev", "i4")])  # link + 1 in the frame's list


def zeros(count: int, dtype: Any, *, at_once: bool = False, dense: bool = False) -> np.ndarray:
    """Make a zeroed array whose memory is not touched until it is used; `at_once`: all of it will be, here and there;
    `dense`: from its begin on, to some megabytes, which the system then gives by 2 MB where it can.

    It maps fresh pages. np.zeros would clear recycled heap memory by hand, tens of milliseconds per scheme.
    """
    size = count * np.dtype(dtype).itemsize
    if size < OWN_MAPPING_BYTES and not at_once:
        return np.zeros(count, dtype)
    how = MAP_PRIVATE | MAP_ANONYMOUS | (MAP_POPULATE if at_once else 0)  # a shared one costs twice to touch
    memory = mmap(-1, size, how)
    if dense:
        with suppress(OSError):  # a system without huge pages
            memory.madvise(MADV_HUGEPAGE)
    return np.frombuffer(memory, dtype)


def records(count: int, dtype: np.dtype[Any]) -> np.recarray:
    """Make zeroed records, as `zeros` does."""
    return zeros(count, dtype).view(np.recarray)


class Row(NamedTuple):
    """One access as a kernel sees it; all int64. `second` is -1 when the access stays in its page.

    Pages are numbers, below guest.PAGES: of a guest of 32 bits the pages themselves, of one of 64 bits what the trace
    numbers them by (`real_page`). `vaddr` is the guest's own, of which the highest bit is the sign.
    """

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
    position: int  # of its instruction in the block at work, from 1; 0 = the trace does not say
    block: int  # the block at work, also when it was dropped since; -1 = none, or the scheme does not ask (`sites`)


class PageTable(NamedTuple):
    """What is known of pages by their number, as `Emulator` has it."""

    apart: np.ndarray
    step: np.ndarray
    back: np.ndarray
    numbered: np.ndarray


def new_page_table(room: int = 1) -> PageTable:
    """Make the table where a page's number is the page; or of a trace of 64 bits, with so much `room`."""
    return PageTable(zeros(PAGES, np.int64), zeros(PAGES, np.int32), zeros(PAGES, np.int32), zeros(room, np.int32))


def place_of_page(page: Any, apart: np.ndarray, numbered: np.ndarray) -> Any:
    """Find where a page of the guest (uint64) stands among those that have a number, or would: neighbours stand beside
    each other."""
    mask = np.uint64(len(numbered) - 1)
    group = (page >> np.uint64(9)) * np.uint64(0x9E3779B97F4A7C15) >> np.uint64(43)
    place = (group + (page & np.uint64(511))) & mask
    while numbered[place]:
        number = np.int64(numbered[place]) - 1
        if np.uint64(number + apart[number]) == page:
            break
        place = (place + np.uint64(1)) & mask
    return place


_place_of_page = kernel(place_of_page)


def new_emulator(pages: PageTable | None = None) -> Emulator:
    """Make the empty state at the first row of a trace whose pages have these numbers."""
    pages = pages or new_page_table()
    shared = zeros(PAGES * RECORD_BYTES, np.uint8)
    return Emulator(
        page=shared.view(PAGE).view(np.recarray),
        listed=shared.view(LISTED).view(np.recarray),
        frame=shared.view(FRAME).view(np.recarray),
        block=records(FIRST_BLOCKS, BLOCK),
        link=records(2 * FIRST_BLOCKS, LINK),
        bucket=zeros(2 * FIRST_BLOCKS, np.int32, at_once=True),
        entered=zeros(FIRST_ADDRESSES, np.uint32, at_once=True),
        entered_block=zeros(FIRST_ADDRESSES, np.int32, at_once=True),
        control=np.zeros(FIRST_FAULT + 2 * ROW_FAULTS, np.int64),
        listed_blocks=zeros(PAGES, np.int32),
        in_spell=zeros(PAGES, np.uint32),
        number_high=zeros(PAGES, np.uint32),
        apart=pages.apart,
        step=pages.step,
        back=pages.back,
        numbered=pages.numbered,
    )


def with_room_for_addresses(e: Emulator, addresses: int) -> Emulator:
    """Make room for blocks at that many addresses of code, and some more, in the same state."""
    room, before = max(addresses, 2 * len(e.entered)), len(e.entered)
    entered, entered_block = zeros(room, np.uint32), zeros(room, np.int32)
    entered[:before], entered_block[:before] = e.entered, e.entered_block
    return e._replace(entered=entered, entered_block=entered_block)


@kernel
def are_pages(e: Emulator) -> bool:
    """Tell whether the number of a page is the page: what would be 0 then is not read, where it is in no cache."""
    return e.numbered.size == 1


@kernel
def real_page(e: Emulator, page: int) -> int:
    """Give the guest's page behind the number of a page: of a guest of 32 bits the same."""
    return page if are_pages(e) else page + e.apart[page]


@kernel
def address_of(e: Emulator, page: int, offset: int) -> int:
    """Give the guest's address of a byte of a page, as `Row.vaddr` is."""
    return real_page(e, page) << PAGE_BITS | offset


@kernel
def find_page(e: Emulator, page: int) -> int:
    """Give the number of a page of the guest, -1 if no row touched it; of a guest of 32 bits the same."""
    if are_pages(e):
        return page
    return int(e.numbered[_place_of_page(np.uint64(page), e.apart, e.numbered)]) - 1


@kernel
def next_page(e: Emulator, page: int) -> int:
    """Give the number of the page that follows; of a guest of 64 bits the page itself where no row touched that."""
    return (page + 1 + (0 if are_pages(e) else e.step[page])) & (PAGES - 1)


@kernel
def page_before(e: Emulator, page: int) -> int:
    """Give the number of the page before; of a guest of 64 bits the page itself where no row touched that."""
    return (page - 1 + (0 if are_pages(e) else e.back[page])) & (PAGES - 1)


@kernel
def unsettle(e: Emulator, page: int) -> None:
    """Say that accesses to the virtual page were settled, and may be so no longer. LOST says it of all pages."""
    if e.page[page].settled:
        e.page[page].settled = 0
        e.control[REVOKED] = 1
    if e.in_spell[page]:  # none that is looked up before a spell: nothing that was known is revoked
        e.in_spell[page] = 0


@seldom
def unsettle_all(e: Emulator) -> None:
    """Forget which accesses are settled, of all pages: memory that was never written to stays so, and is not taken."""
    for begin in range(0, PAGES, HOST_PAGE_RECORDS):
        some = 0
        for page in range(begin, begin + HOST_PAGE_RECORDS):
            some |= e.page[page].settled | e.in_spell[page]
        if some:
            for page in range(begin, begin + HOST_PAGE_RECORDS):
                e.page[page].settled = e.in_spell[page] = 0


@kernel
def frame_of(e: Emulator, page: int, user_mode: bool) -> int:
    """Give the frame behind a virtual page that a row touches; in user mode the page is its own frame."""
    if user_mode:
        e.frame[page].number = real_page(e, page) & 0xFFFFFFFF
        return page
    return int(e.page[page].frame) - 1


@kernel
def learn_page(e: Emulator, page: int, frame: int) -> None:
    """From here on `page` of a system trace is backed by `frame`."""
    if e.page[page].frame == 0:
        at = e.control[KNOWN_PAGES]
        e.listed[at].page = page
        e.listed[page].at = at
        e.control[KNOWN_PAGES] = at + 1
    e.page[page].frame = frame + 1


@kernel
def learn_own_page(e: Emulator, page: int) -> None:
    """`page` of a user-mode trace was touched; it stays known."""
    e.page[page].frame = page + 1


@kernel
def forget_page(e: Emulator, page: int) -> None:
    if e.page[page].frame == 0:
        return
    e.page[page].frame = 0
    top = e.control[KNOWN_PAGES] - 1
    moved = e.listed[top].page
    at = e.listed[page].at
    e.listed[at].page = moved
    e.listed[moved].at = at
    e.control[KNOWN_PAGES] = top


@kernel
def forget_all_pages(e: Emulator) -> None:
    for i in range(e.control[KNOWN_PAGES]):
        e.page[e.listed[i].page].frame = 0
    e.control[KNOWN_PAGES] = 0
