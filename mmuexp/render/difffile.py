"""Writes differences to files, and finds the results that they are made of: paths, or what `compare` returns."""

import os
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from mmuexp.errors import UsageError
from mmuexp.render.export import json_bytes, to_csv
from mmuexp.result.difference import Difference, diff
from mmuexp.result.saved import load
from mmuexp.result.table import IDENTITY, Result, new_names

if TYPE_CHECKING:
    import pandas as pd


def _json(found: Difference) -> bytes:
    about = {"differ": bool(found), "rows": found.rows, "cells": found.cells, "why": list(found.why)}
    return json_bytes({**about, "changes": found.frame.to_dict("records")})


def _md(found: Difference) -> bytes:
    from mmuexp.render.diff import markdown

    return markdown(found).encode()


WRITERS: dict[str, Callable[[Difference], bytes]] = {".csv": to_csv, ".json": _json, ".md": _md}


def diff_of(a: Any, b: Any, **options: Any) -> Difference:
    """Return what changed from `a` to `b`, each a path or a DataFrame; options as `difference.diff` takes them."""
    return diff(given_result(a), given_result(b), **options)


def given_result(given: "str | os.PathLike | pd.DataFrame | Result", where: str = "diff") -> Result:
    """Return a saved result, by its path; or what `mmuexp.compare` or `mmuexp.sweep` returned. Raises MmuexpError."""
    if isinstance(given, Result):
        return given
    if isinstance(given, str | os.PathLike):
        return load(os.fspath(given))
    columns = getattr(given, "columns", ())
    if not set(IDENTITY) <= set(columns):
        what = f"a {type(given).__name__} is not a result"
        raise UsageError(what, where=where, todo="give paths of results, or what compare and sweep return")
    about = given.attrs.get("manifest", {})
    parameters = tuple(name for name in about.get("parameters", []) if name in columns)
    given = given.rename(columns=new_names(columns, parameters))
    return Result(about.get("kind", "compare"), given, about, parameters)
