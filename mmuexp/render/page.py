"""One self-contained HTML page out of sections: texts, tables that sort, charts that answer, details to open.

    page("A title", [Heading("What"), Text("..."), Table([...], rows), Chart(chart, frame, "alt")], manifest) -> str

Nothing is fetched: styles, scripts, charts and the data behind them (as CSV) are in the file. All texts are escaped.
parts.py lays one section out; assets/page.css and page.js are what a reader sees and touches.
"""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mmuexp.render import palette

if TYPE_CHECKING:
    import pandas as pd

ASSETS = Path(__file__).parent / "assets"


@dataclass(frozen=True)
class Cell:
    """A table's cell: what it says, the number that it sorts by, `mark` ("", "best" or "warn"), and where on this page
    it leads ("#id")."""

    text: str
    value: float | int | None = None
    mark: str = ""
    href: str = ""


@dataclass(frozen=True)
class Heading:
    """A heading of level 2 or 3; level 2 stands in the list of contents, and `id` is its anchor."""

    text: str
    level: int = 2
    id: str = ""


@dataclass(frozen=True)
class Text:
    """Paragraphs; a `kind` of "lead" is larger, "note" smaller, "verdict" stands out, "code" is set as it is."""

    paragraphs: str | Sequence[str]
    kind: str = ""


@dataclass(frozen=True)
class Table:
    """Rows of str, int, float, None or Cell. Columns whose values are numbers stand right and sort by value.

    units     one a column, shown under its head ("" for none)
    best      numbers of the rows that win
    sortable  off for a table of two columns of words, or one whose rows have an order that means something
    csv       the exact data as a frame, and `name` what its file is called
    """

    head: Sequence[str]
    rows: Sequence[Sequence[Any]]
    units: Sequence[str] = ()
    caption: str = ""
    best: frozenset[int] | set[int] = frozenset()
    sortable: bool = True
    csv: pd.DataFrame | None = None
    name: str = "table"


@dataclass(frozen=True)
class Chart:
    """An altair chart of chart_of, the frame behind it (downloads as NAME.csv), what it shows in words, a caption."""

    chart: Any
    frame: pd.DataFrame
    alt: str
    caption: str = ""
    name: str = "chart"


@dataclass(frozen=True)
class Details:
    """Sections that open when asked for."""

    summary: str
    sections: Sequence[Any] = field(default_factory=tuple)


def page(title: str, sections: Sequence[Any], manifest: Mapping[str, Any], lead: str = "") -> str:
    """The whole page. `manifest` stands at its end, as it is and as a download."""
    from mmuexp.render.parts import Parts

    parts = Parts()
    body = parts.html(sections)
    contents = _contents(sections)
    leading = f'<p class="lead">{escape(lead)}</p>' if lead else ""
    scripts = [_asset("page.js")]
    if parts.charts:
        from mmuexp.render.bundle import vega

        scripts.insert(0, vega())
    style = palette.css() + _asset("page.css")
    head = _asset("theme.js")
    policy = _policy([head, *scripts], style)
    return (
        f'<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{policy}">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f'<title>{escape(title)}</title>\n<link rel="icon" href="data:,">\n'
        f"<style>{style}</style>\n<script>{head}</script>\n</head>\n<body>\n"
        '<a class="skip" href="#main">Skip to the content</a>\n'
        f'<header>\n<h1>{escape(title)}</h1>\n<button type="button" id="theme" hidden></button>\n{leading}</header>\n'
        f'{contents}<main id="main" tabindex="-1">\n{body}\n</main>\n{_footer(manifest)}\n'
        + "".join(f"<script>{script}</script>\n" for script in scripts)
        + "</body>\n</html>\n"
    )


def anchor(heading: Heading) -> str:
    """The id of a heading: its own, or made of its words."""
    words = "".join(c if c.isalnum() else " " for c in heading.text.lower()).split()
    return heading.id or "-".join(words[:8]) or "section"


def data_link(content: bytes, kind: str, name: str, label: str) -> str:
    """A link that saves `content`, which is in the page, as the file `name`."""
    data = base64.b64encode(content).decode()
    return f'<a class="save" download="{escape(name)}" href="data:{kind};base64,{data}">{escape(label)}</a>'


def _contents(sections: Sequence[Any]) -> str:
    found = [one for one in sections if isinstance(one, Heading) and one.level == 2]
    if len(found) < 3:
        return ""
    items = "".join(f'<li><a href="#{escape(anchor(one))}">{escape(one.text)}</a></li>' for one in found)
    return f'<nav aria-label="Contents"><ul>{items}</ul></nav>\n'


def _footer(manifest: Mapping[str, Any]) -> str:
    text = json.dumps(manifest, indent=1, ensure_ascii=False) + "\n"
    save = data_link(text.encode(), "application/json", "manifest.json", "Save as JSON")
    made = " ".join(str(manifest[key]) for key in ("mmuexp", "finished") if manifest.get(key))
    return (
        f'<footer>\n<p>Made by mmuexp {escape(made)}</p>\n<details class="manifest">'
        "<summary>Manifest: version, command, prices with sources, traces, host</summary>\n"
        f'<p>{save}</p>\n<pre tabindex="0">{escape(text)}</pre></details>\n</footer>'
    )


def _asset(name: str) -> str:
    return (ASSETS / name).read_text(encoding="utf-8")


def _policy(scripts: Sequence[str], style: str) -> str:
    """Nothing may be fetched, and nothing but these scripts and this style may run."""

    def digest(text: str) -> str:
        return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"

    allowed = " ".join(digest(script) for script in scripts)
    return (
        f"default-src 'none'; script-src {allowed}; style-src {digest(style)}; img-src data:; base-uri 'none';"
        " form-action 'none'"
    )
