"""Writes a trace: an Arrow IPC file whose batches hold the streams of up to 2**20 rows, ZSTD buffers.

Each batch carries the CRC of its rows, and what is known only at the end (rows, window, completeness) stands in the
custom metadata of a last batch of no rows. So every byte is written once, in order, and what a killed writer leaves can
be read up to its last whole batch.
"""

import zlib
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from mmuexp.blocks.builder import grouped
from mmuexp.errors import MmuexpError, UsageError, option, shown
from mmuexp.guest import ADDRESS_BITS, BATCH_ROWS, WIDE_BITS, Columns, dtypes_of
from mmuexp.trace import layout
from mmuexp.trace.sink import Sink
from mmuexp.trace.streams import Streams, packed

FORMATS = (layout.ROWS, layout.BLOCKS)  # that are read; the last one is written
BITS_OF_GUEST = {"i386": ADDRESS_BITS, "x86_64": WIDE_BITS}  # by mmuexp.guest, of those that leave no choice
MODES = ("user", "system")
PREFIX = "mmuexp."
ZSTD_LEVEL = 3  # measured on recordings: 6-20 % smaller than 1, written at 80 % of its speed, decoded as fast
UNKNOWN = (-1, -1)  # a window that nobody knows
COUNTED = ("flushes_unsure", "unknown_sizes")  # by who wrote the trace, over all rows: not known of a part
# what a writer knows only at the end
END_KEYS = ("rows", "window", "complete", "metadata_crc32", "crc32", *COUNTED)


def crc32(columns: Columns) -> str:
    """Take `mmuexp.crc32` of a batch: zlib.crc32 chained over its columns (little-endian) in schema order, as hex."""
    value = 0
    for column in columns:
        value = zlib.crc32(column.data, value)
    return f"{value:08x}"


def metadata_crc32(metadata: dict[str, str]) -> str:
    """Take `mmuexp.metadata_crc32`: of the lines key=value of all other `mmuexp.` keys, bare, sorted, UTF-8."""
    lines = sorted(f"{key}={value}\n" for key, value in metadata.items() if key != "metadata_crc32")
    return f"{zlib.crc32(''.join(lines).encode()):08x}"


def empty(rows: int = 0, address_bits: int = ADDRESS_BITS) -> Columns:
    """Make `rows` rows of zeros."""
    return Columns(*(np.zeros(rows, dtype) for dtype in dtypes_of(address_bits)))


def bits_told(metadata: Mapping[str, str | None]) -> int | None:
    """Tell how many bits the addresses of a trace have by what its metadata says; None if it does not say. Those of a
    guest of 64 bits have 32 where an import moved them. Raises ValueError for what contradicts itself."""
    of_guest, told = BITS_OF_GUEST.get(metadata.get("guest") or ""), metadata.get("address_bits")
    if told is None:
        return of_guest
    if told not in map(str, (ADDRESS_BITS, WIDE_BITS)):
        raise ValueError(f"has {told[:40]!r} address bits; this mmuexp reads traces of {ADDRESS_BITS} and {WIDE_BITS}")
    if of_guest is not None and of_guest < int(told):
        raise ValueError(f"has {told} address bits, and its guest is {metadata.get('guest')}")
    return int(told)


class TraceWriter:
    """Writes a trace. A context manager: leaving it closes the file, leaving it by an exception takes the file away.

    The file is made beside the target and renamed on `close`, so that what was there stays until then. With
    `recording=True` an earlier file is replaced only if `force` says so, and leaving by an exception closes the file
    with what was written, marked as cut short: a recording is worth keeping, if it has a row. What a killed recorder
    leaves is in the file that `left.part_of` names; where an earlier one's rows stood there, `.kept` is the name that
    they have now. `metadata` keys may be given without their `mmuexp.` prefix; one that is None is left out.
    `address_bits` are 32 or 64, by default what `metadata` says of the guest, else 32. `level` is ZSTD's, 1 to 22.

    Raises `MmuexpError` when the target cannot be written: a bad path at once, a full disk in `append` or `close`.
    After a full disk the rows written so far (`.rows`) are whole and `close` may still be called.
    """

    def __init__(
        self,
        path,
        *,
        mode: str,
        metadata: Mapping[str, str | None] | None = None,
        recording: bool = False,
        force: bool = False,
        level: int = ZSTD_LEVEL,
        address_bits: int | None = None,
    ):
        import pyarrow as pa

        if mode not in MODES:
            raise ValueError(f"mode is {mode!r}, not one of {MODES}")
        if str(path) == "-":
            raise UsageError(
                "a trace cannot go to stdout",
                todo=f"name a file with {option('output', '')}; `mmuexp trace export` prints CSV",
            )
        self.path, self.mode, self.recording, self.rows = str(path), mode, recording, 0
        self._pa = pa
        known = dict(metadata or {})
        self._head = _bare({key: text for key, text in known.items() if text is not None})
        self._head |= {"format": layout.BLOCKS, "mode": mode}
        told = {} if address_bits is None else {"address_bits": str(address_bits)}
        self.address_bits = bits = bits_told(self._head | told) or ADDRESS_BITS
        if bits != ADDRESS_BITS:  # what has no such key has 32
            self._head["address_bits"] = str(bits)
        self._buffer, self._held = empty(BATCH_ROWS, bits), 0
        self._sink = Sink(self.path, recording, force)
        self._builder = grouped(bits)
        fields = [pa.field(name, pa.binary(), nullable=False) for name in Streams._fields]
        self._schema = pa.schema(fields, metadata={PREFIX + key: value for key, value in self._head.items()})
        codec = pa.Codec("zstd", compression_level=level)
        options = pa.ipc.IpcWriteOptions(compression=codec, use_threads=True)
        try:
            with self._sink.guard():
                self._writer = pa.ipc.new_file(self._sink, self._schema, options=options)
        except BaseException:
            self._sink.discard()
            raise

    def append(self, columns: Columns) -> None:
        """Add rows: any number, in columns of any integer type whose values fit the trace's (`guest.dtypes_of`)."""
        rows, start = len(columns.op), 0
        while start < rows:
            if not self._held and rows - start >= BATCH_ROWS:  # a whole batch needs no copy
                piece = Columns(*(column[start : start + BATCH_ROWS] for column in columns))
                self._write(piece)
                start += BATCH_ROWS
                continue
            count = min(rows - start, BATCH_ROWS - self._held)
            for held, column in zip(self._buffer, columns, strict=True):
                held[self._held : self._held + count] = column[start : start + count]
            self._held += count
            start += count
            if self._held == BATCH_ROWS:
                self._flush()

    def close(self, complete: str | None = "yes", window: tuple[int, int] | None = None, metadata=None) -> None:
        """Write what is held and the end; then the file has its name.

        `complete` says what is missing, and is None where nobody knows. `window` is (first, count) in rows of the
        original recording, by default all; UNKNOWN leaves it out.
        """
        if self._sink.closed:
            return
        try:
            self._flush()
        except MmuexpError as error:
            complete = f"cut short: {error.what}" if complete == "yes" else complete
            if not self.recording or not self.rows:
                self.abort()
                raise
        tail: dict[str, Any] = {"rows": str(self.rows), "complete": complete}
        tail = {key: text for key, text in (tail | _bare(metadata)).items() if text is not None}
        if window != UNKNOWN:
            tail["window"] = "{},{}".format(*(window or (0, self.rows)))
        tail["metadata_crc32"] = metadata_crc32(self._head | tail)
        try:
            self._write_batch((), tail)
            with self._sink.guard():
                self._writer.close()
            self._sink.finish()
        except MmuexpError as error:
            if self.recording and self.rows:
                self._sink.leave()
                todo = f"its rows are in {self._sink.name}: mmuexp trace recover {self._sink.name} -o NEW"
                raise MmuexpError(error.what, where=error.where, todo=todo) from None
            self._sink.discard()
            raise

    def abort(self) -> None:
        """Take away what was written; the target is as it was."""
        if not self._sink.closed:
            self._sink.discard()

    @property
    def replaces(self) -> bool:
        """Is there a recording that this one will replace?"""
        return self._sink.recording and self._sink.older is not None

    @property
    def kept(self) -> str:
        """Where the rows are that an earlier recorder, which was killed, left for this target; "" if there are none."""
        return self._sink.kept

    def _flush(self) -> None:
        held, self._held = self._held, 0
        if held:
            self._write(Columns(*(column[:held] for column in self._buffer)))

    def _write(self, columns: Columns) -> None:
        dtypes = dtypes_of(self.address_bits)
        columns = Columns(*(np.ascontiguousarray(c, dtype) for c, dtype in zip(columns, dtypes, strict=True)))
        done = 0
        try:
            for runs in self._builder.feed(columns):
                part = Columns(*(column[done : done + runs.rows] for column in columns))
                done += runs.rows
                told = f"{runs.rows},{runs.before},{runs.shapes_so_far - runs.before}"
                self._write_batch(packed(runs), {"crc32": crc32(part), "batch": told})
                self.rows += runs.rows
        except BaseException:
            # what comes next does not build on a batch that is not in the file
            self._builder = grouped(self.address_bits)
            raise

    def _write_batch(self, streams: Iterable[np.ndarray], custom: dict[str, str]) -> None:
        pa, custom = self._pa, {PREFIX + key: value for key, value in custom.items()}
        arrays = [_one_record(stream) for stream in streams] or [pa.nulls(0, pa.binary())] * len(self._schema)
        batch = pa.RecordBatch.from_arrays(arrays, schema=self._schema)
        with self._sink.guard():
            self._writer.write_batch(batch, custom_metadata=custom)

    def __enter__(self) -> "TraceWriter":
        return self

    def __exit__(self, kind, error, _) -> None:
        if kind is None:
            try:
                self.close()
            except BaseException:
                if not self.recording:
                    self.abort()
                raise
        elif self.recording and (self.rows or self._held):
            self.close(complete=f"cut short: {error or kind.__name__}")
        else:
            self.abort()


def _one_record(stream: np.ndarray) -> Any:
    """Show the bytes of a stream as a column of one record."""
    import pyarrow as pa

    stream = np.ascontiguousarray(stream)
    ends = np.array([0, stream.nbytes], np.int32)
    return pa.Array.from_buffers(pa.binary(), 1, [None, pa.py_buffer(ends), pa.py_buffer(stream)])


def _bare(metadata: Mapping[str, str] | None) -> dict[str, str]:
    """Keys without the prefix; what the writer itself knows cannot be given."""
    return {key.removeprefix(PREFIX): utf8(str(value)) for key, value in (metadata or {}).items()}


def utf8(text: str) -> str:
    """A text that UTF-8 can hold: a byte of a file's name that is not UTF-8 stands as `\\xff`."""
    return "".join(shown(char) if "\ud800" <= char <= "\udfff" else char for char in text)
