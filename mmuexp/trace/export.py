"""Write a trace for other programs, by suffix. One column for each of the trace's, all integers.

`WRITERS` is the one list of formats: the command, its help and its errors take suffixes from it.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from pathlib import PurePath
from typing import TYPE_CHECKING, Any

from mmuexp.errors import UsageError, refuse_itself

if TYPE_CHECKING:
    from mmuexp.trace import Trace


def export(path: str | os.PathLike, output: str) -> int:
    """Write a trace to a file of one of WRITERS, or as CSV to stdout (`-`). Returns its rows."""
    from mmuexp.trace.reader import open_trace
    from mmuexp.trace.sink import Sink

    suffix = ".csv" if output == "-" else PurePath(output).suffix.lower()
    if suffix not in WRITERS:
        known = " or ".join(WRITERS)
        raise UsageError(f"has the suffix {suffix!r}, expected {known}", where=output, todo="or - for CSV on stdout")
    if output != "-":
        refuse_itself(path, output, "is the trace itself")
    with open_trace(path) as trace:
        if output == "-":
            WRITERS[suffix](trace, sys.stdout.buffer)
            sys.stdout.buffer.flush()
            return trace.file_rows
        sink = Sink(output)
        try:
            with sink.guard():
                WRITERS[suffix](trace, sink)
            sink.finish()
        except BaseException:
            sink.discard()
            raise
        return trace.file_rows


def _schema(trace: Trace):
    import pyarrow as pa

    from mmuexp.guest import DTYPES
    from mmuexp.trace.format import PREFIX

    fields = [pa.field(name, pa.from_numpy_dtype(dtype), nullable=False) for name, dtype in DTYPES._asdict().items()]
    return pa.schema(fields, metadata={PREFIX + key: text for key, text in trace.metadata.items()})


def _record_batches(trace: Trace) -> Iterator:
    import pyarrow as pa

    schema = _schema(trace)
    for columns in trace.batches():
        yield pa.RecordBatch.from_arrays([pa.array(column) for column in columns], schema=schema)


def _csv(trace: Trace, file) -> None:
    from pyarrow import csv

    from mmuexp.guest import DTYPES

    file.write((",".join(DTYPES._fields) + "\n").encode())
    if not trace.file_rows:
        return
    options = csv.WriteOptions(include_header=False)
    for batch in _record_batches(trace):
        for start in range(0, len(batch), 1 << 16):  # the writer formats what it is given in one piece of memory
            csv.write_csv(batch.slice(start, 1 << 16), Unclosed(file), options)


def _parquet(trace: Trace, file) -> None:
    from pyarrow import parquet

    with parquet.ParquetWriter(Unclosed(file), _schema(trace), compression="zstd") as writer:
        for batch in _record_batches(trace):
            writer.write_batch(batch)


class Unclosed:
    """A file that Arrow may write to but not close."""

    closed = False

    def __init__(self, file):
        self.file, self.position = file, 0

    def write(self, data) -> int:
        self.file.write(data)
        self.position += len(memoryview(data).cast("B"))
        return self.position

    def tell(self) -> int:
        return self.position

    def flush(self) -> None:
        pass

    def close(self) -> None:
        pass

    def writable(self) -> bool:
        return True

    def readable(self) -> bool:
        return False

    def seekable(self) -> bool:
        return False


WRITERS: dict[str, Callable[[Trace, Any], None]] = {".csv": _csv, ".parquet": _parquet}
