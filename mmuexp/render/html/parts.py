"""The HTML of a page's sections; page.py puts them together. Every text is escaped here, and only here."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Sequence
from html import escape
from typing import Any

from mmuexp.render import palette, words
from mmuexp.render.chart.vega import convert
from mmuexp.render.html.sections import Cell, Chart, Details, Heading, Table, Text, anchor

FILTERED = 8  # a table with so many rows gets a box that filters them
STILL = "This chart needs JavaScript; the file below has its data."
LONG, PROSE = 24, 70  # characters, from which on a cell keeps some width for itself
FACETS = (1, 2, 3)  # small charts beside each other: as many as fit
INTERACTIVE = "hidden"  # the signal that holds the series which a reader has switched off


class Parts:
    """Makes the HTML of sections, and numbers what needs a name."""

    def __init__(self) -> None:
        self.charts = 0
        self.tables = 0

    def html(self, sections: Sequence[Any]) -> str:
        """Raises TypeError for what is no section."""
        makers = {
            Heading: self._heading,
            Text: self._text,
            Table: self._table,
            Chart: self._chart,
            Details: self._details,
        }
        found = []
        for section in sections:
            if type(section) not in makers:
                raise TypeError(f"{type(section).__name__} is no section of a page")
            found.append(makers[type(section)](section))
        return "\n".join(found)

    def _heading(self, heading: Heading) -> str:
        return f'<h{heading.level} id="{escape(anchor(heading))}">{escape(heading.text)}</h{heading.level}>'

    def _text(self, text: Text) -> str:
        paragraphs = [text.paragraphs] if isinstance(text.paragraphs, str) else text.paragraphs
        if text.kind == "code":
            return "".join(f'<pre class="command" tabindex="0"><code>{escape(p)}</code></pre>' for p in paragraphs)
        kind = f' class="{escape(text.kind)}"' if text.kind else ""
        return "".join(f"<p{kind}>{escape(_together(paragraph))}</p>" for paragraph in paragraphs)

    def _details(self, details: Details) -> str:
        inside = self.html(details.sections)
        return f"<details><summary>{escape(details.summary)}</summary>\n{inside}\n</details>"

    def _table(self, table: Table) -> str:
        self.tables += 1
        rows = [[_cell(value) for value in row] for row in table.rows]
        numeric = [_numeric([row[at] for row in rows]) for at in range(len(table.head))]
        head = "".join(self._head(table, at, numeric[at]) for at in range(len(table.head)))
        groups = "".join(_group(text, columns) for text, columns in table.groups)
        over = f'<tr class="groups">{groups}</tr>' if groups else ""
        wrap = ' class="wrap"' if table.wrap else ""
        lines = [_line(row, numeric, best=at in table.best, wrap=table.wrap) for at, row in enumerate(rows)]
        name = f"table-{self.tables}"
        caption = f'<p class="caption" id="{name}">{escape(table.caption)}</p>' if table.caption else ""
        tools = []
        if table.sortable and len(rows) >= FILTERED:
            tools.append(
                '<label class="filter" hidden>Filter rows <input type="search" autocomplete="off"></label>'
                '<output class="shown" aria-live="polite"></output>'
            )
        if table.csv is not None:
            tools.append(_csv_link(table.csv, table.name))
        above = f'<div class="tools">{"".join(tools)}</div>' if tools else ""
        label = f'aria-labelledby="{name}"' if caption else f'aria-label="table {self.tables}"'
        return (
            f'<div class="table">{above}{caption}<div class="scroll" role="region" tabindex="0" {label}>'
            f"<table{wrap} {label}><thead>{over}<tr>{head}</tr></thead>\n<tbody>\n"
            + "\n".join(lines)
            + "\n</tbody></table></div></div>"
        )

    def _head(self, table: Table, at: int, numeric: bool) -> str:
        unit = table.units[at] if at < len(table.units) else ""
        text = escape(table.head[at]) + (f' <span class="unit">{escape(unit)}</span>' if unit else "")
        kind = ' class="number"' if numeric else ""
        if not table.sortable or not table.head[at]:
            return f'<th scope="col"{kind}>{text}</th>'
        return f'<th scope="col"{kind} aria-sort="none"><button type="button">{text}</button></th>'

    def _chart(self, chart: Chart) -> str:
        self.charts += 1
        name = f"chart-{self.charts}"
        whole, specs = _compiled(chart.chart, chart.alt)
        series = whole["usermeta"]["series"]
        legend = ""
        if len(series) > 1:
            buttons = "".join(_key(one) for one in series)
            legend = f'<div class="legend" role="group" aria-label="Series shown">{buttons}</div>'
        data = json.dumps(specs).replace("<", "\\u003c")
        caption = f"<span>{escape(chart.caption)}</span> " if chart.caption else ""
        return (
            f'<figure class="chart">{legend}'
            f'<div class="plot" id="{name}" role="img" aria-label="{escape(chart.alt)}"></div>'
            f'<script type="application/json" data-for="{name}">{data}</script><noscript>{STILL}</noscript>'
            f"<figcaption>{caption}{_csv_link(chart.frame, chart.name)}</figcaption></figure>"
        )


def _compiled(chart: Any, alt: str) -> tuple[dict, list[dict]]:
    """(Vega-Lite, Vega for each width that a page may have)"""
    from mmuexp.render.chart.draw import spec_of, vega_lite

    whole = spec_of(chart)
    for_page = json.loads(json.dumps(whole))
    for_page["description"] = alt  # Vega gives it to the element that it draws in
    for_page["config"]["legend"] = {"disable": True}
    for_page["config"]["font"] = "system-ui, sans-serif"
    for_page.setdefault("params", []).append({"name": INTERACTIVE, "value": []})
    for_page["transform"] = [{"filter": f"indexof({INTERACTIVE}, datum.c) < 0"}, *for_page.get("transform", [])]
    facets = whole["usermeta"]["facet"]
    specs = []
    for most in FACETS if facets else (None,):
        columns = most and -(-facets // -(-facets // most))  # no more than fill the rows that it takes
        if columns:
            for_page["columns"] = columns
        specs.append(convert("vegalite_to_vega", vl_spec=for_page, vl_version=vega_lite()))
    return whole, specs


def _key(series: dict[str, Any]) -> str:
    """A button of the legend, with the line, the shape or the square that the series is drawn with."""
    color = escape(series["color"])
    if "dash" in series:
        dash = " ".join(str(part) for part in series["dash"]) if series["dash"] != [1, 0] else "none"
        drawn = f'<path d="M0 7H30" stroke="{color}" stroke-width="2" stroke-dasharray="{dash}" fill="none"/>'
        drawn += f'<path d="{_OUTLINES[series["shape"]]}" transform="translate(15 7)" fill="{color}"/>'
        width = 30
    elif "shape" in series:
        drawn, width = f'<path d="{_OUTLINES[series["shape"]]}" transform="translate(7 7)" fill="{color}"/>', 14
    else:
        drawn, width = f'<rect width="14" height="14" rx="2" fill="{color}"/>', 14
    return (
        f'<button type="button" aria-pressed="true" data-series="{escape(series["name"])}">'
        f'<svg width="{width}" height="14" aria-hidden="true">{drawn}</svg>{escape(series["name"])}</button>'
    )


_OUTLINES = dict(
    zip(
        palette.SHAPES,
        (
            "M-4 0a4 4 0 1 0 8 0a4 4 0 1 0-8 0Z",
            "M-4-4H4V4H-4Z",
            "M0-5L5 4H-5Z",
            "M0-6L5 0L0 6L-5 0Z",
            "M-5-2H-2V-5H2V-2H5V2H2V5H-2V2H-5Z",
            "M0 5L5-4H-5Z",
            "M5 0L-4 5V-5Z",
            "M-5 0L4 5V-5Z",
        ),
        strict=True,
    )
)


def _csv_link(frame: Any, name: str) -> str:
    content = frame.to_csv(index=False, lineterminator="\n").encode()
    return data_link(content, "text/csv", f"{name}.csv", f"{name}.csv")


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
    text = str(value)
    return Cell(text)


def _numeric(cells: Sequence[Cell]) -> bool:
    told = [cell for cell in cells if cell.text not in ("", words.DASH)]
    return bool(told) and all(cell.value is not None for cell in told)


def _group(text: str, columns: int) -> str:
    return f'<th scope="colgroup" colspan="{columns}">{escape(text)}</th>' if text else f'<td colspan="{columns}"></td>'


def _length(text: str) -> str:
    return "prose" if len(text) > PROSE else "long" if len(text) > LONG else ""


def _spec(text: str) -> str:
    """A spec breaks after its commas, never inside a word."""
    return ",<wbr>".join(f"<span>{escape(part)}</span>" for part in text.split(","))


def _together(text: str) -> str:
    """A number and its unit stay on one line."""
    return re.sub(r"(?<=\d) (?=(?:%|ns|us|ms|s|B|KiB|MiB|GiB)(?!\w))", "\u00a0", text)


def _line(cells: Sequence[Cell], numeric: Sequence[bool], *, best: bool, wrap: bool) -> str:
    found = []
    for at, cell in enumerate(cells):
        tag = 'th scope="row"' if at == 0 else "td"
        kinds = ["number"] * numeric[at] + [cell.mark] * bool(cell.mark) + [_length(cell.text)]
        named = " ".join(filter(None, kinds))
        kind = f' class="{named}"' if named else ""
        value = f' data-value="{cell.value!r}"' if cell.value is not None else ""
        star = ' <span class="star">best</span>' if best and at == 0 else ""
        told = _together(cell.text) if wrap else cell.text
        text = " ".join(_spec(word) if "=" in word else escape(word) for word in told.split(" "))
        if cell.href.startswith("#"):
            text = f'<a href="{escape(cell.href)}">{text}</a>'
        found.append(f"<{tag}{kind}{value}>{text}{star}</{tag[:2]}>")
    kind = ' class="best"' if best else ""
    return f"<tr{kind}>" + "".join(found) + "</tr>"


def data_link(content: bytes, kind: str, name: str, label: str) -> str:
    """A link that saves `content`, which is in the page, as the file `name`."""
    data = base64.b64encode(content).decode()
    return f'<a class="save" download="{escape(name)}" href="data:{kind};base64,{data}">{escape(label)}</a>'
