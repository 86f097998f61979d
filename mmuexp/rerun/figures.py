"""The figures of an answer, its tables, and whether what it rests on holds: all from expressions over the counts."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from fractions import Fraction
from typing import Any

from mmuexp.errors import MmuexpError
from mmuexp.render import words
from mmuexp.rerun.about import FILE, Choice, Column, Figure, Table
from mmuexp.rerun.choice import Rows
from mmuexp.result.expression import NoValue, Number
from mmuexp.result.table import WINDOW
from mmuexp.result.turns import Row, Turn, is_of, stem, value_in

# of (turn, value) by value, the least first; the median is one of them, the lower where two stand in the middle
ORDERED: dict[str, Callable[[list], Any]] = {
    "min": lambda found: found[0],
    "median": lambda found: found[(len(found) - 1) // 2],
    "max": lambda found: found[-1],
}


def shown(value: Number, style: str) -> str:
    """A number in the style that experiment.toml asks for; whole ones as counts, others in three digits without."""
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


def figure_text(figure: Figure, rows: Rows) -> str:
    """What stands in the answer for {name}. Raises MmuexpError for a figure that is none here."""
    if figure.kind == "order":
        return _order(figure, rows)
    expression = rows.parse(figure.text, f"figures.{figure.name}", compares=figure.kind == "check")
    found = list(rows.values(expression, figure.choice))
    if not found:
        raise _error(figure, rows, "has no value in any row that it chooses")
    if figure.kind == "check":
        if figure.take == "count":
            return shown(sum(value for _, value in found), figure.format)
        taken = all if figure.take != "any" else any
        return figure.yes if taken(value for _, value in found) else figure.no
    return _taken(figure, found, rows)


def _taken(figure: Figure, found: list[tuple[Turn, Number]], rows: Rows) -> str:
    if figure.take in ("sum", "count"):
        total = sum(value for _, value in found) if figure.take == "sum" else len(found)
        return shown(total, figure.format)
    if figure.take in ORDERED:
        turn, value = ORDERED[figure.take](sorted(found, key=lambda one: one[1]))
    elif len({value for _, value in found}) == 1:
        turn, value = found[0]
    else:
        raise _error(figure, rows, f"has {len(found)} values; choose a trace or strategy, or take min or max")
    return _told(turn, value, figure, rows, f"figures.{figure.name}")


def _told(turn: Turn, value: Number, asked: Figure | Column, rows: Rows, what: str) -> str:
    """The value, or of its row what `show` names."""
    row = next(iter(turn.values()))
    if asked.show == "value":
        return shown(value, asked.format)
    if asked.show not in row:
        raise MmuexpError(f"shows {asked.show!r}, which is no column", where=f"{rows.about.name}/{FILE}: {what}")
    return name_of(row, asked.show)


def name_of(row: Row, column: str) -> str:
    return stem(row["trace"]) if column == "trace" else str(row[column])


def _order(figure: Figure, rows: Rows) -> str:
    """The schemes by a column, least first; the same in every recording that is chosen."""
    column = figure.text.lower()
    if column not in rows.numbers:
        raise _error(figure, rows, f"orders by {column!r}, which is no column of numbers")
    by_trace: dict[Any, list[Row]] = {}
    for row in rows.chosen(figure.choice):
        wanted = figure.choice.strategies
        if row[column] is not None and (not wanted or any(is_of(row, spec) for spec in wanted)):
            by_trace.setdefault((row["trace"], row.get(WINDOW)), []).append(row)
    orders = {
        tuple(row["strategy"] for row in sorted(group, key=lambda row: row[column])) for group in by_trace.values()
    }
    if len(orders) != 1:
        raise _error(figure, rows, f"has {len(orders)} orders; choose a trace")
    return ", ".join(next(iter(orders)))


def _error(figure: Figure, rows: Rows, what: str) -> MmuexpError:
    return MmuexpError(what, where=f"{rows.about.name}/{FILE}: figures.{figure.name}")


def broken_holds(of: Mapping[str, Rows]) -> list[str]:
    """What the answer rests on and is not true (any more), a line each. `of`: name of a command -> its rows."""
    found = []
    for hold in next(iter(of.values())).about.holds:
        rows = of[hold.choice.of]
        expression = rows.parse(hold.check, f"holds {hold.check!r}", compares=True)
        values = list(rows.values(expression, hold.choice))
        if not values:
            found.append(f"{hold.check} has no value in any row that it chooses")
        for turn, value in values:
            if not value:
                row = next(iter(turn.values()))
                cells = [
                    f"{turn[t.spec]['strategy']} has {t.column} {turn[t.spec][t.column]}" for t in expression.terms
                ]
                found.append(f"{hold.check} is not true of {stem(row['trace'])}: {', '.join(dict.fromkeys(cells))}")
                break
    return found


def table_lines(table: Table, rows: Rows) -> list[list[str]]:
    """The head and the lines of a table."""
    chosen = [row for row in rows.chosen(table.choice) if row.get(table.rows) is not None]
    if table.choice.strategies and table.rows == "strategy":
        chosen = [row for row in chosen if any(is_of(row, spec) for spec in table.choice.strategies)]
    if not chosen:
        what = f"tables.{table.name} has no lines: no row has a {table.rows}"
        raise MmuexpError(what, where=f"{rows.about.name}/{FILE}", todo="rows is a column of counts.csv")
    names = list(dict.fromkeys(name_of(row, table.rows) for row in chosen))
    names.sort(key=lambda name: list(table.labels).index(name) if name in table.labels else len(table.labels))
    values = {name_of(row, table.rows): row[table.rows] for row in chosen}
    lines = [[table.head, *(column.head for column in table.columns)]]
    for name in names:
        choice = _line_choice(table, name, values[name])
        label = table.labels.get(name, name)
        lines.append([label, *(_cell(column, rows, choice, table) for column in table.columns)])
    return lines


def _line_choice(table: Table, name: str, value: Any) -> Choice:
    choice = table.choice
    if table.rows == "trace":
        return replace(choice, traces=(name,))
    if table.rows == "strategy":
        return replace(choice, strategies=(name if "," in name else f"{name},",))
    return replace(choice, where={**choice.where, table.rows: value})


def _cell(column: Column, rows: Rows, choice: Choice, table: Table) -> str:
    where = f"tables.{table.name}, {column.head}"
    expression = rows.parse(column.value, where)
    turns = list(rows.turns(expression, choice))
    if column.when is not None:
        when = rows.parse(column.when, where, compares=True)
        if not [value for _, value in rows.values(when, choice) if value]:
            return column.otherwise
    found = []
    for turn in turns:
        try:
            found.append((turn, value_in(expression, turn, rows.rows)))
        except NoValue:
            continue
    if column.take in ORDERED and found:
        found = [ORDERED[column.take](sorted(found, key=lambda one: one[1]))]
    if len({value for _, value in found}) > 1:
        what = f"has {len(found)} values in one cell"
        raise MmuexpError(what, where=f"{rows.about.name}/{FILE}: {where}", todo="choose a trace or a strategy")
    return _told(*found[0], column, rows, where) if found else words.DASH
