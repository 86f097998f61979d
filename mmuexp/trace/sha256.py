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
        for known, hex_digits in digests.items():
            _remember(known, hex_digits)


def digest(path: str | os.PathLike) -> str:
    """Take the SHA-256 of a file, as hex digits."""
    with open(path, "rb") as file:
        return digest_of(file.fileno())


def digest_of(fd: int) -> str:
    """Take the SHA-256 of an open file, whatever its name leads to by now."""
    before = state(os.fstat(fd))
    if (told := _known.get(before)) is not None:
        return told
    whole, at = hashlib.sha256(), 0
    while piece := os.pread(fd, PIECE_BYTES, at):
        whole.update(piece)
        at += len(piece)
    if before == state(os.fstat(fd)) and is_calm(before):
        with _lock:
            _remember(before, whole.hexdigest())
            _taken[before] = whole.hexdigest()
            if len(_taken) > KEPT:  # nobody asks
                _taken.clear()
    return whole.hexdigest()


def _remember(known: tuple[int, ...], hex_digits: str) -> None:
    while len(_known) >= KEPT:
        del _known[next(iter(_known))]
    _known[known] = hex_digits


def state(found: os.stat_result) -> tuple[int, ...]:
    """What tells a file, and whether it changed: its place, size and times."""
    return found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns


def is_calm(known: tuple[int, ...]) -> bool:
    """Has a file in this state not changed for so long that its time would tell of another change?"""
    return max(known[3:]) + CALM_NS < time.time_ns()
