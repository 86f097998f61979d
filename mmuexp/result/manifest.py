"""What produced a result: version, commit, command line, specs, prices with sources, traces, host, time.

Written beside every output file as FILE.manifest.json (inside the file, for JSON), so that a number can be traced
back years later. No user or host names, no paths but those that the user typed.
"""

import os
import platform
import subprocess
import sys
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any

from mmuexp.errors import shell_line
from mmuexp.events import WALK_LEVELS
from mmuexp.price.primitives import LEVELS
from mmuexp.result.declared import declared_of, facts_of
from mmuexp.runtime.threads import Threads

MODEL_VERSION = 2  # raised whenever a count changes for the same trace and spec
SUFFIX = ".manifest.json"


def utc_now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")


def made_by(kind: str, command: Sequence[str], started: str, complete: str) -> dict[str, Any]:
    """How every manifest begins. `complete` is "yes" or says what is missing; `started` is from `utc_now`."""
    from mmuexp.version import version

    return {
        "mmuexp": version(),
        "model_version": MODEL_VERSION,
        **commit(),
        "kind": kind,
        "command": command_line(command),
        "complete": complete,
        "started": started,
        "finished": utc_now(),
    }


def of_run(kind: str, command: Sequence[str] | None, started: str, complete: str, **about: Any) -> dict[str, Any]:
    """The whole manifest of a run: how it was made, what it is `about`, and on what machine, with which versions.

    `command` None is the command line of this process.
    """
    made = made_by(kind, sys.argv if command is None else command, started, complete)
    return {**made, **about, "machine": machine(), "versions": versions()}


def command_line(argv: Sequence[str]) -> str:
    """As the user may type it again: the program by its name, without the machine's path to it."""
    if not argv:
        return ""
    program = Path(argv[0])
    if program.name == "__main__.py":  # python -m mmuexp
        program = program.parent
    return shell_line([program.name, *argv[1:]])


def expanded(strategy: Any) -> dict[str, Any]:
    """A spec with every parameter, defaults too."""
    values = {name: getattr(strategy, name) for name in strategy.params()}
    return {"spec": str(strategy), "name": strategy.name, "parameters": values}


@contextmanager
def digested(trace: Any, jobs: int | None) -> Iterator[Callable[[], str]]:
    """A function that tells the trace's SHA-256, computed beside the work of the block unless there is one job."""
    if jobs == 1:
        yield cache(trace.sha256)
        return
    with Threads(1, thread_name_prefix="digest") as aside:
        yield aside.submit(trace.sha256).result


def trace_facts(trace: Any, label: str, sha256: str | None = None) -> dict[str, Any]:
    """What a manifest tells of an open trace; `sha256`, if `digested` computed it already. `thread` stands in it where
    the rows are those of one thread alone."""
    thread = getattr(trace, "thread", None)
    return ({} if thread is None else {"thread": thread}) | {
        "trace": label,
        "sha256": sha256 or trace.sha256(),
        "size_bytes": trace.size_bytes,
        "mode": trace.mode,
        "rows": trace.rows,
        "complete": trace.complete,
        "window": list(trace.window) if trace.window else None,
        "metadata": dict(trace.metadata),
        **facts_of(declared_of(trace)),
    }


def levels_of(manifest: Mapping[str, Any]) -> defaultdict[str, int]:
    """Tell by trace how many levels the guest's page table has: a manifest says it where these are not those of a guest
    of 32 bits."""
    return defaultdict(
        lambda: LEVELS, {one["trace"]: one.get(WALK_LEVELS, LEVELS) for one in manifest.get("traces", [])}
    )


@cache
def commit() -> dict[str, Any]:
    """The git commit that the package runs from, if it runs from a checkout of its own; `modified` if edited since.

    Asked once: what runs is what was imported.
    """
    package = Path(__file__).resolve().parents[1]
    if not (package.parent / ".git").exists():
        return {"commit": None, "modified": None}
    try:
        head = _git(package, "rev-parse", "HEAD")
        return {"commit": head, "modified": bool(_git(package, "status", "--porcelain", "--untracked-files=no"))}
    except (OSError, subprocess.SubprocessError):
        return {"commit": None, "modified": None}


def _git(folder: Path, *args: str) -> str:
    environment = {**os.environ, "GIT_OPTIONAL_LOCKS": "0"}  # asking must not write
    done = subprocess.run(
        ["git", "-C", str(folder), *args], capture_output=True, text=True, timeout=10, check=True, env=environment
    )
    return done.stdout.strip()


@cache
def machine() -> dict[str, Any]:
    return {
        "processor": _processor(),
        "cores": os.cpu_count(),
        "architecture": platform.machine(),
        "system": f"{platform.system()} {platform.release()}",
    }


def _processor() -> str | None:
    try:
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    except OSError:
        pass
    return platform.processor() or None


@cache
def versions() -> dict[str, str]:
    from importlib.metadata import PackageNotFoundError, version

    found = {"python": platform.python_version()}
    for package in ("numba", "numpy", "pandas", "pyarrow"):
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    return found
