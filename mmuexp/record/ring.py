"""Reads the memory shared by QEMU and the encoder, as `plugin/ring.h` lays it out: a header, and chunks of rows.

The plugin fills chunks column by column; `Ring.columns` wraps them as arrays without a copy. Rows that QEMU wrote
before something killed it are still here, which is why the memory belongs to the encoder and not to a pipe.
"""

import mmap
import os
from enum import IntEnum

import numpy as np

from mmuexp.errors import MmuexpError
from mmuexp.guest import BATCH_ROWS, DTYPES, USER, Columns

MAGIC, VERSION = 0x584D4D55, 8
HEADER_BYTES = 4096
CHUNKS = 4  # one is filled, one is written out, two take up the slack between the two
TOKEN_FREE, TOKEN_STOP = b"f", b"s"

_HEADER = np.dtype(
    [
        *((name, "u4") for name in ("magic", "version", "mode", "chunks", "started", "ended", "in_exec", "pid")),
        ("skipped", "u8"),
        ("rows", "u8"),
        ("prefix", "u8"),
        ("flushes_unsure", "u8"),
        ("start_now", "u4"),
        ("loaded_bytes", "u4"),
        ("guest_bits", "u4"),
        ("children", "u4"),
        ("loaded", "u1", 3072),
    ]
)


class Mode(IntEnum):
    USER = 0
    SYSTEM = 1


class Ended(IntEnum):
    """Says why the plugin makes no more rows (`enum ended`)."""

    NOT = 0
    EXIT = 1
    LIMIT = 2
    THREADS = 3
    STOPPED = 4
    SOCKET = 5
    VCPUS = 6
    QEMU = 7
    RAM = 8
    PAGES = 9
    VPAGES = 10


class Ring:
    """`chunks` chunks of 2**20 rows in anonymous shared memory; `fd` is handed to QEMU. `bits` is the width of the
    guest's addresses."""

    def __init__(self, mode: Mode = Mode.USER, bits: int = 32, chunks: int = CHUNKS):
        self._dtypes = DTYPES._replace(vaddr=np.dtype(f"u{bits // 8}"))
        chunk_bytes = BATCH_ROWS * sum(dtype.itemsize for dtype in self._dtypes)
        size = HEADER_BYTES + chunks * chunk_bytes
        self.mode, self.bits, self.chunks = mode, bits, chunks
        self.fd = os.memfd_create("mmuexp", os.MFD_CLOEXEC)
        try:
            os.ftruncate(self.fd, size)
            memory = mmap.mmap(self.fd, size, mmap.MAP_SHARED)
        except OSError as error:
            os.close(self.fd)
            what = f"its {size >> 20} MiB of shared memory cannot be had: {str(error.strerror).lower()}"
            raise MmuexpError(
                what, where="the recorder", todo="see `ulimit -f` and `ulimit -v`, and /proc/meminfo"
            ) from None
        self._header = np.frombuffer(memory, _HEADER, 1)[0:1].view(np.recarray)
        self._header.magic, self._header.version = MAGIC, VERSION
        self._header.mode, self._header.chunks, self._header.guest_bits = mode, chunks, bits
        self._chunks = [self._wrap(memory, HEADER_BYTES + i * chunk_bytes) for i in range(chunks)]
        self.taken = 0  # rows handed out by `columns`

    def _wrap(self, memory: mmap.mmap, offset: int) -> Columns:
        columns = []
        for dtype in self._dtypes:
            columns.append(np.frombuffer(memory, dtype, BATCH_ROWS, offset))
            offset += columns[-1].nbytes
        if self.mode == Mode.USER:  # these never change there, so the plugin does not write them
            page, flags = np.zeros(BATCH_ROWS, DTYPES.page), np.full(BATCH_ROWS, USER, DTYPES.flags)
            return Columns(*columns)._replace(page=page, flags=flags)
        return Columns(*columns)

    started = property(lambda self: bool(self._header.started[0]))
    ended = property(lambda self: Ended(int(self._header.ended[0])))
    in_exec = property(lambda self: bool(self._header.in_exec[0]))
    rows = property(lambda self: int(self._header.rows[0]))
    skipped = property(lambda self: int(self._header.skipped[0]))
    prefix = property(lambda self: int(self._header.prefix[0]))
    children = property(lambda self: int(self._header.children[0]))
    flushes_unsure = property(lambda self: int(self._header.flushes_unsure[0]))

    @property
    def in_chunk(self) -> int:
        """How many rows of a chunk that is not yet taken whole are taken: the plugin may not have it back."""
        return self.taken % BATCH_ROWS

    @property
    def loaded(self) -> list[str]:
        """The files that the program mapped to execute, its libraries, beside what QEMU itself loaded."""
        names = bytes(self._header.loaded[0][: int(self._header.loaded_bytes[0])])
        return [os.fsdecode(name) for name in names.split(b"\0") if name]

    @property
    def is_full(self) -> bool:
        """Does a whole chunk wait to be written?"""
        return self.rows - self.taken >= BATCH_ROWS - self.in_chunk

    def begin(self) -> None:
        """Tell the plugin, which passes rows over, to make rows from its next block on."""
        self._header.start_now = 1

    def columns(self, *, partial: bool = False, until: int | None = None) -> Columns | None:
        """The next rows up to the end of their chunk (`partial`: or as far as there are any, `until` so many are
        taken), None when there are none.
        The plugin writes a chunk again only after it was told that it is free."""
        start = self.in_chunk
        rows = self.rows if until is None else min(until, self.rows)
        stop = min(start + rows - self.taken, BATCH_ROWS)
        if stop <= start or (stop < BATCH_ROWS and not partial):
            return None
        chunk = self._chunks[self.taken // BATCH_ROWS % self.chunks]
        self.taken += stop - start
        return Columns(*(column[start:stop] for column in chunk))

    def close(self) -> None:
        """Forget the descriptor; the memory goes with the last array that looks at it."""
        os.close(self.fd)
