"""A priced run as a row of the table, and the verdict on it."""

from collections.abc import Mapping, Sequence
from itertools import chain
from typing import Any

from mmuexp.analysis.passes import Run
from mmuexp.analysis.pressure import pressures
from mmuexp.analysis.ranges import companions_of, tables_of
from mmuexp.price.host import Profile
from mmuexp.price.priced import FAR, Priced, price
from mmuexp.price.verdict import break_even, decided_by, is_sure, ratio_range
from mmuexp.result.table import COLUMNS, PARTS, TIMES, WINDOW
from mmuexp.trace.loadseed import LOAD_SEED


def half_of(label: str, run: Run) -> list[dict[str, Any]]:
    """What a manifest tells of a run's second half: the counts that have prices, so that it is priced anew, too."""
    if run.second_half is None:
        return []
    priced = [*run.strategy.price_list(), "translated_insns", "retranslated_insns", FAR]
    counts = {name: n for name in priced if (n := run.second_half.get(name)) is not None}
    return [{"trace": label, "strategy": str(run.strategy), "counts": counts}]


def record_of(
    label: str, run: Run, cost: Priced, host: Profile, values: Mapping[str, Mapping], load_seed: int | None
) -> dict[str, Any]:
    """The row of a run, by column; `cost` is at the prices of `host`; `values` holds what else is known of a spec."""
    accesses = run.counts["accesses"] or 0
    columns = [*COLUMNS, *getattr(run.strategy, "extra_events", ())]
    record: dict[str, Any] = {name: run.counts.get(name) for name in columns}
    record |= {"trace": label, "strategy": str(run.strategy), **priced_columns(cost, accesses)}
    if run.second_half is not None:
        record["second_half_accesses"] = run.second_half["accesses"]
        record["second_half_ns"] = price(run.strategy, run.second_half, host).access_ns
    if run.window is not None:
        record[WINDOW] = run.window
    if load_seed is not None:
        record[LOAD_SEED] = load_seed
    return record | dict(values.get(str(run.strategy), {}))


def priced_columns(cost: Priced, accesses: int) -> dict[str, float | None]:
    """The columns that prices make of counts."""
    return {
        "insns": cost.insns,
        "insns_per_access": cost.insns / accesses if accesses else None,
        "cross_insns": cost.cross_insns,
        "cross_ns": cost.cross_ns,
        "kernel_ns": cost.kernel_ns,
        "ns": cost.ns,
        "cross_kernel_ns": cost.cross_kernel_ns,
        **{name: getattr(cost, name) for name in (*PARTS, *TIMES)},
    }


def judged(
    kind: str,
    label: str,
    reference: str,
    priced: list[tuple[Run, Priced]],
    values: Mapping[str, Mapping[str, Any]],
    host: Profile,
    load_seed: int | None,
) -> dict[str, list[dict]]:
    """`verdicts`, `certainty` and `pressure` of a manifest, of runs over one whole trace; `priced` at `host`."""
    found: dict[str, list[dict]] = {"verdicts": verdicts(label, reference, priced, load_seed)}
    # at other load addresses the same scheme stands there several times
    found["certainty"] = certainty(label, priced, values) if load_seed is None else []
    found["pressure"] = []
    if kind == "compare":
        for run, cost in priced:
            found["pressure"] += pressures(label, run.strategy, run.counts, cost, host)
    return found


def verdicts(label: str, reference: str, priced: list[tuple[Run, Priced]], load_seed: int | None) -> list[dict]:
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


def certainty(label: str, priced: Sequence[tuple[Run, Priced]], values: Mapping[str, Mapping[str, Any]]) -> list[dict]:
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
