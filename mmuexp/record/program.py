"""Refuses what cannot be recorded before work starts, each with its own line: all but a 32-bit x86 ELF program whose
loader can be found."""

import os
import shutil
import struct
from pathlib import Path

from mmuexp.errors import MmuexpError
from mmuexp.record.libraries import resolve

ELF_MAGIC = b"\x7fELF"
ELFCLASS32, ELFDATA2LSB = 1, 1
EM_386 = 3
ET_EXEC, ET_DYN = 2, 3
PT_INTERP = 3
DEFAULT_ROOT = "/etc/qemu-binfmt/i386"  # where Debian's qemu-i386 looks when it is given no -L
LOADER_PACKAGE = "libc6:i386"


def find(program: str, root: str | None) -> str:
    """Find the path of `program` as QEMU takes it, after checking that QEMU can run it.

    A name without a slash is looked up in PATH, as a shell does. `root` is QEMU's -L folder.
    Raises `MmuexpError`: not found, not executable, a script, another machine, no loader.
    """
    path = program if "/" in program else shutil.which(program)
    if path and path.startswith("-"):  # below a folder of that name: not an option of QEMU
        path = f"./{path}"
    if path and root:
        path = resolve(root, path)
    if path is None:
        raise MmuexpError("no such program in PATH", where=program, todo="give its path, for example ./NAME")
    if not os.path.isfile(path):
        raise MmuexpError("no such program" if not os.path.exists(path) else "not a file", where=path)
    if not os.access(path, os.X_OK):
        raise MmuexpError("not executable", where=path, todo=f"chmod +x {path}")
    try:
        with open(path, "rb") as file:
            head = file.read(64)
            loader = _interpreter(file, head, path, root)
    except OSError as error:
        raise MmuexpError(str(error.strerror), where=path) from None
    if loader is not None:
        _find_loader(loader, root, path)
    return path


def loader_of(path: str) -> str | None:
    """Read the loader that a program names, as the guest sees it; None for a static one."""
    with open(path, "rb") as file:
        return _interpreter(file, file.read(64), path)


def _interpreter(file, head: bytes, path: str, root: str | None = None) -> str | None:
    """Read PT_INTERP of an i386 ELF file; None for a static program."""
    if head[:2] == b"#!":
        line = head.split(b"\n")[0][2:].decode(errors="replace").strip()
        if root and os.path.lexists(below := os.path.join(root, line.split(" ")[0].lstrip("/"))):
            line = " ".join([below, *line.split(" ")[1:]])
        raise MmuexpError("a script, not a program", where=path, todo=f"record its interpreter: {line} {path}")
    if head[:4] != ELF_MAGIC or len(head) < 52:
        raise MmuexpError("not an ELF program", where=path, todo="mmuexp record runs 32-bit x86 Linux programs")
    if head[4] != ELFCLASS32:
        raise MmuexpError(
            "a 64-bit program", where=path, todo="build it with gcc -m32, or take Debian's i386 package of it"
        )
    kind, machine = struct.unpack_from("<HH", head, 16)
    if head[5] != ELFDATA2LSB or machine != EM_386:
        raise MmuexpError(f"a 32-bit program for another machine (e_machine {machine})", where=path)
    if kind not in (ET_EXEC, ET_DYN):
        raise MmuexpError("an ELF file, but not a program", where=path)
    (offset,) = struct.unpack_from("<I", head, 28)
    size, count = struct.unpack_from("<HH", head, 42)
    for i in range(count):
        file.seek(offset + i * size)
        header = file.read(32)
        if len(header) < 32:
            raise MmuexpError("a truncated ELF file", where=path)
        kind, at, _, _, length = struct.unpack_from("<5I", header)
        if kind == PT_INTERP:
            file.seek(at)
            return file.read(min(length, 4096)).split(b"\0")[0].decode(errors="replace")
    return None


def _find_loader(loader: str, root: str | None, path: str) -> None:
    """Refuse a loader that QEMU finds neither below -L nor as it stands."""
    root = root or DEFAULT_ROOT
    if not (Path(root) / loader.lstrip("/")).exists() and not os.path.exists(loader):
        raise MmuexpError(
            f"its loader {loader} is neither below {root} nor on this machine",
            where=path,
            todo=f"unpack {LOADER_PACKAGE} into a folder (traces/recipes/fetch does) and say -L FOLDER",
        )
