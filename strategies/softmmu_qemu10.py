"""softmmu-qemu10: the software TLB of QEMU 10, on an x86-64 host.

    entry = table[mode][(vaddr >> 12) & mask[mode]]
    if entry.address == (vaddr + size - 1) & PAGE:  host = vaddr + entry.addend
    else:                                           call a helper

One table for each mode (kernel, user), direct mapped; an entry holds the read, the write and the fetch side of a page,
and every fill enters all three. What the compare rejects goes to a helper, which looks into 8 *victims* of the mode,
then walks the guest's page table:

* The compare takes the last byte, so misaligned inside a page is fast. A crossing access calls the helper, which looks
  both pages up. A lookup that finds its page among the victims swaps the two entries (`victim_hits`, no fill). A fill
  drops the page's own victim and pushes the entry of another page out to the next victim in turn, full or free.
* Code is looked up, too (`code_fetches`, `code_fills`; not part of `tlb_fills`, which are those of data): the page of a
  block, both if it crosses, where its page was not entered in this mode since the last FLUSH or its own FLUSH_PAGE, or
  where the block before began on another page and the jump cache does not hold this one (mmuexp/replay/fetches.py).
* Device memory calls the helper each time. The entry of its page (of the first one, if it crosses) is filled where it
  is not in its set (`io_fills`, no part of `tlb_fills`); no victim serves it. A MAP row that makes a page known drops
  such an entry as FLUSH_PAGE does: QEMU has flushed it by then, whether a row told that or not.
* Stores to code pages call the helper each time. No bitmap: every such store walks the page's list of blocks, all of
  which QEMU locks first (`searched_blocks`); those that it overlaps go. With the last block the page is an ordinary
  one. Until then its mark makes every compare for a store fail, among the victims too: there a store to a code page is
  a fill. To set the mark when a page becomes a code page, every entry and victim of all modes is looked at
  (`scanned_entries`).
* FLUSH clears table and victims of each mode that was filled since its last one (the others are clean already), and
  only then may a table be resized: rate = most entries used since the last decision * 100 / entries, in whole numbers.
  Above 70 it doubles. Below 30, with the window of 100 ms over, it shrinks to the power of two not below that most,
  doubled where that would be above 70 % full. A decision, or a window that ends without one, begins the next window.

Source: QEMU 10.0.13: accel/tcg/cputlb.c:96-330 (resize 168-240, flush 274-285), 471-516, 1019-1205 (fill), 1301-1330
(victims), 1331-1360 (code pages), 1612-1794 (helper), tlb_reset_dirty (marks); accel/tcg/tb-internal.h:29-48;
include/hw/core/cpu.h:203; tcg/i386/tcg-target.c.inc:2122-2205; accel/tcg/tb-maint.c:1105-1220. No bitmap since "Remove
PageDesc code_bitmap", qemu-devel, 2022-08-22. Pages and blocks are those of MODEL.md, sections 1 and 2; dirty bits play
no part: guests set them beforehand, so that of 3.4 G rows of a Linux boot only 193 were a fill for the first store.
Where nobody says it, as QEMU does: entries used are its own counter, which miscounts. A fill adds 1; pushing an entry
out takes 1 off, dropping one by its page takes 1 off, of a victim for the second time; a swap changes nothing. It is
unsigned: below zero reads as full. A window is over when more than its time has passed. `table_bytes` is both tables
at their largest; `table_lines` counts a line of a mode's table that the hit path read once, however often the table is
made anew. Mask and pointer of a mode are part of the CPU's state.
Its time is guest instructions of the EXEC rows before the FLUSH; `window_insns` is 100 ms at 0.8 G/s (measured: the 7.2
G of results/linux-boot took 8.3 to 10.4 s under QEMU 10.0.2 without a plugin, on an AMD EPYC). QEMU's is real time,
which translation, devices, HLT and a plugin take, too, and `flushed_entries`, `tlb_resizes` and with them `tlb_fills`
hang on it: `window_insns` of a slower run is a tenth of its instructions a second. Given this clock in its place, QEMU
has the fills of a boot within 1 % and its victim hits within 0.3 % (docs/limits.md has that run, and plain ones). A
recording whose counts shall stand for a run without the recorder is made with -icount shift=0,sleep=off: else timer
interrupts come far more often in it.
Leaves out: the TLB of the page walk itself; what interrupt delivery reads; flushes that no row tells (MODEL.md, section
1; 4 of 30,041 in that boot), INVLPG of a large page, which flushes its mode; blocks dropped, which empty the jump cache
too, and lookups by returns inside a page; 14 modes beside these two, which are scanned for marks too; marks for screen
and migration; one more helper call where a crossing block was dropped through its other page; which page of a crossing
access is the device's. For 1 byte QEMU has a mov where here is the lea.
"""

from typing import NamedTuple

import numpy as np

from mmuexp.emulator.code import is_code_page, list_length, store_drops_overlapped
from mmuexp.emulator.state import GUEST_INSNS, real_page, records, unsettle
from mmuexp.events import CODE, meanings
from mmuexp.guest import PAGE_BYTES
from mmuexp.strategy import FIRST_EXTRA, SETTLED, Cost, Event, Kernels, Strategy, kernel, nothing, param
from mmuexp.strategy.helpers import FILL, MISALIGNED, SEARCHED_BLOCK, like

EXTRA = ("victim_hits", "tlb_resizes", "flushed_entries", "scanned_entries", "code_fetches", "code_fills", "io_fills")
VICTIM_HITS, TLB_RESIZES, FLUSHED_ENTRIES, SCANNED_ENTRIES, CODE_FETCHES, CODE_FILLS, IO_FILLS = range(
    FIRST_EXTRA, FIRST_EXTRA + len(EXTRA)
)
EVENTS = meanings(CODE) | {
    Event.TLB_FILLS: "data: the page is neither in its set nor among the victims: page walk, entry filled",
    Event.SLOW_CROSS: "crosses a page: a helper looks both up",
    Event.SLOW_IO: "device memory: a helper calls the device",
    Event.SLOW_CODE: "store to a code page: a helper walks the page's list of blocks",
    Event.SEARCHED_BLOCKS: "blocks on these lists, when the walk begins",
    VICTIM_HITS: "the page is among the victims: two entries are swapped",
    TLB_RESIZES: "a FLUSH makes a mode's table anew, larger or smaller",
    FLUSHED_ENTRIES: "entries that FLUSH clears",
    SCANNED_ENTRIES: "entries and victims looked at because a page became a code page",
    CODE_FETCHES: "pages of blocks that are looked up, as the jump cache does not hold the block",
    CODE_FILLS: "of these, the page is neither in its set nor among the victims",
    IO_FILLS: "device memory whose page is not in its set: page walk, entry filled",
}

FAST_PATH = """
    mov  reg, vaddr
    shr  reg, 7                     ; page number, times 32 bytes an entry
    and  reg, [mask]                ; mask and table of the mode lie in the CPU's state
    add  reg, [table]
    lea  last, [vaddr + size-1]     ; last byte: an access that crosses never compares equal
    and  last, ~4095
    cmp  last, [reg + side]         ; addr_read or addr_write; a device or code page never compares equal
    jne  slow                       ; not taken; the helper's call lies out of line
    mov  reg, [reg + 24]            ; addend
    mov  data, [reg + vaddr]
"""

COSTS = {
    Event.TLB_FILLS: Cost(helper=1, walk=1, insn=1580, source="measured: callgrind on QEMU 10.0.2: 1,750 in all"),
    VICTIM_HITS: Cost(helper=1, insn=325, source="measured: callgrind on QEMU 10.0.2: 345 in all"),
    Event.SLOW_CROSS: Cost(
        helper=1, insn=80, source="assumed: call, two lookups, bytes gathered, cputlb.c:1737-1794, 2356"
    ),
    Event.SLOW_IO: Cost(
        helper=1,
        insn=1230,
        most=1530,
        source="measured: callgrind on QEMU 10.0.2: a load 1,250, a store 1,550, with the device",
    ),
    Event.SLOW_CODE: Cost(
        helper=1,
        insn=3700,
        source="measured: callgrind on QEMU 10.0.2: 9,200 in a Linux's boot, less 5,480 of its page locks",
    ),
    Event.SEARCHED_BLOCKS: Cost(
        insn=81,
        source="measured: callgrind on QEMU 10.0.2: page_collection_lock, 5,480 a store in a Linux's boot; for each of "
        "68 blocks, which is the mean of such a boot (results/linux-boots, i386)",
    ),
    Event.BLOCKS_DROPPED: Cost(
        drop=1, insn=17000, source="measured: callgrind on QEMU 10.0.2: the jump cache is cleared"
    ),
    "flushes": Cost(insn=18900, source="measured: callgrind on QEMU 10.0.2: 2,500, and the jump cache 16,394"),
    TLB_RESIZES: Cost(insn=400, source="assumed: two g_free, two g_try_new"),
    SCANNED_ENTRIES: Cost(scan=1, insn=6, source="measured: callgrind on QEMU 10.0.2: 8.2 in all"),
    CODE_FETCHES: Cost(insn=150, source="measured: callgrind on QEMU 10.0.2"),
    CODE_FILLS: Cost(walk=1, insn=1450, source="measured: callgrind on QEMU 10.0.2: 1,600 in all"),
    IO_FILLS: Cost(walk=1, insn=1350, source="measured: callgrind on QEMU 10.0.2: 1,500 beside the helper's entry"),
    "page_flushes": Cost(insn=3690, source="measured: callgrind on QEMU 10.0.2: 16 modes, two pages of the jump cache"),
}

SHORT = (
    "assumed: softmmu_qemu10.c does what decides the counts, and leaves out QEMU's locks, its other modes and devices"
)
CODE_STORE = (
    "measured: calibrate's also.code_store, less a helper, a hit and one searched block, in instructions of a hit"
)
ENGINE_COSTS = {
    Event.TLB_FILLS: like(FILL, SHORT),
    VICTIM_HITS: like(MISALIGNED, "assumed: by its length, as a misaligned access of softmmu.c"),
    Event.SLOW_CROSS: Cost(
        helper=1,
        hit=455,
        source="measured: results/live's crossing by this engine, beside softmmu's",
    ),
    Event.SLOW_IO: Cost(helper=1, insn=10, source=SHORT),
    Event.SLOW_CODE: Cost(helper=1, hit=340, source=CODE_STORE),
    Event.SEARCHED_BLOCKS: SEARCHED_BLOCK,
    Event.BLOCKS_DROPPED: Cost(drop=1, source=SHORT),
    "flushes": Cost(insn=60, source=SHORT),
    FLUSHED_ENTRIES: Cost(scan=1, source=SHORT),
    SCANNED_ENTRIES: Cost(scan=1, source=SHORT),
    "page_flushes": Cost(insn=60, source=SHORT),
    CODE_FETCHES: Cost(insn=60, source=SHORT),
    CODE_FILLS: Cost(insn=60, source=SHORT),
    IO_FILLS: Cost(insn=60, source=SHORT),
}

VICTIMS = 8
ENTRY_BYTES = 32
ENTRIES_PER_PAGE = PAGE_BYTES // ENTRY_BYTES
FULL = 1 << 40  # entries used, where QEMU's unsigned counter went below zero

MODE = np.dtype([(name, "i8") for name in ("entries", "used", "next_victim", "filled", "began", "most")])
WINDOW_INSNS, LEAST, MOST, PEAK_ENTRIES = range(4)  # places in State.control


class State(NamedTuple):
    """An entry is 0, or a virtual page + 1: what the page shows, RAM or a device, follows from it."""

    table: np.ndarray  # int32[2 << max_bits], by mode << max_bits | set
    victim: np.ndarray  # int32[2, VICTIMS]
    mode: np.ndarray  # MODE[2]: entries in use now and since when (began, in guest instructions), most used since
    lines: np.ndarray  # uint8[1 << max_bits], pairs of entries that the hit path read
    pages: np.ndarray  # uint8[2, pages], by mode: host pages of its table that were touched
    control: np.ndarray  # int64[4]


@kernel
def _place(s, e, mode, page):
    return mode * (s.table.size >> 1) + (real_page(e, page) & (s.mode[mode].entries - 1))


@kernel
def _touch(s, mode, at):
    s.pages[mode, (at - mode * (s.table.size >> 1)) // ENTRIES_PER_PAGE] = 1


@kernel
def _drop_victim(s, mode, page):
    for i in range(VICTIMS):
        if s.victim[mode, i] == page + 1:
            s.victim[mode, i] = 0
            s.mode[mode].used -= 1


@kernel
def _swap_with_victim(s, e, n, mode, page, at):
    """Is the page among the victims? Then it trades places with what is in its set."""
    for i in range(VICTIMS):
        if s.victim[mode, i] == page + 1:
            n[VICTIM_HITS] += 1
            out = s.table[at]
            s.table[at] = s.victim[mode, i]
            s.victim[mode, i] = out
            if out:
                unsettle(e, out - 1)
            return True
    return False


@kernel
def _fill(s, e, mode, page, at):
    _drop_victim(s, mode, page)
    out = s.table[at]
    if out:
        s.victim[mode, s.mode[mode].next_victim] = out
        s.mode[mode].next_victim = (s.mode[mode].next_victim + 1) & (VICTIMS - 1)
        s.mode[mode].used -= 1
        unsettle(e, out - 1)
    s.table[at] = page + 1
    s.mode[mode].used += 1
    s.mode[mode].filled = 1


@kernel
def _look_up(s, e, n, mode, page, marked, fills):
    """A page of RAM, for data or code. `marked`: for a store, and a code page; `fills`: what a fill counts as."""
    at = _place(s, e, mode, page)
    _touch(s, mode, at)
    if s.table[at] != page + 1 and (marked or not _swap_with_victim(s, e, n, mode, page, at)):
        n[fills] += 1
        _fill(s, e, mode, page, at)


@kernel
def _store(e, n, frame, first, last):
    """Answers whether the same store, again, would be a hit."""
    if not is_code_page(e, frame):
        return SETTLED
    n[Event.SLOW_CODE] += 1
    n[Event.SEARCHED_BLOCKS] += list_length(e, frame)
    store_drops_overlapped(e, n, frame, first, last)
    return 0


@kernel
def access(s, e, n, row):
    s.lines[_place(s, e, row.user, row.page) >> 1] = 1
    _look_up(s, e, n, row.user, row.page, row.store and is_code_page(e, row.frame), Event.TLB_FILLS)
    if row.second >= 0:  # both are looked up before either is stored to
        n[Event.SLOW_CROSS] += 1
        _look_up(s, e, n, row.user, row.second, row.store and is_code_page(e, row.second_frame), Event.TLB_FILLS)
    if not row.store:
        return SETTLED
    answer = _store(e, n, row.frame, row.first, row.last)
    if row.second >= 0:
        _store(e, n, row.second_frame, 0, row.second_last)
    return answer


@kernel
def io(s, e, n, row):
    n[Event.SLOW_IO] += 1
    at = _place(s, e, row.user, row.page)
    _touch(s, row.user, at)
    if s.table[at] != row.page + 1:
        n[IO_FILLS] += 1
        _fill(s, e, row.user, row.page, at)
    return 0


@kernel
def fetch(s, e, n, row):
    n[CODE_FETCHES] += 1
    _look_up(s, e, n, row.user, row.page, False, CODE_FILLS)
    if row.second >= 0:
        n[CODE_FETCHES] += 1
        _look_up(s, e, n, row.user, row.second, False, CODE_FILLS)
    return 0


@kernel
def _decided_entries(s, mode, over):
    """How many entries the mode's table should have; `over`: its window is."""
    entries, most = s.mode[mode].entries, s.mode[mode].most
    rate = most * 100 // entries
    if rate > 70:
        return min(2 * entries, s.control[MOST])
    if rate >= 30 or not over:
        return entries
    wanted = np.int64(1)
    while wanted < most:
        wanted *= 2
    if most * 100 // wanted > 70:
        wanted *= 2
    return max(wanted, s.control[LEAST])


@kernel
def _resize(s, n, mode, now):
    used = s.mode[mode].used if s.mode[mode].used >= 0 else FULL
    s.mode[mode].most = max(s.mode[mode].most, used)
    over = now > s.mode[mode].began + s.control[WINDOW_INSNS]
    entries = _decided_entries(s, mode, over)
    if entries != s.mode[mode].entries:
        n[TLB_RESIZES] += 1
        s.mode[mode].entries = entries
        s.mode[mode].most = 0
        s.mode[mode].began = now
    elif over:
        s.mode[mode].most = used
        s.mode[mode].began = now


@kernel
def flush(s, e, n):
    for mode in range(2):
        if s.mode[mode].filled:
            begin = mode * (s.table.size >> 1)
            s.table[begin : begin + s.mode[mode].entries] = 0
            _resize(s, n, mode, e.control[GUEST_INSNS])
            n[FLUSHED_ENTRIES] += s.mode[mode].entries
            s.victim[mode, :] = 0
            s.mode[mode].used = s.mode[mode].next_victim = s.mode[mode].filled = 0
    s.control[PEAK_ENTRIES] = max(s.control[PEAK_ENTRIES], s.mode[0].entries + s.mode[1].entries)


@kernel
def flush_page(s, e, n, page):
    for mode in range(2):
        at = _place(s, e, mode, page)
        if s.table[at] == page + 1:
            s.table[at] = 0
            s.mode[mode].used -= 1
        _drop_victim(s, mode, page)


@kernel
def protect(s, e, n, frame):
    n[SCANNED_ENTRIES] += s.mode[0].entries + s.mode[1].entries + 2 * VICTIMS


class SoftmmuQemu10(Strategy):
    name = "softmmu-qemu10"
    GROUP = "today"
    FAST_PATH = FAST_PATH
    FAST_PATH_SOURCE = "read: tcg/i386/tcg-target.c.inc:2122-2205"
    events = EVENTS
    extra_events = EXTRA
    code_events = ("scanned_entries", "code_fetches", "code_fills")
    costs = COSTS
    engine_costs = ENGINE_COSTS
    kernels = Kernels(
        access=access, io=io, execute=nothing, protect=protect, flush=flush, flush_page=flush_page,
        fetch=fetch, mapped=flush_page,  # all that stands for a page that was not known is a device's
    )  # fmt: skip

    window_insns: int = param(
        80_000_000, minimum=0, maximum=1 << 40, sweep=(0, 8_000_000, 80_000_000, 800_000_000),
        unit="guest instructions", help="100 ms: no table shrinks while its window lasts",
    )  # fmt: skip
    first_bits: int = param(8, minimum=1, maximum=20, unit="log2 entries", help="of each mode's table at first")
    min_bits: int = param(6, minimum=1, maximum=20, unit="log2 entries", help="a table shrinks to so many at least")
    max_bits: int = param(
        20, minimum=1, maximum=22, wide=22, unit="log2 entries", help="a table grows to so many at most"
    )

    def __post_init__(self) -> None:
        if not self.min_bits <= self.first_bits <= self.max_bits:
            raise ValueError(f"first_bits={self.first_bits} is not in {self.min_bits}..{self.max_bits}")

    def state(self) -> State:
        mode = records(2, MODE)
        mode.entries = 1 << self.first_bits
        table, lines = np.zeros(2 << self.max_bits, np.int32), np.zeros(1 << self.max_bits, np.uint8)
        pages = np.zeros((2, -(-(1 << self.max_bits) // ENTRIES_PER_PAGE)), np.uint8)
        sizes = [self.window_insns, 1 << self.min_bits, 1 << self.max_bits, 2 << self.first_bits]
        return State(table, np.zeros((2, VICTIMS), np.int32), mode, lines, pages, np.array(sizes, np.int64))

    def table_bytes(self) -> int:
        return 2 * ENTRY_BYTES << self.first_bits

    def table_lines(self, state: State) -> int:
        return int(state.lines.sum())

    def table_resident_bytes(self, state: State) -> int:
        return int(state.pages.sum()) * PAGE_BYTES

    def result(self, n: np.ndarray, state: State) -> dict[str, int]:
        return super().result(n, state) | {"table_bytes": int(state.control[PEAK_ENTRIES]) * ENTRY_BYTES}
