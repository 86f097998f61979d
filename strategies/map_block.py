"""map-block: Piotras's indirection table. Load an offset, add it, access; the host's MMU checks.

QEMU's softmmu compares each guest address with a table of its own, its software TLB, before it accesses the host's
memory. This scheme compares nothing: guest pages are mapped with mmap, and what is not there faults (SIGSEGV).

    host = vaddr + table[vaddr >> MAP_BLOCK_BITS]

The guest's address space is cut into blocks of 2**MAP_BLOCK_BITS bytes. An entry of the table leads to a block of host
address space, and already subtracts the high bits of the guest address, so that no `and` is needed: 4 instructions, of
which only the last can fault. Nothing is compared. The handler writes a new entry both to the table and to the register
that the instruction had loaded it into, and the instruction restarts.

    guest block g                      host block, one of pool_blocks
    | page | page | ... | page |       | page | page | ... | page | extra |
                                         mapped one by one, on first touch

* The host block has one page more than the guest block. The *extra* page shows the first page of the next guest block,
  so an access that crosses a page runs at full speed, even at a block's end. (byte-lookup takes a signal for each.)
* The pool is much smaller than the guest's address space. A guest block without a host block leads to one shared
  inaccessible block and faults (`faults_block`); the handler takes the next host block in order of allocation and
  unmaps what it held. A page of a block that is not mapped yet faults too (`faults_unmapped`).
* Larger blocks mean a smaller table and fewer, longer mappings; smaller ones waste less of the pool. That is what
  `mmuexp sweep MAP_BLOCK_BITS` measures. 12 would be a block for each page, with an extra page each.
* A page with translated code is mapped read-only. A store to it faults, and drops every block of the page: the handler
  sees pages, not bytes. A guest that writes to the very pages its code runs from faults again and again
  (`faults_code`), which is why Windows 98 seemed slow to the mail, while softmmu pays a helper call.

The mail gives the reasons: it wanted mmap to make softmmu faster without the special memory layout of qemu-fast, and
says that nbench came out 20-30 % better, that Linux seemed faster, and Windows 98 much slower. A block has
2**(MAP_BLOCK_BITS - 12) + 1 pages; MAP_BLOCK_BITS should be above 12, to limit the table and the fragmentation of the
memory map.

Source: Piotras, "Re: [Qemu-devel] softmmu thoughts", qemu-devel, 2004-10-20; MODEL.md, sections 2, 5 and 8.
Models: one fault, one handler run; the page is mapped in the run that finds the block.
Reads: the mail's "last-recently allocated" as least recently (`evict=fifo`); the other reading is `evict=lifo`.
`evict=random` is the control: x <- (x * 1664525 + 1013904223) mod 2**32 from x = 1, slot = x * pool_blocks >> 32.
Leaves out: a second view for guest user mode. Assumed: instructions of the handler (see the costs).
"""

from typing import NamedTuple

import numpy as np

from mmuexp.emulator.codepages import (
    CHECK_EVENTS,
    KEEPS_CODE,
    MAPPED_IT,
    CodePages,
    after_store,
    enter_block,
    fault_cause,
    may_write,
    new_code_pages,
    protect_noticed,
    serve_page,
    translate_block,
)
from mmuexp.emulator.handler import io_fault
from mmuexp.emulator.pool import Pool, empty_pool, new_pool, next_window, put_window, take_window, window_of
from mmuexp.emulator.reserve import Reserve, map_window, unmap_all, unmap_window
from mmuexp.emulator.state import find_page, real_page, unsettle, zeros
from mmuexp.emulator.tables import (
    LINE_BITS,
    READ,
    TABLE_PAGE_BITS,
    Numbering,
    Touched,
    find_number,
    new_numbering,
    new_touched,
    number_of,
    parts_touched,
    place_of_number,
    touch,
)
from mmuexp.events import CODE, HOST, meanings
from mmuexp.guest import ADDRESS_BITS, PAGE_BITS, PAGE_BYTES, PAGES, WIDE_BITS
from mmuexp.strategy import SETTLED, SPLIT, Cost, Event, Kernels, Strategy, kernel, param
from mmuexp.strategy.codepages import CHECK_COSTS, check_after_param, check_meanings, code_param

EVENTS = meanings(CODE | HOST) | {
    Event.FAULTS_BLOCK: "the guest block has no host block: one is taken, and the page mapped in the same run",
    Event.FAULTS_UNMAPPED: "the block is there, the page is not mapped: one mmap",
    Event.FAULTS_WRITE: "first store to a clean page's window: one mprotect",
    Event.FAULTS_CODE: "store to a code page's window: all its blocks are dropped, one mprotect, or what `code` says",
    Event.FAULTS_IO: "device memory: completed in the handler, no block is taken for it",
    Event.EVICTIONS: "the host block taken belonged to another guest block: one call makes it inaccessible",
    **check_meanings(CHECK_EVENTS),
}

FAST_PATH = """
    mov  reg, vaddr
    shr  reg, MAP_BLOCK_BITS
    mov  reg, [table + reg*4]     ; the offset; the handler may change it, here and in the table
    mov  data, [reg + vaddr]      ; the only one that can fault
"""

COSTS = {
    Event.FAULTS_BLOCK: Cost(signal=1, walk=1, insn=160, source="assumed: handler: decode, take a block, new entry"),
    Event.FAULTS_UNMAPPED: Cost(signal=1, walk=1, insn=100, source="assumed: handler: decode, find the page"),
    Event.FAULTS_WRITE: Cost(signal=1, insn=80, source="assumed: handler: decode, set dirty"),
    Event.FAULTS_CODE: Cost(signal=1, insn=200, source="assumed: handler: decode, drop the blocks of the page"),
    Event.FAULTS_IO: Cost(
        signal=1, walk=1, insn=120, source="assumed: handler: decode, call the device; not the device"
    ),
    "page_cross": SPLIT,
    **CHECK_COSTS,
}

FIFO, LIFO, RANDOM = range(3)
EVICT = {"fifo": FIFO, "lifo": LIFO, "random": RANDOM}
USED, HAND, SEED = range(3)  # places in State.control


class State(NamedTuple):
    map_block_bits: int
    pool_blocks: int
    map_pages: int
    evict: int
    code: CodePages
    last_block: int
    blocks: Numbering  # of guest blocks
    table: np.ndarray  # int32, by the number of a guest block: host block + 1, 0 = none
    owner: np.ndarray  # int32[pool_blocks], number of the guest block + 1 that has the host block, 0 = free
    reserve: Reserve  # the pool's windows: blocks in slot order, each with its extra page at the end
    pool: Pool
    control: np.ndarray  # int64[3], USED blocks, HAND: the block that fifo takes next, SEED of random
    touched: Touched


@kernel
def _block_pages(s):
    return (1 << (s.map_block_bits - PAGE_BITS)) + 1


@kernel
def _block_before(s, block):
    """The guest block before; of a guest of 32 bits the last one is before the first."""
    return (block - 1) & s.last_block


@kernel
def _choose(s):
    """The host block to take: free ones in slot order, then by the policy."""
    if s.control[USED] < s.pool_blocks:
        s.control[USED] += 1
        return s.control[USED] - 1
    if s.evict == LIFO:
        return s.pool_blocks - 1  # allocated last, and again after each eviction
    if s.evict == RANDOM:
        s.control[SEED] = (s.control[SEED] * 1664525 + 1013904223) & 0xFFFFFFFF
        return (s.control[SEED] * s.pool_blocks) >> 32
    block = s.control[HAND]
    s.control[HAND] = (block + 1) % s.pool_blocks
    return block


@kernel
def _take_block(s, e, n, guest_block):
    """Give the guest block a host block, emptied if it belonged to another."""
    block = _choose(s)
    if s.owner[block]:
        n[Event.EVICTIONS] += 1
        n[Event.MUNMAP_CALLS] += 1
        s.table[s.owner[block] - 1] = 0
        window = next_window(s.pool, block, -1)
        while window >= 0:
            if s.reserve.window[window].frame:
                unmap_window(s.reserve, e, n, window)
                take_window(s.pool, s.reserve, window)
                unsettle(e, s.pool.shown[window])
            window = next_window(s.pool, block, window)
    s.table[guest_block] = block + 1
    s.owner[block] = guest_block + 1
    return block


@kernel
def _first_page_of(s, e, block, behind):
    """The first page that a host block shows, or that behind its last one: its number, -1 if it has none."""
    if block < 0 or block >= s.pool_blocks or not s.owner[block]:
        return -1
    guest_block = (place_of_number(s.blocks, s.owner[block] - 1) + behind) & s.last_block
    return find_page(e, guest_block << (s.map_block_bits - PAGE_BITS))


@kernel
def _put(s, e, window, block, place, page):
    """The host block will show the page in its window."""
    below = above = -1
    if s.pool.by_page and place == 0:
        below = _first_page_of(s, e, block - 1, 1)
    if s.pool.by_page and place == s.pool.block_pages - 1:
        above = _first_page_of(s, e, block + 1, 0)
    put_window(s.pool, s.reserve, e, window, block, place, page, below, above)


@kernel
def _map_group(s, e, n, block, page_at_place, place):
    """`map_pages` above 1: the aligned group around page `place` of the block comes along, as by a load."""
    block_pages = _block_pages(s) - 1
    if s.map_pages == 1 or place == block_pages:  # the extra page is a group of its own
        return
    first = place & ~(s.map_pages - 1)
    for other in range(first, min(first + s.map_pages, block_pages)):
        page = find_page(e, (real_page(e, page_at_place) - place) + other)
        if page < 0:
            continue
        frame, window = e.page[page].frame - 1, window_of(s.pool, block, other, page)
        if frame >= 0 and s.reserve.window[window].frame == 0:  # only what is known, and not mapped yet
            _put(s, e, window, block, other, page)
            map_window(s.reserve, e, n, window, frame, may_write(s.code, e, frame))


@kernel
def _serve(s, e, n, guest_block, place, page, frame, store, first, last, quiet):
    """Page `place` of the numbered guest block, which is `page`, is accessed through its entry: faults until served.

    `quiet`: the handler is doing the whole row. Answers whether it is now.
    """
    unmapped = Event.FAULTS_UNMAPPED
    if s.table[guest_block] == 0:
        unmapped = Event.FAULTS_BLOCK
        block = _take_block(s, e, n, guest_block)
    else:
        block = np.int64(s.table[guest_block]) - 1
    window = window_of(s.pool, block, place, page)
    cause = fault_cause(s.code, s.reserve, e, window, frame, store, unmapped)
    if cause < 0:
        return quiet
    if s.reserve.window[window].frame == 0:
        _put(s, e, window, block, place, page)
    done = serve_page(s.code, s.reserve, e, n, window, page, frame, store, first, last, cause, quiet, 0)
    if done & MAPPED_IT:
        _map_group(s, e, n, block, page, place)
    return 1 if quiet or done & KEEPS_CODE else 0


@kernel
def access(s, e, n, row):
    page = real_page(e, row.page)
    guest_block = number_of(s.blocks, page >> (s.map_block_bits - PAGE_BITS))
    place = page & (_block_pages(s) - 2)
    touch(s.touched, e, 0, row.page, READ)
    done = _serve(s, e, n, guest_block, place, row.page, row.frame, row.store, row.first, row.last, 0)
    if row.second >= 0:  # the next page of the same host block; at the block's end that is its extra page
        done = _serve(
            s, e, n, guest_block, place + 1, row.second, row.second_frame, row.store, 0, row.second_last, done
        )
    again = after_store(s.code, e, n, row)
    return 0 if done or again else SETTLED


@kernel
def flush(s, e, n):
    for block in range(s.control[USED]):
        n[Event.MUNMAP_CALLS] += 1
        s.table[s.owner[block] - 1] = 0
        s.owner[block] = 0
    unmap_all(s.reserve, e, n)
    empty_pool(s.pool, s.reserve, s.control[USED])
    s.control[USED] = 0
    s.control[HAND] = 0


@kernel
def _unmap_page(s, e, n, block, place, page):
    guest_block = find_number(s.blocks, block)
    if guest_block >= 0 and s.table[guest_block]:
        window = window_of(s.pool, np.int64(s.table[guest_block]) - 1, place, page)
        if s.reserve.window[window].frame:
            n[Event.MUNMAP_CALLS] += 1
            unmap_window(s.reserve, e, n, window)
            take_window(s.pool, s.reserve, window)


@kernel
def flush_page(s, e, n, page):
    block_pages = _block_pages(s) - 1
    block, place = real_page(e, page) // block_pages, real_page(e, page) % block_pages
    _unmap_page(s, e, n, block, place, page)
    if place == 0:  # it may also be the extra page of the block before
        _unmap_page(s, e, n, _block_before(s, block), block_pages, page)


# A larger block makes a larger pool when pool_blocks stays, so map_block_bits is swept for 64 blocks and for 64 MiB.
POOLS = {
    "a pool of 64 blocks": {"pool_blocks": 64, "pool_mib": 0},
    "a pool of 64 MiB": {"pool_blocks": 64, "pool_mib": 64},
}


class MapBlock(Strategy):
    name = "map-block"
    GROUP = "mail"
    FAST_PATH = FAST_PATH
    FAST_PATH_SOURCE = "read: the mail's listing"
    events = EVENTS
    extra_events = code_events = CHECK_EVENTS
    costs = COSTS
    kernels = Kernels(
        access=access, io=io_fault, execute=enter_block, protect=protect_noticed, flush=flush, flush_page=flush_page,
        translated=translate_block,
    )  # fmt: skip

    LAYOUTS = SYSTEM_LAYOUTS = ({}, {"pool_blocks": 1024})  # the pool of 2004, and one for programs of today

    map_block_bits: int = param(
        16, minimum=12, maximum=40, sweep=range(12, 23), unit="log2 bytes",
        help="guest address space that a block spans; 32 and more are for guests of 64 bits", companions=POOLS,
    )  # fmt: skip
    pool_blocks: int = param(
        64, minimum=1, maximum=1 << 20, sweep=(8, 16, 32, 64, 128, 256, 512), unit="blocks",
        help="host blocks in the pool", helps="evictions",
    )  # fmt: skip
    pool_mib: int = param(
        0, minimum=0, maximum=1 << 14, sweep=(4, 8, 16, 32, 64, 128), unit="MiB",
        help="if not 0: the pool is what fits in that much host address space, and pool_blocks is ignored",
        helps="evictions",
    )  # fmt: skip
    map_pages: int = param(
        1,
        minimum=1,
        maximum=1024,
        sweep=(1, 2, 4, 8, 16),
        unit="pages",
        help="aligned pages mapped at once; a power of two",
    )
    evict: str = param("fifo", choices=EVICT, sweep=EVICT, help="which block is unmapped when the pool is used up")
    pointer_bytes: int = param(
        4,
        minimum=4,
        maximum=8,
        sweep=(4, 8),
        unit="bytes",
        help="an entry of the table: 4 on the hosts of 2004, 8 today",
    )

    code: str = code_param()
    check_after: int = check_after_param()

    def lacks(self) -> tuple[str, ...]:
        return () if self.code != "page" else CHECK_EVENTS

    def __post_init__(self) -> None:
        if self.map_pages & (self.map_pages - 1):
            raise ValueError(f"map_pages={self.map_pages} is not a power of two")
        if self.pointer_bytes not in (4, 8):
            raise ValueError(f"pointer_bytes={self.pointer_bytes} is neither 4 nor 8")
        if self.blocks < 1:
            raise ValueError(f"pool_mib={self.pool_mib} holds no block of {self.block_bytes} bytes")
        if self.blocks * self.block_bytes > 1 << 47:
            raise ValueError(
                f"{self.blocks} blocks of {self.block_bytes} bytes are more than 128 TiB of host address space"
            )

    def only_64_bits(self) -> str:
        shift = f"an address of {ADDRESS_BITS} bits shifted by {self.map_block_bits}"
        return f"{shift} chooses no block" if self.map_block_bits >= ADDRESS_BITS else ""

    @property
    def block_bytes(self) -> int:
        """Host address space of one block, its extra page included."""
        return (1 << self.map_block_bits) + PAGE_BYTES

    @property
    def blocks(self) -> int:
        """Host blocks in the pool, whichever parameter sets them."""
        return (self.pool_mib << 20) // self.block_bytes if self.pool_mib else self.pool_blocks

    @property
    def _index_bits(self) -> int:
        """Of what the table is for: its last block is before its first, where addresses end."""
        return ADDRESS_BITS if self.address_bits == ADDRESS_BITS else WIDE_BITS

    @property
    def _entry_bytes(self) -> int:
        return self.pointer_bytes if self.address_bits == ADDRESS_BITS else 8

    def state(self) -> State:
        is_wide = self.address_bits != ADDRESS_BITS
        pool, reserve = new_pool(self.blocks, self.block_bytes >> PAGE_BITS)
        return State(
            map_block_bits=self.map_block_bits,
            pool_blocks=self.blocks,
            map_pages=self.map_pages,
            evict=EVICT[self.evict],
            code=new_code_pages(self.code, self.check_after, CHECK_EVENTS),
            last_block=(1 << max(0, self._index_bits - self.map_block_bits)) - 1,
            blocks=new_numbering(is_wide),
            table=zeros(PAGES if is_wide else 1 << max(0, self._index_bits - self.map_block_bits), np.int32),
            owner=np.zeros(self.blocks, np.int32),
            reserve=reserve,
            pool=pool,
            control=np.array([0, 0, 1], np.int64),
            touched=new_touched(1),
        )

    def table_bytes(self) -> int:
        return self._entry_bytes << max(0, self.address_bits - self.map_block_bits)

    def _parts(self, state: State, part_bits: int) -> int:
        return parts_touched(state.touched, READ, part_bits, self._entry_bytes, self.map_block_bits - PAGE_BITS)

    def table_lines(self, state: State) -> int:
        return self._parts(state, LINE_BITS)

    def table_resident_bytes(self, state: State) -> int:
        return self._parts(state, TABLE_PAGE_BITS) << TABLE_PAGE_BITS  # the handler writes what the hit path read

    def reserved_bytes(self) -> int:
        return self.blocks * self.block_bytes

    def block_of(self, vaddrs: np.ndarray) -> np.ndarray:
        return vaddrs >> self.map_block_bits
