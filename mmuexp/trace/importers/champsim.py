"""Import what ChampSim's tracers write: records of 64 bytes, an instruction each, mostly packed by xz.

A record has no length of its instruction and no sizes: lengths are told by the next instruction where that follows, and
every access is a row of 1 byte. A tracer keeps the same address of one instruction once, and what does not fit into
its 4 reads and 2 writes is lost.
"""

import re
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from mmuexp.errors import TraceError
from mmuexp.trace.importers import Options, Told
from mmuexp.trace.importers.drmemtrace import MAGIC as DRMEMTRACE
from mmuexp.trace.importers.rows import Rows
from mmuexp.trace.importers.source import Sample

OPTIONS = ("size",)
NAMED = re.compile(r"champsim|trace\.(xz|gz)$", re.IGNORECASE)
LOOKED_AT = 64  # records


class Layout(NamedTuple):
    """In which word of 8 bytes of a record its parts begin, and how many slots there are."""

    record_words: int
    writes_at: int
    writes: int
    reads_at: int
    reads: int
    space_at: int  # 0: no address space is told


LAYOUT = Layout(8, 2, 2, 4, 4, 0)


def looks_like(sample: Sample) -> bool:
    """The name says so, and so does what stands in the first records: the format has no magic."""
    if sample.folder or sample.is_text or not NAMED.search(sample.name) or sample.head.startswith(DRMEMTRACE):
        return False
    size = 8 * LAYOUT.record_words
    records = np.frombuffer(sample.head[: len(sample.head) // size * size], np.uint8).reshape(-1, size)[:LOOKED_AT]
    return bool(len(records)) and bool((records[:, 8] <= 1).all() and (records[:, 9] <= records[:, 8]).all())


def read(source: Any, rows_of: Callable[[str], Rows], options: Options) -> Told:
    """Give the records to rows. Raises TraceError at the first one that is not a record."""
    return records_of(source, rows_of("record"), options, LAYOUT, "ChampSim")


def records_of(source: Any, rows: Rows, options: Options, layout: Layout, tool: str) -> Told:
    """Give the records of a file, laid out so, to rows."""
    from mmuexp.trace.importers import champsim_scan as scan

    state, rest, records = np.full(scan.STATE_WORDS, -1, np.int64), b"", 0
    size = 8 * layout.record_words
    for data in source.chunks():
        data, at = rest + data, 0
        words = np.frombuffer(data, "<i8", len(data) // size * layout.record_words)
        while at < len(words):
            events, done, why = scan.scan(words[at:], *layout, state, tuple(rows.events), rows.held, records)
            rows.add(events)
            at, records = at + done * layout.record_words, records + done
            if why and why != scan.FULL:
                raise _refusal(why == scan.TWO_SPACES, data[8 * at :], records, size, source.name, tool)
        rest = data[8 * at :]
    if rest:
        what = f"ends within record {records + 1:,}: it has {len(rest)} of {size} bytes"
        todo = "copy it again, or say what it is with --from: was the tracer changed?"
        raise TraceError(what, where=source.name, todo=todo, row=records)
    sizes = f"assumed {options.size}" if options.size else "unknown"
    return Told(tool, records, {"sizes": sizes, "code": "lengths unknown"})


def _refusal(spaces: bool, rest: bytes, records: int, size: int, where: str, tool: str) -> TraceError:
    address, branch, taken = int.from_bytes(rest[:8], "little"), rest[8], rest[9]
    if spaces:
        what, todo = "is of another address space than those before it", "import a recording of one process"
    else:
        wrong = f"taken {taken}" if address and branch <= 1 else f"is_branch {branch}"
        what = f"is not a {tool} instruction (ip {address:#x}, {wrong}): {size} bytes a record were expected"
        todo = "was the tracer changed?"
    return TraceError(f"record {records + 1:,} {what}", where=where, todo=todo, row=records)
