"""From the buffers of a batch to `Columns`, in pieces of bounded size.

What a file says about sizes is checked against its rows before memory is taken: a piece costs 2**20 rows of each
column, whatever the file claims. Batches up to `WHOLE_ROWS` are decompressed buffer by buffer in one call each,
larger ones (a foreign writer's single batch) as streams.
"""

import os
import zlib
from collections import deque
from collections.abc import Iterable, Iterator
from threading import local

import numpy as np
import pyarrow as pa

from mmuexp.errors import TraceError
from mmuexp.guest import BATCH_ROWS, DTYPES, Columns
from mmuexp.trace import layout
from mmuexp.trace.format import PREFIX, crc32
from mmuexp.trace.layout import Batch, Broken, Buffer
from mmuexp.trace.zstdwindows import Windows

WHOLE_ROWS = BATCH_ROWS
SLACK = 1 << 16  # bytes that a writer may pad a buffer by
FAILURES = (Broken, pa.ArrowException, OSError, ValueError, MemoryError)  # of bytes that do not decode
SMALL_BYTES = 1 << 12  # stored; a buffer of the same bytes as the column's one before is the same when decoded


def damaged(path: str, error: Exception, row: int | None = None) -> TraceError:
    """The line for bytes that do not decode."""
    at = "" if row is None else f" at row {row:,}"
    text = " ".join(str(error).split()) or type(error).__name__
    todo = f"copy it again, or keep what decodes: mmuexp trace recover {path} -o NEW.arrow"
    return TraceError(f"is damaged{at}: {text}", where=path, todo=todo, row=row)


class Column:
    """Where a column's buffers are in a batch, and its type in the file."""

    def __init__(self, name: str, kind: np.dtype, node: int, buffer: int):
        self.name, self.kind, self.node, self.buffer = name, kind, node, buffer  # buffer: validity; data is the next


def columns_of(schema: pa.Schema, path: str) -> list[Column]:
    """The trace's columns in the order of `guest.DTYPES`, found in a schema with others, in any order."""
    wanted: dict[str, Column] = {}
    node = buffer = 0
    for field in schema:
        if field.name in DTYPES._fields:
            if field.name in wanted:
                raise TraceError(f"has two columns {field.name!r}", where=path, todo="drop one of them")
            if not pa.types.is_unsigned_integer(field.type):
                raise TraceError(
                    f"column {field.name!r} is {field.type}, expected an unsigned integer",
                    where=path,
                    todo=f"cast it to {DTYPES._asdict()[field.name]}",
                )
            wanted[field.name] = Column(field.name, np.dtype(field.type.to_pandas_dtype()), node, buffer)
        nodes, buffers = _extent(field.type, path)
        node, buffer = node + nodes, buffer + buffers
    for name in DTYPES._fields:
        if name not in wanted:
            names = ", ".join(name if name.isprintable() else repr(name) for name in schema.names[:8]) or "none"
            todo = f"the columns of a trace are {' '.join(DTYPES._fields)}"
            raise TraceError(f"has no column {name!r} (its columns: {names})", where=path, todo=todo)
    return [wanted[name] for name in DTYPES._fields]


def _extent(kind: pa.DataType, path: str) -> tuple[int, int]:
    """Field nodes and buffers that a column of this type takes in a batch (Columnar.rst, "Buffer listing")."""
    types = pa.types
    if isinstance(kind, pa.BaseExtensionType):
        return _extent(kind.storage_type, path)
    if types.is_null(kind):
        return 1, 0
    if types.is_dictionary(kind):
        return 1, 2
    if types.is_union(kind):
        own = 1 if kind.mode == "sparse" else 2
    elif types.is_run_end_encoded(kind):
        inner = [_extent(kind.run_end_type, path), _extent(kind.value_type, path)]
        return 1 + sum(n for n, _ in inner), sum(b for _, b in inner)
    elif types.is_struct(kind) or types.is_fixed_size_list(kind):
        own = 1
    elif types.is_binary(kind) or types.is_string(kind) or types.is_large_binary(kind) or types.is_large_string(kind):
        return 1, 3
    elif types.is_list(kind) or types.is_large_list(kind) or types.is_map(kind):
        own = 2
    elif types.is_primitive(kind) or types.is_fixed_size_binary(kind) or types.is_decimal(kind):
        return 1, 2
    else:
        raise TraceError(f"has a column of type {kind} besides the trace's", where=path, todo="drop that column")
    inner = [_extent(kind.field(i).type, path) for i in range(kind.num_fields)]
    return 1 + sum(n for n, _ in inner), own + sum(b for _, b in inner)


class Decoder:
    """Decodes the batches of one open file. Errors name `path` and the row of the file."""

    def __init__(self, schema: pa.Schema, fd: int, path: str):
        self.columns, self.fd, self.path = columns_of(schema, path), fd, path
        self._raw = local()  # bytes: room for a buffer as stored, a thread each
        self._small: dict[str, tuple[tuple, np.ndarray]] = {}  # by column: the last small buffer, and its values

    def in_one_piece(self, rows: int) -> bool:
        """Does `pieces` give out a batch of so many rows as one?"""
        return rows <= WHOLE_ROWS

    def pieces(self, batch: Batch, first: int, skip: int = 0) -> Iterator[Columns]:
        """The rows of a batch that begins with row `first` of the file, without the first `skip`."""
        if not batch.rows:
            return
        position = 0
        try:
            self._check(batch, first)
            if self.in_one_piece(batch.rows):
                yield self._fit((self._whole(column, batch)[skip:] for column in self.columns), first + skip)
                return
            streams = [self._stream(column, batch) for column in self.columns]
            while position < batch.rows:
                count = min(BATCH_ROWS, batch.rows - position)
                drop = min(max(0, skip - position), count)
                arrays = (read(count)[drop:] for read in streams)
                if drop < count:
                    yield self._fit(arrays, first + position + drop)
                else:
                    deque(arrays, 0)
                position += count
        except FAILURES as error:
            raise damaged(self.path, error, first + position) from None

    def crc32(self, batch: Batch, first: int) -> str:
        """`mmuexp.crc32` of a batch of any size, column by column in bounded pieces."""
        value = 0
        try:
            for column, dtype in zip(self.columns if batch.rows else (), DTYPES, strict=False):
                read, left = self._stream(column, batch), batch.rows
                while left:
                    count = min(BATCH_ROWS, left)
                    value = zlib.crc32(np.ascontiguousarray(read(count), dtype), value)
                    left -= count
        except FAILURES as error:
            raise damaged(self.path, error, first) from None
        return f"{value:08x}"

    def whole(self, batch: Batch, first: int) -> Iterator[Columns]:
        """As `pieces`, given out only after all of the batch decoded and its CRC, if it has one, was right."""
        told, held = batch.custom.get(PREFIX + "crc32"), []
        for columns in self.pieces(batch, first):
            if batch.rows <= BATCH_ROWS:
                held.append(columns)
        if told is not None and told != (crc32(held[0]) if held else self.crc32(batch, first)):
            raise damaged(self.path, Broken("the rows do not have the CRC that they were written with"), first)
        yield from held or self.pieces(batch, first)

    def stored_bytes(self, batch: Batch) -> dict[str, int]:
        """Bytes that each column takes in the file."""
        return {column.name: batch.buffers[column.buffer + 1].length for column in self.columns}

    def _check(self, batch: Batch, first: int) -> None:
        for column in self.columns:
            if column.node >= len(batch.nulls) or column.buffer + 1 >= len(batch.buffers):
                raise Broken(f"a batch has no buffer for column {column.name!r}")
            if batch.nulls[column.node]:
                raise TraceError(
                    f"column {column.name!r} has empty values (nulls) in the batch at row {first:,}",
                    where=self.path,
                    todo="fill them in",
                    row=first,
                )

    def _fit(self, arrays: Iterable[np.ndarray], first: int) -> Columns:
        """The arrays in the trace's types, each before the next is decoded: in a file they may be twice to eight times
        as wide. A value that does not fit is refused with its row.
        """
        fitted = []
        for name, dtype, array in zip(DTYPES._fields, DTYPES, arrays, strict=True):
            if array.dtype != dtype and array.dtype.itemsize > dtype.itemsize:
                limit = np.iinfo(dtype).max
                if array.max() > limit:
                    bad = int(np.argmax(array > limit))
                    raise TraceError(
                        f"row {first + bad:,}: {name} is {int(array[bad])}, more than {limit}",
                        where=self.path,
                        todo="a trace is of a 32-bit guest" if name in ("vaddr", "page") else "mend its writer",
                        row=first + bad,
                    )
            fitted.append(np.ascontiguousarray(array, dtype))
        return Columns(*fitted)

    def _declared(self, column: Column, batch: Batch) -> tuple[Buffer, str | None, int]:
        """The stored data of a column, its codec, and its bytes when decoded, checked against the rows."""
        stored, needed = batch.buffers[column.buffer + 1], batch.rows * column.kind.itemsize
        if batch.codec is None:
            codec, size, stored = None, stored.length, stored
        else:
            size = int.from_bytes(layout.pread(self.fd, 8, stored.offset), "little", signed=True)
            stored = Buffer(stored.offset + 8, stored.length - 8)
            codec, size = (None, stored.length) if size == -1 else (batch.codec, size)
        if stored.length < 0 or not needed <= size <= 2 * needed + SLACK:
            raise Broken(f"column {column.name!r} declares {size} bytes where its rows take {needed}")
        if codec is not None and stored.length > 2 * size + SLACK:
            raise Broken(f"column {column.name!r} is larger compressed than decoded")
        return stored, codec, size

    def _whole(self, column: Column, batch: Batch) -> np.ndarray:
        stored, codec, size = self._declared(column, batch)
        if codec is None:
            data = np.empty(batch.rows * column.kind.itemsize, np.uint8)
            _read_into(data, self.fd, stored.offset)
        else:
            data = self._stored(stored)
            if stored.length <= SMALL_BYTES:
                return self._whole_small(column, batch.rows, codec, data.tobytes(), size)
            data = decompressed(codec, data, size)
        return np.frombuffer(data, column.kind, batch.rows)

    def _whole_small(self, column: Column, rows: int, codec: str, data: bytes, size: int) -> np.ndarray:
        """Columns of one value throughout, as `page` is in user mode, are decoded once. Read-only: batches share it."""
        kept, same = self._small.get(column.name), (data, codec, size, rows)
        if kept is None or kept[0] != same:
            values = np.frombuffer(decompressed(codec, data, size), column.kind, rows)
            values.flags.writeable = False
            self._small[column.name] = kept = same, values  # another thread may replace it: look once
        return kept[1]

    def _stored(self, stored: Buffer) -> np.ndarray:
        """The bytes of a buffer, good until this thread's next call: fresh memory would cost as much as the reading."""
        room = getattr(self._raw, "bytes", None)
        if room is None or len(room) < stored.length:
            room = self._raw.bytes = np.empty(stored.length + stored.length // 4, np.uint8)
        _read_into(room[: stored.length], self.fd, stored.offset)
        return room[: stored.length]

    def _stream(self, column: Column, batch: Batch):
        """A function that reads the next `count` values."""
        stored, codec, left = self._declared(column, batch)
        needed, source = batch.rows * column.kind.itemsize, _Range(self.fd, stored)
        if codec is not None:
            source.check = Windows(column.name, self.path) if codec == "zstd" else None
            source = pa.CompressedInputStream(pa.PythonFile(source, "r"), codec)

        def read(count: int) -> np.ndarray:
            nonlocal left, needed
            data = source.read(count * column.kind.itemsize)
            left, needed = left - len(data), needed - len(data)
            if len(data) != count * column.kind.itemsize:
                raise Broken(f"column {column.name!r} ends before its batch")
            if not needed and codec is not None:  # behind the rows there is what the buffer is padded with
                while left > 0 and (padding := source.read(min(left, 1 << 20))):
                    left -= len(padding)
                if left or source.read(1):
                    raise Broken(f"column {column.name!r} does not hold the bytes that it declares")
            return np.frombuffer(bytearray(data), column.kind, count)  # a copy that kernels may take as their own

        return read


def decompressed(codec: str, data, size: int) -> pa.Buffer:
    """`data` decompressed, if that makes exactly `size` bytes. Raises Broken if not."""
    if codec == "zstd":
        return pa.Codec(codec).decompress(data, size)  # fails by itself
    # in one call, LZ4 would leave memory as it was where there is less, and say nothing
    with pa.CompressedInputStream(pa.BufferReader(data), codec) as stream:
        found = stream.read_buffer(size)
        if len(found) != size or stream.read(1):
            raise Broken(f"a buffer does not hold the {size:,} bytes that it declares")
        return found


def _read_into(data: np.ndarray, fd: int, offset: int) -> None:
    done = 0
    while done < len(data):
        got = os.preadv(fd, [data[done:]], offset + done)
        if not got:
            raise Broken("the file ends too early")
        done += got


class _Range:
    """Some bytes of a file, as a file."""

    closed = False

    def __init__(self, fd: int, part: Buffer):
        self.fd, self.at, self.end = fd, part.offset, part.offset + part.length
        self.check: Windows | None = None

    def read(self, length: int = -1) -> bytes:
        left = self.end - self.at
        data = os.pread(self.fd, left if length < 0 else min(length, left), self.at)
        self.at += len(data)
        if self.check is not None:
            self.check.feed(data)
        return data

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return False

    def close(self) -> None:
        pass
