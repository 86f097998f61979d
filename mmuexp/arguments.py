"""What a caller names, of whatever kind it comes: traces and schemes, of the API and of the command line alike."""

import os
from collections.abc import Iterable
from numbers import Integral, Real
from typing import Any

from mmuexp.errors import UsageError, option
from mmuexp.windows import Cuts

MAX_JOBS = 256


def given_strategies(given: Any, what: str = "strategies") -> list[Any]:
    from mmuexp.registry import parse_spec
    from mmuexp.strategy import Strategy

    todo = "give specs as in 'map-block,evict=lifo', or Strategy objects"
    found = {}
    for one in _listed(given, (str, Strategy), what, todo):
        strategy = one if isinstance(one, Strategy) else parse_spec(one)
        other = found.setdefault(str(strategy), strategy)
        if type(other) is not type(strategy):
            raise UsageError(
                "two schemes have this name", where=f"strategy {strategy}", todo="rename yours in its file"
            )
    if not found:
        raise UsageError("no strategy is named", todo="leave the list out for all of them")
    return list(found.values())


def possible_schemes(strategies: Any, reference: Any = None) -> list[Any]:
    """The strategies that a result of `compare` may hold, known before any trace is opened; as `compare` takes them."""
    from mmuexp.registry import default_strategies

    if strategies is not None:
        named = given_strategies(strategies)
    else:
        named = [*default_strategies("user"), *default_strategies("system")]
    base = [] if reference is None else given_strategies(reference, "reference")
    return list({str(strategy): strategy for strategy in [*named, *base]}.values())


def own_columns(strategies: Iterable[Any]) -> list[str]:
    """The columns that these strategies add to a result's."""
    return list(dict.fromkeys(name for strategy in strategies for name in strategy.extra_events))


def given_traces(traces: Any) -> list[str | None]:
    if traces is None:
        return [None]
    paths = _listed(traces, (str, os.PathLike, type(None)), "traces", "give paths, or None for the bundled trace")
    if not paths:
        raise UsageError("no trace is named", where="traces", todo="give a path, or None for the bundled trace")
    return list(dict.fromkeys(None if path is None else os.fsdecode(path) for path in paths))


def whole_number(given: Any, where: str, todo: str) -> int | None:
    """A whole number that may be left out. Raises UsageError."""
    if given is None:
        return None
    if isinstance(given, bool) or not isinstance(given, Integral):
        raise UsageError(f"{given!r} is of type {type(given).__name__}", where=where, todo=todo)
    return int(given)


def given_cuts(every: Any = None, warmup: Any = None, *, live: bool = False) -> Cuts:
    """Where a replay is cut; a whole trace is also cut in its middle. Raises UsageError."""
    every = whole_number(every, "every", "give whole rows")
    warmup = whole_number(warmup, "warmup", "give whole rows")
    if every is not None and every < 1:
        raise UsageError(f"a window of {every} rows", where="every", todo="give at least 1")
    if warmup is not None and warmup < 0:
        raise UsageError(f"a warm-up of {warmup} rows", where="warmup", todo="give 0 or more")
    if live and every:
        todo = f"leave {option('every', '')} out, or {option('live', '')}"
        raise UsageError("windows are not measured", where=option("live"), todo=todo)
    return Cuts(warmup or 0, every, halves=True)


def positive(given: Any, where: str, todo: str, whole: bool = False) -> Any:
    """A number above 0, the same. Raises UsageError."""
    right = not isinstance(given, bool) and isinstance(given, Integral if whole else Real)
    if not (right and given > 0):
        raise UsageError(f"{given!r} is none that is above 0", where=option(where), todo=todo)
    return given


def given_jobs(given: Any) -> int | None:
    """How many threads replay; None is one a core. Raises UsageError."""
    jobs = whole_number(given, "jobs", "give whole threads")
    if jobs is not None and not 1 <= jobs <= MAX_JOBS:
        raise UsageError(f"{jobs} threads", where="jobs", todo=f"give 1 to {MAX_JOBS}")
    return jobs


def _listed(given: Any, kinds: tuple[type, ...], what: str, todo: str) -> list[Any]:
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
