"""Reads what the recorder must know of an x86 ELF file, of 32 bits or of 64: its segments, sections and symbols.

A file that is cut or damaged raises `struct.error`, `ValueError` or `IndexError` (`DAMAGED`) where that shows.
"""

import contextlib
import mmap
import struct
from collections.abc import Iterator
from typing import NamedTuple

ELF_MAGIC = b"\x7fELF"
ELFDATA2LSB = 1
EM_386, EM_X86_64 = 3, 62
ET_EXEC, ET_DYN = 2, 3
PT_LOAD, PT_DYNAMIC, PT_INTERP = 1, 2, 3
PF_X = 1
SHT_SYMTAB, SHT_DYNSYM = 2, 11
DAMAGED = (struct.error, ValueError, IndexError)
MOST_PATH_BYTES = 4096


class Guest(NamedTuple):
    """Tells what programs of one width run on: the name is QEMU's and the trace's."""

    name: str
    bits: int
    loader_package: str  # Debian's, with the loader and libc
    library_folders: tuple[str, ...]  # that its loader searches by itself, beside the usual ones
    library_triplets: str  # as Debian names folders of libraries

    @property
    def default_root(self) -> str:
        """The folder where Debian's QEMU looks when it is given no -L."""
        return f"/etc/qemu-binfmt/{self.name}"


I386 = Guest("i386", 32, "libc6:i386", ("lib32", "usr/lib32"), "i[3-6]86-*")
X86_64 = Guest("x86_64", 64, "libc6:amd64", ("lib64", "usr/lib64"), "x86_64-*")
GUESTS = {guest.name: guest for guest in (I386, X86_64)}
BY_CLASS = {1: (I386, EM_386), 2: (X86_64, EM_X86_64)}  # the byte of the header that tells the width


class Segment(NamedTuple):
    kind: int
    flags: int
    offset: int
    vaddr: int
    bytes: int  # in the file


class _Layout(NamedTuple):
    """Says where in each width the fields stand that are read here."""

    tables: str  # of the header: where segments and sections are
    tables_at: int
    sizes_at: int  # bytes and number of the entries of both
    segment: str
    order: tuple[int, ...]  # of a segment's fields, as in Segment
    section: str
    symbol: str
    symbol_order: tuple[int, ...]  # name, section and value
    dynamic: str


_LAYOUTS = {
    32: _Layout("<II", 28, 42, "<8I", (0, 6, 1, 2, 4), "<10I", "<IIIBBH", (0, 5, 1), "<II"),
    64: _Layout("<QQ", 32, 54, "<IIQQQQQQ", (0, 1, 2, 3, 5), "<IIQQQQIIQQ", "<IBBHQQ", (0, 3, 4), "<QQ"),
}


class Elf:
    """Looks into the bytes of an ELF file."""

    def __init__(self, data: bytes | mmap.mmap):
        self.data = data
        self.guest, self._machine = BY_CLASS[data[4]]
        self._layout = _LAYOUTS[self.guest.bits]
        self.kind, self.machine = struct.unpack_from("<HH", data, 16)
        self._tables = struct.unpack_from(self._layout.tables, data, self._layout.tables_at)
        self._sizes = struct.unpack_from("<HHHH", data, self._layout.sizes_at)

    @property
    def is_x86(self) -> bool:
        return self.data[5] == ELFDATA2LSB and self.machine == self._machine

    def _entries(self, form: str, which: int) -> list[tuple[int, ...]]:
        size, count = self._sizes[2 * which : 2 * which + 2]
        return [struct.unpack_from(form, self.data, self._tables[which] + at * size) for at in range(count)]

    def segments(self) -> list[Segment]:
        entries = self._entries(self._layout.segment, 0)
        return [Segment(*(entry[at] for at in self._layout.order)) for entry in entries]

    def loader(self) -> str | None:
        """Read the loader that the program names, as the guest sees it; None for a static one."""
        for segment in self.segments():
            if segment.kind == PT_INTERP:
                text = self.data[segment.offset : segment.offset + min(segment.bytes, MOST_PATH_BYTES)]
                return text.split(b"\0")[0].decode(errors="replace")
        return None

    def dynamic(self) -> dict[int, int]:
        """Read the dynamic section: value by tag."""
        (own,) = (segment for segment in self.segments() if segment.kind == PT_DYNAMIC)
        size = struct.calcsize(self._layout.dynamic)
        data = self.data[own.offset : own.offset + own.bytes // size * size]
        return dict(struct.iter_unpack(self._layout.dynamic, data))

    def text_at(self, vaddr: int) -> bytes:
        """Read the text, ended by a 0, that the program has at an address."""
        (segment,) = (s for s in self.segments() if s.kind == PT_LOAD and s.vaddr <= vaddr < s.vaddr + s.bytes)
        return self._text(segment.offset + vaddr - segment.vaddr)

    def _text(self, begin: int) -> bytes:
        end = self.data.find(b"\0", begin)
        if end < 0:
            raise ValueError("a text without an end")
        return self.data[begin:end]

    def symbols(self) -> Iterator[tuple[bytes, int]]:
        """Yield the names that are defined in the file, and their addresses."""
        sections = self._entries(self._layout.section, 1)
        size = struct.calcsize(self._layout.symbol)
        for _, kind, _, _, offset, length, link, *_ in sections:
            if kind not in (SHT_SYMTAB, SHT_DYNSYM):
                continue
            names, table = sections[link][4], self.data[offset : offset + length // size * size]
            for fields in struct.iter_unpack(self._layout.symbol, table):
                name, section, value = (fields[at] for at in self._layout.symbol_order)
                if section:
                    yield self._text(names + name), value

    def first_code(self) -> int:
        """Find where the program's code begins, as QEMU reckons: its first segment that may be executed."""
        return min(s.vaddr for s in self.segments() if s.kind == PT_LOAD and s.flags & PF_X)


@contextlib.contextmanager
def mapped(path: str) -> Iterator[bytes | mmap.mmap]:
    """Give the bytes of a file, which are read where they are looked at."""
    with open(path, "rb") as file:
        try:
            data: bytes | mmap.mmap = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        except ValueError:  # an empty file
            data = b""
        yield data
