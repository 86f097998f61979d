"""The columns that `compare --live` appends: what each engine took, and what the model says that it should."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from mmuexp.analysis.passes import Run
from mmuexp.live.build import NoEngine, engine_of
from mmuexp.live.measure import Budget, TimedRun, measure
from mmuexp.price.host import Profile
from mmuexp.price.priced import engine_ns_per_access
from mmuexp.progress import Progress
from mmuexp.result.table import LIVE


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


def measured(
    trace: Any, strategies: Sequence[Any], label: str, budget: Budget, progress: Progress | None,
    between: Callable[[], None] = lambda: None, warmup: int = 0,
) -> dict[str, TimedRun]:  # fmt: skip
    """What each strategy takes on an open trace after its warm-up, by its spec."""
    if not strategies:
        return {}
    found = measure(trace, strategies, label, budget=budget, progress=progress, between=between, warmup=warmup)
    return {str(strategy): one for strategy, one in zip(strategies, found, strict=True)}


def live_columns(
    found: Mapping[str, TimedRun], runs: Sequence[Run], host: Profile
) -> dict[str, dict[str, float | None]]:
    """Columns LIVE by spec, of those runs over a whole trace that were measured. Without an access there is no time of
    one."""
    columns = {}
    for run in runs:
        if (one := found.get(str(run.strategy))) and run.counts["accesses"]:
            model = engine_ns_per_access(run.strategy, run.counts, host)
            # at or below 0 is less than the noise of the loop that was subtracted: no time is known then
            ns, error = (one.ns, model - one.ns) if one.ns > 0 else (None, None)
            values = (ns, one.least_ns, one.most_ns, one.loop_ns, model, error, one.low_ns, one.high_ns, one.rounds)
            columns[str(run.strategy)] = dict(zip(LIVE, values, strict=True))
    return columns
