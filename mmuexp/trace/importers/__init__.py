"""What `mmuexp trace import` reads: NAME.py imports format NAME, NAME_scan.py holds its kernels.

The files of this folder are the one list of formats: the command, its help and its errors take names and meanings from
here. A new one is a file whose docstring begins with what it imports, and which defines `import_trace(path, output,
*, rebase) -> Imported`.
"""

import ast
import pkgutil
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import NamedTuple

from mmuexp.errors import UsageError

DEFAULT = "lackey"


class Imported(NamedTuple):
    """What an import did: counts, and (region's first address, where it went) of each 256 MiB region moved."""

    rows: int
    lines: int
    split_records: int
    cut_records: int
    moved: list[tuple[int, int]]


def formats() -> dict[str, str]:
    """Each format's name, and what it is. No importer is imported for that."""
    names = sorted(name for _, name, _ in pkgutil.iter_modules(__path__) if not name.endswith("_scan"))
    return {name: _meaning(Path(__path__[0]) / f"{name}.py") for name in names}


def _meaning(file: Path) -> str:
    sentence = (ast.get_docstring(ast.parse(file.read_bytes())) or "").partition("\n")[0]
    return sentence.removeprefix("Import ").partition(": ")[0].rstrip(".")


def importer(name: str) -> Callable[..., Imported]:
    """The function that imports this format. Raises UsageError with every name if there is none."""
    known = formats()
    if name not in known:
        raise UsageError(f"there is no format {name!r} to import", todo=f"there are {', '.join(known)}")
    return import_module(f"{__name__}.{name}").import_trace
