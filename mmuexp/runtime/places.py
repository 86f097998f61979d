"""What mmuexp keeps outside its package: machine code in the user's cache folder, host profiles in the settings folder.

Everything in the cache can be made again, so `clear` may take it all; it knows by their names the files that mmuexp
made, and leaves any other. The settings folder holds what the user measured, and nothing here removes that.
"""

import os
import re
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from mmuexp.errors import MmuexpError, reason_of

HEX = "[0-9a-f]{16}"
PART = r"\.\d+(-\d+)?\.part"  # what partfile.py calls a temporary file, as a killed process leaves it
# kind -> what its files are
KINDS = {
    "loops": "machine code that replays rows, some files for each scheme",
    "kernels": "machine code that surveys, checks and converts traces",
    "engines": "the schemes in C, for `verify`, `calibrate` and `compare --live`",
    "vega": "the script that draws the charts of a page",
    "imports": "recordings of other tools, imported; see `mmuexp store`",
    "fetched": "recordings that a URL named",
    "sent": "schemes that another machine sent to this one, a worker of a cluster",
    "store": "counts, so that the same rows are not replayed twice; see `mmuexp store`",
    "passed": "which schemes of others have passed `strategy check`",
    "plugins": "the recorder's QEMU plugins",
}
# kind -> how the paths of its files look, below the cache folder
PATHS = {
    "loops": rf"loops/{HEX}/(\w+\.py({PART})?|\.\w+\.py\.\d+|__pycache__/.+)",
    "kernels": r"kernels/[^/]+_[0-9a-f]{40}/[^/]+\.nb[ic](\.tmp\..+)?",
    "engines": rf"engines/(.+-{HEX}(\.o)?|build-[^/]+/.+)",
    "vega": r"vega/[^/]+",
    "imports": rf"imports/[0-9a-f]{{64}}\.(arrow({PART})?|used)",
    "fetched": rf"fetched/[0-9a-f]{{64}}\.(arrow({PART})?|used)",
    "sent": r"sent/[0-9a-f]{64}/.+",
    "store": r"store/counts-\d+\.sqlite(-wal|-shm|-journal|\.broken-\d+)?",
    "passed": r"passed/[0-9a-f]{64}",
    "plugins": rf"[^/]+-{HEX}\.so|build-[^/]+/.+",
}
OTHER = "other"


def cache_folder() -> Path:
    """Where what is compiled for this user is kept."""
    return _base("XDG_CACHE_HOME", ".cache") / "mmuexp"


def settings_folder() -> Path:
    """Where the user's own host profiles are kept."""
    return _base("XDG_CONFIG_HOME", ".config") / "mmuexp"


def _base(variable: str, default: str) -> Path:
    """The folder that a variable names; a relative path is not a name of one (XDG Base Directory Specification)."""
    named = Path(os.environ.get(variable, ""))
    return named if named.is_absolute() else Path.home() / default


@dataclass(frozen=True)
class Kept:
    """The files of one kind: how many, and their size in bytes."""

    kind: str
    what: str
    files: int
    size_bytes: int


def cached() -> list[Kept]:
    """What the cache folder holds, by kind; `other` is what mmuexp did not make."""
    sizes: dict[str, list[int]] = {kind: [] for kind in (*KINDS, OTHER)}
    for path, kind in _files():
        with suppress(FileNotFoundError):  # another mmuexp is at work
            sizes[kind].append(path.lstat().st_size)
    whats = {**KINDS, OTHER: "not made by mmuexp"}
    return [Kept(kind, whats[kind], len(found), sum(found)) for kind, found in sizes.items()]


def settings() -> list[Path]:
    """Every file in the settings folder."""
    return sorted(path for path in settings_folder().rglob("*") if path.is_file())


def clear() -> Kept:
    """Remove the files that mmuexp made from the cache folder, and the folders that this leaves empty.

    Returns what was removed. Raises MmuexpError for a file that cannot be removed.
    """
    files = size_bytes = 0
    for path, kind in list(_files()):
        if kind == OTHER:
            continue
        try:
            size = path.lstat().st_size
            path.unlink()
        except FileNotFoundError:
            continue
        except OSError as error:
            todo = "change the rights of its folder, or remove it yourself"
            raise MmuexpError(f"cannot be removed: {reason_of(error)}", where=str(path), todo=todo) from None
        files, size_bytes = files + 1, size_bytes + size
    root = cache_folder()
    for folder, _, _ in os.walk(root, topdown=False):
        if Path(folder) == root or _is_ours(Path(folder)):
            with suppress(OSError):  # not empty
                os.rmdir(folder)
    return Kept("all", "removed", files, size_bytes)


def _files() -> Iterator[tuple[Path, str]]:
    """Every file below the cache folder, and its kind. Links are not followed, and are nothing of ours."""
    root = cache_folder()
    for folder, folders, names in os.walk(root):
        links = [name for name in folders if (Path(folder) / name).is_symlink()]
        for name in sorted([*names, *links]):
            path = Path(folder) / name
            yield path, OTHER if path.is_symlink() else _kind(path.relative_to(root).as_posix())


def _kind(path: str) -> str:
    return next((kind for kind, pattern in PATHS.items() if re.fullmatch(pattern, path, re.DOTALL)), OTHER)


def _is_ours(folder: Path) -> bool:
    """Is this a folder that mmuexp makes in its cache?"""
    first = folder.relative_to(cache_folder()).parts[0]
    return first in KINDS or first.startswith("build-")
