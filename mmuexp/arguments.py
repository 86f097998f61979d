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
        raise UsageError(f"{given!r} is of type {type(given).__name__}", where=where, todo=todo)
    return int(given)


def positive(given: Any, where: str, todo: str, whole: bool = False) -> Any:
    """A number above 0, the same. Raises UsageError."""
    right = not isinstance(given, bool) and isinstance(given, Integral if whole else Real)
    if not (right and given > 0):
        raise UsageError(f"{given!r} is not a number above 0", where=option(where), todo=todo)
    return given


def given_jobs(given: Any) -> int | None:
    """How many threads replay; None is one a core. Raises UsageError."""
    jobs = whole_number(given, "jobs", "give whole threads")
    if jobs is not None and not 1 <= jobs <= MAX_JOBS:
        raise UsageError(f"{jobs} threads", where="jobs", todo=f"give 1 to {MAX_JOBS}")
    return jobs


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
