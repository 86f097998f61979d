"""softmmu: QEMU's software TLB as it was in October 2004.

    entry = tlb[write][mode][(vaddr >> 12) & (entries - 1)]
    if entry.page == vaddr & (PAGE | (size - 1)):  host = vaddr + entry.addend
    else:                                          call a helper

Two tables (read, write) for each of two modes (kernel, user), direct mapped. Translation is checked in code, on every
access; the host's MMU is never asked, so there is no host fault, ever. What the check rejects goes to a helper:

* a page that is not in its set: the helper walks the guest's page table and fills the entry. A fill enters the write
  side only if the page is dirty, so that the first store can set the guest's dirty bit: load, then first store = 2
  fills. A copy between two pages of one set misses on every access.
* every misaligned access, because the compare includes the low bits `size - 1`. One that crosses a page becomes two
  aligned loads, or `size` byte stores, each with a lookup of its own.
* device memory: entered with a zone number that never compares equal. A call for each access, but no fault.
* a store to a code page: the write entry says so. The first 10 stores that hit no block walk the page's list of blocks;
  then a bitmap of code bytes is built, and data beside code costs the helper and a bit test. Only blocks that the store
  overlaps are dropped. (Exactly what the mmap schemes cannot do, and what Windows 98 needs.)

Source: QEMU at commit 0d1a29f9fc (2004-10-12): softmmu_header.h:89-231, softmmu_template.h:51-265, exec.c:557-762,
1268-1350, 1542-1578, target-i386/helper2.c:324-455. Restated in MODEL.md, section 3.
Leaves out: fills of read and write side at once while paging is off; the memset of the block lookup on a flush; code
fetches, which fill no TLB here; a misaligned store to a code page made one helper call for each byte.
Assumed: instructions inside the helpers (see the costs).
"""

from typing import NamedTuple

import numpy as np

from mmuexp.emulator.tlb import Tlb, new_tlb, tlb_access, tlb_flush, tlb_flush_page, tlb_set
from mmuexp.events import CODE, meanings
from mmuexp.guest import ADDRESS_BITS, PAGE_BYTES
from mmuexp.strategy import Cost, Event, Kernels, Strategy, kernel, nothing, param
from mmuexp.strategy.helpers import CROSSING, FILL, MISALIGNED, SEARCHED_BLOCK

EVENTS = meanings(CODE) | {
    Event.TLB_FILLS: "the page is not in its set: page walk, entry filled",
    Event.SLOW_MISALIGNED: "misaligned inside a page: the compare fails, a helper does the access",
    Event.SLOW_CROSS: "crosses a page: a helper splits it",
    Event.SLOW_IO: "device memory: a helper calls the device",
    Event.SLOW_CODE: "store to a code page: a helper looks for translated code",
    Event.CODE_LIST_WALKS: "of these, walked the page's list of blocks instead of testing its bitmap",
    Event.SEARCHED_BLOCKS: "blocks on these lists, when the walk begins",
}

FAST_PATH = """
    mov  edx, vaddr
    mov  eax, vaddr
    shr  edx, 9                 ; page number, times 8 bytes an entry
    and  eax, ~4095 | (size-1)  ; keeps the low bits: a misaligned address never compares equal
    and  edx, 0x7f8             ; 256 entries
    lea  edx, [tlb + edx + ebp]
    cmp  eax, [edx]
    mov  eax, vaddr
    je   hit                    ; taken
                                ; ... push mode, call the helper, pop ...
hit:
    add  eax, [edx + 4]
    mov  data, [eax]
"""

HELPER_LOOKUP = "assumed: a lookup in generic C, as long as the compiled one of 8 bytes"
COSTS = {
    "wide_units8": Cost(
        hit=1, source="measured: 12 instructions for 8 bytes (softmmu_header.h:235-294, gcc 12 -m32 -O2)"
    ),
    Event.TLB_FILLS: Cost(
        helper=1,
        walk=1,
        insn=280,
        most=280,
        source="assumed: with its walk 450, QEMU commit 88e89a57f9: an upper bound",
    ),
    "ram_misaligned_units8": Cost(
        helper=1, insn=10, source="assumed: call and generic C path, softmmu_template.h:72-110"
    ),
    Event.SLOW_CROSS: Cost(helper=1, insn=10, source="assumed: call and split, softmmu_template.h:112-157, 225-265"),
    "ram_cross_loads": Cost(insn=24, source=HELPER_LOOKUP + "; two aligned loads"),
    "ram_cross_store_bytes": Cost(insn=12, source=HELPER_LOOKUP + "; a store for each byte"),
    Event.SLOW_IO: Cost(
        helper=1, insn=20, source="assumed: call, zone dispatch, softmmu_template.h:51-70; not the device"
    ),
    Event.SLOW_CODE: Cost(helper=1, insn=30, source="assumed: call, code_mem_write, bit test, exec.c:736-762"),
    Event.CODE_LIST_WALKS: Cost(insn=40, source="assumed: call, page_find, count of such stores, exec.c:643-664"),
    Event.SEARCHED_BLOCKS: Cost(insn=16, source="read: the loop of tb_invalidate_phys_page_range, exec.c:665-709"),
    "page_flushes": Cost(insn=40, source="assumed: four compares and their set, exec.c:1303-1350"),
}
TABLES = 4  # read and write, kernel and user
LINE_BYTES = 64
IN_CROSSING = Cost(source="measured: in that of slow_cross")
ENGINE_COSTS = {
    Event.TLB_FILLS: FILL,
    "ram_misaligned_units8": MISALIGNED,
    Event.SLOW_CROSS: CROSSING,
    Event.SLOW_CODE: Cost(
        helper=1,
        hit=215,
        most=320,
        source="measured: in place, KolibriOS and FreeDOS: 22 to 24 ns; calibrate's way, 28",
    ),
    Event.SEARCHED_BLOCKS: SEARCHED_BLOCK,
    "ram_cross_loads": IN_CROSSING,
    "ram_cross_store_bytes": IN_CROSSING,
}


class State(NamedTuple):
    tlb: Tlb
    lines: np.ndarray  # uint8[2, 2 << tlb_bits], (write, mode * entries + set): entries that the hit path read


@kernel
def access(s, e, n, row):
    entries = s.tlb.read.size >> 1
    s.lines[row.store, row.user * entries + tlb_set(s.tlb, e, row.page)] = 1
    return tlb_access(s.tlb, e, n, row)


@kernel
def io(s, e, n, row):
    n[Event.SLOW_IO] += 1
    return 0


@kernel
def flush(s, e, n):
    tlb_flush(s.tlb)


@kernel
def flush_page(s, e, n, page):
    tlb_flush_page(s.tlb, page, tlb_set(s.tlb, e, page))


class Softmmu(Strategy):
    name = "softmmu"
    GROUP = "mail"
    FAST_PATH = FAST_PATH
    FAST_PATH_SOURCE = "read: softmmu_header.h:89-231"
    events = EVENTS
    costs = COSTS
    engine_costs = ENGINE_COSTS
    kernels = Kernels(access=access, io=io, execute=nothing, protect=nothing, flush=flush, flush_page=flush_page)

    tlb_bits: int = param(
        8, minimum=0, maximum=16, sweep=range(4, 13), unit="log2 entries", help="entries of each of the four tables"
    )

    def state(self) -> State:
        return State(new_tlb(self.tlb_bits), np.zeros((2, 2 << self.tlb_bits), np.uint8))

    def price_list(self) -> dict[str, Cost]:
        flush = Cost(scan=TABLES << self.tlb_bits, source="read: exec.c:1268-1294, all entries of all tables")
        return super().price_list() | {"flushes": flush}

    @property
    def _entry_bytes(self) -> int:
        """Of an entry: an address and an addend, of 4 bytes each (cpu-defs.h:81-93), of a guest of 64 bits of 8."""
        return 8 if self.address_bits == ADDRESS_BITS else 16

    def table_bytes(self) -> int:
        return TABLES * self._entry_bytes << self.tlb_bits

    def table_lines(self, state: State) -> int:
        return _parts(state.lines, LINE_BYTES // self._entry_bytes)

    def table_resident_bytes(self, state: State) -> int:
        return _parts(state.tlb.touched, PAGE_BYTES // self._entry_bytes) * PAGE_BYTES


def _parts(entries: np.ndarray, length: int) -> int:
    """Count parts of so many entries with one that is marked; each table begins with a part of its own."""
    tables = entries.reshape(TABLES, -1)
    padded = np.pad(tables, ((0, 0), (0, -tables.shape[1] % length)))
    return int(padded.reshape(TABLES, -1, length).any(axis=2).sum())
