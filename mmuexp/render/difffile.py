"""Differences to files, and the results that they are made of: paths, or DataFrames of `compare` and `sweep`."""

import json
import os
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

from mmuexp.errors import UsageError
from mmuexp.render.export import Output, load
from mmuexp.result import manifest
from mmuexp.result.difference import Difference, diff
from mmuexp.result.table import IDENTITY, Result, new_names

if TYPE_CHECKING:
    import pandas as pd


def to_csv(found: Difference) -> bytes:
    return found.frame.to_csv(index=False, lineterminator="\n").encode()


def to_json(found: Difference) -> bytes:
    document = {"differ": bool(found), "rows": found.rows, "cells": found.cells, "why": list(found.why)}
    document["changes"] = found.frame.to_dict("records")
    return (json.dumps(document, indent=1, ensure_ascii=False) + "\n").encode()


def to_md(found: Difference) -> bytes:
    from mmuexp.render.diff import markdown

    return markdown(found).encode()


WRITERS: dict[str, Callable[[Difference], bytes]] = {".csv": to_csv, ".json": to_json, ".md": to_md}


class DiffFile(Output):
    """A difference as a file; claimed before the work, its manifest beside it."""

    writers: ClassVar[Mapping[str, Callable]] = WRITERS

    def write(self, found: Difference, command: Sequence[str], started: str) -> None:
        with self._writing():
            self._data_file().write_bytes(self.writer(found))
            self._finish(manifest.of_run("diff", command, started, "yes"))


def diff_of(a: Any, b: Any, **options: Any) -> Difference:
    """What changed from `a` to `b`, each a path or a DataFrame; options as `difference.diff` takes them."""
    return diff(given_result(a), given_result(b), **options)


def given_result(given: "str | os.PathLike | pd.DataFrame | Result", where: str = "diff") -> Result:
    """A saved result, by its path; or what `mmuexp.compare` or `mmuexp.sweep` returned. Raises MmuexpError."""
    if isinstance(given, Result):
        return given
    if isinstance(given, str | os.PathLike):
        return load(os.fspath(given))
    columns = getattr(given, "columns", ())
    if not set(IDENTITY) <= set(columns):
        what = f"a {type(given).__name__} is no result"
        raise UsageError(what, where=where, todo="give paths of results, or what compare and sweep return")
    about = given.attrs.get("manifest", {})
    parameters = tuple(name for name in about.get("parameters", []) if name in columns)
    given = given.rename(columns=new_names(columns, parameters))
    return Result(about.get("kind", "compare"), given, about, parameters)
