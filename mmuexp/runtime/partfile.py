"""Temporary files beside what they will become: TARGET.PID.part, until they are whole and are given the name TARGET.

They are made anew: what stands at such a name, be it a link to somebody's file, is neither followed nor written to. A
process that was killed leaves its part behind; the next one that writes to the same target takes it away.
"""

import contextlib
import errno
import fcntl
import os
import re
import shutil
import stat

from mmuexp.runtime import interrupt

SUFFIX = ".part"
TRIES = 100  # names that may be taken by others before a part is given up


def create(target: str) -> tuple[int, str]:
    """Make an empty part of `target`, with the rights that a new file gets: its descriptor, which stays open while the
    part is written, and its name, which does not outlive the process. Raises OSError."""
    sweep(target)
    for number in range(TRIES):
        name = f"{target}.{os.getpid()}{f'-{number}' if number else ''}{SUFFIX}"
        try:
            with interrupt.whole():
                fd = open_new(name)
                interrupt.temporaries.add(name)
                lock(fd)
            return fd, name
        except FileExistsError:
            continue
        except BaseException:  # an interrupt
            with contextlib.suppress(OSError):
                os.unlink(name)
            raise
    raise FileExistsError(errno.EEXIST, f"{TRIES} files stand where its temporary file would")


def open_new(name: str) -> int:
    """A file that was not there before, for reading and writing. Raises FileExistsError: something is, or a link."""
    return os.open(name, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o666)


def lock(fd: int) -> bool:
    """Take the file's lock, which tells that it is being written. False: another process holds it."""
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        return error.errno != errno.EWOULDBLOCK  # a file system without locks: nobody holds it
    return True


def sweep(target: str) -> None:
    """Take away the parts of `target` that killed processes left."""
    folder, name = os.path.split(target)
    pattern = re.compile(re.escape(name) + r"\.(\d+)(-\d+)?" + re.escape(SUFFIX))
    _remove_dead(folder or ".", pattern, _remove_file)


def sweep_folders(place: str, prefix: str) -> None:
    """The same for temporary folders PREFIX + PID + "-" + anything, in `place`."""
    _remove_dead(place, re.compile(re.escape(prefix) + r"(\d+)-.*", re.DOTALL), _remove_folder)


def _remove_dead(place: str, pattern: re.Pattern, remove) -> None:
    with contextlib.suppress(OSError), os.scandir(place) as entries:
        for entry in entries:
            found = pattern.fullmatch(entry.name)
            with contextlib.suppress(OSError):  # somebody else's, or gone by now
                if found and not _is_alive(int(found[1])) and entry.stat(follow_symlinks=False).st_uid == os.geteuid():
                    remove(entry)


def _is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except (OSError, OverflowError):  # another user's; no process of ours has such a number
        pass
    return True


def _remove_file(entry: os.DirEntry) -> None:
    fd = os.open(entry.path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        # its process may live where its number is not seen from here, in another container: then it holds the lock
        if stat.S_ISREG(os.fstat(fd).st_mode) and lock(fd):
            os.unlink(entry.path)
    finally:
        os.close(fd)


def _remove_folder(entry: os.DirEntry) -> None:
    if entry.is_dir(follow_symlinks=False):
        shutil.rmtree(entry.path, ignore_errors=True)
