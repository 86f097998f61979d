"""Surveys the rows in one pass, before any scheme sees them.

It refuses the rows that are errors (MODEL.md section 1), takes the *shape counts*, which depend on the trace alone, and
finds once what every scheme must know of the rows that it accepted: `Surveyed`. What it adds to the page: a LOAD or
STORE of size 0 or above 64, an EXEC that reaches a third page, a MAP that does not begin a page, and a `page` other
than 0 outside MAP and annotations are errors; MAP of what is known already, unchanged, is none; an IO row is judged by
its first page alone; IO means something on LOAD, STORE and EXEC only.
"""

from collections.abc import Iterator
from threading import Lock
from typing import Any, NamedTuple

import numpy as np

from mmuexp.blocks.builder import Builder
from mmuexp.blocks.runs import MOST_SHAPES, MOST_SITES, OTHER, Runs
from mmuexp.emulator.state import new_page_table, zeros
from mmuexp.errors import TraceError
from mmuexp.events import SHAPE
from mmuexp.guest import ADDRESS_BITS, MAX_ACCESS_BYTES, MOST_MAP_PAGE, PAGES, Columns, Op, bits_of
from mmuexp.replay import farcode, firsts
from mmuexp.replay import survey_scan as scan
from mmuexp.replay.expand import expand
from mmuexp.replay.firsts import END_MADE, END_ROW, Rows
from mmuexp.replay.pages import LEVELS_OF, PageNumbers, following
from mmuexp.replay.shapes import MOST_ADDRESSES, PLACE_BITS, VADDR, ShapeBook, has_many_shapes
from mmuexp.replay.walked import Pages, Sites, Walked

NOTHING_BEFORE = "nothing stands before it: record it again"
MAX_FRAMES = 1 << 20  # physical pages that a trace may name: 4 GiB of them, so state stays bounded
CROWDED_ROWS = 1 << 17  # firsts of a batch: of a hundred recorded, hardly one has as many


class _RowRoom:
    """Room for the rows of one batch at a time, the one that is replayed."""

    def __init__(self) -> None:
        self.lock, self.turn = Lock(), 0  # how often another batch took it
        self._rows = firsts.room_for(0)
        self._taken_by: Any = None

    def taken_by(self, batch: Any) -> Rows:
        """Give it to a batch; the lock must be held."""
        if self._taken_by is not batch:
            self.turn, self._taken_by = self.turn + 1, batch
        if len(self._rows.key) < batch.runs.rows:
            self._rows = firsts.room_for(batch.runs.rows)
        return self._rows


class Batch(NamedTuple):
    """Runs, and room for their rows, of which are made those that some scheme must read."""

    runs: Runs
    walked: Walked
    room: _RowRoom


class Part(NamedTuple):
    """Consecutive rows of a batch that the survey accepted, with what replay must know of them."""

    batch: Batch
    place: np.ndarray  # as of an era: where the part begins
    stop: int  # the row of the batch before which it ends
    firsts: np.ndarray  # int32[firsts], ascending rows of the batch
    first_rows: Rows  # of the firsts
    eras: np.ndarray  # int64[eras, END_MADE + 1]
    turn: np.ndarray  # int64[1], of the room: when rows were made

    def room(self) -> Rows:
        """Give the room for the batch's rows, by number; what is not made yet is anything."""
        with self.batch.room.lock:
            return self._room()

    def _room(self) -> Rows:
        rows = self.batch.room.taken_by(self.batch)
        if self.turn[0] != self.batch.room.turn:  # what was made there is gone
            self.eras[:, END_MADE] = self.eras[:, END_ROW]
            self.turn[0] = self.batch.room.turn
        return rows

    def make_rows(self, era: int, row: int) -> Rows:
        """Make the rows of this era from row `row` of the batch on, as far as they are not made."""
        with self.batch.room.lock:
            rows, made = self._room(), self.eras[era, END_MADE]
            if row < made:
                expand(self.batch.walked, self.eras[era - 1] if era else self.place, row, made, rows)
                self.eras[era, END_MADE] = row
        return rows

    def make_all_rows(self) -> None:
        """Make the rows that are not made yet, era by era, for schemes that are about to ask for them."""
        for era, begin in enumerate([int(self.place[END_ROW]), *self.eras[:-1, END_ROW].tolist()]):
            self.make_rows(era, begin)

    def most_were_made(self) -> bool:
        """Tell whether schemes asked for rows of most eras."""
        made = np.count_nonzero(self.eras[:, END_MADE] < self.eras[:, END_ROW])
        return bool(2 * made > len(self.eras))


class Surveyed(NamedTuple):
    """Rows that the survey accepted, in one part or several, one after the other."""

    parts: list[Part]
    numbers: np.ndarray | None  # int64[frames so far]: their guest-physical page numbers; None in user mode
    addresses: int  # of code, that have a number so far
    pages: PageNumbers | None = None  # of a trace of 64 bits
    guest_bits: int = ADDRESS_BITS  # that the addresses so far take: of such a trace 48, 57 or 64

    @property
    def frames(self) -> np.ndarray | None:
        """int32[rows]: the frame of each MAP row, each of which is a first; None where there are no such rows."""
        found, any_map = [], False
        for part in self.parts:
            begin, maps = int(part.place[END_ROW]), (part.first_rows.about >> firsts.OP_AT & 0xFF) == Op.MAP
            frame = np.zeros(part.stop - begin, np.int32)
            frame[part.firsts[maps] - begin] = part.first_rows.key[maps]
            found.append(frame)
            any_map |= bool(maps.any())
        return np.concatenate(found) if any_map else None


class _Room:
    """Arrays for one part, used again for a later one, unless they were so full that they take too much memory."""

    def __init__(self, rows: int, dense: bool):
        self.rows, self.crowded = rows, False
        eras = zeros((rows + rows // firsts.ERA_ROWS + 2) * (firsts.END_MADE + 1), np.int64)
        eras = eras.reshape(-1, firsts.END_MADE + 1)
        self.found = scan.Found(zeros(rows, np.int32, dense=dense), firsts.room_for(rows, dense=dense), eras)


class Survey:
    """Validates the rows of one trace, batch by batch, and counts its shape.

    `mode` is the trace's; `where` names it in errors, in which rows count from `first`. Memory is bounded, however long
    the trace.
    """

    def __init__(self, mode: str, where: str = "", first: int = 0):
        self.mode, self.where = mode, where
        self._system = mode == "system"
        self._sums = np.zeros(len(scan.COUNTED) + 2, np.int64)
        self._sums[scan.EPOCH], self._sums[scan.ROWS] = 1, first
        self._sums[scan.MODE] = -1
        pages = PAGES if self._system else 1
        self._pages = Pages(
            zeros(PAGES, np.uint8), zeros(pages, np.int64), zeros(pages, np.uint32), zeros(PAGES, np.uint32),
            new_page_table().step,
        )  # fmt: skip
        self.pages: PageNumbers | None = None  # of a trace of 64 bits, from its first rows on
        self._sites: Any = None  # of the group, from its first rows on
        self._frames: dict[int, int] = {}
        self._numbers = np.empty(0, np.int64)
        self._too_many: tuple[int, int] | None = None  # which of the batch's others names a frame too many
        self._builder: Builder | None = None
        self._book = ShapeBook(not self._system, where)
        self._near, self._executed = farcode.NEAR, farcode.new_executed(MOST_ADDRESSES)
        self._at = np.zeros(scan.ERA_START + 1, np.int64)
        self._at[scan.ERA] = 1
        self._batch: Any = None
        # what one call gives out stays as it is through the next one
        self._rooms: list[list[_Room]] = [[], []]
        self._row_room = _RowRoom()
        self._vaddrs = [np.empty(0, np.uint32), np.empty(0, np.uint32)]

    @property
    def rows(self) -> int:
        """Rows fed so far."""
        return int(self._sums[scan.ROWS])

    def feed(self, rows: Columns | Runs, stop: int | None = None) -> Surveyed:
        """Take the next rows; of runs those up to row `stop` of theirs, and with the next call the others.

        Raises TraceError, with `row` counted from the trace's first, on the first bad one; nothing can be fed after it.
        The returned arrays are reused: each result stays valid through one further call, not two.
        """
        self._rooms.reverse()
        if isinstance(rows, Runs):
            parts = [self._part(rows, rows.rows if stop is None else stop, 0)]
        else:
            parts = [self._part(runs, runs.rows, n) for n, runs in enumerate(self._runs(rows))]
        if self._system and len(self._numbers) != len(self._frames):
            self._numbers = self.frame_numbers()
        numbers = self._numbers if self._system else None
        return Surveyed(parts, numbers, self._book.addresses, self.pages, self.guest_bits)

    def check(self, rows: Columns) -> None:
        """Take the next rows as `feed` does, and keep nothing for a replay: for errors and counts alone."""
        for runs in self._runs(rows):
            self._part(runs, runs.rows, 0)

    def _runs(self, rows: Columns) -> Iterator[Runs]:
        self._builder = self._builder or Builder(address_bits=bits_of(rows.vaddr))
        return self._builder.feed(rows)

    def _part(self, runs: Runs, stop: int, number: int) -> Part:
        if self._batch is None or runs is not self._batch.runs:
            self._begin(runs, number)
        at = self._at
        rooms, rows = self._rooms[0], stop - int(at[scan.ROW])
        new = len(runs.steps) + len(runs.others.op) + runs.shapes_so_far - runs.before
        dense = 2 * new > runs.rows  # so many rows may be firsts, which of recordings are few
        if number == len(rooms):
            rooms.append(_Room(rows, dense))
        elif rooms[number].rows < rows or rooms[number].crowded:
            rooms[number] = _Room(rows, dense)
        found = rooms[number].found
        place = np.array([at[scan.ROW], 0, 0, at[scan.RUN], at[scan.PART], at[scan.AT_ACCESS], at[scan.AT_OTHER]])
        first = self.rows - int(at[scan.ROW])
        count, ended, code, near = scan.walk(
            self._batch.walked, self._pages, self._sites, found, at, stop, self._sums, self._near, self._executed,
            self._system, self.pages is not None,
        )  # fmt: skip
        self._near = farcode.Near(*map(np.int64, near))
        self._refuse_frames(first)
        if code == scan.ONE_TOO_MANY:
            raise self._one_too_many(self.rows, f"touches the trace's {PAGES + 1:,}th page", f"{PAGES:,} pages")
        if code:
            raise self._refusal(self.rows, code)
        rooms[number].crowded = count > CROWDED_ROWS
        first_rows = Rows(*(column[:count] for column in found.rows))
        return Part(self._batch, place, stop, found.row[:count], first_rows, found.eras[:ended], np.zeros(1, np.int64))

    def _begin(self, runs: Runs, number: int) -> None:
        """Begin with the next batch, the `number`-th of its call."""
        others, frame, wide = runs.others, self._number(runs.others), bits_of(runs.steps) != ADDRESS_BITS
        if wide and self.pages is None:
            self.pages = PageNumbers()
            self._pages = self._pages._replace(step=self.pages.table.step)
        if runs.before == 0 or self._sites is None:  # what the group before told stays as it is for whoever reads it
            room, dense = (MOST_SHAPES + 1) * MOST_SITES, has_many_shapes(runs)
            vaddr, real = (zeros(room, dtype, dense=dense) for dtype in (np.uint32, runs.steps.dtype))
            pages = self.pages or PageNumbers()
            self._sites = Sites(vaddr, real if wide else vaddr, *pages.table, pages.counts)
        if self.pages is not None:  # what a MAP row has in `page` is then its frame's number and one, which fits
            page = np.where(others.op == Op.MAP, frame + 1, others.page != 0).astype(np.uint32)
            vaddr, flushes = others.vaddr.astype(np.uint32), others.op == Op.FLUSH
            vaddr[flushes] = self.pages.numbers_of_spaces(others.vaddr[flushes])
            others = others._replace(vaddr=vaddr, page=page)
        self._book.learn(runs)
        walked = Walked(
            runs.run, runs.changed, runs.steps, self._addresses(runs.accesses, number), runs.shapes.vaddr,
            runs.others.vaddr, *others, frame, runs.shapes_so_far + 1, *self._book.known,
        )  # fmt: skip
        self._batch = Batch(runs, walked, self._row_room if number == 0 else _RowRoom())
        self._at[: scan.ERA] = 0
        self._at[scan.KNOWN], self._at[scan.BEFORE], self._at[scan.ERA_START] = runs.before, -1, 0

    def _addresses(self, accesses: int, number: int) -> np.ndarray:
        """Room for the trace addresses of the `number`-th batch of a call, which a later one uses again."""
        if number:
            return np.empty(accesses + MOST_SITES, np.uint32)
        self._vaddrs.reverse()
        if len(self._vaddrs[0]) < accesses + MOST_SITES:
            self._vaddrs[0] = np.empty(accesses + MOST_SITES, np.uint32)
        return self._vaddrs[0]

    @property
    def guest_bits(self) -> int:
        """How many bits the addresses so far take: 32, and of a trace of 64 bits 48, 57 or 64."""
        return self.pages.address_bits if self.pages else ADDRESS_BITS

    @property
    def step(self) -> np.ndarray:
        """Tell which page follows another (pages.py)."""
        return self._pages.step

    def traced(self, columns: Columns) -> Columns:
        """Give rows that were fed trace addresses (pages.py): those of a trace of 32 bits have them."""
        return self.pages.columns(columns) if self.pages else columns

    def counts(self) -> dict[str, Any]:
        """Every shape column of the contract, and the sums over accesses other than IO that prices need.

        None is what the rows do not tell: which accesses are far and cold, where no row tells of code (farcode.py).
        """
        n = {name: int(self._sums[index]) for index, name in enumerate(scan.COUNTED)}
        n["accesses"] = n["loads"] + n["stores"]
        n["ram_accesses"] = n["ram_loads"] + n["ram_stores"]
        n["pages"] = int(np.count_nonzero(self._pages.touched))
        shape = {name: n[name] for name in (*SHAPE, "ram_accesses", *scan.COUNTED[scan.MAPS :])}
        told = n["execs"] or not n["ram_accesses"]
        far, cold = int(self._near.far_accesses), int(self._executed.long[farcode.COLD])
        return shape | {"far_accesses": far if told else None, "cold_accesses": cold if told else None}

    @property
    def walk_levels(self) -> int:
        """How many levels the guest's page table has: without PAE, and as many as the addresses so far take."""
        return LEVELS_OF[self.guest_bits]

    def frame_numbers(self) -> np.ndarray:
        """int64[frames]: the guest-physical page number of each frame, in order of first appearance."""
        return np.fromiter(self._frames, np.int64, len(self._frames))

    def known_pages(self) -> tuple[np.ndarray, np.ndarray]:
        """The virtual pages that a system trace knows by now, ascending, and their physical ones."""
        pages = np.flatnonzero(self._pages.epoch == self._sums[scan.EPOCH])
        if self.pages is None:
            return pages, self._pages.page_of[pages]
        frames = self.frame_numbers()[self._pages.page_of[pages].astype(np.int64) - 1]
        real = self.pages.real(pages)
        order = np.argsort(real)
        return real[order], frames[order]

    def _number(self, others: Columns) -> np.ndarray:
        """Number the frames of a batch's MAP rows densely, in order of first appearance."""
        frame, self._too_many = np.zeros(len(others.op), np.int32), None
        where = np.flatnonzero(others.op == Op.MAP)
        if not self._system or not len(where):
            return frame
        pages, appears, inverse = np.unique(others.page[where], return_index=True, return_inverse=True)
        dense = np.zeros(len(pages), np.int32)
        for index in np.argsort(appears):
            dense[index] = self._frames.setdefault(int(pages[index]), len(self._frames))
            too_large = int(pages[index]) > MOST_MAP_PAGE
            if (too_large or len(self._frames) > MAX_FRAMES) and self._too_many is None:
                self._too_many = int(where[appears[index]]), int(pages[index])
        frame[where] = dense[inverse]
        return frame

    def _refuse_frames(self, first: int) -> None:
        """Raise TraceError if a MAP row that was walked names a frame too many; `first` is the batch's first row."""
        if self._too_many is None or self._too_many[0] >= self._at[scan.AT_OTHER]:
            return
        (other, page), runs = self._too_many, self._batch.runs
        before = runs.run[: np.flatnonzero(runs.run == OTHER)[other]]
        rows = np.diff(runs.shapes.first_site) + (runs.shapes.size != 0)
        rows[OTHER] = 1
        row = first + int(rows[before].sum())
        if page > MOST_MAP_PAGE:
            raise self._bad(row, f"MAP of physical page {page:#x}, beyond {MOST_MAP_PAGE:#x}")
        what = f"MAP of physical page {page:#x}, the trace's {MAX_FRAMES + 1:,}th"
        raise self._one_too_many(row, what, f"{MAX_FRAMES:,}")

    def _one_too_many(self, row: int, what: str, holds: str) -> TraceError:
        return TraceError(f"row {row:,}: {what}", where=self.where, todo=f"replay holds {holds}; slice it", row=row)

    def _refused(self) -> tuple[Any, int]:
        """Tell what the row is at which the walk stands, in the guest's own addresses; and its page, by number."""
        runs, walked, place = self._batch.runs, self._batch.walked, self._at
        row: Any = Columns
        shape, other = int(runs.run[place[scan.RUN]]), int(place[scan.AT_OTHER])
        if shape == OTHER:
            return row._make(int(column[other]) for column in runs.others), int(walked.other_vaddr[other]) >> 12
        size, insns, flags = (int(column[shape]) for column in runs.shapes[1:4])
        part = int(place[scan.PART]) - (size != 0)
        if part < 0:
            page = int(self._book.known.shape[shape << PLACE_BITS | VADDR]) >> 12
            return row(int(runs.shapes.vaddr[shape]), 0, size, insns, int(Op.EXEC), flags), page
        site = int(runs.shapes.first_site[shape]) + part
        told = (int(column[site]) for column in runs.sites)
        return row(int(self._sites.real[site]), 0, *told), int(self._sites.vaddr[site]) >> 12

    def _refusal(self, row: int, code: int) -> TraceError:
        """Say why row `row` is refused, at which the walk stands."""
        at, page = self._refused()
        name = Op(at.op).name if at.op in Op.__members__.values() else f"op {at.op}"
        here = f"{name} at {at.vaddr:#010x}"
        if code == scan.BAD_UNKNOWN and self._pages.epoch[page] == self._sums[scan.EPOCH]:
            page = int(following(page, self._pages.step))
        known = int(self._pages.page_of[page]) if self._system else page
        if self.pages is not None:
            page = int(self.pages.real(np.array([page]))[0])
            known = int(self.frame_numbers()[known - 1]) if self._system and known else page
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
        return self._bad(row, why)

    def _bad(self, row: int, why: str) -> TraceError:
        keep = f"keep the rows before it: mmuexp trace slice {self.where or 'FILE'} 0:{row} -o NEW.arrow"
        return TraceError(f"row {row:,}: {why}", where=self.where, todo=keep if row else NOTHING_BEFORE, row=row)
