"""The one sentence: who wins, and at which fault price that turns.

Every run's time is user + x kernel, x = 1 at the profile's prices; moving x moves the price of a fault in every
scheme alike. The winner is the lowest line at x = 1; the sentence names where it stops being that.
"""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from mmuexp.render.words import duration

NAMED = 4  # of many equal runs so many are named
CLOSE = 0.01  # runs nearer to the winner than this are called equal: no price is known that well


class Line(NamedTuple):
    """One run: ns outside and inside the kernel, and its host faults."""

    name: str
    user: float
    kernel: float
    faults: int

    @property
    def ns(self) -> float:
        return self.user + self.kernel

    @property
    def fault_ns(self) -> float | None:
        return self.kernel / self.faults if self.faults and self.kernel else None


class Turn(NamedTuple):
    """At `x` times today's kernel prices, `line` takes over."""

    x: float
    line: Line


def lines_of(rows: Sequence[Mapping[str, Any]], names: Sequence[str]) -> list[Line]:
    """One Line a name; windows of one run are added up."""
    found: dict[str, Line] = {}
    for row, name in zip(rows, names, strict=True):
        old = found.get(name, Line(name, 0.0, 0.0, 0))
        user, kernel = row["ns"] - row["kernel_ns"], row["kernel_ns"]
        found[name] = Line(name, old.user + user, old.kernel + kernel, old.faults + (row["faults"] or 0))
    return list(found.values())


def turns(lines: Sequence[Line]) -> tuple[Line, Turn | None, Turn | None]:
    """The winner; who overtakes it when faults get dearer (nearest first), and who when they get cheaper."""
    winner = min(lines, key=lambda line: line.ns)
    dearer, cheaper = [], []
    for line in lines:
        user, kernel = line.user - winner.user, line.kernel - winner.kernel
        if user > 0 and kernel < 0:
            dearer.append(Turn(-user / kernel, line))
        elif user < 0 and kernel > 0:
            cheaper.append(Turn(-user / kernel, line))
    return winner, min(dearer, default=None), max(cheaper, default=None)


def sentence(lines: Sequence[Line], reference: str) -> str:
    if not lines or all(line.ns == 0 for line in lines):
        return "There is nothing to compare: no access costs anything."
    if len(lines) == 1:
        return f"{lines[0].name} takes {duration(lines[0].ns)}; name another scheme to compare it with."
    winner, dearer, cheaper = turns(lines)
    close = [line for line in lines if line.ns < winner.ns * (1 + CLOSE)]
    if len(close) > 1:
        return _no_winner(winner, close, lines)
    parts = [f"{winner.name} wins{_margin(winner, lines, reference)}"]
    if dearer is not None:
        who = winner if winner.fault_ns else dearer.line
        parts.append(_turn(f"it stays ahead while a host fault costs less than {_price(dearer.x, who)}", who, dearer))
    if cheaper is not None:
        who = cheaper.line if cheaper.line.fault_ns else winner
        tail = f"{cheaper.line.name} would win if one cost less than {_price(cheaper.x, who)}"
        parts.append(tail + _now(who))
    if dearer is None and cheaper is None:
        parts.append("it does so at any price of a host fault")
    return "; ".join(parts) + "."


def _no_winner(winner: Line, close: Sequence[Line], lines: Sequence[Line]) -> str:
    rest = sorted((line for line in lines if line not in close), key=lambda line: line.ns)
    after = f"; next is {rest[0].name} with {duration(rest[0].ns)}" if rest else ""
    others = [line.name for line in close if line is not winner]
    same = "all others" if not rest and len(others) > 2 else _some(others)
    verb = "is" if len(others) == 1 else "are"
    return f"No winner: within {CLOSE:.0%} of {winner.name} ({duration(winner.ns)}) {verb} {same}{after}."


def _some(names: Sequence[str]) -> str:
    if len(names) <= NAMED:
        return ", ".join(names)
    return f"{', '.join(names[:NAMED])} and {len(names) - NAMED} more"


def _margin(winner: Line, lines: Sequence[Line], reference: str) -> str:
    base = next((line for line in lines if line.name == reference), None)
    if base is None or base is winner or not winner.ns:
        second = min((line for line in lines if line is not winner), key=lambda line: line.ns)
        return f": {duration(winner.ns)}, before {second.name} with {duration(second.ns)}"
    return f": {base.ns / winner.ns:.2f} times as fast as {base.name}"


def _price(x: float, who: Line) -> str:
    return duration(x * who.fault_ns) if who.fault_ns else f"{x:.2f} times today's price"


def _now(who: Line) -> str:
    return f" (here {duration(who.fault_ns)})" if who.fault_ns else ""


def _turn(text: str, who: Line, turn: Turn) -> str:
    return f"{text}{_now(who)}, above that {turn.line.name} is"
