"""Reads a trace: `open_trace` checks what can be checked at once, `Trace.batches` hands out the rows.

Rows are decoded in pieces of at most 2**20, however large the file's batches are, and another thread decodes the next
piece meanwhile (decompression runs outside Python's lock).
"""

import os
import stat
import weakref
from array import array
from bisect import bisect_right
from collections.abc import Callable, Iterator
from contextlib import suppress
from itertools import accumulate
from typing import TYPE_CHECKING, Any

from mmuexp.errors import MmuexpError, TraceError, file_name
from mmuexp.guest import ADDRESS_BITS, THREAD, WIDE_BITS, Columns
from mmuexp.result.declared import declared_of
from mmuexp.runtime.threads import Threads
from mmuexp.trace import fetch, layout, left
from mmuexp.trace.flatbuffer import Budget
from mmuexp.trace.format import FORMATS, MODES, PREFIX, bits_told, metadata_crc32
from mmuexp.trace.sha256 import digest_of

if TYPE_CHECKING:
    from mmuexp.blocks.runs import Runs


def open_trace(path: str | os.PathLike) -> "Trace":
    """Open a trace file, or what another tool recorded: that is imported once, and kept (see foreign.py).

    What a URL names is fetched once, and kept (see fetch.py).

    Raises TraceError, one line, for anything that is not a whole trace of this format, and cannot be imported.
    """
    path = os.fspath(path)
    if os.path.isdir(path):
        return _open_foreign(path)
    fd, size = open_input(path)
    try:
        if _is_trace(fd, path, size):
            return Trace(path, fd, size)
    except BaseException:
        os.close(fd)
        raise
    os.close(fd)
    if fetch.is_url(path):
        todo = "fetch it yourself, and name the file: what other tools recorded is imported then"
        raise TraceError("is not a trace", where=path, todo=todo)
    return _open_foreign(path)


def _open_foreign(path: str) -> "Trace":
    from mmuexp.trace import foreign

    if os.path.isdir(path) and not foreign.recognized(path):
        raise TraceError("is a folder, and no recording of one", where=path, todo="name a trace file")
    for last in (False, True):
        file, fd = foreign.opened(path)
        try:
            trace = Trace(file, fd, os.fstat(fd).st_size)
            trace.path = path
            return trace
        except BaseException as error:
            os.close(fd)
            if last or not isinstance(error, TraceError):
                raise
            foreign.forget(file)  # it is not a whole trace any more
    raise AssertionError


def open_input(path: str) -> tuple[int, int]:
    """Open a regular file, or what a URL names: its descriptor and size. Raises TraceError where there is none."""
    if fetch.is_url(path):
        fd = fetch.opened(path)
        return fd, os.fstat(fd).st_size
    try:
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)  # a FIFO would wait for a writer
    except (OSError, ValueError) as error:
        reason = (getattr(error, "strerror", None) or str(error)).lower()
        todo = "name a trace file"
        if isinstance(error, FileNotFoundError) and os.path.isfile(part := left.part_of(path)):
            todo = f"a recorder that is at work, or was killed, has {part}: mmuexp trace recover {part} -o NEW"
        raise TraceError(f"cannot be read: {reason}", where=file_name(path), todo=todo) from None
    status = os.fstat(fd)
    if not stat.S_ISREG(status.st_mode):
        os.close(fd)
        kind = "a folder" if stat.S_ISDIR(status.st_mode) else "not a regular file"
        raise TraceError(f"is {kind}", where=path, todo="name a trace file")
    return fd, status.st_size


def _is_trace(fd: int, path: str, size: int) -> bool:
    """Is it an Arrow file? Else it may be a recording of another tool. Raises TraceError for what is neither."""
    if size == 0:
        raise TraceError("is empty", where=path, todo="record it again, or copy it again")
    head = os.pread(fd, 4096, 0)
    if head.startswith(layout.MAGIC):
        return True
    if head.startswith(b"PAR1"):
        raise TraceError("is a Parquet file, not a trace", where=path, todo="Parquet is for export only")
    if len(head) > 8 and head[:4] == b"\xff\xff\xff\xff":
        raise TraceError("is an Arrow stream, not an Arrow file", where=path, todo="write it as an Arrow IPC file")
    return False


class Trace:
    """An open trace file. What the file does not tell is None.

    path        as given
    file        the one that is open, whatever its name leads to by now
    mode        "user" or "system"
    address_bits   32 or 64, of the guest's addresses
    metadata    the `mmuexp.` keys of the schema and of the last batch, without the prefix
    rows        as the writer declared them
    complete    "yes", or why the recording was cut short
    window      (first, count) in rows of the original recording
    file_rows   rows in the file, counted from its batch headers
    size_bytes  of the file
    layouts     where its batches lie
    schema      Arrow's
    metadata_intact   whether the metadata has the CRC that it had when it was written
    """

    def __init__(self, path: str, fd: int, size: int):
        from mmuexp.trace.decode import decoder_of

        self.path, self.size_bytes = path, size
        self.file = f"/proc/self/fd/{fd}"
        self.layouts = Layouts(path, fd, size)
        self.schema = schema = read_schema(self.file, path)
        keys = {_text(key): _text(value) for key, value in (schema.metadata or {}).items()}
        keys |= self.layouts.tail
        self.metadata = {key.removeprefix(PREFIX): value for key, value in keys.items() if key.startswith(PREFIX)}
        declared = self.metadata.pop("metadata_crc32", None)
        self.metadata_intact = None if declared is None else declared == metadata_crc32(self.metadata)
        self.mode = checked_mode(self.metadata, path)
        declared_of(self)
        self.address_bits = checked_bits(self.metadata, schema, path)
        self._decoder = decoder_of(self.layouts.format, schema, fd, path, self.address_bits)
        self.file_rows = sum(self.layouts.rows)
        self.complete = self.metadata.get("complete")
        self.rows = self._declared_rows()
        self.window = self._declared_window()
        self._fd = fd
        self._closing = weakref.finalize(self, os.close, fd)  # also when Python ends, before modules are taken down

    def _declared_rows(self) -> int | None:
        text = self.metadata.get("rows")
        if text is None:
            return None
        keep = f"keep what is there: mmuexp trace recover {self.path} -o NEW.arrow"
        if not is_number(text):
            raise TraceError(f"mmuexp.rows is {text[:40]!r}, not a number", where=self.path, todo=keep)
        if int(text) != self.file_rows:
            raise TraceError(f"declares {int(text):,} rows and holds {self.file_rows:,}", where=self.path, todo=keep)
        return int(text)

    def _declared_window(self) -> tuple[int, int] | None:
        text = self.metadata.get("window")
        if text is None:
            return None
        parts = text.split(",")
        if len(parts) != 2 or not all(is_number(part) for part in parts):
            what = f"mmuexp.window is {text[:40]!r}, not first,count"
            raise TraceError(what, where=self.path, todo="mend its writer, or slice the original again")
        return int(parts[0]), int(parts[1])

    def runs(self, start: int = 0, *, ahead: bool = True) -> Iterator["Runs"]:
        """Yield the rows from number `start` on as runs, 1 to 2**20 rows at a time, the first of them of a new group.

        `ahead` and errors are as in `batches`.
        """
        from mmuexp.blocks.builder import runs_of

        if self.layouts.format == layout.BLOCKS and start in self.group_rows():
            yield from _ahead(self._runs(start)) if ahead else self._runs(start)
        else:
            yield from runs_of(self.batches(start, ahead=ahead))

    def _runs(self, start: int) -> Iterator["Runs"]:
        decoder = self.decoder()
        for index, first, _ in self._batches_from(start):
            yield decoder.runs(self.layouts[index], first)

    def batches(self, start: int = 0, *, ahead: bool = True) -> Iterator[Columns]:
        """Yield the rows from number `start` on, in pieces of 1 to 2**20 rows, C-contiguous, exactly of
        the types of `guest.dtypes_of(address_bits)`.

        `ahead`: another thread decodes what comes next, which Arrow spreads over all cores.

        Raises TraceError at the piece that does not decode; its `row` is where that piece begins.
        """
        yield from _ahead(self.pieces(start)) if ahead else self.pieces(start)

    def pieces(self, start: int = 0, *, checked: bool = False) -> Iterator[Columns]:
        """Yield as `batches` does, but decode in the caller's thread; `checked`, only of batches whose CRC is right."""
        decoder = self.decoder()
        for index, first, skip in self._batches_from(start):
            batch = self.layouts[index]
            yield from (decoder.whole if checked and skip < batch.rows else decoder.pieces)(batch, first, skip)

    def to_arrow(self) -> Any:
        """All rows as a pyarrow.Table, which DuckDB reads, too: columns vaddr page size insns op flags."""
        import pyarrow as pa

        from mmuexp.trace.arrow_rows import record_batches, row_schema

        schema = row_schema(self.address_bits)
        return pa.Table.from_batches(record_batches(self, schema), schema)

    def to_pandas(self) -> Any:
        """All rows as a pandas.DataFrame."""
        return self.to_arrow().to_pandas()

    def to_polars(self) -> Any:
        """All rows as a polars.DataFrame. Raises MmuexpError where Polars is not installed."""
        try:
            import polars
        except ImportError:
            raise MmuexpError(
                "is not installed", where="Polars", todo="pip install polars, or use to_pandas()"
            ) from None
        return polars.from_arrow(self.to_arrow())

    def decoder(self) -> Any:
        """Make what decodes batches, in order from one that begins a group on."""
        return self._decoder.fresh()

    def group_rows(self) -> list[int]:
        """List the numbers of the rows from which on the file can be decoded, ascending."""
        firsts = list(accumulate(self.layouts.rows, initial=0))
        return [firsts[index] for index in self.layouts.groups]

    def first_op(self) -> int | None:
        """What the first row is; None where there is none that decodes."""
        with suppress(TraceError):
            for columns in self.pieces():
                return int(columns.op[0])
        return None

    def sha256(self) -> str:
        """Of the file that is open, as hex digits."""
        return digest_of(self._fd)

    def _batches_from(self, start: int) -> Iterator[tuple[int, int, int]]:
        """(index, number of its first row, rows of it to skip) of each batch with rows from `start` on, and of those
        before it in its group, which are skipped."""
        rows, groups = self.layouts.rows, self.layouts.groups
        firsts = list(accumulate(rows, initial=0))
        at = bisect_right(groups, start, key=firsts.__getitem__) - 1
        for index in range(groups[at] if start < firsts[-1] else len(rows), len(rows)):
            if rows[index]:
                yield index, firsts[index], min(rows[index], max(0, start - firsts[index]))

    def close(self) -> None:
        self._fd = -1
        self._closing()

    def __enter__(self) -> "Trace":
        return self

    def __exit__(self, *_) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"<Trace {self.path} ({self.mode}, {self.file_rows:,} rows)>"


def _ahead(pieces: Iterator) -> Iterator:
    """Yield what another thread takes from `pieces`, one ahead."""
    with Threads(1, thread_name_prefix="decode") as pool:
        following: Any = pool.submit(next, pieces, None)
        while (piece := following.result()) is not None:
            following = pool.submit(next, pieces, None)
            yield piece


def checked_mode(metadata: dict[str, str], path: str) -> str:
    """Take the mode from a trace's metadata. Raises TraceError for other formats and modes."""
    version, mode = metadata.get("format"), metadata.get("mode")
    if version is None:
        what = "is an Arrow file but no trace: its schema metadata has no mmuexp.format"
        raise TraceError(what, where=path, todo="name a file that mmuexp record wrote")
    if version not in FORMATS:
        known = " and ".join(map(repr, FORMATS))
        what = f"is a trace of format {version[:40]!r}; this mmuexp reads formats {known}"
        raise TraceError(what, where=path, todo="use the mmuexp that wrote it, or a newer one")
    if mode not in MODES:
        told = "no mmuexp.mode" if mode is None else f"the mode {mode[:40]!r}"
        raise TraceError(f"has {told}, expected {' or '.join(MODES)}", where=path, todo="mend its writer")
    return mode


def checked_bits(metadata: dict[str, str], schema: Any, path: str) -> int:
    """Tell how many bits the addresses of a trace have: of format 2 by the key for it, on which its streams hang, else
    by what its metadata or the type of the column says. Raises TraceError for what contradicts itself."""
    try:
        told = bits_told(metadata)
    except ValueError as error:
        raise TraceError(str(error), where=path, todo="use the mmuexp that wrote it, or mend its writer") from None
    if metadata.get("format") == layout.BLOCKS:
        return told if told and "address_bits" in metadata else ADDRESS_BITS
    return told or (WIDE_BITS if wide_column(schema) else ADDRESS_BITS)


def wide_column(schema: Any) -> bool:
    """Tell whether a table of rows has addresses of 64 bits by its type."""
    place = schema.get_field_index("vaddr")  # -1: there is none, or there are several, which is refused elsewhere
    return place >= 0 and str(schema.field(place).type) == "uint64"


def read_schema(file: str, path: str):
    """Read the schema in the footer of an Arrow file, which errors call `path`."""
    import pyarrow as pa

    try:
        with pa.OSFile(os.fsencode(file), "rb") as source, pa.ipc.open_file(source) as reader:
            schema = reader.schema
            _ = schema.names  # decoded only when asked for, and they may be no UTF-8
            return schema
    except (pa.ArrowException, OSError, ValueError, OverflowError) as error:
        raise _damaged(path, error) from None


class Layouts:
    """Knows where a file's record batches lie. It keeps two numbers of each: a file may have millions of small ones.

    `rows` are the batches' row counts, `groups` the indexes of those that begin a group; iterating reads the headers
    again, `[i]` one of them.
    """

    def __init__(self, path: str, fd: int, size: int):
        self.path, self.fd, self.size = path, fd, size
        self.starts, self.rows, self.groups = array("q"), array("q"), array("q")
        self.tail: dict[str, str] = {}
        try:
            footer = layout.footer(fd, size)
            if footer is None:
                raise TraceError(
                    "has no footer: its writer was killed, or the file was cut",
                    where=path,
                    todo=f"mend it: mmuexp trace recover {path} -o NEW.arrow",
                )
            self.format, groups = footer.format, layout.Groups()
            self.schema_start = layout.schema_start(fd, size)
            layout.check_cover(fd, size, footer)
            end, tail = 0, Budget()
            for block in footer.batches():
                found = layout.message(fd, block.offset, size)
                if found is None or found.kind != layout.RECORD_BATCH or block.offset < end:
                    raise layout.Broken("its footer points to something that is not a record batch")
                end = block.offset + block.header + block.body
                if (found.body, found.end) != (block.offset + block.header, end):
                    raise layout.Broken("its footer and a batch disagree on the batch's size")
                batch = layout.batch(found, self.format)
                self.starts.append(block.offset)
                self.rows.append(batch.rows)
                if not batch.rows:
                    self.tail |= kept_tail(batch, tail)
                elif groups.begins(batch):
                    self.groups.append(len(self.rows) - 1)
        except layout.Broken as error:
            raise _damaged(path, error) from None

    def __len__(self) -> int:
        return len(self.starts)

    def message(self, start: int) -> layout.Message | None:
        """The message at a byte of the file. Raises Broken."""
        return layout.message(self.fd, start, self.size)

    def __iter__(self) -> Iterator[layout.Batch]:
        return (self[index] for index in range(len(self)))

    def __getitem__(self, index: int) -> layout.Batch:
        try:
            found = self.message(self.starts[index])
            batch = layout.batch(found, self.format) if found else None
            if batch is None or batch.rows != self.rows[index]:
                raise layout.Broken("the file changes while it is read")
            return batch
        except layout.Broken as error:
            raise _damaged(self.path, error) from None


def kept_tail(batch: layout.Batch, budget: Budget) -> dict[str, str]:
    """What a batch of no rows tells of the trace, its keys with prefix; all such batches share one budget."""
    keys = {key: text for key, text in batch.custom.items() if key.startswith(PREFIX)}
    budget.spend(len(keys), sum(len(key) + len(text) for key, text in keys.items()))
    return keys


def _damaged(path: str, error: Exception) -> TraceError:
    from mmuexp.trace.decode import damaged

    return damaged(path, error)


def window_trouble(
    mode: str, window: tuple[int, int] | None, rows: int, first_op: Callable[[], int | None] = lambda: None
) -> str:
    """Say what a window contradicts in a file of so many rows; "" if nothing. MAP rows may stand before it, or in user
    mode one THREAD row: `first_op` tells what the first row is."""
    if window is None or (window[1] == rows if mode == "user" else window[1] <= rows):
        return ""
    if mode == "user" and window[1] == rows - 1 and first_op() == THREAD:
        return ""
    return f"mmuexp.window says {window[1]:,} rows, and the file holds {rows:,}"


def is_number(text: str) -> bool:
    return text.isascii() and text.isdigit() and len(text) < 20


def _text(data: bytes) -> str:
    return data.decode("utf-8", "replace")
