"""Finds a program's shared libraries when -L names the folder that they are in.

QEMU looks below that folder for each file that the guest opens, and then for the file itself. The guest's loader,
however, goes by the host's /etc/ld.so.cache, where the folder has none, and so finds the host's libraries. So it is
told the folder's own library folders, which it searches before that: first those that the program itself names
(DT_RUNPATH), which would come after them.

A link to /etc/alternatives leads out of the folder when the host follows it; `resolve` follows it as a guest would.
"""

import os
import struct
from collections.abc import Iterable, Iterator
from pathlib import Path

from mmuexp.errors import MmuexpError

PLACES = ("usr/local/lib", "lib", "usr/lib")
NOT_IN_A_PATH = ",:;"  # QEMU's and the loader's separators
MOST_LINKS = 40  # as Linux
PT_LOAD, PT_DYNAMIC = 1, 2
DT_STRTAB, DT_RUNPATH = 5, 29


def guest_environment(root: str, program: str) -> list[str]:
    """Make QEMU's options that make the guest's loader search the library folders of `root` first, for `program`.

    Raises MmuexpError for a name that the loader would take for several.
    """
    base = os.path.abspath(root)
    if found := [mark for mark in NOT_IN_A_PATH if mark in base]:
        what = f"its name holds {found[0]!r}, which separates folders for the guest's loader"
        raise MmuexpError(what, where=base, todo="rename it, or make a link to it")
    own = library_folders(Path(base))
    folders = [*runpath_folders(base, program), *map(str, [*linked_folders(base, own), *own])]
    folders += [folder for folder in (os.environ.get("LD_LIBRARY_PATH", "").split(":")) if folder]
    folders = [folder for folder in folders if not set(NOT_IN_A_PATH) & set(folder)]
    return ["-E", f"LD_LIBRARY_PATH={':'.join(dict.fromkeys(folders))}"] if folders else []


def library_folders(root: Path) -> list[Path]:
    """List the folders that a loader of 32-bit x86 searches by itself, and those that the folder's ld.so.conf names."""
    found = list(_configured(root, root / "etc/ld.so.conf"))
    for place in PLACES:
        found += sorted((root / place).glob("i[3-6]86-*"))
    found += [root / place for place in ("lib32", "usr/lib32", *PLACES)]
    return [folder for folder in dict.fromkeys(found) if folder.is_dir()]


def _configured(root: Path, file: Path, depth: int = 0) -> Iterator[Path]:
    """Yield the folders that a file as ld.so.conf names, with those that it includes."""
    try:
        lines = file.read_text(errors="surrogateescape").splitlines()
    except OSError:
        return
    for line in lines:
        words = line.partition("#")[0].split()
        if words[:1] == ["include"] and depth < 4:
            for pattern in words[1:]:
                base = root if pattern.startswith("/") else file.parent
                for other in sorted(base.glob(pattern.lstrip("/"))):
                    yield from _configured(root, other, depth + 1)
        elif words:
            yield root / words[0].lstrip("/")


def linked_folders(root: str, folders: Iterable[Path]) -> list[Path]:
    """List where the libraries lie whose links in `folders` begin at the root: the host finds another file there."""
    found = []
    for folder in folders:
        for link in sorted(folder.glob("*.so*")):
            if link.is_symlink() and (target := Path(resolve(root, str(link)))) != link:
                found.append(target.parent)
    return found


def resolve(root: str, path: str) -> str:
    """Find the file that `path`, below `root`, is for a program whose root folder that is; any other path stays.

    It is the given path, too, where no link of it begins at the root.
    """
    base = os.path.realpath(root)
    rest = os.path.relpath(os.path.abspath(path), os.path.abspath(root)).split("/")
    if rest[0] == "..":
        return path
    now, links = base, 0
    while rest:
        part, *rest = rest
        step = os.path.normpath(os.path.join(now, part))
        if not os.path.islink(step) or links == MOST_LINKS:
            now = step if os.path.commonpath([base, step]) == base else base  # no .. leads out
            continue
        links += 1
        target = os.readlink(step)
        rest = target.strip("/").split("/") + rest
        now = base if target.startswith("/") else now
    return path if now == os.path.realpath(path) else now


def runpath_folders(root: str, program: str) -> list[str]:
    """List the folders that a program's DT_RUNPATH names: beside it ($ORIGIN), or else below `root`."""
    origin = os.path.dirname(os.path.realpath(program))
    folders = []
    for entry in _runpath(Path(program).read_bytes()):
        beside = entry.replace("${ORIGIN}", origin).replace("$ORIGIN", origin)
        folders.append(os.path.normpath(beside if beside != entry else os.path.join(root, entry.lstrip("/"))))
    return [folder for folder in folders if os.path.isdir(folder)]


def _runpath(data: bytes) -> list[str]:
    """Read the entries of DT_RUNPATH of a 32-bit program; none if its tables are damaged."""
    try:
        (table,) = struct.unpack_from("<I", data, 28)
        size, count = struct.unpack_from("<HH", data, 42)
        segments = [struct.unpack_from("<8I", data, table + at * size) for at in range(count)]
        (dynamic,) = (
            data[offset : offset + length] for kind, offset, _, _, length, *_ in segments if kind == PT_DYNAMIC
        )
        tags = dict(struct.iter_unpack("<II", dynamic[: len(dynamic) // 8 * 8]))
        names = tags[DT_STRTAB]
        (offset,) = (
            at + names - begin
            for kind, at, begin, _, length, *_ in segments
            if kind == PT_LOAD and begin <= names < begin + length
        )
        begin = offset + tags[DT_RUNPATH]
        return [entry for entry in os.fsdecode(data[begin : data.index(b"\0", begin)]).split(":") if entry]
    except (struct.error, ValueError, KeyError):
        return []


def outside(root: str, loaded: Iterable[str]) -> list[str]:
    """List those of the `loaded` files that do not lie below `root`."""
    base = os.path.realpath(root)
    return sorted({path for path in loaded if os.path.commonpath([base, os.path.realpath(path)]) != base})
