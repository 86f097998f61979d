"""Checks a trace: its structure, its digests, its rows. The survey says what a row's error is; nothing else does."""

import os
from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from mmuexp.errors import TraceError
from mmuexp.guest import ADDRESS_BITS, BATCH_ROWS, PAGES, USER, Columns, Op
from mmuexp.native.jitcache import guarded, kept
from mmuexp.replay.survey import NOTHING_BEFORE, Survey
from mmuexp.result.declared import ALL_KNOWN, ASSUMED, CODE, NONE, NOT_TOLD, SIZES, Declared, declared_of
from mmuexp.result.declared import UNKNOWN as SIZES_UNKNOWN
from mmuexp.trace import layout
from mmuexp.trace.format import PREFIX, crc32, utf8
from mmuexp.trace.reader import Trace, open_trace, window_trouble

OK, FAILED, WARNING, UNKNOWN = "ok", "FAILED", "warning", "unknown"
ALTERNATIONS = 100  # more of them on one page are a recorder's mistake (MODEL.md section 1)


class Check(NamedTuple):
    """Tells how one thing was found: its `state` is "ok", "FAILED", "warning" or "unknown"."""

    name: str
    state: str
    detail: str


def verify(path: str | os.PathLike, progress: Callable[[str, int, int | None], None] | None = None) -> list[Check]:
    """Make all checks of a trace. Raises TraceError for what is not a trace at all: no file, text, another format."""
    try:
        trace = open_trace(path)
    except TraceError as error:
        if not _is_arrow(path):
            raise
        return [Check("structure", FAILED, f"{error.what}; {error.todo}")]
    with trace:
        wide = "" if trace.address_bits == ADDRESS_BITS else f", addresses of {trace.address_bits} bits"
        checks = [Check("structure", OK, f"format {trace.metadata['format']}, {trace.mode} mode{wide}")]
        checks.append(_metadata(trace))
        if trace.rows is None:
            checks.append(Check("declared rows", UNKNOWN, f"not declared; the file holds {trace.file_rows:,}"))
        else:
            checks.append(Check("declared rows", OK, f"{trace.rows:,}"))
        checks.append(_complete(trace))
        if trouble := window_trouble(trace.mode, trace.window, trace.file_rows, trace.first_op):
            checks.append(Check("window", FAILED, trouble))
        return checks + _Pass(trace, declared_of(trace)).run(progress)


def _complete(trace: Trace) -> Check:
    """Judge what ended the recording. One that holds as many rows as it was to hold is what was asked for."""
    count = trace.window[1] if trace.window else trace.file_rows
    if trace.complete == f"the limit of {count:,} rows":
        return Check("complete", OK, f"a window of {count:,} rows, as asked")
    if trace.complete in NOT_TOLD:
        return Check("complete", UNKNOWN, "not told")
    return Check("complete", OK if trace.complete == "yes" else WARNING, trace.complete)


def _is_arrow(path) -> bool:
    try:
        if not os.path.isfile(path):  # opening a pipe waits for its writer
            return False
        with open(path, "rb") as file:
            return file.read(len(layout.MAGIC)) == layout.MAGIC
    except OSError:
        return False


def _metadata(trace: Trace) -> Check:
    import pyarrow as pa

    try:
        start = trace.layouts.message(trace.layouts.schema_start)
        if start is None or start.kind != layout.SCHEMA:
            raise layout.Broken("it is another message")
        layout.check_schema(start.header)
        with pa.OSFile(os.fsencode(trace.file)) as file:
            file.seek(trace.layouts.schema_start)
            first = pa.ipc.read_schema(file)
        if not first.equals(trace.schema, check_metadata=True):
            return Check("metadata", FAILED, "the schema at the file's start and the one at its end differ")
    except (layout.Broken, pa.ArrowException, OSError, ValueError) as error:
        return Check(
            "metadata", FAILED, f"the schema at the file's start does not decode: {' '.join(str(error).split())}"
        )
    if trace.metadata_intact is None:
        return Check("metadata", UNKNOWN, "no CRC (mmuexp.metadata_crc32)")
    return Check("metadata", *((OK, "CRC right") if trace.metadata_intact else (FAILED, "CRC wrong")))


class _Pass:
    """Passes once over the rows: decoding, CRC of each batch, the survey, and what only deserves a warning."""

    def __init__(self, trace: Trace, declared: Declared):
        self.trace, self.survey, self.decoder = trace, Survey(trace.mode, trace.path), trace.decoder()
        self.declared = declared
        self.others: dict[str, int] = {}  # rows that contradict a declaration, by what they are
        self.bad_rows: Check | None = None
        self.bad_crc: list[str] = []
        self.right = self.without = self.not_user = 0
        self.first_not_user = -1
        self.pages = _Alternation()

    def run(self, progress) -> list[Check]:
        first = 0
        for index, batch in enumerate(self.trace.layouts):
            if not batch.rows:
                continue
            self._batch(index, batch, first)
            first += batch.rows
            if progress:
                progress(utf8(os.path.basename(self.trace.path)), first, self.trace.file_rows)
        return [
            self._digests(),
            self.bad_rows or Check("rows", OK, f"{self.survey.rows:,} without error"),
            *self._declared(),
            *self._odd(),
        ]

    def _batch(self, index: int, batch: layout.Batch, first: int) -> None:
        told = batch.custom.get(PREFIX + "crc32")
        try:
            for columns in self.decoder.pieces(batch, first):
                if batch.rows <= BATCH_ROWS:
                    self._crc(index, batch, first, told, crc32(columns) if told else None)
                self._rows(columns, first)
                first += len(columns.op)
            if batch.rows > BATCH_ROWS:  # no batch of ours: its CRC goes over whole columns, which takes another pass
                begin = first - batch.rows
                self._crc(index, batch, begin, told, self.decoder.crc32(batch, begin) if told else None)
        except TraceError as error:
            self._refuse(error)

    def _crc(self, index: int, batch: layout.Batch, first: int, told: str | None, found: str | None) -> None:
        if told is None:
            self.without += 1
        elif told == found:
            self.right += 1
        else:
            self.bad_crc.append(f"batch {index} (rows {first:,} to {first + batch.rows - 1:,})")

    def _rows(self, columns: Columns, first: int) -> None:
        if self.trace.mode == "user":
            bare = (columns.op <= Op.EXEC) & (columns.flags & USER == 0)
            if count := int(np.count_nonzero(bare)):
                if not self.not_user:
                    self.first_not_user = first + int(np.argmax(bare))
                self.not_user += count
        self._contradictions(columns)
        if self.bad_rows is None:
            try:
                self.survey.check(columns)
            except TraceError as error:
                self._refuse(error)
        if self.trace.mode == "system":
            self.pages.feed(self.survey.traced(columns))

    def _contradictions(self, columns: Columns) -> None:
        """Count rows that are not as the metadata declares all rows to be."""
        size = {SIZES_UNKNOWN: 1, ASSUMED: self.declared.bytes}.get(self.declared.sizes)
        if size is not None:
            other = int(np.count_nonzero((columns.op < Op.EXEC) & (columns.size != size)))
            what = f"rows of another size than {size}"
            self.others[what] = self.others.get(what, 0) + other
        if self.declared.code == NONE:
            self.others["EXEC rows"] = self.others.get("EXEC rows", 0) + int(np.count_nonzero(columns.op == Op.EXEC))

    def _declared(self) -> list[Check]:
        """Say what is declared not to be known; nothing where all is."""
        metadata = self.trace.metadata
        said = [f"{key} {metadata[key]}" for key in (SIZES, CODE) if key in metadata]
        wrong = [f"{count:,} {what}" for what, count in self.others.items() if count]
        if wrong:
            return [Check("declared", FAILED, f"{', '.join(said)}; it has {' and '.join(wrong)}")]
        return [Check("declared", OK, ", ".join(said))] if self.declared != ALL_KNOWN else []

    def _refuse(self, error: TraceError) -> None:
        """The first one counts: from there on it is not known what the rows mean."""
        todo = error.todo if error.row else NOTHING_BEFORE
        self.bad_rows = self.bad_rows or Check("rows", FAILED, f"{error.what}; {todo}" if todo else error.what)

    def _digests(self) -> Check:
        batches = self.right + self.without + len(self.bad_crc)
        if self.bad_crc:
            return Check("digests", FAILED, f"{len(self.bad_crc)} of {batches}: first {self.bad_crc[0]}")
        if self.without:
            return Check("digests", UNKNOWN, f"{self.without} of {batches} batches have no CRC (mmuexp.crc32)")
        return Check("digests", OK, f"{batches} batches")

    def _odd(self) -> list[Check]:
        found = []
        if self.not_user:
            what = f"{self.not_user:,} rows of a user-mode trace lack the USER flag, first row {self.first_not_user:,}"
            found.append(Check("user flag", WARNING, what))
        page, times = self.pages.worst()
        if times > ALTERNATIONS:
            page = int(self.survey.pages.real(np.array([page]))[0]) if self.survey.pages else page
            what = f"page {page:#x} alternates {times:,} times between two physical pages, without a FLUSH between"
            found.append(
                Check("mappings", WARNING, f"{what} ({self.pages.count():,} such pages); see MODEL.md section 1")
            )
        return found


class _Alternation:
    """Counts how often each virtual page went back to the physical page that it had before the last one.

    A FLUSH begins anew: address spaces take turns, and that is no mistake of the recorder.
    """

    def __init__(self):
        self.last = self.before = self.since = self.times = None
        self.flushes = np.zeros(1, np.int64)

    def feed(self, columns: Columns) -> None:
        which = np.flatnonzero((columns.op == Op.MAP) | (columns.op == Op.FLUSH))
        if not len(which):
            return
        if self.times is None:
            self.last, self.before = np.full(PAGES, -1, np.int64), np.full(PAGES, -1, np.int64)
            self.since, self.times = np.zeros(PAGES, np.int64), np.zeros(PAGES, np.int64)
        rows = (columns.op[which], columns.vaddr[which], columns.page[which])
        _alternate(*rows, self.last, self.before, self.since, self.times, self.flushes)

    def worst(self) -> tuple[int, int]:
        if self.times is None:
            return 0, 0
        page = int(np.argmax(self.times))
        return page, int(self.times[page])

    def count(self) -> int:
        return int(np.count_nonzero(self.times > ALTERNATIONS))


@guarded()
@kept
def _alternate(ops, vaddrs, frames, last, before, since, times, flushes):
    for i in range(len(ops)):
        if ops[i] == 3:
            flushes[0] += 1
            continue
        page, frame = np.int64(vaddrs[i]) >> 12, np.int64(frames[i])
        if since[page] != flushes[0]:
            since[page], last[page], before[page] = flushes[0], frame, -1
        elif frame != last[page]:
            times[page] += frame == before[page]
            before[page], last[page] = last[page], frame
