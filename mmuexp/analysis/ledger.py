"""What a result is made of as it grows, trace by trace: priced runs as rows of the table, and the verdicts on them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain
from typing import Any

from mmuexp.analysis.cuts import Cuts
from mmuexp.analysis.passes import Run
from mmuexp.analysis.pressure import pressures
from mmuexp.analysis.ranges import companions_of, tables_of
from mmuexp.events import WALK_LEVELS
from mmuexp.price.host import Profile
from mmuexp.price.priced import COLD, FAR, Priced, price, price_table
from mmuexp.price.primitives import LEVELS
from mmuexp.price.verdict import break_even, decided_by, is_sure, ratio_range
from mmuexp.result import manifest
from mmuexp.result.declared import CODE_PAGE_STORES
from mmuexp.result.table import COLUMNS, LIVE, PARTS, TIMES, WINDOW, Result, make_frame
from mmuexp.strategy.registry import unchecked
from mmuexp.trace.loadseed import LOAD_SEED

PricedRuns = Sequence[tuple[Run, Priced]]
Values = Mapping[str, Mapping[str, Any]]  # of the parameter columns, by spec


@dataclass
class Replayed:
    """What schemes counted on one trace, at one load address (None: as recorded, and no other is asked for)."""

    trace: str
    reference: str
    load_seed: int | None
    runs: list[Run] = field(default_factory=list)
    left_out: dict[str, str] = field(default_factory=dict)  # spec -> why
    live: Mapping[str, Any] = field(default_factory=dict)  # spec -> TimedRun
    from_store: list[str] = field(default_factory=list)  # specs that were not replayed now


class Ledger:
    """Collects what was replayed, and makes a Result of it in the end: prices may be measured until then."""

    def __init__(
        self, kind: str, cuts: Cuts, values: Values, command: Sequence[str] | None, *, by_default: bool = False
    ):
        self.kind, self.cuts, self.values, self.command = kind, cuts, values, command
        self.by_default = by_default  # did nobody name a scheme?
        self.started = manifest.utc_now()
        self.parts: list[tuple[Replayed, dict[str, Any]]] = []
        self.failed: list[dict[str, str]] = []  # trace and why, of recordings of a corpus that cannot be replayed

    def add(self, part: Replayed, facts: dict[str, Any]) -> None:
        """Take in what was counted on a trace; `facts` are what a manifest tells of that."""
        levels = max((run.counts.get(WALK_LEVELS) or LEVELS for run in part.runs), default=LEVELS)
        self.parts.append((part, facts if levels == LEVELS else facts | {WALK_LEVELS: levels}))

    def result(self, host: Profile, complete: str, live: Mapping[str, Any] | None = None) -> Result:
        """Price everything at `host`. `complete` is "yes" or says what is missing; `live` how engines were timed."""
        records: list[dict[str, Any]] = []
        names = ("traces", "verdicts", "certainty", "pressure", "second_half", "left_out", "from_store")
        told: dict[str, list] = {name: [] for name in names} | {"failed": self.failed}
        seen: set[tuple] = set()
        for part, facts in self.parts:
            priced = [(run, price(run.strategy, run.counts, host)) for run in part.runs]
            records += self._records(part, priced, host)
            totals = [(run, cost) for run, cost in priced if run.window is None]
            new = judged(self.kind, part.trace, part.reference, totals, self.values, host, part.load_seed)
            new["second_half"] = [_half_of(part.trace, run) for run, _ in totals if run.second_half is not None]
            for name, more in new.items():
                told[name] += more
            if part.from_store:
                where = {} if part.load_seed is None else {LOAD_SEED: part.load_seed}
                told["from_store"].append({"trace": part.trace, **where, "strategies": part.from_store})
            left_out = [{"trace": part.trace, "strategy": spec, "why": why} for spec, why in part.left_out.items()]
            for name, more in (("traces", [facts]), ("left_out", left_out)):  # once for all load addresses
                for one in more:
                    key = name, one["trace"], one.get("strategy"), one.get("why")
                    told[name] += [] if key in seen else [one]
                    seen.add(key)
        seeded = [LOAD_SEED] if any(LOAD_SEED in record for record in records) else []
        columns = tuple(dict.fromkeys([*seeded, *(name for row in self.values.values() for name in row)]))
        window = () if self.cuts.every is None else (WINDOW,)
        frame = make_frame(records, [*window, *columns, *(LIVE if live else ())])
        about = self._manifest(complete, told, host) | {"parameters": list(columns)}
        about |= {} if live is None else {"live": dict(live)}
        frame.attrs["manifest"] = about
        return Result(self.kind, frame, about, columns)

    def _records(self, part: Replayed, priced: PricedRuns, host: Profile) -> list[dict[str, Any]]:
        """The rows of the table: windows if there are any, else totals."""
        values = dict(self.values)
        if part.live:
            from mmuexp.analysis.live_columns import live_columns

            values |= live_columns(part.live, part.runs, host)
        shown = [(run, cost) for run, cost in priced if (run.window is None) == (self.cuts.every is None)]
        return [_record(part, run, cost, host) | dict(values.get(str(run.strategy), {})) for run, cost in shown]

    def _manifest(self, complete: str, told: dict[str, list], host: Profile) -> dict[str, Any]:
        runs = [run for part, _ in self.parts for run in part.runs]
        strategies = list({str(run.strategy): run.strategy for run in runs}.values())
        about: dict[str, Any] = {"every": self.cuts.every, "warmup": self.cuts.warmup}
        about |= {"strategies": [manifest.expanded(strategy) for strategy in strategies], **told}
        about |= {"by_default": True} if self.by_default else {}
        about |= {"unchecked": found} if (found := unchecked(strategies)) else {}
        about["prices"] = price_table(strategies, host)
        return manifest.of_run(self.kind, self.command, self.started, complete, **about)


def _half_of(label: str, run: Run) -> dict[str, Any]:
    """What a manifest tells of a run's second half: the counts that have prices, so that it is priced anew, too."""
    priced = [*run.strategy.price_list(), "translated_insns", "retranslated_insns", FAR, COLD, WALK_LEVELS]
    counts = {name: n for name in priced if (n := (run.second_half or {}).get(name)) is not None}
    return {"trace": label, "strategy": str(run.strategy), "counts": counts}


def _record(part: Replayed, run: Run, cost: Priced, host: Profile) -> dict[str, Any]:
    """The row of a run, by column; `cost` is at the prices of `host`."""
    columns = [*COLUMNS, *run.strategy.own_columns()]
    record: dict[str, Any] = {name: run.counts.get(name) for name in columns}
    record |= {"trace": part.trace, "strategy": str(run.strategy)}
    record |= priced_columns(cost, run.counts["accesses"] or 0)
    if run.second_half is not None:
        record["second_half_accesses"] = run.second_half["accesses"]
        record["second_half_ns"] = price(run.strategy, run.second_half, host).access_ns
    if run.window is not None:
        record[WINDOW] = run.window
    if part.load_seed is not None:
        record[LOAD_SEED] = part.load_seed
    if CODE_PAGE_STORES in run.counts:
        record[CODE_PAGE_STORES] = run.counts[CODE_PAGE_STORES]
    return record | dict.fromkeys(run.unknown)


def priced_columns(cost: Priced, accesses: int) -> dict[str, float | None]:
    """The columns that prices make of counts."""
    same = ("insns", "cross_insns", "cross_ns", "kernel_ns", "ns", "cross_kernel_ns", *PARTS, *TIMES)
    found: dict[str, float | None] = {name: getattr(cost, name) for name in same}
    return found | {"insns_per_access": cost.insns / accesses if accesses else None}


def judged(
    kind: str, label: str, reference: str, priced: PricedRuns, values: Values, host: Profile, load_seed: int | None
) -> dict[str, list[dict]]:
    """`verdicts`, `certainty` and `pressure` of a manifest, of runs over one whole trace; `priced` at `host`."""
    found: dict[str, list[dict]] = {"verdicts": _verdicts(label, reference, priced, load_seed)}
    # at other load addresses the same scheme stands there several times
    found["certainty"] = _certainty(label, priced, values) if load_seed is None else []
    found["pressure"] = []
    for run, cost in priced if kind == "compare" else ():
        found["pressure"] += pressures(label, run.strategy, run.counts, cost, host)
    return found


def _verdicts(label: str, reference: str, priced: PricedRuns, load_seed: int | None) -> list[dict]:
    """For each scheme against the reference: when it wins, and which prices turn that within their ranges."""
    found: list[dict] = []
    known = [p for p in priced if str(p[0].strategy) == reference]
    if not known:  # interrupted before it was replayed
        return found
    base_run, base = known[0]
    where = {"trace": label} | ({} if load_seed is None else {LOAD_SEED: load_seed})
    for run, cost in priced:
        scheme = str(run.strategy)
        faults, base_faults = run.counts["faults"] or 0, base_run.counts["faults"] or 0
        even = break_even(scheme, cost, faults, reference, base, base_faults)
        ours = scheme == reference
        deciding, sure = ([], True) if ours else (decided_by(cost, base), is_sure(cost, base))
        low, high = ratio_range(cost, base)
        ratio = {"ratio_low": low, "ratio_high": high} if low == low else {}
        found.append({**where, **vars(even), "decided_by": deciding, "sure": sure, **ratio})
    return found


def _certainty(label: str, priced: PricedRuns, values: Values) -> list[dict]:
    """For each table that runs over a whole trace stand in: what could put each of them before the cheapest.

    `sure` is that no combination of prices within their ranges does; `decided_by` are the prices that do so alone.
    """
    found, parameters = [], list(dict.fromkeys(chain(*values.values())))
    rows = [
        {**dict.fromkeys(parameters), **values.get(str(run.strategy), {}), "": at} for at, (run, _) in enumerate(priced)
    ]
    for _, group, _ in tables_of(rows, parameters, companions_of(run.strategy for run, _ in priced)):
        mine = [priced[row[""]] for row in group]
        first, least = min(mine, key=lambda one: one[1].access_ns)
        for run, cost in mine:
            if run is not first:
                turned = {"decided_by": decided_by(least, cost), "sure": is_sure(least, cost)}
                found.append({"trace": label, "best": str(first.strategy), "scheme": str(run.strategy), **turned})
    return found
