"""Prints the mail's claims on a terminal, or as plain text where there is none."""

from typing import Any

from rich.console import Console
from rich.text import Text

from mmuexp.render.claims import COLOURS, notes, overview, told
from mmuexp.render.terminal.grid import print_table, print_text

HEAD = "dim"


def print_report(report: Any, console: Console) -> None:
    """Print the overview (of several claims), then each claim: verdict, condition, figures, where they are from."""
    if len(report.findings) > 1:
        _print_overview(report, console)
    for at, finding in enumerate(report.findings):
        if at or len(report.findings) > 1:
            console.print()
        _print(finding, report, console)


def _print_overview(report: Any, console: Console) -> None:
    heads, lines = overview(report)
    rows = [[Text(cell, style=COLOURS.get(cell, "")) for cell in line] for line in lines]
    print_table(console, heads, rows, left=(0, 1), head_style=HEAD)


def _print(finding: Any, report: Any, console: Console) -> None:
    claim = finding.claim
    title = Text(f"{claim.number}. ").append(finding.verdict, style=COLOURS.get(finding.verdict, "dim"))
    print_text(console, title.append(f"  {claim.author}: {claim.says}", style="bold"))
    for part in finding.parts:
        one = told(part, report.hosts)
        line = Text(f"{one.meaning}: ").append(one.verdict, style=COLOURS.get(one.verdict, "bold"))
        print_text(console, line, 3)
        for text in (*(f"when {condition}" for condition in one.conditions), *one.recordings):
            print_text(console, Text(text), 5)
        if one.cells:
            print_table(console, one.heads, one.cells, indent=5, head_style=HEAD)
    for note in notes(finding, report):
        print_text(console, Text(note, style="dim"), 3)
