"""What a trace says, apart from any scheme: its rows, its errors, its shape, its code (MODEL.md 1 and 2).

Part of the oracle: imports the standard library only.
"""

from collections import defaultdict
from collections.abc import Callable

LOAD, STORE, EXEC, FLUSH, FLUSH_PAGE, MAP = range(6)
IO, USER = 1, 2
PAGE = 4096
PAGES = 1 << 20  # virtual pages of a 32-bit guest; page 0 follows the last one
WIDE_PAGES = 1 << 52  # of a guest of 64 bits, the same
MOST_TOUCHED = 1 << 20  # different pages that a trace of 64 bits may touch
MOST_MAP_PAGE = 1 << 40


class Refused(ValueError):
    """A row that MODEL.md calls an error; `oracle.run` adds the row's number."""


class TraceError(ValueError):
    """A trace that cannot be replayed: which row, and why."""

    def __init__(self, row_index: int, reason: str):
        super().__init__(f"row {row_index}: {reason}")
        self.row_index = row_index
        self.reason = reason


class Access:
    """A LOAD or STORE row, and its pieces: (virtual page, physical page, first byte, byte after the last)."""

    __slots__ = ("cross", "io", "misaligned", "pieces", "position", "size", "store", "user", "vaddr")

    def __init__(self, vaddr: int, size: int, store: bool, position: int, flags: int):
        self.position = position  # of its instruction in the block; 0 is not known
        self.vaddr, self.size, self.store = vaddr, size, store
        self.io, self.user = bool(flags & IO), bool(flags & USER)
        self.cross = vaddr % PAGE + size > PAGE
        self.misaligned = size & (size - 1) == 0 and vaddr % size != 0
        self.pieces: list[tuple[int, int, int, int]] = []


class Code:
    """The translated blocks, by the physical pages in which they lie.

    A block's key is (physical address of its first byte, size, second physical page or None).
    """

    def __init__(self, n: dict):
        self.n = n
        self.places: dict[tuple, list] = {}  # block -> [(physical page, first byte, byte after the last)]
        self.blocks_in: defaultdict[int, set] = defaultdict(set)  # physical page -> blocks
        self.data_stores: defaultdict[int, int] = defaultdict(int)  # section 3: stores that walked the list in vain
        self.changed: set[tuple] = set()  # code=check: blocks that a store overlapped since they were translated

    def is_code(self, frame: int) -> bool:
        """Does any block lie in this physical page?"""
        return bool(self.blocks_in.get(frame))

    def listed(self, frame: int) -> int:
        """How many entries the list of this physical page's blocks has: a block that lies in it twice has two."""
        return sum(place[0] == frame for block in self.blocks_in[frame] for place in self.places[block])

    def add(self, block: tuple, places: list) -> list[int]:
        """Add a block; the pages that held no block before, each once, low page first."""
        fresh = [frame for frame in dict.fromkeys(p[0] for p in places) if not self.is_code(frame)]
        self.places[block] = places
        self.changed.discard(block)
        for frame, _, _ in places:
            self.blocks_in[frame].add(block)
            self.data_stores.pop(frame, None)
        return fresh

    def drop(self, block: tuple) -> None:
        """Drop a block from every page in which it lies."""
        self.n["blocks_dropped"] += 1
        for frame, _, _ in self.places.pop(block):
            self.blocks_in[frame].discard(block)
            self.data_stores.pop(frame, None)

    def overlapped(self, frame: int, first: int, end: int) -> list[tuple]:
        """The blocks with a byte of this physical page in [first, end)."""
        return [
            block
            for block in self.blocks_in.get(frame, ())
            if any(p == frame and lo < end and first < hi for p, lo, hi in self.places[block])
        ]


class Guest:
    """The guest as the trace shows it, with the counts `n` to which every scheme adds."""

    def __init__(self, mode: str, n: dict, trace_bits: int = 32):
        if mode not in ("user", "system") or trace_bits not in (32, 64):
            raise ValueError(f"mode is user or system, not {mode!r}; addresses have 32 bits or 64, not {trace_bits}")
        self.is_wide = trace_bits == 64
        self.pages = WIDE_PAGES if self.is_wide else PAGES  # that its addresses can name
        self.seen: set[int] = set()  # pages that a row of any kind touched: what says how many bits addresses have
        self.user_mode = mode == "user"
        self.n = n
        self.code = Code(n)
        self.ever_translated: set[tuple] = set()
        self.dirty: set[int] = set()  # physical pages, for ever
        self.frame_of: dict[int, int] = {}  # system mode: what the last MAP told
        self.touched: set[int] = set()  # user mode: what earlier rows touched
        self.data_pages: set[int] = set()
        self.last_user: bool | None = None
        self.block_entered: tuple[int, bool, list[int]] | None = None  # address, in user mode?, pages
        self.at_work: tuple | None = None  # the block of the last EXEC row, also when it was dropped since
        self.translated = False  # by the last EXEC row
        self.flushed = (0, 0)  # value and reason of the last FLUSH row
        self.enter: Callable[[tuple], None] = lambda block: None  # a translated block is about to be entered

    # Pages of any kind

    def see(self, vaddr: int, size: int = 0) -> None:
        """A row touches the page of this address, and the next one if so many bytes reach into it."""
        page = vaddr // PAGE
        self.seen.add(page)
        if vaddr % PAGE + size > PAGE:
            self.seen.add((page + 1) % self.pages)
        if self.is_wide and len(self.seen) > MOST_TOUCHED:
            raise Refused("a page too many")

    @property
    def address_bits(self) -> int:
        """Of its addresses: 32; of a guest of 64 bits 48, or as many as the rows so far show: all above are alike."""
        if not self.is_wide:
            return 32

        def fits(bits: int) -> bool:
            half = 1 << bits - 1 - 12
            return all(page < half or page >= WIDE_PAGES - half for page in self.seen)

        return next((bits for bits in (48, 57) if fits(bits)), 64)

    # Physical pages

    def frame(self, page: int) -> int:
        """The physical page of a virtual page that a row touches."""
        if self.user_mode:
            return page
        if page not in self.frame_of:
            raise Refused(f"page {page:#x} is touched and not known")
        return self.frame_of[page]

    def known_frame(self, page: int) -> int | None:
        """The physical page where it is known without a touch (map_pages maps no other page)."""
        if self.user_mode:
            return page if page in self.touched else None
        return self.frame_of.get(page)

    def pieces(self, vaddr: int, size: int) -> list[tuple[int, int, int, int]]:
        """One piece for each page that the bytes touch, low address first."""
        page, first = vaddr // PAGE, vaddr % PAGE
        end = first + size
        if end <= PAGE:
            return [(page, self.frame(page), first, end)]
        after = (page + 1) % self.pages
        return [(page, self.frame(page), first, PAGE), (after, self.frame(after), 0, end - PAGE)]

    # Rows

    def map(self, vaddr: int, frame: int) -> bool:
        """A MAP row. Was the page not known?"""
        if self.user_mode:
            raise Refused("MAP in a user-mode trace")
        if vaddr % PAGE:
            raise Refused(f"MAP of {vaddr:#x}, which begins no page")
        if self.is_wide and frame > MOST_MAP_PAGE:
            raise Refused(f"MAP of physical page {frame:#x}")
        new = vaddr // PAGE not in self.frame_of
        if self.frame_of.setdefault(vaddr // PAGE, frame) != frame:
            raise Refused(f"MAP of page {vaddr // PAGE:#x} contradicts what is known")
        return new

    def access(self, vaddr: int, size: int, store: bool, position: int, flags: int) -> Access:
        """A LOAD or STORE row: check it, count its shape."""
        if not 1 <= size <= 64:
            raise Refused(f"an access of {size} bytes")
        access, n = Access(vaddr, size, store, position, flags), self.n
        if access.io:
            if self.user_mode:
                raise Refused("IO in a user-mode trace")
            if vaddr // PAGE in self.frame_of:
                raise Refused(f"IO on page {vaddr // PAGE:#x}, which is known")
            n["io_accesses"] += 1
        else:
            access.pieces = self.pieces(vaddr, size)
            for piece in access.pieces:
                self.data_pages.add(piece[0])
        n["accesses"] += 1
        n["stores" if store else "loads"] += 1
        n["misaligned"] += access.misaligned
        n["page_cross"] += access.cross
        n["mode_switches"] += self.last_user is not None and self.last_user != access.user
        self.last_user = access.user
        return access

    def execute(self, vaddr: int, size: int, insns: int, flags: int) -> tuple[list[int], list[int]]:
        """An EXEC row: translate what is not translated yet. Returns the new code pages, and the pages touched."""
        if size == 0 or flags & IO:
            raise Refused("EXEC of size 0" if size == 0 else "EXEC with the IO flag")
        if vaddr % PAGE + size > 2 * PAGE:
            raise Refused("EXEC of more than two pages")
        pieces, n = self.pieces(vaddr, size), self.n
        n["execs"] += 1
        n["guest_insns"] += insns
        second = pieces[1][1] if len(pieces) == 2 else None
        block = (pieces[0][1] * PAGE + vaddr % PAGE, size, second)
        fresh = []
        if block in self.code.places:
            self.enter(block)
        self.at_work, self.translated = block, block not in self.code.places
        if self.translated:
            n["translations"] += 1
            n["translated_insns"] += insns
            n["retranslated_insns"] += insns if block in self.ever_translated else 0
            self.ever_translated.add(block)
            fresh = self.code.add(block, [piece[1:] for piece in pieces])
        pages = [piece[0] for piece in pieces]
        self.block_entered = vaddr, bool(flags & USER) or self.user_mode, pages
        return fresh, pages

    def notice(self, frame: int, first: int, end: int) -> list[tuple]:
        """The scheme noticed a store to a code page: count it, and return the blocks that it overlaps."""
        hit = self.code.overlapped(frame, first, end)
        self.n["smc_stores" if hit else "code_page_data_stores"] += 1
        return hit
