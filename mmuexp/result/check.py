"""Is a saved result whole? Whatever was damaged or edited by hand is a ValueError that names it, before it is shown."""

from collections.abc import Callable, Sequence
from math import isfinite
from typing import Any, NamedTuple

from mmuexp.errors import TraceError, all_shown, shown
from mmuexp.events import SHAPE
from mmuexp.result import misses
from mmuexp.result.declared import WITHOUT_CODE, WITHOUT_SIZES, DeclaredBy
from mmuexp.result.table import COLUMNS, COUNTS, HALF, IDENTITY, PRICES, REQUIRED, WINDOW, Result, make_frame, new_names

NEVER_EMPTY = {*IDENTITY, *SHAPE, "faults", *PRICES, WINDOW, *misses.KINDS} - {"insns_per_access"}
CAN_BE_UNKNOWN = WITHOUT_SIZES | WITHOUT_CODE
WHOLE = {*COUNTS, HALF[0], WINDOW, *misses.COLUMNS}
NUMBERS = {*COLUMNS, WINDOW, *misses.COLUMNS}
LARGEST = 1 << 63


def checked(kind: Any, rows: Any, columns: Any, manifest: dict[str, Any], parameters: Any) -> Result:
    """The result of these parts of a file. Raises ValueError."""
    if kind not in ("compare", "sweep", misses.KIND):
        raise ValueError(f"its kind is {kind!r}")
    columns, rows, parameters = _one_liners(columns), _one_liners(rows), _one_liners(parameters)
    check_columns(columns, misses.COLUMNS if kind == misses.KIND else REQUIRED)
    if not _texts(parameters) or not set(parameters) <= set(columns):
        raise ValueError("its parameters are not columns of the table")
    if not isinstance(rows, list) or not rows:
        raise ValueError("it holds no rows")
    if today := new_names(columns, parameters):
        columns = [today.get(name, name) for name in columns]
        rows = [{today.get(name, name): row[name] for name in row} if isinstance(row, dict) else row for row in rows]
    manifest = all_shown(manifest)
    told = DeclaredBy(manifest)
    for number, row in enumerate(rows, 1):
        _check_row(row, columns, number, told if manifest else None)
    if kind == misses.KIND:
        return Result(kind, misses.frame_of(rows), manifest, tuple(parameters))
    frame = make_frame(rows, [c for c in columns if c in (WINDOW, *parameters)])
    return Result(kind, frame[columns], manifest, tuple(parameters))


def _one_liners(value: Any) -> Any:
    """Names and cells: with a line break, too, they are of one line."""
    if isinstance(value, dict):
        return {_one_liners(key): _one_liners(one) for key, one in value.items()}
    if isinstance(value, list):
        return list(map(_one_liners, value))
    return shown(value) if isinstance(value, str) else value


def check_columns(columns: Any, required: Sequence[str] = REQUIRED) -> None:
    if not _texts(columns):
        raise ValueError("its columns are not a list of names")
    twice = [name for at, name in enumerate(columns) if name in columns[:at]]
    if twice:
        raise ValueError(f"it has column {twice[0]!r} twice")
    missing = [name for name in required if name not in columns]
    if missing:
        raise ValueError(f"it has no column {missing[0]}")


def _check_row(row: Any, columns: list[str], number: int, told: DeclaredBy | None) -> None:
    """Without a manifest (`told` is None) nobody knows what the trace of a row declares not to know."""
    if not isinstance(row, dict):
        raise ValueError(f"row {number} is not a row")
    if row.keys() != set(columns):
        odd = min(row.keys() ^ set(columns))
        raise ValueError(f"row {number} {'has a strange' if odd in row else 'has no'} {odd!r}")
    for name, value in row.items():
        if value is None:
            if name in NEVER_EMPTY and not (name in CAN_BE_UNKNOWN if told is None else told.is_unknown(row, name)):
                raise ValueError(f"row {number} has nothing as {name}")
        elif name in IDENTITY:
            if not isinstance(value, str):
                raise ValueError(f"row {number} has {value!r} as {name}")
        elif isinstance(value, str):
            if name in NUMBERS:
                raise ValueError(f"row {number} has {value[:40]!r} as {name}, a number belongs there")
        elif not _number(value) or (name in NUMBERS and value < 0) or (name in WHOLE and not _whole(value)):
            raise ValueError(f"row {number} has {str(value)[:40]} as {name}")


def check_manifest(manifest: Any) -> None:
    """What tables show of a manifest is there or absent, but of its kind. Raises ValueError."""
    _check(manifest, MANIFEST, "it")
    try:
        DeclaredBy(manifest)
    except TraceError as error:
        raise ValueError(error.what) from None


def _check(value: Any, shape: Any, what: str) -> None:
    """`shape` is a Kind, a dict of shapes (a name that ends in ? may be absent), or a list of one for each entry."""
    if isinstance(shape, Kind):
        if not (shape.fits(value) or (shape.nullable and value is None)):
            raise ValueError(f"{what} is not {shape.named}")
    elif not isinstance(value, type(shape)):
        raise ValueError(f"{what} is not {'an object' if isinstance(shape, dict) else 'a list'}")
    elif isinstance(shape, list):
        for entry in value:
            _check(entry, shape[0], f"an entry of {what}")
    else:
        of = what.removeprefix("an entry of ").partition(" of ")[0]
        for key, one in shape.items():
            name = key.rstrip("?")
            if name == key or name in value:
                _check(value.get(name), one, name if what == "it" else f"{name} of {of}")


def _texts(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(one, str) for one in value)


def _is_count(value: Any) -> bool:
    return isinstance(value, int) and _number(value) and value >= 0


def _whole(value: float) -> bool:
    return abs(value) < LARGEST and value == int(value)


def _number(value: Any) -> bool:
    """Finite, and small enough for a table."""
    if isinstance(value, int):
        return not isinstance(value, bool) and abs(value) < LARGEST
    return isinstance(value, float) and isfinite(value)


def _bundles(value: Any) -> bool:
    """Is it an object of price lists by scheme, each an object of primitives by count?"""
    lists = value.values() if isinstance(value, dict) else [None]
    bundles = [one for found in lists for one in (found.values() if isinstance(found, dict) else [None])]
    return all(isinstance(one, dict) and _number(one.get("hit", 0)) for one in bundles)


class Kind(NamedTuple):
    """What a value of a manifest may be, and what an error calls that."""

    named: str
    fits: Callable[[Any], bool]
    nullable: bool = False


TEXT = Kind("text", lambda value: isinstance(value, str))
MAYBE_TEXT = TEXT._replace(nullable=True)
NAMES = Kind("a list of names", _texts)
NUMBER = Kind("a number", _number)
MAYBE_NUMBER = NUMBER._replace(nullable=True)
ROWS: Kind = Kind("a number of rows", _is_count, nullable=True)
COUNTED = Kind("an object of counts", lambda value: isinstance(value, dict) and all(map(_is_count, value.values())))
WINS = Kind("an outcome of the verdict on two schemes", lambda value: value in ("always", "never", "below", "above"))
OBJECT = Kind("an object", lambda value: isinstance(value, dict))
BUNDLES = Kind("an object of price lists", _bundles)
YES_OR_NO = Kind("true or false", lambda value: isinstance(value, bool))

RUN = {"trace": TEXT, "strategy": TEXT}
MANIFEST: dict[str, Any] = {
    "complete?": TEXT,
    "kind?": TEXT,
    "parameters?": NAMES,
    "by_default?": YES_OR_NO,
    "warmup?": ROWS,
    "traces?": [{"trace": TEXT, "metadata?": {"sizes?": TEXT, "code?": TEXT, "unknown_sizes?": TEXT}}],
    "left_out?": [{**RUN, "why": TEXT}],
    "failed?": [{"trace": TEXT, "why": TEXT}],
    "second_half?": [{**RUN, "counts": COUNTED}],
    "live?": {"without_engine?": [{"strategy": TEXT, "why": TEXT}]},
    "verdicts?": [
        {"trace": TEXT, "scheme": TEXT, "reference": TEXT, "decided_by": NAMES, "wins": WINS}
        | dict.fromkeys(["fault_ns?", "ratio_low?", "ratio_high?"], MAYBE_NUMBER)
    ],
    "certainty?": [{"trace": TEXT, "best": TEXT, "scheme": TEXT, "decided_by": NAMES, "sure": YES_OR_NO}],
    "pressure?": [
        {**RUN, "column": TEXT, "count": NUMBER, "share": NUMBER}
        | dict.fromkeys(["parameter", "value", "larger"], MAYBE_TEXT)
    ],
    "unchecked?": [{"scheme": TEXT, "check": TEXT}],
    "prices?": {
        "host?": {"name": TEXT, "about": TEXT, "prices": {"insn": {"ns": NUMBER}}, "path?": OBJECT},
        "strategies?": BUNDLES,
    },
}
