"""What is done with a code page: parameter `code` of the mmap schemes (page, block, check, free).

Part of the oracle: imports the standard library only. Readings:

* A block "some page of which is checked" fails its check for a store to any of its bytes. Dropped in whatever way, it
  is whole again once it is translated.
* The store that makes a frame checked (its k-th faults_code) is done as under `page`: all blocks go, the window opens.
  A fault on an unmapped code page is not a faults_code, and brings no frame nearer to being checked.
* code=block: a handler that completes a whole access in another way (byte-lookup's crossings, what ends above 2**32)
  sees pages: all blocks of a code page go. The page behind one that keeps a block is judged after its own blocks went.
* code=free: the drop comes with the store, so a block in two pages that loses its bytes in the low one is not hit in
  the high one any more.
"""

from collections import defaultdict

from truth.oracle.guest import Access, Guest

CHECKS = ["checked_entries", "checked_bytes", "checks_failed"]


class CodePages:
    """Which code pages are watched, and what a store to one drops."""

    def __init__(self, guest: Guest, code: str, check_after: int):
        if code not in ("page", "block", "check", "free") or not 0 <= check_after <= 255:
            raise ValueError(f"code={code} with check_after={check_after}")
        self.guest, self.kind, self.check_after = guest, code, check_after
        self.faults: defaultdict[int, int] = defaultdict(int)  # physical page -> faults_code that it took
        if code == "check":
            guest.enter = self.enter

    def checked(self, frame: int) -> bool:
        """Do the blocks of this physical page compare their source, so that nobody watches it?"""
        return self.kind == "check" and self.faults[frame] >= self.check_after

    def noticed(self, frame: int) -> bool:
        """Is it a code page whose stores must not pass silently?"""
        return self.guest.code.is_code(frame) and self.kind != "free" and not self.checked(frame)

    def store(self, cause: str, frame: int, first: int, end: int) -> bool:
        """A handler serves a store to this page. Does the page keep a block, so that it must stay closed?"""
        if self.kind != "block":
            self.drop_all(frame, first, end)
            self.faults[frame] += cause == "faults_code"
            return False
        if self.guest.code.is_code(frame):
            for block in self.guest.notice(frame, first, end):
                self.guest.code.drop(block)
        return self.guest.code.is_code(frame)

    def drop_all(self, frame: int, first: int, end: int) -> None:
        """A handler that sees pages, not bytes: if the page is watched, it loses all its blocks."""
        if self.noticed(frame):
            self.guest.notice(frame, first, end)
            for block in list(self.guest.code.blocks_in[frame]):
                self.guest.code.drop(block)

    def enter(self, block: tuple) -> None:
        """code=check: a block is entered that was translated before; if its source is not what it was, it goes."""
        code, n = self.guest.code, self.guest.n
        if any(self.checked(place[0]) for place in code.places[block]):
            n["checked_entries"] += 1
            n["checked_bytes"] += block[1]
            if block in code.changed:
                n["checks_failed"] += 1
                code.drop(block)

    def after(self, access: Access) -> None:
        """A store was done, by whatever way: what no handler saw is remembered (check), or known at no cost (free)."""
        if self.kind not in ("check", "free") or not access.store or access.io:
            return
        code = self.guest.code
        for _, frame, first, end in access.pieces:
            hit = code.overlapped(frame, first, end)
            if self.kind == "check":
                code.changed.update(hit)
            elif hit:
                self.guest.n["smc_stores"] += 1
                for block in hit:
                    code.drop(block)
