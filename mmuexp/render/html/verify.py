"""Lays out what `verify` found as a page: the verdict, a table for each trace, and where model and engine part."""

from collections.abc import Mapping, Sequence
from typing import Any

from mmuexp.analysis.verify import VerifiedRun
from mmuexp.render.html.page import page
from mmuexp.render.html.sections import Cell, Heading, Table, Text
from mmuexp.render.verify import TOTALS, cell_of, parting_line, verdict


def verify_html(outcomes: Sequence[VerifiedRun], frame: Any, manifest: Mapping[str, Any]) -> str:
    """Return the page; `frame` is its data as a CSV."""
    sections: list[Any] = [Text(verdict(outcomes), "verdict")]
    for trace in dict.fromkeys(outcome.trace for outcome in outcomes):
        mine = [outcome for outcome in outcomes if outcome.trace == trace]
        rows = max(outcome.rows for outcome in mine)
        sections += [Heading(trace), Text(f"{rows:,} rows, through the model and through the live engine.", "note")]
        sections += [Text(parting_line(one, one.parting), "verdict") for one in mine if one.parting]
        sections.append(_table(mine, frame))
    note = "Where model and engine differ, a cell says model / engine. signals: SIGSEGVs that the processor took."
    return page("mmuexp verify: model and live engine", [*sections, Text(note, "note")], manifest)


def _table(outcomes: Sequence[VerifiedRun], frame: Any) -> Table:
    names = dict.fromkeys(name for outcome in outcomes for name in outcome.model)
    lines = [[name, *(_count(outcome, name) for outcome in outcomes)] for name in names]
    lines += [[name, *(getattr(outcome, name) for outcome in outcomes)] for name in TOTALS]
    units = ["", *("equal" if outcome.equal else "DIFFERENT" for outcome in outcomes)]
    head = ["event", *(str(outcome.strategy) for outcome in outcomes)]
    return Table(head, lines, units, csv=frame, name="verify")


def _count(outcome: VerifiedRun, name: str) -> Cell:
    text = cell_of(outcome, name)
    same = outcome.model.get(name) == outcome.live.get(name)
    return Cell(text, outcome.model.get(name), mark="" if same else "warn")
