"""`reprice`: a saved result at the prices of another host, or at those of today, without its recordings.

Its table holds every count that prices need; prices, verdicts and the winner are made of them again as a replay makes
them. What was counted, how and when stays as the manifest says it; `repriced` says what came later.
"""

import os
from collections.abc import Mapping, Sequence
from typing import Any

from mmuexp.analysis.ledger import judged, priced_columns
from mmuexp.analysis.passes import Run
from mmuexp.errors import MmuexpError, UsageError
from mmuexp.events import WALK_LEVELS, Event
from mmuexp.price.host import Profile, load_profile
from mmuexp.price.priced import SEARCHED, Priced, engine_ns_per_access, price, price_table
from mmuexp.result import manifest
from mmuexp.result.declared import Declared, DeclaredBy
from mmuexp.result.manifest import levels_of
from mmuexp.result.table import IDENTITY, WINDOW, Result, is_measured, make_frame, measured_ns, rows_of
from mmuexp.strategy.registry import given_strategies, parse_saved
from mmuexp.trace.loadseed import LOAD_SEED

# What older versions did not count: lists are priced as long as a boot's, mappings that mprotect split not at all.
MADE_UP_FOR = (SEARCHED, Event.SPLIT_MAPPINGS.column)
REPLAY = "count it anew: mmuexp compare, sweep or rerun"


def reprice(result: Result, host: str | os.PathLike | Profile | None = None, *, strategies: Any = None) -> Result:
    """Price the counts of a result at `host`, as `mmuexp.reprice` does. Raises UsageError, and MmuexpError for a result
    without the counts that prices need."""
    if result.kind not in ("compare", "sweep"):
        raise MmuexpError(f"a result of {result.kind} holds no prices", where="reprice", todo="give one of compare")
    profile = host if isinstance(host, Profile) else load_profile(host)
    known = {} if strategies is None else {one.name: type(one) for one in given_strategies(strategies)}
    rows = rows_of(result.frame)
    schemes = {spec: _scheme(spec, known) for spec in dict.fromkeys(row["strategy"] for row in rows)}
    declared = DeclaredBy(result.manifest)
    levels = levels_of(result.manifest)
    runs = [_run(row, schemes[row["strategy"]], declared.of(row["trace"]), levels[row["trace"]]) for row in rows]
    costs = [price(run.strategy, run.counts, profile) for run in runs]
    halves = {(one["trace"], one["strategy"]): one["counts"] for one in result.manifest.get("second_half", [])}
    changed = [
        {**row, **_priced(cost, row, run), **_live(row, run, profile), **_half(row, run, halves, profile)}
        for row, run, cost in zip(rows, runs, costs, strict=True)
    ]
    columns = [*result.frame.columns]
    frame = make_frame(changed, [c for c in columns if c in (WINDOW, *result.parameters)])
    frame = frame[[*columns, *(c for c in changed[0] if c not in columns)]]
    about = result.manifest | _verdicts(result, rows, runs, profile)
    about |= {"prices": price_table(list(schemes.values()), profile), "repriced": _made()}
    frame.attrs["manifest"] = about
    return Result(result.kind, frame, about, result.parameters)


def _made() -> dict[str, Any]:
    """What a manifest says of the version that priced, beside that which counted."""
    made = manifest.made_by("", [], manifest.utc_now(), "yes")
    return {name: made[name] for name in ("mmuexp", "commit", "modified", "finished")}


def _scheme(spec: str, known: Mapping[str, type]) -> Any:
    try:
        return parse_saved(spec, known)
    except UsageError as error:
        if spec.partition(",")[0] in known:
            raise
        todo = "a scheme of a file of one's own wants it: -s FILE.py"
        raise MmuexpError(f"its scheme is not known here: {error.what}", where=spec, todo=todo) from None


def _run(row: Mapping[str, Any], strategy: Any, declared: Declared, levels: int) -> Run:
    """A row as prices take it. What has a price and no column was not counted, and is not free (but for
    MADE_UP_FOR); what its trace does not tell was left out when it was counted."""
    needed = [*strategy.price_list(), *strategy.engine_price_list(), "retranslated_insns"]
    unknown = declared.unknown_to(strategy)
    absent = {*MADE_UP_FOR, *unknown, *strategy.lacks()}
    missing = [name for name in needed if row.get(name) is None and name not in absent]
    if missing:
        has = "nothing in" if missing[0] in row else "no"
        what = f"has {has} column {missing[0]}, which prices of {strategy} need: an older version saved it"
        raise MmuexpError(what, where=row["trace"], todo=REPLAY)
    return Run(strategy, row.get(WINDOW), dict(row) | {WALK_LEVELS: levels}, unknown=unknown)


def _priced(cost: Priced, row: Mapping[str, Any], run: Run) -> dict[str, float | None]:
    """The columns that prices make, but for those that are unknown."""
    return {name: None if name in run.unknown else n for name, n in priced_columns(cost, row["accesses"]).items()}


def _live(row: Mapping[str, Any], run: Run, profile: Profile) -> dict[str, Any]:
    """What the model says of an engine changes with the prices; what was measured does not."""
    if not is_measured(row):
        return {}
    model, ns = engine_ns_per_access(run.strategy, run.counts, profile), measured_ns(row)
    return {"live_model_ns_per_access": model, "live_error_ns_per_access": None if ns is None else model - ns}


def _half(row: Mapping[str, Any], run: Run, halves: Mapping[tuple, Mapping], profile: Profile) -> dict[str, Any]:
    """The time of the second half of its rows; without its counts it is not known at these prices."""
    if row.get("second_half_ns") is None:
        return {}
    counts = halves.get((row["trace"], row["strategy"]))
    return {"second_half_ns": None if counts is None else price(run.strategy, counts, profile).access_ns}


def _verdicts(result: Result, rows: Sequence[Mapping], runs: Sequence[Run], profile: Profile) -> dict[str, list]:
    """`verdicts`, `certainty` and `pressure` of the manifest, for what it had such of."""
    references = {(v["trace"], v.get(LOAD_SEED)): v["reference"] for v in result.manifest.get("verdicts", [])}
    values = {row["strategy"]: {name: row[name] for name in result.parameters} for row in rows}
    found: dict[str, list] = {"verdicts": [], "certainty": [], "pressure": []}
    tables: dict[tuple, list[tuple[Mapping, Run]]] = {}
    for row, run in zip(rows, runs, strict=True):
        tables.setdefault((row["trace"], row.get(LOAD_SEED)), []).append((row, run))
    for (trace, seed), mine in tables.items():
        priced = [(run, price(run.strategy, run.counts, profile)) for run in _totals([run for _, run in mine])]
        reference = references.get((trace, seed), "")
        for name, more in judged(result.kind, trace, reference, priced, values, profile, seed).items():
            found[name] += more
    return found


def _totals(runs: Sequence[Run]) -> list[Run]:
    """A run a scheme: its windows, which follow each other, added up."""
    totals: dict[str, dict[str, Any]] = {}
    strategies = {str(run.strategy): run.strategy for run in runs}
    for run in runs:
        total = totals.setdefault(str(run.strategy), {})
        for name, count in run.counts.items():
            if name == WALK_LEVELS:
                total[name] = max(total.get(name, 0), count or 0)
            elif name not in IDENTITY and isinstance(count, int):
                total[name] = total.get(name, 0) + count
    return [Run(strategies[spec], None, counts) for spec, counts in totals.items()]
