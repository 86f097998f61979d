"""Told progress: (name, rows done, rows in all if declared), of work that is one part of several."""

from collections.abc import Callable

Progress = Callable[[str, int, int | None], None]


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
