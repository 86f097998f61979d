"""Writes a trace anew: a slice of it, or all of it, compressed harder or at other load addresses.

A slice begins with what is known at its start: in system mode MAP rows, in user mode a THREAD row where it is not the
turn of thread 0. Its window is in rows of the original recording, also when a slice is sliced.
"""

import os
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from mmuexp.arguments import whole_from
from mmuexp.errors import TraceError, UsageError, refuse_itself
from mmuexp.guest import PAGE_BITS, THREAD, USER, Columns, Op
from mmuexp.replay.survey import Survey
from mmuexp.trace.format import COUNTED, END_KEYS, UNKNOWN, TraceWriter, empty
from mmuexp.trace.reader import Trace, open_trace, window_trouble
from mmuexp.trace.regions import JOIN_PAGES, MOVE_BITS
from mmuexp.trace.relocate import Relocated, relocated

LEVEL = 15  # measured on recordings: see docs/trace-format.md; above it files shrink on, and decode slower
MOST_LEVEL = 22


class Sliced(NamedTuple):
    """What a slice holds: rows of the source, rows that stand before them for what is known, the window if it is."""

    rows: int
    known: int
    window: tuple[int, int] | None


def parse_range(text: str, rows: int) -> tuple[int, int]:
    """Read `START:STOP` as in Python (`1000:`, `:500`, `-100:`), of a trace of that many rows. Raises UsageError."""
    ends = text.replace("_", "").replace(",", "").split(":")
    try:
        if len(ends) != 2:
            raise ValueError
        start, stop, _ = slice(*(int(end) if end else None for end in ends)).indices(rows)
    except ValueError:
        what = f"is {text!r}, expected START:STOP in rows, such as 1000:2000 or 500:"
        raise UsageError(what, where="range") from None
    if start >= stop:
        raise UsageError(f"{text} holds no row", where="range", todo=f"the trace has rows 0:{rows}")
    return start, stop


def slice_trace(path: str | os.PathLike, start: int, stop: int, output: str) -> Sliced:
    """Write rows start:stop of a trace to `output`. Raises TraceError if one of them is bad, or in system mode one
    before them: what is written has right CRCs, and so must be a right trace.
    """
    refuse_itself(path, output, "is the trace to be cut")
    with open_trace(path) as trace:
        stop = min(stop, trace.file_rows)
        before = _prefix(trace)
        start = max(start, min(before, stop))  # what stands before its window is not a row of the recording
        source = f"{os.path.basename(trace.path)} rows {start}:{stop} sha256 {trace.sha256()}"
        metadata = _lasting(trace) | {"slice_of": source}
        with TraceWriter(output, mode=trace.mode, metadata=metadata, address_bits=trace.address_bits) as writer:
            survey, known = Survey(trace.mode, trace.path, 0 if trace.mode == "system" else start), empty()
            damage: TraceError | None = None
            if trace.mode == "system" and start:
                for columns in _first(checked(trace), start):
                    survey.check(columns)
                known = _known(survey, trace.address_bits)
            elif start:
                known, damage = _turn(trace, start)
            writer.append(known)
            for columns in _first(checked(trace, start), stop - start):
                survey.check(columns)
                if damage and (columns.op == THREAD).any():  # there are threads, and nobody knows whose these are
                    raise damage
                writer.append(columns)
            window = UNKNOWN
            if trace.window is not None:
                window = trace.window[0] + max(0, start - before), stop - start
            complete = "yes" if stop < trace.file_rows else trace.complete
            none = {key: told for key, told in _counted(trace).items() if told == "0"}  # of all rows: of none of these
            writer.close(complete, window, none)
    return Sliced(stop - start, len(known.op), None if window == UNKNOWN else window)


def _prefix(trace: Trace) -> int:
    """Count the rows before the window: the MAP rows or the THREAD row of a slice."""
    if trace.window is None or window_trouble(trace.mode, trace.window, trace.file_rows, trace.first_op):
        return 0
    return trace.file_rows - trace.window[1]


def _turn(trace: Trace, start: int) -> tuple[Columns, TraceError | None]:
    """Make the THREAD row for the thread whose turn it is at row `start`; thread 0 needs none. With it comes why the
    thread is not known, where a batch before does not decode."""
    end = start
    for begin in reversed(trace.group_rows()):
        if begin >= start:
            continue
        told = np.empty(0, np.uint64)
        try:
            for columns in _first(trace.pieces(begin), end - begin):
                here = columns.vaddr[columns.op == THREAD]
                told = here[-1:] if len(here) else told
        except TraceError as error:
            return empty(), error
        end = begin
        if len(told):
            turn = empty(int(told[0] != 0), trace.address_bits)
            turn.vaddr[:], turn.op[:], turn.flags[:] = told[0], THREAD, USER
            return turn, None
    return empty(), None


def _first(pieces: Iterator[Columns], rows: int) -> Iterator[Columns]:
    """Yield as many rows of the pieces, and take no piece behind them."""
    while rows:
        columns = Columns(*(column[:rows] for column in next(pieces)))
        rows -= len(columns.op)
        yield columns


def _known(survey: Survey, address_bits: int) -> Columns:
    """Make MAP rows for the pages that are known by now."""
    pages, frames = survey.known_pages()
    maps = empty(len(pages), address_bits)
    maps.vaddr[:] = pages.astype(np.uint64) << np.uint64(PAGE_BITS)
    maps.page[:] = frames
    maps.op[:] = np.uint8(Op.MAP)
    return maps


class Compressed(NamedTuple):
    """Rows, and bytes of the file, before and after."""

    rows: int
    before_bytes: int
    after_bytes: int


def compress_trace(path: str | os.PathLike, output: str, level: int = LEVEL) -> Compressed:
    """Write the same rows and metadata to `output`, at ZSTD `level` (1 to 22).

    Raises TraceError where the trace does not decode, a batch does not have its CRC or a row is bad,
    UsageError for a level out of range.
    """
    level = whole_from(level, "level", 1, MOST_LEVEL)
    refuse_itself(path, output, "is the trace to be compressed")
    with open_trace(path) as trace:
        bits = trace.address_bits
        with TraceWriter(output, mode=trace.mode, metadata=_lasting(trace), level=level, address_bits=bits) as writer:
            survey = Survey(trace.mode, trace.path)
            for columns in checked(trace):
                survey.check(columns)  # what gets a right CRC must be a right trace
                writer.append(columns)
            writer.close(trace.complete, trace.window or UNKNOWN, _counted(trace))
        return Compressed(trace.file_rows, trace.size_bytes, os.path.getsize(output))


def relocate_file(
    path: str | os.PathLike, output: str, seed: int, *, join_pages: int = JOIN_PAGES, move_bits: int = MOVE_BITS
) -> Relocated:
    """Write the trace at `path` as load seed `seed` shows it. Raises TraceError, UsageError, MmuexpError."""
    refuse_itself(path, output, "is the trace to be moved")
    with open_trace(path) as trace:
        moved = relocated(trace, seed, join_pages=join_pages, move_bits=move_bits)
        source = f"{os.path.basename(trace.path)} load_seed {seed} join_pages {join_pages} move_bits {move_bits}"
        metadata = _lasting(trace) | {"relocation_of": f"{source} sha256 {trace.sha256()}"}
        with TraceWriter(output, mode=trace.mode, metadata=metadata, address_bits=trace.address_bits) as writer:
            for columns in checked(trace):
                writer.append(moved.moved(columns))
            writer.close(trace.complete, trace.window or UNKNOWN, _counted(trace))
    return moved


def checked(trace: Trace, start: int = 0) -> Iterator[Columns]:
    """Yield the rows from number `start` on of batches whose CRC is right: what is written anew gets a new one."""
    return trace.pieces(start, checked=True)


def _counted(trace: Trace) -> dict[str, str]:
    """Keep what was counted over all rows, for a file that has all of them."""
    return {key: trace.metadata[key] for key in COUNTED if key in trace.metadata}


def _lasting(trace: Trace) -> dict[str, str]:
    """Keep the metadata that holds for what is written from the trace, too."""
    return {key: value for key, value in trace.metadata.items() if key not in END_KEYS}
