"""Shows people what changed between two results: as a table on a terminal, or as Markdown."""

from collections.abc import Iterator
from typing import Any

from rich.console import Console
from rich.text import Text

from mmuexp.render import words
from mmuexp.render.terminal.grid import print_table, print_text
from mmuexp.result.difference import CHANGED, Change, Difference

HEADS = ("column", "A", "B", "difference", "ratio")
EMPTY = "(empty)"  # no such event; 0 is another thing


def print_diff(found: Difference, console: Console) -> None:
    """Print the one line that says whether they differ, every change, and why that may be."""
    print_text(console, Text(headline(found), style="bold"))
    for line in _alone(found):
        print_text(console, Text(line))
    for title, lines in _groups(found):
        console.print()
        print_text(console, Text(title, style="bold"))
        print_table(console, HEADS, lines)
    if found and found.why:
        console.print()
    for line in found.why if found else ():
        print_text(console, Text(line, style="dim"))


def markdown(found: Difference) -> str:
    parts = [f"**{headline(found)}**\n", *(f"* {line}" for line in _alone(found))]
    for title, lines in _groups(found):
        parts += [f"\n## {title}\n", *words.markdown_table(HEADS, lines)]
    if found and found.why:
        parts += ["", *(f"* {line}" for line in found.why)]
    return "\n".join(parts) + "\n"


def headline(found: Difference) -> str:
    """Say in one line: equal, or how many differences."""
    compared = f"{words.number(found.cells)} cells of {words.many(found.rows, 'row')}"
    if not found:
        return f"Equal: {compared}."
    cells = sum(change.change == CHANGED for change in found.changes)
    rows = len({(c.trace, c.strategy, c.window_index) for c in found.changes if c.change == CHANGED})
    alone = len(found.changes) - cells
    beside = f"{words.many(alone, 'row')} or columns only in one; " if alone else ""
    return f"Different: {beside}{words.number(cells)} of {compared}, in {words.many(rows, 'row')}."


def _alone(found: Difference) -> Iterator[str]:
    for change in found.changes:
        if change.change != CHANGED:
            yield f"{change.change}: {f'column {change.column}' if change.column else _row(change)}"


def _row(change: Change) -> str:
    return f"{change.trace}, {change.strategy}" + (
        "" if change.window_index is None else f", window {change.window_index}"
    )


def _groups(found: Difference) -> Iterator[tuple[str, list[tuple[str, ...]]]]:
    """(the row, a line for each of its cells that changed)"""
    groups: dict[str, list[tuple[str, ...]]] = {}
    for change in found.changes:
        if change.change == CHANGED:
            ratio = "" if change.ratio is None else f"{change.ratio:.6g}"
            more = "" if change.difference is None else _difference(change.difference)
            line = (str(change.column), _exact(change.a), _exact(change.b), more, ratio)
            groups.setdefault(_row(change), []).append(line)
    yield from groups.items()


def _exact(value: Any) -> str:
    """Every digit."""
    if value is None:
        return EMPTY
    return str(value) if isinstance(value, str) else f"{value:,}"


def _difference(value: float) -> str:
    """Of integers every digit; the last ones of a float are those of its subtraction."""
    return f"{value:+,}" if isinstance(value, int) else f"{value:+,.12g}"
