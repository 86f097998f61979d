"""Tell the figures of an answer, its tables, and whether what it rests on holds: expressions over the counts."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from fractions import Fraction
from typing import Any

from mmuexp.render import words
from mmuexp.render.clock import NOT_MEASURABLE
from mmuexp.rerun.about import AnswerFigure, AnswerTable, Choice, Shown, TableColumn
from mmuexp.rerun.choice import Rows, is_chosen
from mmuexp.result.expression import Expression, Number
from mmuexp.result.table import LIVE
from mmuexp.result.turns import Row, Turn, stem

# of (turn, value) by value, the least first; the median is one of them, the lower where two stand in the middle
ORDERED: dict[str, Callable[[list], Any]] = {
    "min": lambda found: found[0],
    "median": lambda found: found[(len(found) - 1) // 2],
    "max": lambda found: found[-1],
}


def shown(value: Number, style: str) -> str:
    """A number in the style that experiment.toml asks for; without one whole numbers as counts, others in 3 digits."""
    if style in ("", "count") and (isinstance(value, int) or style):
        return f"{value:,}" if isinstance(value, int) else words.number(float(value))
    if style in ("", "digits"):
        return words.significant(float(value))
    if style == "ratio":
        style = ".2f"
    if style == "percent":
        return f"{words.significant(100 * float(value))} %"
    if style in ("duration", "size"):
        return words.duration(float(value)) if style == "duration" else words.size(int(value))
    return f"{float(value) if isinstance(value, Fraction) else value:{style}}"


def figure_text(figure: AnswerFigure, rows: Rows) -> str:
    """What stands in the answer for {name}. Raises MmuexpError for a figure that has no value here."""
    what = f"figures.{figure.name}"
    expression = rows.parse(figure.value, what, compares=figure.words is not None)
    found = list(rows.values(expression, figure))
    if not found:
        if any(term.column in LIVE for term in expression.terms):  # an empty cell: less than the noise of the loop
            return NOT_MEASURABLE
        raise rows.about.error("has no value in any row that it chooses", what)
    if figure.words:
        return figure.words[0 if all(value for _, value in found) else 1]
    return _told(figure, expression, found, rows, what)


def _told(asked: Shown, expression: Expression, found: list[tuple[Turn, Number]], rows: Rows, what: str) -> str:
    """The value that is taken of all that were found, or of its row what `show` names."""
    if asked.take == "count":
        return shown(len(found), asked.format)
    bound = ">= " if any(rows.is_bounded(expression, turn) for turn, _ in found) else ""
    if asked.take == "sum":
        return bound + shown(sum(value for _, value in found), asked.format)
    turn, value = found[0]
    if asked.take in ORDERED:
        turn, value = ORDERED[asked.take](sorted(found, key=lambda one: one[1]))
    elif len({value for _, value in found}) > 1:
        raise rows.about.error(f"has {len(found)} values; choose a trace or strategy, or take min or max", what)
    row = next(iter(turn.values()))
    if asked.show == "value":
        return bound + shown(value, asked.format)
    if asked.show not in row:
        raise rows.about.error(f"shows {asked.show!r}, which is not a column", what)
    return _name_of(row, asked.show)


def _name_of(row: Row, column: str) -> str:
    return stem(row["trace"]) if column == "trace" else str(row[column])


def broken_holds(of: Mapping[str, Rows]) -> list[str]:
    """What the answer rests on and is not true (any more), a line each. `of`: name of a command -> its rows."""
    found = []
    for hold in next(iter(of.values())).about.holds:
        rows = of[hold.of]
        expression = rows.parse(hold.check, f"holds {hold.check!r}", compares=True)
        values = list(rows.values(expression, hold))
        if not values:
            found.append(f"{hold.check} has no value in any row that it chooses")
        for turn in [turn for turn, value in values if not value][:1]:
            row = next(iter(turn.values()))
            cells = [f"{turn[t.spec]['strategy']} has {t.column} {turn[t.spec][t.column]}" for t in expression.terms]
            found.append(f"{hold.check} is not true of {stem(row['trace'])}: {', '.join(dict.fromkeys(cells))}")
    return found


def table_lines(table: AnswerTable, rows: Rows) -> list[list[str]]:
    """The head and the lines of a table."""
    chosen = [row for row in rows.chosen(table) if row.get(table.rows) is not None]
    if table.rows == "strategy":
        chosen = [row for row in chosen if is_chosen(row, table)]
    if not chosen:
        what = f"tables.{table.name} has no lines: no row has a {table.rows}"
        raise rows.about.error(what, todo="rows is a column of counts.csv")
    values = {_name_of(row, table.rows): row[table.rows] for row in chosen}
    lines = [[table.head or table.rows, *(column.head or column.value for column in table.columns)]]
    for name, value in values.items():
        line = _line(table, name, value)
        lines.append([name, *(_cell(column, rows, line, f"tables.{table.name}") for column in table.columns)])
    return lines


def _line(table: AnswerTable, name: str, value: Any) -> Choice:
    """The rows of one line of a table."""
    if table.rows == "trace":
        return replace(table, trace=(name,))
    if table.rows == "strategy":
        return replace(table, strategy=(name if "," in name else f"{name},",))
    return replace(table, where={**table.where, table.rows: value})


def _cell(column: TableColumn, rows: Rows, line: Choice, where: str) -> str:
    what = f"{where}, {column.head or column.value}"
    expression = rows.parse(column.value, what)
    if column.when:
        when = rows.parse(column.when, what, compares=True)
        if not any(value for _, value in rows.values(when, line)):
            return column.otherwise
    found = list(rows.values(expression, line))
    if not found:
        return words.UNKNOWN if rows.is_unknown(expression, line) else words.DASH
    return _told(column, expression, found, rows, what)
