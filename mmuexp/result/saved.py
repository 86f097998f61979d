"""Reads a saved result back: .json, or .csv and .parquet with the manifest that stands beside them."""

import contextlib
import csv
import io
import json
from pathlib import Path
from typing import Any

from mmuexp.errors import MmuexpError, UsageError, file_name, reason_of
from mmuexp.result.check import check_columns, check_manifest, checked
from mmuexp.result.manifest import SUFFIX
from mmuexp.result.table import IDENTITY, Result, rows_of

FORMAT = "mmuexp-result-1"
TEXT = "utf-8-sig"  # read with or without the byte order mark that spreadsheets write


def load(path: str) -> Result:
    """Read a saved result; the manifest of .csv and .parquet is read from beside them if it is there.

    Raises MmuexpError for a file that is not a result, or was damaged.
    """
    suffix = Path(path).suffix.lower()
    readers = {".json": _load_json, ".csv": _load_csv, ".parquet": _load_parquet}
    if suffix not in readers:
        what = "is not a saved result by its suffix"
        raise UsageError(what, where=file_name(path), todo=f"known: {' '.join(readers)}")
    try:
        return readers[suffix](path)
    except OSError as error:
        what = f"cannot be read: {reason_of(error)}"
        raise MmuexpError(what, where=path, todo="name a result of compare or sweep") from None
    except (ValueError, KeyError, TypeError, csv.Error, RecursionError, OverflowError) as error:
        reason = " ".join(str(error).split())[:200]
        raise MmuexpError(f"is not a saved result: {reason}", where=path, todo="compare and sweep write them") from None


def _load_json(path: str) -> Result:
    document = json.loads(Path(path).read_text(encoding=TEXT))
    if not isinstance(document, dict) or document.get("format") != FORMAT:
        raise ValueError(f"its format is not {FORMAT}")
    missing = {"kind", "parameters", "manifest", "columns", "rows"} - set(document)
    if missing:
        raise ValueError(f"it has no {min(missing)!r}")
    about = document["manifest"]
    check_manifest(about)
    return checked(document["kind"], document["rows"], document["columns"], about, document["parameters"])


def _load_csv(path: str) -> Result:
    # not pandas: what it makes of a float's last digit depends on its version
    text = Path(path).read_bytes().decode(TEXT)
    if not text:
        raise ValueError("it is empty")
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    columns, *lines = (line for line in reader if line)
    for number, line in enumerate(lines, 1):
        if len(line) != len(columns):
            raise ValueError(f"row {number} has {len(line)} fields, the header {len(columns)}")
    if not text.endswith("\n"):
        raise ValueError(f"row {len(lines)} does not end: the file was cut")
    check_columns(columns, ())  # `checked` knows its kind, and so which there must be
    rows = [{name: _value(name, text) for name, text in zip(columns, line, strict=True)} for line in lines]
    return _beside(path, rows, columns)


def _value(column: str, text: str) -> Any:
    if not text:
        return None
    if column in IDENTITY or not text.isascii() or "_" in text:
        return text
    for kind in (int, float):
        with contextlib.suppress(ValueError):
            return kind(text)
    return text


def _load_parquet(path: str) -> Result:
    import pandas as pd
    import pyarrow as pa

    try:
        table = pd.read_parquet(path)
        return _beside(path, rows_of(table), list(table.columns))
    except pa.ArrowException as error:
        raise ValueError(str(error)) from None


def _beside(path: str, rows: list[dict[str, Any]], columns: list[str]) -> Result:
    """The result of a table, with the manifest that stands beside its file."""
    file = Path(path + SUFFIX)
    if not file.is_file():
        return checked("compare", rows, columns, {}, [])
    try:
        about = json.loads(file.read_text(encoding=TEXT))
        check_manifest(about)
    except (ValueError, RecursionError) as error:
        raise ValueError(f"its manifest {file}: {error}") from None
    return checked(about.get("kind", "compare"), rows, columns, about, about.get("parameters", []))
