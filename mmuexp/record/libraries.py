"""Finds a program's shared libraries when -L names the folder that they are in.

QEMU looks below that folder for each file that the guest opens, and then for the file itself. The guest's loader,
however, goes by the host's /etc/ld.so.cache, where the folder has none, and so finds the host's libraries. So it is
told the folder's own library folders, which it searches before that: first those that the program itself names
(DT_RUNPATH), which would come after them.

A link to /etc/alternatives leads out of the folder when the host follows it; `resolve` follows it as a guest would.
"""

import os
from collections.abc import Iterable, Iterator
from pathlib import Path

from mmuexp.errors import MmuexpError
from mmuexp.record.elf import DAMAGED, Elf, Guest, mapped

PLACES = ("usr/local/lib", "lib", "usr/lib")
NOT_IN_A_PATH = ",:;"  # QEMU's and the loader's separators
MOST_LINKS = 40  # as Linux
DT_STRTAB, DT_RUNPATH = 5, 29


def guest_environment(root: str, program: str, guest: Guest) -> list[str]:
    """Make QEMU's options that make the guest's loader search the library folders of `root` first, for `program`.

    Raises MmuexpError for a name that the loader would take for several.
    """
    base = os.path.abspath(root)
    if found := [mark for mark in NOT_IN_A_PATH if mark in base]:
        what = f"its name holds {found[0]!r}, which separates folders for the guest's loader"
        raise MmuexpError(what, where=base, todo="rename it, or make a link to it")
    own = library_folders(Path(base), guest)
    folders = [*runpath_folders(base, program), *map(str, [*linked_folders(base, own), *own])]
    folders += [folder for folder in (os.environ.get("LD_LIBRARY_PATH", "").split(":")) if folder]
    folders = [folder for folder in folders if not set(NOT_IN_A_PATH) & set(folder)]
    return ["-E", f"LD_LIBRARY_PATH={':'.join(dict.fromkeys(folders))}"] if folders else []


def library_folders(root: Path, guest: Guest) -> list[Path]:
    """List the folders that a guest's loader searches by itself, and those that the folder's ld.so.conf names."""
    found = list(_configured(root, root / "etc/ld.so.conf"))
    for place in PLACES:
        found += sorted((root / place).glob(guest.library_triplets))
    found += [root / place for place in (*guest.library_folders, *PLACES)]
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
    for entry in _runpath(program):
        beside = entry.replace("${ORIGIN}", origin).replace("$ORIGIN", origin)
        folders.append(os.path.normpath(beside if beside != entry else os.path.join(root, entry.lstrip("/"))))
    return [folder for folder in folders if os.path.isdir(folder)]


def _runpath(program: str) -> list[str]:
    """Read the entries of DT_RUNPATH of a program; none if its tables are damaged."""
    try:
        with mapped(program) as data:
            elf = Elf(data)
            tags = elf.dynamic()
            entries = elf.text_at(tags[DT_STRTAB] + tags[DT_RUNPATH]).split(b":")
    except (KeyError, *DAMAGED):
        return []
    return [os.fsdecode(entry) for entry in entries if entry]


def outside(root: str, loaded: Iterable[str]) -> list[str]:
    """List those of the `loaded` files that do not lie below `root`."""
    base = os.path.realpath(root)
    return sorted({path for path in loaded if os.path.commonpath([base, os.path.realpath(path)]) != base})
