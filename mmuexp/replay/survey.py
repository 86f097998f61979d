"""Surveys the rows in one pass, before any scheme sees them.

It refuses the rows that are errors (MODEL.md section 1), takes the *shape counts*, which depend on the trace alone, and
finds once what every scheme must know of the rows that it accepted: `Surveyed`. What it adds to the page: a LOAD or
STORE of size 0 or above 64, an EXEC that reaches a third page, a MAP that does not begin a page, and a `page` other
than 0 outside MAP and annotations are errors; MAP of what is known already, unchanged, is none; an IO row is judged by
its first page alone; IO means something on LOAD, STORE and EXEC only.
"""

from contextlib import suppress
from typing import Any, NamedTuple

import numpy as np

from mmuexp.errors import TraceError
from mmuexp.events import SHAPE
from mmuexp.guest import DTYPES, MAX_ACCESS_BYTES, PAGES, Columns, Op
from mmuexp.replay import farcode, firsts, keys
from mmuexp.replay import survey_scan as scan

NOTHING_BEFORE = "nothing stands before it: record it again"
MAX_FRAMES = 1 << 20  # physical pages that a trace may name: 4 GiB of them, so state stays bounded


class Surveyed(NamedTuple):
    """Rows that the survey accepted, with what replay must know of them."""

    columns: Columns
    frames: (
        np.ndarray | None
    )  # int32[rows]: the frame of each MAP row, see `Survey.frame_numbers`; None: there are none
    numbers: np.ndarray | None  # int64[frames so far]: their guest-physical page numbers; None in user mode
    firsts: np.ndarray  # int32[firsts], ascending rows of the batch, see firsts.py
    first_words: np.ndarray  # uint64[firsts]: key << 16 | form, see keys.py
    eras: np.ndarray  # int64[eras, 3], END_ROW, END_FIRST, END_INSNS of firsts.py


class _Room:
    """Arrays for one batch, used again for a later one."""

    def __init__(self, rows: int):
        self.firsts = np.empty(rows, np.int32)
        self.first_words = np.empty(rows, np.uint64)
        self.eras = np.empty((rows + rows // firsts.ERA_ROWS + 2, 3), np.int64)


def _for_kernels(column: np.ndarray, dtype: np.dtype) -> np.ndarray:
    """Give the column the one type that kernels are compiled for: a read-only array has another. None writes to it."""
    if not column.flags.writeable:
        with suppress(ValueError):  # what it shows belongs to nobody who would let us
            column = column.view()
            column.flags.writeable = True
    return np.require(column, dtype, ["C", "W"])


class Survey:
    """Validates the rows of one trace, batch by batch, and counts its shape.

    `mode` is the trace's; `where` names it in errors, in which rows count from `first`. Memory is 38 MiB, however long
    the trace.
    """

    def __init__(self, mode: str, where: str = "", first: int = 0):
        self.mode, self.where = mode, where
        self._system = mode == "system"
        self._sums = np.zeros(len(scan.COUNTED) + 2, np.int64)
        self._sums[scan.EPOCH], self._sums[scan.ROWS] = 1, first
        self._sums[scan.MODE] = -1
        self._touched = np.zeros(PAGES + 1, np.uint8)  # the last is where EXEC rows write
        # a page is known while its stamp is the present epoch: FLUSH, of which traces have thousands, starts a new one
        self._stamp = np.zeros(PAGES if self._system else 1, np.int64)
        self._page_of = np.zeros(PAGES if self._system else 1, np.uint32)
        self._frames: dict[int, int] = {}
        self._numbers = np.empty(0, np.int64)
        self._rooms = [_Room(0), _Room(0)]  # one is read while the other is filled
        self._seen, self._era = firsts.new_seen(), np.ones(1, np.int64)
        self._lately = farcode.new_state(), farcode.new_tables()
        self._some = np.zeros(keys.USER_ACCESSES + 1, np.int64)
        self._keys, self._forms = np.empty(keys.STRIP, np.uint32), np.empty(keys.STRIP, np.uint16)

    @property
    def rows(self) -> int:
        """Rows fed so far."""
        return int(self._sums[scan.ROWS])

    def feed(self, columns: Columns) -> Surveyed:
        """Take the next rows. Raises TraceError, with `row` counted from the trace's first, on the first bad one;
        nothing can be fed after it.

        The returned arrays are reused: each result stays valid through one further call, not two.
        """
        rows, first, maps = len(columns.op), self.rows, self._sums[scan.MAPS]
        self._rooms.reverse()
        if len(self._rooms[0].firsts) < rows:
            self._rooms[0] = _Room(rows)
        room = self._rooms[0]
        columns = Columns(*(_for_kernels(c, dtype) for c, dtype in zip(columns, DTYPES, strict=True)))
        bad, code, found, eras = scan.scan(
            *columns, self._sums, self._touched, self._stamp, self._page_of, self._system,
            self._keys, self._forms, room.firsts, room.first_words, self._seen, self._era, room.eras, self._some,
            *self._lately,
        )  # fmt: skip
        frames = self._number(columns, bad, first) if self._sums[scan.MAPS] != maps else None
        if code:
            raise self._refusal(first + bad, code, Columns._make(int(column[bad]) for column in columns))
        if self._system and len(self._numbers) != len(self._frames):
            self._numbers = self.frame_numbers()
        numbers = self._numbers if self._system else None
        return Surveyed(columns, frames, numbers, room.firsts[:found], room.first_words[:found], room.eras[:eras])

    def counts(self) -> dict[str, Any]:
        """Every shape column of the contract, and the sums over accesses other than IO that prices need.

        None is what the rows do not tell: which accesses are far, where no row tells of code (farcode.py).
        """
        n = {name: int(self._sums[index]) for index, name in enumerate(scan.COUNTED)}
        n["accesses"] = n["loads"] + n["stores"]
        n["ram_accesses"] = n["ram_loads"] + n["ram_stores"]
        n["pages"] = int(np.count_nonzero(self._touched[:PAGES]))
        shape = {name: n[name] for name in (*SHAPE, "ram_accesses", *scan.COUNTED[scan.MAPS :])}
        told = n["execs"] or not n["ram_accesses"]
        return shape | {"far_accesses": int(self._lately[0][farcode.FAR_ACCESSES]) if told else None}

    def frame_numbers(self) -> np.ndarray:
        """int64[frames]: the guest-physical page number of each frame, in order of first appearance."""
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

    def _refusal(self, row: int, code: int, at: Any) -> TraceError:
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
        keep = f"keep the rows before it: mmuexp trace slice {self.where or 'FILE'} 0:{row} -o NEW.arrow"
        return TraceError(f"row {row:,}: {why}", where=self.where, todo=keep if row else NOTHING_BEFORE, row=row)
