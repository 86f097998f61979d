"""How a trace is written: an Arrow IPC file with one column for each field of `guest.Columns`.

Batches of 2**20 rows, ZSTD buffers; each batch carries the CRC of its rows, and what is known only at the end
(rows, window, completeness) stands in the custom metadata of a last batch of no rows. So every byte is written
once, in order, and what a killed writer leaves can be read up to its last whole batch.
"""

import errno
import hashlib
import os
import stat
import tempfile
import zlib
from pathlib import Path

import numpy as np

from mmuexp.errors import MmuexpError, UsageError
from mmuexp.guest import BATCH_ROWS, DTYPES, Columns

FORMAT = "1"
MODES = ("user", "system")
PREFIX = "mmuexp."
ZSTD_LEVEL = 3  # measured on recordings: 6-20 % smaller than 1, written at 80 % of its speed, decoded as fast
BALLAST_BYTES = 1 << 20  # the footer takes 24 bytes a batch
UNKNOWN = (-1, -1)  # a window that nobody knows


def crc32(columns: Columns) -> str:
    """`mmuexp.crc32` of a batch: zlib.crc32 chained over its columns (little-endian) in schema order, as hex."""
    value = 0
    for column in columns:
        value = zlib.crc32(column, value)
    return f"{value:08x}"


def metadata_crc32(metadata: dict[str, str]) -> str:
    """`mmuexp.metadata_crc32`: of the lines key=value of all other `mmuexp.` keys, without prefix, sorted, UTF-8."""
    lines = sorted(f"{key}={value}\n" for key, value in metadata.items() if key != "metadata_crc32")
    return f"{zlib.crc32(''.join(lines).encode()):08x}"


def digest(path: str | os.PathLike) -> str:
    """sha256 of a file, as hex digits."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def concat(parts: list[Columns]) -> Columns:
    """One batch from several."""
    return Columns(*(np.concatenate(column) for column in zip(*parts, strict=True)))


def empty(rows: int = 0) -> Columns:
    """`rows` rows of zeros."""
    return Columns(*(np.zeros(rows, dtype) for dtype in DTYPES))


class TraceWriter:
    """Writes a trace. A context manager: leaving it closes the file, leaving it by an exception takes the file away.

    The file is made beside the target and renamed on `close`. With `in_place=True` it is the target from the first
    byte, and leaving by an exception closes it with what was written, marked as cut short: a recording is worth
    keeping. `metadata` keys may be given without their `mmuexp.` prefix.

    Raises `MmuexpError` when the target cannot be written: a bad path at once, a full disk in `append` or `close`.
    After a full disk the rows written so far (`.rows`) are whole and `close` may still be called.
    """

    def __init__(self, path, *, mode: str, metadata: dict[str, str] | None = None, in_place: bool = False):
        import pyarrow as pa

        if mode not in MODES:
            raise ValueError(f"mode is {mode!r}, not one of {MODES}")
        if str(path) == "-":
            raise UsageError("a trace cannot go to stdout", todo="name a file with -o; `trace export` prints CSV")
        self.path, self.mode, self.in_place, self.rows = str(path), mode, in_place, 0
        self._pa = pa
        self._buffer, self._held = empty(BATCH_ROWS), 0
        self._sink = Sink(self.path, in_place)
        self._head = {"format": FORMAT, "mode": mode, "guest": "i386"} | _bare(metadata)
        fields = [
            pa.field(name, pa.from_numpy_dtype(dtype), nullable=False) for name, dtype in DTYPES._asdict().items()
        ]
        self._schema = pa.schema(fields, metadata={PREFIX + key: value for key, value in self._head.items()})
        codec = pa.Codec("zstd", compression_level=ZSTD_LEVEL)
        options = pa.ipc.IpcWriteOptions(compression=codec, use_threads=True)
        with self._sink.guard():
            self._writer = pa.ipc.new_file(self._sink, self._schema, options=options)

    def append(self, columns: Columns) -> None:
        """Add rows: any number, in columns of any integer type whose values fit `guest.DTYPES`."""
        rows, start = len(columns.op), 0
        while start < rows:
            if not self._held and rows - start >= BATCH_ROWS:  # a whole batch needs no copy
                piece = Columns(*(column[start : start + BATCH_ROWS] for column in columns))
                self._write(piece)
                start += BATCH_ROWS
                continue
            count = min(rows - start, BATCH_ROWS - self._held)
            for held, column in zip(self._buffer, columns, strict=True):
                held[self._held : self._held + count] = column[start : start + count]
            self._held += count
            start += count
            if self._held == BATCH_ROWS:
                self._flush()

    def close(self, complete: str = "yes", window: tuple[int, int] | None = None, metadata=None) -> None:
        """Write what is held and the end; then the file has its name.

        `window` is (first, count) in rows of the original recording, by default all; UNKNOWN leaves it out.
        """
        if self._sink.closed:
            return
        try:
            self._flush()
        except MmuexpError as error:
            complete = f"cut short: {error.what}" if complete == "yes" else complete
            if not self.in_place:
                self.abort()
                raise
        first, count = window or (0, self.rows)
        tail = {"rows": str(self.rows), "window": f"{first},{count}", "complete": complete} | _bare(metadata)
        if window == UNKNOWN:
            del tail["window"]
        tail["metadata_crc32"] = metadata_crc32(self._head | tail)
        try:
            self._write(empty(), {PREFIX + key: value for key, value in tail.items()})
            with self._sink.guard():
                self._writer.close()
            self._sink.finish()
        except MmuexpError as error:
            if self.in_place:
                self._sink.leave()
                error.todo = f"free some space, then mend it: mmuexp trace recover {self.path} -o NEW"
            else:
                self._sink.discard()
            raise

    def abort(self) -> None:
        """Take away what was written; the target is as it was (in place: gone)."""
        if not self._sink.closed:
            self._sink.discard()

    def _flush(self) -> None:
        held, self._held = self._held, 0
        if held:
            self._write(Columns(*(column[:held] for column in self._buffer)))

    def _write(self, columns: Columns, custom: dict[str, str] | None = None) -> None:
        columns = Columns(*(np.ascontiguousarray(c, dtype) for c, dtype in zip(columns, DTYPES, strict=True)))
        arrays = [self._pa.array(column) for column in columns]
        batch = self._pa.RecordBatch.from_arrays(arrays, schema=self._schema)
        custom = custom or {PREFIX + "crc32": crc32(columns)}
        with self._sink.guard():
            self._writer.write_batch(batch, custom_metadata=custom)
        self.rows += len(columns.op)

    def __enter__(self) -> "TraceWriter":
        return self

    def __exit__(self, kind, error, _) -> None:
        if kind is None:
            self.close()
        elif self.in_place:
            self.close(complete=f"cut short: {error or kind.__name__}")
        else:
            self.abort()


def _bare(metadata: dict[str, str] | None) -> dict[str, str]:
    """Keys without the prefix; what the writer itself knows cannot be given."""
    return {key.removeprefix(PREFIX): str(value) for key, value in (metadata or {}).items()}


class Sink:
    """The file below Arrow's writer. A failed write takes back the batch that it was part of.

    Arrow notes where a batch lies after its last byte, so with the bytes gone it may go on to write the end:
    a full disk costs one batch and not the file.
    """

    def __init__(self, path: str, in_place: bool):
        self.target = os.path.realpath(path)
        self.path = path
        self.safe = self.position = 0
        self.closed = False
        # a device or a pipe cannot be replaced by a file of its name
        self.replace = not in_place and (not os.path.exists(self.target) or os.path.isfile(self.target))
        self.name = f"{self.target}.{os.getpid()}.part" if self.replace else self.target
        try:
            if os.path.isdir(self.target):
                raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
            if os.path.exists(self.target) and not os.access(self.target, os.W_OK):
                raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
            self.fd = os.open(self.name, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o666)
        except OSError as error:
            raise _cannot(path, error) from None
        self.regular = stat.S_ISREG(os.fstat(self.fd).st_mode)
        self.ballast = _ballast(os.path.dirname(self.target)) if in_place and self.regular else None

    def guard(self) -> "_Guard":
        """What happens inside is written whole or not at all; OSError becomes a line for the user."""
        return _Guard(self)

    def write(self, data) -> int:
        view = memoryview(data).cast("B")
        done = 0
        while done < len(view):
            done += os.write(self.fd, view[done:])
        self.position += done
        return done

    def tell(self) -> int:
        return self.position

    def flush(self) -> None:
        pass

    def close(self) -> None:
        """Arrow closes what it wrote to; `finish` is what ends the file."""

    def rollback(self) -> None:
        """Take back what was written since `guard`, and make room for the end of the file."""
        self._drop_ballast()
        if self.regular:
            os.ftruncate(self.fd, self.safe)
            os.lseek(self.fd, self.safe, os.SEEK_SET)
            self.position = self.safe

    def _drop_ballast(self) -> None:
        if self.ballast is not None:
            self.ballast.close()
            self.ballast = None

    def finish(self) -> None:
        self.closed = True
        self._drop_ballast()
        try:
            os.close(self.fd)
            if self.replace:
                os.replace(self.name, self.target)
        except OSError as error:
            if self.replace:
                Path(self.name).unlink(missing_ok=True)
            raise _cannot(self.path, error) from None

    def leave(self) -> None:
        if not self.closed:
            self.closed = True
            self._drop_ballast()
            os.close(self.fd)

    def discard(self) -> None:
        self.leave()
        if self.regular:
            Path(self.name).unlink(missing_ok=True)


def _ballast(folder: str):
    """A file without a name that takes up what the end of a trace will need, to be given up when the disk is full."""
    try:
        file = tempfile.TemporaryFile(dir=folder)  # noqa: SIM115 (it lives as long as the sink)
        file.write(bytes(BALLAST_BYTES))
        file.flush()
        return file
    except OSError:
        return None


class _Guard:
    def __init__(self, sink: Sink):
        self.sink = sink

    def __enter__(self) -> None:
        self.sink.safe = self.sink.position

    def __exit__(self, kind, error, _) -> None:
        if kind is None:
            return
        if not self.sink.closed:
            self.sink.rollback()
        if isinstance(error, OSError) and not isinstance(error, BrokenPipeError):
            raise _cannot(self.sink.path, error) from None


def _cannot(path: str, error: OSError) -> MmuexpError:
    reason = (error.strerror or str(error)).lower()
    todo = "free some space or name another disk" if error.errno == errno.ENOSPC else "name a file that can be written"
    return MmuexpError(f"cannot be written: {reason}", where=path, todo=todo)
