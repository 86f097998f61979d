"""Told progress: (name, rows done, rows in all if declared), of work that is one part of several; and remarks.

Work that nobody asked for by name, as an import on the way to a replay, is told to whom the command line named here.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

Progress = Callable[[str, int, int | None], None]

_on_remark: Callable[[str], None] | None = None
_on_progress: Progress | None = None


@contextmanager
def told_to(remark: Callable[[str], None]) -> Iterator[None]:
    """Have remarks told to a function while the block runs."""
    global _on_remark
    before, _on_remark = _on_remark, remark
    try:
        yield
    finally:
        _on_remark = before


@contextmanager
def shown_by(progress: Progress) -> Iterator[None]:
    """Have `current` give this function while the block runs."""
    global _on_progress
    before, _on_progress = _on_progress, progress
    try:
        yield
    finally:
        _on_progress = before


def remark(line: str) -> None:
    """Tell the user a line, if somebody listens."""
    if _on_remark is not None:
        _on_remark(line)


def current() -> Progress | None:
    """What shows progress now; None if nothing does."""
    return _on_progress


def part_of(progress: Progress | None, at: int, parts: int) -> Progress | None:
    """What part `at` of so many equal ones reports, as progress of the whole."""
    if progress is None or parts == 1:
        return progress

    def tell(name: str, done: int, rows: int | None) -> None:
        if rows is None:
            progress(name, done, None)
        else:
            progress(name, at * rows + done, parts * rows)

    return tell
