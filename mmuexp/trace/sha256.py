"""Takes the SHA-256 of a file. One that has not changed since it was read is not read again.

The store of counts (mmuexp/store/) keeps what is known from one process to the next.
"""

import hashlib
import os
import time
from collections.abc import Mapping
from threading import Lock

PIECE_BYTES = 1 << 20
KEPT = 1 << 16  # digests
CALM_NS = 2_000_000_000  # a file that changed less long ago may change again, and its time stay the same

_lock = Lock()
_known: dict[tuple[int, ...], str] = {}  # by what tells a file, and its state
_taken: dict[tuple[int, ...], str] = {}  # of these, what `taken` has not told yet


def taken() -> dict[tuple[int, ...], str]:
    """What this process took since this was last asked: the state of a file -> its digest."""
    with _lock:
        found = dict(_taken)
        _taken.clear()
        return found


def tell(digests: Mapping[tuple[int, ...], str]) -> None:
    """Let this process know what another one took."""
    with _lock:
        for state, hex_digits in digests.items():
            _remember(state, hex_digits)


def digest(path: str | os.PathLike) -> str:
    """Take the SHA-256 of a file, as hex digits."""
    with open(path, "rb") as file:
        return digest_of(file.fileno())


def digest_of(fd: int) -> str:
    """Take the SHA-256 of an open file, whatever its name leads to by now."""
    before = _state(fd)
    if (told := _known.get(before)) is not None:
        return told
    whole, at = hashlib.sha256(), 0
    while piece := os.pread(fd, PIECE_BYTES, at):
        whole.update(piece)
        at += len(piece)
    changed_ns = max(before[3:])
    if before == _state(fd) and changed_ns + CALM_NS < time.time_ns():
        with _lock:
            _remember(before, whole.hexdigest())
            _taken[before] = whole.hexdigest()
            if len(_taken) > KEPT:  # nobody asks
                _taken.clear()
    return whole.hexdigest()


def _remember(state: tuple[int, ...], hex_digits: str) -> None:
    while len(_known) >= KEPT:
        del _known[next(iter(_known))]
    _known[state] = hex_digits


def _state(fd: int) -> tuple[int, ...]:
    found = os.fstat(fd)
    return found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns
