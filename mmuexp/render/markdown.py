"""A result as Markdown: the summary, the sentence, and every count."""

from mmuexp.render.plot import bars
from mmuexp.render.summary import Summary, summaries
from mmuexp.result import Result, rows_of


def markdown(result: Result) -> str:
    parts = [_summary(summary) for summary in summaries(result)]
    return "\n".join(parts) + "\n## Every count\n\n" + _counts(result)


def _line(cells: list[str]) -> str:
    return "| " + " | ".join(cell.replace("|", "\\|").replace("\n", " ") for cell in cells) + " |"


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
    """One line a column and one column a run: fifty columns fit no page. Exact, as in the CSV."""
    rows = rows_of(result.frame)
    lines = [_line(["column", *(str(at + 1) for at in range(len(rows)))]), _line([":--", *("--:" for _ in rows)])]
    for column in result.frame.columns:
        lines.append(_line([column, *("" if row[column] is None else str(row[column]) for row in rows)]))
    return "\n".join(lines) + "\n"
