"""The survey: one pass over the rows, before any scheme sees them.

It refuses the rows that are errors (MODEL.md section 1) and takes the *shape counts*, which depend on the trace
alone. What it adds to the page: a LOAD or STORE of size 0 or above 64, an EXEC that reaches a third page, a MAP that
does not begin a page, and a `page` other than 0 outside MAP and annotations are errors; MAP of what is known already,
unchanged, is none; an IO row is judged by its first page alone; IO means something on LOAD, STORE and EXEC only.
"""

import numpy as np

from mmuexp import shape_scan as scan
from mmuexp.errors import TraceError
from mmuexp.guest import DTYPES, MAX_ACCESS_BYTES, PAGES, Columns, Op

MAX_FRAMES = 1 << 20  # physical pages that a trace may name: 4 GiB of them, so state stays bounded

_SHAPE = """rows accesses loads stores execs guest_insns misaligned page_cross io_accesses flushes page_flushes pages
    mode_switches"""
SHAPE = tuple(_SHAPE.split())


class Survey:
    """Validates the rows of one trace, batch by batch, and counts its shape.

    `mode` is the trace's; `where` names it in errors. Memory is 13 MiB, however long the trace.
    """

    def __init__(self, mode: str, where: str = ""):
        self.mode, self.where = mode, where
        self._system = mode == "system"
        self._sums = np.zeros(len(scan.COUNTED) + 2, np.int64)
        self._sums[scan.EPOCH] = 1
        self._sums[scan.MODE] = -1
        self._touched = np.zeros(PAGES + 1, np.uint8)  # the last is where EXEC rows write
        # a page is known while its stamp is the present epoch: FLUSH, of which traces have thousands, starts a new one
        self._stamp = np.zeros(PAGES if self._system else 1, np.int64)
        self._page_of = np.zeros(PAGES if self._system else 1, np.uint32)
        self._frames: dict[int, int] = {}

    @property
    def rows(self) -> int:
        """Rows fed so far."""
        return int(self._sums[scan.ROWS])

    def feed(self, columns: Columns) -> np.ndarray | None:
        """Take the next rows. Raises TraceError, with `row` counted from the trace's first, on the first bad one.

        Returns int32[rows] that holds in MAP rows the physical page's number in order of first appearance (see
        `frame_numbers`), 0 elsewhere; None when there is no MAP row.
        """
        rows = len(columns.op)
        if not rows:
            return None
        columns = Columns(*(np.require(c, dtype, ["C", "W"]) for c, dtype in zip(columns, DTYPES, strict=True)))
        first, maps = self.rows, self._sums[scan.MAPS]
        bad, code = scan.scan(*columns, self._sums, self._touched, self._stamp, self._page_of, self._system)
        stop = rows if code == 0 else bad
        frame = self._number(columns, stop, first) if self._sums[scan.MAPS] != maps else None
        if code:
            raise self._refusal(first + bad, code, Columns(*(int(column[bad]) for column in columns)))
        return frame

    def counts(self) -> dict[str, int]:
        """Every shape column of the contract, and the sums over accesses other than IO that prices need."""
        n = {name: int(self._sums[index]) for index, name in enumerate(scan.COUNTED)}
        n["accesses"] = n["loads"] + n["stores"]
        n["ram_accesses"] = n["ram_loads"] + n["ram_stores"]
        n["pages"] = int(np.count_nonzero(self._touched[:PAGES]))
        return {name: n[name] for name in (*SHAPE, "ram_accesses", *scan.COUNTED[scan.MAPS :])}

    def frame_numbers(self) -> np.ndarray:
        """int64[frames]: the guest-physical page number of each dense number that `feed` gave out."""
        return np.fromiter(self._frames, np.int64, len(self._frames))

    def known_pages(self) -> tuple[np.ndarray, np.ndarray]:
        """int64, uint32: the virtual pages that a system trace knows by now, ascending, and their physical ones."""
        pages = np.flatnonzero(self._stamp == self._sums[scan.EPOCH])
        return pages, self._page_of[pages]

    def _number(self, columns: Columns, stop: int, first: int) -> np.ndarray:
        where = np.flatnonzero(columns.op[:stop] == Op.MAP)
        pages, appears, inverse = np.unique(columns.page[where], return_index=True, return_inverse=True)
        dense = np.zeros(len(pages), np.int32)
        for index in np.argsort(appears):
            dense[index] = self._frames.setdefault(int(pages[index]), len(self._frames))
            if len(self._frames) > MAX_FRAMES:
                row = first + int(where[appears[index]])
                what = f"row {row:,}: MAP of physical page {pages[index]:#x}, the trace's {len(self._frames):,}th"
                raise TraceError(what, where=self.where, todo=f"replay holds {MAX_FRAMES:,}; slice it", row=row)
        frame = np.zeros(len(columns.op), np.int32)
        frame[where] = dense[inverse]
        return frame

    def _refusal(self, row: int, code: int, at: Columns) -> TraceError:
        name = Op(at.op).name if at.op in Op.__members__.values() else f"op {at.op}"
        page, here = at.vaddr >> 12, f"{name} at {at.vaddr:#010x}"
        if code == scan.BAD_UNKNOWN and self._stamp[page] == self._sums[scan.EPOCH]:
            page = (page + 1) % PAGES
        known = int(self._page_of[page]) if self._system else page
        why = {
            scan.BAD_OP: f"op {at.op} is reserved (ops are 0 to 5, annotations 128 to 255)",
            scan.BAD_SIZE: f"{here} of {at.size} bytes, expected 1 to {MAX_ACCESS_BYTES}",
            scan.BAD_EXEC_EMPTY: f"{here} of 0 bytes",
            scan.BAD_EXEC_IO: f"{here} has the IO flag; code in device memory cannot be translated",
            scan.BAD_EXEC_LONG: f"{here} of {at.size} bytes reaches a third page",
            scan.BAD_MAP_USER: f"{here} in a user-mode trace, whose physical pages are its virtual ones",
            scan.BAD_IO_USER: f"{here} has the IO flag in a user-mode trace",
            scan.BAD_MAP_ODD: f"{here} does not begin a page",
            scan.BAD_MAP_OTHER: f"{here} to physical page {at.page:#x}, but its page is known to be {known:#x}"
            " and no FLUSH or FLUSH_PAGE came between",
            scan.BAD_UNKNOWN: f"{here} of {at.size} bytes touches page {page:#x}, unknown since the last flush",
            scan.BAD_IO_KNOWN: f"{here} has the IO flag, but its page is known as RAM; FLUSH_PAGE must come first",
            scan.BAD_PAGE: f"{here} has {at.page:#x} in column page, which belongs to MAP rows",
        }[code]
        todo = f"keep the rows before it: mmuexp trace slice {self.where or 'FILE'} 0:{row} -o NEW.arrow"
        return TraceError(f"row {row:,}: {why}", where=self.where, todo=todo, row=row)
