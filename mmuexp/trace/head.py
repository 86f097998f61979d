"""Shows some rows of a trace in words."""

import os
from collections.abc import Iterator
from typing import NamedTuple

from mmuexp.guest import FIRST_ANNOTATION, IO, THREAD, USER, Op
from mmuexp.trace.reader import Trace, open_trace


class Row(NamedTuple):
    """One row: `op` by name, `flags` as "IO", "USER", both joined by "|", or the bits without a name in hex."""

    row: int
    op: str
    vaddr: int
    size: int
    insns: int
    flags: str
    page: int


COLUMNS = Row._fields


def rows(path: str | os.PathLike, start: int = 0, count: int = 10) -> Iterator[Row]:
    """Rows start to start + count, as far as the trace goes; errors among them are shown as they are.

    What is not a trace is refused at once, not when the first row is asked for.
    """
    return _rows(open_trace(path), start, count)


def _rows(trace: Trace, start: int, count: int) -> Iterator[Row]:
    with trace:
        row, stop = start, start + count
        for columns in trace.pieces(start) if count else ():
            lists = (column[: stop - row].tolist() for column in columns)
            for vaddr, page, size, insns, op, flags in zip(*lists, strict=True):
                yield Row(row, _op(op), vaddr, size, insns, _flags(flags), page)
                row += 1
            if row == stop:
                return


def _op(op: int) -> str:
    if op == THREAD:
        return "THREAD"
    if op <= max(Op):
        return Op(op).name
    return f"NOTE {op}" if op >= FIRST_ANNOTATION else f"op {op}"


def _flags(flags: int) -> str:
    named = [name for bit, name in ((IO, "IO"), (USER, "USER")) if flags & bit]
    rest = flags & ~(IO | USER)
    return "|".join([*named, f"{rest:#x}"] if rest else named)
