"""What changed between two results: every cell, exactly; and what their manifests say of why.

Rows are matched by trace, strategy, window and swept values. An empty cell (no such event) is not 0. Whole numbers are
compared with ==; a tolerance is for the others alone.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from math import isfinite
from typing import TYPE_CHECKING, Any

from mmuexp.errors import MmuexpError, UsageError, did_you_mean, option
from mmuexp.result.table import IDENTITY, WINDOW, Result, rows_of

if TYPE_CHECKING:
    import pandas as pd

CHANGED, ONLY_A, ONLY_B = "changed", "only in A", "only in B"
COLUMNS = ("change", "trace", "strategy", WINDOW, "column", "a", "b", "difference", "ratio")
Row = Mapping[str, Any]


@dataclass(frozen=True)
class Change:
    """One cell that differs (`change` is CHANGED), or a row or column that only one of the two has.

    Of a row, `column` is None; of a column, `trace` and `strategy`. `difference` is b - a, `ratio` b / a; None where
    that is nothing.
    """

    change: str
    trace: str | None
    strategy: str | None
    window_index: int | None
    column: str | None
    a: Any = None
    b: Any = None

    @property
    def difference(self) -> Any:
        return self.b - self.a if _number(self.a) and _number(self.b) else None

    @property
    def ratio(self) -> float | None:
        return self.b / self.a if _number(self.a) and _number(self.b) and self.a else None


@dataclass(frozen=True)
class Difference:
    """`changes` in the order of A's rows and columns; `rows` and `cells` were compared; `why` are lines for people."""

    changes: tuple[Change, ...]
    rows: int
    cells: int
    why: tuple[str, ...] = field(default=())

    def __bool__(self) -> bool:
        return bool(self.changes)

    @property
    def frame(self) -> pd.DataFrame:
        """Tidy: a row a change. Cells stay Python's numbers, so that integers stay exact."""
        import pandas as pd

        records = [[getattr(change, name) for name in COLUMNS] for change in self.changes]
        return pd.DataFrame(records, columns=list(COLUMNS), dtype=object)


def diff(a: Result, b: Result, *, columns: Collection[str] | None = None, tolerance: float = 0.0) -> Difference:
    """What changed from `a` to `b`.

    columns    compare these alone
    tolerance  relative; numbers that are not whole may differ by so much

    Raises UsageError for an unknown column or an odd tolerance, MmuexpError for a result with a row twice.
    """
    if not (isinstance(tolerance, int | float) and isfinite(tolerance) and tolerance >= 0):
        todo = "give a part, such as 1e-9"
        raise UsageError(f"{tolerance!r} is not a tolerance", where=option("tolerance"), todo=todo)
    keys = [*IDENTITY, WINDOW, *(name for name in a.parameters if name in b.parameters)]
    names_a, names_b = list(a.frame.columns), list(b.frame.columns)
    if columns is not None:
        known = [name for name in dict.fromkeys([*names_a, *names_b]) if name not in keys]
        for name in [name for name in columns if name not in known]:
            todo = did_you_mean(name, known, "both results' headers name them")
            raise UsageError(f"there is no column {name!r} to compare", where=option("columns"), todo=todo)
    rows_a, rows_b = _by_identity(a, keys, "A"), _by_identity(b, keys, "B")
    wanted = [n for n in names_a if n in names_b and n not in keys and (columns is None or n in columns)]
    both = [key for key in rows_a if key in rows_b]
    changes = []
    for change, mine, others in ((ONLY_A, names_a, names_b), (ONLY_B, names_b, names_a)):
        alone = [name for name in mine if name not in others and (columns is None or name in columns)]
        changes += [Change(change, None, None, None, name) for name in alone]
    for change, of, beside in ((ONLY_A, rows_a, rows_b), (ONLY_B, rows_b, rows_a)):
        changes += [_change(change, row, None) for key, row in of.items() if key not in beside]
    for x, y in ((rows_a[key], rows_b[key]) for key in both):
        changes += [_change(CHANGED, x, n, x[n], y[n]) for n in wanted if not same(x[n], y[n], tolerance)]
    return Difference(tuple(changes), len(both), len(both) * len(wanted), tuple(_why(a.manifest, b.manifest)))


def _change(change: str, row: Row, column: str | None, a: Any = None, b: Any = None) -> Change:
    return Change(change, row["trace"], row["strategy"], row.get(WINDOW), column, a, b)


def _by_identity(result: Result, keys: Sequence[str], which: str) -> dict[tuple[Any, ...], Row]:
    found: dict[tuple[Any, ...], Row] = {}
    for row in rows_of(result.frame):
        key = tuple(row.get(name) for name in keys)
        if key in found:
            what = f"result {which} has a row of {row['strategy']} in {row['trace']} twice"
            raise MmuexpError(what, todo="compare and sweep write each once; write it anew")
        found[key] = row
    return found


def same(a: Any, b: Any, tolerance: float = 0.0) -> bool:
    """Are two cells the same? Integers exactly; where one of the two is not an integer, to a relative tolerance."""
    if a == b or not (_number(a) and _number(b)):
        return a == b
    return (isinstance(a, float) or isinstance(b, float)) and abs(a - b) <= tolerance * max(abs(a), abs(b))


def _number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _why(a: Mapping[str, Any], b: Mapping[str, Any]) -> Iterator[str]:
    """What of the two manifests differs, of what can change a result."""
    if not a or not b:
        yield f"{'A' if not a else 'B'} has no manifest, which would say how it was made"
        return
    for name, what in (("model_version", "model version"), ("mmuexp", "mmuexp"), ("commit", "commit")):
        if a.get(name) != b.get(name):
            yield f"{what}: {a.get(name)}, then {b.get(name)}"
    if (a.get("warmup") or 0) != (b.get("warmup") or 0):
        yield f"rows of warm-up: {a.get('warmup') or 0:,}, then {b.get('warmup') or 0:,}"
    for which, about in (("A", a), ("B", b)):
        if about.get("modified"):
            yield f"{which} was made by files that were changed after commit {about.get('commit')}"
    prices_a, prices_b = _part(a, "prices"), _part(b, "prices")
    host_a, host_b = _part(prices_a, "host"), _part(prices_b, "host")
    if host_a.get("name") != host_b.get("name"):
        yield f"host profile: {host_a.get('name')}, then {host_b.get('name')}"
    yield from _differing("prices of the host", _prices_of(host_a), _prices_of(host_b))
    lists_a, lists_b = _part(prices_a, "strategies"), _part(prices_b, "strategies")
    for scheme in lists_a:
        if scheme in lists_b:
            yield from _differing(f"prices of {scheme}", _part(lists_a, scheme), _part(lists_b, scheme))
    yield from _differing("lengths of primitives", _part(prices_a, "primitives"), _part(prices_b, "primitives"))
    digests = {one["trace"]: one.get("sha256") for one in a.get("traces", [])}
    for one in b.get("traces", []):
        if digests.get(one["trace"], one.get("sha256")) != one.get("sha256"):
            yield f"{one['trace']} is another recording: its digest differs"


def _part(of: Any, name: str) -> Mapping[str, Any]:
    found = of.get(name) if isinstance(of, Mapping) else None
    return found if isinstance(found, Mapping) else {}


def _prices_of(host: Mapping[str, Any]) -> Mapping[str, Any]:
    """Every price of a profile, what it holds whole too, by the table that a profile's file has for it."""
    whole = {f"{group}.{name}": p for group in ("path", "dependent") for name, p in _part(host, group).items()}
    return {**_part(host, "prices"), **whole}


def _differing(what: str, a: Mapping[str, Any], b: Mapping[str, Any]) -> Iterator[str]:
    names = [name for name in dict.fromkeys([*a, *b]) if a.get(name) != b.get(name)]
    if a and b and names:
        yield f"{what} differ: {', '.join(names)}"
