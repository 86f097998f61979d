"""Check what a caller gives, of the API and of the command line alike: numbers, lists."""

from collections.abc import Iterable
from numbers import Integral, Real
from typing import Any

from mmuexp.errors import UsageError, option

MAX_JOBS = 256


def whole_number(given: Any, where: str, todo: str) -> int | None:
    """A whole number that may be left out. Raises UsageError."""
    if given is None:
        return None
    if isinstance(given, bool) or not isinstance(given, Integral):
        raise UsageError(f"{given!r} is of type {type(given).__name__}", where=option(where), todo=todo)
    return int(given)


def whole_from(given: Any, where: str, least: int, most: int) -> int:
    """A whole number from `least` to `most`. Raises UsageError."""
    if isinstance(given, bool) or not isinstance(given, Integral) or not least <= int(given) <= most:
        what = f"is {given!r}, not a whole number from {least} to {most:,}"
        raise UsageError(what, where=option(where), todo="give one")
    return int(given)


def positive(given: Any, where: str, todo: str, whole: bool = False) -> Any:
    """A number above 0, the same. Raises UsageError."""
    right = not isinstance(given, bool) and isinstance(given, Integral if whole else Real)
    if not (right and given > 0):
        raise UsageError(f"{given!r} is not a number above 0", where=option(where), todo=todo)
    return given


def given_jobs(given: Any) -> int | None:
    """How many threads replay; None is one a core. Raises UsageError."""
    return None if given is None else whole_from(given, "jobs", 1, MAX_JOBS)


def listed(given: Any, kinds: tuple[type, ...], what: str, todo: str) -> list[Any]:
    """One of these kinds, or an iterable of them, as a list. Raises UsageError for anything else."""
    if isinstance(given, kinds):
        return [given]
    if isinstance(given, bytes) or not isinstance(given, Iterable):
        raise UsageError(f"{given!r} is of type {type(given).__name__}", where=what, todo=todo)
    found = list(given)
    for one in found:
        if not isinstance(one, kinds):
            raise UsageError(f"{one!r} in it is of type {type(one).__name__}", where=what, todo=todo)
    return found
