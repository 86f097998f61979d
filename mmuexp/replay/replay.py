"""Replay: one strategy over one trace, batch by batch, in exact counts. The loop itself is in loop.py."""

from typing import Any

import numba
import numpy as np

from mmuexp.emulator.code import with_more_blocks
from mmuexp.emulator.faults import WIDE_FAULT, fault_type
from mmuexp.emulator.reserve import SPLITS
from mmuexp.emulator.state import (
    DROPPED,
    MAX_BLOCKS,
    ROW_FAULTS,
    PageTable,
    new_emulator,
    records,
    with_room_for_addresses,
)
from mmuexp.errors import MmuexpError, SchemeStopped, TraceError
from mmuexp.events import FAULTS, FIRST_EXTRA, Event
from mmuexp.guest import ADDRESS_BITS, PAGE_BITS
from mmuexp.replay.compiled import loop_of
from mmuexp.replay.entries import NO_ENTRIES, entries_of
from mmuexp.replay.fetches import Fetches
from mmuexp.replay.firsts import END_ROW, Rows, room_for
from mmuexp.replay.loop import CURSOR, DONE, LOG_FULL, NO_ROOM, NO_ROWS, STOPPED, Batch
from mmuexp.replay.pages import FEWEST_WIDE_BITS, PageNumbers
from mmuexp.replay.survey import Part, Surveyed
from mmuexp.strategy import Strategy, nothing
from mmuexp.strategy.bounds import interpreted, is_own
from mmuexp.strategy.mistakes import blamed, checked_counts, checked_state, conflict_of, wrong_answer

NO_FETCHES = np.empty(0, np.int64), room_for(0)


class Replay:
    """One strategy over one trace of `mode` "user" or "system"; feed it in order what the survey accepted.

    `address_bits` are the trace's. `filtered=False` asks the strategy about every row; the counts must be the same.
    With `log` above 0 every host fault is logged, in pieces of about so many, for `faults` to hand out. `trusts_passed`
    is that of compiled.loop_of.
    """

    def __init__(
        self, strategy: Strategy, mode: str, *, filtered: bool = True, where: str = "", log: int = 0,
        trusts_passed: bool = True, address_bits: int = ADDRESS_BITS,
    ) -> None:  # fmt: skip
        # of 64 bits a guest has 48 until a row shows more
        strategy = strategy.of_guest(ADDRESS_BITS if address_bits == ADDRESS_BITS else FEWEST_WIDE_BITS)
        self.strategy, self.mode, self.where, self._address_bits = strategy, mode, where, address_bits
        self.rows = 0
        with blamed(type(strategy)):
            self._state = checked_state(strategy)
        self._emulator: Any = None  # made when it is needed: schemes wait for others, where memory is short
        self._log = records(log + ROW_FAULTS - 1 if log else 0, WIDE_FAULT)
        self._logged: list[np.ndarray] = []  # FAULT[faults] each, taken from the log when it was full
        self._by_cause = np.zeros(256, np.int64)  # what was logged in all
        self._n = np.zeros(FIRST_EXTRA + len(strategy.extra_events), np.int64)
        self._n[Event.PEAK_MAPPINGS] = 1  # the empty reserve is one mapping
        self._cursor: Any = records(1, CURSOR)
        self._cursor.user_mode, self._cursor.filtered, self._cursor.epoch = mode == "user", filtered, 1
        self._frames = 0
        self._pages: PageNumbers | None = None
        self._fetches: Fetches | None = None
        cls: Any = type(strategy)
        self._cursor.at_work = -1
        self._loop: Any = loop_of(cls, hasattr(self._state, "reserve"), trusts_passed)

    def feed(self, rows: Surveyed) -> None:
        """Replay one batch that the survey accepted.

        Raises SchemeStopped on the row that the strategy cannot serve; nothing can be fed after it.
        """
        if self._emulator is None:
            self._pages = rows.pages
            self._emulator = new_emulator(self._page_table)
        if rows.numbers is not None and len(rows.numbers) > self._frames:
            self._number_frames(rows.numbers[self._frames :])
        elif rows.numbers is None and rows.pages is not None:  # a frame is a virtual page
            self._number_frames(rows.pages.real(np.arange(self._frames, rows.pages.count)))
        if rows.pages is not None:
            self.strategy = self.strategy.of_guest(rows.guest_bits)
        if rows.addresses > len(self._emulator.entered):
            self._emulator = with_room_for_addresses(self._emulator, rows.addresses)
        for part in rows.parts:
            self._feed(part)

    def _number_frames(self, numbers: np.ndarray) -> None:
        """Tell the emulator which pages the next frames are."""
        frames = slice(self._frames, self._frames + len(numbers))
        self._emulator.frame.number[frames] = numbers & 0xFFFFFFFF
        self._emulator.number_high[frames] = numbers >> 32
        self._frames = frames.stop

    def _feed(self, part: Part) -> None:
        if type(self.strategy).kernels.fetch is not nothing and self._fetches is None:
            self._fetches = Fetches(self.mode, self._page_table)
        fetches, fetch_rows = self._fetches.of(part) if self._fetches else NO_FETCHES
        every = part.room()
        entries = entries_of(part) if type(self.strategy).kernels.sites else NO_ENTRIES
        batch = Batch(every, part.firsts, part.first_rows, part.eras, fetches, fetch_rows, entries)
        cursor, begin = self._cursor, int(part.place[END_ROW])
        cursor.first_row = self.rows - begin
        cursor.era = cursor.first = cursor.every = cursor.fetched = cursor.begun = 0
        cursor.row = begin
        why = None
        while why != DONE:
            why = self._run(batch)
            row = int(cursor.row[0])
            if why == NO_ROWS:
                part.make_rows(int(cursor.era[0]), row)
            elif why == NO_ROOM:
                self._more_room(self.rows - begin + row)
            elif why == LOG_FULL:
                self._take_log()
            elif why == STOPPED:
                self._stopped(self.rows - begin + row, part.make_rows(int(cursor.era[0]), row), row)
        self.rows += part.stop - begin

    def _stopped(self, number: int, rows: Rows, row: int) -> None:
        what = f"row {number}: {conflict_of(self.strategy, int(self._real(rows.vaddr[row] >> PAGE_BITS)))}"
        todo = f"leave {self.strategy} out, or change its parameters"
        raise SchemeStopped(what, where=self.where, row=number, todo=todo)

    @property
    def _page_table(self) -> PageTable | None:
        return None if self._pages is None else self._pages.table

    def _real(self, page: Any) -> Any:
        """Give the guest's page behind a number."""
        return page if self._pages is None else self._pages.real(page)

    def _run(self, batch: Batch) -> int:
        arguments = self._cursor, self._log, batch
        with blamed(type(self.strategy)):
            try:
                return self._loop(self._state, self._emulator, self._n, *arguments)
            except numba.core.errors.TypingError as error:
                if is_own(type(self.strategy)):
                    raise
                raise wrong_answer(type(self.strategy), self._state, self._emulator, self._n) or error from None
            except IndexError as error:  # compiled code does not say in which line
                if is_own(type(self.strategy)) or numba.config.DISABLE_JIT:
                    raise
                raise self._in_plain_python(*arguments) or error from None

    def _in_plain_python(self, *arguments: Any) -> IndexError | None:
        """Find what the batch says of an index out of range where nothing is compiled; None if it says nothing now.

        The first batch begins anew with an empty state. The start of a later one is lost, and the rows come again.
        """
        state, emulator, n = self._state, self._emulator, self._n
        if not self.rows:
            state, n = self.strategy.state(), self._n * 0
            emulator = new_emulator(self._page_table)
            emulator.frame["number"][: self._frames] = self._emulator.frame.number[: self._frames]
            emulator.number_high[: self._frames] = self._emulator.number_high[: self._frames]
        try:
            with np.errstate(all="ignore"):
                interpreted(self._loop.dispatcher)(state, emulator, n, *arguments)
        except IndexError as error:
            return error
        except Exception:
            return None
        return None

    def _more_room(self, row: int) -> None:
        if self._emulator.block.size >= MAX_BLOCKS:
            what = f"row {row}: more than {MAX_BLOCKS} different blocks are translated"
            raise TraceError(
                what, where=self.where, row=row, todo="no real guest has as many; run `mmuexp trace verify`"
            )
        self._emulator = with_more_blocks(self._emulator)

    def _take_log(self) -> None:
        records = self._log[: self._cursor.logged[0]].view(WIDE_FAULT, np.ndarray)
        records = records.astype(fault_type(self._address_bits))
        self._cursor.logged = 0
        self._by_cause += np.bincount(records["cause"], minlength=256)
        self._logged.append(records)

    def faults(self) -> np.ndarray:
        """Hand out the host faults since the last call, in order: FAULT[faults] (row, vaddr, cause), packed records.

        They are held until they are asked for: after each batch, to stay in bounded memory. Empty without `log`.
        """
        self._take_log()
        found, self._logged = self._logged, []
        return np.concatenate(found)

    @property
    def counters(self) -> np.ndarray:
        """What is counted so far, by the place of its event: also what the scheme does not declare."""
        return self._n

    def check_log(self) -> None:
        """Raises MmuexpError if the scheme counted a fault that it did not log. Call `faults` before."""
        for at in sorted({*FAULTS, *map(int, np.flatnonzero(self._by_cause))}):
            if self._n[at] != self._by_cause[at]:
                raise MmuexpError(
                    f"counts {self._n[at]} {self.strategy.column_of(at)}, and logs {self._by_cause[at]}",
                    where=str(self.strategy),
                    todo="a kernel counts a fault with fault(e, n, Event, vaddr) of mmuexp.emulator.faults",
                )

    def counts(self) -> dict[str, int]:
        """Event columns so far; columns that the scheme does not have are missing."""
        if self._emulator is not None:  # counted there, as what drops a block need not know of counters
            self._n[Event.BLOCKS_DROPPED] = self._emulator.control[DROPPED]
        if hasattr(self._state, "reserve"):
            self._n[Event.SPLIT_MAPPINGS] = self._state.reserve.control[SPLITS]
        with blamed(type(self.strategy)):
            return checked_counts(self.strategy, self.strategy.result(self._n, self._state))

    @property
    def state(self) -> Any:
        """Show the strategy's own state, for tests."""
        return self._state
