"""An experiment: traces are opened, replayed under every scheme one after the other, and priced in the end.

`compare` and `sweep` say which traces, which schemes, and how. What was counted goes to a `Ledger`, which makes the
Result of it; where the schemes also run for real, `LiveRuns` drives their engines.
"""

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from functools import cache, partial
from itertools import groupby
from typing import TYPE_CHECKING, Any, ClassVar

from mmuexp.analysis.cuts import Cuts, check_cuts
from mmuexp.analysis.given import label_of, opened_trace
from mmuexp.analysis.ledger import Ledger, Replayed
from mmuexp.analysis.passes import Run, run_passes
from mmuexp.analysis.stored import RUNS, how_cut, opened_store, runs_of, stopped, value_of
from mmuexp.errors import SchemeStopped, TraceError
from mmuexp.price.host import Profile, load_profile
from mmuexp.progress import Progress, part_of
from mmuexp.replay.plausible import check_counts
from mmuexp.result import manifest
from mmuexp.result.declared import check_declared, declared_of
from mmuexp.result.table import Result
from mmuexp.strategy.registry import Group, schemes_for
from mmuexp.trace.relocate import at_load_seeds

if TYPE_CHECKING:
    from mmuexp.live.measure import Budget

KEPT_OPEN = 64  # traces that stay open from the first look at them; others are opened again


class Interrupted(KeyboardInterrupt):
    """^C when some runs were finished. `result` holds them; its manifest says what is missing."""

    def __init__(self, result: Result):
        self.result = result
        super().__init__("interrupted")


@dataclass
class Experiment:
    """Traces x schemes, and how they are replayed. Values are checked already, and mean what `compare` says of them."""

    REPLAYS_HERE: ClassVar[bool] = True

    kind: str  # of the Result
    traces: Mapping[str | None, bool]  # true: of a corpus, it may fail without the others
    strategies: Sequence[Any] | None  # None: all that can serve a trace, each trace its own
    reference: Any | None
    host: str | os.PathLike | Profile | None
    cuts: Cuts
    thread: int | None
    jobs: int | None
    progress: Progress | None
    command: Sequence[str] | None
    values: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)  # of the parameter columns, by spec
    seeds: list[int] | None = None  # load addresses
    store: bool = True  # take what was counted before, and keep what is counted now
    budget: "Budget | None" = None  # of live runs; None: there are none

    def run(self) -> Result:
        """Replay every trace, and price what was counted.

        Raises Interrupted with what was finished, if that is anything; UsageError, TraceError, NoEngine, EngineFailed.
        """
        self._profile = self.host if isinstance(self.host, Profile) else load_profile(self.host)
        self._failed: set[str | None] = set()
        named = [Group("")] if self.strategies is None else self.strategies
        self._schemes_of = cache(partial(schemes_for, named))  # each time groups are looked for among all packages
        by_default = self.strategies is None
        self._ledger = Ledger(self.kind, self.cuts, self.values, self.command, by_default=by_default)
        with ExitStack() as kept:
            # a live run takes longer than a replay, and is compared with one of today
            self._store = kept.enter_context(opened_store(self.store and self.budget is None))
            opened, schemes = self._open_all(kept)
            self._live: Any = None
            if self.budget is not None:
                from mmuexp.analysis.live_columns import LiveRuns

                self._live = LiveRuns(schemes, self.budget, self.host)  # their engines are compiled before the work
            missing = self._count_elsewhere(opened, schemes)
            for number, path in enumerate(self.traces):
                if path not in self._failed:
                    with self._may_fail(path):
                        stack, trace = opened.pop(path) if path in opened else self._open(path)
                        with stack:
                            self._run_trace(number, path, trace)
        if missing and not self._ledger.parts:
            raise KeyboardInterrupt
        if missing:
            raise Interrupted(self._result(missing))
        return self._result("yes")

    def _count_elsewhere(self, opened: Mapping[str | None, tuple[ExitStack, Any]], schemes: Sequence[Any]) -> str:
        """Have others count before the traces are gone through here. Returns what is missing if that was interrupted.

        `opened` are traces that are open already, `schemes` all that any trace needs.
        """
        return ""

    @contextmanager
    def _may_fail(self, path: str | None) -> Iterator[None]:
        """What goes wrong with one recording of a corpus is noted, and the others go on. Raises where none is left."""
        try:
            yield
        except (TraceError, OSError) as error:
            if not self.traces[path]:
                raise
            self._failed.add(path)
            self._ledger.failed.append({"trace": label_of(path), "why": str(error)})
            if len(self._failed) == len(self.traces) > 1:
                what = f"is the last of {len(self.traces):,} recordings, none of which can be replayed: {error}"
                raise TraceError(what, where=label_of(path)) from None
            if len(self._failed) == len(self.traces):
                raise

    def _open(self, path: str | None) -> tuple[ExitStack, Any]:
        """The trace, open until the stack is closed."""
        stack = ExitStack()
        return stack, stack.enter_context(opened_trace(path, self.thread))

    def _open_all(self, kept: ExitStack) -> tuple[dict[str | None, tuple[ExitStack, Any]], list[Any]]:
        """Open every file before the first is replayed: a wrong name must not surface after minutes.

        Gives out those that stay open, at most until `kept` is closed, and every scheme that a trace may need.
        """
        sizes: list[Any] = []
        schemes: dict[str, Any] = {}
        opened: dict[str | None, tuple[ExitStack, Any]] = {}
        for path, in_corpus in self.traces.items():
            with self._may_fail(path):
                stack, trace = self._open(path)
                with stack:
                    chosen, _ = self._schemes_for(trace)
                    size = label_of(path), trace.file_rows, len(chosen)
                    if in_corpus and self.cuts.warmup >= trace.file_rows:
                        raise TraceError(f"has {trace.file_rows:,} rows, all of them warm-up", where=size[0])
                    sizes.append(size)
                    schemes |= {str(strategy): strategy for strategy in chosen}
                    if len(opened) < KEPT_OPEN:
                        opened[path] = kept.enter_context(stack.pop_all()), trace
        check_cuts(sizes, self.cuts)
        return opened, list(schemes.values())

    def _schemes_for(self, trace: Any) -> tuple[Sequence[Any], Any]:
        """(the schemes that replay a trace, the reference first if it was not among them; the reference)"""
        schemes = self._schemes_of(trace.mode, trace.address_bits)
        reference = _preferred(schemes) if self.reference is None else self.reference
        return (schemes if str(reference) in map(str, schemes) else [reference, *schemes]), reference

    def _run_trace(self, number: int, path: str | None, trace: Any) -> None:
        """Replay an open trace at every load address, and add what was counted to the ledger."""
        label = label_of(path)
        chosen, reference = self._schemes_for(trace)
        with self._store.digested(trace, self.jobs) as digest:
            seeds = [None] if self.seeds is None else self.seeds
            known = [self._known(path, trace, chosen, seed) for seed in seeds]
            whole = not self.REPLAYS_HERE or all(len(each) == len(chosen) for each in known)
            shown = ((seed, trace) for seed in seeds) if whole else at_load_seeds(trace, self.seeds)
            for part, (seed, moved) in enumerate(shown):
                done = Replayed(label, str(reference), seed)
                try:
                    self._take(known[part], chosen, done)
                    left = [strategy for strategy in chosen if str(strategy) not in known[part]]
                    tell = part_of(self.progress, part, len(seeds))
                    if left:
                        self._replay(path, moved, left, done, tell, digest)
                    elif tell is not None:
                        tell(label, trace.file_rows, trace.rows)
                    self._settle(trace, chosen, done)
                    if self._live is not None:
                        done.live = self._live.measure(trace, done.runs, label, self.progress, self.cuts.warmup)
                except KeyboardInterrupt:
                    if done.runs:
                        self._settle(trace, chosen, done)
                        self._ledger.add(done, manifest.trace_facts(trace, label, digest()))
                    if not self._ledger.parts:
                        raise
                    raise Interrupted(self._result(self._what_is_missing(number, part, done, len(chosen)))) from None
                if done.runs:
                    self._ledger.add(done, manifest.trace_facts(trace, label, digest()))

    def _known(self, path: str | None, trace: Any, schemes: Sequence[Any], seed: int | None) -> Mapping[str, Any]:
        """What the store has of these, by spec. A scheme that stopped is asked again if it may not be left out."""
        found = self._store.known(RUNS, trace, schemes, how_cut(self.cuts, self.thread, seed))
        return {spec: value for spec, value in found.items() if "runs" in value or self._may_leave_out(spec)}

    def _may_leave_out(self, spec: str) -> bool:
        return spec not in map(str, [*(self.strategies or ()), self.reference])  # else the user asked for it

    def _take(self, known: Mapping[str, Any], schemes: Sequence[Any], done: Replayed, *, counted: bool = False) -> None:
        """Take what the store has, or what was just `counted`."""
        for strategy in schemes:
            spec = str(strategy)
            if spec in known:
                done.from_store += [] if counted else [spec]
                done.runs += self._plausible(runs_of(strategy, known[spec]))
                if "stopped" in known[spec]:
                    done.left_out[spec] = known[spec]["stopped"]

    def _replay(
        self,
        path: str | None,
        trace: Any,
        schemes: Sequence[Any],
        done: Replayed,
        progress: Progress | None,
        digest: Callable[[], str],
    ) -> None:
        """Count under every scheme. `done.runs` grows by what each pass finished."""
        stops: list[tuple[Any, Any]] = []

        def leave_out(strategy: Any, error: SchemeStopped) -> bool:
            spec = str(strategy)
            if not self._may_leave_out(spec):
                return False
            done.left_out[spec] = error.what
            stops.append((strategy, stopped(error.what)))
            return True

        options: dict[str, Any] = {"cuts": self.cuts, "jobs": self.jobs, "progress": progress, "leave_out": leave_out}
        for runs in run_passes(trace, schemes, label=done.trace, **options):
            done.runs += self._plausible(runs)
            counted = [(some[0].strategy, value_of(some)) for some in _by_scheme(runs)]
            how = how_cut(self.cuts, self.thread, done.load_seed)
            self._store.keep(RUNS, trace, digest(), [*counted, *stops], how)
            stops.clear()

    def _plausible(self, runs: list[Run]) -> list[Run]:
        for run in runs:
            is_part = run.window is not None or self.cuts.warmup > 0
            check_counts(str(run.strategy), run.counts, part=is_part)
        return runs

    def _settle(self, trace: Any, schemes: Sequence[Any], done: Replayed) -> None:
        """Put what was counted in order, and take from it what the trace does not tell."""
        declared = declared_of(trace)
        for run in done.runs:
            check_declared(declared, run.counts, done.trace)
        done.runs = [run.declared(declared) for run in done.runs]
        place = {str(strategy): at for at, strategy in enumerate(schemes)}
        done.runs.sort(key=lambda run: place[str(run.strategy)])
        done.left_out = dict(sorted(done.left_out.items(), key=lambda one: place[one[0]]))

    def _what_is_missing(self, number: int, part: int, done: Replayed, schemes: int) -> str:
        """What a manifest says of an experiment that was interrupted in part `part` of trace `number`."""
        finished = sum(run.window is None for run in done.runs)
        of_seeds = "" if self.seeds is None else f", {part} of {len(self.seeds)} load seeds"
        of_this = f" and {finished} of {schemes} schemes of the next" if done.runs else ""
        return f"interrupted after {number} of {len(self.traces)} traces{of_seeds}{of_this}"

    def _result(self, complete: str) -> Result:
        live = self._live
        if live is None:
            return self._ledger.result(self._profile, complete)
        return self._ledger.result(live.profile(complete == "yes") or self._profile, complete, live.about)


def _by_scheme(runs: Sequence[Run]) -> list[list[Run]]:
    """The runs of each scheme; they come scheme by scheme."""
    return [list(some) for _, some in groupby(runs, key=lambda run: str(run.strategy))]


def _preferred(strategies: Sequence[Any]) -> Any:
    """The reference that is taken if the user names none."""
    by_preference = [
        lambda s: str(s) == "softmmu",
        lambda s: s.name == "softmmu",
        lambda s: str(s) == s.name,  # at its defaults
        lambda s: True,
    ]
    return next(s for wanted in by_preference for s in strategies if wanted(s))
