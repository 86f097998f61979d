"""Lets what another tool recorded stand where a trace is asked for: it is imported once, and kept in the cache folder.

What is kept is named after the state of the file (or of every file of the folder), and after the sources that made it:
a file that changed, or a newer mmuexp, imports again. Each import is written beside its name and renamed. At most
`LIMIT_BYTES` are kept (keeping.py); the file beside each holds the digest of what was new when it was imported.
"""

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
from mmuexp.trace import keeping, sha256

if TYPE_CHECKING:
    from mmuexp.trace.importers import Imported

LIMIT_BYTES = 4 << 30
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
    """Import a file or folder, unless that was done: the trace's name, and its descriptor.

    Raises TraceError, UsageError where it cannot be imported; MmuexpError where the import cannot be kept.
    """
    state = _state(path)
    key = hashlib.sha256(json.dumps([state, _sources()]).encode("utf-8", "surrogateescape")).hexdigest()
    target = imports_folder() / f"{key}.arrow"
    with _keeping(path):
        with suppress(FileNotFoundError):
            return str(target), _opened(target, path)
        target.parent.mkdir(parents=True, exist_ok=True)
        with alone(keeping.used(target)):
            with suppress(FileNotFoundError):  # another process made it meanwhile
                return str(target), _opened(target, path)
            try:
                _import(path, state, target)
                return str(target), keeping.opened(target)
            except BaseException:
                keeping.used(target).unlink(missing_ok=True)
                raise


def forget(path: str) -> None:
    """Remove an import that turned out to be damaged."""
    with suppress(OSError):
        os.unlink(path)


def held() -> Held:
    """Tell how much is kept."""
    sizes = [size_bytes for _, size_bytes in keeping.by_use(imports_folder())]
    return Held(str(imports_folder()), len(sizes), sum(sizes), LIMIT_BYTES)


def clear() -> int:
    """Remove every import, and say how many."""
    return sum(keeping.removed(target) for target, _ in keeping.by_use(imports_folder()))


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

    keeping.used(target).write_text(_digest_if_new(path))
    started = time.monotonic()
    done = import_trace(path, str(target), progress=current())
    if _state(path) != state:
        forget(str(target))
        raise TraceError("changed while it was read", where=path, todo="wait until it is whole")
    remark(_told(path, done, time.monotonic() - started))
    for part in imports_folder().glob("*.part"):
        partfile.sweep(f"{str(part).partition('.arrow')[0]}.arrow")
    keeping.let_go(target, LIMIT_BYTES)


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


def _opened(target: Path, path: str) -> int:
    """Open an import. Raises FileNotFoundError if there is none of `path` as it is now."""
    told = keeping.used(target)
    known = told.read_text() if told.exists() else ""
    if known and known != _digest(path):
        forget(str(target))
    is_calm = known and not _digest_if_new(path)
    fd = keeping.opened(target)
    if is_calm:  # from here on its times tell
        with suppress(OSError):
            told.write_text("")
    return fd
