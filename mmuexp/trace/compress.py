"""Write a trace again, off line, with more work put into its compression: smaller, and faster to decode."""

import os
from typing import NamedTuple

from mmuexp.errors import UsageError, refuse_itself
from mmuexp.replay.survey import Survey
from mmuexp.trace.format import UNKNOWN, TraceWriter
from mmuexp.trace.reader import open_trace
from mmuexp.trace.recover import COUNTED, END_KEYS
from mmuexp.trace.rewrite import checked

LEVEL = 15  # measured on recordings: see docs/trace-format.md; above it files shrink on, and decode slower
MOST_LEVEL = 22


class Compressed(NamedTuple):
    """Rows, and bytes of the file, before and after."""

    rows: int
    before_bytes: int
    after_bytes: int


def compress_trace(path: str | os.PathLike, output: str, level: int = LEVEL) -> Compressed:
    """Write the same rows and metadata to `output`, at ZSTD `level` (1 to 22).

    Raises TraceError where the trace does not decode, a batch has not the CRC that it was written with or a row is bad,
    UsageError for a level that is none.
    """
    if not 1 <= level <= MOST_LEVEL:
        raise UsageError(f"{level} is no level of ZSTD", where="level", todo=f"give 1 to {MOST_LEVEL}")
    refuse_itself(path, output, "is the trace to be compressed")
    with open_trace(path) as trace:
        metadata = {key: value for key, value in trace.metadata.items() if key not in END_KEYS}
        with TraceWriter(output, mode=trace.mode, metadata=metadata, level=level) as writer:
            survey = Survey(trace.mode, trace.path)
            for columns in checked(trace, 0):
                survey.feed(columns)  # what gets a right CRC must be a right trace
                writer.append(columns)
            counted = {key: trace.metadata[key] for key in COUNTED if key in trace.metadata}
            writer.close(trace.complete or "unknown", trace.window or UNKNOWN, counted)
        return Compressed(trace.file_rows, trace.size_bytes, os.path.getsize(output))
