"""What a chart's specification may ask of a frame, and the rows that the chart is then drawn from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from mmuexp.errors import UsageError

if TYPE_CHECKING:
    import pandas as pd

MARKS = ("line", "point", "bar", "stacked")
TEXTS = ("title", "x_title", "y_title", "color_title")
MOST_ACROSS = 6
KEYS = {"mark", "x", "y", "color", "facet", *TEXTS, "log_x", "log_y", "label", "rule", "across"}


def checked(frame: pd.DataFrame, spec: Mapping[str, Any]) -> str:
    def refuse(what: str, todo: str) -> None:
        raise UsageError(what, where="chart", todo=todo)

    for key in sorted(set(spec) - KEYS):
        refuse(f"{key!r} is no key of a chart", f"there are {', '.join(sorted(KEYS))}")
    mark = spec.get("mark", "line")
    if mark not in MARKS:
        refuse(f"there is no mark {mark!r}", f"there are {', '.join(MARKS)}")
    for key in ("x", "y"):
        if not spec.get(key):
            refuse(f"it has no {key}", "name a column")
    several = isinstance(spec["y"], (list, tuple))
    if several and (mark not in ("stacked", "line") or spec.get("color")):
        refuse("several columns as y", 'that is for mark = "stacked" or "line", without a color')
    across = spec.get("across", 1)
    if isinstance(across, bool) or not isinstance(across, int) or not 1 <= across <= MOST_ACROSS:
        refuse(f"across is {across!r}", f"give 1 to {MOST_ACROSS} small charts in a row")
    if mark == "stacked" and spec.get("log_y"):
        refuse("parts that are stacked on a logarithmic axis", "leave log_y out, or take another mark")
    columns = [spec["x"], *(spec["y"] if several else [spec["y"]])]
    columns += [spec.get(key) for key in ("color", "facet", "label")]
    for column in columns:
        if column and column not in frame.columns:
            refuse(f"there is no column {column!r}", f"there are {', '.join(map(str, frame.columns))}")
    return mark


def records_of(frame: pd.DataFrame, spec: Mapping[str, Any], ys: Sequence[str]) -> list[dict[str, Any]]:
    from mmuexp.result.table import rows_of

    found = []
    for row in rows_of(frame):
        for at, y in enumerate(ys):
            if row[spec["x"]] is None or row[y] is None:
                continue
            one = {"x": row[spec["x"]], "y": row[y]}
            if spec.get("color") or len(ys) > 1:
                one["c"] = str(row[spec["color"]]) if spec.get("color") else y
                one["o"] = at
            if spec.get("facet"):
                one["f"] = str(row[spec["facet"]])
            if spec.get("label"):
                one["n"] = str(row[spec["label"]])
            found.append(one)
    order = {name: at for at, name in enumerate(dict.fromkeys(one.get("c") for one in found))}
    for one in found:
        if "o" in one:
            one["o"] = order[one["c"]]
    return found
