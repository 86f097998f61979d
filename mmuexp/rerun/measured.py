"""What results/live measured of an experiment's runs, beside its table: one ratio, by the clock and by the model."""

from collections.abc import Mapping, Sequence
from pathlib import Path, PurePath
from typing import Any

from mmuexp.render.export import load
from mmuexp.result.table import Result, access_ns, rows_of

LIVE = "live"  # the folder beside the experiments that holds tables of `compare --live`
HEAD = ["recording", "scheme", "measured, ns/access", "of the reference's time", "modelled so"]
HEAD += ["with code translated again", "at least", "at most"]


def measured_beside(folder: Path, result: Result) -> list[list[str]]:
    """Lines of a table, its head first; empty where none of the runs was measured."""
    timed = _measured(folder.parent / LIVE)
    rows = rows_of(result.frame)
    lines = [HEAD]
    for verdict in result.manifest.get("verdicts", []):
        row = _run(rows, verdict, verdict["scheme"])
        base = _run(rows, verdict, verdict["reference"])
        if row is None or base is None or verdict["scheme"] == verdict["reference"] or "ratio_low" not in verdict:
            continue
        recording = PurePath(row["trace"]).stem
        mine, its = timed.get((recording, row["strategy"])), timed.get((recording, base["strategy"]))
        if mine is not None and its is not None and mine > 0 and its > 0:
            ratios = [mine / its, _engine_ns(row) / _engine_ns(base), access_ns(row) / access_ns(base)]
            ratios += [verdict["ratio_low"], verdict["ratio_high"]]
            lines.append([recording, row["strategy"], f"{mine:.2f}", *(f"{100 * ratio:.0f} %" for ratio in ratios)])
    return lines if len(lines) > 1 else []


def _engine_ns(row: Mapping[str, Any]) -> float:
    """What an engine does of it: it translates nothing."""
    return access_ns(row) - (row.get("retranslate_ns") or 0.0)


def _run(rows: Sequence[dict[str, Any]], verdict: Mapping[str, Any], spec: str) -> dict[str, Any] | None:
    """The one row of a trace under a scheme; None where windows or parameters make several of them."""
    found = [row for row in rows if (row["trace"], row["strategy"]) == (verdict["trace"], spec)]
    return found[0] if len(found) == 1 else None


def _measured(folder: Path) -> dict[tuple[str, str], float]:
    """(recording, spec) -> ns an access, of every table in the folder."""
    found: dict[tuple[str, str], float] = {}
    for file in sorted(folder.glob("*.csv")):
        for row in rows_of(load(str(file)).frame):
            if row.get("live_ns_per_access") is not None:
                found[PurePath(row["trace"]).stem, row["strategy"]] = row["live_ns_per_access"]
    return found
