"""Writes a result as Markdown: the summary, the sentence, and every count."""

from mmuexp.render.across import is_corpus, summary_across
from mmuexp.render.counts import every_count
from mmuexp.render.misses import markdown as markdown_of_misses
from mmuexp.render.summary import Summary, summaries
from mmuexp.render.terminal.bars import bars
from mmuexp.render.words import markdown_table, markdown_text
from mmuexp.result import misses
from mmuexp.result.table import Result


def markdown(result: Result) -> str:
    if result.kind == misses.KIND:
        return markdown_of_misses(result)
    shown = [*summaries(result), *([summary_across(result)] if is_corpus(result) else [])]
    parts = [_summary(summary) for summary in shown]
    return "\n".join(parts) + "\n## Every count\n\n" + _counts(result)


def _summary(summary: Summary) -> str:
    title = markdown_text(summary.title).replace("\n", ", ")
    lines = [f"## {title}", "", *markdown_table(summary.heads, summary.cells, summary.left), ""]
    if len(summary.bars) > 1:
        lines += ["```", bars(summary.bars), "```", ""]
    lines += [f"**{markdown_text(summary.sentence)}**", ""]
    for note in summary.notes:
        lines += [markdown_text(note), ""]
    return "\n".join(lines)


def _counts(result: Result) -> str:
    head, *rest = every_count(result)
    return "\n".join(markdown_table(head, rest)) + "\n"
