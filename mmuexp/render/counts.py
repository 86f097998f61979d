"""Lists every column of a result, exact, for pages that people read."""

from collections.abc import Mapping
from typing import Any

from mmuexp.render.words import UNKNOWN
from mmuexp.result.declared import DeclaredBy
from mmuexp.result.table import Result, rows_of

UPRIGHT = 30  # up to so many runs stand side by side, since fifty columns fit no page


def every_count(result: Result) -> list[list[str]]:
    """Return a line for each column of the CSV, or for each run where there are many. The first names the rest."""
    rows, told = rows_of(result.frame), DeclaredBy(result.manifest)
    columns = list(result.frame.columns)

    def cell(row: Mapping[str, Any], column: str) -> str:
        if row[column] is not None:
            return str(row[column])
        return UNKNOWN if told.is_unknown(row, column) else ""

    lines = [columns, *([cell(row, column) for column in columns] for row in rows)]
    if len(rows) > UPRIGHT:
        return lines
    return [list(line) for line in zip(*lines, strict=True)]
