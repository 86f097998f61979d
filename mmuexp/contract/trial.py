"""A strategy tried on some rows: what the checks of contract.py have in common."""

from typing import Any

from mmuexp.contract.sample import sample_trace
from mmuexp.errors import MmuexpError
from mmuexp.guest import Columns
from mmuexp.strategy import Strategy

ROWS = 4000  # of a sample trace
MODES = ("user", "system")


class Broken(MmuexpError):
    """A strategy does not keep the contract."""


class Crashed(Broken):
    """Its rows cannot be replayed at all: the checks after it would say the same."""


def replayed(strategy: Strategy, mode: str, seed: int, *, rows: int = ROWS, chunk: int = ROWS, filtered=True) -> dict:
    """Shape and event counts over a sample trace."""
    return counted_over(strategy, mode, sample_trace(seed, rows, mode), chunk=chunk, filtered=filtered)


def counted_over(strategy: Strategy, mode: str, columns: Columns, *, chunk: int = 1 << 20, filtered=True) -> dict:
    """Shape and event counts over these rows."""
    survey, replay = pair(strategy, mode, filtered=filtered)
    for first in range(0, len(columns.op), chunk):
        part = Columns(*(c[first : first + chunk] for c in columns))
        replay.feed(survey.feed(part))
    return survey.counts() | replay.counts()


def pair(strategy: Strategy, mode: str, **options: Any) -> tuple[Any, Any]:
    """A survey, and a replay that looks at every index, to be fed with what it accepts."""
    from mmuexp.replay.replay import Replay
    from mmuexp.replay.survey import Survey

    return Survey(mode, "sample"), Replay(strategy, mode, where="sample", trusts_passed=False, **options)


def same(a: dict, b: dict, strategy: Strategy, what: str, todo: str = "") -> None:
    for column in sorted(a.keys() | b.keys()):
        if a.get(column) != b.get(column):
            raise Broken(f"{strategy}: {what}: {column} is {a.get(column)} and {b.get(column)}", todo=todo)
