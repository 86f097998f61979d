"""The three mmap schemes: byte-lookup, map-block, qemu-fast (MODEL.md 4, 5 and 6).

Part of the oracle: imports the standard library only.
"""

from truth.oracle.guest import PAGE, Access, Guest, Refused
from truth.oracle.reserve import Handler, Reserve
from truth.oracle.softmmu import Tlb


class ByteLookup(Handler):
    """Section 4. Window w (from 1) is the host pages 2w - 2, the guest page, and 2w - 1, never accessible."""

    FAULTS = ("faults_unmapped", "faults_write", "faults_code", "faults_cross", "faults_io")

    def __init__(self, guest: Guest, entries: int = 255, code: str = "page", check_after: int = 1):
        if not 1 <= entries <= 255:
            raise ValueError("entries is 1 to 255: a window's number is a byte, and 0 means none")
        super().__init__(guest, Reserve(2 * entries), code, check_after)
        self.entries = entries
        self.pointer = 8 if guest.is_wide else 4
        self.hand = 1
        self.byte: dict[int, int] = {}  # virtual page -> its window; 0 is not stored

    def read_tables(self, page: int) -> None:
        """The hit path reads the page's byte, and that byte's base of 4 bytes; of 8 on the host of a 64-bit guest."""
        at = self.byte.get(page, 0) * self.pointer
        self.lines |= {("lookup", page // 64), ("base", at // 64)}
        self.resident |= {("lookup", page // PAGE), ("base", at // PAGE)}

    def row(self, access: Access) -> None:
        """A whole row."""
        if access.io:
            self.n["faults_io"] += 1
            return
        page = access.pieces[0][0]
        self.read_tables(page)
        if access.cross:
            self.n["faults_cross"] += 1
            if access.store:
                self.store_completed(access)
            return
        if page not in self.byte:
            self.give_window(page)
        self.serve(2 * self.byte[page] - 2, access.pieces[0], access.store, "faults_unmapped")
        self.read_tables(page)  # restarted with the new base after a fault; else the same lines

    def give_window(self, page: int) -> None:
        """The next window in round robin, free or not."""
        for other, window in list(self.byte.items()):
            if window == self.hand:
                del self.byte[other]
                self.resident.add(("lookup", other // PAGE))
                self.unmap_page(2 * window - 2)  # the new mapping lies over it: no host call of its own
                self.n["evictions"] += 1
        self.byte[page] = self.hand
        self.hand = self.hand % self.entries + 1

    def flush(self) -> None:
        """One host call for each used window; allocation starts at window 1 again."""
        for page in list(self.byte):
            self.flush_page(page)
        self.hand = 1

    def flush_page(self, page: int) -> None:
        """One window is freed; the hand does not move."""
        if page in self.byte:
            self.unmap_page(2 * self.byte.pop(page) - 2)
            self.call("munmap_calls")

    def totals(self) -> dict[str, int]:
        """Columns that are no events."""
        lookup = 2 ** (self.guest.address_bits - 12)
        sizes = {"table_bytes": lookup + 256 * self.pointer, "reserved_bytes": 2 * PAGE * self.entries}
        return super().totals() | sizes


class MapBlock(Handler):
    """Section 5. Slot s is `span` host pages from s * span: those of a guest block, then the extra page."""

    FAULTS = ("faults_unmapped", "faults_block", "faults_write", "faults_code", "faults_io")

    def __init__(
        self,
        guest: Guest,
        map_block_bits: int = 16,
        pool_blocks: int = 64,
        pool_mib: int = 0,
        map_pages: int = 1,
        evict: str = "fifo",
        pointer_bytes: int = 4,
        code: str = "page",
        check_after: int = 1,
    ):
        self.own = 1 << (map_block_bits - 12)  # pages of a guest block
        self.span = self.own + 1
        self.slots = pool_mib * 2**20 // (self.span * PAGE) if pool_mib else pool_blocks
        if self.slots < 1 or map_pages < 1 or map_pages & (map_pages - 1) or evict not in ("fifo", "lifo", "random"):
            raise ValueError("map-block: no block fits, or map_pages is no power of two, or evict is unknown")
        super().__init__(guest, Reserve(self.slots * self.span), code, check_after)
        self.bits, self.map_pages, self.evict = map_block_bits, map_pages, evict
        self.pointer_bytes = 8 if guest.is_wide else pointer_bytes
        self.slot_of: dict[int, int] = {}  # guest block -> slot: the table's entries that are in use
        self.last = -1  # the slot allocated last
        self.random = 1

    def row(self, access: Access) -> None:
        """A whole row; both pages of a crossing one lie in the first byte's block."""
        if access.io:
            self.n["faults_io"] += 1
            return
        block = access.vaddr >> self.bits
        self.lines.add(("table", block * self.pointer_bytes // 64))
        self.resident.add(("table", block * self.pointer_bytes // PAGE))
        cause = "faults_unmapped"
        if block not in self.slot_of:
            cause = "faults_block"
            self.give_slot(block)
        index = access.pieces[0][0] % self.own
        for piece in access.pieces:
            if self.serve(self.slot_of[block] * self.span + index, piece, access.store, cause):
                self.map_group(block, index)
            index += 1
            cause = "faults_unmapped"  # the block is there now

    def map_group(self, block: int, index: int) -> None:
        """The fault mapped page `index` of a block; its neighbours in the same host call, as by a load."""
        if index == self.own:
            return  # the extra page is a group of its own
        start = index - index % self.map_pages
        for other in range(start, min(start + self.map_pages, self.own)):
            page, position = block * self.own + other, self.slot_of[block] * self.span + other
            frame = self.guest.known_frame(page)
            if position not in self.reserve.at and frame is not None:
                self.map_page(position, page, frame)

    def give_slot(self, block: int) -> None:
        """A free slot in slot order, or the victim's."""
        if len(self.slot_of) < self.slots:
            slot = len(self.slot_of)  # slots are freed all at once, so the used ones come first
        elif self.evict == "fifo":
            slot = (self.last + 1) % self.slots
        elif self.evict == "lifo":
            slot = self.last
        else:
            self.random = (self.random * 1664525 + 1013904223) % 2**32
            slot = (self.random * self.slots) >> 32
        for other, used in list(self.slot_of.items()):
            if used == slot:
                del self.slot_of[other]
                self.resident.add(("table", other * self.pointer_bytes // PAGE))
                self.empty(slot)
                self.n["evictions"] += 1
        self.slot_of[block] = self.last = slot

    def empty(self, slot: int) -> None:
        """The whole block becomes inaccessible: one host call, whatever was mapped in it."""
        self.call("munmap_calls")
        for position in [at for at in self.reserve.at if at // self.span == slot]:
            self.unmap_page(position)

    def flush(self) -> None:
        """All blocks return to the pool; allocation starts at slot 0 again."""
        for slot in self.slot_of.values():
            self.empty(slot)
        self.slot_of.clear()

    def flush_page(self, page: int) -> None:
        """The page in its own block, and as the extra page of the block before (bits 12: of page 0, the last)."""
        block, index = divmod(page, self.own)
        homes = [(block, index)]
        if index == 0:
            homes.append(((block - 1) % (self.guest.pages // self.own), self.own))
        for home, place in homes:
            position = self.slot_of.get(home, -1) * self.span + place
            if home in self.slot_of and position in self.reserve.at:
                self.unmap_page(position)
                self.call("munmap_calls")

    def totals(self) -> dict[str, int]:
        """Columns that are no events."""
        table_bytes = 2 ** (self.guest.address_bits - self.bits) * self.pointer_bytes
        return super().totals() | {"table_bytes": table_bytes, "reserved_bytes": self.reserve.pages * PAGE}


class QemuFast(Handler):
    """Section 6. A host page's position is its number: guest virtual = host virtual, but for kernel_offset."""

    FAULTS = ("faults_unmapped", "faults_write", "faults_code", "faults_softmmu")
    KERNEL = 0x90000000

    def __init__(
        self,
        guest: Guest,
        guest_limit: int = 0xA8000000,
        kernel_offset: int = 0,
        code: str = "page",
        check_after: int = 1,
    ):
        most = 2**47 if guest.is_wide else 2**32
        if kernel_offset % PAGE or not 0 <= kernel_offset <= self.KERNEL or not 0 < guest_limit <= most:
            raise ValueError("qemu-fast: kernel_offset is whole pages up to 0x90000000, guest_limit is too large")
        if guest.is_wide and kernel_offset:
            raise ValueError("qemu-fast: kernel_offset is of guests of 32 bits")
        if guest.is_wide and guest_limit == 0xA8000000:
            guest_limit = 2**46
        super().__init__(guest, Reserve(-(-guest_limit // PAGE)), code, check_after)
        self.limit, self.offset = guest_limit, kernel_offset
        self.tlb = Tlb(guest, 8, self.policy.noticed)
        self.spell = False

    def moved(self, vaddr: int) -> int:
        """Where the patched kernel's address lies in the host."""
        return vaddr - self.offset if vaddr >= self.KERNEL else vaddr

    def row(self, access: Access) -> None:
        """A whole row: in a spell by the TLB, else direct; IO, and what ends above the limit, begins a spell."""
        host = self.moved(access.vaddr)
        if not self.spell and (access.io or host + access.size > self.limit):
            self.n["faults_softmmu"] += 1
            self.spell = True
        if self.spell:
            self.n["softmmu_accesses"] += 1
            self.tlb.access(access)
            return
        position = host // PAGE
        for piece in access.pieces:
            window = self.reserve.at.get(position)
            if window is not None and window.page != piece[0]:
                raise Refused(f"pages {window.page:#x} and {piece[0]:#x} come to lie at one host page")
            self.serve(position, piece, access.store, "faults_unmapped")
            position += 1

    def executed(self) -> None:
        """The next block is back to direct access."""
        self.spell = False

    def flush(self) -> None:
        """One munmap of the whole area, if anything is mapped; a spell goes on."""
        if self.reserve.at:
            self.call("munmap_calls")
        for position in list(self.reserve.at):
            self.unmap_page(position)
        self.tlb.flush()

    def flush_page(self, page: int) -> None:
        """The page wherever it can lie: unmoved, moved, and page 0 after the moved last page."""
        homes = {page, self.moved(page * PAGE) // PAGE}
        if page == 0:
            homes.add(self.moved((self.guest.pages - 1) * PAGE) // PAGE + 1)
        for position in homes:
            window = self.reserve.at.get(position)
            if window is not None and window.page == page:
                self.unmap_page(position)
                self.call("munmap_calls")
        self.tlb.flush_page(page)

    def totals(self) -> dict[str, int]:
        """Columns that are no events."""
        return super().totals() | {"table_bytes": 0, "reserved_bytes": self.limit}
