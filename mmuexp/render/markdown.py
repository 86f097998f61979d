"""A result as Markdown: the summary, the sentence, and every count."""

from mmuexp import misses
from mmuexp.render.counts import every_count
from mmuexp.render.misses import markdown as markdown_of_misses
from mmuexp.render.plot import bars
from mmuexp.render.summary import Summary, summaries
from mmuexp.result import Result


def markdown(result: Result) -> str:
    if result.kind == misses.KIND:
        return markdown_of_misses(result)
    parts = [_summary(summary) for summary in summaries(result)]
    return "\n".join(parts) + "\n## Every count\n\n" + _counts(result)


def _line(cells: list[str]) -> str:
    return "| " + " | ".join(cell.replace("|", "\\|").replace("-\n", "-").replace("\n", " ") for cell in cells) + " |"


def _summary(summary: Summary) -> str:
    marks = [":--" if at in summary.left else "--:" for at in range(len(summary.heads))]
    title = summary.title.replace("\n", ", ")
    lines = [f"## {title}", "", _line(summary.heads), _line(marks), *(_line(row) for row in summary.cells), ""]
    if len(summary.bars) > 1:
        lines += ["```", bars(summary.bars), "```", ""]
    lines += [f"**{summary.sentence}**", ""]
    for note in summary.notes:
        lines += [note, ""]
    return "\n".join(lines)


def _counts(result: Result) -> str:
    head, *rest = every_count(result)
    marks = [":--", *("--:" for _ in head[1:])]
    return "\n".join([_line(head), _line(marks), *(_line(line) for line in rest)]) + "\n"
