"""Shows people what `misses` found: a table for each trace and TLB, with what each kind of fill is."""

from collections.abc import Callable
from statistics import median_low
from typing import Any

from mmuexp.render import words
from mmuexp.result.declared import BOUNDED, UNKNOWN, DeclaredBy
from mmuexp.result.misses import KINDS
from mmuexp.result.table import Result, rows_of

WORDS = {
    "compulsory": "the page's first lookup in this mode",
    "flush": "dropped by FLUSH or FLUSH_PAGE before",
    "write_right": "first store to a page entered when clean",
    "capacity": "a fully associative LRU TLB of as many entries fills here, too",
    "conflict": "it does not: pages of the same set",
}
SPREAD: dict[str, Callable] = {"least": min, "median": median_low, "most": max}


def tables(result: Result) -> list[tuple[str, list[str], list[list[str]]]]:
    """Return (title, heads, cells) of each trace and strategy."""
    rows = rows_of(result.frame)
    keys = dict.fromkeys((row["trace"], row["strategy"]) for row in rows)
    told = DeclaredBy(result.manifest)
    return [
        _table([row for row in rows if (row["trace"], row["strategy"]) == key], told.of(key[0]).sizes == UNKNOWN)
        for key in keys
    ]


def _table(rows: list[dict[str, Any]], bounded: bool) -> tuple[str, list[str], list[list[str]]]:
    first = rows[0]
    lookups = f"{'at least ' * bounded}{first['lookups']:,} lookups"
    title = f"{first['trace']}: {first['rows']:,} rows, {lookups} by {first['strategy']}"
    if first["regions"] is not None:
        title += f"; {first['regions']} regions, {len(rows)} load addresses"
    columns = {"as recorded" if row["load_seed"] == 0 else f"seed {row['load_seed']}": row for row in rows}
    if len(rows) > 1:
        figures = ("tlb_fills", *KINDS, "lru_fills")
        spread = {name: {f: pick(row[f] for row in rows) for f in figures} for name, pick in SPREAD.items()}
        columns = spread | {name: row for name, row in columns.items() if name == "as recorded"}
    of_bounds = BOUNDED if bounded else set()
    lines = [("TLB fills", "tlb_fills", "")]
    lines += [(f"  {kind.replace('_', ' ')}", kind, WORDS[kind]) for kind in KINDS]
    lines += [("with LRU and no sets", "lru_fills", "fills of the fully associative TLB")]
    cells = [
        [name, *(f"{'>= ' * (figure in of_bounds)}{words.number(c[figure])}" for c in columns.values()), note]
        for name, figure, note in lines
    ]
    return title, ["", *columns, ""], cells


def sections(result: Result) -> list[Any]:
    """Return the same tables as sections of a page, and every count."""
    from mmuexp.render.html.sections import Details, Heading, Table, Text

    found: list[Any] = []
    for title, heads, cells in tables(result):
        found += [Heading(title), Table(["fills", *heads[1:-1], "of these"], cells, sortable=False)]
    rows = [[row[name] for name in result.frame.columns] for row in rows_of(result.frame)]
    every = Table(list(result.frame.columns), rows, csv=result.frame, name="misses")
    found += [Text(note, "note") for note in notes(result)]
    return [*found, Heading("Every count"), Details("All columns, exact", [every])]


def print_misses(result: Result, console: Any) -> None:
    """Print a table for each trace and strategy."""
    from rich.text import Text

    from mmuexp.render.terminal.grid import print_table, print_text

    for at, (title, heads, cells) in enumerate(tables(result)):
        if at:
            console.print()
        print_text(console, Text(title, style="bold"))
        print_table(console, heads, cells, left=(0, len(heads) - 1))
    for note in notes(result):
        console.print()
        print_text(console, Text(note, style="dim"))


def markdown(result: Result) -> str:
    """Return the same tables as Markdown."""
    found = []
    for title, heads, cells in tables(result):
        lines = words.markdown_table(heads, cells, left=(0, len(heads) - 1))
        found.append("\n".join([f"## {words.markdown_text(title)}\n", *lines]))
    return "\n\n".join([*found, *notes(result)]) + "\n"


def notes(result: Result) -> list[str]:
    """Return what the traces do not tell of their accesses; code fills no TLB here."""
    told = DeclaredBy(result.manifest)
    traces = dict.fromkeys(row["trace"] for row in rows_of(result.frame))
    texts = {trace: text for trace in traces if (text := told.of(trace).about_sizes)}
    return list(texts.values()) if len(traces) == 1 else [f"{trace}: {text}" for trace, text in texts.items()]
