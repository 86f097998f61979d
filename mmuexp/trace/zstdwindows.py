"""Reads how much memory ZSTD asks for from its frames, before they are decoded (RFC 8878, section 3.1).

A stream's decoder allocates the window that a frame's header names, which may be 128 MB for a frame of 20 bytes. The
blocks between headers are stepped over by their lengths, so that every frame of a stream is seen.
"""

from collections.abc import Generator

from mmuexp.errors import TraceError
from mmuexp.trace.layout import Broken

MAX_WINDOW_BYTES = 8 << 20  # what the RFC recommends that every decoder supports; levels 1 to 19 ask for no more
MAGIC = b"\x28\xb5\x2f\xfd"
RLE = 1  # a block of one byte, repeated


class Windows:
    """Takes a column's bytes in order, each before it is decoded. Raises TraceError at a window that is too large."""

    def __init__(self, column: str, path: str):
        self.column, self.path, self._room, self._skip = column, path, bytearray(), 0
        self._steps = self._frames()
        self._wanted = next(self._steps)

    def feed(self, data: bytes) -> None:
        at = 0
        while at < len(data):
            if self._skip:
                step = min(self._skip, len(data) - at)
                self._skip, at = self._skip - step, at + step
                continue
            part = data[at : at + self._wanted - len(self._room)]
            self._room, at = self._room + part, at + len(part)
            if len(self._room) == self._wanted:
                given, self._room = bytes(self._room), bytearray()
                self._wanted = self._steps.send(given)

    def _frames(self) -> Generator[int, bytes, None]:
        """Yields how many bytes it needs next, and is sent them; what it steps over stands in `_skip`."""
        while True:
            magic = yield 4
            if magic[1:] == b"\x2a\x4d\x18" and magic[0] >> 4 == 5:  # a frame to be skipped
                self._skip = int.from_bytes((yield 4), "little")
                continue
            if magic != MAGIC:
                raise Broken(f"column {self.column!r} holds no ZSTD frame")
            (flags,) = yield 1
            single, content = flags >> 5 & 1, flags >> 6
            window = 0
            if not single:
                (told,) = yield 1
                base = 1 << 10 + (told >> 3)
                window = base + base // 8 * (told & 7)
            if dictionary := (0, 1, 2, 4)[flags & 3]:
                yield dictionary
            if length := (single, 2, 4, 8)[content]:
                told = int.from_bytes((yield length), "little")
                window = told if single else window
            if window > MAX_WINDOW_BYTES:
                what = f"column {self.column!r} has a ZSTD window of {window:,} bytes, more than {MAX_WINDOW_BYTES:,}"
                todo = "write it with batches of at most 1,048,576 rows, or at a ZSTD level of at most 19"
                raise TraceError(what, where=self.path, todo=todo)
            yield from self._blocks(flags >> 2 & 1)

    def _blocks(self, checksum: int) -> Generator[int, bytes, None]:
        last = 0
        while not last:
            head = int.from_bytes((yield 3), "little")
            last, kind, size = head & 1, head >> 1 & 3, head >> 3
            self._skip = 1 if kind == RLE else size
        self._skip += 4 * checksum
