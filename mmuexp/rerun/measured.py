"""Read what the live engine measured, the tables of results/live; tell a ratio of it beside the model's."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mmuexp.result.saved import load
from mmuexp.result.table import Result, access_ns, is_measured, live_interval, measured_ns, rows_of
from mmuexp.result.turns import stem

HEAD = ["recording", "scheme", "measured, ns/access", "between", "of the reference's time", "modelled so"]
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
    run: int = 0  # the table that it is of: times of one run were taken together, those of two at different hours

    @property
    def error(self) -> float | None:
        """Of the model, as a share of what was measured; None where that was not measurable."""
        return None if self.ns is None else (self.model - self.ns) / self.ns


def live_results(folder: Path) -> dict[str, Result]:
    """File name -> table of `compare --live`. Raises MmuexpError for a damaged one."""
    return {file.name: load(str(file)) for file in sorted(folder.glob("*.csv"))}


def timed_runs(results: Iterable[Result]) -> list[LiveTime]:
    """What was measured, of results that may hold such rows."""
    return [_timed(row, at) for at, result in enumerate(results) for row in rows_of(result.frame) if is_measured(row)]


def _timed(row: Mapping[str, Any], run: int) -> LiveTime:
    model = row["live_model_ns_per_access"]
    return LiveTime(stem(row["trace"]), row["strategy"], measured_ns(row), *live_interval(row), model, run)


def live_times(results: Iterable[Result]) -> dict[tuple[str, str], LiveTime]:
    """(recording, spec) -> what was measured, in the first result that has it."""
    found: dict[tuple[str, str], LiveTime] = {}
    for one in timed_runs(results):
        found.setdefault((one.recording, one.spec), one)
    return found


def measured_beside(folder: Path, result: Result) -> list[list[str]]:
    """Lines of a table, its head first; empty where none of the runs was measured beside its reference."""
    runs = [live_times([table]) for table in live_results(folder).values()]
    rows = rows_of(result.frame)
    lines = [HEAD]
    for verdict in result.manifest.get("verdicts", []):
        row = _run(rows, verdict, verdict["scheme"])
        base = _run(rows, verdict, verdict["reference"])
        if row is None or base is None or verdict["scheme"] == verdict["reference"] or "ratio_low" not in verdict:
            continue
        recording = stem(row["trace"])
        for mine, its in ((run.get((recording, one["strategy"])) for one in (row, base)) for run in runs):
            if mine and its and mine.ns and its.ns:
                ratios = [mine.ns / its.ns, _engine_ns(row) / _engine_ns(base), access_ns(row) / access_ns(base)]
                ratios += [verdict["ratio_low"], verdict["ratio_high"]]
                told = [f"{mine.ns:.2f}", f"{mine.low:.2f} to {mine.high:.2f}"]
                lines.append([recording, row["strategy"], *told, *(f"{100 * ratio:.0f} %" for ratio in ratios)])
                break
    return lines if len(lines) > 1 else []


def _engine_ns(row: Mapping[str, Any]) -> float:
    """What an engine does of it: it translates nothing."""
    return access_ns(row) - (row.get("retranslate_ns") or 0.0)


def _run(rows: Sequence[dict[str, Any]], verdict: Mapping[str, Any], spec: str) -> dict[str, Any] | None:
    """The one row of a trace under a scheme; None where windows or parameters make several of them."""
    found = [row for row in rows if (row["trace"], row["strategy"]) == (verdict["trace"], spec)]
    return found[0] if len(found) == 1 else None
