"""Which rows of a result an expression is about: each row in turn, and beside it the schemes that it names.

Rows are dicts (result.rows_of). They belong together if trace and window are the same, and the swept values too, where
both have such and neither is named with its settings. A scheme that is named bare (map-block) and has several rows is
taken with each of them.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import product
from pathlib import Path
from typing import Any

from mmuexp.result.expression import Expression, NoValue, Number, Term
from mmuexp.result.table import WINDOW

Row = Mapping[str, Any]
Turn = Mapping[str | None, Row]  # spec as in the expression (None: the row in turn) -> row


def stem(trace: str) -> str:
    """A recording by its name alone: traces/luajit.arrow -> luajit."""
    return Path(trace).name.removesuffix(".arrow")


def is_of(row: Row, spec: str | None) -> bool:
    """Is this a row of the scheme? A bare name stands for all its rows, `name,` for the one with every default."""
    if spec is None or "," in spec:
        return spec is None or row["strategy"] == spec.rstrip(",")
    return row["strategy"].partition(",")[0] == spec


def turns(expression: Expression, rows: Iterable[Row], parameters: Sequence[str] = ()) -> Iterator[Turn]:
    """Every combination of rows that the expression is about. `parameters` are the swept columns."""
    specs = list(dict.fromkeys(term.spec for term in expression.terms))
    groups: dict[tuple[Any, ...], list[Row]] = {}
    for row in rows:
        groups.setdefault((row["trace"], row.get(WINDOW)), []).append(row)
    for group in groups.values():
        for chosen in product(*([row for row in group if is_of(row, spec)] for spec in specs)):
            if _swept_alike([row for row, spec in zip(chosen, specs, strict=True) if not _one_run(spec)], parameters):
                yield dict(zip(specs, chosen, strict=True))


def _one_run(spec: str | None) -> bool:
    return spec is not None and "," in spec


def _swept_alike(rows: Iterable[Row], parameters: Sequence[str]) -> bool:
    swept = {tuple(row.get(name) for name in parameters) for row in rows}
    return len({values for values in swept if any(value is not None for value in values)}) <= 1


def value_in(expression: Expression, turn: Turn, rows: Iterable[Row] = ()) -> Number | bool:
    """The expression's value in this turn; `rows` hold other recordings, for COLUMN@TRACE. Raises NoValue."""

    def cell(term: Term) -> Number | None:
        row = row_of(term, turn, rows)
        value = row.get(term.column)
        if value is None:
            raise NoValue(f"{row['strategy']} has no {term.column}")
        return value

    return expression.value(cell)


def row_of(term: Term, turn: Turn, rows: Iterable[Row]) -> Row:
    """The row that has a term's cell. Raises NoValue where there is none."""
    row = turn[term.spec]
    return row if term.trace is None else _elsewhere(row, term.trace, rows)


def _elsewhere(row: Row, trace: str, rows: Iterable[Row]) -> Row:
    """The row of the same scheme (and window) in another recording."""
    for other in rows:
        same = (other["strategy"], other.get(WINDOW)) == (row["strategy"], row.get(WINDOW))
        if same and stem(other["trace"]) == trace:
            return other
    raise NoValue(f"there is no row of {row['strategy']} in {trace}")
