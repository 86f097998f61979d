"""Where a program's shared libraries come from, when -L names the folder that they are in.

QEMU looks below that folder for each file that the guest opens, and then for the file itself. The guest's loader,
however, goes by the host's /etc/ld.so.cache, where the folder has none, and so finds the host's libraries. So it is
told the folder's own library folders, which it searches before that.
"""

import os
from collections.abc import Iterable, Iterator
from pathlib import Path

from mmuexp.errors import MmuexpError

PLACES = ("usr/local/lib", "lib", "usr/lib")
NOT_IN_A_PATH = ",:;"  # QEMU's and the loader's separators


def guest_environment(root: str) -> list[str]:
    """QEMU's options that make the guest's loader search the library folders of `root` first.

    Raises MmuexpError for a name that the loader would take for several.
    """
    base = os.path.abspath(root)
    if found := [mark for mark in NOT_IN_A_PATH if mark in base]:
        what = f"its name holds {found[0]!r}, which separates folders for the guest's loader"
        raise MmuexpError(what, where=base, todo="rename it, or make a link to it")
    folders = [str(folder) for folder in library_folders(Path(base))]
    folders += [folder for folder in (os.environ.get("LD_LIBRARY_PATH", "").split(":")) if folder]
    folders = [folder for folder in folders if not set(NOT_IN_A_PATH) & set(folder)]
    return ["-E", f"LD_LIBRARY_PATH={':'.join(dict.fromkeys(folders))}"] if folders else []


def library_folders(root: Path) -> list[Path]:
    """Those that a loader of 32-bit x86 searches by itself, and those that the folder's ld.so.conf names."""
    found = list(_configured(root, root / "etc/ld.so.conf"))
    for place in PLACES:
        found += sorted((root / place).glob("i[3-6]86-*"))
    found += [root / place for place in ("lib32", "usr/lib32", *PLACES)]
    return [folder for folder in dict.fromkeys(found) if folder.is_dir()]


def _configured(root: Path, file: Path, depth: int = 0) -> Iterator[Path]:
    """The folders that a file as ld.so.conf names, with those that it includes."""
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


def outside(root: str, loaded: Iterable[str]) -> list[str]:
    """Those of the `loaded` files that do not lie below `root`."""
    base = os.path.realpath(root)
    return sorted({path for path in loaded if os.path.commonpath([base, os.path.realpath(path)]) != base})
