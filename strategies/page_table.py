"""page-table: a flat table of host pointers, one for loads and one for stores, and nothing else.

    entry = table[store][vaddr >> 12]
    if entry != 0:  host = vaddr + entry
    else:           call a helper

Every page of the guest has its entry, of 8 bytes, so there are no sets and no conflicts. A null entry calls a helper.
No host fault ever, and no host page table is touched. It is dynarmic's page_table (Citra and azahar, yuzu), PCSX2's
vtlb, and, in whole-system emulators of x86, 86Box's readlookup2 and writelookup2 and v86's table of flags. The events
are the same; `form` and `detect` change the listing, and what a misaligned access does:

* A fill (`tlb_fills`) walks the guest's page table and enters the page for loads; for stores too, if it is dirty. A
  store that is not in its table makes the page dirty first. So a load, then the first store, are 2 fills.
* detect=cross tests the low bits of an address, and then whether it is in the page's last word: what crosses a page
  calls the helper, which looks both pages up before it stores to either. detect=any calls it for every misaligned
  access (86Box; form=call always does). detect=off trusts that neighbours lie side by side: the first page's entry
  serves the whole access, and nobody looks at the second page: it is not filled, not dirty, its code not noticed.
* A store to a code page calls the helper each time, which drops the blocks that it overlaps. To mark a page that
  becomes a code page, the list of live write entries is searched (`scanned_entries`; with clear=memset, the table).
* tables=1, for consoles, whose guest names the code that it changes: loads and stores share one table, a fill makes
  the page dirty, and a store that overlaps blocks drops them at no cost.
* Device memory has a null entry: a call for each access, and no fill.
* FLUSH nulls the entries on the list of live ones, or both tables whole (clear=memset). live limits that list to a
  ring, in the order of entry, in each table (86Box: 256): a fill takes the slot at the hand, and the page entered
  there before loses its entry if that slot still is the one that entered it (`evictions`). FLUSH sets the hand to slot
  0; FLUSH_PAGE nulls the page's entries and frees no slot.

Source: dynarmic (yuzu-mirror) 9d45823399: emit_x64_memory.h:27-97; azahar a2d16d46fd: arm_dynarmic.cpp:313-361; PCSX2
0b018c9e7b: recVTLB.cpp:41-88, 125-156, 250-269; 86Box c23ad1befa: mem.c:84-101, 195-212, 575-642,
codegen_backend_x86-64.c:74-165, uops.c:998-1033; v86 71a9784934: cpu.rs:257-329, 2190-2431, codegen.rs:642-900.
Where nobody says it: an access of more than 8 bytes is looked up once and priced by eight; a fill puts a page only into
a table in which it is not; `table_lines` counts lines that rows read at their first page.
Leaves out: user and kernel share the tables (v86 tests a bit, 86Box flushes: favours it; `mode_switches` is there to
price it); global pages that v86 keeps over a CR3 write; the misses of tables of 8 MiB in the host's caches (favours
it); v86 drops the whole page for data beside code, 86Box drops lazily. One byte needs no test of its low bits, 2
instructions less than the listing: priced like the others, and within the range of the price.
In the live engine a misaligned access under detect=cross is its helper's, also inside a page; and form=call, whose
listing is a subroutine, has none.
"""

from typing import NamedTuple

import numpy as np

from mmuexp.emulator.code import is_code_page, list_length, overlapped_block, store_drops_overlapped
from mmuexp.emulator.state import unsettle, zeros
from mmuexp.emulator.tables import HANDLED, LINE_BITS, READ, TABLE_PAGE_BITS, Touched, new_touched, parts_touched, touch
from mmuexp.events import CODE, meanings
from mmuexp.guest import PAGE_BITS, PAGES
from mmuexp.strategy import FIRST_EXTRA, SETTLED, SPLIT, Cost, Event, Kernels, Strategy, kernel, nothing, param
from mmuexp.strategy.helpers import CROSSING, FILL, MISALIGNED, SEARCHED_BLOCK, like

EXTRA = ("flushed_entries", "scanned_entries")
FLUSHED_ENTRIES, SCANNED_ENTRIES = range(FIRST_EXTRA, FIRST_EXTRA + len(EXTRA))
EVENTS = meanings(CODE) | {
    Event.TLB_FILLS: "the page is not in the table: page walk, entry filled",
    Event.SLOW_MISALIGNED: "misaligned inside a page, where detect=any: a helper does the access",
    Event.SLOW_CROSS: "crosses a page: a helper looks both up",
    Event.SLOW_IO: "device memory: a helper calls the device",
    Event.SLOW_CODE: "store to a code page: a helper drops the blocks that it overlaps",
    Event.SEARCHED_BLOCKS: "blocks in the page's list, when that helper begins to walk it",
    Event.EVICTIONS: "the slot of another page was taken, whose entry is null now (live)",
    FLUSHED_ENTRIES: "entries that FLUSH clears",
    SCANNED_ENTRIES: "write entries looked at because a page became a code page",
}

TEST = """
    test vaddr, size-1              ; misaligned?
    jne  odd                        ; not taken
"""
LOOK_UP = """
    mov  reg, vaddr
    shr  reg, 12
    mov  reg, [table + reg*8]
    test reg, reg
    je   slow                       ; not taken
"""
FORMS = {
    "absolute": LOOK_UP
    + """
    mov  data, [reg + vaddr]        ; the entry is less the guest's address already
""",
    "offset": LOOK_UP
    + """
    mov  tmp, vaddr
    and  tmp, 4095
    mov  data, [reg + tmp]
""",
    "vtlb": """
    mov  adr, vaddr
    mov  reg, adr
    shr  reg, 12
    mov  reg, [table + reg*8]
    add  adr, reg                   ; the sign of the sum says: a handler
    js   slow                       ; not taken
    mov  data, [adr]
""",
    "call": """
    call routine
    mov  adr, vaddr
    shr  reg, 12
    mov  base, table
    mov  reg, [base + reg*8]
    test adr, size-1
    jne  slow                       ; not taken
    cmp  reg, -1
    je   slow                       ; not taken
    mov  data, [reg + adr]
    xor  reg, reg
    ret
    test reg, reg
    jne  abort                      ; not taken
    mov  dest, data
""",
}
FAST_PATH = TEST + FORMS["absolute"]
SOURCES = {
    "absolute": "read: dynarmic, emit_x64_memory.h:27-97",
    "offset": "read: dynarmic, emit_x64_memory.h:27-97, as azahar sets it",
    "vtlb": "read: PCSX2, recVTLB.cpp:41-88, 125-156, 250-269",
    "call": "read: 86Box, codegen_backend_x86-64.c:74-165, uops.c:998-1033",
}

AS_SOFTMMU = "assumed: as softmmu's helper, without QEMU's locks"
COSTS = {
    Event.TLB_FILLS: Cost(helper=1, walk=1, insn=60, source="assumed: call, registers saved, appended to the list"),
    Event.SLOW_MISALIGNED: Cost(helper=1, insn=10, source=AS_SOFTMMU),
    Event.SLOW_CROSS: Cost(helper=1, insn=40, source=AS_SOFTMMU),
    Event.SLOW_IO: Cost(helper=1, insn=40, source=AS_SOFTMMU + "; not the device"),
    Event.SLOW_CODE: Cost(helper=1, insn=80, source=AS_SOFTMMU),
    FLUSHED_ENTRIES: Cost(insn=6, source="assumed: load, test, two stores, loop; 86Box, mem.c:195-212"),
    SCANNED_ENTRIES: Cost(insn=6, source="read: v86, cpu.rs:2411-2421"),
}
CLEARED = Cost(insn=0.25, source="assumed: memset stores 32 bytes at once")
SHORT = "assumed: page_table.c does what decides the counts; its helper is entered as softmmu's"
CODE_STORE = (
    "measured: as calibrate's also.code_store, less a helper, a hit and one searched block, in instructions of a hit"
)
ENGINE_COSTS = {
    Event.TLB_FILLS: like(FILL, SHORT),
    Event.SLOW_MISALIGNED: like(MISALIGNED, SHORT),
    Event.SLOW_CROSS: like(CROSSING, SHORT),
    Event.SLOW_IO: Cost(helper=1, insn=10, source=SHORT),
    Event.SLOW_CODE: Cost(helper=1, hit=425, source=CODE_STORE),
    Event.SEARCHED_BLOCKS: SEARCHED_BLOCK,
    FLUSHED_ENTRIES: Cost(scan=1, source=SHORT),
    SCANNED_ENTRIES: Cost(scan=1, source=SHORT),
}
ODD = Cost(hit=4, source="read: dynarmic, emit_x64_memory.h:27-97: mov, and, cmp, jne")

ENTRY_BYTES = 8
# places in State.control: of the table for loads, the same of that for stores, and the parameters
HAND, USED, VALID, PER_TABLE = range(4)
LIVE, ONE_TABLE, DETECT, WHOLE, PLACES = range(2 * PER_TABLE, 2 * PER_TABLE + 5)
CROSS, ANY, OFF = range(3)


class State(NamedTuple):
    """Tables are 0, for loads, and 1, for stores; with tables=1 only the first. Both arrays hold 0 for none."""

    slot: np.ndarray  # int32[2, PAGES], by page: slot + 1 that entered it; 0 is a null entry
    page: np.ndarray  # int32[2, slots], by slot: page + 1 that was entered there
    touched: Touched
    control: np.ndarray  # int64[PLACES]; USED: slots that hold a page or did since FLUSH; LIVE: 0 if there is no ring


@kernel
def _enter(s, e, n, table, page):
    c = PER_TABLE * table
    if s.slot[table, page]:
        return
    at = s.control[c + HAND]
    if s.control[LIVE]:
        out = s.page[table, at] - 1
        if out >= 0 and s.slot[table, out] == at + 1:
            n[Event.EVICTIONS] += 1
            s.slot[table, out] = 0
            s.control[c + VALID] -= 1
            unsettle(e, out)
    s.page[table, at] = page + 1
    s.slot[table, page] = at + 1
    touch(s.touched, e, table, page, HANDLED)
    s.control[c + VALID] += 1
    s.control[c + USED] = max(s.control[c + USED], at + 1)
    s.control[c + HAND] = 0 if at + 1 == s.control[LIVE] else at + 1


@kernel
def _null(s, table, page):
    """The page's entry becomes null. Its slot stays taken in a ring; else the last page moves there."""
    c = PER_TABLE * table
    slot = s.slot[table, page]
    if slot == 0:
        return
    s.slot[table, page] = 0
    s.control[c + VALID] -= 1
    if not s.control[LIVE]:
        last = s.control[c + HAND] - 1
        moved = s.page[table, last]
        s.page[table, slot - 1] = moved
        s.page[table, last] = 0
        if last != slot - 1:
            s.slot[table, moved - 1] = slot
        s.control[c + HAND] = s.control[c + USED] = last


@kernel
def _look_up(s, e, n, store, page, frame):
    one_table = s.control[ONE_TABLE]
    touch(s.touched, e, 0 if one_table else store, page, HANDLED)
    if s.slot[0 if one_table else store, page]:
        return
    n[Event.TLB_FILLS] += 1
    if store or one_table:
        e.frame[frame].dirty = 1
    _enter(s, e, n, 0, page)
    if e.frame[frame].dirty and not one_table:
        _enter(s, e, n, 1, page)


@kernel
def _store(s, e, n, frame, first, last):
    """Answers whether the same store, again, would be a hit."""
    if not is_code_page(e, frame):
        return SETTLED
    if not s.control[ONE_TABLE]:
        n[Event.SLOW_CODE] += 1
        n[Event.SEARCHED_BLOCKS] += list_length(e, frame)
        store_drops_overlapped(e, n, frame, first, last)
    elif overlapped_block(e, frame, first, last) >= 0:
        store_drops_overlapped(e, n, frame, first, last)
    return 0


@kernel
def access(s, e, n, row):
    one_table = s.control[ONE_TABLE]
    detect = s.control[DETECT]
    touch(s.touched, e, 0 if one_table else row.store, row.page, READ)
    answer = SETTLED
    crosses = row.second >= 0 and detect != OFF
    if crosses:
        n[Event.SLOW_CROSS] += 1
    elif row.misaligned and detect == ANY:
        n[Event.SLOW_MISALIGNED] += 1
        answer = 0
    _look_up(s, e, n, row.store, row.page, row.frame)
    if crosses:
        _look_up(s, e, n, row.store, row.second, row.second_frame)
    if row.store:
        answer &= _store(s, e, n, row.frame, row.first, row.last)
        if crosses:
            _store(s, e, n, row.second_frame, 0, row.second_last)
    return answer


@kernel
def io(s, e, n, row):
    n[Event.SLOW_IO] += 1
    return 0


@kernel
def flush(s, e, n):
    for table in range(2):
        c = PER_TABLE * table
        if not s.control[WHOLE]:
            n[FLUSHED_ENTRIES] += s.control[c + VALID]
        elif table == 0 or not s.control[ONE_TABLE]:
            n[FLUSHED_ENTRIES] += 1  # a table: `result` knows how many entries it has
        for at in range(s.control[c + USED]):
            page = s.page[table, at] - 1
            if page >= 0:
                s.slot[table, page] = 0
                s.page[table, at] = 0
        s.control[c : c + PER_TABLE] = 0


@kernel
def flush_page(s, e, n, page):
    _null(s, 0, page)
    _null(s, 1, page)


@kernel
def protect(s, e, n, frame):
    if not s.control[ONE_TABLE]:
        n[SCANNED_ENTRIES] += 1 if s.control[WHOLE] else s.control[PER_TABLE + VALID]


class PageTable(Strategy):
    name = "page-table"
    GROUP = "today"
    FAST_PATH = FAST_PATH
    FAST_PATH_SOURCE = SOURCES["absolute"]
    events = EVENTS
    extra_events = EXTRA
    costs = COSTS
    engine_costs = ENGINE_COSTS
    COMPILED_IN = ("form", "detect")
    kernels = Kernels(access=access, io=io, execute=nothing, protect=protect, flush=flush, flush_page=flush_page)
    BY_DEFAULT = False

    form: str = param("absolute", choices=FORMS, sweep=FORMS, help="how the pointer is used: which listing")
    detect: str = param(
        "cross", choices=("cross", "any", "off"), sweep=("cross", "any", "off"), help="which accesses leave the table"
    )
    tables: int = param(2, minimum=1, maximum=2, sweep=(1, 2), unit="tables", help="1: loads and stores share one")
    live: int = param(
        PAGES, minimum=2, maximum=PAGES, sweep=(256, 1024, 4096, PAGES), unit="entries", helps="evictions",
        help="that may be valid at once in each table; 256 in 86Box",
    )  # fmt: skip
    clear: str = param("list", choices=("list", "memset"), sweep=("list", "memset"), help="what FLUSH goes through")

    @property
    def _detect(self) -> str:
        return "any" if self.form == "call" else self.detect

    def fast_path(self) -> str:
        return FORMS[self.form] if self.form == "call" or self.detect == "off" else TEST + FORMS[self.form]

    def no_engine(self) -> str:
        return "the listing of form=call is a subroutine" if self.form == "call" else ""

    def state(self) -> State:
        control = np.zeros(PLACES, np.int64)
        control[LIVE] = 0 if self.live == PAGES else self.live
        control[ONE_TABLE], control[WHOLE] = self.tables == 1, self.clear == "memset"
        control[DETECT] = ("cross", "any", "off").index(self._detect)
        slots, pages = (zeros(2 * size, np.int32).reshape(2, -1) for size in (PAGES, self.live))
        return State(slots, pages, new_touched(2), control)

    def price_list(self) -> dict[str, Cost]:
        length = self.hit_insns()
        least = length if self._detect == "off" else length - 2  # of one byte
        hit = Cost(access=1, hit=length, source=SOURCES[self.form], least=least)
        costs = super().price_list() | {"units8": hit}
        if self._detect == "cross":
            costs["ram_misaligned_units8"] = ODD
        if self._detect == "off":
            costs["page_cross"] = SPLIT
        if self.clear == "memset":
            costs["flushed_entries"] = CLEARED
        return costs

    def engine_price_list(self) -> dict[str, Cost]:
        costs = super().engine_price_list()
        if self._detect == "cross":
            costs["ram_misaligned_units8"] = ENGINE_COSTS[Event.SLOW_MISALIGNED]
        return costs

    @property
    def _entries(self) -> int:
        """Of one table: each page of the guest has one."""
        return 1 << self.address_bits - PAGE_BITS

    def table_bytes(self) -> int:
        return ENTRY_BYTES * self._entries * self.tables

    def table_lines(self, state: State) -> int:
        return parts_touched(state.touched, READ, LINE_BITS, ENTRY_BYTES)

    def table_resident_bytes(self, state: State) -> int:
        return parts_touched(state.touched, READ | HANDLED, TABLE_PAGE_BITS, ENTRY_BYTES) << TABLE_PAGE_BITS

    def result(self, n: np.ndarray, state: State) -> dict[str, int]:
        counts, entries = super().result(n, state), self._entries if self.clear == "memset" else 1
        return counts | {name: counts[name] * entries for name in EXTRA}
