"""Says who wins by the clock: where `compare --live` measured schemes, that and not the model decides.

A figure is the median of its rounds, and known as well as the interval in which that median lies. Two schemes whose
intervals would overlap, if each lay evenly around its figure, tie. What comes out at or below zero is less than the
noise of the loop that is subtracted from it.
"""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from mmuexp.result.table import is_measured, live_interval, measured_ns

NOT_MEASURABLE = "not measurable"


class Timed(NamedTuple):
    """One scheme as measured, in ns an access: the median of the rounds, its interval; and what the model says.

    `ns` is 0 where it is not measurable.
    """

    name: str
    ns: float
    low: float
    high: float
    model: float
    rounds: int | None = None  # None: a table saved before that was does not say

    @property
    def measurable(self) -> bool:
        return self.ns > 0

    def ties_with(self, other: "Timed") -> bool:
        return abs(self.ns - other.ns) <= (self.high - self.low + other.high - other.low) / 2


def timed(rows: Sequence[Mapping[str, Any]], names: Sequence[str]) -> list[Timed]:
    """Pick the rows that were measured, by the names that a table gives them."""
    found = []
    for row, name in zip(rows, names, strict=True):
        if is_measured(row):
            model, rounds = row["live_model_ns_per_access"], row.get("live_rounds")
            found.append(Timed(name, measured_ns(row) or 0.0, *live_interval(row), model, rounds))
    return found


def first_by_clock(found: Sequence[Timed]) -> list[Timed]:
    """The fastest that can be measured, and after it those that tie with it: all, where one round shows no noise."""
    ordered = sorted((one for one in found if one.measurable), key=lambda one: one.ns)
    return [one for one in ordered if one.rounds == 1 or one.ties_with(ordered[0])]


def winner_by_clock(found: Sequence[Timed]) -> Timed | None:
    """The one that is faster than all others. None beside one that is not measurable: it may be faster still."""
    first = first_by_clock(found)
    return first[0] if len(first) == 1 < len(found) and all(one.measurable for one in found) else None


def clock_sentence(found: Sequence[Timed]) -> str:
    """One sentence on what was measured, one on what the model says of the same accesses."""
    first = first_by_clock(found)
    if not first:
        return "Nothing is measurable on this machine now: what translation takes is less than the noise of the loop."
    rest = sorted((one for one in found if one.measurable and one not in first), key=lambda one: one.ns)
    others = ", ".join(f"{one.name} {one.ns:.2f}" for one in rest)
    if len(first) > 1 and first[0].rounds == 1:
        told = f"Measured here, in one round, {_all(f'{one.name} takes {one.ns:.2f} ns' for one in first)} an access,"
        told += " and how far apart noise brings them is not known: --rounds and --time measure more"
    elif len(first) > 1:
        told = f"Measured here, {_all(one.name for one in first)} tie: {_all(f'{one.ns:.2f}' for one in first)} ns an"
        told += " access, no further apart than their noise" + (f"; {others}" if others else "")
    elif rest:
        wins = "wins" if winner_by_clock(found) else "is the fastest of those that are measurable"
        told = f"Measured here, {first[0].name} {wins}: {first[0].ns:.2f} ns an access; {others}"
    else:
        told = f"Measured here, {first[0].name} takes {first[0].ns:.2f} ns an access"
    lost = [one.name for one in found if not one.measurable]
    told += f"; {_all(lost)}: {NOT_MEASURABLE} on this machine now" if lost else ""
    return f"{told}. {_of_model(found, first)}"


def _of_model(found: Sequence[Timed], first: Sequence[Timed]) -> str:
    best = min(found, key=lambda one: one.model)
    off = f"{best.model:.2f} ns, {best.model - best.ns:+.2f} off" if best.measurable else f"{best.model:.2f} ns"
    if best in first and best.rounds != 1:
        return f"The model has {best.name} first, too ({off})."
    if best in first or not best.measurable:
        return f"The model has {best.name} first ({off})."
    return f"The model has {best.name} first ({off}): it is wrong here, believe the clock."


def _all(names: Any) -> str:
    *most, last = names
    return f"{', '.join(most)} and {last}" if most else last
