"""How sure a winner is: do prices decide, is the margin more than the model's error, was it measured?

The live engine measures what translation takes on a real processor (results/live); the model's error is what it says
beside that, at the same machine's prices.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import PurePath
from statistics import median
from typing import Any

from mmuexp.claims.evidence import SEVERAL
from mmuexp.report.workloads import Contest
from mmuexp.result.table import Result, is_measured, live_interval, measured_ns, rows_of

SURE, CLOSE, DISPUTED = "sure", "too close", "measured otherwise"
DECIDED, TOGETHER = "a price decides", "several prices decide"
ELSEWHERE = "another winner at the prices measured in results/live"
SPLIT = "recordings disagree"


@dataclass(frozen=True)
class Measured:
    """One scheme on one recording by the live engine, ns an access: the median of the rounds (None: not measurable),
    its interval; the model's figure at that machine's prices, without the translator, which the engine has none of."""

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


@dataclass(frozen=True)
class Verdict:
    """`level` is one of SURE, CLOSE, DECIDED, TOGETHER, ELSEWHERE, DISPUTED; `why` a sentence."""

    level: str
    why: str


def measured(results: Sequence[Result]) -> list[Measured]:
    """What results of `compare --live` hold."""
    found: dict[tuple[str, str], Measured] = {}
    for result in results:
        for row in rows_of(result.frame):
            if is_measured(row):
                one = _measured(row)
                found[one.recording, one.spec] = one
    return list(found.values())


def _measured(row: Mapping[str, Any]) -> Measured:
    return Measured(
        PurePath(row["trace"]).stem,
        row["strategy"],
        measured_ns(row),
        *live_interval(row),
        row["live_model_ns_per_access"],
    )


def typical_error(live: Sequence[Measured]) -> float | None:
    """The median of the model's errors, without their signs; None if nothing was measured."""
    errors = [abs(one.error) for one in live if one.error is not None]
    return median(errors) if errors else None


def judge(contest: Contest, live: Sequence[Measured], *, today: bool = True) -> Verdict:
    """How sure the winner of a contest is. What was measured, prices too, speaks for hosts of `today` alone."""
    tried = {one.spec: one for one in live if one.recording == contest.recording and one.ns is not None and today}
    first, others = tried.get(contest.winner), [spec for spec in contest.ns if spec != contest.winner]
    faster = [spec for spec in others if first and spec in tried and tried[spec].high < first.low]
    if faster:
        return Verdict(DISPUTED, f"the live engine found {faster[0]} faster, beyond its noise")
    over = f"{contest.runner_up} takes {contest.margin:.3g} times as long"
    if first and all(spec in tried and first.high < tried[spec].low for spec in others):
        return Verdict(SURE, f"{over}; the live engine found every other slower, beyond its noise")
    if contest.elsewhere and today:
        return Verdict(ELSEWHERE, "; ".join(f"{spec} wins at those of {at}" for at, spec in contest.elsewhere.items()))
    alone = {name: rival for name, rival in contest.decided_by.items() if name != SEVERAL}
    if alone:
        turned = "; ".join(f"{rival} would be faster: {name}" for name, rival in alone.items())
        return Verdict(DECIDED, f"with one of these elsewhere in its range, {turned}")
    error = typical_error(live)
    if error is not None and contest.margin - 1 <= error:
        return Verdict(CLOSE, f"{over}, the model's error is typically {100 * error:.2g} %")
    if contest.decided_by:
        return Verdict(TOGETHER, f"{contest.decided_by[SEVERAL]} would be faster with {SEVERAL}")
    beyond = f", more than the model's typical error of {100 * error:.2g} %" if error is not None else ""
    return Verdict(SURE, f"{over}{beyond}; no prices within their ranges turn it")
