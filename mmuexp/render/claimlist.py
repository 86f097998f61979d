"""The mail's claims on a terminal, or as plain text where there is none."""

from collections.abc import Sequence
from typing import Any

from rich.console import Console
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from mmuexp.render.claims import COLOURS, notes, overview, told
from mmuexp.render.table import PLAIN_WIDTH

GAP = 2


def print_report(report: Any, console: Console) -> None:
    """The overview (of several claims), then each claim: verdict, condition, figures, where they are from."""
    if not console.is_terminal:
        console.width = PLAIN_WIDTH
    if len(report.findings) > 1:
        _print_overview(report, console)
    for at, finding in enumerate(report.findings):
        if at or len(report.findings) > 1:
            console.print()
        _print(finding, report, console)


def _print_overview(report: Any, console: Console) -> None:
    heads, lines = overview(report)
    table = _grid(heads, 2)
    for line in lines:
        table.add_row(*(Text(cell, style=COLOURS.get(cell, "")) for cell in line))
    console.print(table)


def _print(finding: Any, report: Any, console: Console) -> None:
    claim = finding.claim
    title = Text(f"{claim.number}. ").append(finding.verdict, style=COLOURS.get(finding.verdict, "dim"))
    console.print(title.append(f"  {claim.author}: {claim.says}", style="bold"))
    for part in finding.parts:
        one = told(part, report.hosts)
        line = Text(f"{one.meaning}: ").append(one.verdict, style=COLOURS.get(one.verdict, "bold"))
        _indented(line, console, 3)
        for text in (*(f"when {condition}" for condition in one.conditions), *one.recordings):
            _indented(Text(text), console, 5)
        if one.cells:
            table = _grid(one.heads, 1)
            for cells in one.cells:
                table.add_row(*map(Text, cells))
            console.print(Padding(table, (0, 0, 0, 5), expand=False))
    for note in notes(finding, report):
        _indented(Text(note, style="dim"), console, 3)


def _indented(text: Text, console: Console, by: int) -> None:
    console.print(Padding(text, (0, 0, 0, by), expand=False))


def _grid(heads: Sequence[str], left: int) -> Table:
    """A table without lines whose first `left` columns are words."""
    table = Table(box=None, pad_edge=False, padding=(0, GAP, 0, 0), header_style="dim")
    for at, head in enumerate(heads):
        table.add_column(head, justify="left" if at < left else "right", overflow="fold")
    return table
