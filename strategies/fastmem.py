"""fastmem: the direct map of today's emulators. One instruction an access; what faults is rewritten.

    host = base + vaddr

The guest's address space lies in one stretch of a 64-bit host's, and the base stays in a register. There is no
table. What cannot be RAM (a device, a page that is not mapped, a store to code) takes a SIGSEGV, and then there are
three things to choose:

* **Which causes patch** (`patch`). The handler overwrites the access that faulted by a jump to a stub, which does it by
  a software TLB: that *site* never faults again, and is slow for whatever it touches later. Device registers are
  touched by a handful of sites, so patching them alone (`device`) takes nearly all their faults away.
* **What patching is** (`how`): one instruction, or the whole block translated again with that access slow.
* **What a dropped block remembers** (`remember`): a site can stay slow when its block is translated again, or be new.

    patch=          a device   a page that is    a page that is     a page with
                               not mapped        clean (1st store)  code
    never           fault      map it            open it            drop its blocks
    device          patch      map it            open it            drop its blocks
    memory          patch      map it and patch  open it and patch  drop its blocks
    code            patch      map it            open it            patch
    always          patch      map it and patch  open it and patch  patch

Mapping is a choice of its own. `map`: at the fault; at the MAP row, ahead of it (`known`); ahead of it where the frame
was accessed before (`accessed`). `flush`: a CR3 write unmaps all (`drop`), or unmaps nothing: the page tables are
compared with a copy, and what changed goes (`diff`). `kept_pages` says what that saved, and `stale_pages` how often an
emulator that trusted its guest would have been wrong. What is done with code pages: `code`, see emulator/codepages.py.

`guest_limit`: the stretch ends there. A guest of 32 bits fits whole; of one of 64 bits a host has 2**46 bytes for what
lies lowest. An access that begins above (a kernel in the upper half, the stack below it) is inaccessible, and faults
(`faults_softmmu`): whoever patches anything patches its site, as for a device; `patch=never` faults each time.

Source: MODEL.md, section 12: Dolphin JitCommon and MMU.cpp, PCSX2 vtlb.cpp and recVTLB.cpp, dynarmic
emit_x64_memory, dosemu2 cpatch.c, HSPT spt.c, as read there.
Reads: all accesses of one instruction of a block that load are one site, and all that store.
Leaves out: room for a jump (shorter instructions get a nop); Dolphin's second view for translation off; the code that
the stubs take; neighbours that one call maps; dynarmic's test of each address of 64 bits (3 instructions, no fault);
what an emulator that does without it must keep free below its base, where addresses of the upper half come to lie.
Assumed: instructions of the handler, a patch, and a slow access.
"""

from typing import NamedTuple

import numpy as np

from mmuexp.emulator.code import drop_block, mark_block
from mmuexp.emulator.codepages import (
    CHECK_EVENTS,
    KEEPS_CODE,
    MAPPED_IT,
    CodePages,
    after_store,
    check_block,
    fault_cause,
    may_write,
    new_block,
    new_code_pages,
    note_whole_store,
    protect_noticed,
    serve_page,
)
from mmuexp.emulator.faults import fault
from mmuexp.emulator.guesttables import GuestTables, compared_tables, count_shown, new_guest_tables
from mmuexp.emulator.reserve import MAPPED, Reserve, map_window, new_views, unmap_all, unmap_window
from mmuexp.emulator.state import MAX_BLOCKS, real_page, zeros
from mmuexp.emulator.tlb import Tlb, new_tlb, slow_access, tlb_flush, tlb_flush_page, tlb_set
from mmuexp.events import CODE, FIRST_EXTRA, HOST, meanings
from mmuexp.guest import ADDRESS_BITS, PAGE_BITS, PAGES
from mmuexp.strategy import SETTLED, SPLIT, WATCH_EXEC, Cost, Event, Kernels, Strategy, kernel, param
from mmuexp.strategy.codepages import CHECK_COSTS, check_after_param, check_meanings, code_param
from mmuexp.strategy.limit import limit_param, whole_pages
from mmuexp.strategy.spells import SPELL_COSTS, SPELL_ENGINE_COSTS, spell_meanings

EXTRA = ("patches", "kept_pages", "stale_pages", "compared_tables", *CHECK_EVENTS)
PATCHES, KEPT_PAGES, STALE_PAGES, COMPARED_TABLES = range(FIRST_EXTRA, FIRST_EXTRA + 4)
EVENTS = meanings(CODE | HOST) | {
    Event.FAULTS_UNMAPPED: "the page is not mapped: one mmap",
    Event.FAULTS_WRITE: "first store to a clean page's window: one mprotect",
    Event.FAULTS_CODE: "store to a code page's window: what `code` says",
    Event.FAULTS_CROSS: "begins below the limit, and ends above it: completed in the handler, each time",
    Event.FAULTS_IO: "device memory: the handler calls the device, and patches the site but for patch=never",
    Event.FAULTS_SOFTMMU: "begins above the limit: the handler does it, and patches the site but for patch=never",
    Event.SOFTMMU_ACCESSES: "accesses of patched sites, those that patched included",
    **spell_meanings("at patched sites: as in softmmu, with a TLB of 256 entries"),
    PATCHES: "sites that became slow",
    KEPT_PAGES: "pages that stayed mapped over a FLUSH, and are what they were",
    STALE_PAGES: "pages that stayed mapped over a FLUSH, and are others now: one munmap",
    COMPARED_TABLES: "page-table pages that FLUSH compares with the emulator's copy",
    **check_meanings(EXTRA),
}

FAST_PATH = """
    mov  data, [base + vaddr]       ; can fault; the base stays in a register
"""

COSTS = {
    Event.FAULTS_UNMAPPED: Cost(signal=1, walk=1, insn=90, source="assumed: as qemu-fast's handler"),
    Event.FAULTS_WRITE: Cost(signal=1, insn=80, source="assumed: handler: set dirty"),
    Event.FAULTS_CODE: Cost(signal=1, insn=200, source="assumed: handler: decode, drop blocks"),
    Event.FAULTS_CROSS: Cost(signal=1, walk=2, insn=150, source="assumed: handler: decode, do the access in two parts"),
    Event.FAULTS_IO: Cost(
        signal=1, walk=1, insn=120, source="assumed: handler: decode, call the device; not the device"
    ),
    Event.FAULTS_SOFTMMU: Cost(signal=1, walk=1, insn=120, source="assumed: handler: decode, do the access"),
    Event.SOFTMMU_ACCESSES: Cost(
        patched_access=1, source="read: jump, live registers saved, a look-up of 11; PCSX2, recVTLB.cpp:918-1060"
    ),
    **SPELL_COSTS,
    PATCHES: Cost(patch=1, source="read: find the site, emit its stub, overwrite it; Dolphin, EmuCodeBlock.cpp:1063"),
    COMPARED_TABLES: Cost(
        compare_table=1, source="read: Dolphin, MMU.cpp:1468-1490: 64 times 64 bytes, 14 instructions each"
    ),
    "page_cross": SPLIT,
    **CHECK_COSTS,
}

ENGINE_COSTS = {
    **SPELL_ENGINE_COSTS,
    COMPARED_TABLES: Cost(source="read: fastmem.c has no page tables to compare: a trace does not hold them"),
}

NO_RAM = (Event.FAULTS_IO, Event.FAULTS_SOFTMMU)
CAUSES = {
    "never": (),
    "device": NO_RAM,
    "memory": (*NO_RAM, Event.FAULTS_UNMAPPED, Event.FAULTS_WRITE),
    "code": (*NO_RAM, Event.FAULTS_CODE),
    "always": (*NO_RAM, Event.FAULTS_UNMAPPED, Event.FAULTS_WRITE, Event.FAULTS_CODE),
}
FAULT, KNOWN, ACCESSED = range(3)
MAP = {"fault": FAULT, "known": KNOWN, "accessed": ACCESSED}
SLOW_TLB_BITS = 8
SITE_WORDS = 8  # a bit for each position in a block (256), loads and stores
SOON = 0  # place in State.control


class State(NamedTuple):
    patch: int  # a bit for each Event that patches
    by_block: int  # how=block
    remember: int
    map: int
    diff: int
    guest_limit: int
    reserve: Reserve  # the guest's address space below guest_limit
    code: CodePages
    tlb: Tlb  # of slow sites
    slow: np.ndarray  # uint64[blocks, SITE_WORDS], a bit for each site that is slow
    soon: np.ndarray  # uint64[SITE_WORDS], how=block: sites of the block at work that are slow from the next entry on
    tables: GuestTables  # flush=diff
    accessed: np.ndarray  # uint8[frames], map=accessed
    control: np.ndarray  # int64[1], SOON: block + 1 whose sites `soon` holds


@kernel
def _is_slow(s, row):
    """Is the row's site patched?"""
    if row.position == 0 or row.block < 0:
        return False
    bit = np.uint64(row.position << 1 | row.store)
    return s.slow[row.block, bit >> np.uint64(6)] >> (bit & np.uint64(63)) & np.uint64(1) != 0


@kernel
def _patches(s, row, cause):
    """Does a fault of this cause patch the row's site?"""
    return s.patch >> cause & 1 and row.position > 0 and row.block >= 0


@kernel
def _patch(s, e, n, row):
    bit = np.uint64(row.position << 1 | row.store)
    word, bit = bit >> np.uint64(6), np.uint64(1) << (bit & np.uint64(63))
    if (s.slow[row.block, word] | s.soon[word]) & bit == 0:
        n[PATCHES] += 1
    if s.by_block:
        s.soon[word] |= bit
        s.control[SOON] = row.block + 1
        if not e.block[row.block].dropped:
            drop_block(e, row.block)
    else:
        s.slow[row.block, word] |= bit
    mark_block(e, row.block)


@kernel
def _count_mapped(s, e, page, more):
    if s.diff:
        count_shown(s.tables, e, 0, page, more)


@kernel
def _map_ahead(s, e, n, page, frame):
    """Map a page as by a load, without a fault."""
    if s.reserve.window[page].frame == 0 and 0 <= real_page(e, page) < s.guest_limit >> PAGE_BITS:
        n[Event.MMAP_CALLS] += 1
        map_window(s.reserve, e, n, page, frame, may_write(s.code, e, frame))
        _count_mapped(s, e, page, 1)


@kernel
def _unmap(s, e, n, page):
    n[Event.MUNMAP_CALLS] += 1
    unmap_window(s.reserve, e, n, page)
    _count_mapped(s, e, page, -1)


@kernel
def _slow(s, e, n, row):
    slow_access(s.tlb, s.code, e, n, row)
    after_store(s.code, e, n, row)
    return 0


@kernel
def _serve(s, e, n, row, page, frame, first, last, quiet):
    """Do what a fault on this page asks for, if there is one. Answers -1 if it patches, else 1 if the row is done."""
    cause = fault_cause(s.code, s.reserve, e, page, frame, row.store, Event.FAULTS_UNMAPPED)
    if cause < 0:
        return quiet
    patches = not quiet and _patches(s, row, cause)
    done = serve_page(
        s.code, s.reserve, e, n, page, page, frame, row.store, first, last, cause, quiet, 1 if patches else 0
    )
    if done & MAPPED_IT:
        _count_mapped(s, e, page, 1)
    return -1 if patches else 1 if quiet or done & KEEPS_CODE else 0


@kernel
def _direct(s, e, n, row):
    done = _serve(s, e, n, row, row.page, row.frame, row.first, row.last, 0)
    if row.second >= 0 and done >= 0:
        done = _serve(s, e, n, row, row.second, row.second_frame, 0, row.second_last, done)
    if done < 0:
        _patch(s, e, n, row)
        _slow(s, e, n, row)
        return WATCH_EXEC
    again = after_store(s.code, e, n, row)
    return SETTLED if not done and not again else 0


@kernel
def _above(s, e, n, row):
    """The row ends above the limit: patch its site if all of it lies there, or do it in the handler."""
    cause = Event.FAULTS_CROSS if 0 <= row.vaddr < s.guest_limit else Event.FAULTS_SOFTMMU
    fault(e, n, cause, row.vaddr)
    if _patches(s, row, cause):
        _patch(s, e, n, row)
        _slow(s, e, n, row)
        return WATCH_EXEC
    if row.store:
        note_whole_store(s.code, e, n, row.frame, row.first, row.last)
        if row.second >= 0:
            note_whole_store(s.code, e, n, row.second_frame, 0, row.second_last)
        after_store(s.code, e, n, row)
    return 0


@kernel
def access(s, e, n, row):
    if s.map == KNOWN:  # in a user-mode trace no MAP row did it
        _map_ahead(s, e, n, row.page, row.frame)
        if row.second >= 0:
            _map_ahead(s, e, n, row.second, row.second_frame)
    if s.map == ACCESSED:
        s.accessed[row.frame] = 1
        if row.second >= 0:
            s.accessed[row.second_frame] = 1
    if _is_slow(s, row):
        return _slow(s, e, n, row)
    if 0 <= row.vaddr <= s.guest_limit - row.size:  # what lies in the upper half of 64 bits is negative
        return _direct(s, e, n, row)
    return _above(s, e, n, row)


@kernel
def io(s, e, n, row):
    answer = 0
    if not _is_slow(s, row):
        fault(e, n, Event.FAULTS_IO, row.vaddr)
        if not _patches(s, row, Event.FAULTS_IO):
            return 0
        _patch(s, e, n, row)
        answer = WATCH_EXEC
    n[Event.SOFTMMU_ACCESSES] += 1
    n[Event.SLOW_IO] += 1
    return answer


@kernel
def _has_slow_sites(s, block):
    found = np.uint64(0)
    for word in range(SITE_WORDS):
        found |= s.slow[block, word]
    return found != 0


@kernel
def execute(s, e, n, block):
    if s.control[SOON]:
        for word in range(SITE_WORDS):
            s.slow[s.control[SOON] - 1, word] |= s.soon[word]
            s.soon[word] = 0
        s.control[SOON] = 0
    check_block(s.code, e, n, block)
    if block >= 0 and _has_slow_sites(s, block):
        return WATCH_EXEC
    return 0


@kernel
def translated(s, e, n, block):
    new_block(s.code, e, block)
    if not s.remember:
        s.slow[block, :] = 0
    return WATCH_EXEC if _has_slow_sites(s, block) else 0


@kernel
def flush(s, e, n):
    tlb_flush(s.tlb)
    if s.diff:
        n[COMPARED_TABLES] += compared_tables(s.tables, 0)
        return
    if s.reserve.control[MAPPED]:
        n[Event.MUNMAP_CALLS] += 1
    unmap_all(s.reserve, e, n)


@kernel
def flush_page(s, e, n, page):
    if s.reserve.window[page].frame:
        _unmap(s, e, n, page)
    tlb_flush_page(s.tlb, page, tlb_set(s.tlb, e, page))


@kernel
def mapped(s, e, n, page, frame):
    shown = np.int64(s.reserve.window[page].frame) - 1
    if shown == frame:
        n[KEPT_PAGES] += 1
    elif shown >= 0:
        n[STALE_PAGES] += 1
        _unmap(s, e, n, page)
    if s.map == KNOWN or (s.map == ACCESSED and s.accessed[frame]):
        _map_ahead(s, e, n, page, frame)


class Fastmem(Strategy):
    name = "fastmem"
    GROUP = "today"
    FAST_PATH = FAST_PATH
    FAST_PATH_SOURCE = (
        "read: PCSX2, recVTLB.cpp:399-427; dynarmic, emit_x64_memory.h:157-160; Dolphin, EmuCodeBlock.cpp"
    )
    events = EVENTS
    extra_events = EXTRA
    code_events = ("patches", *CHECK_EVENTS)
    costs = COSTS
    engine_costs = ENGINE_COSTS
    kernels = Kernels(
        access=access, io=io, execute=execute, protect=protect_noticed, flush=flush, flush_page=flush_page,
        mapped=mapped, translated=translated, sites=True,
    )  # fmt: skip
    BY_DEFAULT = False
    LAYOUTS = ({}, {"patch": "never", "map": "known", "dirty": "none"})
    SYSTEM_LAYOUTS = (
        {},
        {"patch": "code", "flush": "diff", "code": "block"},
        {"patch": "memory", "remember": 0, "map": "accessed", "flush": "diff"},
    )

    patch: str = param(
        "device", choices=("never", "device", "memory", "code", "always"), sweep=CAUSES,
        help="which faults have their access rewritten", companions={"code=block": {"code": "block"}},
    )  # fmt: skip
    how: str = param("site", choices=("site", "block"), sweep=("site", "block"), help="what is rewritten")
    remember: int = param(
        1, minimum=0, maximum=1, sweep=(0, 1), help="1: a patched site stays so when its block comes back"
    )
    map: str = param("fault", choices=MAP, sweep=MAP, help="when a page is mapped")
    flush: str = param("drop", choices=("drop", "diff"), sweep=("drop", "diff"), help="what a CR3 write does")
    guest_limit: int = limit_param(1 << ADDRESS_BITS, 1 << 46)
    code: str = code_param()
    check_after: int = check_after_param()
    dirty: str = param("track", choices=("track", "none"), sweep=("track", "none"), help="is the first store noticed?")

    def __post_init__(self) -> None:
        whole_pages(self, "guest_limit")
        if Event.FAULTS_CODE in CAUSES[self.patch] and self.code != "block":
            raise ValueError(f"patch={self.patch} needs code=block: give fastmem,patch={self.patch},code=block")
        if self.how == "block" and not self.remember:
            raise ValueError("how=block needs remember=1: a block that forgets is never any slower")

    def keeps_over_flush(self) -> bool:
        return self.flush == "diff"

    def lacks(self) -> tuple[str, ...]:
        return () if self.reserved_bytes() < 1 << self.address_bits else (Event.FAULTS_SOFTMMU.column,)

    def state(self) -> State:
        return State(
            patch=sum(1 << cause for cause in CAUSES[self.patch]),
            by_block=int(self.how == "block"),
            remember=self.remember,
            map=MAP[self.map],
            diff=int(self.flush == "diff"),
            guest_limit=self.reserved_bytes(),
            reserve=new_views(self.reserved_bytes() >> PAGE_BITS),
            code=new_code_pages(self.code, self.check_after, EXTRA, track=self.dirty == "track"),
            tlb=new_tlb(SLOW_TLB_BITS),
            slow=zeros(MAX_BLOCKS * SITE_WORDS, np.uint64).reshape(-1, SITE_WORDS),
            soon=np.zeros(SITE_WORDS, np.uint64),
            tables=new_guest_tables(self.address_bits),
            accessed=zeros(PAGES if self.map == "accessed" else 1, np.uint8),
            control=np.zeros(1, np.int64),
        )

    def reserved_bytes(self) -> int:
        return min(self.guest_limit, 1 << self.address_bits)
