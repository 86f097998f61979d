"""What `mmuexp trace import` reads: NAME.py imports format NAME, NAME_scan.py holds its kernels.

The files of this folder whose docstring begins with "Import" are the one list of our formats: the command, its help and
its errors take names and meanings from here. A format's file defines

    read(source, rows_of, options) -> Told     gives what `source` holds to `Rows` that `rows_of(unit)` makes
    looks_like(sample) -> bool                 by content; left out where content does not tell
    OPTIONS = ("thread", ...)                  the options, besides --rebase, that it takes; left out if none

Other packages register theirs, a module or an object that has these, by the entry point group `mmuexp.importers`. The
files beside: `work` runs an import, `source` and `layers` open files, `rows` and `rows_scan` make rows, `text` and
`text_scan` read lines, `refused` and `named` name what is not a trace.
"""

import ast
import pkgutil
from collections.abc import Iterator
from functools import cache
from importlib import import_module
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from typing import Any, NamedTuple

from mmuexp.errors import MmuexpError, UsageError

GROUP = "mmuexp.importers"


class Options(NamedTuple):
    """What a user may say about a file; None or False where nothing was said."""

    thread: int | None = None  # the rows of this thread alone
    interleave: bool = False  # of all threads, in the order in which they were recorded
    size: int | None = None  # bytes of each access, where the format does not tell
    skip_foreign: bool = False  # leave out lines that are not the format's
    columns: str | None = None  # which column of an address list is what
    decimal: bool = False  # its addresses are decimal


class Note(NamedTuple):
    """What was left out, or is to be known: its key in the metadata, how often, and words behind the number.

    It is always in the metadata, and told on stderr if it is not 0.
    """

    key: str
    number: int
    words: str


class Told(NamedTuple):
    """What an importer says of what it read."""

    recorder: str  # metadata `mmuexp.recorder`: the tool
    units: int  # lines or records read
    metadata: dict[str, str]  # guest, sizes, code, command, ...: what is known
    complete: str | None = None  # "yes" only where an end mark was seen; why not; None where the format has none
    notes: tuple[Note, ...] = ()
    remarks: tuple[str, ...] = ()  # sentences for stderr


class Imported(NamedTuple):
    """What an import did."""

    format: str
    rows: int
    units: int
    unit: str  # "line" or "record"
    moved: list[tuple[int, int]]  # (region's first address, where it went)
    notes: tuple[Note, ...]
    remarks: tuple[str, ...]


def formats() -> dict[str, str]:
    """Each format's name, and what it is. No importer is imported for that."""
    found = {}
    for _, module, _ in pkgutil.iter_modules(__path__):
        if meaning := _meaning(Path(__path__[0]) / f"{module}.py"):
            found[module.replace("_", "-")] = meaning
    return dict(sorted(found.items())) | {
        name: f"of {point.value}" for name, point in sorted(_registered().items()) if name not in found
    }


@cache
def _meaning(file: Path) -> str:
    """What an importer's file reads; "" for any other file."""
    sentence = (ast.get_docstring(ast.parse(file.read_bytes())) or "").partition("\n")[0]
    return sentence.removeprefix("Import ").partition(": ")[0].rstrip(".") if sentence.startswith("Import ") else ""


def _registered() -> dict[str, EntryPoint]:
    return {point.name: point for point in entry_points(group=GROUP)}


def importer(name: str) -> Any:
    """The importer of this format. Raises UsageError with every name if there is none, MmuexpError if it is broken."""
    known = formats()
    if name not in known:
        raise UsageError(f"there is no format {name!r} to import", todo=f"there are {', '.join(known)}")
    return _loaded(name)


def _loaded(name: str) -> Any:
    """Import what imports a format that there is. Raises MmuexpError if it is broken."""
    module = name.replace("-", "_")
    if (Path(__path__[0]) / f"{module}.py").is_file():
        return import_module(f"{__name__}.{module}")
    point = _registered()[name]
    where = f"importer {name} (entry point {point.value})"
    try:
        found = point.load()
    except (Exception, SystemExit) as error:
        what = f"cannot be imported: {type(error).__name__}: {error}"
        raise MmuexpError(what, where=where, todo="mend or uninstall its package") from error
    if not callable(getattr(found, "read", None)):
        raise MmuexpError("has no function read", where=where, todo="see mmuexp/trace/importers/__init__.py")
    return found


def importers() -> Iterator[tuple[str, Any]]:
    """Each format that can be told by content, ours first; what is broken is left out."""
    for name in formats():
        try:
            found = _loaded(name)
        except MmuexpError:
            continue
        if hasattr(found, "looks_like"):
            yield name, found
