"""The columns that `compare --live` appends: what each engine took, and what the model says that it should."""

import os
from collections.abc import Mapping, Sequence
from typing import Any

from mmuexp.analysis.passes import Run
from mmuexp.live.build import NoEngine, engine_for
from mmuexp.live.measure import Budget, TimedRun, measure
from mmuexp.price.host import Profile, split_prices, with_prices
from mmuexp.price.priced import engine_ns_per_access
from mmuexp.progress import Progress
from mmuexp.result.table import LIVE


def with_engine(strategies: Sequence[Any]) -> tuple[list[Any], dict[str, str]]:
    """(the strategies that have an engine, compiled; of the others, why not). Raises NoEngine if none has."""
    found: list[Any] = []
    without: dict[str, str] = {}
    for strategy in strategies:
        try:
            engine_for(strategy)
        except NoEngine as error:
            if len(without) + 1 == len(strategies):
                raise
            without[str(strategy)] = error.what if error.what.startswith("the ") else f"it {error.what}"
        else:
            found.append(strategy)
    return found, without


class LiveRuns:
    """The engines of an experiment's schemes: what each takes on a trace, and this host's prices meanwhile.

    The prices are measured unless `host` names others; single prices that it holds stay. Raises NoEngine when it is
    made, before any work: if no scheme has an engine, or this host cannot run one.
    """

    def __init__(self, strategies: Sequence[Any], budget: Budget, host: str | os.PathLike | Profile | None):
        self._budget, self._between = budget, lambda: None
        _, self._without = with_engine(strategies)
        without = [{"strategy": spec, "why": why} for spec, why in self._without.items()]
        self.about = {**budget._asdict(), "without_engine": without}  # in the manifest
        name, self._given = ("", {}) if host is None or isinstance(host, Profile) else split_prices(str(host))
        self._sampler = None
        if not name and not isinstance(host, Profile):
            from mmuexp.live.calibrate import Sampler

            self._sampler = Sampler()
            self._between = self._sampler.between

    def measure(
        self, trace: Any, runs: Sequence[Run], label: str, progress: Progress | None, warmup: int
    ) -> dict[str, TimedRun]:
        """What each scheme of these runs takes on an open trace after its warm-up, by its spec."""
        able = {str(run.strategy): run.strategy for run in runs if str(run.strategy) not in self._without}
        if not able:
            return {}
        options: dict[str, Any] = {"budget": self._budget, "between": self._between}
        options |= {"progress": progress, "warmup": warmup}
        return dict(zip(able, measure(trace, list(able.values()), label, **options), strict=True))

    def profile(self, complete: bool) -> Profile | None:
        """This host's prices; None where others are named, or too little was measured until an interruption."""
        if self._sampler is None:
            return None
        measured = self._sampler.profile() if complete else self._sampler.so_far()
        return None if measured is None else with_prices(measured, self._given)


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
