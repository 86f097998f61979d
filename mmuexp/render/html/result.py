"""Lays a result of compare or sweep out as a page: the verdict, a chart, a table that sorts, and every count."""

from collections.abc import Sequence
from typing import Any

from mmuexp.analysis.given import DEFAULT_NAME, bundled_trace
from mmuexp.errors import MmuexpError
from mmuexp.render import words
from mmuexp.render.across import is_corpus, summary_across
from mmuexp.render.chart.draw import chart_of
from mmuexp.render.chart.runs import plan_of
from mmuexp.render.counts import every_count
from mmuexp.render.html.page import page
from mmuexp.render.html.sections import Cell, Chart, Details, Heading, Table, Text
from mmuexp.render.misses import sections as sections_of_misses
from mmuexp.render.summary import Summary, summaries
from mmuexp.result import misses
from mmuexp.result.table import Result, rows_of

WORDS = {"scheme", "of these"}  # columns that are never numbers


def html(result: Result) -> str:
    """Return the page of a result, its manifest included."""
    traces = list(dict.fromkeys(row["trace"] for row in rows_of(result.frame)))
    title = f"{result.kind}: {', '.join(map(called, traces[:3]))}{' and more' if len(traces) > 3 else ''}"
    return page(f"mmuexp {title}", result_sections(result), result.manifest)


def result_sections(result: Result) -> list[Any]:
    """Return for each trace a heading, a chart, tables with their sentences and notes; in the end every count."""
    if result.kind == misses.KIND:
        return [*chart_sections(result), *sections_of_misses(result)]
    found: list[Any] = []
    shown = summaries(result, width=0)
    if is_corpus(result):
        over = summary_across(result)
        found += [Heading(over.title), Text(over.sentence, "verdict"), table_of(over)]
        found += [Text(note, "note") for note in over.notes]
    traces = list(dict.fromkeys(row["trace"] for row in rows_of(result.frame)))
    for trace in traces:
        mine = [summary for summary in shown if summary.title.startswith(f"{trace}: ")]
        facts = mine[0].title.partition("\n")[0].removeprefix(f"{trace}: ")
        found += [Heading(called(trace)), Text(facts, "note"), *map(_verdict, mine), *chart_sections(result, trace)]
        found += [table_of(summary) for summary in mine]
    found += [Text(note, "note") for note in notes_of(shown)]
    head, *lines = every_count(result)
    every = Table(head, lines, sortable=False, csv=result.frame, name=result.kind)
    return [*found, Heading("Every count"), Details("All columns, exact", [every])]


def called(trace: str) -> str:
    """Name a recording as headings do: the one that comes with the package by its own name."""
    return f"{bundled_trace().name.partition('.')[0]} (bundled)" if trace == DEFAULT_NAME else trace


def notes_of(shown: Sequence[Summary]) -> list[str]:
    """Return the notes of all summaries, each once; a page marks the winner by itself."""
    notes = [note.replace(" The winner has a *.", "") for summary in shown for note in summary.notes]
    return [note for note in dict.fromkeys(notes) if note != "The winner has a *."]


def _verdict(summary: Summary) -> Text:
    which = summary.title.partition("\n")[2]
    return Text(f"{which}: {summary.sentence}" if which else summary.sentence, "verdict")


def chart_sections(result: Result, trace: str | None = None, name: str = "") -> list[Any]:
    """Return the chart of one trace, or of all together; nothing where there is nothing to draw."""
    try:
        plan = plan_of(result, trace)
    except MmuexpError:
        return []
    name = name or _file_name(trace or result.kind)
    return [Chart(chart_of(plan.frame, plan.spec), plan.frame, plan.alt, plan.caption, name)]


def table_of(summary: Summary) -> Table:
    """Return the table of a summary laid down, with numbers that sort."""
    heads = [head.replace("\n", " ") for head in summary.heads]
    rows = [[cell_of(head, text) for head, text in zip(heads, cells, strict=True)] for cells in summary.cells]
    caption = summary.title.partition("\n")[2]
    best = frozenset() if summary.best is None else frozenset({summary.best})
    return Table(heads, rows, caption=caption, best=best)


def cell_of(head: str, text: str) -> Cell:
    """Return a text of a summary with the number that it sorts by."""
    shown = text.removesuffix(" *")  # the star is a mark of plain text
    return Cell(shown) if head in WORDS else Cell(shown, words.value(shown))


def _file_name(text: str) -> str:
    name = text.rpartition("/")[2].partition(".arrow")[0]
    return "".join(c if c.isalnum() or c in "-_" else "-" for c in name) or "chart"
