"""Read what the live engine measured, the tables of results/live; tell a ratio of it beside the model's."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mmuexp.render.export import load
from mmuexp.result.table import Result, access_ns, is_measured, live_interval, measured_ns, rows_of
from mmuexp.result.turns import stem

LIVE = "live"  # the folder beside the experiments that holds tables of `compare --live`
HEAD = ["recording", "scheme", "measured, ns/access", "of the reference's time", "modelled so"]
HEAD += ["with code translated again", "at least", "at most"]


@dataclass(frozen=True)
class LiveTime:
    """Says what one scheme took on one recording by the live engine, ns an access: the median of the rounds (None: not
    measurable), its interval; the model's figure at that machine's prices, without the translator, which the engine
    does not have."""

    recording: str
    spec: str
    ns: float | None
    low: float
    high: float
    model: float

    @property
    def error(self) -> float | None:
        """Of the model, as a share of what was measured; None where that was not measurable."""
        return None if self.ns is None else (self.model - self.ns) / self.ns


def live_results(folder: Path) -> dict[str, Result]:
    """File name -> table of `compare --live`. Raises MmuexpError for a damaged one."""
    return {file.name: load(str(file)) for file in sorted(folder.glob("*.csv"))}


def live_times(results: Iterable[Result]) -> dict[tuple[str, str], LiveTime]:
    """(recording, spec) -> what was measured, of results that may hold such rows."""
    found = {}
    for row in (row for result in results for row in rows_of(result.frame) if is_measured(row)):
        model = row["live_model_ns_per_access"]
        one = LiveTime(stem(row["trace"]), row["strategy"], measured_ns(row), *live_interval(row), model)
        found[one.recording, one.spec] = one
    return found


def measured_beside(folder: Path, result: Result) -> list[list[str]]:
    """Lines of a table, its head first; empty where none of the runs was measured."""
    times = {key: one.ns for key, one in live_times(live_results(folder).values()).items()}
    rows = rows_of(result.frame)
    lines = [HEAD]
    for verdict in result.manifest.get("verdicts", []):
        row = _run(rows, verdict, verdict["scheme"])
        base = _run(rows, verdict, verdict["reference"])
        if row is None or base is None or verdict["scheme"] == verdict["reference"] or "ratio_low" not in verdict:
            continue
        recording = stem(row["trace"])
        mine, its = times.get((recording, row["strategy"])), times.get((recording, base["strategy"]))
        if mine is not None and its is not None:
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
