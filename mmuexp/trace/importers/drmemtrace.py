"""Import what DynamoRIO's drmemtrace records: a .trace file (zip, gz, sz, lz4, plain), or a folder of one a thread.

A folder's files are put in order by the times in them, which stand where a thread's buffer was written and, from
version 6 on, around system calls. What the kernel did, if it was recorded, is left out: it comes without data.
"""

import os
import re
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from heapq import heappop, heappush
from typing import Any

import numpy as np

from mmuexp.errors import TraceError, option
from mmuexp.trace.importers import Note, Options, Told
from mmuexp.trace.importers.layers import CHUNK_BYTES
from mmuexp.trace.importers.rows import MOST_EVENTS, Rows
from mmuexp.trace.importers.source import Sample, Source, opened

OPTIONS = ("thread", "interleave")
MAGIC = b"\x19\0\0\0"
FILES = re.compile(r".*\.trace(\.(zip|gz|sz|lz4|zlib|zst|xz))?")
RECORD_BYTES = {0: 12, 22: 8, 28: 8}  # by the u16 at 8: the rest of an address, or the next record's type
MOST_CHUNKS_BYTES = 64 << 20  # that the open files of a folder hold
FIRST_THREADS, MOST_THREADS = 16, 1 << 16
LISTED = 20
PLACE_BITS = 40  # of a record's number; the file's number stands above it
GUESTS = {0x08: "aarch64", 0x10: "arm", 0x20: "i386", 0x40: "x86_64"}
WIDE_GUESTS = 0x08 | 0x40
CORE_SHARDED = 0x10000
RAW_TODO = (
    "convert it with `drraw2trace -indir FOLDER`, or `drrun -t drmemtrace -indir FOLDER`, then import its trace/ folder"
)
REFUSED_TYPES = {
    0x1 | 0x80 | 0x100 | 0x2000: ("is filtered: accesses are missing", "record without -L0_filter"),
    0x4: ("holds instructions only: it has no accesses", "record without -instr_only_trace"),
    0x4000: ("holds templates of kernel code, and no program", "import the recording of a program"),
    0x40000: (
        "is of a whole system: it has changes of privilege, and no page tables",
        "record a whole guest with `mmuexp record --system`",
    ),
}


def looks_like(sample: Sample) -> bool:
    """A file begins with a header record; a folder has .trace files, or the parts of a drmemtrace folder."""
    if not sample.folder:
        return sample.head.startswith(MAGIC)
    return bool(_files(sample.folder)) or os.path.isdir(os.path.join(sample.folder, "raw"))


def read(source: Any, rows_of: Callable[[str], Rows], options: Options) -> Told:
    """Give the records of a file or folder to rows. Raises TraceError with the record's number."""
    rows = rows_of("record")
    with ExitStack() as stack:
        if not source.sample.folder:
            return _Recording(
                source.name, rows, options, [_File(source.name, source.sample.head, source.chunks())]
            ).told()
        paths = _files(source.sample.folder)
        if not paths:
            if os.path.isdir(os.path.join(source.sample.folder, "raw")):
                raise TraceError("holds a raw recording of drmemtrace alone", where=source.name, todo=RAW_TODO)
            todo = "name a folder with *.trace.zip, *.trace.gz or the like in it"
            raise TraceError("holds no recording of drmemtrace", where=source.name, todo=todo)
        several, files = len(paths) > 1, []
        chunk = max(1 << 14, min(CHUNK_BYTES, MOST_CHUNKS_BYTES // len(paths)))
        opened_files = [stack.enter_context(opened(path, chunk)) for path in paths]
        total = sum(one.size_bytes for one in opened_files) or 1

        def share() -> float:
            return sum(one.size_bytes * one.share() for one in opened_files) / total

        def chunks(one: Source) -> Iterator[bytes]:
            for data in one.chunks() if not several else one.stream:
                yield data
                source.tell(share)

        for one in opened_files:
            files.append(_File(one.name, one.sample.head, chunks(one)))
        return _Recording(source.name, rows, options, files).told()


def _files(folder: str) -> list[str]:
    """The recording's files, in the order of their names."""
    inner = os.path.join(folder, "trace")
    place = inner if os.path.isdir(inner) else folder
    try:
        names = sorted(name for name in os.listdir(place) if FILES.fullmatch(name))
    except OSError:
        return []
    return [path for name in names if os.path.isfile(path := os.path.join(place, name))]


class _File:
    """One file of a recording: its records, and what its markers told so far."""

    def __init__(self, name: str, head: bytes, chunks: Iterator[bytes]):
        from mmuexp.trace.importers import drmemtrace_scan as scan

        self.scan, self.name, self._chunks = scan, name, chunks
        if not head.startswith(MAGIC):
            todo = "copy it again, or leave it out"
            raise TraceError("is not a recording of drmemtrace", where=name, todo=todo)
        kind = int.from_bytes(head[8:10], "little")
        if kind not in RECORD_BYTES or len(head) < 8:
            what = f"begins as drmemtrace does, but its second record has type {kind}"
            raise TraceError(what, where=name, todo="copy it again")
        self.record_bytes = RECORD_BYTES[kind]
        self.state = np.zeros(scan.STATE_WORDS, np.int64)
        self.state[[scan.OF_THREAD, scan.IN_WINDOW]] = -1
        self.threads = _threads(FIRST_THREADS)
        self.records, self.first_place, self.time = 0, 0, -1
        self._data, self._at = b"", 0  # the bytes from `_at` on are not scanned yet
        self.first_thread, self.first_type = self._look(head)

    def _look(self, head: bytes) -> tuple[int | None, int]:
        """The first thread and the type bits that the first records tell."""
        whole = len(head) // self.record_bytes * self.record_bytes
        fields = [("type", "<u2"), ("size", "<u2"), ("address", f"<u{self.record_bytes - 4}")]
        records = np.frombuffer(head[:whole], np.dtype(fields))
        threads = records["address"][records["type"] == self.scan.THREAD]
        told = (records["type"] == self.scan.MARKER) & (records["size"] == self.scan.FILE_TYPE)
        bits = int(records["address"][told][0]) if told.any() else 0
        return int(threads[0]) if len(threads) else None, bits

    def more(self) -> np.ndarray:
        """Records that were not scanned yet, as words of 4 bytes; none at the end.

        Raises TraceError where the file ends within one.
        """
        if len(self._data) - self._at < self.record_bytes:
            self._data, self._at = self._data[self._at :], 0
            while len(self._data) < self.record_bytes and (fresh := next(self._chunks, b"")):
                self._data += fresh
            if self._data and len(self._data) < self.record_bytes:
                what = f"ends within record {self.records + 1:,}: it was cut"
                raise TraceError(what, where=self.name, todo="copy it again, or record it again", row=self.records)
        count = (len(self._data) - self._at) // self.record_bytes * self.record_bytes // 4
        return np.frombuffer(self._data, "<u4", count, self._at)

    def consumed(self, records: int) -> None:
        """So many records were scanned."""
        self._at += records * self.record_bytes
        self.records += records

    def next_time(self) -> None:
        """Take over the time of the marker that was read. In a 32-bit build it has 32 bits, and begins again at 0."""
        told = int(self.state[self.scan.AT_TIME])
        if self.record_bytes == 8 and self.time >= 0:
            told += self.time & ~0xFFFFFFFF
            told += (1 << 32) if told < self.time - (1 << 31) else 0
        self.time = told


def _threads(rows: int) -> np.ndarray:
    from mmuexp.trace.importers import drmemtrace_scan as scan

    table = np.zeros((rows, scan.THREAD_WORDS), np.int64)
    table[:, scan.NUMBER] = -1
    return table


class _Recording:
    """All files that are imported, read in the order of their times."""

    def __init__(self, where: str, rows: Rows, options: Options, files: list[_File]):
        from mmuexp.trace.importers import drmemtrace_scan as scan

        self.scan, self.where, self.rows, self.options = scan, where, rows, options
        self.shared, self.events = np.full(2, -1, np.int64), 0  # events that the rows were not given yet
        for index, file in enumerate(files):
            file.first_place = index << PLACE_BITS
        rows.place = lambda place: (files[place >> PLACE_BITS].name, place & ((1 << PLACE_BITS) - 1))
        self.wanted = scan.ALL_THREADS if options.thread is None else options.thread
        self.files = self._chosen(files)
        self.by_time = len(self.files) > 1
        if self.by_time and options.thread is None and not options.interleave:
            self._list(self.files)
        if self.by_time:
            self._merge()
        else:
            for file in self.files:
                self._scan(file)
        self._flush()
        if options.thread is not None and options.thread not in self._counts(self.files):
            raise self._no_such_thread(options.thread)

    def _flush(self) -> None:
        self.rows.add(self.events)
        self.events = 0

    def told(self) -> Told:
        """What is known of the whole recording."""
        scan, files = self.scan, self.files
        bits = [int(file.state[scan.TYPE_BITS]) for file in files]
        guests = {name for bit, name in GUESTS.items() if any(one & bit for one in bits)}
        keys = {"recorder_version": f"trace version {version}"} if (version := self._most(scan.TOLD_VERSION)) else {}
        keys |= {"guest": guests.pop()} if len(guests) == 1 else {}
        if self.rows.unknown_sizes:
            keys |= {"sizes": "partly", "unknown_sizes": str(self.rows.unknown_sizes)}
        keys |= {"windows": str(windows)} if (windows := self._most(scan.WINDOWS)) else {}
        whole = all(file.state[scan.AT_FOOTER] for file in files)
        notes = (
            Note("left_out_prefetches", self._sum(scan.PREFETCHES), "prefetches left out"),
            Note("left_out_cache_flushes", self._sum(scan.FLUSHES), "records of cache flushes left out"),
            Note("left_out_kernel_instructions", self._sum(scan.KERNEL_INSNS), "instructions of the kernel left out"),
            Note("left_out_kernel_accesses", self._sum(scan.KERNEL_DATA), "accesses of the kernel left out"),
        )
        records = sum(file.records for file in files)
        return Told(
            "DynamoRIO drmemtrace", records, keys, "yes" if whole else "no footer", notes, self._remarks(windows)
        )

    def _remarks(self, windows: int) -> tuple[str, ...]:
        scan, found = self.scan, []
        if self.rows.unknown_sizes:
            found.append(f"{self.rows.unknown_sizes:,} accesses of unknown size are rows of 1 byte")
        if windows > 1:
            found.append(f"{windows:,} windows of the recording stand behind each other: time passed between them")
        if self._sum(scan.PHYSICALS):
            found.append("the physical addresses in it are not used")
        if (page := self._most(scan.PAGE_SIZE)) not in (0, 4096):
            found.append(f"it was recorded with pages of {page:,} bytes; addresses are as recorded, pages are of 4,096")
        if self.by_time and self.wanted < 0:
            exact = " and around system calls" if self._most(scan.TOLD_VERSION) >= 6 else ""
            found.append(
                f"the order between threads is as exact as the times in it, where a buffer of 32 KiB ends{exact}"
            )
        return tuple(found)

    def _sum(self, word: int) -> int:
        return sum(int(file.state[word]) for file in self.files)

    def _most(self, word: int) -> int:
        return max(int(file.state[word]) for file in self.files)

    def _chosen(self, files: list[_File]) -> list[_File]:
        """The files that may hold the wanted thread: those that begin with it, unless files hold several threads."""
        if self.wanted < 0 or len(files) == 1 or any(one.first_type & CORE_SHARDED for one in files):
            return files
        if any(one.first_thread is None for one in files):
            return files
        mine = [one for one in files if one.first_thread == self.wanted]
        if not mine:
            raise self._no_such_thread(self.wanted, [one.first_thread or 0 for one in files])
        return mine

    def _merge(self) -> None:
        """Scan the files' parts in the order of their times; where those are equal, in the order of the names."""
        heap: list[tuple[int, int]] = []
        for index, file in enumerate(self.files):
            if self._scan(file):
                heappush(heap, (file.time, index))
        while heap:
            _, index = heappop(heap)
            file = self.files[index]
            while self._scan(file):
                if heap and (file.time, index) > heap[0]:
                    heappush(heap, (file.time, index))
                    break

    def _scan(self, file: _File, counting: bool = False) -> bool:
        """Scan one file up to its end, or behind its next time if times matter. Is there more?"""
        rows, scan = self.rows, self.scan
        wanted = scan.NO_THREAD if counting else self.wanted
        while len(data := file.more()):
            self.events, records, why = scan.scan(
                data, file.record_bytes // 4, wanted, self.by_time and not counting, file.state, file.threads,
                self.shared,
                tuple(rows.events), self.events, file.first_place + file.records,
            )  # fmt: skip
            if why == scan.FULL or self.events > MOST_EVENTS // 2:
                self._flush()
            bad = data[records * file.record_bytes // 4 :].view(np.uint8)
            file.consumed(records)
            if why == scan.TOLD_TYPE:
                bits = int(file.state[scan.TYPE_BITS])
                _refuse_type(bits, file.name)
                if bits & WIDE_GUESTS:
                    self.rows.widen()
            elif why == scan.NEXT_TIME:
                file.next_time()
                return True
            elif why == scan.MORE_THREADS and len(file.threads) < MOST_THREADS:
                file.threads = np.concatenate([file.threads, _threads(len(file.threads))])
            elif why and why != scan.FULL:
                self._flush()
                raise self._refusal(why, file, bad)
        return False

    def _refusal(self, why: int, file: _File, bad: np.ndarray) -> TraceError:
        scan = self.scan
        type_, size, process = (int.from_bytes(bad[a:b].tobytes(), "little") for a, b in ((0, 2), (2, 4), (4, 12)))
        what, todo = {
            scan.BAD_TYPE: (f"has type {type_}, which no record has", "copy the file again, or record it again"),
            scan.BAD_BUNDLE: (
                f"is a bundle of {size:,} instructions, more than it has room for",
                "copy the file again",
            ),
            scan.TWO_PROCESSES: (
                f"is of process {process & (256 ** (file.record_bytes - 4) - 1)}, and those before it are of process "
                f"{int(self.shared[scan.ONE_PROCESS])}",
                "import one process: its own folder, or one of its threads with " + option("thread", "ID"),
            ),
            scan.MORE_THREADS: (f"is of one thread more than {MOST_THREADS:,}", "import a part of it"),
        }[why]
        return TraceError(f"record {file.records + 1:,} {what}", where=file.name, todo=todo, row=file.records)

    def _counts(self, files: list[_File]) -> dict[int, tuple[int, int]]:
        """(instructions, accesses) of each thread."""
        scan, found = self.scan, dict[int, tuple[int, int]]()
        for file in files:
            for row in file.threads[file.threads[:, scan.NUMBER] >= 0]:
                insns, data = found.get(int(row[scan.NUMBER]), (0, 0))
                found[int(row[scan.NUMBER])] = insns + int(row[scan.INSNS]), data + int(row[scan.DATA])
        return found

    def _list(self, files: list[_File]) -> None:
        """Raises TraceError with every thread, what it has, and both ways out."""
        for file in files:
            self._scan(file, counting=True)
        found = sorted(self._counts(files).items())
        each = [f"{number} ({insns:,} instructions, {data:,} accesses)" for number, (insns, data) in found[:LISTED]]
        each += [f"{len(found) - LISTED:,} more"] if len(found) > LISTED else []
        what = f"holds {len(found):,} threads in {len(files):,} files: {', '.join(each)}"
        todo = f"take one with {option('thread', found[0][0])}, or all with {option('interleave', True)}"
        raise TraceError(what, where=self.where, todo=todo)

    def _no_such_thread(self, thread: int, there: list[int] | None = None) -> TraceError:
        numbers = sorted(there if there is not None else self._counts(self.files))
        more = f" and {len(numbers) - LISTED:,} more" if len(numbers) > LISTED else ""
        todo = f"there is {', '.join(map(str, numbers[:LISTED])) or 'none'}{more}"
        return TraceError(f"has no thread {thread}", where=self.where, todo=todo)


def _refuse_type(bits: int, where: str) -> None:
    for refused, (what, todo) in REFUSED_TYPES.items():
        if bits & refused:
            raise TraceError(what, where=where, todo=todo)
