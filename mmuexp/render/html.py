"""A result as one self-contained HTML page: no script, nothing fetched."""

from html import escape

from mmuexp.render.counts import every_count
from mmuexp.render.plot import bars
from mmuexp.render.summary import Summary, summaries
from mmuexp.result import Result

STYLE = """
body { font: 15px/1.45 system-ui, sans-serif; margin: 2em; color: #222 }
table { border-collapse: collapse; margin: 1em 0 }
th, td { padding: .25em .8em; text-align: right; border-bottom: 1px solid #ddd; vertical-align: top }
th { white-space: pre-line } .left { text-align: left; white-space: pre-wrap } .best, .best td { background: #e8f5e4 }
.note, details { color: #555 } pre { line-height: 1.1 }
"""


def html(result: Result) -> str:
    body = "\n".join(_summary(summary) for summary in summaries(result))
    title = f"mmuexp {escape(result.kind)}"
    return (
        f'<!doctype html>\n<html lang="en"><head><meta charset="utf-8"><title>{title}</title>'
        f"<style>{STYLE}</style></head>\n<body>\n{body}\n{_counts(result)}\n</body></html>\n"
    )


def _summary(summary: Summary) -> str:
    def cell(tag: str, at: int, text: str) -> str:
        kinds = ["left"] * (at in summary.left) + ["best"] * (summary.upright and at == summary.best)
        kind = f' class="{" ".join(kinds)}"' if kinds else ""
        return f"<{tag}{kind}>{escape(text)}</{tag}>"

    head = "".join(cell("th", at, text) for at, text in enumerate(summary.heads))
    lines = []
    for number, row in enumerate(summary.cells):
        kind = ' class="best"' if not summary.upright and number == summary.best else ""
        lines.append(f"<tr{kind}>" + "".join(cell("td", at, text) for at, text in enumerate(row)) + "</tr>")
    plot = f"<pre>{escape(bars(summary.bars))}</pre>" if len(summary.bars) > 1 else ""
    notes = "".join(f'<p class="note">{escape(note)}</p>' for note in summary.notes)
    return (
        f"<h2>{escape(summary.title)}</h2>\n<table><thead><tr>{head}</tr></thead><tbody>\n"
        + "\n".join(lines)
        + f"\n</tbody></table>\n{plot}<p><strong>{escape(summary.sentence)}</strong></p>{notes}"
    )


def _counts(result: Result) -> str:
    lines = []
    for name, *cells in every_count(result):
        found = "".join(f"<td>{escape(cell)}</td>" for cell in cells)
        lines.append(f'<tr><th class="left">{escape(name)}</th>{found}</tr>')
    return "<details><summary>Every count</summary><table>" + "\n".join(lines) + "</table></details>"
