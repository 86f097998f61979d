"""Traces as a caller names them: paths, or None for the one that comes with the package.

A path may also stand for a corpus: a folder (every .arrow in it and below, or, if there is none, every recording of
another tool that its content tells), a list of names (.txt, one a line, `#` begins a remark; names are relative to the
list), or a pattern (`traces/*.arrow`, `**` for any folders). What another tool recorded is imported when it is opened.
URLs name recordings as paths do; those of s3:// and gs:// may be a folder, which ends in /, or a pattern.
"""

import glob
import os
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import resources
from typing import Any

from mmuexp.arguments import listed
from mmuexp.errors import MmuexpError, TraceError, UsageError, option, shown
from mmuexp.trace.fetch import is_url
from mmuexp.trace.fetch import listed as listed_by_url
from mmuexp.trace.foreign import recognized

Path = str | os.PathLike
SUFFIX, LIST = ".arrow", ".txt"
MOST_LIST_BYTES = 1 << 24
DEFAULT_NAME = "default"  # what the bundled trace is called in the column `trace`


def given_traces(traces: Any) -> list[str | None]:
    """List the paths that a caller named, each once. Raises UsageError, TraceError."""
    return list(given_recordings(traces))


def given_recordings(traces: Any) -> dict[str | None, bool]:
    """List the same; true is said of those in a corpus, which may fail alone. Raises UsageError, TraceError."""
    if traces is None:
        return {None: False}
    paths = listed(traces, (str, os.PathLike, type(None)), "traces", "give paths, or None for the bundled trace")
    if not paths:
        raise UsageError("no trace is named", where="traces", todo="give a path, or None for the bundled trace")
    found: dict[str | None, bool] = {}
    for path in paths:
        name = None if path is None else os.fsdecode(path)
        corpus = None if name is None else _corpus(name)
        if corpus is None:
            found[name] = False
        else:
            for one in corpus:
                found.setdefault(one, True)
    return found


def _corpus(name: str, listed_in: str = "") -> list[str] | None:
    """The recordings that a folder, a list or a pattern stands for, in a fixed order; None for what is none of them."""
    if "\0" in name:
        return None
    if is_url(name):
        return listed_by_url(name, SUFFIX)
    if os.path.isdir(name):
        return None if recognized(name) else _recordings_in(name)
    if name.lower().endswith(LIST) and os.path.isfile(name) and not listed_in:
        return None if recognized(name, or_named=True) else _listed(name)
    if glob.has_magic(name) and not os.path.lexists(name):
        fitting = glob.iglob(name, recursive=True)
        found = sorted(path for path in fitting if os.path.isfile(path) or (os.path.isdir(path) and recognized(path)))
        if not found:
            raise TraceError("fits no file", where=name, todo="give another pattern, or a file's name")
        return found
    return None


def _recordings_in(folder: str) -> list[str]:
    """The traces in a folder and below; if there is none, the recordings of other tools."""
    walked = os.walk(folder, onerror=_refuse)
    found = sorted(os.path.join(at, file) for at, _, files in walked for file in files if file.endswith(SUFFIX))
    found = [path for path in found if os.path.isfile(path)] or sorted(_foreign_in(folder))
    if not found:
        what = f"is a folder without a recording (*{SUFFIX}, or of another tool)"
        raise TraceError(what, where=folder, todo="name another")
    return found


def _foreign_in(folder: str) -> Iterator[str]:
    for at, folders, files in os.walk(folder):
        whole = [name for name in folders if recognized(os.path.join(at, name))]
        folders[:] = [name for name in folders if name not in whole]
        yield from (os.path.join(at, name) for name in whole)
        yield from (path for name in files if recognized(path := os.path.join(at, name)))


def _refuse(error: OSError) -> None:
    todo = "change its rights, or name the recordings"
    raise TraceError(f"cannot be read: {(error.strerror or str(error)).lower()}", where=str(error.filename), todo=todo)


def _listed(path: str) -> list[str]:
    """The recordings that a list names. A missing one is found when it is opened; if all are, it is not a list."""
    try:
        if os.path.getsize(path) > MOST_LIST_BYTES:
            what = f"is a list of more than {MOST_LIST_BYTES >> 20} MB"
            raise TraceError(what, where=path, todo="part it in two")
        with open(path, encoding="utf-8", errors="surrogateescape") as file:
            lines = [line.strip() for line in file]
    except OSError as error:
        _refuse(error)
    lines = [line for line in lines if line and not line.startswith("#")]
    names = [line if is_url(line) else os.path.join(os.path.dirname(path), line) for line in lines]
    found: list[str] = []
    for name in names:
        try:
            corpus = _corpus(name, listed_in=path)
        except TraceError:
            corpus = None
        found += [name] if corpus is None else corpus
    if not any(is_url(name) or os.path.isfile(name) for name in found if "\0" not in name):
        todo = f"one name a line; if another tool wrote it, import it: mmuexp trace import {path} -o NEW{SUFFIX}"
        raise TraceError("is text, not a trace, and none of its lines names a file", where=path, todo=todo)
    return found


def label_of(path: Path | None) -> str:
    """What the column `trace` calls a trace."""
    return DEFAULT_NAME if path is None else shown(os.fsdecode(path))


def bundled_trace() -> Any:
    """The trace that comes with the package, as a resource."""
    return resources.files("mmuexp.traces") / "luajit.arrow"


@contextmanager
def opened_trace(path: Path | None, thread: int | None = None) -> Iterator[Any]:
    """Open a trace: all of it, or the rows of one thread. Raises TraceError."""
    from mmuexp.trace import open_trace
    from mmuexp.trace.threads import shown as of_thread

    with _file(path) as file, open_trace(file) as trace, of_thread(trace, thread) as rows:
        yield rows


@contextmanager
def _file(path: Path | None) -> Iterator[str]:
    if path is not None:
        yield os.fspath(path)
        return
    bundled = bundled_trace()
    if not bundled.is_file():
        raise MmuexpError("this installation has no bundled trace", todo=f"name one: {option('traces', '')}")
    with resources.as_file(bundled) as file:
        yield str(file)
