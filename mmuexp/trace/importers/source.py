"""Opens what is to be imported, a file, a folder or stdin, and looks at how it begins."""

import os
import stat
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import BinaryIO, NamedTuple

from mmuexp.errors import TraceError, UsageError, file_name, shown
from mmuexp.trace.importers import layers

HEAD_BYTES = 1 << 16
ARROW = b"ARROW1"
EMPTY_ZIP = b"PK\5\6"
QUOTED = 40  # characters of somebody's text in an error


class Sample(NamedTuple):
    """What a format is recognized by."""

    name: str  # of the file or folder, without the folders above it
    head: bytes  # the first HEAD_BYTES, decompressed; none of a folder
    folder: str  # the folder's path; "" for a file

    @property
    def is_text(self) -> bool:
        return bool(self.head) and b"\0" not in self.head[:4096]

    @property
    def lines(self) -> list[bytes]:
        """The whole lines of the head, without their ends; none where it is not text."""
        if not self.is_text:
            return []
        lines = self.head.split(b"\n")
        if len(self.head) >= HEAD_BYTES:
            lines.pop()
        return [line.removesuffix(b"\r") for line in lines]

    @property
    def line(self) -> bytes:
        """The first line that is neither blank nor a comment."""
        return next((line for line in self.lines if line.strip() and not line.startswith((b"#", b"=="))), b"")


def mostly(lines: list[bytes], is_own: Callable[[bytes], object]) -> bool:
    """Is the first of these lines a format's own, or more than half of them? A program may have printed before."""
    found = [bool(is_own(line)) for line in lines if line.strip()]
    return bool(found) and (found[0] or 2 * sum(found) > len(found))


class Source:
    """What is to be imported, open: `chunks()` gives its bytes, decompressed, once."""

    def __init__(self, path: str, name: str, stream: layers.Stream, names: list[str], file: BinaryIO | None):
        self.path, self.name, self.layers, self.stream = path, name, names, stream
        self._file = file
        head = stream.peek(HEAD_BYTES)[:HEAD_BYTES] if file else b""
        self.sample = Sample(os.path.basename(os.path.realpath(path)), head, "" if file else path)
        self.size_bytes = 0  # of the file, compressed; 0 where nobody knows
        with suppress(OSError, ValueError):
            status = os.fstat(file.fileno()) if file else None
            self.size_bytes = status.st_size if status and stat.S_ISREG(status.st_mode) else 0

    def chunks(self) -> Iterator[bytes]:
        """The bytes in pieces of at most 1 MiB. Raises TraceError where they do not decompress."""
        return layers.ahead(self.stream) if self.layers and self.size_bytes else iter(self.stream)

    def share(self) -> float:
        """How much of the file was read; 0 where nobody knows."""
        with suppress(OSError, ValueError):
            if self._file and self.size_bytes:
                return min(1.0, self._file.tell() / self.size_bytes)
        return 0.0


@contextmanager
def opened(path: str, chunk_bytes: int = 0) -> Iterator[Source]:
    """Open a file, a folder, or stdin (`-`), to be read in such chunks.

    Raises TraceError: it cannot be read, is empty, or is a trace already.
    """
    name = "stdin" if path == "-" else path
    if path != "-" and os.path.isdir(path):
        yield Source(path, name, layers.Stream(()), [], None)
        return
    with _file(path) as file:
        with _reading(name):
            stream = layers.Stream(layers.of_file(file, chunk_bytes), chunk_bytes)
            head = stream.peek(8)
        if not head:
            raise TraceError("is empty", where=name, todo="record it again")
        if head.startswith(ARROW):
            raise TraceError("is an Arrow file", where=name, todo="a trace needs no import")
        if head.startswith(EMPTY_ZIP):
            raise TraceError("is a zip with nothing in it", where=name, todo="copy it again, or record it again")
        if head.startswith(layers.ZIP_HEAD) and path != "-" and file.seekable():
            file.seek(0)
            stream, outer = layers.Stream(layers.unzipped(file, name), chunk_bytes), ["zip"]
        else:
            outer = []
        inner, names = layers.peeled(stream, name)
        if not inner.peek(1):
            what = f"holds nothing: it is empty once it is decompressed ({', '.join(outer + names)})"
            raise TraceError(what, where=name, todo="record it again")
        yield Source(path, name, inner, outer + names, file)


@contextmanager
def _file(path: str) -> Iterator[BinaryIO]:
    if path == "-":
        if sys.stdin is None:  # the caller closed it (`<&-`)
            raise TraceError("is closed", where="stdin", todo="name a file")
        yield sys.stdin.buffer
        return
    with _reading(path):
        file = open(path, "rb")  # noqa: SIM115 (what is raised below is no failure to open it)
    with file:
        yield file


@contextmanager
def _reading(name: str) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        todo = "name a file that can be read"
        raise TraceError(f"cannot be read: {reason}", where=file_name(name), todo=todo) from None


def refuse_output(source: Source, output: str) -> None:
    """Raises UsageError where the trace to be written is what is to be imported, by whatever name, or lies in it."""
    with suppress(OSError, ValueError):  # a stdin without a descriptor, an output that does not exist
        if source.sample.folder:
            inside = os.path.commonpath([os.path.realpath(output), os.path.realpath(source.path)])
            same = inside == os.path.realpath(source.path)
        else:
            there = os.stat(output)
            text = os.fstat(source._file.fileno()) if source._file else there
            same = stat.S_ISREG(there.st_mode) and os.path.samestat(text, there)
        if same:
            raise UsageError("is what is to be imported", where=output, todo="name another file with -o")


def quoted(text: bytes) -> str:
    """At most 40 characters of a file's text, as a message shows them: in quotes, blanks kept, controls escaped."""
    whole = text.decode("utf-8", "surrogateescape")
    return f"'{shown(whole[:QUOTED])}'" + ("..." if len(whole) > QUOTED else "")
