"""The fast paths of a compiled live engine: sections as engine/paths.h lays them down, code as objdump reads it."""

import functools
import re
import struct
import subprocess
from pathlib import Path
from typing import NamedTuple

from kit.recording import need

MNEMONIC = re.compile(r"^\s*([0-9a-f]+):\s+(\w+)\s*(.*?)\s*(?:#.*)?$")


class FastPath(NamedTuple):
    """`struct path`: addresses at which the hit path begins, goes round the helper's call, can fault, and ends."""

    begin: int
    gap: int
    resume: int
    fault: int
    end: int
    store: int
    bytes: int


class Patch(NamedTuple):
    """`struct patch`: an immediate that is a parameter."""

    end: int
    kind: int
    bytes: int


class Instruction(NamedTuple):
    at: int
    name: str
    operands: tuple[str, ...]


@functools.cache
def sections(program: Path) -> dict[str, tuple[int, bytes]]:
    """Name -> address, content, of an ELF file."""
    image = program.read_bytes()
    assert image[:6] == b"\x7fELF\x02\x01"
    (table,), (size, count, names) = struct.unpack_from("<Q", image, 40), struct.unpack_from("<3H", image, 58)
    headers = [struct.unpack_from("<2I4Q", image, table + size * i) for i in range(count)]

    def name(at: int) -> str:
        begin = headers[names][4] + at
        return image[begin : image.index(b"\0", begin)].decode()

    return {name(n): (at, image[offset : offset + length]) for n, _, _, at, offset, length in headers}


def paths(program: Path) -> list[FastPath]:
    content = sections(program).get("mmuexp_paths", (0, b""))[1]
    return [FastPath(*fields) for fields in struct.iter_unpack("<5Q2I", content)]


def templates(program: Path) -> list[FastPath]:
    """Those that translated code is copied from."""
    content = sections(program).get("mmuexp_templates", (0, b""))[1]
    return [FastPath(*fields) for fields in struct.iter_unpack("<5Q2I", content)]


def symbol(program: Path, name: str) -> int:
    """The address of a symbol."""
    need("nm", "binutils")
    listed = subprocess.run(["nm", str(program)], capture_output=True, text=True, check=True).stdout
    (at,) = [line.split()[0] for line in listed.splitlines() if line.split()[-1] == name]
    return int(at, 16)


def patches(program: Path) -> list[Patch]:
    content = sections(program).get("mmuexp_patches", (0, b""))[1]
    return [Patch(*fields) for fields in struct.iter_unpack("<Q2I", content)]


@functools.cache
def code(program: Path) -> dict[int, Instruction]:
    """Address -> instruction, as Intel writes them, of the whole program."""
    need("objdump", "binutils")
    command = ["objdump", "-d", "-M", "intel", "--no-show-raw-insn", str(program)]
    text = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    found = {}
    for line in text.splitlines():
        if match := MNEMONIC.match(line):
            at = int(match[1], 16)
            found[at] = Instruction(at, match[2], tuple(match[3].split(",")) if match[3] else ())
    return found


def between(program: Path, begin: int, end: int) -> list[Instruction]:
    """The instructions from `begin` up to `end`; both lie between instructions."""
    listed = code(program)
    assert begin in listed
    assert end in listed
    return [listed[at] for at in sorted(listed) if begin <= at < end]


def hit_path(program: Path, path: FastPath) -> list[Instruction]:
    """What runs on a hit, in order."""
    return between(program, path.begin, path.gap) + between(program, path.resume, path.end)
