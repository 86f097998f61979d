"""`compare` and `sweep`: traces x strategies -> Result. The command line calls these and adds nothing."""

import os
import sys
from collections.abc import Iterable, Mapping, Sequence
from contextlib import ExitStack
from itertools import chain
from typing import Any

from mmuexp.analysis.cuts import Cuts, check_cuts, given_cuts
from mmuexp.analysis.passes import DEFAULT_NAME, LeaveOut, Run, opened_trace, run_passes
from mmuexp.analysis.pressure import pressures
from mmuexp.analysis.ranges import load_seeds, plan
from mmuexp.analysis.records import certainty, half_of, record_of, verdicts
from mmuexp.arguments import given_jobs, given_traces
from mmuexp.errors import UsageError
from mmuexp.errors import shown as printable
from mmuexp.price.host import Profile, load_profile, split_prices, with_prices
from mmuexp.price.priced import price
from mmuexp.progress import Progress, part_of
from mmuexp.replay.plausible import check_counts
from mmuexp.result import manifest
from mmuexp.result.table import LIVE, WINDOW, Result, make_frame
from mmuexp.strategy.given import given_strategies
from mmuexp.trace.loadseed import LOAD_SEED
from mmuexp.trace.relocate import at_load_seeds
from mmuexp.trace.threads import checked_thread

KEPT_OPEN = 64  # traces that stay open from the first look at them; others are opened again


class Interrupted(KeyboardInterrupt):
    """^C when some runs were finished. `result` holds them; its manifest says what is missing."""

    def __init__(self, result: Result):
        self.result = result
        super().__init__("interrupted")


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
    progress    called with (trace, rows done, rows in all) before the first batch of a trace and after each; of live
                runs the name is "TRACE, for real"

    Raises UsageError for specs, references and hosts that are wrong, TraceError for traces that are.
    """
    cuts = given_cuts(every, warmup, live=live)
    given = None if strategies is None else given_strategies(strategies)
    base = None if reference is None else _reference(reference)
    from mmuexp.live.measure import given_budget

    budget = given_budget(rounds, seconds, live=live)
    one = checked_thread(thread)
    return _experiment(
        "compare", traces, given, base, host, cuts, given_jobs(jobs), progress, {}, command, budget, thread=one
    )


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
    progress: Progress | None = None,
    command: Sequence[str] | None = None,
) -> Result:
    """Replay each trace under one strategy at every combination of parameter values.

    params      "map_block_bits", "map_block_bits=12..22:2", several such, or a mapping to values; without values the
                range that the strategy declares
    strategy    whose parameters they are, as a spec that may fix others; None finds the only one that has them
    reference   a spec to measure against; None is the strategy at its defaults if swept, else the first combination

    `warmup`, `thread` and `jobs` are as for compare. LOAD_SEED is a parameter of user-mode traces, under any strategy:
    where the program was loaded (mmuexp.trace.relocate), 0 as recorded.

    Adds a column for each parameter. map_block_bits is shown for a pool of 64 blocks and for one of 64 MiB, unless the
    pool is fixed by `strategy` or swept too. Raises UsageError, TraceError.
    """
    found = plan(params, strategy)
    values = {str(c.strategy): c.values for c in found}
    base = None if reference is None else _reference(reference)
    chosen, seeds = [c.strategy for c in found], load_seeds(params)
    more = {"seeds": seeds, "thread": checked_thread(thread)}
    cuts = given_cuts(warmup=warmup)._replace(halves=seeds is None)
    return _experiment("sweep", traces, chosen, base, host, cuts, given_jobs(jobs), progress, values, command, **more)


def _reference(given: Any) -> Any:
    found = given_strategies(given, "reference")
    if len(found) > 1:
        raise UsageError(f"{len(found)} references", where="reference", todo="give one")
    return found[0]


def _with_reference(strategies: Sequence[Any], base: Any | None) -> tuple[Sequence[Any], Any]:
    """(the strategies, the reference first if it was not among them; the reference)"""
    against = base if base is not None else _choose_reference(strategies)
    return (strategies if any(str(s) == str(against) for s in strategies) else [against, *strategies]), against


def _choose_reference(strategies: Sequence[Any]) -> Any:
    by_preference = [
        lambda s: str(s) == "softmmu",
        lambda s: s.name == "softmmu",
        lambda s: str(s) == s.name,  # at its defaults
        lambda s: True,
    ]
    return next(s for wanted in by_preference for s in strategies if wanted(s))


def _experiment(*given: Any, **options: Any) -> Result:
    with ExitStack() as kept:
        return _replayed(kept, *given, **options)


def _replayed(
    kept,
    kind,
    traces,
    strategies,
    base,
    host,
    cuts: Cuts,
    jobs,
    progress,
    values,
    command,
    budget=None,
    seeds=None,
    thread=None,
) -> Result:
    from mmuexp.strategy.registry import default_strategies

    profile = host if isinstance(host, Profile) else load_profile(host)
    ledger = _Ledger(kind, profile, cuts, values, sys.argv if command is None else command)
    paths = given_traces(traces)
    # every file is opened before the first is replayed: a wrong name must not surface after minutes
    sizes, wanted, ready = [], {}, {}
    for path in paths:
        stack, trace = _opened(path, thread)
        with stack:
            chosen = strategies if strategies is not None else default_strategies(trace.mode)
            chosen, _ = _with_reference(chosen, base)
            sizes.append((_label(path), trace.file_rows, len(chosen)))
            wanted |= {str(strategy): strategy for strategy in chosen}
            if len(ready) < KEPT_OPEN:
                ready[path] = kept.enter_context(stack.pop_all()), trace
    check_cuts(sizes, cuts)
    if budget:
        from mmuexp.analysis.live_columns import measured, with_engine

        _, without = with_engine(list(wanted.values()))  # compiled before the work
        unmeasured = [{"strategy": spec, "why": why} for spec, why in without.items()]
        ledger.live = {**budget._asdict(), "without_engine": unmeasured}
        named, prices = (
            ("", {}) if host is None else (host, {}) if isinstance(host, Profile) else split_prices(str(host))
        )
        if not named:
            from mmuexp.live.calibrate import Sampler

            sampler = Sampler()
            ledger.between, ledger.sampler, ledger.given = sampler.between, sampler, prices
    for at, path in enumerate(paths):
        label = _label(path)
        stack, trace = ready.pop(path, None) or _opened(path, thread)
        with stack, manifest.digested(trace, jobs) as digest:
            chosen = strategies if strategies is not None else default_strategies(trace.mode)
            chosen, against = _with_reference(chosen, base)
            for part, (seed, shown) in enumerate(at_load_seeds(trace, seeds)):
                runs: list[Run] = []
                left_out: dict[str, str] = {}
                live: dict[str, Any] = {}

                def leave_out(strategy, error, left_out=left_out):
                    spec = str(strategy)
                    if strategies is not None or spec == str(base):  # the user asked for it
                        return False
                    left_out[spec] = error.what
                    return True

                try:
                    tell = part_of(progress, part, len(seeds or [0]))
                    _replay(shown, chosen, label, cuts, jobs, tell, runs, leave_out)
                    if budget:
                        able = [run.strategy for run in runs if str(run.strategy) not in without]
                        live = measured(trace, able, label, budget, progress, ledger.between, cuts.warmup)
                except KeyboardInterrupt:
                    if not runs and not ledger.parts:
                        raise
                    done = sum(run.window is None for run in runs)
                    of_this = f" and {done} of {len(chosen)} schemes of the next" if runs else ""
                    if runs:
                        facts = manifest.trace_facts(trace, label, digest())
                        ledger.add(label, facts, runs, str(against), left_out, {}, seed)
                    of_seeds = "" if seeds is None else f", {part} of {len(seeds)} load seeds"
                    what = f"interrupted after {at} of {len(paths)} traces{of_seeds}{of_this}"
                    raise Interrupted(ledger.result(what)) from None
                facts = manifest.trace_facts(trace, label, digest())
                ledger.add(label, facts, runs, str(against), left_out, live, seed)
    return ledger.result("yes")


def _label(path: str | None) -> str:
    return DEFAULT_NAME if path is None else printable(os.fsdecode(path))


def _opened(path: str | None, thread: int | None) -> tuple[ExitStack, Any]:
    """The trace, open until the stack is closed."""
    stack = ExitStack()
    return stack, stack.enter_context(opened_trace(path, thread))


def _replay(trace, strategies, label, cuts, jobs, progress, runs: list[Run], leave_out: LeaveOut) -> None:
    """`runs` grows by what each pass finished; in the end they stand in the order of the strategies."""
    for found in run_passes(
        trace, strategies, label=label, cuts=cuts, jobs=jobs, progress=progress, leave_out=leave_out
    ):
        for run in found:
            check_counts(str(run.strategy), run.counts, part=run.window is not None or cuts.warmup > 0)
        runs += found
    place = {str(strategy): at for at, strategy in enumerate(strategies)}
    runs.sort(key=lambda run: place[str(run.strategy)])


class _Ledger:
    """What a result is made of as it grows, trace by trace. Priced in the end: prices may be measured until then."""

    def __init__(self, kind: str, host: Profile, cuts: Cuts, values: Mapping[str, dict], command: Sequence[str]):
        self.kind, self.host, self.cuts, self.values, self.command = kind, host, cuts, values, command
        self.started = manifest.utc_now()
        self.records: list[dict] = []
        self.traces: list[dict] = []
        self.verdicts: list[dict] = []
        self.certainty: list[dict] = []
        self.pressure: list[dict] = []
        self.second_half: list[dict] = []
        self.left_out: list[dict] = []
        self.live: dict[str, Any] | None = None  # how runs are measured for real, and which are not
        # of live runs: this host's prices, if none was named, but for those that were given
        self.between, self.sampler, self.given = lambda: None, None, {}
        self.parts: list[tuple] = []
        self.strategies: dict[str, Any] = {}

    def add(self, *part: Any) -> None:  # as `_price` takes it
        self.parts.append(part)

    def _price(
        self, label: str, facts: dict, runs: list[Run], reference: str, left_out: Mapping, live=None, seed=None
    ) -> None:
        priced = [(run, price(run.strategy, run.counts, self.host)) for run in runs]
        totals = [(run, cost) for run, cost in priced if run.window is None]
        shown = totals if self.cuts.every is None else [(run, cost) for run, cost in priced if run.window is not None]
        values = dict(self.values)
        if live:
            from mmuexp.analysis.live_columns import live_columns

            values |= live_columns(live, runs, self.host)
        self.records += [record_of(label, run, cost, self.host, values, seed) for run, cost in shown]
        self.verdicts += verdicts(label, reference, totals, seed)
        if seed is None:  # at other load addresses the same scheme stands there several times
            self.certainty += certainty(label, totals, self.values, list(dict.fromkeys(chain(*self.values.values()))))
        self.second_half += chain(*(half_of(label, run) for run, _ in totals))
        if self.kind == "compare":
            self.pressure += chain(*(pressures(label, run.strategy, run.counts, c, self.host) for run, c in totals))
        why = [{"trace": label, "strategy": spec, "why": why} for spec, why in left_out.items()]
        self.left_out += [one for one in why if one not in self.left_out]  # at another load address, too
        self.traces += [facts] if facts not in self.traces else []
        self.strategies |= {str(run.strategy): run.strategy for run, _ in totals}

    def result(self, complete: str) -> Result:
        if self.sampler is not None:  # who is interrupted waits for no measurement
            measured = self.sampler.profile() if complete == "yes" else self.sampler.so_far()
            self.host = self.host if measured is None else with_prices(measured, self.given)
        for part in self.parts:
            self._price(*part)
        seeded = [LOAD_SEED] if any(LOAD_SEED in record for record in self.records) else []
        columns = tuple(dict.fromkeys([*seeded, *(name for row in self.values.values() for name in row)]))
        window = () if self.cuts.every is None else (WINDOW,)
        frame = make_frame(self.records, [*window, *columns, *(LIVE if self.live else ())])
        about = manifest.build(self, complete) | {"parameters": list(columns)}
        about |= {} if self.live is None else {"live": self.live}
        frame.attrs["manifest"] = about
        return Result(self.kind, frame, about, columns)
