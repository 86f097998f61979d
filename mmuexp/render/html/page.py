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
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mmuexp.render import palette
from mmuexp.render.html.parts import Parts, data_link
from mmuexp.render.html.sections import Heading, anchor

if TYPE_CHECKING:
    pass

ASSETS = Path(__file__).parent / "assets"


def page(title: str, sections: Sequence[Any], manifest: Mapping[str, Any], lead: str = "") -> str:
    """The whole page. `manifest` stands at its end, as it is and as a download."""
    parts = Parts()
    body = parts.html(sections)
    contents = _contents(sections)
    leading = f'<p class="lead">{escape(lead)}</p>' if lead else ""
    scripts = [_asset("page.js")]
    if parts.charts:
        from mmuexp.render.chart.bundle import vega

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
