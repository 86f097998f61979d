"""Makes rows of the instructions and accesses that an importer reads, and gives them to the trace's writer.

One builder for all formats: runs of consecutive instructions, accesses of at most 64 bytes, regions that are moved.
"""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from mmuexp.errors import TraceError, option
from mmuexp.guest import ADDRESS_BITS, BATCH_ROWS, WIDE_BITS, Columns
from mmuexp.runtime.threads import apart
from mmuexp.trace.format import TraceWriter, empty

MOST_EVENTS = 1 << 18
OUT_ROWS = 1 << 18
REBASE_BITS = {"256MiB": 28, "16MiB": 24}


class Events(NamedTuple):
    """What an importer fills: arrays with one element for each instruction and access, as rows_scan.py says."""

    kinds: np.ndarray  # uint8
    addresses: np.ndarray  # int64, bit patterns
    sizes: np.ndarray  # int32, bytes; 0 of an access is unknown
    places: np.ndarray  # int64, number of its line or record, from 0


class Rows:
    """Takes events and writes rows.

    `where` and `unit` ("line", "record") are how an error names an event's place. `rebase` is how many bits of an
    address stay when regions are moved into 4 GiB, 0 if none is: then addresses have 32 bits until one needs 64.
    `size_bytes` is what the user says that accesses of unknown size have, or 0.
    """

    def __init__(self, where: str, unit: str, target: "Target", rebase: int = 0, size_bytes: int = 0):
        from mmuexp.trace.importers import rows_scan as scan

        self.scan, self.unit, self.target = scan, unit, target
        self.rebase, self.size_bytes = rebase, size_bytes
        self.bits = rebase or (WIDE_BITS if target.is_wide else 0)
        room = MOST_EVENTS
        self.events = Events(
            np.empty(room, np.uint8), np.empty(room, np.int64), np.empty(room, np.int32), np.empty(room, np.int64)
        )
        self.state = np.zeros(scan.STATE_WORDS, np.int64)
        self.state[scan.EXEC_ROW] = self.state[scan.LAST_SMALL] = -1
        hashed = scan.HASHED if rebase else 1
        self.regions = scan.Regions(
            np.zeros(hashed, np.int64), np.zeros(hashed, np.int32), np.zeros(hashed, np.int64),
            np.zeros(hashed, np.int32), np.zeros(256, np.int64),
        )  # fmt: skip
        self.place: Callable[[int], tuple[str, int]] = lambda place: (where, place)  # file, and number in it
        self.held = 0  # events at the front of `events` that wait for the next instruction
        self.written = 0  # rows handed over
        self._out, self._rows = empty(OUT_ROWS, WIDE_BITS), 0
        self._crowded: Crowded | None = None

    def add(self, count: int) -> None:
        """Take events[:count]; the importer has put its own behind the first `held`. Those that are to wait for the
        next instruction are at the front afterwards. Raises TraceError with the place of a bad one."""
        ready = self.scan.resolve(*self.events[:3], count, False)
        if count - ready > MOST_EVENTS // 2:  # data without end after one instruction: it does not wait for another
            ready = self.scan.resolve(*self.events[:3], count, True)
        self._take(ready)
        self.held = count - ready
        for column in self.events:
            column[: self.held] = column[ready:count].copy()

    def finish(self) -> None:
        """No event follows. Raises TraceError if there was none, or if regions did not fit."""
        self.scan.resolve(*self.events[:3], self.held, True)
        self._take(self.held)
        self.held = 0
        if self._crowded:
            raise self._too_many(self._crowded)
        apart(self.scan.end_run, self.state, self._out.size, self._out.insns)
        self._write(final=True)

    def widen(self) -> bool:
        """Have addresses of 64 bits from here on, unless regions are moved. False: too many rows have 32 already."""
        if not self.bits and not self.target.widen():
            return False
        self.bits = self.bits or WIDE_BITS
        return True

    @property
    def unknown_sizes(self) -> int:
        return int(self.state[self.scan.UNKNOWN_SIZES])

    @property
    def split_records(self) -> int:
        return int(self.state[self.scan.SPLIT])

    @property
    def cut_records(self) -> int:
        return int(self.state[self.scan.CUT])

    def moved(self) -> list[tuple[int, int]]:
        """(first address, where it went) of each region that moved."""
        found = []
        for slot in range(int(self.state[self.scan.REGIONS])):
            origin = (int(self.regions.origins[slot]) << self.rebase) & (2**64 - 1)
            if origin != slot << self.rebase:
                found.append((origin, slot << self.rebase))
        return found

    def _take(self, count: int) -> None:
        start, events = 0, self.events
        while start < count and not self._crowded:
            start, self._rows, refused = self.scan.to_rows(
                *events[:3], start, count, self.size_bytes or 1, self.bits, self.state, self.regions, self._out,
                self._rows,
            )  # fmt: skip
            if refused == self.scan.WIDE and self.widen():
                continue
            if refused == self.scan.CROWDED:
                self._crowded = Crowded(int(events.places[start]), int(events.addresses[start]) & (2**64 - 1))
                break
            if refused:
                raise self._refusal(refused, start)
            self._write(final=False)
        if self._crowded:
            rest = (column[start:count] for column in events[:3])
            if not self.scan.count_regions(*rest, count - start, self.bits, self.state, self.regions):
                raise self._too_many(self._crowded)

    def _write(self, final: bool) -> None:
        """Hand over the rows that are final; those of the open run move to the front."""
        open_row = int(self.state[self.scan.EXEC_ROW])
        done = self._rows if open_row < 0 else open_row
        if not done or (not final and self._rows < OUT_ROWS // 4):
            return
        self.target.append(Columns(*(column[:done] for column in self._out)))
        for column in self._out:
            column[: self._rows - done] = column[done : self._rows].copy()
        self._rows -= done
        self.written += done
        if open_row >= 0:
            self.state[self.scan.EXEC_ROW] = 0

    def _refusal(self, why: int, index: int) -> TraceError:
        scan, address = self.scan, int(self.events.addresses[index]) & (2**64 - 1)
        what, todo = {
            scan.WIDE: (
                f"has address {address:#x}, the first beyond 32 bits",
                f"name a file, which can be read again, or move regions into 4 GiB: {option('rebase', True)}",
            ),
            scan.LONG: (
                f"has more than {scan.MAX_RECORD_BYTES:,} bytes of data, or {scan.MAX_CODE_BYTES:,} of code",
                "mend it",
            ),
            scan.EMPTY: ("has an instruction of 0 bytes", "mend it"),
        }[why]
        where, place = self.place(int(self.events.places[index]))
        line = f"{self.unit} {place + 1:,} {what}"
        if why == scan.WIDE:
            return Wide(line, where=where, todo=todo, row=place)
        return TraceError(line, where=where, todo=todo, row=place)

    def _too_many(self, first: "Crowded") -> TraceError:
        small, count = int(self.state[self.scan.SMALL]), int(self.state[self.scan.REGIONS])
        most = self.scan.MOST_REGIONS
        slots, size = 1 << 32 - self.bits, 1 << self.bits - 20
        in_all = f"{count:,}" if max(small, count) < most else f"more than {count:,}"
        what = f"has address {first.address:#x}, in the {slots + 1}th region of {size} MiB; {slots} fit into 4 GiB, "
        what += f"and there are {in_all} in all"
        todo = "import a part of it"
        if self.bits > self.scan.SMALL_BITS and small <= 256:
            todo = f"move smaller ones: {option('rebase', True)}=16MiB (there are {small:,} of 16 MiB, and 256 fit)"
        where, place = self.place(first.place)
        return TraceError(f"{self.unit} {place + 1:,} {what}", where=where, todo=todo, row=place)


class Target:
    """Where the rows go: a trace of 32 bits, which becomes one of 64 while its first rows are still held.

    `wide`: it has 64 from the beginning. A context manager: what was not closed is taken away.
    """

    def __init__(self, path: str, wide: bool = False):
        self.path, self.is_wide = path, wide
        self._writer = self._opened()
        self._held: list[Columns] = []
        self._rows = 0

    def _opened(self) -> TraceWriter:
        bits = WIDE_BITS if self.is_wide else ADDRESS_BITS
        return TraceWriter(self.path, mode="user", address_bits=bits)

    def append(self, columns: Columns) -> None:
        """Take rows, in columns that the caller may use again."""
        self._rows += len(columns.op)
        if self._rows < BATCH_ROWS and not self.is_wide:
            self._held.append(Columns(*(column.copy() for column in columns)))
            return
        self._hand_over()
        self._writer.append(columns)

    def widen(self) -> bool:
        """Become a trace of 64 bits. False where that is too late."""
        if self.is_wide:
            return True
        if self._rows >= BATCH_ROWS:
            return False
        self._writer.abort()
        self.is_wide = True
        self._writer = self._opened()
        self._hand_over()
        return True

    def close(self, complete: str | None, metadata: dict[str, str]) -> None:
        """Write the end; then the file has its name."""
        self._hand_over()
        self._writer.close(complete, metadata=metadata)

    def _hand_over(self) -> None:
        held, self._held = self._held, []
        for columns in held:
            self._writer.append(columns)

    def __enter__(self) -> "Target":
        return self

    def __exit__(self, *_: object) -> None:
        self._writer.abort()  # a closed one stays


class Wide(TraceError):
    """An address beyond 32 bits where it is too late for 64."""


class Crowded(NamedTuple):
    """The first event in a region that has no room: number of its line or record, address."""

    place: int
    address: int
