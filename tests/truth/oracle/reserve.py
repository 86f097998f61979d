"""The host side of the three mmap schemes: mapped pages, host calls, and the handler's common part (MODEL.md 2).

Part of the oracle: imports the standard library only.
"""

from collections import defaultdict

from truth.oracle.code_pages import CodePages
from truth.oracle.guest import PAGE, Access, Guest

CAUSES = ["faults_unmapped", "faults_block", "faults_write", "faults_code"]
CAUSES += ["faults_cross", "faults_io", "faults_softmmu"]
CALLS = ["mmap_calls", "mprotect_calls", "munmap_calls"]
COLUMNS = [*CAUSES, "maps", "unmaps", "host_calls", *CALLS, "protects", "evictions", "peak_mappings", "split_mappings"]
COLUMNS += ["reserved_bytes"]


class Window:
    """A mapped host page: which virtual page it stands for, its physical page, and whether stores pass."""

    __slots__ = ("frame", "page", "writable")

    def __init__(self, page: int, frame: int, writable: bool):
        self.page, self.frame, self.writable = page, frame, writable


class Reserve:
    """The scheme's stretch of host pages, by position; what is not mapped is inaccessible."""

    def __init__(self, pages: int):
        self.pages = pages
        self.at: dict[int, Window] = {}
        self.windows_of: defaultdict[int, set[int]] = defaultdict(set)  # physical page -> positions
        self.mappings = self.peak = 1
        self.split = 0  # by how many set_rights changed them, one way and the other

    def _one_mapping(self, left: int) -> bool:
        """Do this host page and the next one lie in the same VMA?"""
        a, b = self.at.get(left), self.at.get(left + 1)
        if a is None or b is None:
            return a is b
        return b.frame == a.frame + 1 and a.writable == b.writable

    def _borders(self, position: int) -> int:
        """How many of the two sides of a host page are borders between VMAs (the reserve's own ends are none)."""
        left = position > 0 and not self._one_mapping(position - 1)
        right = position < self.pages - 1 and not self._one_mapping(position)
        return left + right

    def put(self, position: int, window: Window) -> None:
        """Map a host page that is not mapped."""
        assert 0 <= position < self.pages and position not in self.at
        self.mappings -= self._borders(position)
        self.at[position] = window
        self.mappings += self._borders(position)
        self.windows_of[window.frame].add(position)

    def remove(self, position: int) -> None:
        """Make a mapped host page inaccessible."""
        self.mappings -= self._borders(position)
        window = self.at.pop(position)
        self.mappings += self._borders(position)
        self.windows_of[window.frame].discard(position)

    def set_rights(self, position: int, writable: bool) -> None:
        """What mprotect does."""
        before = self.mappings
        self.mappings -= self._borders(position)
        self.at[position].writable = writable
        self.mappings += self._borders(position)
        self.split += abs(self.mappings - before)

    def recount(self) -> int:
        """The number of VMAs again, from nothing: walk all host pages and cut them into runs (self-test only)."""
        runs: list[list[Window | None]] = []
        for position in range(self.pages):
            here = self.at.get(position)
            last = runs[-1][-1] if runs else None
            if here is None or last is None:
                joins = bool(runs) and here is last
            else:
                joins = here.frame - last.frame == 1 and here.writable is last.writable
            if not joins:
                runs.append([])
            runs[-1].append(here)
        return len(runs)


class Handler:
    """What the three mmap schemes do alike. A scheme adds where a page lies, and which page gives way."""

    FAULTS: tuple[str, ...] = ()

    def __init__(self, guest: Guest, reserve: Reserve, code: str = "page", check_after: int = 1, dirty: str = "track"):
        if dirty not in ("track", "none"):
            raise ValueError(f"dirty is track or none, not {dirty!r}")
        self.guest, self.n, self.reserve = guest, guest.n, reserve
        self.policy = CodePages(guest, code, check_after)
        self.track = dirty == "track"
        self.completing = False  # the handler, at work on this row, does all of it
        self.lines: set[tuple[str, int]] = set()
        self.resident: set[tuple[str, int]] = set()  # host pages of the tables, by table

    def access(self, access: Access) -> None:
        """A whole row, as the scheme does it; then what the policy knows without a fault."""
        self.completing = False
        self.row(access)
        self.policy.after(access)

    def row(self, access: Access) -> None:
        """A whole row: each scheme's own way."""
        raise NotImplementedError

    def mapped(self, page: int) -> None:
        """A page that was not known becomes so: nothing stands for it yet."""

    # Host calls, each counted where it is made

    def call(self, kind: str) -> None:
        """One mmap, mprotect or munmap."""
        self.n["host_calls"] += 1
        self.n[kind] += 1

    def map_page(self, position: int, page: int, frame: int, store: bool = False) -> None:
        """Map a page: for a store always writable, for a load unless it is clean or a code page."""
        writable = store or ((frame in self.guest.dirty or not self.track) and not self.policy.noticed(frame))
        self.reserve.put(position, Window(page, frame, writable))
        self.n["maps"] += 1

    def unmap_page(self, position: int) -> None:
        """A page stops being mapped; the caller counts the host call, for several pages may share one."""
        self.reserve.remove(position)
        self.n["unmaps"] += 1

    # The handler

    def serve(self, position: int, piece: tuple[int, int, int, int], store: bool, cause: str) -> bool:
        """One page of an access at its host page, with `cause` where that is not mapped. True: it was mapped now."""
        page, frame, first, end = piece
        window = self.reserve.at.get(position)
        if window is not None:
            if not store or window.writable:
                return False
            cause = "faults_code" if self.policy.noticed(frame) else "faults_write"
        if not self.completing:
            self.n[cause] += 1
        keeps_code = store and self.store_served(cause, frame, first, end)
        if window is None:
            self.call("mmap_calls")
            self.map_page(position, page, frame, store and not keeps_code)
        elif not keeps_code:
            self.call("mprotect_calls")
            self.reserve.set_rights(position, True)
        self.completing |= keeps_code
        return window is None

    def store_served(self, cause: str, frame: int, first: int, end: int) -> bool:
        """The handler of a fault saw a store: the page is dirty, blocks go. Does it keep some, and stay closed?"""
        self.guest.dirty.add(frame)
        return self.policy.store(cause, frame, first, end)

    def store_completed(self, access: Access) -> None:
        """A handler that sees pages, not bytes, did a whole store: they are dirty, all blocks of a code page go."""
        for _, frame, first, end in access.pieces:
            self.guest.dirty.add(frame)
            self.policy.drop_all(frame, first, end)

    def protect(self, frame: int) -> None:
        """A page became a code page: take the write right from each of its windows that has it."""
        if not self.policy.noticed(frame):
            return
        for position in self.reserve.windows_of[frame]:
            if self.reserve.at[position].writable:
                self.reserve.set_rights(position, False)
                self.n["protects"] += 1
                self.call("mprotect_calls")

    def executed(self) -> None:
        """An EXEC row passed."""

    def row_done(self) -> None:
        """A row passed: peak_mappings looks now, not in the middle of a handler run."""
        self.reserve.peak = max(self.reserve.peak, self.reserve.mappings)

    def totals(self) -> dict[str, int]:
        """Columns that are not events."""
        return {
            "faults": sum(self.n[name] for name in self.FAULTS),
            "peak_mappings": self.reserve.peak,
            "split_mappings": self.reserve.split,
            "table_lines": len(self.lines),
            "table_resident_bytes": PAGE * len(self.resident),
        }
