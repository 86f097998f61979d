"""Mend a file whose writer was killed: read it as a stream, keep the batches that are whole, write a valid trace."""

import os
from collections.abc import Iterator
from typing import NamedTuple

from mmuexp.errors import TraceError, UsageError
from mmuexp.guest import BATCH_ROWS, Columns
from mmuexp.trace import layout
from mmuexp.trace.decode import Decoder, damaged
from mmuexp.trace.format import PREFIX, UNKNOWN, TraceWriter, crc32
from mmuexp.trace.layout import Broken
from mmuexp.trace.reader import checked_mode, open_input

END_KEYS = ("rows", "window", "complete", "metadata_crc32", "crc32")  # what a writer knows only at the end


class Recovered(NamedTuple):
    """`rows` kept of a file, and why it ends there."""

    rows: int
    reason: str


def recover(path: str | os.PathLike, output: str) -> Recovered:
    """Write the whole batches of a damaged trace to `output`. Raises TraceError where not even its schema is left."""
    path = os.fspath(path)
    if os.path.exists(output) and os.path.samefile(path, output):
        raise UsageError("is the file to be mended", where=output, todo="name another file with -o")
    fd, size = open_input(path)
    try:
        return _Recovery(path, fd, size).write(output)
    finally:
        os.close(fd)


class _Recovery:
    def __init__(self, path: str, fd: int, size: int):
        self.path, self.fd, self.size = path, fd, size
        self.reason, self.tail = "its footer was missing", {}
        if os.pread(fd, len(layout.MAGIC), 0) != layout.MAGIC:
            raise TraceError("does not begin as a trace does", where=path, todo="nothing in it can be recovered")
        self.schema, self.start = self._schema()
        keys = {key.decode("utf-8", "replace"): value for key, value in (self.schema.metadata or {}).items()}
        keys = {key: value.decode("utf-8", "replace") for key, value in keys.items() if key.startswith(PREFIX)}
        self.metadata = {key.removeprefix(PREFIX): value for key, value in keys.items()}
        self.mode = checked_mode(self.metadata, path)

    def _schema(self):
        import pyarrow as pa

        try:
            found = layout.message(self.fd, layout.schema_start(self.fd, self.size), self.size)
            if found is None or found.kind != layout.SCHEMA:
                raise Broken("it does not begin with a schema")
            schema = pa.ipc.read_schema(pa.py_buffer(layout.pread(self.fd, found.end - found.start, found.start)))
            _ = schema.names  # decoded only when asked for
            return schema, found.end
        except (Broken, pa.ArrowException, OSError, ValueError) as error:
            text = " ".join(str(error).split())
            raise TraceError(f"ends within its schema: {text}", where=self.path, todo="record it again") from None

    def write(self, output: str) -> Recovered:
        decoder = Decoder(self.schema, self.fd, self.path)
        metadata = {key: value for key, value in self.metadata.items() if key not in END_KEYS}
        with TraceWriter(output, mode=self.mode, metadata=metadata) as writer:
            rows = 0
            for batch in self._batches():
                try:
                    for columns in whole(decoder, batch, rows):
                        writer.append(columns)
                except TraceError as error:
                    self.reason = error.what
                    break
                rows += batch.rows
            window, complete = self._end(rows)
            more = {key: value for key, value in self.tail.items() if key not in END_KEYS}
            writer.close(complete, window, more)
        return Recovered(rows, self.reason)

    def _batches(self) -> Iterator[layout.Batch]:
        at = self.start
        while True:
            try:
                found = layout.message(self.fd, at, self.size)
                if found is None:
                    return
                at = found.end + -found.end % 8
                if found.kind == layout.RECORD_BATCH:
                    batch = layout.batch(found)
                    if not batch.rows:
                        keys = {key: text for key, text in batch.custom.items() if key.startswith(PREFIX)}
                        self.tail |= {key.removeprefix(PREFIX): text for key, text in keys.items()}
                    yield batch
            except Broken as error:
                self.reason = str(error)
                return

    def _end(self, rows: int) -> tuple[tuple[int, int], str]:
        """Window and completeness of what was kept: a window's count is known only if nothing is missing."""
        parts = self.tail.get("window", "").split(",")
        whole_file = self.tail.get("rows") == str(rows)
        window = UNKNOWN
        if whole_file and len(parts) == 2 and all(part.isascii() and part.isdigit() for part in parts):
            window = int(parts[0]), int(parts[1])
        elif "skip" in self.metadata and self.metadata["skip"].isdigit() and self.mode == "user":
            window = int(self.metadata["skip"]), rows
        told = self.tail.get("complete")
        was = f"; before: {told}" if whole_file and told not in (None, "yes") else ""
        return window, f"recovered: {self.reason}; {rows:,} rows in whole batches{was}"


def whole(decoder: Decoder, batch: layout.Batch, first: int) -> Iterator[Columns]:
    """The rows of a batch, given out only after all of it decoded and its CRC, if it has one, was right."""
    if batch.rows > BATCH_ROWS:
        for _ in decoder.pieces(batch, first):
            pass
        yield from decoder.pieces(batch, first)
        return
    for columns in decoder.pieces(batch, first):
        if batch.custom.get(PREFIX + "crc32", crc := crc32(columns)) != crc:
            raise damaged(decoder.path, Broken("the rows do not have the CRC that they were written with"), first)
        yield columns
