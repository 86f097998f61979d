"""Sets each section of a page, by a macro of templates/sections.html."""

from __future__ import annotations

import base64
import functools
import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from mmuexp.render import words
from mmuexp.render.chart.vega import convert
from mmuexp.render.html.sections import Cell, Chart, Details, Heading, Table, Text, anchor

FILTERED = 8  # a table with so many rows gets a box that filters them
LONG, PROSE = 24, 70  # characters, from which on a cell keeps some width for itself
FACETS = (1, 2, 3)  # small charts beside each other: as many as fit
INTERACTIVE = "hidden"  # the signal that holds the series which a reader has switched off


@functools.cache
def templates() -> Environment:
    """Return the templates of a page. They escape every text that is not Markup."""
    found = Environment(
        loader=FileSystemLoader(Path(__file__).parent / "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    found.policies["json.dumps_kwargs"] = {}  # in the order that altair gives
    found.filters |= {
        "anchor": anchor,
        "base64": lambda text: base64.b64encode(text.encode()).decode(),
        "csv": lambda frame: frame.to_csv(index=False, lineterminator="\n"),
        "together": _together,
    }
    return found


class Parts:
    """Makes the HTML of sections, and numbers what needs a name."""

    def __init__(self) -> None:
        self.charts = 0
        self.tables = 0
        self._macros: Any = templates().get_template("sections.html").module

    def html(self, sections: Sequence[Any]) -> Markup:
        """Return the sections as HTML. Raises TypeError for anything that is not a section of a page."""
        return Markup("\n").join(map(self._section, sections))

    def _section(self, one: Any) -> Markup:
        match one:
            case Heading():
                return self._macros.heading(one, anchor(one))
            case Text(paragraphs, kind):
                return self._macros.text([paragraphs] if isinstance(paragraphs, str) else paragraphs, kind)
            case Details(summary, sections):
                return self._macros.details(summary, self.html(sections))
            case Table():
                return self._table(one)
            case Chart():
                self.charts += 1
                return self._macros.chart(one, self.charts, *_compiled(one.chart, one.alt))
        raise TypeError(f"{type(one).__name__} is not a section of a page")

    def _table(self, table: Table) -> Markup:
        self.tables += 1
        rows = [[_cell(value) for value in row] for row in table.rows]
        numeric = [_numeric([row[at] for row in rows]) for at in range(len(table.head))]
        units = [*table.units, *[""] * len(table.head)]
        heads = list(zip(table.head, units, numeric, strict=False))
        kinds = [[(cell, _kind(cell, numeric[at])) for at, cell in enumerate(row)] for row in rows]
        return self._macros.table(table, self.tables, heads, kinds, table.sortable and len(rows) >= FILTERED)


def _compiled(chart: Any, alt: str) -> tuple[list[dict], list[dict]]:
    """Return (the series of the legend, Vega for each width that a page may have)."""
    from mmuexp.render.chart.draw import spec_of, vega_lite

    for_page = json.loads(json.dumps(spec_of(chart)))
    told = for_page["usermeta"]
    for_page["description"] = alt  # Vega gives it to the element that it draws in
    for_page["config"]["legend"] = {"disable": True}
    for_page["config"]["font"] = "system-ui, sans-serif"
    for_page.setdefault("params", []).append({"name": INTERACTIVE, "value": []})
    for_page["transform"] = [{"filter": f"indexof({INTERACTIVE}, datum.c) < 0"}, *for_page.get("transform", [])]
    facets = told["facet"]
    specs = []
    for most in FACETS if facets else (None,):
        columns = most and -(-facets // -(-facets // most))  # no more than fill the rows that it takes
        if columns:
            for_page["columns"] = columns
        specs.append(convert("vegalite_to_vega", vl_spec=for_page, vl_version=vega_lite()))
    return told["series"], specs


def _cell(value: Any) -> Cell:
    if isinstance(value, Cell):
        return value
    if value is None or value != value:
        return Cell("")
    if isinstance(value, bool):
        return Cell("yes" if value else "no")
    if isinstance(value, int):
        return Cell(f"{value:,}", value)
    if isinstance(value, float):
        return Cell(words.significant(value), value)
    return Cell(str(value))


def _numeric(cells: Sequence[Cell]) -> bool:
    told = [cell for cell in cells if cell.text not in ("", words.DASH, words.UNKNOWN)]
    return bool(told) and all(cell.value is not None for cell in told)


def _kind(cell: Cell, numeric: bool) -> str:
    """Return the classes of a cell: how it is set, what it is marked as, and whether its text is long."""
    length = "prose" if len(cell.text) > PROSE else "long" if len(cell.text) > LONG else ""
    return " ".join(filter(None, ("number" if numeric else "", cell.mark, length)))


def _together(text: str) -> str:
    """Keep a number and its unit on one line."""
    return re.sub(r"(?<=\d) (?=(?:%|ns|us|ms|s|B|KiB|MiB|GiB)(?!\w))", "\u00a0", text)
