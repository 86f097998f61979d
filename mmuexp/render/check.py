"""Is a saved result whole? Whatever was damaged or edited by hand is a ValueError that names it, before it is shown."""

from collections.abc import Mapping, Sequence
from math import isfinite
from typing import Any

from mmuexp.analysis import misses
from mmuexp.errors import all_shown, shown
from mmuexp.events import SHAPE
from mmuexp.result.table import COLUMNS, COUNTS, HALF, IDENTITY, PRICES, REQUIRED, WINDOW, Result, make_frame, new_names

NEVER_EMPTY = {*IDENTITY, *SHAPE, "faults", *PRICES, WINDOW, *misses.KINDS} - {"insns_per_access"}
WHOLE = {*COUNTS, HALF[0], WINDOW, *misses.COLUMNS}
NUMBERS = {*COLUMNS, WINDOW, *misses.COLUMNS}
LARGEST = 1 << 63
WINS = ("always", "never", "below", "above")


def checked(kind: Any, rows: Any, columns: Any, manifest: dict, parameters: Any) -> Result:
    """The result of these parts of a file. Raises ValueError."""
    if kind not in ("compare", "sweep", misses.KIND):
        raise ValueError(f"its kind is {kind!r}")
    columns, rows, parameters = _one_liners(columns), _one_liners(rows), _one_liners(parameters)
    check_columns(columns, misses.COLUMNS if kind == misses.KIND else REQUIRED)
    if not _texts(parameters) or not set(parameters) <= set(columns):
        raise ValueError("its parameters are no columns of the table")
    if not isinstance(rows, list) or not rows:
        raise ValueError("it holds no rows")
    if today := new_names(columns, parameters):
        columns = [today.get(name, name) for name in columns]
        rows = [{today.get(name, name): row[name] for name in row} if isinstance(row, dict) else row for row in rows]
    for number, row in enumerate(rows, 1):
        _check_row(row, columns, number)
    manifest = all_shown(manifest)
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
        raise ValueError("its columns are no list of names")
    twice = [name for at, name in enumerate(columns) if name in columns[:at]]
    if twice:
        raise ValueError(f"it has column {twice[0]!r} twice")
    missing = [name for name in required if name not in columns]
    if missing:
        raise ValueError(f"it has no column {missing[0]}")


def _check_row(row: Any, columns: list[str], number: int) -> None:
    if not isinstance(row, dict):
        raise ValueError(f"row {number} is no row")
    if row.keys() != set(columns):
        odd = min(row.keys() ^ set(columns))
        raise ValueError(f"row {number} {'has a strange' if odd in row else 'has no'} {odd!r}")
    for name, value in row.items():
        if value is None:
            if name in NEVER_EMPTY:
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
    _kind(manifest, dict, "it")
    for name in ("complete", "kind"):
        _kind(manifest.get(name, ""), str, name)
    if not _texts(manifest.get("parameters", [])):
        raise ValueError("parameters are no list of names")
    for name in ("traces", "verdicts", "certainty", "left_out"):
        for entry in _kind(manifest.get(name, []), list, name):
            _kind(entry, dict, f"an entry of {name}")
            _kind(entry.get("trace"), str, f"trace of {name}")
    for entry in _kind(manifest.get("pressure", []), list, "pressure"):
        _check_pressure(_kind(entry, dict, "an entry of pressure"))
    for entry in _kind(manifest.get("second_half", []), list, "second_half"):
        for name in ("trace", "strategy"):
            _kind(_kind(entry, dict, "an entry of second_half").get(name), str, f"{name} of second_half")
        counts = _kind(entry.get("counts"), dict, "counts of second_half").values()
        if not all(_number(n) and isinstance(n, int) and n >= 0 for n in counts):
            raise ValueError("counts of second_half are no numbers")
    warmup = manifest.get("warmup")
    if warmup is not None and not (isinstance(warmup, int) and _number(warmup) and warmup >= 0):
        raise ValueError("warmup is no number of rows")
    for entry in manifest.get("left_out", []):
        for name in ("strategy", "why"):
            _kind(entry.get(name), str, f"{name} of left_out")
    without = _kind(manifest.get("live", {}), dict, "live").get("without_engine", [])
    for entry in _kind(without, list, "without_engine of live"):
        for name in ("strategy", "why"):
            _kind(_kind(entry, dict, "an entry of without_engine").get(name), str, f"{name} of without_engine")
    for verdict in manifest.get("verdicts", []):
        _check_verdict(verdict)
    for entry in manifest.get("certainty", []):
        for name in ("best", "scheme"):
            _kind(entry.get(name), str, f"{name} of certainty")
        if not _texts(entry.get("decided_by")) or not isinstance(entry.get("sure"), bool):
            raise ValueError(f"the certainty of {entry['scheme']} is none")
    prices = _kind(manifest.get("prices", {}), dict, "prices")
    if prices.get("host") is not None:
        _check_host(_kind(prices["host"], dict, "prices of host"))


def _check_verdict(verdict: Mapping[str, Any]) -> None:
    _kind(verdict.get("scheme"), str, "scheme of verdicts")
    _kind(verdict.get("reference"), str, "reference of verdicts")
    if not _texts(verdict.get("decided_by")):
        raise ValueError("decided_by of verdicts is no list of names")
    for end in ("ratio_low", "ratio_high"):
        if verdict.get(end) is not None and not _number(verdict[end]):
            raise ValueError(f"{end} of verdicts is no number")
    price = verdict.get("fault_ns")
    if verdict.get("wins") not in WINS or not (price is None or _number(price)):
        raise ValueError(f"the verdict on {verdict['scheme']} is none")


def _check_pressure(entry: Mapping[str, Any]) -> None:
    for name in ("trace", "strategy", "column"):
        _kind(entry.get(name), str, f"{name} of pressure")
    for name in ("parameter", "value", "larger"):
        if entry.get(name, "") is not None:
            _kind(entry.get(name), str, f"{name} of pressure")
    if not (_number(entry.get("count")) and _number(entry.get("share"))):
        raise ValueError("count and share of pressure are no numbers")


def _check_host(host: Mapping[str, Any]) -> None:
    for name in ("name", "about"):
        _kind(host.get(name), str, f"{name} of host")
    insn = _kind(_kind(host.get("prices"), dict, "prices of host").get("insn"), dict, "insn of host")
    if not _number(insn.get("ns")):
        raise ValueError("ns of insn is no number")


def _kind(value: Any, kind: type, what: str) -> Any:
    if not isinstance(value, kind):
        named: Any = {dict: "object", list: "list", str: "text"}
        raise ValueError(f"{what} is no {named[kind]}")
    return value


def _texts(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(one, str) for one in value)


def _whole(value: float) -> bool:
    return abs(value) < LARGEST and value == int(value)


def _number(value: Any) -> bool:
    """Finite, and small enough for a table."""
    if isinstance(value, int):
        return not isinstance(value, bool) and abs(value) < LARGEST
    return isinstance(value, float) and isfinite(value)
