"""What a worker of a cluster does: it says what it is, looks at a recording, or counts on it under some schemes.

`answer` takes and gives JSON; what goes wrong with a recording or a scheme is part of the answer.
"""

import json
import os
import platform
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from threading import Lock
from typing import Any

import numba
import numpy as np

from mmuexp import errors
from mmuexp.analysis.cuts import Cuts
from mmuexp.analysis.given import opened_trace
from mmuexp.analysis.passes import run_passes
from mmuexp.analysis.stored import stopped, value_of
from mmuexp.cluster import here
from mmuexp.cluster.farm import DIED, ERROR, REFUSED
from mmuexp.cluster.travel import NotTheSame, unpacked
from mmuexp.errors import MmuexpError, SchemeStopped, TraceError, UsageError, reason_of
from mmuexp.result.manifest import MODEL_VERSION
from mmuexp.store import identity
from mmuexp.strategy.mistakes import somebodys
from mmuexp.trace.fetch import is_url
from mmuexp.trace.relocate import at_load_seeds
from mmuexp.version import version

ENTRY = f"{__name__}:answer"
TELL_SECONDS = 0.5  # between two messages of how far a piece is
KINDS = {one.__name__: one for one in (MmuexpError, UsageError, TraceError, SchemeStopped)}  # of errors that travel

_at_work = Lock()  # one piece at a time: a worker's memory is bounded, and a pass has threads of its own


class Unwanted(Exception):
    """Nobody waits for this piece any more."""


def greeting(schemes: dict[str, Any]) -> dict[str, Any]:
    """What a worker has to have to count for this process. Raises MmuexpError where that cannot be told."""
    ours = about_us()
    if ours["sources"] is None:
        what = "mmuexp's sources changed since this process began"
        raise MmuexpError(what, where=errors.option("cluster"), todo="run it again")
    return {"do": "greet", "ours": ours, "schemes": schemes}


def about_us() -> dict[str, Any]:
    """What decides a count, beside trace and scheme; all of it has to be the same on a worker."""
    versions = {"mmuexp": version(), "model": MODEL_VERSION, "Python": platform.python_version()}
    versions |= {"NumPy": np.__version__, "numba": numba.__version__, "processor": platform.machine()}
    return {"versions": versions, "sources": identity.sources()}


def answer(request: bytes) -> bytes:
    """Answer a request: the one function that is called on a worker."""
    asked = json.loads(request)
    try:
        with _at_work:
            found = {"greet": _greet, "look": _look, "count": _count}[asked["do"]](asked)
    except NotTheSame as error:
        found = {REFUSED: str(error)}
    except MemoryError:
        found = {DIED: "is out of memory"}
    except Unwanted:
        found = {}
    except Exception as error:
        found = {ERROR: _as_data(error, asked)}
    return json.dumps(found).encode()


def _as_data(error: Exception, asked: dict[str, Any]) -> dict[str, Any]:
    """An error as it would be told where the command runs: with the recording's name there."""
    trace = asked.get("trace", {})
    path, label = trace.get("path"), trace.get("label", "")
    if isinstance(error, OSError):
        error = TraceError(f"cannot be read: {reason_of(error)}", where=path)
    if not isinstance(error, MmuexpError):
        what = f"unexpected {type(error).__name__}: {error}; this is a bug"
        error = somebodys(error) or MmuexpError(what, where=f"{asked['worker']}: {label}")
    kind = next(name for name, one in reversed(KINDS.items()) if isinstance(error, one))
    where = label if error.where == path else error.where
    todo = error.todo.replace(f" {path} ", f" {label} ")
    return {"kind": kind, "what": error.what, "where": where, "todo": todo, "row": getattr(error, "row", None)}


def error_of(told: dict[str, Any]) -> MmuexpError:
    """The error that an answer tells."""
    row = {} if told.get("row") is None else {"row": told["row"]}
    return KINDS[told["kind"]](told["what"], where=told["where"], todo=told["todo"], **row)


def _greet(asked: dict[str, Any]) -> dict[str, Any]:
    """Raises NotTheSame, which says what a worker has that is another."""
    theirs, ours = asked["ours"], about_us()
    told = f"(process {os.getpid()} on {socket.gethostname()})"
    for name, there in theirs["versions"].items():
        if (mine := ours["versions"].get(name)) != there:
            raise NotTheSame(f"has {name} {mine}, not {there} {told}")
    if ours["sources"] != theirs["sources"]:
        changed = ours["sources"] is None
        why = "has sources of mmuexp that changed since it began" if changed else "has other sources of mmuexp"
        raise NotTheSame(f"{why} {told}")
    unpacked(asked["schemes"])
    return {}


def _look(asked: dict[str, Any]) -> dict[str, Any]:
    """What a recording tells of itself."""
    with opened_trace(asked["trace"]["path"], asked["thread"]) as trace:
        names = ("mode", "address_bits", "rows", "file_rows", "complete", "window", "metadata", "size_bytes")
        return {"facts": {name: getattr(trace, name) for name in names} | {"digest": trace.sha256()}}


def _count(asked: dict[str, Any]) -> dict[str, Any]:
    """What schemes count on a recording: {"values": spec -> as the store keeps it}, and its digest afterwards."""
    may_be_left_out, values = set(asked["may_leave_out"]), {}
    schemes, label, seed = unpacked(asked["schemes"]), asked["trace"]["label"], asked["seed"]

    def leave_out(strategy: Any, error: SchemeStopped) -> bool:
        if str(strategy) in may_be_left_out:
            values[str(strategy)] = stopped(error.what)
        return str(strategy) in may_be_left_out

    with _found(asked) as trace:
        _, moved = next(iter(at_load_seeds(trace, None if seed is None else [seed])))
        how: dict[str, Any] = {"cuts": Cuts(*asked["cuts"]), "jobs": asked["jobs"] or asked["threads"]}
        how |= {"progress": _teller(asked), "leave_out": leave_out}
        for runs in run_passes(moved, schemes, label=label, **how):
            for strategy in schemes:
                if mine := [run for run in runs if run.strategy is strategy]:
                    values[str(strategy)] = value_of(mine)
        return {"values": values, "sha256": trace.sha256()}


@contextmanager
def _found(asked: dict[str, Any]) -> Iterator[Any]:
    """The recording that is asked for. Raises MmuexpError where another one, or none, is at its place."""
    path, digest = asked["trace"]["path"], asked["trace"]["sha256"]
    where, todo = f"worker {asked['worker']}", "share its folder with all workers, or name it by a URL"
    if path is not None and not is_url(path) and not os.path.exists(path):
        raise MmuexpError(f"{path} is not there", where=where, todo=todo)
    with opened_trace(path, asked["thread"]) as trace:
        if trace.sha256() != digest:
            named = "the recording that comes with mmuexp" if path is None else path
            what = f"{named} is another recording there (SHA-256 {trace.sha256()[:16]}, not {digest[:16]})"
            raise MmuexpError(what, where=where, todo=todo)
        yield trace


def _teller(asked: dict[str, Any]) -> Callable[[str, int, int | None], None]:
    """Tells how much of the piece is done. Raises Unwanted where nobody waits for it any more."""
    told = time.monotonic()

    def tell(_name: str, done: int, rows: int | None) -> None:
        nonlocal told
        now = time.monotonic()
        if now > told + TELL_SECONDS:
            told = now
            if not here.is_wanted():
                raise Unwanted
            here.tell(asked["topic"], [asked["worker"], done / rows if rows else 0.0])

    return tell
