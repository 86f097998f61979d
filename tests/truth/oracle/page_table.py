"""page-table: a flat table of host pointers, or one for loads and one for stores.

Part of the oracle: imports the standard library only. Readings:

* A fill puts a page only into a table in which it is not: that takes a slot, and can evict.
* table_lines: the hit path runs once for each row that is not IO, at its first page, misaligned or not.
* form=call is detect=any, whatever `detect` says.
* tables=1: a store is looked up in the one table; scanned_entries and slow_code stay 0.
"""

from truth.oracle.guest import PAGE, PAGES, Access, Guest


class Table:
    """The valid entries of a table; with a limit, in a ring of slots in the order of entry."""

    def __init__(self, live: int):
        self.live = live
        self.clear()

    def clear(self) -> None:
        """Nothing is valid; the hand is back at slot 0."""
        self.slot_of: dict[int, int | None] = {}  # page -> the slot that entered it
        self.slots: dict[int, int] = {}  # slot -> the page entered there, valid or not
        self.hand = 0

    def enter(self, page: int) -> bool:
        """Make an entry valid. Did another one lose its place for it?"""
        if page in self.slot_of:
            return False
        if self.live == PAGES:
            self.slot_of[page] = None
            return False
        before = self.slots.get(self.hand)
        evicts = before is not None and self.slot_of.get(before) == self.hand
        if evicts:
            del self.slot_of[before]
        self.slot_of[page], self.slots[self.hand] = self.hand, page
        self.hand = (self.hand + 1) % self.live
        return evicts


class PageTable:
    """The scheme."""

    def __init__(
        self,
        guest: Guest,
        form: str = "absolute",
        detect: str = "cross",
        tables: int = 2,
        live: int = PAGES,
        clear: str = "list",
    ):
        if form not in ("absolute", "offset", "vtlb", "call") or detect not in ("cross", "any", "off"):
            raise ValueError(f"form={form}, detect={detect}")
        if tables not in (1, 2) or not 2 <= live <= PAGES or clear not in ("list", "memset"):
            raise ValueError(f"tables={tables}, live={live}, clear={clear}")
        self.guest, self.detect = guest, "any" if form == "call" else detect
        self.reads = Table(live)
        self.writes = Table(live) if tables == 2 else self.reads
        self.tables = [self.reads, self.writes][:tables]
        self.memset = clear == "memset"
        self.lines: set[tuple[bool, int]] = set()
        self.resident: set[tuple[bool, int]] = set()  # host pages of the tables

    @property
    def watches_stores(self) -> bool:
        """With one table nobody sees a store that hits."""
        return self.writes is not self.reads

    def access(self, access: Access) -> None:
        """A whole row."""
        n = self.guest.n
        if access.io:
            n["slow_io"] += 1
            return
        self.lines.add((access.store and self.watches_stores, access.pieces[0][0] // 8))
        self.touch(access.store, access.pieces[0][0])
        pieces = access.pieces
        if self.detect == "off":
            pieces = pieces[:1]
        elif access.cross:
            n["slow_cross"] += 1
        elif access.misaligned and self.detect == "any":
            n["slow_misaligned"] += 1
        for page, frame, _, _ in pieces:
            self.look_up(page, frame, access.store)
        for _, frame, first, end in pieces if access.store else ():
            self.store(frame, first, end)

    def look_up(self, page: int, frame: int, store: bool) -> None:
        """Find the page in its table, or walk the guest's page table and enter it."""
        self.touch(store, page)
        if page in (self.writes if store else self.reads).slot_of:
            return
        self.guest.n["tlb_fills"] += 1
        if store or not self.watches_stores:
            self.guest.dirty.add(frame)
        self.guest.n["evictions"] += self.reads.enter(page)
        self.touch(False, page)
        if self.watches_stores and frame in self.guest.dirty:
            self.touch(True, page)
            self.guest.n["evictions"] += self.writes.enter(page)

    def touch(self, store: bool, page: int) -> None:
        """The entry of a page, of 8 bytes, is read or written in one of the tables."""
        self.resident.add((store and self.watches_stores, page * 8 // PAGE))

    def store(self, frame: int, first: int, end: int) -> None:
        """Blocks that the store overlaps go: by a helper, or as the guest says itself."""
        n, code = self.guest.n, self.guest.code
        hit = code.overlapped(frame, first, end)
        if self.watches_stores and code.is_code(frame):
            n["slow_code"] += 1
            n["searched_blocks"] += code.listed(frame)
            self.guest.notice(frame, first, end)
        elif hit:
            n["smc_stores"] += 1
        for block in hit:
            code.drop(block)

    def flush(self) -> None:
        """Every entry becomes null: those on the list, or whole tables."""
        for table in self.tables:
            self.guest.n["flushed_entries"] += 1 if self.memset else len(table.slot_of)
            table.clear()

    def flush_page(self, page: int) -> None:
        """Its entries become null; their slots are not free."""
        for table in self.tables:
            table.slot_of.pop(page, None)

    def protect(self, frame: int) -> None:
        """A page became a code page: the write entries are searched for those that show it."""
        if self.watches_stores:
            self.guest.n["scanned_entries"] += 1 if self.memset else len(self.writes.slot_of)

    def executed(self) -> None:
        """An EXEC row passed."""

    def mapped(self, page: int) -> None:
        """A MAP row: nothing."""

    def row_done(self) -> None:
        """A row passed."""

    def totals(self) -> dict[str, int]:
        """Columns that are no events, and those in which a whole table counted as 1: now its size is known."""
        entries, n = 2 ** (self.guest.address_bits - 12), self.guest.n
        whole = {name: n[name] * entries for name in ("flushed_entries", "scanned_entries") if self.memset}
        return whole | {
            "faults": 0,
            "table_bytes": 8 * entries * len(self.tables),
            "table_lines": len(self.lines),
            "table_resident_bytes": PAGE * len(self.resident),
        }
