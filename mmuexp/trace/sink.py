"""Writes the file of a trace beside its target, and gives it the target's name once it is whole."""

import errno
import os
import stat
import tempfile
from pathlib import Path

from mmuexp.errors import MmuexpError, file_name, option
from mmuexp.runtime import partfile
from mmuexp.trace import left

BALLAST_BYTES = 1 << 20  # the footer takes 24 bytes a batch


class Sink:
    """The file below Arrow's writer. A failed write takes back the batch that it was part of.

    Arrow notes where a batch lies after its last byte, so with the bytes gone it may go on to write the end:
    a full disk costs one batch and not the file.

    A recording is made in the file that `left.part_of` names, so that what a killed recorder leaves is found, and so
    that two recorders meet there: the second is refused. So is one that would replace an earlier recording, unless it
    is told to by `force`.
    """

    def __init__(self, path: str, recording: bool = False, force: bool = False):
        self.target = os.path.realpath(path)
        self.path = path
        self.safe = self.position = 0
        self.closed = False
        self.recording, self.force = recording, force
        self.kept = ""  # where an earlier recorder's rows are, if they stood in the way
        # a device or a pipe cannot be replaced by a file of its name
        self.replace = recording or not os.path.exists(path) or os.path.isfile(path)
        try:
            if os.path.isdir(self.target):
                raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
            if recording and os.path.exists(path) and not os.path.isfile(path):
                raise MmuexpError("is not a regular file", where=path, todo="name a file that can be written")
            if os.path.exists(path) and not os.access(path, os.W_OK):
                raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
            self._open()
        except OSError as error:
            raise _cannot(path, error) from None
        status = os.fstat(self.fd)
        self.regular, self.file = stat.S_ISREG(status.st_mode), (status.st_dev, status.st_ino)
        self.ballast = _ballast(os.path.dirname(self.target)) if recording else None

    def _open(self) -> None:
        if self.recording:
            self._refuse_to_replace()
            partfile.sweep(self.target)
            self.fd, self.name, self.kept = left.claim(self.target)
            try:
                self._refuse_to_replace()  # another recorder may have ended meanwhile
            except MmuexpError:
                os.unlink(self.name)
                os.close(self.fd)
                raise
        elif self.replace:
            self.fd, self.name = partfile.create(self.target)
        else:
            self.fd, self.name = os.open(self.path, os.O_WRONLY | os.O_CLOEXEC), self.path

    def _refuse_to_replace(self) -> None:
        self.older = left.older(self.target)
        if self.older and not self.force:
            todo = f"{option('force', True)} overwrites it; {option('output', '')} names another file"
            raise MmuexpError("is there already", where=self.path, todo=todo)

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
        """Give the file its name, and close it. A recording that cannot have its name stays where it is."""
        try:
            os.close(os.dup(self.fd))  # a network file system tells here what it could not write
            if self.replace:
                if os.path.exists(self.target) and not os.path.isfile(self.target):
                    raise OSError(errno.EEXIST, "is not a regular file")
                if self.recording and left.older(self.target) not in (None, self.older):
                    raise OSError(errno.EEXIST, "another file was given this name meanwhile")
                os.replace(
                    self.name, self.target
                )  # before the lock goes: no other recorder may take it for left behind
            self.leave()
        except BaseException as error:
            if self.replace and not self.recording:
                self.discard()
            if isinstance(error, OSError):
                raise _cannot(self.path, error) from None
            raise

    def leave(self) -> None:
        if not self.closed:
            self.closed = True
            self._drop_ballast()
            os.close(self.fd)

    def discard(self) -> None:
        self.leave()
        self._unlink()

    def _unlink(self) -> None:
        """Take the file away: ours, and no device or pipe, nor what stands there by now."""
        try:
            status = os.lstat(self.name)
        except OSError:
            return
        if self.regular and stat.S_ISREG(status.st_mode) and (status.st_dev, status.st_ino) == self.file:
            Path(self.name).unlink(missing_ok=True)


def _ballast(folder: str):
    """Reserve, in a file without a name, the room that the end of a trace will need when the disk is full."""
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
    return MmuexpError(f"cannot be written: {reason}", where=file_name(path), todo=todo)
