"""Says who wins by the model, at which price of a fault that turns, how sure it is, and what the second half says."""

from collections.abc import Collection, Mapping, Sequence
from typing import Any

from mmuexp.price.host import CALIBRATED
from mmuexp.price.priced import is_of_host
from mmuexp.price.verdict import CLOSE, Line, close_to, turns
from mmuexp.render.words import at_prices, duration
from mmuexp.result.table import access_ns
from mmuexp.strategy.registry import TODAY

NAMED = 4  # of many equal runs so many are named
PRICES_NAMED = 3  # and of several prices that turn the order
MEASURED = (CALIBRATED, "now")  # profiles of the reader's own host, as calibrate and compare --live name them
DIFFERS = 0.1  # the ratio of the second half, against that of the whole, from which on it is told


def lines_of(rows: Sequence[Mapping[str, Any]], names: Sequence[str]) -> list[Line]:
    """Return one Line a name; windows of one run are added up."""
    found: dict[str, Line] = {}
    for row, name in zip(rows, names, strict=True):
        old = found.get(name, Line(name, 0.0, 0.0, 0))
        user, kernel = access_ns(row) - row["kernel_ns"], row["kernel_ns"]
        found[name] = Line(name, old.user + user, old.kernel + kernel, old.faults + (row["faults"] or 0))
    return list(found.values())


def sentence(lines: Sequence[Line], reference: str, host: str) -> str:
    """Say who wins. `host` names the profile whose prices the lines are at."""
    if not lines or all(line.ns == 0 for line in lines):
        return "There is nothing to compare: no access costs anything."
    if len(lines) == 1:
        return f"{lines[0].name} takes {duration(lines[0].ns)}; name another scheme to compare it with."
    winner, dearer, cheaper = turns(lines)
    close = close_to(winner, lines)
    if len(close) > 1:
        return _no_winner(winner, close, lines)
    parts = [f"{winner.name} wins: its memory accesses {_margin(winner, lines, reference)}"]
    if dearer is not None:
        price = _price("costs", dearer.x, (winner, dearer.line), host)
        parts.append(f"it stays ahead of {dearer.line.name} while {price}")
        parts.append(f"above that, {dearer.line.name} wins")
    if cheaper is not None:
        parts.append(f"{cheaper.line.name} would win if {_price('cost', cheaper.x, (cheaper.line, winner), host)}")
    if dearer is None and cheaper is None and any(line.faults for line in lines):
        parts.append("it wins at any price of a host fault")
    return "; ".join(parts) + "."


def _no_winner(winner: Line, close: Sequence[Line], lines: Sequence[Line]) -> str:
    names = _Names(lines)
    equal = f"{names.some(close)} are equal within {100 * CLOSE:g} %"
    rest = sorted((line for line in lines if line not in close), key=lambda line: line.ns)
    if not rest:
        return f"{equal}."
    if not winner.ns:
        told = [f"{names.short(line)} {duration(line.ns)}" for line in rest[:NAMED]]
        more = f", {len(rest) - NAMED} more still more" if len(rest) > NAMED else ""
        return f"{names.some(close)} cost nothing at these prices; {', '.join(told)}{more}."
    # to the cheapest, where the table's are to the reference, which costs up to 1 % more: no digits that contradict it
    times = [f"{ratio:,.0f}x" if ratio >= 100 else f"{ratio:.2f}x" for ratio in (line.ns / winner.ns for line in rest)]
    told = [f"{names.short(line)} {time}" for line, time in zip(rest, times, strict=True)][:NAMED]
    told[0] = f"{names.short(rest[0])} is {times[0]}"
    more = f", {len(rest) - NAMED} more still dearer" if len(rest) > NAMED else ""
    return f"{equal}; {', '.join(told)} dearer{more}."


class _Names:
    """What runs are called in a list: in a sweep of one parameter, `map_block_bits=14..22`, and `13` after that."""

    def __init__(self, lines: Sequence[Line]):
        self.order = {line.name: at for at, line in enumerate(lines)}
        swept = [name for name in self.order if "=" in name and "," not in name]
        keys = {name.partition("=")[0] for name in swept}
        self.key = keys.pop() if len(keys) == 1 else None

    def value(self, line: Line) -> str | None:
        key, equals, value = line.name.partition("=")
        return value if equals and key == self.key else None

    def short(self, line: Line) -> str:
        return self.value(line) or line.name

    def some(self, lines: Sequence[Line]) -> str:
        """List runs; three and more values that follow each other in the sweep are a range."""
        spans: list[list[Line]] = []
        others: list[str] = []
        for line in lines:
            if self.value(line) is None:
                others.append(line.name)
            elif spans and self.order[line.name] == self.order[spans[-1][-1].name] + 1:
                spans[-1].append(line)
            else:
                spans.append([line])
        if spans:
            others.append(f"{self.key}=" + ",".join(self.span(span) for span in spans))
        if len(others) > NAMED:
            return f"{', '.join(others[:NAMED])} and {len(others) - NAMED} more"
        return ", ".join(others[:-1]) + " and " * (len(others) > 1) + others[-1]

    def span(self, lines: Sequence[Line]) -> str:
        values = [self.short(line) for line in lines]
        if len(values) > 2 and all(value.isdigit() for value in values):
            return f"{values[0]}..{values[-1]}"
        return ",".join(values)


def _margin(winner: Line, lines: Sequence[Line], reference: str) -> str:
    base = next((line for line in lines if line.name == reference), None)
    if base is None or base is winner or not winner.ns:
        second = min((line for line in lines if line is not winner), key=lambda line: line.ns)
        return f"cost {duration(winner.ns)}, {second.name}'s {duration(second.ns)}"
    return f"cost {base.ns / winner.ns:.2f} times less than {base.name}'s"


def _price(costs: str, x: float, runs: Sequence[Line], host: str) -> str:
    """Say what costs less than x times what it does: a host fault of the first run that takes any, or else host calls
    and pages."""
    for fault_ns in filter(None, (run.fault_ns for run in runs)):
        return f"a host fault {costs} less than {duration(x * fault_ns)} ({duration(fault_ns)} {at_prices(host)})"
    return f"the host kernel {costs} less than {x:.2f} times what it does {at_prices(host)}"


def certainty_sentence(winner: str, entries: Sequence[Mapping[str, Any]], names: Mapping[str, str], host: str) -> str:
    """Say it of a winner, whose `entries` a manifest holds, and of the others, `names`: spec -> name.

    Without an entry of every one of them it is not known, and nothing is said.
    """
    found = {entry["scheme"]: entry for entry in entries}
    if not names or not names.keys() <= found.keys():
        return ""
    unsure = {spec: found[spec] for spec in names if not found[spec]["sure"]}
    if not unsure:
        return "No prices within their ranges put another first."
    alone = [spec for spec, entry in unsure.items() if entry["decided_by"]]
    together = [names[spec] for spec in unsure if spec not in alone]
    knobs = list(dict.fromkeys(knob for spec in alone for knob in unsure[spec]["decided_by"]))
    told = []
    if alone:
        more = f" or {len(knobs) - PRICES_NAMED} more" if len(knobs) > PRICES_NAMED else ""
        first = _or([names[spec] for spec in alone])
        listed = f"{', '.join(knobs[:PRICES_NAMED])}{more}"
        told.append(f"one of these alone, within its range, puts {first} before {winner}: {listed}")
    if together:
        told.append(f"several prices at once, each within its range, put {_or(together)} before {winner}")
    return f"Not sure: {'; '.join(told)}. {_advice(knobs, host)}"


def _advice(knobs: Sequence[str], host: str) -> str:
    if host not in MEASURED and (not knobs or any(map(is_of_host, knobs))):
        return "`mmuexp calibrate` measures the prices of this host, --live what the schemes take on it."
    return "--live measures what the schemes take on this host."


def _or(names: Sequence[str]) -> str:
    return " or ".join(filter(None, (", ".join(names[:-1]), names[-1])))


def today_sentence(lines: Sequence[Line], today: Collection[str]) -> str:
    """Say which of the schemes of `today`, names of lines, costs least; nothing where the winner is one, or a like."""
    mine = [line for line in lines if line.name in today and line.ns]
    if not mine or any(line in mine for line in close_to(min(lines, key=lambda line: line.ns), lines)):
        return ""
    best = min(mine, key=lambda line: line.ns)
    if len(mine) == 1:
        return (
            f"{best.name}, {duration(best.ns)}, is the only one here that emulators are built with now: -s {TODAY}"
            " compares more."
        )
    return f"Of what emulators are built with now {best.name} costs least here: {duration(best.ns)}."


def half_sentence(rows: Sequence[Mapping[str, Any]], names: Sequence[str], reference: str) -> str:
    """Say where the second half of the rows, alone, has another winner or another ratio; nothing if it has neither.

    By then a program touches few pages for the first time. The ratio is that to the run called `reference`; where that
    one wins, to the next best.
    """
    whole = {name: access_ns(row) for name, row in zip(names, rows, strict=True)}
    half = {name: row.get("second_half_ns") or 0.0 for name, row in zip(names, rows, strict=True)}
    if len(rows) < 2 or not all(whole.values()) or not all(half.values()):
        return ""
    best, then = min(whole, key=whole.__getitem__), min(half, key=half.__getitem__)
    beside = f"--warmup {rows[0]['rows'] // 2} counts from there"
    if half[then] * (1 + CLOSE) < half[best]:
        ratio = f"{half[best] / half[then]:.2f} times less than {best}'s"
        return f"In the second half of the rows alone {then}'s accesses cost least, {ratio}: {beside}."
    other = reference if reference in whole and reference != best else min(set(whole) - {best}, key=whole.__getitem__)
    now, later = whole[other] / whole[best], half[other] / half[best]
    if abs(later / now - 1) <= DIFFERS:
        return ""
    times = f"{later:.2f} times less than {other}'s" if later > 1 + CLOSE else f"as much as {other}'s"
    return f"In the second half of the rows alone {best}'s accesses cost {times}: {beside}."
