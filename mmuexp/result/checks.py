"""Checks on a result, for scripts and CI: `faults>1000`, `map-block:access_ns > 1.05 * softmmu:access_ns`.

An expression (expression.py) with a comparison. A bare COLUMN is that of each row in turn, SPEC:COLUMN that of the
scheme beside it. It is never true where a cell is empty (no such event) or it divides by 0. Where the trace does not
tell a count, or it divides by 0 wherever it is asked, nobody can say whether it is true: that is an error.
"""

from collections.abc import Callable, Collection, Iterable, Mapping
from types import MappingProxyType

from mmuexp.errors import CheckFailed, MmuexpError, UsageError
from mmuexp.result.declared import CODE_PAGE_STORES, DeclaredBy
from mmuexp.result.expression import Expression, NoResult, NoValue, parse
from mmuexp.result.table import COLUMNS, IDENTITY, LIVE, WINDOW, Result, rows_of
from mmuexp.result.turns import Row, Turn, is_of, turns, value_in

OPTION = "--fail-if"
ELSEWHERE = {WINDOW: "compare --every ROWS"} | dict.fromkeys(LIVE, "compare --live")
TODO = "write it as 'faults>1000' or 'map-block:faults > 2 * softmmu:tlb_fills'"


def parse_check(
    text: str,
    more_columns: Iterable[str] = (),
    schemes: Collection[str] | None = None,
    called: Mapping[str, str] = MappingProxyType({}),
) -> Expression:
    """A check from its text; `schemes` are the specs that the result will hold, if they are known; `called`, for the
    error, what a table calls its columns.

    Raises UsageError for a text that is not a check, an unknown column or strategy, and a scheme that is not given.
    """
    known = [column for column in (*COLUMNS, CODE_PAGE_STORES, *more_columns) if column not in IDENTITY]
    check = parse(text, known, where=OPTION, todo=TODO, compares=True, elsewhere=ELSEWHERE, called=called)
    if schemes is not None:
        _all_there(check, schemes)
    return check


def _all_there(check: Expression, schemes: Collection[str]) -> None:
    for term in check.terms:
        if not any(is_of({"strategy": spec}, term.spec) for spec in schemes):
            what = f"{check.text!r} names {(term.spec or '').rstrip(',')}, which the result does not hold"
            raise UsageError(what, where=OPTION, todo=f"it holds {' '.join(dict.fromkeys(schemes))}")


def fail_if(result: Result, checks: Iterable[Expression], say: Callable[[str], None] = lambda line: None) -> None:
    """Raises CheckFailed (exit code 3) that names the first rows of which a check is true; UsageError for one that asks
    for a count that is unknown, MmuexpError for one that no row decides because it divides by 0.

    A check of events that no scheme has is no failure; `say` is told of it, and of one that lower bounds decide.
    """
    rows, told = rows_of(result.frame), DeclaredBy(result.manifest)
    failed: list[tuple[Expression, Turn]] = []
    for check in checks:
        decided, why = False, NoValue("no rows of these schemes stand beside each other")
        bounded: dict[str, None] = {}
        for turn in turns(check, rows, result.parameters):
            cells = [(turn[term.spec], term.column) for term in check.terms]
            for row, column in cells:
                if told.is_unknown(row, column):
                    raise _unknown(check, row, column, told)
            bounded |= {column: None for row, column in cells if told.is_bounded(row, column)}
            try:
                is_true = value_in(check, turn)
            except NoValue as reason:
                why = why if isinstance(why, NoResult) else reason
                continue
            decided = True
            if is_true:
                failed.append((check, turn))
        if not decided and isinstance(why, NoResult):
            raise MmuexpError(f"{check.text!r} has a value for no row: {why}", where=OPTION, todo=TODO)
        if not decided:
            say(f"{OPTION} {check.text!r} could not be decided for any row: {why}")
        if bounded:
            missing = told.missing(dict.fromkeys(row["trace"] for row in rows))
            say(f"{OPTION} {check.text!r} is decided by lower bounds ({', '.join(bounded)}): the trace lacks {missing}")
    if failed:
        raise _failure(*failed[0], len(failed) - 1)


def _unknown(check: Expression, row: Row, column: str, told: DeclaredBy) -> UsageError:
    what = f"{check.text!r} asks for {column} of {row['strategy']}, which is unknown: {row['trace']} does not tell it"
    todo = f"it lacks {told.of(row['trace']).missing}; check another column"
    return UsageError(what, where=OPTION, todo=todo)


def _failure(check: Expression, turn: Turn, others: int) -> CheckFailed:
    row = next(iter(turn.values()))
    window = f" in window {row[WINDOW]}" if row.get(WINDOW) is not None else ""
    cells = [f"{turn[t.spec]['strategy']}{window} has {t.column} {turn[t.spec][t.column]}" for t in check.terms]
    more = f", and {others} more" if others else ""
    has = f"{', '.join(dict.fromkeys(cells))}, which {OPTION} {check.text!r} forbids{more}"
    return CheckFailed(has, where=row["trace"])
