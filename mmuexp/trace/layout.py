"""Finds where things lie in an Arrow IPC file, without trusting it.

Arrow's own reader allocates what a file says a buffer holds, and decodes a record batch as a whole. A trace comes
from anybody and its batches may have any size, so this module reads the few flatbuffers that say where a batch's
buffers are; the reader checks them against each other before a byte is decoded. Arrow's specification:
https://arrow.apache.org/docs/format/Columnar.html (File.fbs, Message.fbs).

Everything here raises `Broken` for bytes that make no sense. Memory is bounded whatever a file says of itself: a
header or a footer has at most 16 MB, of which at most 65,536 entries and 1 MB of text are looked at.
"""

import os
import struct
from collections.abc import Iterator
from contextlib import suppress
from typing import NamedTuple

import numpy as np

from mmuexp.blocks.runs import GROUP_BATCHES, MOST_SHAPES
from mmuexp.guest import BATCH_ROWS
from mmuexp.trace.flatbuffer import Broken, Table

MAGIC = b"ARROW1"
SCHEMA, RECORD_BATCH = 1, 3  # Message.fbs: MessageHeader
TIMESTAMP, UNION = 10, 14  # Schema.fbs: the types whose own tables have a text or a list
CODECS = {0: "lz4", 1: "zstd"}  # Message.fbs: CompressionType
MAX_HEADER_BYTES = 16 << 20
ROWS, BLOCKS = "1", "2"  # mmuexp.format: what the batches of a file hold
FORMAT_KEY, BATCH_KEY = "mmuexp.format", "mmuexp.batch"


class Buffer(NamedTuple):
    """One buffer of a batch: `offset` and `length` in bytes of the file, as stored."""

    offset: int
    length: int


class Batch(NamedTuple):
    """Says where the buffers of one record batch are and how they are stored."""

    rows: int  # of the trace
    nulls: list[int]  # null count of each field node, in depth-first order
    buffers: list[Buffer]
    codec: str | None  # "lz4", "zstd" or None
    custom: dict[str, str]
    start: int  # byte of the file where its message begins
    end: int  # byte of the file after the batch
    shapes: tuple[int, int] = (0, 0)  # of a batch of blocks: how many its group has before it, how many it adds


class Message(NamedTuple):
    """One encapsulated message of the file."""

    kind: int
    header: Table
    custom: dict[str, str]
    body: int  # first byte of the body
    end: int  # byte after the body
    raw: bytes  # the flatbuffer
    start: int


def pread(fd: int, length: int, offset: int) -> bytes:
    """Read exactly `length` bytes at `offset`. Raises Broken where the file ends before them."""
    if length < 0 or offset < 0:
        raise Broken("a length or an offset is negative")
    try:
        data = os.pread(fd, length, offset)
        while 0 < len(data) < length:
            more = os.pread(fd, length - len(data), offset + len(data))
            if not more:
                break
            data += more
    except OverflowError:
        raise Broken("an offset lies outside the file") from None
    if len(data) != length:
        raise Broken("the file ends too early")
    return data


def message(fd: int, start: int, size: int) -> Message | None:
    """Read the message at byte `start` of a file of `size` bytes; None where the stream ends."""
    mark, length = struct.unpack("<Ii", pread(fd, 8, start))
    head = start + 8
    if mark != 0xFFFFFFFF:  # before Arrow 0.15 there was only the length
        length, head = mark, start + 4
    if length == 0:
        return None
    if not 0 < length <= size - head:
        raise Broken("a message's header is longer than the file")
    if length > MAX_HEADER_BYTES:
        raise Broken(f"a message's header has {length:,} bytes, more than {MAX_HEADER_BYTES:,}")
    raw = pread(fd, length, head)
    root = Table.root(raw)
    header, body_length = root.table(2), root.integer(3, "q")
    if header is None:
        raise Broken("a message has no header")
    body = head + length
    if not 0 <= body_length <= size - body:
        raise Broken("a batch is longer than the file")
    return Message(root.integer(1, "B"), header, root.pairs(4), body, body + body_length, raw, start)


def batch(found: Message, format: str) -> Batch:
    """Read the layout of a RECORD_BATCH message in a file of a format."""
    header, size = found.header, found.end - found.body
    rows = header.integer(0, "q")
    if rows < 0:
        raise Broken("a batch has a negative number of rows")
    shapes = (0, 0)
    if format == BLOCKS and rows:
        rows, shapes = _told(rows, found.custom.get(BATCH_KEY, ""))
    spots = header.structs(2, "qq")
    if any(offset < 0 or length < 0 or offset + length > size for offset, length in spots):
        raise Broken("a buffer lies outside its batch")
    compression = header.table(3)
    codec = None
    if compression is not None:
        number = compression.integer(0, "b")
        if number not in CODECS:
            raise Broken(f"a batch is compressed by a codec without a name ({number})")
        codec = CODECS[number]
    nulls = [count for _, count in header.structs(1, "qq")]
    buffers = [Buffer(found.body + offset, length) for offset, length in spots]
    return Batch(rows, nulls, buffers, codec, found.custom, found.start, found.end, shapes)


def _told(records: int, text: str) -> tuple[int, tuple[int, int]]:
    """Read what a batch of blocks, one record, says of itself: rows, shapes of its group before it, new ones."""
    parts = text.split(",")
    if records == 1 and len(parts) == 3 and all(part.isascii() and part.isdigit() and len(part) < 8 for part in parts):
        rows, before, new = map(int, parts)
        if 1 <= rows <= BATCH_ROWS and before + new <= MOST_SHAPES:
            return rows, (before, new)
    raise Broken(f"{BATCH_KEY} of a batch is {text[:40]!r}, not its rows, shapes before it and new ones")


class Groups:
    """Tells which batches begin a group, from which on the file can be decoded; feed it all with rows in order."""

    def __init__(self) -> None:
        self._batches = 0

    def begins(self, batch: Batch) -> bool:
        """Raise Broken for more batches than a group has: what begins in it would take all of them."""
        self._batches = self._batches + 1 if batch.shapes[0] else 1
        if self._batches > GROUP_BATCHES:
            raise Broken(f"more than {GROUP_BATCHES} batches need each other")
        return self._batches == 1


class Block(NamedTuple):
    """What the footer says of a batch: where it starts, bytes of its header with prefix, bytes of its body."""

    offset: int
    header: int
    body: int


_BLOCK = np.dtype({"names": Block._fields, "formats": ["<i8", "<i4", "<i8"], "offsets": [0, 8, 16], "itemsize": 24})


MAX_PADDING = 64  # a writer may align its messages, as far as to this
EOS_BYTES = 8


def schema_start(fd: int, size: int) -> int:
    """Find the first message: after the magic, which some writers pad to 64 bytes."""
    head = pread(fd, min(size, MAX_PADDING + 8), 0)
    for at in range(8, MAX_PADDING + 1, 8):
        if head[at : at + 8] != bytes(8):
            return at
    raise Broken("it does not begin with a schema")


def schema_end(fd: int, size: int) -> int:
    """Find the byte after the schema message, which has no body, by the length that it gives alone."""
    start = schema_start(fd, size)
    mark, length = struct.unpack("<Ii", pread(fd, 8, start))
    return start + 8 + length if mark == 0xFFFFFFFF else start + 4 + mark


class Footer(NamedTuple):
    """Where the record batches are, in file order; `others`: the same of dictionary batches; its first byte; the
    schema's `mmuexp.format`."""

    blocks: np.ndarray  # _BLOCK[batches], 24 bytes each
    others: np.ndarray
    start: int
    format: str

    def batches(self) -> Iterator[Block]:
        """Yield the record batches: each is made a `Block` when it is asked for."""
        return (Block(*row.item()) for row in self.blocks)


def footer(fd: int, size: int) -> Footer | None:
    """Read what the footer says; None when the file has none."""
    tail = len(MAGIC) + 4
    if size < 2 * tail or pread(fd, len(MAGIC), size - len(MAGIC)) != MAGIC:
        return None
    (length,) = struct.unpack("<i", pread(fd, 4, size - tail))
    if not 0 < length <= size - tail - 8:
        raise Broken("its footer is longer than the file")
    if length > MAX_HEADER_BYTES:
        raise Broken(f"its footer has {length:,} bytes, more than {MAX_HEADER_BYTES:,}; write larger batches")
    start = size - tail - length
    root = Table.root(pread(fd, length, start))
    schema = root.table(1)
    if schema is None:
        raise Broken("its footer has no schema")
    if schema.integer(0, "h") != 0:
        raise Broken("its numbers are big-endian; write it on a little-endian machine")
    format = check_schema(schema)
    root.pairs(4)
    return Footer(root.array(3, _BLOCK), root.array(2, _BLOCK), start, format)


def check_schema(schema: Table) -> str:
    """Bound all of a schema that takes memory, before Arrow's own reader copies it (Schema.fbs). Returns the trace's
    format, "" if there is none."""
    format = schema.pairs(2).get(FORMAT_KEY, "")
    left = schema.tables(1)
    while left:
        field = left.pop()
        field.text(0)
        field.pairs(6)
        left += field.tables(5)
        kind, about = field.integer(2, "B"), field.table(3)
        if kind == TIMESTAMP and about:
            about.text(1)
        elif kind == UNION and about:
            about.structs(1, "i")
    return format


def check_cover(fd: int, size: int, found: Footer) -> None:
    """Raise Broken unless the footer lists all that stands between the schema and itself."""
    first = schema_end(fd, size)
    listed = np.concatenate([found.blocks, found.others])
    listed = listed[np.argsort(listed["offset"], kind="stable")]
    offset, header, body = (listed[name].astype(np.int64) for name in Block._fields)
    if all(low >= 0 and high <= size for low, high in map(_span, (offset, header, body))):  # sums stay in range
        ends = np.concatenate([[first], offset + header + body])
        gaps = offset - ends[:-1]
        if np.all((gaps >= 0) & (gaps < MAX_PADDING)) and 0 <= found.start - ends[-1] < EOS_BYTES + MAX_PADDING:
            return
    there = count_batches(fd, size)
    told = f"its footer lists {len(found.blocks):,} of {there:,} batches"
    raise Broken(told if len(found.blocks) < there else "its footer does not list the batches that there are")


def _span(values: np.ndarray) -> tuple[int, int]:
    return (int(values.min()), int(values.max())) if len(values) else (0, 0)


def count_batches(fd: int, size: int) -> int:
    """Count record batches from the schema on, without the footer, as far as the stream makes sense."""
    at, count = schema_end(fd, size), 0
    with suppress(Broken):
        while (found := message(fd, at, size)) is not None:
            at = found.end + -found.end % 8
            count += found.kind == RECORD_BATCH
    return count
