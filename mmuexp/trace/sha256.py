"""The SHA-256 of a trace file. A file that has not changed since this process read it is not read again."""

import hashlib
import os
import time

PIECE_BYTES = 1 << 20
KEPT = 64  # digests
CALM_NS = 2_000_000_000  # a file that changed less long ago may change again, and its time stay the same

_known: dict[tuple[int, ...], str] = {}  # by what tells a file, and its state


def digest(path: str | os.PathLike) -> str:
    """sha256 of a file, as hex digits."""
    with open(path, "rb") as file:
        return digest_of(file.fileno())


def digest_of(fd: int) -> str:
    """The same of an open file, whatever its name leads to by now."""
    before = _state(fd)
    if before in _known:
        return _known[before]
    whole, at = hashlib.sha256(), 0
    while piece := os.pread(fd, PIECE_BYTES, at):
        whole.update(piece)
        at += len(piece)
    changed_ns = max(before[3:])
    if before == _state(fd) and changed_ns + CALM_NS < time.time_ns():
        while len(_known) >= KEPT:
            _known.pop(next(iter(_known)), None)
        _known[before] = whole.hexdigest()
    return whole.hexdigest()


def forget() -> None:
    """Every file is read again."""
    _known.clear()


def _state(fd: int) -> tuple[int, ...]:
    found = os.fstat(fd)
    return found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns
