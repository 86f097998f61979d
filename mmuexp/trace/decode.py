"""Decodes batches to `Columns`, in pieces of bounded size.

What a file says about sizes is checked against its rows before memory is taken: a piece costs 2**20 rows of each
column, whatever the file claims. Arrow decodes batches of up to `WHOLE_ROWS` rows. Larger ones, and those that hold
other columns besides, which Arrow would decode too, are read column by column as streams; so are columns wider than
ours, of which a batch may take eight times as much.
"""

import os
import zlib
from collections import deque
from collections.abc import Callable, Iterator
from typing import NamedTuple

import numpy as np
import pyarrow as pa

from mmuexp.blocks.rows import RowMaker
from mmuexp.blocks.runs import Runs
from mmuexp.errors import TraceError
from mmuexp.guest import ADDRESS_BITS, BATCH_ROWS, DTYPES, Columns, dtypes_of
from mmuexp.trace import layout
from mmuexp.trace.format import PREFIX, crc32
from mmuexp.trace.forward import Forward
from mmuexp.trace.layout import Batch, Broken, Buffer
from mmuexp.trace.streams import Streams, Unpacker, most_bytes
from mmuexp.trace.zstdwindows import Windows

WHOLE_ROWS = BATCH_ROWS
WIDER = "a guest of 64 bits has mmuexp.guest x86_64, or vaddr of type uint64 and no mmuexp.guest; else mend its writer"
PART_ROWS = 1 << 13  # of a column that is read as a stream: so many are held as they are in the file
SLACK = 1 << 16  # bytes that a writer may pad a buffer by
FAILURES = (Broken, pa.ArrowException, OSError, ValueError, MemoryError)  # of bytes that do not decode


def damaged(path: str, error: Exception, row: int | None = None) -> TraceError:
    """Make the error for bytes that do not decode."""
    at = "" if row is None else f" at row {row:,}"
    text = " ".join(str(error).split()) or type(error).__name__
    todo = f"copy it again, or keep what decodes: mmuexp trace recover {path} -o NEW.arrow"
    return TraceError(f"is damaged{at}: {text}", where=path, todo=todo, row=row)


class Column(NamedTuple):
    """Says where a column's buffers are in a batch, and its type in the file."""

    name: str
    kind: np.dtype
    node: int
    buffer: int  # its validity; behind it, of a stream, where it begins and ends; the last is its data


def decoder_of(format: str, schema: pa.Schema, fd: int, path: str, address_bits: int) -> "Decoder":
    """Make the decoder of an open file."""
    return (BlockDecoder if format == layout.BLOCKS else Decoder)(schema, fd, path, address_bits)


def columns_of(schema: pa.Schema, path: str, names: tuple[str, ...], of_type: Callable, expected: str) -> list[Column]:
    """Find the trace's columns in a schema that may hold others, in any order; they come in that of `names`."""
    wanted: dict[str, Column] = {}
    node = buffer = 0
    for field in schema:
        if field.name in names:
            if field.name in wanted:
                raise TraceError(f"has two columns {field.name!r}", where=path, todo="drop one of them")
            if not of_type(field.type):
                what = f"column {field.name!r} is {field.type}, expected {expected}"
                todo = f"cast it to {DTYPES._asdict().get(field.name, 'binary')}"
                raise TraceError(what, where=path, todo=todo)
            wanted[field.name] = Column(field.name, np.dtype(field.type.to_pandas_dtype()), node, buffer)
        nodes, buffers = _extent(field.type, path)
        node, buffer = node + nodes, buffer + buffers
    for name in names:
        if name not in wanted:
            there = ", ".join(name if name.isprintable() else repr(name) for name in schema.names[:8]) or "none"
            todo = f"the columns of a trace of its format are {' '.join(names)}"
            raise TraceError(f"has no column {name!r} (its columns: {there})", where=path, todo=todo)
    return [wanted[name] for name in names]


def _extent(kind: pa.DataType, path: str) -> tuple[int, int]:
    """Count field nodes and buffers that a column of this type takes in a batch (Columnar.rst, "Buffer listing")."""
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
    """Decodes the batches of one open file, which hold rows. Errors name `path` and the row of the file."""

    names: tuple[str, ...] = DTYPES._fields
    expected: tuple[Callable, str] = pa.types.is_unsigned_integer, "an unsigned integer"

    def __init__(self, schema: pa.Schema, fd: int, path: str, address_bits: int = ADDRESS_BITS):
        self.schema, self.fd, self.path, self.address_bits = schema, fd, path, address_bits
        self.dtypes = dtypes_of(address_bits)
        self.columns = columns_of(schema, path, self.names, *self.expected)
        wide = any(column.kind.itemsize > dtype.itemsize for column, dtype in zip(self.columns, DTYPES, strict=False))
        self._head = bytearray(schema.remove_metadata().serialize())
        self._plain = len(schema) == len(self.columns) and not wide

    def fresh(self) -> "Decoder":
        """Make another one that has decoded nothing."""
        return self

    def pieces(self, batch: Batch, first: int, skip: int = 0) -> Iterator[Columns]:
        """Yield the rows of a batch that begins with row `first` of the file, without the first `skip`."""
        if not batch.rows:
            return
        position = 0
        try:
            self._check(batch, first)
            if batch.rows <= WHOLE_ROWS and self._plain:
                arrays = (array[skip:] for array in self._whole(batch))
                yield Columns(*(np.require(a, dtype, ["C", "A"]) for a, dtype in zip(arrays, self.dtypes, strict=True)))
                return
            streams = [self._stream(column, batch) for column in self.columns]
            while position < batch.rows:
                count = min(BATCH_ROWS, batch.rows - position)
                drop = min(max(0, skip - position), count)
                arrays = (
                    self._fitting(read, name, dtype, first + position, count, drop)
                    for read, name, dtype in zip(streams, self.names, self.dtypes, strict=True)
                )
                if drop < count:
                    yield Columns(*arrays)
                else:
                    deque(arrays, 0)
                position += count
        except FAILURES as error:
            raise damaged(self.path, error, first + position) from None

    def crc32(self, batch: Batch, first: int) -> str:
        """Take `mmuexp.crc32` of a batch of any size, column by column in bounded pieces."""
        value = 0
        try:
            for column, dtype in zip(self.columns if batch.rows else (), self.dtypes, strict=False):
                read, left = self._stream(column, batch), batch.rows
                while left:
                    count = min(BATCH_ROWS, left)
                    value = zlib.crc32(np.ascontiguousarray(read(count), dtype).data, value)
                    left -= count
        except FAILURES as error:
            raise damaged(self.path, error, first) from None
        return f"{value:08x}"

    def whole(self, batch: Batch, first: int, skip: int = 0) -> Iterator[Columns]:
        """Yield as `pieces` does, but only after all of the batch decoded and its CRC, if it has one, was right."""
        told, held = batch.custom.get(PREFIX + "crc32"), []
        for columns in self.pieces(batch, first):
            if batch.rows <= BATCH_ROWS:
                held.append(columns)
        if told is not None and told != (crc32(held[0]) if held else self.crc32(batch, first)):
            raise damaged(self.path, Broken("the rows do not have the CRC that they were written with"), first)
        if not held:
            yield from self.pieces(batch, first, skip)
        elif skip < batch.rows:
            yield Columns(*(column[skip:] for column in held[0]))

    def stored_bytes(self, batch: Batch) -> dict[str, int]:
        """Count the bytes that each column takes in the file."""
        return {column.name: sum(buffer.length for buffer in self._buffers(column, batch)) for column in self.columns}

    def _buffers(self, column: Column, batch: Batch) -> list[Buffer]:
        return batch.buffers[column.buffer + 1 : column.buffer + 2]

    def _check(self, batch: Batch, first: int) -> None:
        for column in self.columns:
            if column.node >= len(batch.nulls) or not self._buffers(column, batch):
                raise Broken(f"a batch has no buffer for column {column.name!r}")
            if batch.nulls[column.node]:
                raise TraceError(
                    f"column {column.name!r} has empty values (nulls) in the batch at row {first:,}",
                    where=self.path,
                    todo="fill them in",
                    row=first,
                )

    def _fitting(
        self, read: Callable[[int], np.ndarray], name: str, dtype: np.dtype, first: int, count: int, drop: int
    ) -> np.ndarray:
        """Read `count` values, from row `first` on, and cast them to the trace's type, some at once: in a file they may
        be twice to eight times as wide. Behind the first `drop`, which are left out, one that does not fit is refused
        with its row.
        """
        fitted, limit = np.empty(count, dtype), np.iinfo(dtype).max
        for at in range(0, count, PART_ROWS):
            part = read(min(PART_ROWS, count - at))
            fitted[at : at + len(part)] = part
            wanted = part[max(0, drop - at) :]
            if part.dtype.itemsize > dtype.itemsize and len(wanted) and wanted.max() > limit:
                bad = int(np.argmax(wanted > limit))
                row = first + max(at, drop) + bad
                raise TraceError(
                    f"row {row:,}: {name} is {int(wanted[bad])}, more than {limit}",
                    where=self.path,
                    todo=WIDER if name in ("vaddr", "page") else "mend its writer",
                    row=row,
                )
        return fitted[drop:]

    def _declared(self, column: Column, batch: Batch) -> tuple[Buffer, str | None, int]:
        """Find a column's stored data, its codec, and its bytes when decoded, checked against the rows."""
        needed = batch.rows * column.kind.itemsize
        (stored,) = self._buffers(column, batch)
        return self._sized(column, batch, stored, needed, 2 * needed)

    def _sized(self, column: Column, batch: Batch, stored: Buffer, least: int, most: int) -> tuple:
        """Find where a buffer's data is, its codec, and its bytes when decoded, of which there must be so many."""
        if batch.codec is None or not stored.length:  # an empty buffer is stored as nothing
            codec, size, stored = None, stored.length, stored
        else:
            size = int.from_bytes(layout.pread(self.fd, 8, stored.offset), "little", signed=True)
            stored = Buffer(stored.offset + 8, stored.length - 8)
            codec, size = (None, stored.length) if size == -1 else (batch.codec, size)
        if stored.length < 0 or not least <= size <= most + SLACK:
            at_most = f"{least}" if least else f"at most {most}"
            raise Broken(f"column {column.name!r} declares {size} bytes where its rows take {at_most}")
        if codec is not None and stored.length > 2 * size + SLACK:
            raise Broken(f"column {column.name!r} is larger compressed than decoded")
        return stored, codec, size

    def _whole(self, batch: Batch) -> list[np.ndarray]:
        for column in self.columns:
            self._declared(column, batch)
        decoded = self._decoded(batch)
        data = [decoded.column(column.name).buffers()[1] for column in self.columns]
        return [np.frombuffer(part, column.kind, batch.rows) for part, column in zip(data, self.columns, strict=True)]

    def _decoded(self, batch: Batch) -> pa.RecordBatch:
        stored = layout.pread(self.fd, batch.end - batch.start, batch.start)
        # a bytearray, which kernels take as their own; Arrow's own pool keeps tens of megabytes of what is given back
        with pa.ipc.open_stream(self._head + stored, memory_pool=pa.system_memory_pool()) as stream:
            return stream.read_next_batch()

    def _stream(self, column: Column, batch: Batch):
        """Make a function that reads the next `count` values."""
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


class BlockDecoder(Decoder):
    """Decodes the batches of one open file, which hold runs: in order, from one that begins a group on."""

    names = Streams._fields
    expected = pa.types.is_binary, "binary"

    def __init__(self, schema: pa.Schema, fd: int, path: str, address_bits: int = ADDRESS_BITS):
        super().__init__(schema, fd, path, address_bits)
        if len(schema) > len(self.names):
            todo = f"the columns of a trace of its format are {' '.join(self.names)}"
            raise TraceError("has columns besides the trace's", where=path, todo=todo)
        self._unpacker, self._maker = Unpacker(address_bits), RowMaker()

    def fresh(self) -> "BlockDecoder":
        return BlockDecoder(self.schema, self.fd, self.path, self.address_bits)

    def runs(self, batch: Batch, first: int) -> Runs:
        """Decode a batch that begins with row `first` of the file."""
        try:
            self._check(batch, first)
            for column, most in zip(self.columns, most_bytes(batch.rows, self.address_bits), strict=True):
                ends, data = self._buffers(column, batch)
                self._sized(column, batch, ends, 8, 8)
                self._sized(column, batch, data, 0, most)
            decoded = self._decoded(batch)
            streams = (self._bytes(column, decoded) for column in self.columns)
            return self._unpacker.unpack(Streams(*streams), batch.rows, *batch.shapes)
        except FAILURES as error:
            raise damaged(self.path, error, first) from None

    def pieces(self, batch: Batch, first: int, skip: int = 0) -> Iterator[Columns]:
        if batch.rows:
            runs = self.runs(batch, first)
            columns = self._maker.rows(runs)  # of rows that are skipped, too: later ones hang on them
            if skip < batch.rows:
                yield Columns(*(column[skip:] for column in columns))

    def _buffers(self, column: Column, batch: Batch) -> list[Buffer]:
        return batch.buffers[column.buffer + 1 : column.buffer + 3]

    def _bytes(self, column: Column, decoded: pa.RecordBatch) -> np.ndarray:
        """Find the bytes of a stream: the one value of its column."""
        _, ends, data = decoded.column(column.name).buffers()
        begin, end = np.frombuffer(ends, "<i4", 2).tolist()
        if not 0 <= begin <= end <= (data.size if data else 0):
            raise Broken(f"column {column.name!r} does not hold the bytes that it declares")
        found = np.frombuffer(data or b"", np.uint8)[begin:end]
        found.flags.writeable = False  # as nothing is: kernels are compiled for the one type
        return found


class _Range(Forward):
    """Reads a range of a file as if it were a file."""

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
