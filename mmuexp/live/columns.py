"""The columns that `compare --live` appends: what each engine took, and what the model says that it should."""

from collections.abc import Mapping, Sequence
from typing import Any

from mmuexp.host import Profile
from mmuexp.live.build import NoEngine, engine_of
from mmuexp.live.measure import measure
from mmuexp.passes import Progress
from mmuexp.price import engine_ns
from mmuexp.result import LIVE

TOLERANCE, TOLERANCE_NS = 0.15, 0.3  # the model is off if it errs by more than the larger of the two


def with_engine(strategies: Sequence[Any]) -> tuple[list[Any], dict[str, str]]:
    """(the strategies that have an engine, compiled; of the others, why not). Raises NoEngine if none has."""
    found, without = [], {}
    for strategy in strategies:
        try:
            engine_of(type(strategy))
        except NoEngine as error:
            if len(without) + 1 == len(strategies):
                raise
            without[str(strategy)] = error.what if error.what.startswith("the ") else f"it {error.what}"
        else:
            found.append(strategy)
    return found, without


def live_columns(
    trace: Any, counts: Mapping[Any, Mapping], host: Profile, label: str, rounds: int, progress: Progress | None
) -> dict[str, dict[str, float]]:
    """Columns LIVE by spec, of the strategies (with their counts of the whole trace) that have an engine."""
    if not counts:
        return {}
    accesses = max(1, next(iter(counts.values()))["accesses"])
    found = {}
    for strategy, one in zip(
        counts, measure(trace, list(counts), label, rounds=rounds, progress=progress), strict=True
    ):
        model = engine_ns(strategy, counts[strategy], host) / accesses
        values = (one.ns, one.least_ns, one.most_ns, one.loop_ns, model, model - one.ns)
        found[str(strategy)] = dict(zip(LIVE, map(float, values), strict=True))
    return found


def within_tolerance(row: Mapping[str, Any]) -> bool:
    """Is the modelled time of a row with columns LIVE near enough to the measured one?"""
    return abs(row["live_error_ns_per_access"]) <= max(TOLERANCE * row["live_ns_per_access"], TOLERANCE_NS)
