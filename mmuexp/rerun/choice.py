"""The rows of an experiment's results as expressions see them, with derived columns; which of them are chosen."""

from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace

from mmuexp.errors import UsageError
from mmuexp.rerun.about import About, Choice
from mmuexp.result import misses
from mmuexp.result.declared import DeclaredBy
from mmuexp.result.expression import Expression, NoValue, Number, Term, parse
from mmuexp.result.table import COLUMNS, IDENTITY, LIVE, WINDOW, Result, rows_of
from mmuexp.result.turns import Row, Turn, is_of, row_of, stem, turns, value_in


@dataclass(frozen=True)
class Rows:
    """Every row of one command's result: counts, prices and derived columns; `numbers` are the columns of numbers."""

    about: About
    rows: tuple[Row, ...]
    parameters: tuple[str, ...]
    numbers: frozenset[str]
    told: DeclaredBy  # by the traces
    derived: Mapping[str, Expression] = field(default_factory=dict)

    def parse(self, text: str, what: str, *, compares: bool | None = False) -> Expression:
        """An expression over these columns. Raises MmuexpError that names `what` of experiment.toml."""
        todo = "write it as 'map-block:ns / softmmu:ns'"
        try:
            schemes = {row["strategy"].partition(",")[0] for row in self.rows}
            return parse(text, self.numbers, where=what, todo=todo, compares=compares, traces=True, schemes=schemes)
        except UsageError as error:
            place = what if error.where == what else f"{what}: {error.where}"
            raise self.about.error(error.what, place, error.todo) from None

    def chosen(self, choice: Choice) -> list[Row]:
        """The rows of the recordings that are chosen, and of `where` (a cell that is empty fits)."""
        todo = "counts.csv has what can be chosen"
        for trace in choice.trace:
            if trace not in {stem(row["trace"]) for row in self.rows}:
                raise self.about.error(f"there is no recording {trace!r}", todo=todo)
        found = [row for row in self.rows if not choice.trace or stem(row["trace"]) in choice.trace]
        for name, value in choice.where.items():
            if name not in self.rows[0]:
                raise self.about.error(f"where names {name!r}, which is not a column", todo=todo)
            found = [row for row in found if row[name] is None or row[name] == value]
        return found

    def turns(self, expression: Expression, choice: Choice) -> Iterator[Turn]:
        """The turns of an expression in the rows that are chosen; a choice of schemes is one of the row in turn."""
        for turn in turns(expression, self.chosen(choice), self.parameters):
            row = turn.get(None)
            if row is None or is_chosen(row, choice):
                yield turn

    def values(self, expression: Expression, choice: Choice) -> Iterator[tuple[Turn, Number | bool]]:
        """(turn, value) wherever there is one."""
        for turn in self.turns(expression, choice):
            try:
                yield turn, value_in(expression, turn, self.rows)
            except NoValue:
                continue

    def is_unknown(self, expression: Expression, choice: Choice) -> bool:
        """Is a cell of the expression, in the rows that are chosen, empty because a trace does not tell it?"""
        return any(self._is_unknown(expression, turn) for turn in self.turns(expression, choice))

    def _is_unknown(self, expression: Expression, turn: Turn) -> bool:
        for term in expression.terms:
            with suppress(NoValue):
                row, column = row_of(term, turn, self.rows), term.column
                if column in self.derived:
                    within = self.derived[column]
                    if row[column] is None and any(self._is_unknown(within, one) for one in self.of_row(within, row)):
                        return True
                elif self.told.is_unknown(row, column):
                    return True
        return False

    def is_bounded(self, expression: Expression, turn: Turn) -> bool:
        """Is the expression one column, whose value is a lower bound?"""
        term = expression.root
        return isinstance(term, Term) and self.told.is_bounded(row_of(term, turn, self.rows), term.column)

    def of_row(self, expression: Expression, row: Row) -> list[Turn]:
        """The turns of an expression whose row in turn is this one."""
        beside = [one for one in self.rows if (one["trace"], one.get(WINDOW)) == (row["trace"], row.get(WINDOW))]
        return [turn for turn in turns(expression, beside, self.parameters) if turn.get(None, row) is row]


def is_chosen(row: Row, choice: Choice) -> bool:
    """Has a row the cells of `where`, and a scheme that is chosen?"""
    swept = [name for name, value in choice.where.items() if row[name] != value]
    return not swept and (not choice.strategy or any(is_of(row, spec) for spec in choice.strategy))


def rows_in(about: About, result: Result) -> Rows:
    """The rows of a result, with the columns that experiment.toml derives. Raises MmuexpError."""
    given = [dict(row) for row in rows_of(result.frame)]
    texts = {name for row in given for name, value in row.items() if isinstance(value, str)}
    numbers = frozenset(name for name in given[0] if name not in {*IDENTITY, *texts})
    found = Rows(about, tuple(given), result.parameters, numbers, DeclaredBy(result.manifest))
    for name, text in about.columns.items():
        if name in given[0]:
            raise about.error(f"columns.{name} is there already", todo="rename it")
        known = replace(found, numbers=found.numbers | {*COLUMNS, *LIVE, *misses.COLUMNS} - {*IDENTITY})
        expression = known.parse(text, f"columns.{name}")
        if any(term.column not in found.numbers for term in expression.terms):
            continue  # another table's: misses counts other things than compare, which may measure or not
        values = [_derived(found, expression, row, name) for row in given]
        for row, value in zip(given, values, strict=True):
            row[name] = value
        found = replace(found, numbers=found.numbers | {name}, derived={**found.derived, name: expression})
    return found


def _derived(rows: Rows, expression: Expression, row: Row, name: str) -> Number | None:
    """The value of a derived column in one row, None where there is none."""
    found = rows.of_row(expression, row)
    if len(found) > 1:
        what = f"columns.{name} names a scheme of which there are several rows"
        raise rows.about.error(what, todo="name it with its settings")
    try:
        return value_in(expression, found[0], rows.rows) if found else None
    except NoValue:
        return None
