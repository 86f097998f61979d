"""softmmu-qemu10: QEMU 10's software TLB, resized at flushes, with victims.

Part of the oracle: imports the standard library only. Written from the scheme's description in issue 6 and from what
QEMU 10.0's accel/tcg/cputlb.c does; MODEL.md 1 and 2 hold as everywhere. Readings:

* How full a table is, QEMU keeps in an unsigned counter of 64 bits: +1 for each fill, -1 for each entry that another
  page pushes out, -1 for each entry or victim that is dropped by its page (by FLUSH_PAGE, or by the page's next fill).
* A mode that nothing was filled into since its last flush is not flushed: no resize, no decision, nothing cleared.
* Rates are whole numbers of percent, rounded down. A window is over when more than its length has passed.
* A victim is found for a load, or for a store if it may be stored to and its page holds no block.
* A crossing access looks both pages up, then stores to the low page, then to the high one.
"""

from oracle_guest import Access, Guest

WORD = 1 << 64
VICTIMS = 8


class Entry:
    """A virtual page in the TLB, and whether stores may pass."""

    def __init__(self, page: int, writable: bool):
        self.page, self.writable = page, writable

    def serves(self, page: int, store: bool) -> bool:
        return self.page == page and (self.writable or not store)


class Mode:
    """The table of one privilege mode, its victims, and what is remembered for the next decision."""

    def __init__(self, entries: int):
        self.entries = entries
        self.window_began = self.window_most = 0
        self.clear()

    def clear(self) -> None:
        """Nothing is in it."""
        self.table: dict[int, Entry] = {}  # by set
        self.victims: list[Entry | None] = [None] * VICTIMS
        self.turn = self.used = 0
        self.filled = False

    def drop_victim(self, page: int) -> None:
        """The victim of this page goes, if there is one."""
        for i, victim in enumerate(self.victims):
            if victim and victim.page == page:
                self.victims[i] = None
                self.used -= 1

    def drop(self, page: int) -> None:
        """FLUSH_PAGE."""
        place = page % self.entries
        if place in self.table and self.table[place].page == page:
            del self.table[place]
            self.used -= 1
        self.drop_victim(page)

    def swap(self, page: int, store: bool) -> bool:
        """Look among the victims; the one that is found trades places with the entry of its set, if there is one."""
        place = page % self.entries
        for i, victim in enumerate(self.victims):
            if victim and victim.serves(page, store):
                self.victims[i] = self.table.get(place)
                self.table[place] = victim
                return True
        return False

    def fill(self, page: int, writable: bool) -> None:
        """A page walk gave this entry."""
        self.drop_victim(page)
        place = page % self.entries
        before = self.table.get(place)
        if before and before.page != page:
            self.victims[self.turn % VICTIMS] = before
            self.turn += 1
            self.used -= 1
        self.table[place] = Entry(page, writable)
        self.used += 1
        self.filled = True

    def decide(self, now: int, window: int, least: int, most: int) -> bool:
        """Before it is cleared: how large will the table be? True if that is another size."""
        used, over = self.used % WORD, now > self.window_began + window
        self.window_most = max(self.window_most, used)
        percent = self.window_most * 100 % WORD // self.entries
        size = self.entries
        if percent > 70:
            size = min(size * 2, most)
        elif percent < 30 and over:
            size = 1 << (max(self.window_most, 1) - 1).bit_length()
            size = max(least, size * 2 if self.window_most * 100 // size > 70 else size)
        resized = size != self.entries
        if resized or over:
            self.window_began, self.window_most = now, 0 if resized else used
        self.entries = size
        return resized


class SoftmmuQemu10:
    """The scheme: a kernel and a user mode."""

    def __init__(self, guest: Guest, window_insns=80_000_000, first_bits=8, min_bits=6, max_bits=20):
        if not min_bits <= first_bits <= max_bits:
            raise ValueError("first_bits is not between min_bits and max_bits")
        self.guest, self.window, self.least, self.most = guest, window_insns, 1 << min_bits, 1 << max_bits
        self.modes = {user: Mode(1 << first_bits) for user in (False, True)}
        self.peak = 2 << first_bits
        self.lines: set[tuple[bool, int]] = set()

    def access(self, access: Access) -> None:
        """A whole row."""
        n = self.guest.n
        if access.io:
            n["slow_io"] += 1
            return
        user = access.user or self.guest.user_mode
        mode = self.modes[user]
        self.lines.add((user, access.pieces[0][0] % mode.entries * 32 // 64))
        n["slow_cross"] += access.cross
        for page, frame, _, _ in access.pieces:
            self.look_up(mode, page, frame, access.store)
        for _, frame, first, end in access.pieces if access.store else ():
            if self.guest.code.is_code(frame):
                n["slow_code"] += 1
                for block in self.guest.notice(frame, first, end):
                    self.guest.code.drop(block)

    def look_up(self, mode: Mode, page: int, frame: int, store: bool) -> None:
        """Find the page in its set, among the victims, or by a page walk."""
        entry = mode.table.get(page % mode.entries)
        if entry and entry.serves(page, store):
            return
        marked = store and self.guest.code.is_code(frame)
        if not marked and mode.swap(page, store):
            self.guest.n["victim_hits"] += 1
            return
        self.guest.n["tlb_fills"] += 1
        if store:
            self.guest.dirty.add(frame)
        mode.fill(page, frame in self.guest.dirty)

    def flush(self) -> None:
        """Each mode that holds something decides on its size and is cleared."""
        n = self.guest.n
        for mode in self.modes.values():
            if mode.filled:
                n["tlb_resizes"] += mode.decide(n["guest_insns"], self.window, self.least, self.most)
                n["flushed_entries"] += mode.entries
                mode.clear()
        self.peak = max(self.peak, sum(mode.entries for mode in self.modes.values()))

    def flush_page(self, page: int) -> None:
        """Both modes."""
        for mode in self.modes.values():
            mode.drop(page)

    def protect(self, frame: int) -> None:
        """A page became a code page: stores ask the code anyway, but QEMU looks through all entries to mark its own."""
        self.guest.n["scanned_entries"] += sum(mode.entries + len(mode.victims) for mode in self.modes.values())

    def executed(self) -> None:
        """An EXEC row passed."""

    def row_done(self) -> None:
        """A row passed."""

    def totals(self) -> dict[str, int]:
        """Columns that are no events: both tables at their largest, 32 bytes an entry."""
        return {"faults": 0, "table_bytes": self.peak * 32, "table_lines": len(self.lines)}
