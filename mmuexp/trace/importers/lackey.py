"""Import what `valgrind --tool=lackey --trace-mem=yes PROGRAM` prints: one line for each instruction and access.

    I  04001234,3      an instruction: address in hex, bytes
     L 1ffeffe7,8      a load; S a store, M both

Lackey knows no blocks: an EXEC row is the longest run of consecutive instructions, at most 64 and within 2 pages; it
stands before the run's loads and stores, whose `insns` is their instruction's position. Records over 64 bytes become
several rows (`mmuexp.split_records`). All rows are of user mode.
"""

import os
import re
import stat
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import BinaryIO

import numpy as np

from mmuexp.errors import TraceError, UsageError
from mmuexp.guest import Columns
from mmuexp.runtime.threads import apart
from mmuexp.trace.format import TraceWriter, empty
from mmuexp.trace.importers import Imported

CHUNK_BYTES = 1 << 20
MIN_LINE_BYTES = 7  # "I  0,1" and its end
OUT_ROWS = 1 << 18
GZIP, ZSTD = b"\x1f\x8b", b"\x28\xb5\x2f\xfd"


def import_trace(path: str, output: str, *, rebase: bool = False) -> Imported:
    """Turn lackey text (plain, gzip, zstd; `-` is stdin) into a trace. Raises TraceError with the line's number."""
    metadata = {"recorder": "valgrind lackey"}
    with _opened(path) as source, _writer(source, output, metadata) as writer:
        reader = _Importer(_name(path), writer, rebase)
        for data, final in _chunks(source, _name(path)):
            reader.feed(data, final)
        done = reader.finish()
        if not done.rows:
            what = "no access in it: was valgrind run with --trace-mem=yes?"
            raise TraceError(what, where=_name(path), todo="record with valgrind --tool=lackey --trace-mem=yes")
        writer.close(metadata=reader.metadata(done))
    return done


def _writer(source: BinaryIO, output: str, metadata: dict[str, str]) -> TraceWriter:
    """The output, which is not the text itself, by whatever name."""
    with suppress(OSError, ValueError):  # a stdin without a descriptor, an output that does not exist
        text, there = os.fstat(source.fileno()), os.stat(output)
        if stat.S_ISREG(there.st_mode) and os.path.samestat(text, there):
            raise UsageError("is the text to be imported", where=output, todo="name another file with -o")
    return TraceWriter(output, mode="user", metadata=metadata)


class _Importer:
    def __init__(self, where: str, writer: TraceWriter, rebase: bool):
        from mmuexp.trace.importers import lackey_scan as scan

        self.scan, self.where, self.writer, self.rebase = scan, where, writer, rebase
        most = 2 * CHUNK_BYTES // MIN_LINE_BYTES + 1
        self.kinds, self.addresses = np.empty(most, np.uint8), np.empty(most, np.int64)
        self.sizes, self.lines = np.empty(most, np.int32), np.empty(most, np.int32)
        self.state, self.regions = np.zeros(scan.STATE_WORDS, np.int64), np.zeros(scan.SLOTS, np.int64)
        self.state[scan.EXEC_ROW] = -1
        self.out, self.rows, self.given = empty(OUT_ROWS), 0, 0  # rows held, rows handed over
        self.line, self.rest, self.banner = 0, b"", b""

    def feed(self, data: bytes, final: bool) -> None:
        """The next bytes of the text. What lies after the last whole line waits for more."""
        if len(self.banner) < 4096:
            self.banner += data[:4096]
        data = self.rest + data
        bytes_ = np.frombuffer(data, np.uint8)
        columns = (self.kinds, self.addresses, self.sizes)
        count, used, lines, why = self.scan.parse(bytes_, len(data), final, *columns, self.lines)
        start = 0
        while start < count:
            start, self.rows, refused = self.scan.to_rows(
                *columns, start, count, self.rebase, self.state, self.regions, self.out, self.rows
            )
            if refused:
                raise self._refusal(refused, self.line + int(self.lines[start]), int(self.addresses[start]))
            self._write(final=False)
        self.line += lines
        self.rest = data[used:]
        if why or len(self.rest) > CHUNK_BYTES:
            raise self._refusal(self.scan.MALFORMED, self.line, 0)

    def finish(self) -> Imported:
        scan, state = self.scan, self.state
        apart(scan._end_block, state, self.out.size, self.out.insns)
        self._write(final=True)
        moved = []
        for slot in range(int(state[scan.REGIONS])):
            origin = (int(self.regions[slot]) << scan.REGION_BITS) & (2**64 - 1)
            if origin != slot << scan.REGION_BITS:
                moved.append((origin, slot << scan.REGION_BITS))
        return Imported(self.given, self.line, int(state[scan.SPLIT]), int(state[scan.CUT]), moved)

    def metadata(self, done: Imported) -> dict[str, str]:
        keys = {"split_records": str(done.split_records)}
        if found := re.search(rb"^==\d+== Command: (.*?)\r?$", self.banner, re.MULTILINE):
            keys["command"] = found[1].decode("utf-8", "replace")
        if found := re.search(rb"Using (Valgrind-[^ ;]+)", self.banner):
            keys["recorder_version"] = found[1].decode("utf-8", "replace")
        if self.rebase:
            keys["rebase"] = " ".join(f"{origin:#x}->{new:#x}" for origin, new in done.moved) or "nothing moved"
            keys["rebase_cut_records"] = str(done.cut_records)
        return keys

    def _write(self, final: bool) -> None:
        """Hand over the rows that are final; those of the open block move to the front."""
        open_row = int(self.state[self.scan.EXEC_ROW])
        done = self.rows if open_row < 0 else open_row
        if not done or (not final and self.rows < OUT_ROWS // 4):
            return
        self.writer.append(Columns(*(column[:done] for column in self.out)))
        for column in self.out:
            column[: self.rows - done] = column[done : self.rows].copy()
        self.rows -= done
        self.given += done
        if open_row >= 0:
            self.state[self.scan.EXEC_ROW] = 0

    def _refusal(self, why: int, line: int, address: int) -> TraceError:
        scan, address = self.scan, address & (2**64 - 1)
        what, todo = {
            scan.MALFORMED: (
                "is not lackey's: expected 'I  ADDR,SIZE' or ' L|S|M ADDR,SIZE'",
                "record with valgrind --tool=lackey --trace-mem=yes --log-file=FILE (the program's output stays out)",
            ),
            scan.WIDE: (
                f"has address {address:#x}, beyond 32 bits",
                "record a 32-bit program, or move 256 MiB regions into 4 GiB: --rebase",
            ),
            scan.CROWDED: (
                f"has address {address:#x}, in the 17th region of 256 MiB; 16 fit into 4 GiB",
                "import the lines before it",
            ),
            scan.LONG: (
                f"has a record of more than {scan.MAX_RECORD_BYTES:,} bytes of data, or 4,096 of code",
                "mend it",
            ),
        }[why]
        return TraceError(f"line {line + 1:,} {what}", where=self.where, todo=todo, row=line)


def _name(path: str) -> str:
    return "stdin" if path == "-" else path


@contextmanager
def _opened(path: str) -> Iterator[BinaryIO]:
    if path == "-":
        if sys.stdin is None:  # the caller closed it (`<&-`)
            raise TraceError("is closed", where="stdin", todo="name a file")
        yield sys.stdin.buffer
        return
    try:
        with open(path, "rb") as file:
            yield file
    except OSError as error:
        if error.filename != path:
            raise
        raise TraceError(
            f"cannot be read: {str(error.strerror).lower()}", where=path, todo="name lackey's text"
        ) from None


def _chunks(source: BinaryIO, where: str) -> Iterator[tuple[bytes, bool]]:
    """(bytes, whether they are the last) of the text, decompressed if need be."""
    import pyarrow as pa

    head = source.read(4)
    if not head:
        raise TraceError("is empty", where=where, todo="record with valgrind --tool=lackey --trace-mem=yes")
    codec = "gzip" if head.startswith(GZIP) else "zstd" if head.startswith(ZSTD) else None
    if head.startswith(b"ARRO"):
        raise TraceError("is an Arrow file, not lackey's text", where=where, todo="a trace needs no import")
    stream = _Prefixed(head, source)
    if codec:
        stream = pa.CompressedInputStream(pa.PythonFile(stream, "r"), codec)
    try:
        data = stream.read(CHUNK_BYTES)
        while data:
            ahead = stream.read(CHUNK_BYTES)
            yield data, not ahead
            data = ahead
    except (pa.ArrowException, EOFError, OSError) as error:
        reason = " ".join(str(error).split())
        raise TraceError(f"does not decompress: {reason}", where=where, todo="copy it again") from None


class _Prefixed:
    """A file of which some bytes were read already."""

    closed = False

    def __init__(self, head: bytes, source: BinaryIO):
        self.head, self.source = head, source

    def read(self, length: int) -> bytes:
        head, self.head = self.head[:length], self.head[length:]
        return head or self.source.read(length)

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return False

    def close(self) -> None:
        pass
