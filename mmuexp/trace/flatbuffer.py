"""Reads flatbuffers, in which Arrow keeps what it says of a file, and checks every offset in them."""

import struct

import numpy as np

MAX_ENTRIES = 1 << 16  # columns, keys and buffers of one header
MAX_TEXT_BYTES = 1 << 20  # names and metadata of one header, and the metadata of all batches of no rows


class Broken(Exception):
    """Says in words for the user why some bytes are not an Arrow file."""


class Budget:
    """Bounds what is looked at of one header: many entries can point to one large thing, each to be copied."""

    def __init__(self):
        self.entries, self.text_bytes = MAX_ENTRIES, MAX_TEXT_BYTES

    def spend(self, entries: int = 0, text_bytes: int = 0) -> None:
        self.entries, self.text_bytes = self.entries - entries, self.text_bytes - text_bytes
        if self.entries < 0:
            raise Broken(f"a header has more than {MAX_ENTRIES:,} entries")
        if self.text_bytes < 0:
            raise Broken(f"the names and metadata of a header take more than {MAX_TEXT_BYTES:,} bytes")


class Table:
    """A flatbuffer table: fields by number, every offset checked. All tables of a header share its budget."""

    def __init__(self, data: bytes, at: int, budget: Budget):
        self.data, self.at, self.budget = data, at, budget
        self.vtable = at - self._int("<i", at)
        self.entries = (self._int("<H", self.vtable) - 4) // 2

    @classmethod
    def root(cls, data: bytes) -> "Table":
        return cls(data, cls._read(data, "<I", 0), Budget())

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

    def integer(self, number: int, kind: str, default: int = 0) -> int:
        at = self._field(number)
        return self._int("<" + kind, at) if at else default

    def _target(self, number: int) -> int:
        at = self._field(number)
        return at + self._int("<I", at) if at else 0

    def table(self, number: int) -> "Table | None":
        at = self._target(number)
        return Table(self.data, at, self.budget) if at else None

    def _vector(self, number: int, width: int) -> tuple[int, int]:
        """Where the elements of a vector begin, and how many there are."""
        at = self._target(number)
        if not at:
            return 0, 0
        count = self._int("<I", at)
        if at + 4 + width * count > len(self.data):
            raise Broken("a list is longer than its header")
        return at + 4, count

    def array(self, number: int, dtype: np.dtype) -> np.ndarray:
        """A vector of structs where it lies, however many there are."""
        at, count = self._vector(number, dtype.itemsize)
        return np.frombuffer(self.data, dtype, count, at)

    def structs(self, number: int, kind: str) -> list[tuple]:
        """A vector of structs."""
        width = struct.calcsize("<" + kind)
        at, count = self._vector(number, width)
        self.budget.spend(entries=count)
        return list(struct.iter_unpack("<" + kind, self.data[at : at + width * count]))

    def tables(self, number: int) -> list["Table"]:
        at, count = self._vector(number, 4)
        self.budget.spend(entries=count)
        spots = (at + 4 * i for i in range(count))
        return [Table(self.data, spot + self._int("<I", spot), self.budget) for spot in spots]

    def text(self, number: int) -> str:
        at, length = self._vector(number, 1)
        self.budget.spend(text_bytes=length)
        return self.data[at : at + length].decode("utf-8", "replace")

    def pairs(self, number: int) -> dict[str, str]:
        """Keys and values."""
        return {pair.text(0): pair.text(1) for pair in self.tables(number)}
