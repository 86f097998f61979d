"""Finds the program that is to be recorded, and refuses what cannot be before work starts, each with its own line: all
but an x86 ELF program, or a script for one, whose loader can be found."""

import os
import shlex
import shutil
from pathlib import Path
from typing import NamedTuple

from mmuexp.errors import MmuexpError, file_name
from mmuexp.record.elf import DAMAGED, ELF_MAGIC, ET_DYN, ET_EXEC, Elf, Guest, mapped
from mmuexp.record.libraries import resolve

MOST_SCRIPTS = 4  # one the interpreter of the other, as Linux
LEAST_BYTES = 52  # an ELF header of 32 bits
LINE_BYTES = 256  # of a script's first line, as Linux


class Program(NamedTuple):
    """Tells what QEMU is to run. `arguments` go before those of the user, where the user named a script."""

    path: str
    name: str  # argv[0]
    arguments: tuple[str, ...]
    guest: Guest
    loader: str | None  # as the guest names it; None for a static program


def find(command: str, root: str | None) -> Program:
    """Find the program that a shell would run as `command`, after checking that QEMU can run it.

    A name without a slash is looked up in PATH, as a shell does. A script stands for its interpreter. `root` is QEMU's
    -L folder. Raises `MmuexpError`: not found, not executable, another machine, no loader.
    """
    path, name = _located(command, root), command
    arguments: tuple[str, ...] = ()
    for _ in range(MOST_SCRIPTS + 1):
        try:
            with mapped(path) as data:
                line = _interpreter_line(bytes(data[:LINE_BYTES]))
                if line is None:
                    guest, loader = _checked(data, path)
                    break
        except OSError as error:
            raise MmuexpError(str(error.strerror), where=path) from None
        interpreter, words = _interpreter(line, path, root)
        arguments = (*words, path, *arguments)
        try:
            name, path = interpreter, _located(interpreter, root)
        except MmuexpError as error:
            raise MmuexpError(f"its interpreter {interpreter} cannot be run: {error.what}", where=path) from None
    else:
        raise MmuexpError("a script whose interpreter is a script, and so on", where=command)
    if loader is not None:
        _find_loader(loader, root, path, guest)
    return Program(path, name, arguments, guest, loader)


def _located(program: str, root: str | None) -> str:
    """Find the path of a program as QEMU takes it."""
    path = program if "/" in program else shutil.which(program)
    if path and path.startswith("-"):  # below a folder of that name: not an option of QEMU
        path = f"./{path}"
    if path and root:
        path = resolve(root, path)
    if path is None:
        todo = "give its path, for example ./NAME"
        raise MmuexpError("no such program in PATH", where=file_name(program), todo=todo)
    if not os.path.isfile(path):
        raise MmuexpError("no such program" if not os.path.exists(path) else "not a file", where=path)
    if not os.access(path, os.X_OK):
        raise MmuexpError("not executable", where=path, todo=f"chmod +x {path}")
    return path


def _interpreter_line(head: bytes) -> str | None:
    """Read what a script says after #!; None for what is not a script."""
    return os.fsdecode(head.split(b"\n")[0][2:]).strip(" \t") if head[:2] == b"#!" else None


def _interpreter(line: str, path: str, root: str | None) -> tuple[str, list[str]]:
    """Find a script's interpreter and the words between it and the script: one at most, as Linux gives it.

    `env` would replace itself by the program that it is to find, which ends a recording: so it is found here.
    """
    if not line:
        raise MmuexpError("a script that names no interpreter", where=path, todo="name one, as in #!/bin/sh")
    program, *words = line.split(None, 1)
    if os.path.basename(program) == "env" and words:
        split = words[0].removeprefix("-S").removeprefix("--split-string=")
        try:
            named = shlex.split(split) if split != words[0] else words
        except ValueError:
            named = words
        if named and not named[0].startswith("-") and "=" not in named[0]:
            return named[0], named[1:]
    if root and os.path.lexists(below := os.path.join(root, program.lstrip("/"))):
        program = below
    return program, words


def _checked(data, path: str) -> tuple[Guest, str | None]:
    """Check that a file is an x86 program: what it runs on, and its loader."""
    if data[:4] != ELF_MAGIC or len(data) < LEAST_BYTES:
        raise MmuexpError("not an ELF program", where=path, todo="mmuexp record runs x86 Linux programs")
    try:
        elf = Elf(data)
        if not elf.is_x86:
            what = f"a {elf.guest.bits}-bit program for another machine (e_machine {elf.machine})"
            raise MmuexpError(what, where=path)
        if elf.kind not in (ET_EXEC, ET_DYN):
            raise MmuexpError("an ELF file, but not a program", where=path)
        return elf.guest, elf.loader()
    except (KeyError, *DAMAGED):
        raise MmuexpError("a truncated ELF file", where=path) from None


def _find_loader(loader: str, root: str | None, path: str, guest: Guest) -> None:
    """Refuse a loader that QEMU finds neither below -L nor as it stands."""
    root = root or guest.default_root
    if not (Path(root) / loader.lstrip("/")).exists() and not os.path.exists(loader):
        raise MmuexpError(
            f"its loader {loader} is neither below {root} nor on this machine",
            where=path,
            todo=f"unpack {guest.loader_package} into a folder (traces/recipes/fetch does) and say -L FOLDER",
        )
