"""Finds addresses of a 32-bit x86 program by the names that its file gives them."""

import struct
from pathlib import Path

from mmuexp.errors import MmuexpError, UsageError, option

ET_DYN, PT_LOAD, PF_X = 3, 1, 1
SHT_SYMTAB, SHT_DYNSYM = 2, 11
ADDRESSES = 1 << 32


def find(path: str, text: str) -> tuple[int, bool]:
    """Find the guest address that `text` means: a number (0x8049000), or a symbol of the program at `path`. True: it
    counts from the beginning of the code of a program that is loaded anywhere (PIE).

    Raises UsageError for what is not an address, MmuexpError for a symbol that is not in the file.
    """
    if text[:1].isdigit():
        try:
            address = int(text, 0)
        except ValueError:
            address = ADDRESSES
        if address >= ADDRESSES:
            raise UsageError("is no address", where=option("start_at_pc", text), todo="say 0x8049000, or a symbol")
        return address, False
    data = Path(path).read_bytes()
    try:
        value = _symbols(data).get(text.encode())
        if value is not None:
            return (value - _code(data), True) if data[16] == ET_DYN else (value, False)
    except (struct.error, IndexError, ValueError):
        pass  # a damaged table holds no symbol
    todo = "give an address: `mmuexp trace head` shows those of a recording"
    raise MmuexpError(f"has no symbol {text}", where=path, todo=todo)


def _symbols(data: bytes) -> dict[bytes, int]:
    (table,) = struct.unpack_from("<I", data, 32)
    size, count = struct.unpack_from("<HH", data, 46)
    sections = [struct.unpack_from("<10I", data, table + at * size) for at in range(count)]
    found: dict[bytes, int] = {}
    for section in sections:
        _, kind, _, _, offset, length, link = section[:7]
        if kind not in (SHT_SYMTAB, SHT_DYNSYM):
            continue
        names = sections[link][4]
        for name, value, _, _, _, index in struct.iter_unpack("<IIIBBH", data[offset : offset + length // 16 * 16]):
            if index:  # defined here
                begin = names + name
                found.setdefault(data[begin : data.index(b"\0", begin)], value)
    return found


def _code(data: bytes) -> int:
    """Find where the program's code begins, as QEMU reckons: its first segment that may be executed."""
    (table,) = struct.unpack_from("<I", data, 28)
    size, count = struct.unpack_from("<HH", data, 42)
    segments = [struct.unpack_from("<8I", data, table + at * size) for at in range(count)]
    return min(segment[2] for segment in segments if segment[0] == PT_LOAD and segment[6] & PF_X)
