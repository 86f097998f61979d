"""A result on a terminal, or as plain text where there is none."""

from rich.console import Console
from rich.table import Table
from rich.text import Text

from mmuexp.render.plot import bars
from mmuexp.render.summary import Summary, summaries
from mmuexp.result import Result

PLAIN_WIDTH = 100_000  # off a terminal nothing is cut or wrapped


def print_result(result: Result, console: Console) -> None:
    """Every table of the result, its sentence and its notes."""
    if not console.is_terminal:
        console.width = PLAIN_WIDTH
    shown = summaries(result)
    for at, summary in enumerate(shown):
        if at:
            console.print()
        _print(summary, console, notes=at == len(shown) - 1 or summary.notes != shown[at + 1].notes)


def _print(summary: Summary, console: Console, *, notes: bool) -> None:
    console.print(Text(summary.title, style="bold"))
    console.print()
    console.print(_table(summary))
    if len(summary.bars) > 1:
        console.print()
        console.print(Text(bars(summary.bars, unicode="utf" in console.encoding)), no_wrap=True)
    console.print()
    console.print(Text(summary.sentence, style="bold"))
    for note in summary.notes if notes else []:
        console.print(Text(note, style="dim"))


def _table(summary: Summary) -> Table:
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="bold")
    for at, head in enumerate(summary.heads):
        left = at in summary.left
        table.add_column(Text(head), justify="left" if left else "right", no_wrap=not left, vertical="top")
    for at, row in enumerate(summary.cells):
        table.add_row(*(Text(cell) for cell in row), style="green" if at == summary.best else None)
    return table
