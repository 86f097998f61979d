"""Reads text of lines for an importer: hands it to the format's loop, tells threads apart, names a bad line."""

from collections.abc import Callable
from typing import Any, NamedTuple, NoReturn

import numpy as np

from mmuexp.errors import TraceError, option
from mmuexp.trace.importers import Note, Options, Told
from mmuexp.trace.importers.rows import Rows
from mmuexp.trace.importers.source import quoted

MOST_LINE_BYTES = 1 << 20
LISTED_THREADS = 8  # in an error


class Refused(NamedTuple):
    """What is said of a line: what it is, and what to do."""

    what: str
    todo: str


class Layout(NamedTuple):
    """What a format is, for those who read its text."""

    parse: Any  # its loop, as text_scan.py says
    recorder: str
    expected: str  # how a line looks
    explain: Callable[[bytes, int], Refused | None]  # what an offending line is, given why; None: nothing known
    todo: str  # how to record what can be read
    left: str = ""  # words for what is no access: "prefetches left out"
    lengths: bool = True  # are lengths of instructions told?


class Text:
    """The text of one file. `own` are the places of `state` that are the format's, from text_scan.OWN on."""

    def __init__(self, source: Any, rows: Rows, options: Options, layout: Layout, own: tuple[int, ...] = ()):
        from mmuexp.trace.importers import text_scan as scan

        self.scan, self.source, self.rows, self.options, self.layout = scan, source, rows, options, layout
        self.state = state = np.zeros(scan.STATE_WORDS, np.int64)
        state[scan.WANTED] = scan.ANY if options.thread is None else options.thread
        state[scan.INTERLEAVE], state[scan.SKIP], state[scan.THREAD] = (
            options.interleave,
            options.skip_foreign,
            scan.ANY,
        )
        state[scan.OWN : scan.OWN + len(own)] = own
        self.threads = scan.Threads(*(np.zeros(scan.MOST_THREADS, np.int64) for _ in scan.Threads._fields))
        self.rest = b""

    def read(self, complete: str | None = None, **metadata: str) -> Told:
        """Give all lines to rows, and say what they were. Raises TraceError with the number of a bad one."""
        before = b""
        for data in self.source.chunks():
            self._feed(before, final=False)
            before = data
        self._feed(before, final=True)
        scan, state = self.scan, self.state
        self._check_threads()
        notes = [Note("left_out_lines", int(state[scan.FOREIGN]), "foreign lines left out")]
        if self.layout.left:
            notes.append(Note("left_out_records", int(state[scan.LEFT]), self.layout.left))
        remarks = ["the last line has no end: it may be cut"] if state[scan.OPEN_END] and not state[scan.ENDED] else []
        keys = self._sizes() | self._code() | metadata
        return Told(self.layout.recorder, int(state[scan.LINE]), keys, complete, tuple(notes), tuple(remarks))

    def _feed(self, data: bytes, final: bool) -> None:
        """The next bytes. What lies after the last whole line waits for more."""
        scan, state, rows = self.scan, self.state, self.rows
        data = self.rest + data
        array, at, full = np.frombuffer(data, np.uint8), 0, True
        while full:
            state[scan.EVENTS] = rows.held
            used, why = self.layout.parse(array[at:], final, rows.events, state, self.threads)
            at += used
            full = state[scan.EVENTS] + scan.MARGIN > len(rows.events.kinds)
            rows.add(int(state[scan.EVENTS]))
            if why:
                self._refuse(why, data[at:], final)
        self.rest = data[at:]
        if len(self.rest) > MOST_LINE_BYTES:
            self._refuse(scan.MALFORMED, self.rest, False)

    def _sizes(self) -> dict[str, str]:
        """What the trace says of sizes (`mmuexp.sizes`)."""
        unsized, accesses = (int(self.state[place]) for place in (self.scan.UNSIZED, self.scan.ACCESSES))
        if not unsized:
            return {}
        if self.options.size:
            return {"sizes": f"assumed {self.options.size}"}
        return {"sizes": "unknown"} if unsized == accesses else {"sizes": "partly", "unknown_sizes": str(unsized)}

    def _code(self) -> dict[str, str]:
        """What the trace says of code (`mmuexp.code`)."""
        if not self.state[self.scan.INSTRUCTIONS]:
            return {"code": "none"}
        return {} if self.layout.lengths else {"code": "lengths unknown"}

    def _check_threads(self) -> None:
        """Raises TraceError if several threads are there and nobody said what to do, or the one wanted is not."""
        scan, state, options = self.scan, self.state, self.options
        if state[scan.SEVERAL]:
            todo = f"take one, {option('thread', '')} ID, or all in the order of the file, {option('interleave', True)}"
            raise TraceError(f"holds {self._listed()}", where=self.source.name, todo=todo)
        if options.thread is not None and state[scan.THREADS] and options.thread not in self._ids():
            raise TraceError(
                f"has no thread {options.thread}", where=self.source.name, todo=f"it holds {self._listed()}"
            )

    def _ids(self) -> list[int]:
        return [int(one) for one in self.threads.ids[: self.state[self.scan.THREADS]]]

    def _listed(self) -> str:
        if self._ids() == [self.scan.NO_THREAD]:
            return "one thread, which has no number"
        told = []
        for place, one in enumerate(self._ids()[:LISTED_THREADS]):
            code, data = int(self.threads.instructions[place]), int(self.threads.accesses[place])
            told.append(f"{one} ({code:,} instructions, {data:,} accesses)" if code else f"{one} ({data:,} accesses)")
        more = len(self._ids()) - len(told)
        count = f"{len(self._ids()):,} thread{'s' if len(self._ids()) > 1 else ''}: "
        return count + ", ".join(told) + (f" and {more:,} more" if more else "")

    def _refuse(self, why: int, rest: bytes, final: bool) -> NoReturn:
        scan, layout, number = self.scan, self.layout, int(self.state[self.scan.LINE])
        line, end, _ = rest.partition(b"\n")
        shown = quoted(line.removesuffix(b"\r"))
        if why == scan.CROWDED:
            said = Refused(f"{shown} is of another thread after {scan.MOST_THREADS:,}", "import a part of it")
        elif why == scan.MALFORMED and final and not end and number:
            todo = f"record it again, or leave that line out: {option('skip_foreign', True)}"
            said = Refused(f"{shown} ends within a line: it was cut", todo)
        elif (known := layout.explain(line, why)) is not None:
            said = Refused(f"{shown} {known.what}", known.todo)
        else:
            what = f"{shown} is not a line of {layout.recorder}: expected {layout.expected}"
            said = Refused(what, f"{layout.todo}, or leave such lines out: {option('skip_foreign', True)}")
        raise TraceError(f"line {number + 1:,} {said.what}", where=self.source.name, todo=said.todo, row=number)
