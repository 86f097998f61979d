"""Shows people what `verify` found: a table of counts for each trace, and where model and engine part."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from rich.console import Console
from rich.text import Text

from mmuexp.analysis.verify import Parting, Verified, VerifiedRun
from mmuexp.render import words
from mmuexp.render.html.page import page
from mmuexp.render.html.sections import Cell, Heading, Table
from mmuexp.render.html.sections import Text as Paragraph
from mmuexp.render.terminal.grid import print_table, print_text
from mmuexp.result.declared import DeclaredBy
from mmuexp.strategy.mistakes import blocks_of

TOTALS = ("checked_loads", "checked_stores", "signals", "system_calls")


def print_verified(found: Verified, console: Console) -> None:
    """Print a table for each trace: one row an event, one column a scheme, `model / live` where they differ."""
    outcomes, told = found.outcomes, DeclaredBy(found.manifest)
    for trace in dict.fromkeys(outcome.trace for outcome in outcomes):
        _print_trace([outcome for outcome in outcomes if outcome.trace == trace], console)
        for note in told.of(trace).notes:
            print_text(console, Text(note, style="dim"))
            console.print()
    print_text(console, Text(verdict(outcomes), style="bold"))


def verdict(outcomes: Sequence[VerifiedRun]) -> str:
    """Say everything in one sentence."""
    wrong = [outcome for outcome in outcomes if not outcome.equal]
    if not wrong:
        faults = sum(outcome.signals for outcome in outcomes)
        loads = sum(outcome.checked_loads for outcome in outcomes)
        return (
            f"Model and engine agree on every count and every fault of {words.many(len(outcomes), 'run')}: "
            f"{faults:,} SIGSEGVs were taken where the model says, and {loads:,} loads read what was stored."
        )
    return f"Model and engine differ in {len(wrong)} of {len(outcomes)} runs."


def _print_trace(outcomes: Sequence[VerifiedRun], console: Console) -> None:
    rows = max(outcome.rows for outcome in outcomes)
    print_text(console, Text(f"{outcomes[0].trace}: {rows:,} rows; model and live engine", style="bold"))
    names = list(dict.fromkeys(name for outcome in outcomes for name in outcome.model))
    names.sort(key=lambda n: not n.startswith("faults_"))
    lines: list[list[str | Text]] = [[name, *(cell_of(outcome, name) for outcome in outcomes)] for name in names]
    lines += [[name, *(f"{getattr(outcome, name):,}" for outcome in outcomes)] for name in TOTALS]
    lines.append(["", *(Text("equal", "green") if o.equal else Text("DIFFERENT", "red") for o in outcomes)])
    print_table(console, ["event", *(str(outcome.strategy) for outcome in outcomes)], lines)
    for outcome in outcomes:
        if outcome.parting:
            print_text(console, Text(parting_line(outcome, outcome.parting), style="red"))
    console.print()


def cell_of(outcome: VerifiedRun, name: str) -> str:
    """Write a count, or both where they differ."""
    if name not in outcome.model:
        return ""
    model, live = outcome.model[name], outcome.live[name]
    return f"{model:,}" if model == live else f"{model:,} / {live:,}"


def parting_line(outcome: VerifiedRun, parting: Parting) -> str:
    """Say where they part: the first row, and its faults as `mmuexp faults` lists them."""
    line = f"{outcome.strategy}: the first row where they part is {parting.row:,}: {parting.what or 'its faults'}"
    if parting.model or parting.live:
        line += f"; model {_faults(outcome, parting.model)}, engine {_faults(outcome, parting.live)}"
    return line


def _faults(outcome: VerifiedRun, faults: Sequence[tuple[int, str]]) -> str:
    if not faults:
        return "no fault"
    told = []
    for vaddr, cause in faults:
        block = blocks_of(outcome.strategy, np.array([vaddr], np.uint64))
        told.append(f"{cause} at 0x{vaddr:08x}" + ("" if block is None else f" (block 0x{int(block[0]):x})"))
    return " and ".join(told)


def verify_html(found: Verified) -> str:
    """Return the same as a page: the verdict, a table for each trace, and where model and engine part."""
    sections: list[Any] = [Paragraph(verdict(found.outcomes), "verdict")]
    frame, told = found.frame, DeclaredBy(found.manifest)
    for trace in dict.fromkeys(outcome.trace for outcome in found.outcomes):
        mine = [outcome for outcome in found.outcomes if outcome.trace == trace]
        rows = max(outcome.rows for outcome in mine)
        ran = f"{rows:,} rows, through the model and through the live engine."
        sections += [Heading(trace), Paragraph(ran, "note")]
        sections += [Paragraph(parting_line(one, one.parting), "verdict") for one in mine if one.parting]
        names = dict.fromkeys(name for outcome in mine for name in outcome.model)
        lines: list[list[Any]] = [[name, *(_cell(outcome, name) for outcome in mine)] for name in names]
        lines += [[name, *(getattr(outcome, name) for outcome in mine)] for name in TOTALS]
        units = ["", *("equal" if outcome.equal else "DIFFERENT" for outcome in mine)]
        head = ["event", *(str(outcome.strategy) for outcome in mine)]
        sections.append(Table(head, lines, units, csv=frame, name="verify"))
        sections += [Paragraph(text, "note") for text in told.of(trace).notes]
    note = "Where model and engine differ, a cell says model / engine. signals: SIGSEGVs that the processor took."
    return page("mmuexp verify: model and live engine", [*sections, Paragraph(note, "note")], found.manifest)


def _cell(outcome: VerifiedRun, name: str) -> Cell:
    same = outcome.model.get(name) == outcome.live.get(name)
    return Cell(cell_of(outcome, name), outcome.model.get(name), mark="" if same else "warn")
