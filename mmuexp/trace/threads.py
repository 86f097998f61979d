"""Tells which rows are of which thread, and shows a trace as if one thread alone had run.

A THREAD row says whose the rows after it are; those before the first one are of thread 0. It is nobody's row.
"""

from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

import numpy as np

from mmuexp.blocks.builder import runs_of
from mmuexp.blocks.runs import Runs
from mmuexp.errors import TraceError, UsageError, option
from mmuexp.guest import THREAD, Columns
from mmuexp.trace.reader import Trace

ALL = "all"
MOST_THREADS = 1 << 16  # that rows are counted for: the recorder has no more
NAMED = 20  # in a line of text


class Turns:
    """Takes the rows of one trace, batch by batch; knows whose turn it is."""

    def __init__(self):
        self.thread = 0

    def feed(self, columns: Columns) -> tuple[np.ndarray, np.ndarray]:
        """uint64[turns] threads, int64[turns] rows of the turns in these rows; all but the first begin with THREAD."""
        at = np.flatnonzero(columns.op == THREAD)
        threads = np.concatenate((np.array([self.thread], np.uint64), columns.vaddr[at].astype(np.uint64)))
        self.thread = int(threads[-1])
        return threads, np.diff(np.concatenate(([0], at, [len(columns.op)])))


class ThreadRows:
    """How many rows each thread of a trace has, THREAD rows not counted. `rows` is empty while none is told, and None
    where there are more threads than MOST_THREADS."""

    def __init__(self):
        self._turns, self._told = Turns(), False
        self._rows: dict[int, int] | None = {}

    def feed(self, columns: Columns) -> None:
        if self._rows is None:
            return
        threads, rows = self._turns.feed(columns)
        self._told |= len(threads) > 1
        rows[1:] -= 1
        named, place = np.unique(threads, return_inverse=True)
        sums = np.zeros(len(named), np.int64)
        np.add.at(sums, place, rows)
        for thread, count in zip(named.tolist(), sums.tolist(), strict=True):
            if count:
                self._rows[thread] = self._rows.get(thread, 0) + count
        if len(self._rows) > MOST_THREADS:
            self._rows = None

    @property
    def rows(self) -> dict[int, int] | None:
        """Rows by thread, in ascending order."""
        if self._rows is None:
            return None
        return dict(sorted(self._rows.items())) if self._told else {}

    @property
    def every(self) -> dict[int, int] | None:
        """As `rows`; all are of thread 0 where none is told."""
        return None if self._rows is None else dict(sorted(self._rows.items())) or {0: 0}


class OfThread:
    """An open trace, but the rows of one thread alone; read as the trace itself is. Other annotations of its turns
    stay, THREAD rows do not. Rows are numbered without those of others: `in_file` gives their place in the file.

    Raises TraceError where the trace has no such thread, or tells none. Takes one pass over the trace.
    """

    def __init__(self, trace: Trace, thread: int):
        self.trace, self.thread = trace, thread
        self.path, self.mode, self.metadata = trace.path, trace.mode, trace.metadata
        self.complete, self.window, self.size_bytes = trace.complete, trace.window, trace.size_bytes
        self.address_bits = trace.address_bits
        if self.mode != "user":
            what = "is a recording of a whole guest, which tells no threads"
            raise TraceError(what, where=self.path, todo=f"leave {option('thread', '')} out")
        counted = ThreadRows()
        for columns in trace.batches():
            counted.feed(columns)
        found = counted.every
        if found is None:
            raise TraceError(
                f"has more than {MOST_THREADS:,} threads", where=self.path, todo=f"leave {option('thread', '')} out"
            )
        if thread not in found:
            there = named(list(found))
            todo = f"there is {there}; or say {option('thread', 'all')}"
            raise TraceError(f"has no thread {thread}", where=self.path, todo=todo)
        self.rows = self.file_rows = found[thread]
        self._given: deque = deque(maxlen=2)  # (number of its first row, places of its rows in the file) of a batch
        self.decodes = False  # an error comes from the file itself

    def batches(self, *, ahead: bool = True) -> Iterator[Columns]:
        """As `Trace.batches`."""
        turns, first, row, self.decodes = Turns(), 0, 0, True
        for columns in self.trace.batches(ahead=ahead):
            threads, rows = turns.feed(columns)
            places = np.flatnonzero(np.repeat(threads == self.thread, rows) & (columns.op != THREAD))
            if len(places):
                self._given.append((row, places + first))
                row += len(places)
                self.decodes = False
                yield Columns(*(column[places] for column in columns))
                self.decodes = True
            first += len(columns.op)

    def runs(self, *, ahead: bool = True) -> Iterator[Runs]:
        """As `Trace.runs`."""
        return runs_of(self.batches(ahead=ahead))

    def in_file(self, rows: np.ndarray) -> np.ndarray:
        """The numbers in the file of rows of one of the latest two batches. Raises LookupError for other rows."""
        for first, places in self._given:
            if len(rows) and first <= rows[0] and rows[-1] < first + len(places):
                return places[rows - first]
        raise LookupError

    def sha256(self) -> str:
        """Of the whole file."""
        return self.trace.sha256()


def named(threads: list[int]) -> str:
    """Name threads in words: runs of numbers, as in "0 to 8, 11"."""
    runs: list[list[int]] = []
    for thread in threads:
        if runs and thread == runs[-1][1] + 1:
            runs[-1][1] = thread
        else:
            runs.append([thread, thread])
    texts = [f"{first:,}" if first == last else f"{first:,} to {last:,}" for first, last in runs[:NAMED]]
    more = len(threads) - sum(last - first + 1 for first, last in runs[:NAMED])
    return "thread " + ", ".join(texts) + (f" and {more:,} more" if more else "")


def checked_thread(given: Any) -> int | None:
    """Take the number of a thread from what a user says; None is all of them. Raises UsageError."""
    if given is None or given == ALL:
        return None
    text = str(given)
    if not (text.isascii() and text.isdigit() and len(text) < 11 and int(text) < 1 << 32):
        raise UsageError(f"{given!r} is not a thread", where="thread", todo="give its number, from 0, or all")
    return int(text)


@contextmanager
def shown(trace: Trace, thread: int | None) -> Iterator[Any]:
    """Show the open trace, all of it or one thread's rows; a bad row is then told by its number in the file."""
    if thread is None:
        yield trace
        return
    one = OfThread(trace, thread)
    try:
        yield one
    except TraceError as error:
        row = error.row
        if row is None or one.decodes:
            raise
        with suppress(LookupError):
            place = int(one.in_file(np.array([row]))[0])
            what = error.what.replace(f"row {row:,}:", f"row {place:,}:", 1)
            todo = error.todo.replace(f" 0:{row} ", f" 0:{place} ", 1)
            raise type(error)(what, where=error.where, todo=todo, row=place) from None
        raise
