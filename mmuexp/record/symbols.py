"""Finds addresses of an x86 program by the names that its file gives them."""

from mmuexp.errors import MmuexpError, UsageError, option
from mmuexp.record.elf import DAMAGED, ET_DYN, Elf, mapped
from mmuexp.record.program import Program


def find(program: Program, text: str) -> tuple[int, bool]:
    """Find the guest address that `text` means: a number (0x8049000), or a symbol of the program. True: it counts from
    the beginning of the code of a program that is loaded anywhere (PIE).

    Raises UsageError for what is not an address, MmuexpError for a symbol that is not in the file.
    """
    addresses = 1 << program.guest.bits
    if text[:1].isdigit():
        try:
            address = int(text, 0)
        except ValueError:
            address = addresses
        if address >= addresses - 1:
            raise UsageError("is not an address", where=option("start_at_pc", text), todo="say 0x8049000, or a symbol")
        return address, False
    try:
        with mapped(program.path) as data:
            elf, name = Elf(data), text.encode()
            value = next((value for symbol, value in elf.symbols() if symbol == name), None)
            if value is not None:
                return (value - elf.first_code(), True) if elf.kind == ET_DYN else (value, False)
    except DAMAGED:
        pass  # a damaged table holds no symbol
    todo = "give an address: `mmuexp trace head` shows those of a recording"
    raise MmuexpError(f"has no symbol {text}", where=program.path, todo=todo)
