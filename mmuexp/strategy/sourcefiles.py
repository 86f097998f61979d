"""Names the source files of a scheme, and tells whether they still hold what this process loaded."""

import ast
import os
import sys
import time
from collections.abc import Container, Iterator
from contextlib import suppress
from functools import lru_cache
from pathlib import Path
from types import ModuleType

KNOWN = {*sys.stdlib_module_names, "numba", "numpy", "llvmlite", "mmuexp"}  # packages whose files are not the scheme's
State = tuple[int, ...]  # of a file: what tells that it is another one, or was changed; the last is when, in ns

_at_load: dict[Path, State | None] = {}  # None: it changed too late for anyone to know what was loaded


def _process_started_ns() -> int:
    """When this process began: a file that has not changed since then holds what was loaded from it."""
    fields = Path("/proc/self/stat").read_bytes().rpartition(b")")[2].split()
    started_ns = int(fields[19]) * 1_000_000_000 // os.sysconf("SC_CLK_TCK")  # after the machine
    return time.time_ns() - time.clock_gettime_ns(time.CLOCK_BOOTTIME) + started_ns


STARTED_NS = 0  # where the system does not tell, nothing is known to be unchanged
with suppress(OSError, ValueError, IndexError):
    STARTED_NS = _process_started_ns()


def files_of(module: ModuleType) -> list[Path]:
    """The module's file, and those of all that it imports, but for Python's, NumPy's, numba's and our own."""
    return sorted(modules_of(module))


def modules_of(module: ModuleType) -> dict[Path, str]:
    """The files of `files_of`, with the names of the modules."""
    found: dict[Path, str] = {}
    left = [module]
    while left:
        one = left.pop()
        path = Path(getattr(one, "__file__", None) or "")
        if path in found or not path.is_file():
            continue
        found[path] = one.__name__
        if path.suffix == ".py":
            names = _imports(path, one.__package__ or "", _state(path))
            left += (sys.modules[name] for name in names if name in sys.modules)
    return found


@lru_cache(maxsize=1024)
def _imports(path: Path, package_name: str, _state: State) -> tuple[str, ...]:
    """The modules that a file imports, as long as it is in this state: parsing takes longer than a short replay."""
    return tuple(_imported(path, package_name))


def _imported(path: Path, package_name: str) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_bytes())):
        names: list[str] = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            package = package_name.split(".")
            above = package[: len(package) - node.level + 1] if node.level else []
            base = ".".join([*above, *([node.module] if node.module else [])])
            names = [base, *(f"{base}.{alias.name}" for alias in node.names)]
        for name in names:
            parts = name.split(".")
            if parts[0] not in KNOWN:  # a package is imported before what is in it
                yield from (".".join(parts[:upto]) for upto in range(1, len(parts) + 1))


def remember_loaded(module: ModuleType, began_ns: int, before: Container[str]) -> None:
    """Note how the files of a module are that was loaded since `began_ns`, when `before` were the modules there."""
    if Path(getattr(module, "__file__", None) or "") in _at_load:
        return
    with suppress(OSError, SyntaxError, ValueError):
        for path, name in modules_of(module).items():
            _note(path, STARTED_NS if name in before else began_ns)


def unchanged_files(module: ModuleType) -> list[Path] | None:
    """List the files of `files_of` if each is as it was when it was loaded; None if one is not, or nobody can tell."""
    try:
        files = files_of(module)
        told = all(_note(path, STARTED_NS) == _state(path) for path in files)
    except (OSError, SyntaxError, ValueError):
        return None
    return files if told and files else None


def _note(path: Path, limit_ns: int) -> State | None:
    """The state of a file when it was loaded: as it is now, if it has not changed since `limit_ns`."""
    if path not in _at_load:
        state = _state(path)
        _at_load[path] = state if state[-1] < limit_ns else None
    return _at_load[path]


def _state(path: Path) -> State:
    found = path.stat()
    return found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns
