"""`compare`: traces x strategies -> Result. The command line calls this and adds nothing."""

import os
from collections.abc import Sequence
from typing import Any

from mmuexp.analysis.cuts import given_cuts
from mmuexp.analysis.experiment import Experiment, given_reference
from mmuexp.analysis.given import given_traces
from mmuexp.arguments import given_jobs
from mmuexp.price.host import Profile
from mmuexp.progress import Progress
from mmuexp.result.table import Result
from mmuexp.strategy.registry import given_strategies
from mmuexp.trace.threads import checked_thread


def compare(
    traces: Any = None,
    strategies: Any = None,
    *,
    reference: Any = None,
    host: str | os.PathLike | Profile | None = None,
    every: int | None = None,
    warmup: int | None = None,
    live: bool = False,
    rounds: int | None = None,
    seconds: float | None = None,
    thread: int | str | None = None,
    jobs: int | None = None,
    store: bool = True,
    progress: Progress | None = None,
    command: Sequence[str] | None = None,
) -> Result:
    """Replay each trace under each strategy.

    traces      a path or several; None is the trace that comes with the package
    strategies  specs ("map-block,map_block_bits=20") or Strategy objects; None is all schemes, less those that cannot
                serve the trace (`left_out` in the manifest says which, and why; one that is named here is an error)
    reference   the spec that others are measured against (added if missing); None is softmmu, else the first
    host        a profile's name, path or Profile; None is the present-day one, with `live` this host, measured now.
                Prices in ns may follow: "pentium4-2004,signal=900", or alone ",signal=900"
    every       also cut each trace in windows of that many rows (column `window_index`; windows add up to the total)
    warmup      count from that row on, with all that the rows before it left behind; windows begin there
    live        also run each for real, and append what translation takes on this host (columns LIVE of result.py);
                empty for a scheme without an engine (`live` in the manifest says which, and why)
    rounds      how often; None is as often as it takes to tell the schemes apart
    seconds     about as long as that may take for each trace; None is 10
    thread      replay the rows of this thread alone, by its number; None, or "all", is all in the order of the trace
    jobs        threads that replay, a scheme at a time; None is one a core; 1 decodes in the same thread, too
    store       take what was counted before of the same rows, and keep what is counted now (docs/store.md); with
                `live` all is replayed
    progress    called with (trace, rows done, rows in all) before the first batch of a trace and after each; of live
                runs the name is "TRACE, for real"
    command     the command line that the manifest names; None is that of this process

    Raises UsageError for specs, references and hosts that are wrong, TraceError for traces that are.
    """
    from mmuexp.live.measure import given_budget

    return Experiment(
        kind="compare",
        cuts=given_cuts(every, warmup, live=live),
        strategies=None if strategies is None else given_strategies(strategies),
        reference=given_reference(reference),
        budget=given_budget(rounds, seconds, live=live),
        thread=checked_thread(thread),
        jobs=given_jobs(jobs),
        store=store,
        host=host,
        traces=given_traces(traces),
        progress=progress,
        command=command,
    ).run()
