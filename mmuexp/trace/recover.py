"""Mends a file whose writer was killed: reads it as a stream, keeps the whole batches, writes a valid trace."""

import os
from collections.abc import Iterator
from typing import NamedTuple

from mmuexp.errors import TraceError, refuse_itself
from mmuexp.result.declared import declared_in
from mmuexp.trace import layout
from mmuexp.trace.decode import decoder_of
from mmuexp.trace.flatbuffer import Budget
from mmuexp.trace.format import COUNTED, END_KEYS, PREFIX, UNKNOWN, TraceWriter
from mmuexp.trace.layout import Broken
from mmuexp.trace.reader import checked_bits, checked_mode, is_number, kept_tail, open_input, open_trace, window_trouble

WHOLE = "the file was whole, nothing needed mending"


class Recovered(NamedTuple):
    """`rows` kept of a file, and why it ends there."""

    rows: int
    reason: str


def recover(path: str | os.PathLike, output: str) -> Recovered:
    """Write the whole batches of a damaged trace to `output`. Raises TraceError where no row is left."""
    path = os.fspath(path)
    refuse_itself(path, output, "is the file to be mended")
    fd, size = open_input(path)
    try:
        return _Recovery(path, fd, size).write(output)
    finally:
        os.close(fd)


class _Recovery:
    def __init__(self, path: str, fd: int, size: int):
        self.path, self.fd, self.size = path, fd, size
        self.first_op: int | None = None
        self.tail: dict[str, str] = {}
        self.reason = ""  # why the rows end where they do, other than that the file does
        if layout.pread(fd, min(size, len(layout.MAGIC)), 0) != layout.MAGIC:
            raise TraceError("does not begin as a trace does", where=path, todo="nothing in it can be recovered")
        self.schema, self.start = self._schema()
        keys = {key.decode("utf-8", "replace"): value for key, value in (self.schema.metadata or {}).items()}
        keys = {key: value.decode("utf-8", "replace") for key, value in keys.items() if key.startswith(PREFIX)}
        self.metadata = {key.removeprefix(PREFIX): value for key, value in keys.items()}
        self.mode = checked_mode(self.metadata, path)
        self.address_bits = checked_bits(self.metadata, self.schema, path)

    def _schema(self):
        import pyarrow as pa

        try:
            found = layout.message(self.fd, layout.schema_start(self.fd, self.size), self.size)
            if found is None or found.kind != layout.SCHEMA:
                raise Broken("it does not begin with a schema")
            self.format = layout.check_schema(found.header)
            schema = pa.ipc.read_schema(pa.py_buffer(layout.pread(self.fd, found.end - found.start, found.start)))
            _ = schema.names  # decoded only when asked for
            return schema, found.end
        except (Broken, pa.ArrowException, OSError, ValueError) as error:
            text = " ".join(str(error).split())
            raise TraceError(f"ends within its schema: {text}", where=self.path, todo="record it again") from None

    def write(self, output: str) -> Recovered:
        decoder = decoder_of(self.format, self.schema, self.fd, self.path, self.address_bits)
        metadata = {key: value for key, value in self.metadata.items() if key not in END_KEYS}
        bits = self.address_bits
        with TraceWriter(output, mode=self.mode, metadata=metadata, address_bits=bits) as writer:
            rows = 0
            for batch in self._batches():
                try:
                    for columns in decoder.whole(batch, rows):
                        if self.first_op is None and len(columns.op):
                            self.first_op = int(columns.op[0])
                        writer.append(columns)
                except TraceError as error:
                    self.reason = error.what
                    break
                rows += batch.rows
            self.ends = self._whole_file(rows)
            self.reason = self.reason or self._trouble() or WHOLE
            if not rows:
                raise TraceError(f"no row of it can be saved: {self.reason}", where=self.path, todo="record it again")
            window, complete = self._end(rows)
            kept = COUNTED if self.ends else ()
            told = {key: value for key, value in self.metadata.items() if key in kept} | self.tail
            more = {key: value for key, value in told.items() if key in kept or key not in END_KEYS}
            declared_in({**self.metadata, **more}, self.path)
            writer.close(complete, window, more)
        return Recovered(rows, self.reason)

    def _whole_file(self, rows: int) -> bool:
        return self.tail.get("rows") == str(rows)

    def _trouble(self) -> str:
        """Say why a file whose batches are all right cannot be opened, or verified; "" if it can."""
        try:
            if layout.footer(self.fd, self.size) is None:
                return "its footer was missing"
            with open_trace(self.path) as trace:
                if trouble := window_trouble(trace.mode, trace.window, trace.file_rows, trace.first_op):
                    return f"read to its end; {trouble}"
                return "" if trace.metadata_intact is not False else "read to its end; its metadata had a wrong CRC"
        except Broken as error:
            return f"read to its end; {error}"
        except TraceError as error:
            return f"read to its end; it was refused: {error.what}"

    def _batches(self) -> Iterator[layout.Batch]:
        at, tail = self.start, Budget()
        while True:
            try:
                found = layout.message(self.fd, at, self.size)
                if found is None:
                    return
                at = found.end + -found.end % 8
                if found.kind == layout.RECORD_BATCH:
                    batch = layout.batch(found, self.format)
                    if not batch.rows:
                        keys = kept_tail(batch, tail)
                        self.tail |= {key.removeprefix(PREFIX): text for key, text in keys.items()}
                    yield batch
            except Broken as error:
                self.reason = str(error)
                return

    def _end(self, rows: int) -> tuple[tuple[int, int], str | None]:
        """Window and completeness of what was kept: a window's count is known only if nothing is missing."""
        parts = self.tail.get("window", "").split(",")
        window = UNKNOWN
        if self.ends and len(parts) == 2 and all(is_number(part) for part in parts):
            window = int(parts[0]), int(parts[1])
            window = UNKNOWN if window_trouble(self.mode, window, rows, lambda: self.first_op) else window
        elif "skip" in self.metadata and self.metadata["skip"].isdigit() and self.mode == "user":
            window = int(self.metadata["skip"]), rows
        told = self.tail.get("complete")
        if self.reason == WHOLE:
            return window, told
        was = f"; before: {told}" if self.ends and told not in (None, "yes") else ""
        return window, f"recovered: {self.reason}; {rows:,} rows in whole batches{was}"
