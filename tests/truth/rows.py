"""Constructors that make a trace's rows readable, and the shape of a case that was worked out by hand."""

import re
from collections.abc import Iterable
from dataclasses import dataclass

from truth.oracle.guest import EXEC, FLUSH, FLUSH_PAGE, IO, LOAD, MAP, STORE, USER

Row = tuple[int, int, int, int, int, int]  # op, vaddr, size, insns, flags, page


def load(vaddr: int, size: int = 4, flags: int = USER) -> Row:
    """A data read; user privilege unless told otherwise, as everything in a user-mode trace."""
    return (LOAD, vaddr, size, 1, flags, 0)


def store(vaddr: int, size: int = 4, flags: int = USER) -> Row:
    """A data write."""
    return (STORE, vaddr, size, 1, flags, 0)


def exec_(vaddr: int, size: int = 16, insns: int = 4, flags: int = USER) -> Row:
    """A straight-line block was entered."""
    return (EXEC, vaddr, size, insns, flags, 0)


def io_load(vaddr: int, size: int = 4, flags: int = 0) -> Row:
    """A read of device memory."""
    return (LOAD, vaddr, size, 1, flags | IO, 0)


def io_store(vaddr: int, size: int = 4, flags: int = 0) -> Row:
    """A write to device memory."""
    return (STORE, vaddr, size, 1, flags | IO, 0)


def flush(reason: int = 1, cr3: int = 0) -> Row:
    """Every translation is dropped."""
    return (FLUSH, cr3, reason, 0, 0, 0)


def flush_page(vaddr: int) -> Row:
    """The translation of one page is dropped."""
    return (FLUSH_PAGE, vaddr, 0, 0, 0, 0)


def map_(vaddr: int, frame: int) -> Row:
    """From here on the page is backed by this physical page."""
    return (MAP, vaddr, 12, 0, 0, frame)


def note(op: int = 200) -> Row:
    """An annotation: counts as a row, and as nothing else."""
    return (op, 0xDEADBEEF, 0xFFFF, 255, 255, 0xFFFFFFFF)


@dataclass(frozen=True)
class Case:
    """A trace, a scheme, and the counts that follow from MODEL.md by hand; `why` holds the working."""

    name: str
    spec: str
    mode: str
    rows: list[Row]
    expect: dict[str, int | None]
    why: str
    trace_bits: int = 32


_WORD = re.compile(
    r"(?P<io>i?)(?P<kind>[LSXPFM])(?P<vaddr>[0-9A-Fa-f]+)(?P<other>r?)(?P<user>u?)"
    r"(?:>(?P<frame>[0-9a-f]+))?(?:\+(?P<size>[0-9]+))?(?:@(?P<position>[0-9]+))?"
)


def micro(text: str, mode: str = "system") -> list[Row]:
    """Rows in few signs: numbers are hexadecimal; accesses of 4 bytes and blocks of 16, or of so many after a `+`.

    L load, S store, iL and iS of a device, X exec, P FLUSH_PAGE, M1000>50 MAP of a page to frame 0x50. @2: its position
    in the block (0 otherwise); u: user privilege. FA: FLUSH that writes 0xa to CR3, F0r: FLUSH for another reason.
    """
    rows: list[Row] = []
    for word in text.split():
        found = _WORD.fullmatch(word)
        assert found, word
        kind, vaddr = found["kind"], int(found["vaddr"], 16)
        flags = (USER if mode == "user" or found["user"] else 0) | (IO if found["io"] else 0)
        size = int(found["size"] or (16 if kind == "X" else 4))
        position = 4 if kind == "X" else int(found["position"] or 0)
        rows.append(
            {
                "L": (LOAD, vaddr, size, position, flags, 0),
                "S": (STORE, vaddr, size, position, flags, 0),
                "X": (EXEC, vaddr, size, position, flags, 0),
                "P": (FLUSH_PAGE, vaddr, 0, 0, 0, 0),
                "F": (FLUSH, vaddr, 4 if found["other"] else 1, 0, 0, 0),
                "M": (MAP, vaddr, 12, 0, 0, int(found["frame"] or "0", 16)),
            }[kind]
        )
    return rows


def zero_but(columns: Iterable[str], **named: int) -> dict[str, int]:
    """These counts: 0 but for the named ones."""
    return dict.fromkeys(columns, 0) | named
