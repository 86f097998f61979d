"""Constructors that make a trace's rows readable, and the shape of a case that was worked out by hand."""

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
