"""Sends schemes to workers: an installed one by its name and a digest of its sources, one from a file with its source.

A worker that has other sources under that name does not count; what was sent it writes to a folder named by a digest.
"""

import hashlib
import os
import sys
import sysconfig
from base64 import b64decode, b64encode
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import Any

from mmuexp.errors import MmuexpError
from mmuexp.runtime import partfile
from mmuexp.runtime.places import cache_folder
from mmuexp.store import identity
from mmuexp.strategy.bounds import is_own
from mmuexp.strategy.registry import installed_class, parse_settings, strategies_of_file, third_parties
from mmuexp.strategy.sourcefiles import modules_of

INSTALLED = tuple(Path(sysconfig.get_path(name)) for name in ("purelib", "platlib"))
MOST_BYTES = 8 << 20  # of sources that travel with one scheme

_sent: dict[str, Any] = {}  # by digest: classes that came with their source, loaded once


class NotTheSame(MmuexpError):
    """A worker has other sources than those that it was asked to count with."""


class Packer:
    """Says what a worker needs to make strategies; each class is looked at once."""

    def __init__(self) -> None:
        self._classes: dict[type, dict[str, Any]] = {}

    def packed(self, strategies: Sequence[Any]) -> dict[str, Any]:
        """Specs, and the classes that they are of. Raises MmuexpError for one that cannot travel."""
        numbers: dict[type, int] = {}
        for cls in map(type, strategies):
            numbers.setdefault(cls, len(numbers))
            if cls not in self._classes:
                self._classes[cls] = _packed_class(cls)
        specs = [[str(strategy), numbers[type(strategy)]] for strategy in strategies]
        return {"classes": [self._classes[cls] for cls in numbers], "specs": specs}


def _packed_class(cls: Any) -> dict[str, Any]:
    digest = identity.scheme(cls)
    if digest is None:
        what = "cannot be sent to a cluster: it stands in no file, or its file changed since it was loaded"
        raise MmuexpError(what, where=f"strategy {cls.name}", todo="write it to a file and name that, or run it again")
    about: dict[str, Any] = {"name": cls.name, "class": cls.__qualname__, "digest": digest}
    if is_own(cls) or cls.name in third_parties():
        return about
    return about | {"files": _packed_files(cls)}


def _packed_files(cls: Any) -> list[list[str]]:
    """(place, content) of the scheme's file, then of the modules beside it that it imports.

    A place is NUMBER/FOLDER/FILE: the folder whose files are found by import, with the name that it has here.
    """
    module = sys.modules[cls.__module__]
    main = Path(module.__file__ or "")
    places: dict[Path, str] = {main: main.stem}
    for path, name in modules_of(module).items():
        if path != main and not any(path.is_relative_to(folder) for folder in INSTALLED):
            places[path] = name
    bases: dict[Path, int] = {}
    found, size = [], 0
    for path, name in places.items():
        depth = name.count(".") + (path.stem == "__init__")
        base = path.absolute().parents[depth]
        number = bases.setdefault(base, len(bases))
        content = path.read_bytes()
        size += len(content)
        if size > MOST_BYTES:
            what = f"imports more than {MOST_BYTES >> 20} MB of sources"
            raise MmuexpError(what, where=str(main), todo="install what it imports on the workers")
        inner = path.absolute().relative_to(base).as_posix()
        found.append([f"{number}/{base.name or 'root'}/{inner}", b64encode(content).decode()])
    return found


def unpacked(schemes: dict[str, Any]) -> list[Any]:
    """Make the strategies on a worker. Raises NotTheSame, MmuexpError."""
    classes = list(map(_class_of, schemes["classes"]))
    return [parse_settings(classes[number], spec.split(",")[1:], spec) for spec, number in schemes["specs"]]


def _class_of(one: dict[str, Any]) -> Any:
    name, digest = one["name"], one["digest"]
    if digest in _sent:
        return _sent[digest]
    try:
        cls: Any = _of_files(one) if "files" in one else installed_class(name)
    except MmuexpError as error:
        raise NotTheSame(f"cannot load the scheme {name}: {error}") from None
    if identity.scheme(cls) != digest:
        raise NotTheSame(f"has other sources of the scheme {name}, or of what it imports")
    if "files" in one:
        _sent[digest] = cls
    return cls


def _of_files(one: dict[str, Any]) -> Any:
    """The class in what was sent."""
    files = [(PurePosixPath(place), b64decode(content)) for place, content in one["files"]]
    if any(place.is_absolute() or ".." in place.parts for place, _ in files):
        raise MmuexpError("names a place outside of its folder", where=one["name"])
    folder = cache_folder() / "sent" / hashlib.sha256(repr(files).encode()).hexdigest()
    for place, content in files:
        target = folder / place
        if not target.is_file() or target.read_bytes() != content:
            target.parent.mkdir(parents=True, exist_ok=True)
            fd, part = partfile.create(str(target))
            with os.fdopen(fd, "wb") as file:
                file.write(content)
            os.replace(part, target)
    bases = list(dict.fromkeys(str(folder.joinpath(*place.parts[:2])) for place, _ in files))
    with _found_in(bases):
        classes = strategies_of_file(folder / files[0][0])
    return next((cls for cls in classes if cls.__qualname__ == one["class"]), classes[0])


@contextmanager
def _found_in(folders: list[str]) -> Iterator[None]:
    """Let imports find modules in these folders first; those of what was sent earlier are not taken for them."""
    sent = str(cache_folder() / "sent") + os.sep
    for name, module in list(sys.modules.items()):
        if str(getattr(module, "__file__", None) or "").startswith(sent) and not name.startswith("mmuexp_file_"):
            del sys.modules[name]
    sys.path[:0] = folders
    try:
        yield
    finally:
        sys.path[:] = [one for one in sys.path if one not in folders]
