"""Puts the recordings of a comparison together: how each scheme stands to the reference over all of them."""

import os
from collections.abc import Mapping
from math import exp, fsum, log
from typing import Any, NamedTuple

from mmuexp.render import words
from mmuexp.render.summary import Summary
from mmuexp.result.table import LIVE, Result, access_ns, rows_of

NOTE = (
    "The geometric mean is that of a scheme's memory access time to the reference's, each recording counting alike;"
    " best and worst are the recordings where that ratio is least and largest. A scheme wins a recording where no other"
    " takes less. A scheme has no ratio on a recording that it cannot serve."
)


class Across(NamedTuple):
    """One scheme over the recordings. Ratios are of its memory access time to the reference's."""

    strategy: str
    ratios: dict[str, float]  # by recording
    wins: int

    @property
    def mean(self) -> float | None:
        """The geometric mean; None where there is no ratio, 0 where one is."""
        if not self.ratios:
            return None
        if not all(self.ratios.values()):
            return 0.0
        return exp(fsum(map(log, self.ratios.values())) / len(self.ratios))

    def at(self, choose: Any) -> tuple[str, float]:
        """The recording with the least ratio (`choose` is min) or the largest, and that ratio."""
        return choose(self.ratios.items(), key=lambda one: one[1])


def is_corpus(result: Result) -> bool:
    """Is this a comparison over several recordings, whole ones?"""
    return result.kind == "compare" and not result.windowed and result.frame["trace"].nunique() > 1


def across(result: Result) -> list[Across]:
    """Return each scheme of a comparison over all its recordings, in the order of the table."""
    times: dict[str, dict[str, float]] = {}  # recording -> scheme -> ns
    for row in rows_of(result.frame):
        times.setdefault(row["trace"], {})[row["strategy"]] = access_ns(row)
    references = {one["trace"]: one["reference"] for one in result.manifest.get("verdicts", [])}
    found: dict[str, Across] = {}
    for trace, each in times.items():
        base = each.get(references.get(trace, next(iter(each))))
        least, most = min(each.values()), max(each.values())
        for spec, ns in each.items():
            one = found.setdefault(spec, Across(spec, {}, 0))
            if base:
                one.ratios[trace] = ns / base
            found[spec] = one._replace(wins=one.wins + (ns == least < most))
    return list(found.values())


def summary_across(result: Result) -> Summary:
    """Return the table over all recordings, with its sentence."""
    rows, traces = across(result), list(result.frame["trace"].unique())
    named = {one["reference"] for one in result.manifest.get("verdicts", [])}
    reference = named.pop() if len(named) == 1 else "the reference"
    names = _short(traces)
    heads = ["scheme", "recordings", f"geometric mean\nagainst {reference}", "best", "worst", "wins"]
    cells = [_cells(one, names, len(traces), reference) for one in rows]
    everywhere = {
        at: one.mean for at, one in enumerate(rows) if one.mean is not None and len(one.ratios) == len(traces)
    }
    best = min(everywhere, key=lambda at: everywhere[at]) if everywhere else None
    text = "No scheme serves all recordings." if best is None else _sentence(rows[best], reference, len(traces))
    notes = [NOTE]
    if result.frame.columns.isin(LIVE).any():
        notes.append("By the model; what was measured stands with each recording.")
    notes += [f"Not replayed: {one['why']}" for one in result.manifest.get("failed", [])]
    if result.manifest.get("complete", "yes") != "yes":
        notes.append(f"Not complete: {result.manifest['complete']}.")
    return Summary(f"All {len(traces):,} recordings together", heads, cells, {0, 3, 4}, best, False, text, notes)


def _cells(one: Across, names: Mapping[str, str], traces: int, reference: str) -> list[str]:
    count = f"{traces:,}" if len(one.ratios) == traces else f"{len(one.ratios):,} of {traces:,}"
    if one.mean is None:
        return [one.strategy, count, words.DASH, words.DASH, words.DASH, words.number(one.wins)]
    if one.strategy == reference:
        return [one.strategy, count, "reference", words.DASH, words.DASH, words.number(one.wins)]
    ends = [f"{words.factor(ratio, 1.0)}, {names[trace]}" for trace, ratio in (one.at(min), one.at(max))]
    return [one.strategy, count, words.factor(one.mean, 1.0), *ends, words.number(one.wins)]


def _sentence(one: Across, reference: str, traces: int) -> str:
    if one.strategy == reference:
        told = "no other scheme that serves all recordings has a lesser geometric mean"
    else:
        told = f"its geometric mean is the least of those that serve all, {words.factor(one.mean or 0, 1.0)}"
        told += f" against {reference}"
    return f"{one.strategy}: {told}; it wins {one.wins:,} of {traces:,} recordings."


def _short(traces: list[str]) -> dict[str, str]:
    """Names for a table: those of the files, where these tell the recordings apart."""
    names = [os.path.basename(trace) or trace for trace in traces]
    return dict(zip(traces, names if len(set(names)) == len(names) else traces, strict=True))
