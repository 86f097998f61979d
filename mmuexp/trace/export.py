"""Write a trace for other programs, by suffix: a table with one column for each of the trace's, or text.

`WRITERS` is the one list of formats: the command, its help and its errors take suffixes from it. A writer is given the
trace and an open file; it may return what the format has no word for, each with its count.
"""

from __future__ import annotations

import io
import os
import sys
from collections.abc import Callable
from functools import partial
from pathlib import PurePath
from typing import TYPE_CHECKING, Any, NamedTuple

from mmuexp.errors import UsageError, file_name, refuse_itself

if TYPE_CHECKING:
    from mmuexp.trace import Trace


class Exported(NamedTuple):
    """What an export did: the trace's rows, and (what, how often) of each thing that the format has no word for."""

    rows: int
    left: dict[str, int]


def export(path: str | os.PathLike, output: str, to: str | None = None) -> Exported:
    """Write a trace to a file, or to stdout (`-`), in the format `to` of WRITERS, by default the file's suffix."""
    from mmuexp.trace.reader import open_trace
    from mmuexp.trace.sink import Sink

    suffix = f".{to}" if to else ".csv" if output == "-" else PurePath(output).suffix.lower()
    if suffix not in WRITERS:
        known = " or ".join(WRITERS)
        what = f"has the suffix {suffix!r}, expected {known}"
        raise UsageError(what, where=file_name(output), todo="or - for CSV on stdout")
    writer = WRITERS[suffix]
    if output != "-":
        refuse_itself(path, output, "is the trace itself")
    with open_trace(path) as trace:
        if output == "-":
            left = writer(trace, sys.stdout.buffer)
            sys.stdout.buffer.flush()
            return Exported(trace.file_rows, _told(left))
        sink = Sink(output)
        try:
            with sink.guard():
                left = writer(trace, sink)
            sink.finish()
        except BaseException:
            sink.discard()
            raise
        return Exported(trace.file_rows, _told(left))


def _told(left: Any) -> dict[str, int]:
    return left if isinstance(left, dict) else {}


def _prefixed(metadata: dict[str, str]) -> dict[str, str]:
    from mmuexp.trace.format import PREFIX

    return {PREFIX + key: text for key, text in metadata.items()}


def _row_metadata(trace: Trace) -> dict[str, str]:
    """Tell of the trace what holds for its rows; how many bits its addresses have, where the guest says otherwise."""
    from mmuexp.trace.format import BITS_OF_GUEST
    from mmuexp.trace.layout import ROWS

    bits = trace.address_bits
    moved = BITS_OF_GUEST.get(trace.metadata.get("guest", ""), bits) != bits
    return trace.metadata | {"format": ROWS} | ({"address_bits": str(bits)} if moved else {})


def _arrow(trace: Trace, file) -> None:
    """Write a trace of format 1: a table of rows that any reader of Arrow files opens."""
    import pyarrow as pa

    from mmuexp.trace.arrow_rows import record_batch, row_schema
    from mmuexp.trace.format import END_KEYS, ZSTD_LEVEL, crc32, metadata_crc32

    told = _row_metadata(trace)
    head = {key: text for key, text in told.items() if key not in END_KEYS}
    schema = row_schema(trace.address_bits).with_metadata(_prefixed(head))
    options = pa.ipc.IpcWriteOptions(compression=pa.Codec("zstd", compression_level=ZSTD_LEVEL))
    with pa.ipc.new_file(Unclosed(file), schema, options=options) as writer:
        for columns in trace.batches():
            crc = _prefixed({"crc32": crc32(columns)})
            writer.write_batch(record_batch(columns, schema), custom_metadata=crc)
        tail = {key: text for key, text in told.items() if key in END_KEYS} | {"metadata_crc32": metadata_crc32(told)}
        none = pa.RecordBatch.from_arrays([pa.nulls(0, field.type) for field in schema], schema=schema)
        writer.write_batch(none, custom_metadata=_prefixed(tail))


def _csv(trace: Trace, file) -> None:
    from pyarrow import csv

    from mmuexp.guest import DTYPES
    from mmuexp.trace.arrow_rows import record_batches, row_schema

    file.write((",".join(DTYPES._fields) + "\n").encode())
    if not trace.file_rows:
        return
    options = csv.WriteOptions(include_header=False)
    for batch in record_batches(trace, row_schema(trace.address_bits)):
        for start in range(0, len(batch), 1 << 16):  # the writer formats what it is given in one piece of memory
            csv.write_csv(batch.slice(start, 1 << 16), Unclosed(file), options)


def _parquet(trace: Trace, file) -> None:
    from pyarrow import parquet

    from mmuexp.trace.arrow_rows import record_batches, row_schema

    schema = row_schema(trace.address_bits).with_metadata(_prefixed(_row_metadata(trace)))
    with parquet.ParquetWriter(Unclosed(file), schema, compression="zstd") as writer:
        for batch in record_batches(trace, schema):
            writer.write_batch(batch)


class Unclosed(io.RawIOBase):
    """A file that Arrow may write to but not close."""

    def __init__(self, file):
        self.file, self.position = file, 0

    def write(self, data) -> int:
        self.file.write(data)
        self.position += (written := memoryview(data).nbytes)
        return written

    def tell(self) -> int:
        return self.position

    def close(self) -> None:
        pass

    def writable(self) -> bool:
        return True


def _text(style: str, trace: Trace, file) -> dict[str, int]:
    from mmuexp.trace.export_text import write_text

    return write_text(style, trace, file)


TEXT = ("din", "xdin", "lackey")  # what export_text.py writes
WRITERS: dict[str, Callable[[Trace, Any], Any]] = {
    ".csv": _csv,
    ".parquet": _parquet,
    ".arrow": _arrow,
    **{f".{style}": partial(_text, style) for style in TEXT},
}
