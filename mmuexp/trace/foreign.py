"""Lets what another tool recorded stand where a trace is asked for: it is imported once, and kept in the cache folder.

What is kept is named after the state of the file (or of every file of the folder), and after the sources that made it:
a file that changed, or a newer mmuexp, imports again. Each import is written beside its name and renamed. Beyond
`LIMIT_BYTES` those go that were used longest ago; one that is being read is locked, and stays.
"""

import fcntl
import hashlib
import json
import os
import re
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import cache
from importlib.metadata import entry_points
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from mmuexp.errors import MmuexpError, TraceError, UsageError, reason_of, shell_line, speaking_of_options
from mmuexp.progress import current, remark
from mmuexp.runtime import partfile
from mmuexp.runtime.alone import alone
from mmuexp.runtime.places import cache_folder
from mmuexp.trace import sha256

if TYPE_CHECKING:
    from mmuexp.trace.importers import Imported

LIMIT_BYTES = 4 << 30
TRIES = 10  # another process may take an import away before it is opened
# what only an import that one makes oneself can be told
WITH_OPTIONS = re.compile(r"--(from|thread|interleave|size|skip-foreign|columns|decimal|rebase)\b")


class Held(NamedTuple):
    """What is kept of imports."""

    path: str
    imports: int
    size_bytes: int
    limit_bytes: int


def imports_folder() -> Path:
    """Where imports are kept."""
    return cache_folder() / "imports"


def recognized(path: str, or_named: bool = False) -> bool:
    """Does the content of a file or folder tell that it can be imported, or at least (`or_named`) what it is?

    A folder in which another format's files stand, too, is not a recording, whatever some of its names are.
    """
    told = _format_of(path, or_named)
    if told is None or not os.path.isdir(path):
        return told is not None
    beside = (os.path.join(path, name) for name in sorted(os.listdir(path)))
    return all(_format_of(file) in (told, None) for file in beside if os.path.isfile(file))


def _format_of(path: str, or_named: bool = False) -> str | None:
    from mmuexp.trace.importers import importers
    from mmuexp.trace.importers.named import named
    from mmuexp.trace.importers.source import opened as opened_source

    with suppress(MmuexpError, OSError, ValueError):
        if not (os.path.isdir(path) or os.path.isfile(path)):  # a FIFO would wait for a writer
            return None
        with opened_source(path) as source:
            found = next((name for name, work in importers() if work.looks_like(source.sample)), None)
            return "named" if found is None and or_named and named(source.sample) else found
    return None


def opened(path: str) -> tuple[str, int]:
    """Import a file or folder, unless that was done: the trace's name, and its descriptor, locked against removal.

    Raises TraceError, UsageError where it cannot be imported; MmuexpError where the import cannot be kept.
    """
    state = _state(path)
    key = hashlib.sha256(json.dumps([state, _sources()]).encode("utf-8", "surrogateescape")).hexdigest()
    target = imports_folder() / f"{key}.arrow"
    for _ in range(TRIES):
        with _keeping(path):
            with suppress(FileNotFoundError):
                return str(target), _locked(target, path)
            target.parent.mkdir(parents=True, exist_ok=True)
            with alone(_used(target)):
                try:
                    if not target.exists():
                        _import(path, state, target)
                except BaseException:
                    _used(target).unlink(missing_ok=True)
                    raise
    raise MmuexpError("is taken away again and again by other processes", where=str(target), todo="try again")


def forget(path: str) -> None:
    """Remove an import that turned out to be damaged."""
    with suppress(OSError):
        os.unlink(path)


def held() -> Held:
    """Tell how much is kept."""
    sizes = [size for _, _, size in _kept()]
    return Held(str(imports_folder()), len(sizes), sum(sizes), LIMIT_BYTES)


def clear() -> int:
    """Remove every import that nobody reads now, and say how many."""
    return sum(_removed(target) for target, _, _ in _kept())


def _state(path: str) -> list[list]:
    """What tells a file, or those of a folder: name, place, size and times."""
    found, name = [], os.path.basename(os.path.realpath(path))
    for file in _files(path):
        with _reading(file):
            found.append([name, os.path.relpath(file, path), *sha256.state(os.stat(file))])
    return found


def _digest_if_new(path: str) -> str:
    """A digest of what a file or folder holds if it was only just written, so that its times might not tell of another
    change; "" if not."""
    files, told = list(filter(os.path.isfile, _files(path))), []
    for file in files:
        with _reading(file):
            told.append(sha256.is_calm(sha256.state(os.stat(file))))
    return "" if all(told) else _digest(path)


def _digest(path: str) -> str:
    whole = hashlib.sha256()
    for file in filter(os.path.isfile, _files(path)):
        with _reading(file):
            whole.update(f"{os.path.relpath(file, path)!r} {sha256.digest(file)}\n".encode())
    return whole.hexdigest()


@contextmanager
def _reading(file: str) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise TraceError(f"cannot be read: {reason_of(error)}", where=file, todo="change its rights") from None


def _files(path: str) -> list[str]:
    if not os.path.isdir(path):
        return [path]
    return sorted(os.path.join(at, name) for at, _, names in os.walk(path) for name in names)


@cache
def _sources() -> str:
    """A digest of all that makes an import what it is: our sources, and the importers of others."""
    from mmuexp.native.sources import PACKAGE, digest_of, python_files
    from mmuexp.trace.importers import GROUP

    ours = python_files(PACKAGE / "trace", PACKAGE / "trace" / "importers", PACKAGE / "blocks")
    others = []
    for point in sorted(entry_points(group=GROUP), key=lambda one: one.name):
        others.append(f"{point.name} {point.value} {point.dist.version if point.dist else ''}")
        with suppress(ImportError, AttributeError, OSError, ValueError):
            spec = find_spec(point.module)
            others.append(sha256.digest(spec.origin) if spec and spec.origin else "")
    return digest_of([*ours, PACKAGE / "guest.py"], *others)


def _import(path: str, state: list, target: Path) -> None:
    from mmuexp.trace.importers.work import import_trace

    _used(target).write_text(_digest_if_new(path))
    started = time.monotonic()
    done = import_trace(path, str(target), progress=current())
    if _state(path) != state:
        forget(str(target))
        raise TraceError("changed while it was read", where=path, todo="wait until it is whole")
    remark(_told(path, done, time.monotonic() - started))
    _let_go(target)


def _told(path: str, done: "Imported", seconds: float) -> str:
    parts = [f"imported ({done.format}, {done.rows:,} rows, {seconds:.1f} s) into {imports_folder()}"]
    parts += [f"{note.number:,} {note.words}" for note in done.notes if note.number]
    return f"{path}: {'; '.join((*parts, *done.remarks))}"


@contextmanager
def _keeping(path: str) -> Iterator[None]:
    """Say what to do oneself where an import does not know what, or has no place."""
    own = f"mmuexp trace import {shell_line([path])} -o NEW.arrow"
    try:
        with speaking_of_options():
            yield
    except (TraceError, UsageError) as error:
        todo = f"{error.todo} (of `{own}`)" if WITH_OPTIONS.search(error.todo) else error.todo
        raise TraceError(error.what, where=error.where, todo=todo) from None
    except OSError as error:
        what = f"its import cannot be kept: {reason_of(error)}"
        raise MmuexpError(what, where=str(imports_folder()), todo=f"keep it elsewhere: {own}") from None


def _used(target: Path) -> Path:
    """The file whose time tells when an import was used last. It holds the digest of what was new then."""
    return target.with_suffix(".used")


def _locked(target: Path, path: str) -> int:
    """Open an import, so that nobody removes it. Raises FileNotFoundError if there is none of `path` as it is now."""
    fd = os.open(target, os.O_RDONLY | os.O_CLOEXEC)
    try:
        fcntl.flock(fd, fcntl.LOCK_SH)
        if not os.fstat(fd).st_nlink:
            raise FileNotFoundError(str(target))
        known = _used(target).read_text() if _used(target).exists() else ""
        if known and known != _digest(path):
            forget(str(target))
            raise FileNotFoundError(str(target))
        with suppress(OSError):  # a cache that cannot be written to
            _used(target).touch()
            if known and not _digest_if_new(path):  # from here on its times tell
                _used(target).write_text("")
    except BaseException:
        os.close(fd)
        raise
    return fd


def _kept() -> list[tuple[Path, int, int]]:
    """(file, when it was used, bytes) of every import, in the order of use."""
    found = []
    for target in imports_folder().glob("*.arrow"):
        with suppress(OSError):
            status, used = target.stat(), _used(target)
            told = used.stat() if used.exists() else status
            found.append((target, told.st_mtime_ns, status.st_size))
    return sorted(found, key=lambda one: one[1])


def _let_go(newest: Path) -> None:
    """Remove what was used longest ago, but for the newest, until the rest is within the limit."""
    for part in imports_folder().glob("*.part"):
        partfile.sweep(f"{str(part).partition('.arrow')[0]}.arrow")
    kept = _kept()
    taken = sum(size for _, _, size in kept)
    for target, _, size in kept:
        if taken <= LIMIT_BYTES:
            return
        if target != newest and _removed(target):
            taken -= size


def _removed(target: Path) -> bool:
    """Remove an import, unless somebody reads it."""
    try:
        fd = os.open(target, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return False
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        os.unlink(target)
        with suppress(OSError):
            os.unlink(_used(target))
        return True
    except OSError:
        return False
    finally:
        os.close(fd)
