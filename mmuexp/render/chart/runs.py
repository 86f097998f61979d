"""The chart of a result: where the time of each run goes (compare), or how it moves with a parameter (sweep, windows).

All times are ns for each memory access, so that recordings of any length share an axis.
"""

from collections.abc import Sequence
from pathlib import PurePath
from typing import Any, NamedTuple

import pandas as pd

from mmuexp.errors import MmuexpError
from mmuexp.result import misses
from mmuexp.result.declared import DeclaredBy
from mmuexp.result.table import WINDOW, Result, access_ns, rows_of
from mmuexp.trace.loadseed import LOAD_SEED

PARTS = {"hit path": "hit_ns", "helpers and handlers": "handler_ns", "translated again": "retranslate_ns"}
KERNEL, EMULATOR = "host kernel", "emulator instructions"
TIME = "memory access time (ns per access)"
Y = "ns_per_access"
RECORDING = "recording"  # a trace by its file name alone, where that says which
WIDE = 20  # an axis whose largest value is so many times its smallest is logarithmic


class Plan(NamedTuple):
    """A frame, the specification of its chart, and what it shows in words."""

    frame: pd.DataFrame
    spec: dict[str, Any]
    alt: str
    caption: str


def plan_of(result: Result, trace: str | None = None) -> Plan:
    """The chart of one trace, or of all. Raises MmuexpError where no run has an access."""
    if result.kind == misses.KIND:
        return _misses(result)
    rows = [row for row in rows_of(result.frame) if trace in (None, row["trace"]) and row["accesses"]]
    if not rows:
        raise MmuexpError("no run has a memory access, so there is nothing to draw", todo="name another trace")
    if result.kind == "sweep" and result.parameters:
        plan = _swept(result, rows)
    else:
        plan = _windows(rows) if result.windowed else _parts(rows)
    if missing := DeclaredBy(result.manifest).missing(dict.fromkeys(row["trace"] for row in rows)):
        bounds = f"times are lower bounds: a trace lacks {missing}"
        plan = plan._replace(alt=f"{plan.alt}; {bounds}", caption=f"{plan.caption} {bounds.capitalize()}.")
    if not result.since:
        return plan
    title = f"counted{result.since}"
    told = f"{plan.alt}; {title}", f"{plan.caption} {title.capitalize()}."
    return Plan(plan.frame, plan.spec | {"title": title}, *told)


def drawn(result: Result) -> Any:
    """Return the chart of a result. Raises MmuexpError where no run has an access."""
    from mmuexp.render.chart.draw import chart_of

    plan = plan_of(result)
    return chart_of(plan.frame, plan.spec)


def _misses(result: Result) -> Plan:
    """Fills by kind as parts of a bar; of several load addresses a point each."""
    rows = rows_of(result.frame)
    tlb = {row["strategy"] for row in rows}
    records = [{**row, "of": f"{row['trace']}, {row['strategy']}" if len(tlb) > 1 else row["trace"]} for row in rows]
    alt = "TLB fills: " + "; ".join(
        f"{name} from {min(fills):,} to {max(fills):,}"
        for name in dict.fromkeys(record["of"] for record in records)
        for fills in [[record["tlb_fills"] for record in records if record["of"] == name]]
    )
    if len({row["load_seed"] for row in rows}) == 1:
        spec: dict[str, Any] = {"mark": "stacked", "x": "of", "y": list(misses.KINDS), "x_title": "recording"}
        return Plan(_frame(records), spec | {"y_title": "TLB fills"}, alt, "Why the TLB fills.")
    spec = {"mark": "point", "x": "load_seed", "y": "tlb_fills", "color": "of", "log_y": True}
    spec |= {"x_title": "load address (seed)", "y_title": "TLB fills", "color_title": "recording"}
    return Plan(_frame(records), spec, alt, "TLB fills of the same program at other load addresses.")


def _parts(rows: Sequence[dict[str, Any]]) -> Plan:
    """A bar a run: hit path, helpers, translator and kernel beside each other."""
    records = []
    for row in rows:
        each = 1 / row["accesses"]
        if row.get("hit_ns") is not None:
            parts = {name: row[column] * each for name, column in PARTS.items() if row[column] is not None}
        else:  # saved before these columns were
            parts = {EMULATOR: (row["ns"] - row["kernel_ns"]) * each}
        records.append({"trace": row["trace"], "scheme": row["strategy"], **parts, KERNEL: row["kernel_ns"] * each})
    several = len({row["trace"] for row in rows}) > 1
    names = [name for name in (*PARTS, EMULATOR, KERNEL) if any(name in record for record in records)]
    spec: dict[str, Any] = {"mark": "stacked", "x": "scheme", "y": names, "y_title": TIME}
    if several:
        spec["facet"] = RECORDING
    alt = "Stacked bars of memory access time per access: " + "; ".join(
        f"{row['strategy']}{' on ' + row['trace'] if several else ''} {access_ns(row) / row['accesses']:.2f} ns"
        for row in rows
    )
    caption = "Where the time goes, ns for each memory access. The parts in blue are emulator instructions."
    return Plan(_frame(records), spec, alt, caption)


def _windows(rows: Sequence[dict[str, Any]]) -> Plan:
    several = len({row["trace"] for row in rows}) > 1
    records = [
        {"trace": row["trace"], "scheme": row["strategy"], "window": row[WINDOW], Y: access_ns(row) / row["accesses"]}
        for row in rows
    ]
    spec: dict[str, Any] = {"mark": "line", "x": "window", "y": Y, "color": "scheme", "x_title": "window"}
    spec |= {"y_title": TIME, "log_y": _wide([record[Y] for record in records])}
    spec |= {"facet": RECORDING} if several else {}
    return Plan(_frame(records), spec, _lines_alt("window", records, "scheme"), "Time in each window of rows.")


def _swept(result: Result, rows: Sequence[dict[str, Any]]) -> Plan:
    """A line for each combination of the other parameters, or for each trace; a scheme of another kind lies flat."""
    x, rest = _axes(result.parameters, rows)
    several = len({row["trace"] for row in rows}) > 1
    series = "setting" if rest else RECORDING
    records = []
    for row in rows:
        if row[x] is not None:
            setting = ",".join(_setting(name, row[name]) for name in rest)
            records.append({"trace": row["trace"], "setting": setting, x: row[x], Y: access_ns(row) / row["accesses"]})
    values = list(dict.fromkeys(record[x] for record in records))
    for row in rows:
        if row[x] is None and rest:  # the reference: it has no such parameter
            flat = {"trace": row["trace"], "setting": row["strategy"], Y: access_ns(row) / row["accesses"]}
            records += [{**flat, x: value} for value in values]
    numeric = all(not isinstance(value, str) for value in values)
    mark = "bar" if not numeric else "point" if x == LOAD_SEED else "line"
    spec: dict[str, Any] = {"mark": mark, "x": x, "y": Y, "color": series}
    spec |= {"x_title": x, "y_title": TIME, "color_title": ", ".join(rest) or RECORDING}
    spec |= {"facet": RECORDING} if rest and several else {}
    spec["log_x"] = numeric and min(values) > 0 and max(values) >= 2 * WIDE * min(values)
    spec["log_y"] = _wide([record[Y] for record in records])
    return Plan(_frame(records), spec, _lines_alt(x, _with_recording(records), series), f"Memory access time over {x}.")


def _axes(parameters: Sequence[str], rows: Sequence[dict[str, Any]]) -> tuple[str, list[str]]:
    """(the parameter on the x axis: the numeric one with most values; the others that vary)"""
    values = {name: {row[name] for row in rows if row[name] is not None} for name in parameters}
    numeric = [name for name in parameters if values[name] and not any(isinstance(v, str) for v in values[name])]
    x = max(numeric or parameters, key=lambda name: len(values[name]))
    return x, [name for name in parameters if name != x and len(values[name]) > 1]


def _setting(name: str, value: Any) -> str:
    if name == "pool_mib":
        return f"a pool of {value} MiB" if value else "a pool of 64 blocks"
    return f"{name}={value}"


def _lines_alt(x: str, records: Sequence[dict[str, Any]], series: str) -> str:
    told = []
    for name in dict.fromkeys(record[series] for record in records):
        ys = [record[Y] for record in records if record[series] == name]
        told.append(f"{name} from {min(ys):.2f} to {max(ys):.2f} ns")
    return f"Lines of memory access time per access over {x}: " + "; ".join(told)


def _wide(values: Sequence[float]) -> bool:
    return min(values) > 0 and max(values) >= WIDE * min(values)


def _frame(records: Sequence[dict[str, Any]]) -> pd.DataFrame:
    return pd.DataFrame(_with_recording(records))


def _with_recording(records: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    short = {record["trace"]: PurePath(record["trace"]).stem for record in records if "trace" in record}
    if len(set(short.values())) < len(short):
        short = {trace: trace for trace in short}
    return [{RECORDING: short[record["trace"]], **record} if "trace" in record else record for record in records]
