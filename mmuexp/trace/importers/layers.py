"""Takes compression off what is to be imported, layer by layer: by what the bytes say, in bounded memory."""

import bz2
import lzma
import re
import zipfile
import zlib
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any, BinaryIO

from mmuexp.errors import TraceError, shown
from mmuexp.runtime.threads import Threads
from mmuexp.trace.forward import Forward

CHUNK_BYTES = 1 << 20
MOST_LAYERS = 4
MOST_LZMA_BYTES = 256 << 20  # that a decoder may take; `xz -9` wants 65 MB
SNAPPY_HEAD = b"\xff\x06\x00\x00sNaPpY"
SNAPPY_BLOCK_BYTES = 1 << 16  # that one frame may hold
ZIP_HEAD = b"PK\x03\x04"


class Stream:
    """Bytes that come in chunks: looked at from the front, then read once."""

    def __init__(self, chunks: Iterable[bytes], chunk_bytes: int = 0):
        self.chunk_bytes = chunk_bytes or CHUNK_BYTES
        self._chunks, self._held = iter(chunks), b""

    def peek(self, length: int) -> bytes:
        """The next `length` bytes, fewer at the end. They stay."""
        while len(self._held) < length and (more := next(self._chunks, b"")):
            self._held += more
        return self._held[:length]

    def read(self, length: int = 0) -> bytes:
        """Some bytes, at most so many; none at the end."""
        length = length or self.chunk_bytes
        held = self._held or next(self._chunks, b"")
        self._held = held[length:]
        return held[:length]

    def exactly(self, length: int) -> bytes:
        """So many bytes. Raises EOFError where they end before."""
        if len(self.peek(length)) < length:
            raise EOFError("it ends within a block")
        found, self._held = self._held[:length], self._held[length:]
        return found

    def __iter__(self) -> Iterator[bytes]:
        while data := self.read():
            yield data


def of_file(file: BinaryIO, chunk_bytes: int = 0) -> Iterator[bytes]:
    """The file's bytes. An empty read is the end."""
    while data := file.read(chunk_bytes or CHUNK_BYTES):
        yield data


def peeled(stream: Stream, where: str) -> tuple[Stream, list[str]]:
    """What lies below every layer of compression, and the layers' names. Raises TraceError where it is damaged."""
    names: list[str] = []
    while found := layer(stream.peek(len(SNAPPY_HEAD))):
        if found == "zip":
            todo = "unpack it first, and import what was in it"
            what = f"is a zip in {names[-1]}" if names else "is a zip, which cannot be read as it comes"
            raise TraceError(what, where=where, todo=todo)
        if len(names) == MOST_LAYERS:
            raise TraceError(f"is compressed more than {MOST_LAYERS} times", where=where, todo="unpack it first")
        stream = Stream(_told(LAYERS[found](stream), found, where), stream.chunk_bytes)
        names.append(found)
    return stream, names


def layer(head: bytes) -> str | None:
    """The name of the compression that these first bytes tell; None if they tell none."""
    for magic, name in MAGIC.items():
        if head.startswith(magic):
            return name
    return None


def unzipped(file: BinaryIO, where: str) -> Iterator[bytes]:
    """The members of a drmemtrace zip, joined, in the order of its directory. Raises TraceError for any other zip."""
    with _telling("zip", where):
        archive = zipfile.ZipFile(file)
    names = [one.filename for one in archive.infolist()]
    for name in names:
        if not re.fullmatch(r"chunk\.\d+", name):
            raise TraceError(f"is a zip with {_member(name)} in it", where=where, todo=_zip_todo(name))

    def members() -> Iterator[bytes]:
        for one in archive.infolist():
            with archive.open(one) as member:
                yield from of_file(member)  # type: ignore[arg-type]

    return _told(members(), "zip", where)


def _member(name: str) -> str:
    if re.fullmatch(r"sequence\d+", name):
        return f"{name!r}, a template of kernel code,"
    if name.isdigit():
        return f"{name!r}, a schedule of threads (cpu_schedule.bin.zip),"
    return shown(repr(name[:40]))


def _zip_todo(name: str) -> str:
    if re.fullmatch(r"sequence\d+", name) or name.isdigit():
        return "import the folder of the recording's *.trace.zip files, or one of them"
    return "only drmemtrace's zips, of chunk.0000 and so on, are read as they are: unpack it, and import what was in it"


def ahead(chunks: Iterable[bytes]) -> Iterator[bytes]:
    """The same chunks; a thread decompresses the next one while one is worked on."""
    source = iter(chunks)
    with Threads(1, thread_name_prefix="decompress") as aside:
        coming = aside.submit(next, source, b"")
        while data := coming.result():
            coming = aside.submit(next, source, b"")
            yield data


def _told(chunks: Iterator[bytes], name: str, where: str) -> Iterator[bytes]:
    while True:
        with _telling(name, where):
            data = next(chunks, None)
        if data is None:
            return
        if data:
            yield data


@contextmanager
def _telling(name: str, where: str) -> Iterator[None]:
    import pyarrow as pa

    damaged = (pa.ArrowException, EOFError, OSError, ValueError, RuntimeError, NotImplementedError)
    try:
        yield
    except (*damaged, zlib.error, lzma.LZMAError, zipfile.BadZipFile) as error:
        reason = " ".join(str(error).split()) or type(error).__name__
        raise TraceError(f"does not decompress as {name}: {reason}", where=where, todo="copy it again") from None


def _arrow(codec: str) -> Callable[[Stream], Iterator[bytes]]:
    def unpack(stream: Stream) -> Iterator[bytes]:
        import pyarrow as pa

        return of_file(pa.CompressedInputStream(pa.PythonFile(_File(stream), "r"), codec), stream.chunk_bytes)

    return unpack


class _File(Forward):
    """A stream as Arrow reads files."""

    def __init__(self, stream: Stream):
        self.read = stream.read


def _python(make: Callable[[], Any]) -> Callable[[Stream], Iterator[bytes]]:
    """A decompressor of bz2 or lzma, of several streams one behind another."""

    def unpack(stream: Stream) -> Iterator[bytes]:
        data = stream.read()
        while data:
            one = make()
            while not one.eof:
                if one.needs_input and not data and not (data := stream.read()):
                    raise EOFError("it ends before its end mark")
                yield one.decompress(data, stream.chunk_bytes)
                data = b""
            data = one.unused_data.lstrip(b"\0")  # xz pads with zeros
            while not data and (more := stream.read()):
                data = more.lstrip(b"\0")

    return unpack


def _zlib(stream: Stream) -> Iterator[bytes]:
    one, data = zlib.decompressobj(), stream.read()
    while data and not one.eof:
        yield one.decompress(data, stream.chunk_bytes)
        data = one.unconsumed_tail or stream.read()
    if not one.eof:
        yield one.flush(stream.chunk_bytes)
        raise EOFError("it ends before its end mark")
    if one.unused_data or data:
        raise ValueError("bytes follow after its end")


def _snappy(stream: Stream) -> Iterator[bytes]:
    """Frames: a kind, 3 bytes of length, a body. DynamoRIO adds kinds 2 and 3, blocks without a checksum."""
    import pyarrow as pa

    codec = pa.Codec("snappy")
    while stream.peek(1):
        head = stream.exactly(4)
        kind, body = head[0], stream.exactly(int.from_bytes(head[1:], "little"))
        if kind == 0xFF:
            if head + body != SNAPPY_HEAD:
                raise ValueError("a stream in it begins as none does")
        elif kind < 4:
            checked, packed = kind < 2, kind in (0, 2)
            data = body[4:] if checked else body
            if packed:
                data = codec.decompress(data, _snappy_length(data), asbytes=True)
            if checked and _masked_crc32c(data) != int.from_bytes(body[:4], "little"):
                raise ValueError("a block has another checksum than it says")
            yield data
        elif kind < 0x80:
            raise ValueError(f"a frame of kind {kind}, which nobody knows")


def _snappy_length(block: bytes) -> int:
    """How many bytes a block says it holds: 7 bits a byte, the lowest first."""
    length = 0
    for index, byte in enumerate(block[:5]):
        length |= (byte & 0x7F) << 7 * index
        if byte < 0x80:
            if length > SNAPPY_BLOCK_BYTES:
                break
            return length
    raise ValueError(f"a block says that it holds more than {SNAPPY_BLOCK_BYTES:,} bytes")


def _masked_crc32c(data: bytes) -> int:
    import numpy as np

    from mmuexp.trace.importers.layers_scan import TABLE, crc32c

    crc = int(crc32c(np.frombuffer(data, np.uint8), TABLE))
    return (((crc >> 15) | (crc << 17)) + 0xA282EAD8) & 0xFFFFFFFF


MAGIC = {
    b"\x1f\x8b": "gzip",
    b"\x28\xb5\x2f\xfd": "zstd",
    b"\xfd7zXZ\0": "xz",
    b"BZh": "bzip2",
    b"\x04\x22\x4d\x18": "lz4",
    SNAPPY_HEAD: "snappy",
    b"\x78\x01": "zlib",
    b"\x78\x5e": "zlib",
    b"\x78\x9c": "zlib",
    b"\x78\xda": "zlib",
    ZIP_HEAD: "zip",
}
LAYERS: dict[str, Callable[[Stream], Iterator[bytes]]] = {
    "gzip": _arrow("gzip"),
    "zstd": _arrow("zstd"),
    "lz4": _arrow("lz4"),
    "xz": _python(lambda: lzma.LZMADecompressor(memlimit=MOST_LZMA_BYTES)),
    "bzip2": _python(bz2.BZ2Decompressor),
    "zlib": _zlib,
    "snappy": _snappy,
}
