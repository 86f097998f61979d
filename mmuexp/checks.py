"""Checks on a result, for scripts and CI: `faults>1000`, `map-block:ns<=2e9`.

[SPEC:]COLUMN OP NUMBER        OP is one of > >= < <= == !=
"""

import operator
import re
from collections.abc import Iterable
from dataclasses import dataclass
from difflib import get_close_matches
from math import isfinite, nan

from mmuexp.errors import CheckFailed, UsageError
from mmuexp.result import COLUMNS, IDENTITY, Result, rows_of

OPERATORS = {
    ">=": operator.ge,
    "<=": operator.le,
    "==": operator.eq,
    "!=": operator.ne,
    ">": operator.gt,
    "<": operator.lt,
}
_FORM = re.compile(r"(?:(?P<spec>[^:<>!]+):)?(?P<column>[A-Za-z_]\w*)(?P<op>>=|<=|==|!=|>|<)(?P<number>[^<>=!]+)")


@dataclass(frozen=True)
class Check:
    """`text` as given; it is about rows whose spec or name is `spec` (None: all rows)."""

    text: str
    spec: str | None
    column: str
    op: str
    number: float

    def holds(self, row: dict) -> bool:
        """Is the expression true of this row? Never where the scheme has no such event."""
        if self.spec is not None and self.spec not in (row["strategy"], row["strategy"].partition(",")[0]):
            return False
        value = row.get(self.column)
        return value is not None and OPERATORS[self.op](value, self.number)


def parse_check(text: str, more_columns: Iterable[str] = ()) -> Check:
    """A check from its text. Raises UsageError for what is none, an unknown column or strategy."""
    todo = "write it as 'faults>1000' or 'map-block:faults>1000'"
    form = _FORM.fullmatch("".join(text.split()))
    if form is None:
        raise UsageError(f"{text!r} is no check", where="--fail-if", todo=todo)
    known = [c for c in (*COLUMNS, *more_columns) if c not in IDENTITY]
    column = form["column"].lower()
    if column not in known:
        near = get_close_matches(column, known, 1)
        hint = f"did you mean {near[0]}?" if near else todo
        raise UsageError(f"there is no column {column!r} of numbers", where="--fail-if", todo=hint)
    number = _number(form["number"])
    if number is None:
        raise UsageError(f"{form['number']!r} is not a number", where="--fail-if", todo=todo)
    return Check(text, _spec(form["spec"]), column, form["op"], number)


def _number(text: str) -> float | None:
    """Finite, in ASCII digits; None for what is none: a check against nan would never fail."""
    try:
        number = float(text.replace("_", "")) if text.isascii() else nan
    except ValueError:
        return None
    return number if isfinite(number) else None


def _spec(text: str | None) -> str | None:
    """A bare name stands for all its rows, a spec with keys for the one run that it names."""
    if text is None:
        return None
    from mmuexp.registry import parse_spec

    strategy = parse_spec(text)
    return strategy.name if "," not in text else str(strategy)


def fail_if(result: Result, checks: Iterable[Check]) -> None:
    """Raises CheckFailed (exit code 3) that names the first row of which a check is true."""
    rows = rows_of(result.frame)
    failed = [(check, row) for check in checks for row in rows if check.holds(row)]
    if not failed:
        return
    check, row = failed[0]
    more = f", and {len(failed) - 1} more" if len(failed) > 1 else ""
    window = f" in window {row['window']}" if row.get("window") is not None else ""
    has = f"{row['strategy']}{window} has {check.column} {row[check.column]}"
    raise CheckFailed(f"{has}, which --fail-if {check.text!r} forbids{more}", where=row["trace"])
