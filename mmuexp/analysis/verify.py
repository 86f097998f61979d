"""`verify`: model and live engine over the same rows, and whether they agree on every count and on every fault.

The engine is fed what the survey accepted, and nothing else. After each batch the counts of both are compared, and
their lists of faults record by record (row, address, cause); where they part, both run again up to that batch and then
row by row, which names the first row.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from mmuexp.analysis.given import given_traces, label_of, opened_trace
from mmuexp.arguments import positive
from mmuexp.errors import SchemeStopped
from mmuexp.events import FIRST_EXTRA
from mmuexp.guest import ADDRESS_BITS, BATCH_ROWS, Columns
from mmuexp.live.build import NoEngine, engine_for, source_of
from mmuexp.live.limits import MEMORY_MB, check_memory, mappings_needed, memory_needed
from mmuexp.live.process import Engine, EngineDied, NoMappings, Plant, WrongData
from mmuexp.progress import Progress
from mmuexp.replay.replay import Replay
from mmuexp.replay.survey import Survey
from mmuexp.result import manifest
from mmuexp.result.declared import declared_of
from mmuexp.strategy import Strategy
from mmuexp.strategy.registry import Group, given_schemes, schemes_for
from mmuexp.trace.threads import checked_thread

MUCH_BYTES = 100_000_000  # of memory that an engine takes: worth a remark
LOG = 1 << 16  # faults that the model holds before it hands them out
NOT_TWICE = "they agree when they run again: the host did not do the same twice"
PIECES = (BATCH_ROWS, 4096, 1)  # rows, when a trace is looked through for the row at which the two part


class Parting(NamedTuple):
    """The first row at which model and engine differ."""

    row: int
    what: str  # counts that differ after it, or what was wrong with the data
    model: tuple[tuple[int, str], ...] = ()  # (vaddr, cause) of the row's faults
    live: tuple[tuple[int, str], ...] = ()


@dataclass
class VerifiedRun:
    """One scheme on one trace. `model` and `live` hold the columns that both count, and that the trace tells."""

    trace: str
    strategy: Strategy
    rows: int = 0
    model: dict[str, int] = field(default_factory=dict)
    live: dict[str, int] = field(default_factory=dict)
    signals: int = 0  # SIGSEGVs that the processor took
    system_calls: int = 0  # mmap and mprotect
    checked_loads: int = 0
    checked_stores: int = 0
    parting: Parting | None = None

    @property
    def equal(self) -> bool:
        return self.parting is None and self.model == self.live


class _Pair:
    """The model and the engine of one scheme, fed in step."""

    def __init__(self, strategy: Strategy, mode: str, where: str, *, address_bits: int = ADDRESS_BITS, **options: Any):
        self.strategy, self.mode = strategy, mode
        self.survey = Survey(mode, where)
        self.replay = Replay(strategy, mode, where=where, log=LOG, address_bits=address_bits)
        self.engine = Engine(strategy, mode, address_bits=address_bits, **options)
        named = {name: at for at, name in enumerate(self.engine.counters)}
        columns, lacks = strategy.columns(), self.replay.strategy.lacks()
        counted = {name: _counted_as(name, at) for name, at in columns.items() if name not in lacks}
        self.columns = {name: live for name, live in counted.items() if live in named}
        place = {self.columns[name]: at for name, at in columns.items() if name in self.columns}
        self._event = np.array([place.get(name, 255) for name in self.engine.counters], np.uint8)

    def feed(self, columns: Columns) -> None:
        self.replay.feed(self.survey.feed(columns))
        self.engine.feed(columns)

    def faults(self) -> tuple[np.ndarray, np.ndarray]:
        """Of the last `feed`: FAULT records of model and engine, causes as Events in both."""
        live = self.engine.faults()
        live["cause"] = self._event[live["cause"]]
        return self.replay.faults(), live

    def counts(self) -> tuple[dict[str, int], dict[str, int]]:
        model, live = self.replay.counts(), self.engine.counts()
        return {name: model[name] for name in self.columns}, {name: live[at] for name, at in self.columns.items()}

    def __enter__(self) -> "_Pair":
        return self

    def __exit__(self, *_: object) -> None:
        self.engine.close()


def _counted_as(name: str, at: int) -> str:
    """What the engine calls a column: its own name, or, of an event of the scheme's own, extra_N."""
    return name if at < FIRST_EXTRA else f"extra_{at - FIRST_EXTRA}"


def verify_one(
    trace: Any, strategy: Strategy, label: str, *, progress: Progress | None = None, plant: Plant = Plant.NONE,
    time_limit: float | None = None,
) -> VerifiedRun:  # fmt: skip
    """Run one scheme over an open trace, as a model and for real.

    Raises NoEngine, EngineFailed (a crash, a hang, a limit of the host), TraceError.
    """
    options: dict[str, Any] = {"plant": plant} | ({} if time_limit is None else {"time_limit": time_limit})
    outcome, before = VerifiedRun(label, strategy), 0
    if progress is not None:
        progress(label, 0, trace.rows)
    with _Pair(strategy, trace.mode, label, address_bits=trace.address_bits, **options) as pair:
        try:
            for columns in trace.batches():
                pair.feed(columns)
                if _differ(pair):
                    outcome.parting = _first_row(trace, strategy, label, before, options)
                    break
                before += len(columns.op)
                if progress is not None:
                    progress(label, before, trace.rows)
            else:
                pair.engine.end()
                pair.replay.check_log()
        except WrongData as error:
            at_end = error.row is None  # what went astray may lie far back
            outcome.parting = _first_row(trace, strategy, label, 0 if at_end else before, options, ends=at_end)
        except EngineDied as error:
            outcome.parting = _first_row(trace, strategy, label, before, options)
            if outcome.parting.what == NOT_TWICE:
                raise
            outcome.parting = outcome.parting._replace(what=f"{outcome.parting.what}; later it {error.what}")
        except NoMappings as error:
            error.what += f"; {mappings_needed(trace, strategy, label)}"
            raise
        outcome.model, outcome.live = pair.counts()
        for column in declared_of(trace).unknown_to(strategy) & outcome.model.keys():
            del outcome.model[column], outcome.live[column]
        live = pair.engine.counts()
    outcome.rows = before
    outcome.signals, outcome.system_calls = live["signals"], live["system_calls"]
    outcome.checked_loads, outcome.checked_stores = live["checked_loads"], live["checked_stores"]
    return outcome


def _differ(pair: _Pair) -> bool:
    model, live = pair.counts()
    return model != live or not np.array_equal(*pair.faults())


def _first_row(
    trace: Any, strategy: Strategy, label: str, batch_row: int, options: dict[str, Any], *, ends: bool = False
) -> Parting:
    """Run again, whole batches up to the one that begins with `batch_row`, then in ever smaller pieces.

    `ends`: all of guest RAM is compared after each piece.
    """
    first, found = batch_row, False
    for piece in PIECES:
        with _Pair(strategy, trace.mode, label, address_bits=trace.address_bits, **options) as pair:
            for columns in _pieces(trace, first, piece):
                at, wrong = pair.engine.rows, None
                try:
                    pair.feed(columns)
                    if ends:
                        pair.engine.end()
                except WrongData as error:
                    wrong = error.what
                except EngineDied:
                    if piece == 1:
                        raise  # they agreed until then: nothing but the death can be told
                    first, found = at, True
                    break
                (model, live), faults = pair.counts(), pair.faults()
                if wrong is None and model == live and np.array_equal(*faults):
                    if at >= first + BATCH_ROWS and not ends:
                        break  # it is not in this batch any more
                    continue
                first, found = at, True
                if piece == 1:
                    different = [name for name in model if model[name] != live[name]]
                    what = wrong or ", ".join(f"{name} {model[name]:,} / {live[name]:,}" for name in different)
                    return Parting(at, what, *(_told(strategy, records) for records in faults))
                break
        if not found:
            break
    return Parting(first, NOT_TWICE)


def _told(strategy: Strategy, records: np.ndarray) -> tuple[tuple[int, str], ...]:
    return tuple((int(record["vaddr"]), strategy.column_of(int(record["cause"]))) for record in records)


def _pieces(trace: Any, first: int, piece: int) -> Iterator[Columns]:
    """The trace's batches up to row `first`, from there on `piece` rows at a time."""
    row = 0
    for columns in trace.batches():
        rows, start = len(columns.op), 0
        while start < rows:
            stop = min(rows, start + piece) if row + start >= first else min(rows, first - row)
            yield Columns(*(column[start:stop] for column in columns))
            start = stop
        row += rows


@dataclass(frozen=True)
class Verified:
    """What `verify` found, trace by trace and scheme by scheme, and what made it."""

    outcomes: list[VerifiedRun]
    manifest: dict[str, Any]

    @property
    def equal(self) -> bool:
        return all(outcome.equal for outcome in self.outcomes)

    @property
    def frame(self) -> pd.DataFrame:
        """Tidy: trace strategy event model live equal, a row each; and first_row, where a run parts."""
        found = [
            (o.trace, str(o.strategy), event, o.model[event], o.live[event], o.model[event] == o.live[event],
             None if o.parting is None else o.parting.row)
            for o in self.outcomes
            for event in o.model
        ]  # fmt: skip
        names = ["trace", "strategy", "event", "model", "live", "equal", "first_row"]
        return pd.DataFrame(found, columns=names).astype({"first_row": "Int64"})


def verify(
    traces: Any = None,
    strategies: Any = None,
    *,
    thread: int | str | None = None,
    progress: Progress | None = None,
    note: Callable[[str], None] = lambda line: None,
    command: Sequence[str] | None = None,
    memory_mb: int = MEMORY_MB,
    **options: Any,
) -> Verified:
    """Each trace (paths; None is the bundled one) under each strategy (specs; None is all schemes), model and engine.

    `note` hears which default scheme has no engine or cannot serve a trace: it is left out. Before an engine
    starts it also hears what memory that takes, if it is much; more than `memory_mb` is refused by MmuexpError.
    `thread` is as for compare; rows are then numbered without those of other threads. Options: plant time_limit.
    Raises as `verify_one`, UsageError.
    """
    memory_mb = positive(memory_mb, "memory_mb", "give megabytes", whole=True)
    if "time_limit" in options:
        positive(options["time_limit"], "time_limit", "give seconds")
    chosen: Any = None if strategies is None else given_schemes(strategies)
    started, one = manifest.utc_now(), checked_thread(thread)
    outcomes: list[VerifiedRun] = []
    facts = []
    is_named = bool(chosen) and not any(isinstance(one, Group) for one in chosen)
    for strategy in chosen if is_named else []:
        engine_for(strategy)  # a scheme without an engine is said before the work
    for path in given_traces(traces):
        label = label_of(path)
        with opened_trace(path, one) as trace:
            needed = memory_needed(trace, label)
            told = check_memory(needed, label, memory_mb)
            if needed >= MUCH_BYTES:
                note(f"{label}: {told}")
            facts.append(manifest.trace_facts(trace, label) | {"engine_memory_bytes": needed})
            schemes = schemes_for(chosen or [Group("")], trace.mode, trace.address_bits)
            for strategy in schemes if is_named else _with_engine(schemes, note):
                try:
                    outcomes.append(verify_one(trace, strategy, label, progress=progress, **options))
                except SchemeStopped as error:
                    if is_named:
                        raise
                    note(f"{label}: {strategy} is left out, it cannot serve this trace: {error.what}")
    used = {str(o.strategy): o.strategy for o in outcomes}.values()
    about = {"strategies": [manifest.expanded(strategy) for strategy in used], "traces": facts}
    return Verified(outcomes, manifest.of_run("verify", command, started, "yes", **about))


def _with_engine(strategies: Sequence[Strategy], note: Callable[[str], None]) -> list[Strategy]:
    """Those of the default schemes that have a C half; a scheme of a third party may have none."""
    served = []
    for strategy in strategies:
        try:
            source_of(type(strategy))
            served.append(strategy)
        except NoEngine as error:
            note(f"{strategy} is left out, it {error.what}")
    return served
