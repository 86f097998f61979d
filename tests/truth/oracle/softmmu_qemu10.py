"""softmmu-qemu10: QEMU 10's software TLB, resized at flushes, with victims.

Part of the oracle: imports the standard library only. Written from the scheme's description in issue 6 and from what
QEMU 10.0's accel/tcg/cputlb.c does; MODEL.md 1 and 2 hold as everywhere. Readings:

* How full a table is, QEMU keeps in an unsigned counter of 64 bits: +1 for each fill, -1 for each entry that another
  page pushes out, -1 for each entry or victim that is dropped by its page (by FLUSH_PAGE, or by the page's next fill).
* A mode that nothing was filled into since its last flush is not flushed: no resize, no decision, nothing cleared.
* Rates are whole numbers of percent, rounded down. A window is over when more than its length has passed.
* A victim is found for loads and code, or for a store if its page holds no block; never for a device.
* What a page shows cannot change unless a row says so, so an entry is its page: a device where no MAP row told more,
  and a MAP row of a page that was not known takes the device's entry away.
* QEMU runs on without a lookup while it stays in a page, and where it jumps to what it remembers (`Remembered`).
* A crossing access looks both pages up, then stores to the low page, then to the high one.
"""

from truth.oracle.guest import PAGE, Access, Guest

WORD = 1 << 64
VICTIMS = 8


class Remembered:
    """What execution needs no lookup for: pages entered, by mode, and blocks jumped to, by the place of their address.

    Places: QEMU's TB_JMP_CACHE of 4,096 in 64 groups; a group is chosen by the page, the place in it by the rest.
    """

    def __init__(self, pages: int):
        self.pages = pages  # that addresses can name
        self.forget()

    def forget(self) -> None:
        """FLUSH."""
        self.entered: set[tuple[bool, int]] = set()
        self.blocks: dict[tuple[int, int], int] = {}
        self.last_page: int | None = None

    @staticmethod
    def place(vaddr: int) -> tuple[int, int]:
        """Group and place in it. Bits 12 to 17 against bits 18 to 23; bits 0 to 5 against bits 6 to 11."""
        return (vaddr // 2**12 ^ vaddr // 2**18) % 64, (vaddr ^ vaddr // 2**6) % 64

    def forget_page(self, page: int) -> None:
        """FLUSH_PAGE: the page, and blocks of it and of the page before, with all that share their groups."""
        self.entered -= {(False, page), (True, page)}
        groups = {self.place(p % self.pages * PAGE)[0] for p in (page, page - 1)}
        self.blocks = {at: vaddr for at, vaddr in self.blocks.items() if at[0] not in groups}

    def looks_up(self, vaddr: int, user: bool) -> bool:
        """A block is entered: is it looked up?"""
        page, at = vaddr // PAGE, self.place(vaddr)
        new = (user, page) not in self.entered
        jumped = self.last_page != page
        self.last_page = page
        if not new and (not jumped or self.blocks.get(at) == vaddr):
            return False
        self.entered.add((user, page))
        self.blocks[at] = vaddr
        return True


class Mode:
    """The table of one privilege mode, its victims, and what is remembered for the next decision."""

    def __init__(self, entries: int):
        self.entries = entries
        self.window_began = self.window_most = 0
        self.clear()

    def clear(self) -> None:
        """Nothing is in it."""
        self.table: dict[int, int] = {}  # by set: the page
        self.victims: list[int | None] = [None] * VICTIMS
        self.turn = self.used = 0
        self.filled = False

    def drop_victim(self, page: int) -> None:
        """The victim of this page goes, if there is one."""
        for i, victim in enumerate(self.victims):
            if victim == page:
                self.victims[i] = None
                self.used -= 1

    def drop(self, page: int) -> None:
        """FLUSH_PAGE."""
        place = page % self.entries
        if self.table.get(place) == page:
            del self.table[place]
            self.used -= 1
        self.drop_victim(page)

    def swap(self, page: int) -> bool:
        """Look among the victims; the one that is found trades places with the entry of its set, if there is one."""
        place = page % self.entries
        for i, victim in enumerate(self.victims):
            if victim == page:
                self.victims[i] = self.table.get(place)
                self.table[place] = page
                return True
        return False

    def fill(self, page: int) -> None:
        """A page walk gave this entry."""
        self.drop_victim(page)
        place = page % self.entries
        before = self.table.get(place)
        if before is not None:
            self.victims[self.turn % VICTIMS] = before
            self.turn += 1
            self.used -= 1
        self.table[place] = page
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
        if guest.is_wide and max_bits == 20:
            max_bits = 22
        self.guest, self.window, self.least, self.most = guest, window_insns, 1 << min_bits, 1 << max_bits
        self.modes = {user: Mode(1 << first_bits) for user in (False, True)}
        self.peak = 2 << first_bits
        self.lines: set[tuple[bool, int]] = set()
        self.remembered = Remembered(guest.pages)
        self.resident: set[tuple[bool, int]] = set()  # host pages of the tables, by mode

    def access(self, access: Access) -> None:
        """A whole row."""
        n = self.guest.n
        user = access.user or self.guest.user_mode
        mode = self.modes[user]
        if access.io:
            n["slow_io"] += 1
            page = access.vaddr // PAGE
            self.touch(mode, page)
            if mode.table.get(page % mode.entries) != page:
                n["io_fills"] += 1
                mode.fill(page)
            return
        self.lines.add((user, access.pieces[0][0] % mode.entries * 32 // 64))
        n["slow_cross"] += access.cross
        for page, frame, _, _ in access.pieces:
            self.look_up(mode, page, "tlb_fills", marked=access.store and self.guest.code.is_code(frame))
        for _, frame, first, end in access.pieces if access.store else ():
            if self.guest.code.is_code(frame):
                n["slow_code"] += 1
                n["searched_blocks"] += self.guest.code.listed(frame)
                for block in self.guest.notice(frame, first, end):
                    self.guest.code.drop(block)

    def look_up(self, mode: Mode, page: int, fills: str, *, marked: bool = False) -> None:
        """Find the page in its set, among the victims, or by a page walk."""
        self.touch(mode, page)
        if mode.table.get(page % mode.entries) == page:
            return
        if not marked and mode.swap(page):
            self.guest.n["victim_hits"] += 1
            return
        self.guest.n[fills] += 1
        mode.fill(page)

    def touch(self, mode: Mode, page: int) -> None:
        """The entry of a page is looked at. Each mode's table begins with a host page of its own and stays there."""
        self.resident.add((mode is self.modes[True], page % mode.entries * 32 // PAGE))

    def flush(self) -> None:
        """Each mode that holds something decides on its size and is cleared."""
        self.remembered.forget()
        n = self.guest.n
        for mode in self.modes.values():
            if mode.filled:
                n["tlb_resizes"] += mode.decide(n["guest_insns"], self.window, self.least, self.most)
                n["flushed_entries"] += mode.entries
                mode.clear()
        self.peak = max(self.peak, sum(mode.entries for mode in self.modes.values()))

    def flush_page(self, page: int) -> None:
        """Both modes."""
        self.remembered.forget_page(page)
        self.mapped(page)

    def mapped(self, page: int) -> None:
        """A page that was not known becomes so: what stands for it, a device's, goes from both modes."""
        for mode in self.modes.values():
            mode.drop(page)

    def protect(self, frame: int) -> None:
        """A page became a code page: stores ask the code anyway, but QEMU looks through all entries to mark its own."""
        self.guest.n["scanned_entries"] += sum(mode.entries + len(mode.victims) for mode in self.modes.values())

    def executed(self) -> None:
        """An EXEC row passed: its code may have been looked up."""
        vaddr, user, pages = self.guest.block_entered
        if self.remembered.looks_up(vaddr, user):
            self.guest.n["code_fetches"] += len(pages)
            for page in pages:
                self.look_up(self.modes[user], page, "code_fills")

    def row_done(self) -> None:
        """A row passed."""

    def totals(self) -> dict[str, int]:
        """Columns that are no events: both tables at their largest, 32 bytes an entry."""
        sizes = {"table_bytes": self.peak * 32, "table_resident_bytes": PAGE * len(self.resident)}
        return {"faults": 0, "table_lines": len(self.lines)} | sizes
