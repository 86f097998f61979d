"""Claims the file that a recording is made in, TARGET.part, and keeps what a killed recorder left there.

One recorder at a time writes to it: it holds the file's lock. What a killed one left is no longer locked; where that
holds rows, it is given another name, and `trace recover` makes a trace of it.
"""

import contextlib
import errno
import os
import stat
from itertools import count

from mmuexp.errors import MmuexpError, option
from mmuexp.runtime import partfile
from mmuexp.trace import layout


def part_of(target: str | os.PathLike) -> str:
    """Name the file in which the recording `target` is made."""
    return os.path.realpath(target) + partfile.SUFFIX


def older(target: str) -> tuple[int, int] | None:
    """Identify the file that a recording would replace; None if there is none, or nothing in it."""
    with contextlib.suppress(OSError):
        status = os.stat(target)
        return (status.st_dev, status.st_ino) if status.st_size else None
    return None


def claim(target: str) -> tuple[int, str, str]:
    """Make the empty file that the recording `target` is written to: its descriptor, its name, and the name that the
    rows of a killed recorder have now, "" if there were none.

    Raises MmuexpError: another recorder is at work, or something else has that name. Raises OSError.
    """
    name, kept = part_of(target), ""
    while True:
        with contextlib.suppress(FileExistsError):
            fd = partfile.open_new(name)
            if partfile.lock(fd) and _is_at(fd, name):
                return fd, name, kept
            os.close(fd)  # another recorder began at the same moment and took it for a killed one's
        with contextlib.suppress(FileNotFoundError):  # it ended meanwhile
            kept = _put_aside(name) or kept


def _put_aside(name: str) -> str:
    """Take what a killed recorder left at `name` out of the way; where it is now, "" where no row was in it."""
    try:
        fd = os.open(name, os.O_RDWR | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as error:
        if error.errno in (errno.ELOOP, errno.EISDIR):
            raise _in_the_way(name) from None
        raise
    try:
        if not stat.S_ISREG(os.fstat(fd).st_mode):
            raise _in_the_way(name)
        if not partfile.lock(fd):
            what = "is being recorded by another mmuexp record"
            raise MmuexpError(
                what, where=name.removesuffix(partfile.SUFFIX), todo=f"name another file with {option('output', '')}"
            )
        if not _is_at(fd, name):
            return ""
        rows = rows_in(fd)
        if rows is None:
            raise _in_the_way(name)
        if not rows:
            os.unlink(name)
            return ""
        kept = next(other for n in count(1) if not os.path.lexists(other := f"{name}.{n}"))
        os.rename(name, kept)
        return kept
    finally:
        os.close(fd)


def _is_at(fd: int, name: str) -> bool:
    """Is the open file still the one of this name?"""
    with contextlib.suppress(FileNotFoundError):
        return os.path.samestat(os.fstat(fd), os.lstat(name))
    return False


def _in_the_way(name: str) -> MmuexpError:
    what = "is not part of a recording, and stands where one would be made"
    return MmuexpError(what, where=name, todo=f"move it away, or name another file with {option('output', '')}")


def rows_in(fd: int) -> int | None:
    """Count the rows in whole batches of an unfinished trace; None where it is something else."""
    size = os.fstat(fd).st_size
    head = os.pread(fd, len(layout.MAGIC), 0)
    if head != layout.MAGIC[: len(head)]:
        return None
    rows = 0
    with contextlib.suppress(layout.Broken):
        schema = layout.message(fd, layout.schema_start(fd, size), size)
        if schema is None or schema.kind != layout.SCHEMA:
            return 0
        format, at = layout.check_schema(schema.header), schema.end
        while (found := layout.message(fd, at, size)) is not None:
            at = found.end + -found.end % 8
            if found.kind == layout.RECORD_BATCH:
                rows += layout.batch(found, format).rows
    return rows
