"""fastmem and views: what the guest has below a limit lies in one stretch of the host, or in one for each space.

Part of the oracle: imports the standard library only. Readings:

* A MAP row that tells nothing new, of a page that is known, is not the outcome of a comparison: neither kept nor stale.
* map=known in a user-mode trace: before a data row, slow site or not, each of its pages that shows nothing is mapped.
* map=accessed: a frame is accessed by a data row, whoever serves it; an EXEC row does not touch it.
* how=block: dropping the block is the patch, so it comes before the access is done by the TLB. `patches` counts a site
  once; until the next EXEC row it may fault again.
* A row that begins below the limit and ends above it is completed (faults_cross); one that begins above is inaccessible
  (faults_softmmu). No page above is ever mapped, ahead of an access or at one.
* A site is slow for a row of either privilege, and whatever the row touches, device or RAM.
* views: the space that is at work stays there with any FLUSH but a CR3 write, and its view as well; an emptied view is
  still the one of its space. drop_maps: the access goes on, although its low page may just have been unmapped.
"""

from collections import defaultdict

from truth.oracle.guest import PAGE, PAGES, Access, Guest
from truth.oracle.reserve import Handler, Reserve
from truth.oracle.softmmu import Tlb

LIMITS = {32: (1 << 32, 1 << 32), 64: (1 << 46, 1 << 38)}  # bits -> of fastmem, of each view, where none is told
CR3 = 1  # the reason of a FLUSH row
CAUSES = {
    "never": set(),
    "device": {"faults_io", "faults_softmmu"},
    "memory": {"faults_io", "faults_softmmu", "faults_unmapped", "faults_write"},
    "code": {"faults_io", "faults_softmmu", "faults_code"},
    "always": {"faults_io", "faults_softmmu", "faults_unmapped", "faults_write", "faults_code"},
}


def limit_of(guest: Guest, told: int, which: int) -> int:
    """Where the guest's addresses end that have a place in the host's."""
    if guest.is_wide:
        return LIMITS[64][which] if told == LIMITS[32][which] else told
    return min(told, LIMITS[32][which])  # a larger one leaves nothing out


class Direct(Handler):
    """A view of what lies below `limit`, which begins at host page `base`, and a TLB for what is not done in it."""

    FAULTS = ("faults_unmapped", "faults_write", "faults_code", "faults_cross", "faults_io", "faults_softmmu")
    base = 0

    def __init__(self, guest: Guest, limit: int, reserve: Reserve, *code: str | int):
        super().__init__(guest, reserve, *code)
        self.limit = limit
        self.lacks = [] if guest.is_wide or limit < 1 << 32 else ["faults_softmmu"]
        self.tlb = Tlb(guest, 8, self.policy.noticed)

    def by_tlb(self, access: Access) -> None:
        """A softmmu access."""
        self.n["softmmu_accesses"] += 1
        self.tlb.access(access)

    def above(self, access: Access) -> str:
        """Why the view does not hold all of it; empty if it does."""
        if access.vaddr + access.size <= self.limit:
            return ""
        return "faults_cross" if access.vaddr < self.limit else "faults_softmmu"

    def completed(self, cause: str, access: Access) -> None:
        """A fault in which the handler does the whole access."""
        self.n[cause] += 1
        if access.store:
            self.store_completed(access)

    def place(self, page: int) -> int | None:
        """Where the view at work has the page."""
        return self.base + page if page < self.limit // PAGE else None

    def shown(self, base: int) -> list[int]:
        """The host pages that are mapped in the view that begins here."""
        return [position for position in self.reserve.at if base <= position < base + self.limit // PAGE]

    def empty(self, base: int) -> None:
        """Unmap a whole view: one call, if it shows anything."""
        shown = self.shown(base)
        if shown:
            self.call("munmap_calls")
        for position in shown:
            self.unmap_page(position)

    def compare_tables(self) -> None:
        """A FLUSH that keeps the view: the guest's page tables for it are compared with the emulator's copy."""
        pages = [position - self.base for position in self.shown(self.base)]
        spans = (512, 512**2, 512**3, self.guest.pages) if self.guest.is_wide else (1024, self.guest.pages)
        self.n["compared_tables"] += sum(len({page // span for page in pages}) for span in spans)

    def flush_page(self, page: int) -> None:
        """The page in the view at work."""
        if self.place(page) in self.reserve.at:
            self.unmap_page(self.base + page)
            self.call("munmap_calls")
        self.tlb.flush_page(page)

    def mapped(self, page: int) -> None:
        """A MAP row: what a comparison found out about a page that the view still shows."""
        window = self.reserve.at.get(self.place(page))
        if window is None:
            return
        if window.frame == self.guest.frame(page):
            self.n["kept_pages"] += 1
        else:
            self.n["stale_pages"] += 1
            self.unmap_page(self.base + page)
            self.call("munmap_calls")

    def totals(self) -> dict[str, int]:
        """Columns that are not events."""
        return super().totals() | {"table_bytes": 0}


class Fastmem(Direct):
    """One view, and access sites that are patched. A site is (block, position, is it a store?)."""

    def __init__(
        self,
        guest: Guest,
        patch: str = "device",
        how: str = "site",
        remember: int = 1,
        map: str = "fault",
        flush: str = "drop",
        guest_limit: int = 1 << 32,
        code: str = "page",
        check_after: int = 1,
        dirty: str = "track",
    ):
        if how not in ("site", "block") or map not in ("fault", "known", "accessed") or flush not in ("drop", "diff"):
            raise ValueError(f"how={how}, map={map}, flush={flush}")
        if remember not in (0, 1) or (how == "block" and not remember):
            raise ValueError("remember is 0 or 1, and 1 with how=block")
        if "faults_code" in CAUSES[patch] and code != "block":
            raise ValueError(f"patch={patch} needs code=block")
        limit = limit_of(guest, guest_limit, 0)
        super().__init__(guest, limit, Reserve(limit // PAGE), code, check_after, dirty)
        self.causes, self.by_block, self.remember = CAUSES[patch], how == "block", remember
        self.ahead, self.diff = map, flush == "diff"
        self.patched: defaultdict[tuple, set[tuple[int, bool]]] = defaultdict(set)  # block -> its patched accesses
        self.not_yet: set[tuple] = set()  # how=block: sites patched since the last EXEC row
        self.patching = False  # the fault that is served ends in a patch
        self.accessed: set[int] = set()  # physical pages

    def row(self, access: Access) -> None:
        """A whole row."""
        site = None
        if access.position and self.guest.at_work:
            site = self.guest.at_work, access.position, access.store
        if self.guest.user_mode and self.ahead == "known":
            for page, frame, _, _ in access.pieces:
                self.map_ahead(page, frame)
        if site and site[1:] in self.patched.get(site[0], ()) and site not in self.not_yet:
            self.by_tlb(access)
        elif cause := "faults_io" if access.io else self.above(access):
            if site and cause in self.causes:
                self.n[cause] += 1
                self.patch(site, access)
            else:
                self.completed(cause, access)
        else:
            self.direct(site, access)
        self.accessed.update(piece[1] for piece in access.pieces)

    def direct(self, site: tuple | None, access: Access) -> None:
        """Page by page; the first fault that patches ends it."""
        for piece in access.pieces:
            self.patching = site is not None and self.cause(piece, access.store) in self.causes
            self.serve(piece[0], piece, access.store, "faults_unmapped")
            if self.patching:
                self.patching = False
                self.patch(site, access)
                return

    def cause(self, piece: tuple[int, int, int, int], store: bool) -> str | None:
        """What the fault on this page will be, if there is one."""
        page, frame, _, _ = piece
        window = self.reserve.at.get(page)
        if self.completing or (window is not None and (not store or window.writable)):
            return None
        if window is None:
            return "faults_unmapped"
        return "faults_code" if self.policy.noticed(frame) else "faults_write"

    def store_served(self, cause: str, frame: int, first: int, end: int) -> bool:
        """Under code=block a store that is about to be patched is done, with its drops, by the TLB."""
        if self.patching and self.policy.kind == "block" and self.guest.code.is_code(frame):
            self.guest.dirty.add(frame)
            return True
        return super().store_served(cause, frame, first, end)

    def patch(self, site: tuple, access: Access) -> None:
        """The site becomes slow, at once or when its block is compiled again; the row is done slowly now."""
        block = site[0]
        if site[1:] not in self.patched[block]:
            self.n["patches"] += 1
            self.patched[block].add(site[1:])
            if self.by_block:
                self.not_yet.add(site)
        if self.by_block and block in self.guest.code.places:
            self.guest.code.drop(block)
        self.by_tlb(access)

    def executed(self) -> None:
        """A block was entered; if it was translated, and nothing is remembered, its sites are as new."""
        self.not_yet.clear()
        if self.guest.translated and not self.remember:
            self.patched.pop(self.guest.at_work, None)

    def map_ahead(self, page: int, frame: int) -> None:
        """Map a page as by a load, without a fault."""
        if self.place(page) is not None and page not in self.reserve.at:
            self.call("mmap_calls")
            self.map_page(page, page, frame)

    def mapped(self, page: int) -> None:
        """A MAP row."""
        super().mapped(page)
        frame = self.guest.frame(page)
        if self.ahead == "known" or (self.ahead == "accessed" and frame in self.accessed):
            self.map_ahead(page, frame)

    def flush(self) -> None:
        """All is unmapped, or all stays and the page tables are compared."""
        if self.diff:
            self.compare_tables()
        else:
            self.empty(0)
        self.tlb.flush()

    def totals(self) -> dict[str, int]:
        """Columns that are not events."""
        return super().totals() | {"reserved_bytes": self.limit}


class Views(Direct):
    """A view for each value of CR3, as many as there may be. Behind each lies a page for nobody."""

    def __init__(
        self, guest: Guest, views: int = 32, drop_maps: int = 0, kernel: str = "direct", guest_limit: int = 1 << 32
    ):
        if not 1 <= views <= 256 or not 0 <= drop_maps <= PAGES or kernel not in ("direct", "softmmu"):
            raise ValueError(f"views={views}, drop_maps={drop_maps}, kernel={kernel}")
        limit = limit_of(guest, guest_limit, 1)
        self.span = limit // PAGE + 1
        super().__init__(guest, limit, Reserve(views * self.span))
        self.views, self.drop_maps, self.slow_kernel = views, drop_maps, kernel == "softmmu"
        self.view_of = {0: 0}  # space -> its view, the least recently used first
        self.space = 0
        tlb = ["tlb_fills", "slow_misaligned", "slow_cross", "slow_io", "slow_code", "code_list_walks"]
        self.lacks += [] if self.slow_kernel else ["softmmu_accesses", "searched_blocks", *tlb]

    def row(self, access: Access) -> None:
        """A whole row."""
        if self.slow_kernel and not self.tlb.runs_in_user(access):
            self.by_tlb(access)
        elif cause := "faults_io" if access.io else self.above(access):
            self.completed(cause, access)
        else:
            for piece in access.pieces:
                self.serve(self.base + piece[0], piece, access.store, "faults_unmapped")

    def serve(self, position: int, piece: tuple[int, int, int, int], store: bool, cause: str) -> bool:
        """Before a view gets a page too many it is emptied."""
        if self.drop_maps and position not in self.reserve.at and len(self.shown(self.base)) >= self.drop_maps:
            self.evict(self.base)
        return super().serve(position, piece, store, cause)

    def evict(self, base: int) -> None:
        """A whole view gives way."""
        self.n["evictions"] += 1
        self.empty(base)

    def flush(self) -> None:
        """A CR3 write changes the space; anything else empties all views."""
        value, reason = self.guest.flushed
        self.tlb.flush()
        if reason != CR3:
            for view in range(self.views):
                self.empty(view * self.span)
            return
        self.n["view_switches"] += value != self.space
        if value in self.view_of:
            view = self.view_of.pop(value)
        elif len(self.view_of) < self.views:
            view = len(self.view_of)
        else:
            view = self.view_of.pop(next(iter(self.view_of)))
            self.evict(view * self.span)
        self.view_of[value] = view  # the most recent now
        self.space, self.base = value, view * self.span
        self.compare_tables()

    def totals(self) -> dict[str, int]:
        """Columns that are not events."""
        return super().totals() | {"reserved_bytes": self.views * self.span * PAGE}
