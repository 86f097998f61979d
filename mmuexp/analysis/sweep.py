"""`sweep`: traces x the values of a scheme's parameters -> Result. The command line calls this and adds nothing."""

import os
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from mmuexp.analysis.cuts import given_cuts
from mmuexp.analysis.experiment import Experiment, given_reference
from mmuexp.analysis.given import given_traces
from mmuexp.analysis.ranges import load_seeds, plan
from mmuexp.arguments import given_jobs
from mmuexp.price.host import Profile
from mmuexp.progress import Progress
from mmuexp.result.table import Result
from mmuexp.trace.threads import checked_thread


def sweep(
    params: str | Iterable[str] | Mapping[str, Any],
    traces: Any = None,
    *,
    strategy: str | None = None,
    reference: Any = None,
    host: str | os.PathLike | Profile | None = None,
    warmup: int | None = None,
    thread: int | str | None = None,
    jobs: int | None = None,
    store: bool = True,
    progress: Progress | None = None,
    command: Sequence[str] | None = None,
) -> Result:
    """Replay each trace under one strategy at every combination of parameter values.

    params      "map_block_bits", "map_block_bits=12..22:2", several such, or a mapping to values; without values the
                range that the strategy declares
    strategy    whose parameters they are, as a spec that may fix others; None finds the only one that has them
    reference   a spec to measure against; None is the strategy at its defaults if swept, else the first combination

    The rest is as for compare. LOAD_SEED is a parameter of user-mode traces, under any strategy: where the program was
    loaded (mmuexp.trace.relocate), 0 as recorded.

    Adds a column for each parameter. map_block_bits is shown for a pool of 64 blocks and for one of 64 MiB, unless the
    pool is fixed by `strategy` or swept too. Raises UsageError, TraceError.
    """
    combinations, seeds = plan(params, strategy), load_seeds(params)
    return Experiment(
        kind="sweep",
        strategies=[one.strategy for one in combinations],
        values={str(one.strategy): one.values for one in combinations},
        reference=given_reference(reference),
        seeds=seeds,
        thread=checked_thread(thread),
        cuts=given_cuts(warmup=warmup)._replace(halves=seeds is None),
        jobs=given_jobs(jobs),
        store=store,
        host=host,
        traces=given_traces(traces),
        progress=progress,
        command=command,
    ).run()
