"""softmmu-qemu10: the software TLB of QEMU 10, on an x86-64 host.

    entry = table[mode][(vaddr >> 12) & mask[mode]]
    if entry.address == (vaddr + size - 1) & PAGE:  host = vaddr + entry.addend
    else:                                           call a helper

One table for each mode (kernel, user), direct mapped; an entry holds the read and the write side of a page. What the
compare rejects goes to a helper, which looks into 8 *victims* of the mode, then walks the guest's page table:

* The compare takes the last byte, so misaligned inside a page is fast. A crossing access calls the helper, which looks
  both pages up. A lookup that finds its page among the victims swaps the two entries (`victim_hits`, no fill). A fill
  drops the page's own victim and pushes the entry of another page out to the next victim in turn, full or free.
* A fill enters the write side only if the page is dirty: load, then first store = 2 fills, as in 2004.
* Device memory and stores to code pages call the helper each time. No bitmap: every such store walks the page's list of
  blocks; those that it overlaps go. With the last block the page is an ordinary one. Until then its mark makes every
  compare for a store fail, among the victims too: there a store to a code page is a fill. To set the mark when a page
  becomes a code page, every entry and victim of all modes is looked at (`scanned_entries`).
* FLUSH clears table and victims of each mode that was filled since its last one (the others are clean already), and
  only then may a table be resized: rate = most entries used since the last decision * 100 / entries, in whole numbers.
  Above 70 it doubles. Below 30, with the window of 100 ms over, it shrinks to the power of two not below that most,
  doubled where that would be above 70 % full. A decision, or a window that ends without one, begins the next window.

Source: QEMU 10.0.13: accel/tcg/cputlb.c:96-330 (resize 168-240, flush 274-285), 471-516, 1019-1205 (fill), 1301-1330
(victims), 1331-1360 (code pages), 1612-1794 (helper), tlb_reset_dirty (marks); accel/tcg/tb-internal.h:29-48;
include/hw/core/cpu.h:203; tcg/i386/tcg-target.c.inc:2122-2205; accel/tcg/tb-maint.c:1105-1220. No bitmap since "Remove
PageDesc code_bitmap", qemu-devel, 2022-08-22. Pages, blocks and dirty bits are those of MODEL.md, sections 1 and 2.
Where nobody says it, as QEMU does: entries used are its own counter, which miscounts. A fill adds 1, even over the same
page; pushing an entry out takes 1 off, dropping one by its page takes 1 off, of a victim for the second time; a swap
changes nothing. It is unsigned: below zero reads as full. A window is over when more than its time has passed. Time is
guest instructions of the EXEC rows before the FLUSH; `window_insns` is 100 ms at 0.8 G/s (measured: the 7.2 G of
results/linux-boot took 8.3 to 10.4 s under QEMU 10.0.2 without a plugin, on an AMD EPYC). `table_bytes` is both tables
at their largest; `table_lines` counts a line of a mode's table once, however often the table is made anew. Mask and
pointer of a mode are part of the CPU's state.
Leaves out: entries that code fetches and device memory take up; INVLPG of a large page, which flushes its mode; 14
modes beside these two, which are scanned for marks too (all three favour it); marks for screen and migration; one more
helper call where a crossing block was dropped through its other page. For 1 byte QEMU has a mov where here is the lea.
Assumed: instructions inside the helpers (see the costs).
"""

from typing import NamedTuple

import numpy as np

from mmuexp.emulator.code import is_code_page, store_drops_overlapped
from mmuexp.emulator.state import GUEST_INSNS, records, unsettle
from mmuexp.events import CODE, meanings
from mmuexp.strategy import FIRST_EXTRA, SETTLED, Cost, Event, Kernels, Strategy, kernel, nothing, param

VICTIM_HITS, TLB_RESIZES, FLUSHED_ENTRIES, SCANNED_ENTRIES = range(FIRST_EXTRA, FIRST_EXTRA + 4)
EVENTS = meanings(CODE) | {
    Event.TLB_FILLS: "the page is neither in its set nor among the victims: page walk, entry filled",
    Event.SLOW_CROSS: "crosses a page: a helper looks both up",
    Event.SLOW_IO: "device memory: a helper calls the device",
    Event.SLOW_CODE: "store to a code page: a helper walks the page's list of blocks",
    VICTIM_HITS: "the page is among the victims: two entries are swapped",
    TLB_RESIZES: "a FLUSH makes a mode's table anew, larger or smaller",
    FLUSHED_ENTRIES: "entries that FLUSH clears",
    SCANNED_ENTRIES: "entries and victims looked at because a page became a code page",
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
        helper=1, insn=9180, source="measured: callgrind on QEMU 10.0.2: page locks, list, running block"
    ),
    Event.BLOCKS_DROPPED: Cost(
        drop=1, insn=17000, source="measured: callgrind on QEMU 10.0.2: the jump cache is cleared"
    ),
    "flushes": Cost(insn=18900, source="measured: callgrind on QEMU 10.0.2: 2,500, and the jump cache 16,394"),
    TLB_RESIZES: Cost(insn=400, source="assumed: two g_free, two g_try_new"),
    SCANNED_ENTRIES: Cost(scan=1, insn=6, source="assumed: load, flags, test, step; cputlb.c, tlb_reset_dirty"),
    "page_flushes": Cost(insn=3690, source="measured: callgrind on QEMU 10.0.2: 16 modes, two pages of the jump cache"),
}

SHORT = (
    "assumed: softmmu_qemu10.c does what decides the counts, and leaves out QEMU's locks, its other modes and devices"
)
ENGINE_COSTS = {
    Event.TLB_FILLS: Cost(helper=1, insn=60, source=SHORT),
    VICTIM_HITS: Cost(helper=1, insn=40, source=SHORT),
    Event.SLOW_CROSS: Cost(helper=1, insn=40, source=SHORT),
    Event.SLOW_IO: Cost(helper=1, insn=10, source=SHORT),
    Event.SLOW_CODE: Cost(helper=1, insn=40, source=SHORT),
    Event.BLOCKS_DROPPED: Cost(drop=1, source=SHORT),
    "flushes": Cost(insn=60, source=SHORT),
    FLUSHED_ENTRIES: Cost(scan=1, source=SHORT),
    SCANNED_ENTRIES: Cost(scan=1, source=SHORT),
    "page_flushes": Cost(insn=60, source=SHORT),
}

VICTIMS = 8
ENTRY_BYTES = 32
FULL = 1 << 40  # entries used, where QEMU's unsigned counter went below zero

MODE = np.dtype([(name, "i8") for name in ("entries", "used", "next_victim", "filled", "began", "most")])
WINDOW_INSNS, LEAST, MOST, PEAK_ENTRIES = range(4)  # places in State.control


class State(NamedTuple):
    """An entry is 0, or (virtual page + 1) << 1 | may be stored to. Its physical page follows from its virtual page."""

    table: np.ndarray  # int32[2 << max_bits], by mode << max_bits | set
    victim: np.ndarray  # int32[2, VICTIMS]
    mode: np.ndarray  # MODE[2]: entries in use now and since when (began, in guest instructions), most used since
    lines: np.ndarray  # uint8[1 << max_bits], pairs of entries that the hit path read
    control: np.ndarray  # int64[4]


@kernel
def _place(s, mode, page):
    return mode * (s.table.size >> 1) + (page & (s.mode[mode].entries - 1))


@kernel
def _holds(entry, page, store):
    return entry >> 1 == page + 1 and (entry & 1 or not store)


@kernel
def _drop_victim(s, mode, page):
    for i in range(VICTIMS):
        if s.victim[mode, i] >> 1 == page + 1:
            s.victim[mode, i] = 0
            s.mode[mode].used -= 1


@kernel
def _swap_with_victim(s, e, n, mode, page, frame, store, at):
    """Is the page among the victims? Then it trades places with what is in its set."""
    if store and is_code_page(e, frame):
        return False
    for i in range(VICTIMS):
        if _holds(s.victim[mode, i], page, store):
            n[VICTIM_HITS] += 1
            out = s.table[at]
            s.table[at] = s.victim[mode, i]
            s.victim[mode, i] = out
            if out:
                unsettle(e, (out >> 1) - 1)
            return True
    return False


@kernel
def _fill(s, e, n, mode, page, frame, store, at):
    n[Event.TLB_FILLS] += 1
    if store:
        e.frame[frame].dirty = 1
    _drop_victim(s, mode, page)
    out = s.table[at]
    if out and out >> 1 != page + 1:
        s.victim[mode, s.mode[mode].next_victim] = out
        s.mode[mode].next_victim = (s.mode[mode].next_victim + 1) & (VICTIMS - 1)
        s.mode[mode].used -= 1
        unsettle(e, (out >> 1) - 1)
    s.table[at] = (page + 1) << 1 | e.frame[frame].dirty  # clean: the first store must miss, to set the dirty bit
    s.mode[mode].used += 1
    s.mode[mode].filled = 1


@kernel
def _look_up(s, e, n, mode, page, frame, store):
    at = _place(s, mode, page)
    if not _holds(s.table[at], page, store) and not _swap_with_victim(s, e, n, mode, page, frame, store, at):
        _fill(s, e, n, mode, page, frame, store, at)


@kernel
def _store(e, n, frame, first, last):
    """Answers whether the same store, again, would be a hit."""
    if not is_code_page(e, frame):
        return SETTLED
    n[Event.SLOW_CODE] += 1
    store_drops_overlapped(e, n, frame, first, last)
    return 0


@kernel
def access(s, e, n, row):
    s.lines[_place(s, row.user, row.page) >> 1] = 1
    _look_up(s, e, n, row.user, row.page, row.frame, row.store)
    if row.second >= 0:  # both are looked up before either is stored to
        n[Event.SLOW_CROSS] += 1
        _look_up(s, e, n, row.user, row.second, row.second_frame, row.store)
    if not row.store:
        return SETTLED
    answer = _store(e, n, row.frame, row.first, row.last)
    if row.second >= 0:
        _store(e, n, row.second_frame, 0, row.second_last)
    return answer


@kernel
def io(s, e, n, row):
    n[Event.SLOW_IO] += 1
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
        at = _place(s, mode, page)
        if s.table[at] >> 1 == page + 1:
            s.table[at] = 0
            s.mode[mode].used -= 1
        _drop_victim(s, mode, page)


@kernel
def protect(s, e, n, frame):
    n[SCANNED_ENTRIES] += s.mode[0].entries + s.mode[1].entries + 2 * VICTIMS


class SoftmmuQemu10(Strategy):
    name = "softmmu-qemu10"
    FAST_PATH = FAST_PATH
    FAST_PATH_SOURCE = "read: tcg/i386/tcg-target.c.inc:2122-2205"
    events = EVENTS
    extra_events = ("victim_hits", "tlb_resizes", "flushed_entries", "scanned_entries")
    costs = COSTS
    engine_costs = ENGINE_COSTS
    kernels = Kernels(access=access, io=io, execute=nothing, protect=protect, flush=flush, flush_page=flush_page)

    window_insns: int = param(
        80_000_000, minimum=0, maximum=1 << 40, sweep=(0, 8_000_000, 80_000_000, 800_000_000),
        unit="guest instructions", help="100 ms: no table shrinks while its window lasts",
    )  # fmt: skip
    first_bits: int = param(8, minimum=1, maximum=20, unit="log2 entries", help="of each mode's table at first")
    min_bits: int = param(6, minimum=1, maximum=20, unit="log2 entries", help="a table shrinks to so many at least")
    max_bits: int = param(20, minimum=1, maximum=20, unit="log2 entries", help="a table grows to so many at most")

    def __post_init__(self) -> None:
        if not self.min_bits <= self.first_bits <= self.max_bits:
            raise ValueError(f"first_bits={self.first_bits} is not in {self.min_bits}..{self.max_bits}")

    def state(self) -> State:
        mode = records(2, MODE)
        mode.entries = 1 << self.first_bits
        table, lines = np.zeros(2 << self.max_bits, np.int32), np.zeros(1 << self.max_bits, np.uint8)
        sizes = [self.window_insns, 1 << self.min_bits, 1 << self.max_bits, 2 << self.first_bits]
        return State(table, np.zeros((2, VICTIMS), np.int32), mode, lines, np.array(sizes, np.int64))

    def table_bytes(self) -> int:
        return 2 * ENTRY_BYTES << self.first_bits

    def table_lines(self, state: State) -> int:
        return int(state.lines.sum())

    def result(self, n: np.ndarray, state: State) -> dict[str, int]:
        return super().result(n, state) | {"table_bytes": int(state.control[PEAK_ENTRIES]) * ENTRY_BYTES}
