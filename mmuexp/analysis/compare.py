"""`compare` and `sweep`: traces x schemes, or x the values of a scheme's parameters -> Result.

The command line calls them and adds nothing. Their arguments are those of `mmuexp.compare` and `mmuexp.sweep`, which
say what they mean; `command` is the command line that the manifest names, None that of this process.
"""

import os
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from mmuexp.analysis.cuts import given_cuts
from mmuexp.analysis.experiment import Experiment
from mmuexp.analysis.given import given_recordings
from mmuexp.analysis.ranges import load_seeds, plan
from mmuexp.arguments import given_jobs
from mmuexp.cluster.connect import given_cluster
from mmuexp.errors import UsageError, option
from mmuexp.price.host import Profile
from mmuexp.progress import Progress
from mmuexp.result.table import Result
from mmuexp.strategy.registry import given_schemes, given_strategy
from mmuexp.trace.threads import checked_thread


def compare(
    traces: Any = None,
    strategies: Any = None,
    *,
    every: int | None = None,
    warmup: int | None = None,
    live: bool = False,
    rounds: int | None = None,
    seconds: float | None = None,
    **shared: Any,
) -> Result:
    """Replay each trace under each strategy. Raises UsageError, TraceError."""
    from mmuexp.live.measure import given_budget

    if live and shared.get("cluster") is not None:
        raise UsageError("is not for a cluster", where=option("live", True), todo=f"leave {option('cluster')} out")
    return _experiment(
        shared,
        traces,
        kind="compare",
        cuts=given_cuts(every, warmup, live=live),
        strategies=None if strategies is None else given_schemes(strategies),
        budget=given_budget(rounds, seconds, live=live),
    ).run()


def sweep(
    params: str | Iterable[str] | Mapping[str, Any],
    traces: Any = None,
    *,
    strategy: str | None = None,
    warmup: int | None = None,
    **shared: Any,
) -> Result:
    """Replay each trace under one strategy at every combination of parameter values. Raises UsageError, TraceError.

    LOAD_SEED is a parameter of user-mode traces, under any strategy: where the program was loaded
    (mmuexp.trace.relocate), 0 as recorded.
    """
    combinations, seeds = plan(params, strategy), load_seeds(params)
    return _experiment(
        shared,
        traces,
        kind="sweep",
        cuts=given_cuts(warmup=warmup)._replace(halves=seeds is None),
        strategies=[one.strategy for one in combinations],
        values={str(one.strategy): one.values for one in combinations},
        seeds=seeds,
    ).run()


def _experiment(shared: Mapping[str, Any], traces: Any, **own: Any) -> Experiment:
    """An experiment, here or by a cluster."""
    given = _shared(traces, **shared)
    if given["cluster"] is None:
        del given["cluster"]
        return Experiment(**own, **given)
    from mmuexp.analysis.elsewhere import Elsewhere

    return Elsewhere(**own, **given)


def _shared(
    traces: Any,
    *,
    reference: Any = None,
    host: str | os.PathLike | Profile | None = None,
    thread: int | str | None = None,
    jobs: int | None = None,
    store: bool = True,
    cluster: str | None = None,
    progress: Progress | None = None,
    command: Sequence[str] | None = None,
) -> dict[str, Any]:
    """Check what both take; fields of an Experiment."""
    return {
        "reference": None if reference is None else given_strategy(reference, "reference", "references"),
        "thread": checked_thread(thread),
        "jobs": given_jobs(jobs),
        "traces": given_recordings(traces),
        "store": store,
        "cluster": given_cluster(cluster),
        "host": host,
        "progress": progress,
        "command": command,
    }
