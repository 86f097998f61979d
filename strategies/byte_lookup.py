"""byte-lookup: Magnus Damm's scheme, a byte for each guest page and windows of two host pages.

    entry = lookup[vaddr >> 12]                    1 MiB of bytes, 0 = not mapped
    host  = base[entry] + (vaddr & 4095)           256 bases

Nothing is compared: base 0 is an inaccessible page, so an access to a page without a window faults, and the handler
gives it one. There are 255, taken in strict round robin, free or not: the handler never sees hits, so nothing better
than the order of allocation is known to it.

    window 1              window 2
    | guest page | none |  | guest page | none |  ...

The second page of a window is inaccessible and catches what runs over the end: **an access that crosses a page faults,
every time**, whatever is mapped, and the handler completes it through guest RAM. So does every access to device memory,
whose byte stays 0. In the mail's words: the common access gets faster, the uncommon one slower.

Source: Magnus Damm, "softmmu thoughts", qemu-devel, 2004-10-19, as quoted in Piotras's answer; MODEL.md, section 4.
Leaves out: the signal handler, complicated in his words, is priced here, not written; one view for kernel and user.
Assumed: the listing below (his own estimate is "around 7 x86 instructions"); instructions of the handler.
"""

from typing import NamedTuple

import numpy as np

from mmuexp.emulator.codepages import (
    CHECK_EVENTS,
    KEEPS_CODE,
    CodePages,
    after_store,
    enter_block,
    fault_cause,
    new_code_pages,
    note_whole_store,
    protect_noticed,
    serve_page,
    translate_block,
)
from mmuexp.emulator.faults import fault
from mmuexp.emulator.handler import io_fault
from mmuexp.emulator.reserve import Reserve, new_reserve, unmap_all, unmap_window
from mmuexp.emulator.state import unsettle
from mmuexp.emulator.tables import LINE_BITS, READ, TABLE_PAGE_BITS, Touched, new_touched, parts_touched, touch
from mmuexp.events import CODE, HOST, meanings
from mmuexp.guest import ADDRESS_BITS, PAGE_BITS, PAGES
from mmuexp.strategy import SETTLED, Cost, Event, Kernels, Strategy, kernel, param
from mmuexp.strategy.codepages import CHECK_COSTS, check_after_param, check_meanings, code_param

EVENTS = meanings(CODE | HOST) | {
    Event.FAULTS_UNMAPPED: "the page's byte is 0: it gets the next window",
    Event.FAULTS_WRITE: "first store to a clean page's window: one mprotect",
    Event.FAULTS_CODE: "store to a code page's window: all its blocks are dropped, one mprotect, or what `code` says",
    Event.FAULTS_CROSS: "the access crosses its page: completed in the handler, windows stay as they are",
    Event.FAULTS_IO: "device memory: completed in the handler",
    Event.EVICTIONS: "the window that is next in turn belonged to another page",
    **check_meanings(CHECK_EVENTS),
}

FAST_PATH = """
    mov   reg, vaddr
    shr   reg, 12
    movzx reg, byte [lookup + reg]
    mov   reg, [base + reg*4]
    mov   off, vaddr
    and   off, 4095
    mov   data, [reg + off]       ; the only one that can fault
"""

COSTS = {
    Event.FAULTS_UNMAPPED: Cost(
        signal=1, walk=1, insn=120, source="assumed: handler: decode, find window, update byte"
    ),
    Event.FAULTS_WRITE: Cost(signal=1, insn=80, source="assumed: handler: decode, set dirty"),
    Event.FAULTS_CODE: Cost(signal=1, insn=200, source="assumed: handler: decode, drop the blocks of the page"),
    Event.FAULTS_CROSS: Cost(signal=1, walk=2, insn=150, source="assumed: handler: decode, do the access in two parts"),
    Event.FAULTS_IO: Cost(
        signal=1, walk=1, insn=120, source="assumed: handler: decode, call the device; not the device"
    ),
    **CHECK_COSTS,
}

MAX_ENTRIES = 255
LINE_BYTES = 64
HAND = 0  # place in State.control


class State(NamedTuple):
    entries: int
    pointer_bytes: int
    lookup: np.ndarray  # uint8[PAGES], window of a guest page, 0 = none
    owner: np.ndarray  # int32[256], guest page + 1 that has the window, 0 = free
    code: CodePages
    reserve: Reserve  # window w shows its guest page at host page 2 * (w - 1)
    control: np.ndarray  # int64[1], HAND: the window given last
    touched: Touched  # of lookup
    base_lines: np.ndarray  # uint8[256 * pointer_bytes / 64], that the hit path read


@kernel
def _read_tables(s, e, page):
    window = np.int64(s.lookup[page])
    touch(s.touched, e, 0, page, READ)
    s.base_lines[window * s.pointer_bytes // LINE_BYTES] = 1
    return window


@kernel
def _take_window(s, e, n):
    """The next window in turn, emptied. The new mapping lies over the old one: no host call of its own."""
    window = s.control[HAND] % s.entries + 1
    s.control[HAND] = window
    if s.owner[window]:
        n[Event.EVICTIONS] += 1
        s.lookup[s.owner[window] - 1] = 0
        unsettle(e, s.owner[window] - 1)
        s.owner[window] = 0
        unmap_window(s.reserve, e, n, 2 * (window - 1))
    return window


@kernel
def access(s, e, n, row):
    window = _read_tables(s, e, row.page)
    if row.second >= 0:
        fault(e, n, Event.FAULTS_CROSS, row.vaddr)
        if row.store:
            note_whole_store(s.code, e, n, row.frame, row.first, row.last)
            note_whole_store(s.code, e, n, row.second_frame, 0, row.second_last)
            after_store(s.code, e, n, row)
        return 0
    if window == 0:
        window = _take_window(s, e, n)
        s.lookup[row.page] = window
        s.owner[window] = row.page + 1
        _read_tables(s, e, row.page)  # the access restarts, with the new base
    place, done = 2 * (window - 1), 0
    cause = fault_cause(s.code, s.reserve, e, place, row.frame, row.store, Event.FAULTS_UNMAPPED)
    if cause >= 0:
        done = serve_page(
            s.code, s.reserve, e, n, place, row.page, row.frame, row.store, row.first, row.last, cause, 0, 0
        )
    again = after_store(s.code, e, n, row)
    return 0 if again or done & KEEPS_CODE else SETTLED


@kernel
def flush(s, e, n):
    for window in range(1, s.entries + 1):
        if s.owner[window]:
            n[Event.MUNMAP_CALLS] += 1
            s.lookup[s.owner[window] - 1] = 0
            s.owner[window] = 0
    unmap_all(s.reserve, e, n)
    s.control[HAND] = 0


@kernel
def flush_page(s, e, n, page):
    window = np.int64(s.lookup[page])
    if window:
        n[Event.MUNMAP_CALLS] += 1
        s.lookup[page] = 0
        s.owner[window] = 0  # free, but it waits for its turn: the hand does not move
        unmap_window(s.reserve, e, n, 2 * (window - 1))


class ByteLookup(Strategy):
    name = "byte-lookup"
    GROUP = "mail"
    FAST_PATH = FAST_PATH
    FAST_PATH_SOURCE = 'assumed: the listing above; "around 7 x86 instructions" by his own estimate'
    FAST_PATH_RANGE = (6, 8)
    events = EVENTS
    extra_events = code_events = CHECK_EVENTS
    costs = COSTS
    kernels = Kernels(
        access=access, io=io_fault, execute=enter_block, protect=protect_noticed, flush=flush, flush_page=flush_page,
        translated=translate_block,
    )  # fmt: skip

    entries: int = param(
        255, minimum=1, maximum=MAX_ENTRIES, sweep=(8, 16, 32, 64, 128, 255), unit="windows",
        help="windows of two host pages; a byte names one of at most 255", helps="evictions",
    )  # fmt: skip

    code: str = code_param()
    check_after: int = check_after_param()

    def lacks(self) -> tuple[str, ...]:
        return () if self.code != "page" else CHECK_EVENTS

    def state(self) -> State:
        return State(
            entries=self.entries,
            code=new_code_pages(self.code, self.check_after, CHECK_EVENTS),
            pointer_bytes=self._pointer_bytes,
            lookup=np.zeros(PAGES, np.uint8),
            owner=np.zeros(MAX_ENTRIES + 1, np.int32),
            reserve=new_reserve(2 * self.entries),
            control=np.zeros(1, np.int64),
            touched=new_touched(1),
            base_lines=np.zeros((MAX_ENTRIES + 1) * self._pointer_bytes // LINE_BYTES, np.uint8),
        )

    @property
    def _pointer_bytes(self) -> int:
        """Of a base: 4 on the 32-bit host of the mail; a guest of 64 bits has a host of 64."""
        return 4 if self.address_bits == ADDRESS_BITS else 8

    def table_bytes(self) -> int:
        return (1 << self.address_bits - PAGE_BITS) + (MAX_ENTRIES + 1) * self._pointer_bytes

    def table_lines(self, state: State) -> int:
        return parts_touched(state.touched, READ, LINE_BITS, 1) + int(state.base_lines.sum())

    def table_resident_bytes(self, state: State) -> int:
        pages = parts_touched(state.touched, READ, TABLE_PAGE_BITS, 1)  # the handler writes what the hit path read
        return (pages + bool(state.base_lines.any())) << TABLE_PAGE_BITS

    def reserved_bytes(self) -> int:
        return 2 * self.entries << PAGE_BITS
