"""qemu-fast: the direct map. A guest virtual address is a host virtual address.

    host = vaddr

One instruction, no table, nothing to look up: the fastest there is, while the guest fits into the host's layout.
In 2004 QEMU itself lay at 0xa8000000, so the guest has `0 .. guest_limit`, and Linux had to be patched to run its
kernel at 0x90000000 instead of 0xc0000000 (`kernel_offset=0x30000000` moves it for an unpatched guest). On a 64-bit
host the limit is gone: `guest_limit=0x100000000`.

* A page that is not mapped faults, and is mapped alone: one mmap of one page.
* First stores and code pages: read-only windows, one mprotect, all blocks of the page dropped; no bitmap.
* Device memory, and whatever ends above the limit: one fault (`faults_softmmu`), and **the block in which it happens is
  translated again with softmmu accesses**. From that access to the next block all accesses go through a software TLB
  of 256 entries, with its fills and helpers. The next block is back to direct access; the TLB lives on.
* A CR3 write unmaps the whole area, with one call.

Source: QEMU at commit 0d1a29f9fc (2004-10-12): exec.c:50, 1582-1660, cpu-exec.c:675-720, i386-vl.ld:11,
target-i386/translate.c:4560-4574, qemu-doc.texi:876-905. Restated in MODEL.md, section 6.
Reads: the direct map has no lookup table, so table_bytes and table_lines are 0; the TLB of retranslated blocks is no
part of its hit path. Two virtual pages that come to lie at one host page stop the replay.
Leaves out: the second SIGSEGV for a store to an unmapped page; code copy; a live engine adds a base to the address,
since page 0 cannot be mapped on today's Linux. Assumed: instructions of the handler and of the softmmu spell.
"""

from typing import NamedTuple

import numpy as np

from mmuexp.emulator.codepages import (
    CHECK_EVENTS,
    KEEPS_CODE,
    CodePages,
    after_store,
    check_block,
    fault_cause,
    new_code_pages,
    protect_noticed,
    serve_page,
    translate_block,
)
from mmuexp.emulator.faults import fault
from mmuexp.emulator.reserve import MAPPED, Reserve, new_views, unmap_all, unmap_window
from mmuexp.emulator.state import zeros
from mmuexp.emulator.tlb import Tlb, new_tlb, slow_access, tlb_flush, tlb_flush_page, tlb_set
from mmuexp.events import CODE, HOST, meanings
from mmuexp.guest import PAGE_BITS, PAGES
from mmuexp.strategy import CONFLICT, SETTLED, SPLIT, WATCH_EXEC, Cost, Event, Kernels, Strategy, kernel, param
from mmuexp.strategy.codepages import CHECK_COSTS, check_after_param, check_meanings, code_param
from mmuexp.strategy.limit import LIMIT_2004, limit_param, whole_pages
from mmuexp.strategy.spells import SPELL_COSTS, SPELL_ENGINE_COSTS, spell_meanings

EVENTS = meanings(CODE | HOST) | {
    Event.FAULTS_UNMAPPED: "the page is not mapped: one mmap",
    Event.FAULTS_WRITE: "first store to a clean page's window: one mprotect",
    Event.FAULTS_CODE: "store to a code page's window: all its blocks are dropped, one mprotect, or what `code` says",
    Event.FAULTS_SOFTMMU: "device memory, or above the limit: the block is translated again with softmmu accesses",
    Event.SOFTMMU_ACCESSES: "accesses of such blocks, the causing one included",
    **spell_meanings("in such blocks: as in softmmu"),
    **check_meanings(CHECK_EVENTS),
}

FAST_PATH = """
    mov  data, [vaddr]            ; can fault
"""

COSTS = {
    Event.FAULTS_UNMAPPED: Cost(signal=1, walk=1, insn=90, source="assumed: handler: exec.c:1587-1617"),
    Event.FAULTS_WRITE: Cost(signal=1, insn=80, source="assumed: handler: set dirty"),
    Event.FAULTS_CODE: Cost(signal=1, insn=200, source="assumed: handler: page_unprotect, exec.c:1627-1660"),
    Event.FAULTS_SOFTMMU: Cost(
        signal=1, walk=1, insn=200, translate=8, source="assumed: handler, and a block of 8 guest instructions again"
    ),
    Event.SOFTMMU_ACCESSES: Cost(hit=10, source="read: softmmu_header.h:89-231, 11 instructions instead of 1"),
    **SPELL_COSTS,
    "page_cross": SPLIT,
    **CHECK_COSTS,
}

KERNEL_BASE = 0x90000000  # data addresses from here on move down by kernel_offset
SPELL_TLB_BITS = 8
IN_SPELL = 0  # place in State.control


class State(NamedTuple):
    guest_limit: int
    kernel_offset: int
    code: CodePages
    reserve: Reserve  # the guest's address space below guest_limit
    owner: np.ndarray  # int32[windows], virtual page + 1 that a mapped window shows
    tlb: Tlb
    control: np.ndarray  # int64[1], IN_SPELL: 1 from an access that needs softmmu to the next block


@kernel
def _begin_spell(s, e, n, vaddr):
    fault(e, n, Event.FAULTS_SOFTMMU, vaddr)
    s.control[IN_SPELL] = 1
    return WATCH_EXEC


@kernel
def _serve(s, e, n, window, page, frame, store, first, last, quiet):
    """Answers SETTLED, 0 if the handler is doing the whole row (`quiet`, or from here on), or CONFLICT."""
    if s.reserve.window[window].frame == 0:
        s.owner[window] = page + 1
    elif s.owner[window] != page + 1:
        return CONFLICT
    cause = fault_cause(s.code, s.reserve, e, window, frame, store, Event.FAULTS_UNMAPPED)
    done = 0
    if cause >= 0:
        done = serve_page(s.code, s.reserve, e, n, window, page, frame, store, first, last, cause, quiet, 0)
    return 0 if quiet or done & KEEPS_CODE else SETTLED


@kernel
def _direct_access(s, e, n, row, window):
    answer = _serve(s, e, n, window, row.page, row.frame, row.store, row.first, row.last, 0)
    if row.second >= 0 and not answer & CONFLICT:
        quiet = 0 if answer else 1
        following = window + 1 if s.kernel_offset else row.second
        answer = _serve(s, e, n, following, row.second, row.second_frame, row.store, 0, row.second_last, quiet)
    if not answer & CONFLICT and after_store(s.code, e, n, row):
        return 0
    return answer


@kernel
def access(s, e, n, row):
    begun = 0
    if not s.control[IN_SPELL]:
        host = row.vaddr - (s.kernel_offset if row.vaddr >= KERNEL_BASE else 0)
        if 0 <= host <= s.guest_limit - row.size:  # what lies in the upper half of 64 bits is negative
            return _direct_access(s, e, n, row, host >> PAGE_BITS if s.kernel_offset else row.page)
        begun = _begin_spell(s, e, n, row.vaddr)
    settled = slow_access(s.tlb, s.code, e, n, row)  # in the spell alone: behind it the access is direct again
    if after_store(s.code, e, n, row):
        settled = 0
    return begun | settled


@kernel
def io(s, e, n, row):
    begun = 0
    if not s.control[IN_SPELL]:
        begun = _begin_spell(s, e, n, row.vaddr)
    n[Event.SOFTMMU_ACCESSES] += 1
    n[Event.SLOW_IO] += 1
    return begun


@kernel
def execute(s, e, n, block):
    s.control[IN_SPELL] = 0
    check_block(s.code, e, n, block)
    return 0


@kernel
def flush(s, e, n):
    if s.reserve.control[MAPPED]:
        n[Event.MUNMAP_CALLS] += 1
    unmap_all(s.reserve, e, n)
    tlb_flush(s.tlb)


@kernel
def _unmap_page(s, e, n, window, page):
    if 0 <= window < s.reserve.window.size and s.reserve.window[window].frame and s.owner[window] == page + 1:
        n[Event.MUNMAP_CALLS] += 1
        unmap_window(s.reserve, e, n, window)


@kernel
def flush_page(s, e, n, page):
    moved = s.kernel_offset >> PAGE_BITS
    _unmap_page(s, e, n, page, page)
    if moved:
        _unmap_page(s, e, n, page - moved, page)
        if page == 0:  # an access that runs over the end of the address space finds page 0 behind the last one
            _unmap_page(s, e, n, PAGES - moved, page)
    tlb_flush_page(s.tlb, page, tlb_set(s.tlb, e, page))


class QemuFast(Strategy):
    name = "qemu-fast"
    GROUP = "mail"
    FAST_PATH = FAST_PATH
    FAST_PATH_SOURCE = "read: target-i386/translate.c:4560-4567"
    events = EVENTS
    extra_events = code_events = CHECK_EVENTS
    costs = COSTS
    engine_costs = SPELL_ENGINE_COSTS
    kernels = Kernels(
        access=access, io=io, execute=execute, protect=protect_noticed, flush=flush, flush_page=flush_page,
        translated=translate_block, spells=True,
    )  # fmt: skip
    SYSTEM_LAYOUTS = ({}, {"kernel_offset": 0x30000000}, {"guest_limit": 1 << 32})
    WIDE_LAYOUTS = ({},)

    guest_limit: int = limit_param(LIMIT_2004, 1 << 46)
    kernel_offset: int = param(
        0, minimum=0, maximum=KERNEL_BASE, sweep=(0, 0x30000000), unit="bytes", hex=True,
        help="data addresses from 0x90000000 on move down by it before the limit is applied; whole pages",
    )  # fmt: skip

    code: str = code_param()
    check_after: int = check_after_param()

    def lacks(self) -> tuple[str, ...]:
        return () if self.code != "page" else CHECK_EVENTS

    def __post_init__(self) -> None:
        whole_pages(self, "guest_limit", "kernel_offset")

    def only_32_bits(self) -> str:
        return "kernel_offset moves the kernel of one" if self.kernel_offset else ""

    def state(self) -> State:
        return State(
            guest_limit=self.reserved_bytes(),
            kernel_offset=self.kernel_offset,
            code=new_code_pages(self.code, self.check_after, CHECK_EVENTS),
            reserve=new_views(self.reserved_bytes() >> PAGE_BITS),
            owner=zeros(PAGES, np.int32),
            tlb=new_tlb(SPELL_TLB_BITS),
            control=np.zeros(1, np.int64),
        )

    def reserved_bytes(self) -> int:
        return min(self.guest_limit, 1 << self.address_bits)

    def conflict(self, page: int) -> str:
        moved = f"{page:#x} and another virtual page come to lie at one host page"
        return f"virtual page {moved} with kernel_offset={self.kernel_offset:#x}"
