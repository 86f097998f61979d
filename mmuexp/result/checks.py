"""Checks on a result, for scripts and CI: `faults>1000`, `map-block:access_ns > 1.05 * softmmu:access_ns`.

An expression (expression.py) with a comparison. A bare COLUMN is that of each row in turn, SPEC:COLUMN that of the
scheme beside it. It is never true where a cell is empty (no such event) or it divides by 0.
"""

from collections.abc import Callable, Collection, Iterable

from mmuexp.errors import CheckFailed, UsageError
from mmuexp.result.expression import Expression, NoValue, parse
from mmuexp.result.table import COLUMNS, IDENTITY, LIVE, WINDOW, Result, rows_of
from mmuexp.result.turns import Turn, is_of, turns, value_in

OPTION = "--fail-if"
ELSEWHERE = {WINDOW: "compare --every ROWS"} | dict.fromkeys(LIVE, "compare --live")
TODO = "write it as 'faults>1000' or 'map-block:faults > 2 * softmmu:tlb_fills'"


def parse_check(text: str, more_columns: Iterable[str] = (), schemes: Collection[str] | None = None) -> Expression:
    """A check from its text; `schemes` are the specs that the result will hold, if they are known.

    Raises UsageError for what is none, an unknown column or strategy, and a scheme that will not be there.
    """
    known = [column for column in (*COLUMNS, *more_columns) if column not in IDENTITY]
    check = parse(text, known, where=OPTION, todo=TODO, compares=True, elsewhere=ELSEWHERE)
    if schemes is not None:
        _all_there(check, schemes)
    return check


def _all_there(check: Expression, schemes: Collection[str]) -> None:
    for term in check.terms:
        if not any(is_of({"strategy": spec}, term.spec) for spec in schemes):
            what = f"{check.text!r} names {(term.spec or '').rstrip(',')}, which the result does not hold"
            raise UsageError(what, where=OPTION, todo=f"it holds {' '.join(dict.fromkeys(schemes))}")


def fail_if(result: Result, checks: Iterable[Expression], say: Callable[[str], None] = lambda line: None) -> None:
    """Raises CheckFailed (exit code 3) that names the first rows of which a check is true.

    A check that has no value anywhere is no failure; `say` is told of it.
    """
    rows = rows_of(result.frame)
    failed: list[tuple[Expression, Turn]] = []
    for check in checks:
        decided, why = False, "no rows of these schemes stand beside each other"
        for turn in turns(check, rows, result.parameters):
            try:
                is_true = value_in(check, turn)
            except NoValue as reason:
                why = str(reason)
                continue
            decided = True
            if is_true:
                failed.append((check, turn))
        if not decided:
            say(f"{OPTION} {check.text!r} could not be decided for any row: {why}")
    if failed:
        raise _failure(*failed[0], len(failed) - 1)


def _failure(check: Expression, turn: Turn, others: int) -> CheckFailed:
    row = next(iter(turn.values()))
    window = f" in window {row[WINDOW]}" if row.get(WINDOW) is not None else ""
    cells = [f"{turn[t.spec]['strategy']}{window} has {t.column} {turn[t.spec][t.column]}" for t in check.terms]
    more = f", and {others} more" if others else ""
    has = f"{', '.join(dict.fromkeys(cells))}, which {OPTION} {check.text!r} forbids{more}"
    return CheckFailed(has, where=row["trace"])
