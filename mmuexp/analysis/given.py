"""Traces as a caller names them: paths, or None for the one that comes with the package."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import resources
from typing import Any

from mmuexp.arguments import listed
from mmuexp.errors import MmuexpError, UsageError, option, shown

Path = str | os.PathLike
DEFAULT_NAME = "default"  # what the bundled trace is called in the column `trace`


def given_traces(traces: Any) -> list[str | None]:
    """List the paths that a caller named, each once. Raises UsageError."""
    if traces is None:
        return [None]
    paths = listed(traces, (str, os.PathLike, type(None)), "traces", "give paths, or None for the bundled trace")
    if not paths:
        raise UsageError("no trace is named", where="traces", todo="give a path, or None for the bundled trace")
    return list(dict.fromkeys(None if path is None else os.fsdecode(path) for path in paths))


def label_of(path: Path | None) -> str:
    """What the column `trace` calls a trace."""
    return DEFAULT_NAME if path is None else shown(os.fsdecode(path))


def bundled_trace() -> Any:
    """The trace that comes with the package, as a resource."""
    return resources.files("mmuexp.traces") / "luajit.arrow"


@contextmanager
def opened_trace(path: Path | None, thread: int | None = None) -> Iterator[Any]:
    """Open a trace: all of it, or the rows of one thread."""
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
