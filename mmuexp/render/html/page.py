"""Makes one self-contained HTML page out of sections: texts, tables that sort, charts that answer, details to open.

    page("A title", [Heading("What"), Text("..."), Table([...], rows), Chart(chart, frame, "alt")], manifest) -> str

The file fetches nothing: styles, scripts, charts and the data behind them (as CSV) are in it. templates/ has its HTML,
in which Jinja escapes all texts; assets/page.css and page.js are what a reader sees and touches.
"""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from mmuexp.render import palette
from mmuexp.render.html.parts import Parts, templates
from mmuexp.render.html.sections import Heading

ASSETS = Path(__file__).parent / "assets"


def page(title: str, sections: Sequence[Any], manifest: Mapping[str, Any], lead: str = "") -> str:
    """Return the whole page. `manifest` stands at its end, as it is and as a download."""
    parts = Parts()
    body = parts.html(sections)
    theme, style = _asset("theme.js"), palette.css() + _asset("page.css")
    scripts = [_asset("page.js")]
    if parts.charts:
        from mmuexp.render.chart.bundle import vega

        scripts.insert(0, vega())
    whole = templates().get_template("page.html")
    return whole.render(
        {"title": title, "lead": lead, "body": body, "style": style, "theme": theme, "scripts": scripts},
        contents=[one for one in sections if isinstance(one, Heading) and one.level == 2],
        made=" ".join(str(manifest[key]) for key in ("mmuexp", "finished") if manifest.get(key)),
        manifest=json.dumps(manifest, indent=1, ensure_ascii=False) + "\n",
        policy=_policy([theme, *scripts], style),
    )


def _asset(name: str) -> str:
    return (ASSETS / name).read_text(encoding="utf-8")


def _policy(scripts: Sequence[str], style: str) -> str:
    """Return the page's Content-Security-Policy: it fetches nothing, and runs these scripts and this style alone."""

    def digest(text: str) -> str:
        return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"

    allowed = " ".join(map(digest, scripts))
    return (
        f"default-src 'none'; script-src {allowed}; style-src {digest(style)}; img-src data:; base-uri 'none';"
        " form-action 'none'"
    )
