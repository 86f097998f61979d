"""Recordings kept in a folder of the cache, each made once: beyond a limit those go that were used longest ago.

Beside each stands a file of its name, `.used`, whose time tells when that was. Who makes the recording holds its lock.
A recording is read by its descriptor, so that who has one open keeps it when it is removed.
"""

import os
from contextlib import suppress
from pathlib import Path


def used(target: Path) -> Path:
    """The file whose time tells when a recording was used last."""
    return target.with_suffix(".used")


def opened(target: Path) -> int:
    """Open a recording that is used now. Raises FileNotFoundError if it is not kept."""
    fd = os.open(target, os.O_RDONLY | os.O_CLOEXEC)
    with suppress(OSError):  # a cache that cannot be written to
        used(target).touch()
    return fd


def by_use(folder: Path) -> list[tuple[Path, int]]:
    """(file, bytes) of all that is kept; what was used longest ago comes first."""
    found = []
    for target in folder.glob("*.arrow"):
        with suppress(OSError):
            status, told = target.stat(), used(target)
            used_ns = told.stat().st_mtime_ns if told.exists() else status.st_mtime_ns
            found.append((used_ns, target, status.st_size))
    return [(target, size_bytes) for _, target, size_bytes in sorted(found)]


def removed(target: Path) -> bool:
    """Remove a recording. False if it cannot be, or is gone."""
    try:
        target.unlink()
        used(target).unlink(missing_ok=True)
        return True
    except OSError:
        return False


def let_go(newest: Path, limit_bytes: int) -> None:
    """Remove what was used longest ago, but for the newest, until the rest is within the limit."""
    kept = by_use(newest.parent)
    taken_bytes = sum(size_bytes for _, size_bytes in kept)
    for target, size_bytes in kept:
        if taken_bytes <= limit_bytes:
            return
        if target != newest and removed(target):
            taken_bytes -= size_bytes
