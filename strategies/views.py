"""views: a direct map for each address space. A CR3 write changes the base register, and unmaps nothing.

    host = base of the view at work + vaddr

fastmem keeps one stretch, and what a guest maps in it is gone, or must be compared, when the guest changes to another
address space. Here each address space has a stretch of its own, a *view*, named by its value of CR3: a guest
that changes back finds its pages mapped. There are `views` of them; the least recently used gives way to a new one.

    CR3 = A                CR3 = B                CR3 = A
    | view 0: 4 GiB |      | view 1: 4 GiB |      view 0 again: nothing faults

x86 without PCID promises nothing: a guest may change the tables of a space that is not at work, and rely on the flush
of its CR3 write. So the emulator compares the page tables of the view that it changes to with its copy
(`compared_tables`). `stale_pages` says how often it would have been wrong if it had trusted the guest, as HSPT does on
ARM, whose ASIDs make a guest name what it changes. Any other FLUSH empties every view.

* A page that is not mapped in the view at work faults, and is mapped by one mmap. A store to a clean page, or to a code
  page, faults as in qemu-fast; a page that becomes a code page is protected in every view that shows it.
* Device memory faults on each access. There is no backpatching.
* `guest_limit`: a view ends there. A guest of 32 bits fits whole; of one of 64 bits all views share 2**46 bytes. What
  begins above (a kernel in the upper half, unless `kernel=softmmu`) faults on each access.
* `kernel=softmmu`: what the guest's kernel accesses goes through a software TLB, and only its programs have views.
* `drop_maps`: a view that has so many pages is emptied before it gets another. Linux allows a process some 65,000
  mappings in all (`peak_mappings`).

Source: HSPT, Wang et al., VEE 2015 (zhexwang/HSPT at 69b865e585: target-arm/spt.c:301-520, 744-912, 1315-1415);
MODEL.md, section 14. A trace without CR3 values (recorded by QEMU before 9.1) is a single space: fastmem,flush=diff.
Leaves out: global pages, which lie in each view here; the call that sets %gs, as FSGSBASE needs none.
Assumed: instructions of the handler, and of a change of views.
"""

from typing import NamedTuple

import numpy as np

from mmuexp.emulator.faults import fault
from mmuexp.emulator.guesttables import GuestTables, compared_tables, count_shown, new_guest_tables
from mmuexp.emulator.handler import allow_store, io_fault, map_page, note_store, protect_windows
from mmuexp.emulator.reserve import MAPPED, Reserve, new_views, unmap_window
from mmuexp.emulator.state import address_of
from mmuexp.emulator.tlb import Tlb, new_tlb, tlb_access, tlb_flush, tlb_flush_page, tlb_set
from mmuexp.events import CODE, FIRST_EXTRA, HOST, meanings
from mmuexp.guest import ADDRESS_BITS, PAGE_BITS, PAGE_BYTES, PAGES, FlushReason
from mmuexp.strategy import LOST, SETTLED, SPLIT, Cost, Event, Kernels, Strategy, kernel, nothing, param
from mmuexp.strategy.limit import limit_param, whole_pages
from mmuexp.strategy.spells import SPELL_COSTS, SPELL_ENGINE_COSTS, spell_meanings

EXTRA = ("kept_pages", "stale_pages", "compared_tables", "view_switches")
KEPT_PAGES, STALE_PAGES, COMPARED_TABLES, VIEW_SWITCHES = range(FIRST_EXTRA, FIRST_EXTRA + len(EXTRA))
BY_TLB = "of the guest's kernel, with kernel=softmmu: as in softmmu, with a TLB of 256 entries"
SLOW = {Event.SOFTMMU_ACCESSES: BY_TLB} | spell_meanings(BY_TLB)
EVENTS = meanings(CODE | HOST) | SLOW | {
    Event.FAULTS_UNMAPPED: "the page is not mapped in the view at work: one mmap",
    Event.FAULTS_WRITE: "first store to a clean page's window: one mprotect",
    Event.FAULTS_CODE: "store to a code page's window: all its blocks are dropped, one mprotect",
    Event.FAULTS_CROSS: "begins below the limit, and ends above it: completed in the handler, each time",
    Event.FAULTS_IO: "device memory: completed in the handler",
    Event.FAULTS_SOFTMMU: "begins above the limit: completed in the handler, each time",
    Event.EVICTIONS: "views emptied for another address space, or because they showed `drop_maps` pages",
    KEPT_PAGES: "pages that a view still showed when their space came back, and that are what they were",
    STALE_PAGES: "such pages that are others now: one munmap",
    COMPARED_TABLES: "page-table pages that a CR3 write compares with the emulator's copy",
    VIEW_SWITCHES: "CR3 writes that changed the address space",
}  # fmt: skip

FAST_PATH = """
    mov  data, [base + vaddr]       ; can fault; the base is that of the view at work
"""

COSTS = {
    Event.FAULTS_UNMAPPED: Cost(signal=1, walk=1, insn=90, source="assumed: as qemu-fast's handler"),
    Event.FAULTS_WRITE: Cost(signal=1, insn=80, source="assumed: handler: set dirty"),
    Event.FAULTS_CODE: Cost(signal=1, insn=200, source="assumed: handler: decode, drop the blocks of the page"),
    Event.FAULTS_CROSS: Cost(signal=1, walk=2, insn=150, source="assumed: handler: decode, do the access in two parts"),
    Event.FAULTS_IO: Cost(
        signal=1, walk=1, insn=120, source="assumed: handler: decode, call the device; not the device"
    ),
    Event.FAULTS_SOFTMMU: Cost(signal=1, walk=1, insn=120, source="assumed: handler: decode, do the access"),
    Event.SOFTMMU_ACCESSES: Cost(hit=10, source="read: softmmu_header.h:89-231, 11 instructions instead of 1"),
    **SPELL_COSTS,
    COMPARED_TABLES: Cost(
        compare_table=1, source="read: Dolphin, MMU.cpp:1468-1490: 64 times 64 bytes, 14 instructions each"
    ),
    VIEW_SWITCHES: Cost(insn=20, source="assumed: find the view of the value, load its base"),
    "page_cross": SPLIT,
}

ENGINE_COSTS = {
    **SPELL_ENGINE_COSTS,
    COMPARED_TABLES: Cost(source="read: views.c has no page tables to compare: a trace does not hold them"),
}

DIRECT, SOFTMMU = range(2)
KERNEL = {"direct": DIRECT, "softmmu": SOFTMMU}
ALL_VIEWS_BYTES = 1 << 46
TLB_BITS = 8
AT_WORK, SPACE, USED, CLOCK = range(4)  # places in State.control


class State(NamedTuple):
    slow_kernel: int  # DIRECT or SOFTMMU
    drop_maps: int
    guest_limit: int
    reserve: Reserve  # all views, one behind the other
    tlb: Tlb  # kernel=softmmu
    space: np.ndarray  # int64[views], value of CR3 whose view it is
    used: np.ndarray  # int64[views], when it was at work last
    shown: np.ndarray  # int64[views], pages mapped in it
    tables: GuestTables
    control: np.ndarray  # int64[4], AT_WORK: the view; SPACE: CR3; USED: views that have a space; CLOCK: CR3 writes


@kernel
def _count_mapped(s, e, view, page, more):
    s.shown[view] += more
    count_shown(s.tables, e, view, page, more)


@kernel
def _unmap(s, e, n, view, page):
    unmap_window(s.reserve, e, n, view * PAGES + page)
    _count_mapped(s, e, view, page, -1)


@kernel
def _empty(s, e, n, view):
    """Unmap all that a view shows, by one call."""
    if s.shown[view] == 0:
        return
    n[Event.MUNMAP_CALLS] += 1
    for i in range(s.reserve.control[MAPPED] - 1, -1, -1):  # the last one takes the place of what is unmapped
        window = np.int64(s.reserve.window[i].mapped)
        if window // PAGES == view:
            _unmap(s, e, n, view, window % PAGES)


@kernel
def _serve(s, e, n, row, page, frame, first, last):
    """Serve one page of an access in the view at work. Answers LOST if the view was emptied for it."""
    view, answer = s.control[AT_WORK], 0
    window = view * PAGES + page
    if s.reserve.window[window].frame == 0:
        if s.drop_maps and s.shown[view] >= s.drop_maps:
            n[Event.EVICTIONS] += 1
            _empty(s, e, n, view)
            answer = LOST
        fault(e, n, Event.FAULTS_UNMAPPED, address_of(e, page, first))
        n[Event.MMAP_CALLS] += 1
        map_page(s.reserve, e, n, window, frame, row.store, first, last)
        _count_mapped(s, e, view, page, 1)
    elif row.store and not s.reserve.window[window].writable:
        allow_store(s.reserve, e, n, window, page, frame, first, last)
    return answer


@kernel
def access(s, e, n, row):
    if s.slow_kernel == SOFTMMU and not row.user:
        n[Event.SOFTMMU_ACCESSES] += 1
        tlb_access(s.tlb, e, n, row)
        return 0
    if not 0 <= row.vaddr <= s.guest_limit - row.size:  # what lies in the upper half of 64 bits is negative
        below = 0 <= row.vaddr < s.guest_limit
        fault(e, n, Event.FAULTS_CROSS if below else Event.FAULTS_SOFTMMU, row.vaddr)
        if row.store:
            note_store(e, n, row.frame, row.first, row.last)
            if row.second >= 0:
                note_store(e, n, row.second_frame, 0, row.second_last)
        return 0
    answer = _serve(s, e, n, row, row.page, row.frame, row.first, row.last)
    if row.second >= 0:
        answer |= _serve(s, e, n, row, row.second, row.second_frame, 0, row.second_last)
    return answer | SETTLED


@kernel
def io(s, e, n, row):
    if s.slow_kernel == SOFTMMU and not row.user:
        n[Event.SOFTMMU_ACCESSES] += 1
        n[Event.SLOW_IO] += 1
        return 0
    return io_fault(s, e, n, row)


@kernel
def _view_of(s, e, n, value):
    """The view of this space: its own; or the next that was never used; or the least recently used, emptied."""
    for view in range(s.control[USED]):
        if s.space[view] == value:
            return view
    view = s.control[USED]
    if view < s.space.size:
        s.control[USED] = view + 1
    else:
        view = np.argmin(s.used)
        n[Event.EVICTIONS] += 1
        _empty(s, e, n, view)
    s.space[view] = value
    return view


@kernel
def flush(s, e, n, value, reason):
    tlb_flush(s.tlb)
    if reason != FlushReason.CR3:
        for view in range(s.control[USED]):
            _empty(s, e, n, view)
        return
    if value != s.control[SPACE]:
        n[VIEW_SWITCHES] += 1
        s.control[SPACE] = value
    view = _view_of(s, e, n, value)
    s.control[CLOCK] += 1
    s.used[view] = s.control[CLOCK]
    s.control[AT_WORK] = view
    n[COMPARED_TABLES] += compared_tables(s.tables, view)


@kernel
def flush_page(s, e, n, page):
    view = s.control[AT_WORK]
    if s.reserve.window[view * PAGES + page].frame:
        n[Event.MUNMAP_CALLS] += 1
        _unmap(s, e, n, view, page)
    tlb_flush_page(s.tlb, page, tlb_set(s.tlb, e, page))


@kernel
def mapped(s, e, n, page, frame):
    view = s.control[AT_WORK]
    shown = np.int64(s.reserve.window[view * PAGES + page].frame) - 1
    if shown == frame:
        n[KEPT_PAGES] += 1
    elif shown >= 0:
        n[STALE_PAGES] += 1
        n[Event.MUNMAP_CALLS] += 1
        _unmap(s, e, n, view, page)


class Views(Strategy):
    name = "views"
    GROUP = "today"
    FAST_PATH = FAST_PATH
    FAST_PATH_SOURCE = "read: HSPT, tcg/i386/tcg-target.c:1484-1510, a %gs prefix"
    events = EVENTS
    extra_events = EXTRA
    costs = COSTS
    engine_costs = ENGINE_COSTS
    kernels = Kernels(
        access=access, io=io, execute=nothing, protect=protect_windows, flush=flush, flush_page=flush_page,
        mapped=mapped,
    )  # fmt: skip
    BY_DEFAULT = False
    LAYOUTS = ()  # a program has one address space
    WIDE_LAYOUTS = ({"kernel": "softmmu"},)  # it lies above every limit

    views: int = param(
        32, minimum=1, maximum=256, sweep=(1, 2, 4, 8, 16, 32, 64), unit="views",
        help="that exist at once, of `guest_limit` bytes of host address space each", helps="evictions",
    )  # fmt: skip
    drop_maps: int = param(
        0, minimum=0, maximum=PAGES, sweep=(0, 1000, 3000, 10000), unit="pages",
        help="if not 0: a view that shows so many is emptied before it gets another; 3000 in HSPT",
    )  # fmt: skip
    kernel: str = param(
        "direct", choices=KERNEL, sweep=KERNEL, help="how the guest's kernel accesses memory; HSPT maps programs alone"
    )

    guest_limit: int = limit_param(1 << ADDRESS_BITS, 1 << 38)

    def __post_init__(self) -> None:
        whole_pages(self, "guest_limit")
        if self.views * self.guest_limit > ALL_VIEWS_BYTES:
            least = 1 << ALL_VIEWS_BYTES.bit_length() - 1 - (self.views - 1).bit_length()
            what = f"views={self.views} of {self.guest_limit:#x} bytes are more than {ALL_VIEWS_BYTES:#x} in all"
            raise ValueError(f"{what}: give views,views={self.views},guest_limit={least:#x}")

    def state(self) -> State:
        return State(
            slow_kernel=KERNEL[self.kernel],
            drop_maps=self.drop_maps,
            guest_limit=self._view_bytes,
            reserve=new_views(self._view_bytes >> PAGE_BITS, self.views, guarded=True),
            tlb=new_tlb(TLB_BITS),
            space=np.zeros(self.views, np.int64),
            used=np.zeros(self.views, np.int64),
            shown=np.zeros(self.views, np.int64),
            tables=new_guest_tables(self.address_bits, self.views),
            control=np.array([0, 0, 1, 0], np.int64),
        )

    def lacks(self) -> tuple[str, ...]:
        above = () if self._view_bytes < 1 << self.address_bits else (Event.FAULTS_SOFTMMU.column,)
        return above + (tuple(event.column for event in SLOW) if self.kernel == "direct" else ())

    @property
    def _view_bytes(self) -> int:
        return min(self.guest_limit, 1 << self.address_bits)

    def reserved_bytes(self) -> int:
        return self.views * (self._view_bytes + PAGE_BYTES)
