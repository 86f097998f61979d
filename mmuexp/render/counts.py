"""Lists every column of a result, exact, for pages that people read."""

from mmuexp.result.table import Result, rows_of

UPRIGHT = 30  # up to so many runs stand side by side, since fifty columns fit no page


def every_count(result: Result) -> list[list[str]]:
    """Return a line for each column of the CSV, or for each run where there are many. The first names the rest."""
    rows = rows_of(result.frame)
    columns = list(result.frame.columns)
    lines = [columns, *(["" if row[c] is None else str(row[c]) for c in columns] for row in rows)]
    if len(rows) > UPRIGHT:
        return lines
    return [list(line) for line in zip(*lines, strict=True)]
