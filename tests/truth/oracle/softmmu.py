"""softmmu: QEMU's software TLB of October 2004 (MODEL.md 3); qemu-fast runs its spells on it too (MODEL.md 6).

Part of the oracle: imports the standard library only.
"""

from collections.abc import Callable

from truth.oracle.guest import PAGE, Access, Guest

BITMAP_THRESHOLD = 10  # SMC_BITMAP_USE_THRESHOLD


COLUMNS = ["tlb_fills", "slow_misaligned", "slow_cross", "slow_io", "slow_code", "code_list_walks"]
COLUMNS += ["searched_blocks"]


class Tlb:
    """A read and a write table for kernel and for user; each a dictionary from set to the virtual page in it.

    An entry's physical page needs no place here: a page gets another one only after FLUSH or FLUSH_PAGE,
    which takes the entry out. Nor does the code mark: a store asks whether its page holds a block.
    """

    def __init__(self, guest: Guest, bits: int, noticed: Callable[[int], bool] | None = None):
        self.guest, self.entries = guest, 1 << bits
        self.noticed = noticed or guest.code.is_code  # does a store to this physical page go to the helper?
        self.tables: dict[tuple[bool, bool], dict[int, int]] = {
            (user, write): {} for user in (False, True) for write in (False, True)
        }
        self.touched: set[tuple[bool, bool, int]] = set()  # entries that were looked up or filled

    def runs_in_user(self, access: Access) -> bool:
        """User-mode traces run in user mode, whatever their flags say."""
        return access.user or self.guest.user_mode

    def access(self, access: Access) -> None:
        """A whole row."""
        n = self.guest.n
        if access.io:
            n["slow_io"] += 1
            return
        if access.cross:
            n["slow_cross"] += 1
        elif access.misaligned:
            n["slow_misaligned"] += 1
        for page, frame, first, end in access.pieces:
            self.look_up(page, frame, access.store, self.runs_in_user(access))
            if access.store and self.noticed(frame):
                self.store_to_code(frame, first, end)

    def look_up(self, page: int, frame: int, store: bool, user: bool) -> None:
        """Find the page, or walk the guest's page table and enter it."""
        place = page % self.entries
        self.touched.add((user, store, place))
        if self.tables[user, store].get(place) == page:
            return
        self.touched.add((user, not store, place))
        self.guest.n["tlb_fills"] += 1
        if store:
            self.guest.dirty.add(frame)
        self.tables[user, False][place] = page
        if frame in self.guest.dirty:
            self.tables[user, True][place] = page
        else:
            self.tables[user, True].pop(place, None)

    def store_to_code(self, frame: int, first: int, end: int) -> None:
        """The helper for a store to a code page: only the blocks that it overlaps are dropped."""
        n, code = self.guest.n, self.guest.code
        n["slow_code"] += 1
        found = code.listed(frame)
        hit = self.guest.notice(frame, first, end)
        if hit:
            n["code_list_walks"] += 1
            n["searched_blocks"] += found
            for block in hit:
                code.drop(block)
        elif code.data_stores[frame] < BITMAP_THRESHOLD:
            n["code_list_walks"] += 1
            n["searched_blocks"] += found
            code.data_stores[frame] += 1

    def flush(self) -> None:
        """Drop every entry."""
        for table in self.tables.values():
            table.clear()

    def flush_page(self, page: int) -> None:
        """Drop the entries of one page."""
        place = page % self.entries
        for table in self.tables.values():
            if table.get(place) == page:
                del table[place]


class Softmmu:
    """The scheme: a TLB, and which lines of its tables the hit path read."""

    def __init__(self, guest: Guest, tlb_bits: int = 8):
        self.tlb = Tlb(guest, tlb_bits)
        self.entry = 16 if guest.is_wide else 8  # an address and an addend, of 4 bytes or 8 each
        self.lines: set[tuple[bool, bool, int]] = set()
        self.flush, self.flush_page = self.tlb.flush, self.tlb.flush_page

    def access(self, access: Access) -> None:
        """Each access that is not IO reads one entry, that of its first byte."""
        if not access.io:
            place = access.pieces[0][0] % self.tlb.entries
            self.lines.add((self.tlb.runs_in_user(access), access.store, place * self.entry // 64))
        self.tlb.access(access)

    def protect(self, frame: int) -> None:
        """A page became a code page: costs no host call, and stores ask the code anyway."""

    def executed(self) -> None:
        """An EXEC row passed."""

    def mapped(self, page: int) -> None:
        """A page that was not known becomes so: nothing stands for it yet."""

    def row_done(self) -> None:
        """A row passed."""

    def totals(self) -> dict[str, int]:
        """Columns that are no events."""
        pages = {(user, write, place * self.entry // PAGE) for user, write, place in self.tlb.touched}
        return {
            "faults": 0,
            "table_bytes": 4 * self.tlb.entries * self.entry,
            "table_lines": len(self.lines),
            "table_resident_bytes": PAGE * len(pages),
        }
