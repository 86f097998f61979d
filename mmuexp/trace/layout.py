"""Where things lie in an Arrow IPC file, read without trusting it.

Arrow's own reader allocates what a file says a buffer holds, and decodes a record batch as a whole. A trace comes
from anybody and its batches may have any size, so this module reads the few flatbuffers that say where a batch's
buffers are; the reader checks them against each other before a byte is decoded. Arrow's specification:
https://arrow.apache.org/docs/format/Columnar.html (File.fbs, Message.fbs).

Everything here raises `Broken` for bytes that make no sense, and allocates no more than the file is long.
"""

import os
import struct
from contextlib import suppress
from typing import NamedTuple

MAGIC = b"ARROW1"
SCHEMA, DICTIONARY, RECORD_BATCH = 1, 2, 3  # Message.fbs: MessageHeader
CODECS = {0: "lz4", 1: "zstd"}  # Message.fbs: CompressionType
MAX_HEADER_BYTES = 16 << 20


class Broken(Exception):
    """Bytes that are no Arrow file, in words for the user."""


class Buffer(NamedTuple):
    """One buffer of a batch: `offset` and `length` in bytes of the file, as stored."""

    offset: int
    length: int


class Batch(NamedTuple):
    """One record batch: where its buffers are and how they are stored."""

    rows: int
    nulls: list[int]  # null count of each field node, in depth-first order
    buffers: list[Buffer]
    codec: str | None  # "lz4", "zstd" or None
    custom: dict[str, str]
    end: int  # byte of the file after the batch


class Table:
    """A flatbuffer table: fields by number, every offset checked."""

    def __init__(self, data: bytes, at: int):
        self.data, self.at = data, at
        self.vtable = at - self._int("<i", at)
        self.entries = (self._int("<H", self.vtable) - 4) // 2

    @classmethod
    def root(cls, data: bytes) -> "Table":
        return cls(data, cls._read(data, "<I", 0))

    @staticmethod
    def _read(data: bytes, kind: str, at: int) -> int:
        if at < 0:
            raise Broken("an offset points outside its header")
        try:
            return struct.unpack_from(kind, data, at)[0]
        except struct.error:
            raise Broken("an offset points outside its header") from None

    def _int(self, kind: str, at: int) -> int:
        return self._read(self.data, kind, at)

    def _field(self, number: int) -> int:
        """Where a field lies, 0 if it is absent."""
        if number >= self.entries:
            return 0
        offset = self._int("<H", self.vtable + 4 + 2 * number)
        return self.at + offset if offset else 0

    def int(self, number: int, kind: str, default: int = 0) -> int:
        at = self._field(number)
        return self._int("<" + kind, at) if at else default

    def _target(self, number: int) -> int:
        at = self._field(number)
        return at + self._int("<I", at) if at else 0

    def table(self, number: int) -> "Table | None":
        at = self._target(number)
        return Table(self.data, at) if at else None

    def structs(self, number: int, kind: str) -> list[tuple]:
        """A vector of structs."""
        at = self._target(number)
        if not at:
            return []
        width, count = struct.calcsize("<" + kind), self._int("<I", at)
        if at + 4 + width * count > len(self.data):
            raise Broken("a list is longer than its header")
        return list(struct.iter_unpack("<" + kind, self.data[at + 4 : at + 4 + width * count]))

    def tables(self, number: int) -> list["Table"]:
        at = self._target(number)
        if not at:
            return []
        count = self._int("<I", at)
        if at + 4 + 4 * count > len(self.data):
            raise Broken("a list is longer than its header")
        spots = (at + 4 + 4 * i for i in range(count))
        return [Table(self.data, spot + self._int("<I", spot)) for spot in spots]

    def text(self, number: int) -> str:
        at = self._target(number)
        if not at:
            return ""
        length = self._int("<I", at)
        if at + 4 + length > len(self.data):
            raise Broken("a text is longer than its header")
        return self.data[at + 4 : at + 4 + length].decode("utf-8", "replace")

    def pairs(self, number: int) -> dict[str, str]:
        """Keys and values. Many of them may point to one long text: together they may not exceed the header."""
        found, size = {}, 0
        for pair in self.tables(number):
            key, value = pair.text(0), pair.text(1)
            size += len(key) + len(value)
            if size > len(self.data):
                raise Broken("its metadata is longer than its header")
            found[key] = value
        return found


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
    """Exactly `length` bytes at `offset`. Raises Broken where the file ends before them."""
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
    """The message at byte `start` of a file of `size` bytes; None where the stream ends."""
    mark, length = struct.unpack("<Ii", pread(fd, 8, start))
    head = start + 8
    if mark != 0xFFFFFFFF:  # before Arrow 0.15 there was only the length
        length, head = mark, start + 4
    if length == 0:
        return None
    if not 0 < length <= min(MAX_HEADER_BYTES, size - head):
        raise Broken("a message's header is longer than the file")
    raw = pread(fd, length, head)
    root = Table.root(raw)
    header, body_length = root.table(2), root.int(3, "q")
    if header is None:
        raise Broken("a message has no header")
    body = head + length
    if not 0 <= body_length <= size - body:
        raise Broken("a batch is longer than the file")
    return Message(root.int(1, "B"), header, root.pairs(4), body, body + body_length, raw, start)


def batch(found: Message) -> Batch:
    """The layout of a RECORD_BATCH message."""
    header, size = found.header, found.end - found.body
    rows = header.int(0, "q")
    if rows < 0:
        raise Broken("a batch has a negative number of rows")
    spots = header.structs(2, "qq")
    if any(offset < 0 or length < 0 or offset + length > size for offset, length in spots):
        raise Broken("a buffer lies outside its batch")
    compression = header.table(3)
    codec = None
    if compression is not None:
        number = compression.int(0, "b")
        if number not in CODECS:
            raise Broken(f"a batch is compressed by a codec without a name ({number})")
        codec = CODECS[number]
    nulls = [count for _, count in header.structs(1, "qq")]
    buffers = [Buffer(found.body + offset, length) for offset, length in spots]
    return Batch(rows, nulls, buffers, codec, found.custom, found.end)


class Block(NamedTuple):
    """What the footer says of a batch: where it starts, bytes of its header with prefix, bytes of its body."""

    offset: int
    header: int
    body: int


MAX_PADDING = 64  # a writer may align its messages, as far as to this
EOS_BYTES = 8


def schema_start(fd: int, size: int) -> int:
    """Where the first message stands: after the magic, which some writers pad to 64 bytes."""
    head = pread(fd, min(size, MAX_PADDING + 8), 0)
    for at in range(8, MAX_PADDING + 1, 8):
        if head[at : at + 8] != bytes(8):
            return at
    raise Broken("it does not begin with a schema")


def schema_end(fd: int, size: int) -> int:
    """The byte after the schema message, which has no body: by its length alone, whatever its content."""
    start = schema_start(fd, size)
    mark, length = struct.unpack("<Ii", pread(fd, 8, start))
    return start + 8 + length if mark == 0xFFFFFFFF else start + 4 + mark


class Footer(NamedTuple):
    """Where the record batches are, in file order; `others`: the same of dictionary batches; its first byte."""

    blocks: list[Block]
    others: list[Block]
    start: int


def footer(fd: int, size: int) -> Footer | None:
    """What the footer says; None when the file has none."""
    tail = len(MAGIC) + 4
    if size < 2 * tail or pread(fd, len(MAGIC), size - len(MAGIC)) != MAGIC:
        return None
    (length,) = struct.unpack("<i", pread(fd, 4, size - tail))
    if not 0 < length <= size - tail - 8:
        raise Broken("its footer is longer than the file")
    start = size - tail - length
    root = Table.root(pread(fd, length, start))
    schema = root.table(1)
    if schema is None:
        raise Broken("its footer has no schema")
    if schema.int(0, "h") != 0:
        raise Broken("its numbers are big-endian; write it on a little-endian machine")
    for table, number in ((schema, 2), *((field, 6) for field in schema.tables(1))):
        table.pairs(number)  # before Arrow's own reader copies them
    blocks, others = ([Block(*block) for block in root.structs(number, "qixxxxq")] for number in (3, 2))
    return Footer(blocks, others, start)


def check_cover(fd: int, size: int, found: Footer) -> None:
    """Raise Broken unless the footer lists all that stands between the schema and itself."""
    end = schema_end(fd, size)
    for block in sorted(found.blocks + found.others):
        if not 0 <= block.offset - end < MAX_PADDING:
            break
        end = block.offset + block.header + block.body
    else:
        if 0 <= found.start - end < EOS_BYTES + MAX_PADDING:
            return
    there = count_batches(fd, size)
    listed = f"its footer lists {len(found.blocks):,} of {there:,} batches"
    raise Broken(listed if len(found.blocks) < there else "its footer does not list the batches that there are")


def count_batches(fd: int, size: int) -> int:
    """Record batches from the schema on, without the footer: as far as the stream makes sense."""
    at, count = schema_end(fd, size), 0
    with suppress(Broken):
        while (found := message(fd, at, size)) is not None:
            at = found.end + -found.end % 8
            count += found.kind == RECORD_BATCH
    return count
