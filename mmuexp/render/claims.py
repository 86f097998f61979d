"""Tells people what became of the mail's claims: an overview, then each claim with its verdict first.

`told(finding, hosts)` says a finding in words and small tables once; terminal, Markdown and HTML only set it.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from rich.console import Console
from rich.text import Text

from mmuexp.render import words
from mmuexp.render.terminal.grid import print_table, print_text

NAMED = 8  # of more recordings so many are named on a terminal
DECIDING = 3  # and so many of the prices that decide
ANY, LIVE = "", "measured live"  # as mmuexp/claims/model.py has them
UNTESTED = "not tested"
ALL_HOSTS = "any host"
WHEN = "holds when"
MARKS = {"holds": "best", "does not hold": "warn"}
COLOURS = {"holds": "bold green", "holds when": "bold yellow", "does not hold": "bold red"}


@dataclass(frozen=True)
class Told:
    """A part of a claim in words: verdicts, conditions and recordings as lines; figures as a table."""

    meaning: str
    verdict: str
    conditions: tuple[str, ...]
    recordings: tuple[str, ...]
    heads: tuple[str, ...]
    cells: tuple[tuple[str, ...], ...]
    values: tuple[tuple[float | None, ...], ...]  # of the cells behind the first, to sort by


def amount(value: float, unit: str) -> str:
    """Write a figure as people read it."""
    if unit == "times faster":
        return words.factor(1.0, value)
    if unit in ("ns", "bytes"):
        return words.duration(value) if unit == "ns" else words.size(int(value))
    if unit == "count" or (unit == "instructions" and float(value).is_integer()):
        return words.number(int(value)) if float(value).is_integer() else words.significant(value)
    if unit == "share":
        return f"{words.significant(100 * value)} %"
    text = words.significant(value)
    return f"{text}x" if unit == "times" else f"{text} in 1,000" if unit == "per 1,000 accesses" else text


def told(part: Any, hosts: Sequence[str], *, named: int | None = NAMED, key: bool = True) -> Told:
    """Put one part in words; `named` None names every recording, `key` off tells every figure."""
    verdict = "; ".join(_same_or_each({host: part.verdict(host) for host in part.hosts}, "({})"))
    conditions = tuple(_same_or_each(part.conditions, "[{}]"))
    return Told(part.meaning, verdict, conditions, tuple(_recordings(part, named)), *_table(part, hosts, key))


def _same_or_each(texts: Mapping[str, str], named: str) -> list[str]:
    """What is said of every host alike, once; else each with its host."""
    each = [f"{text} {named.format(host)}" for host, text in texts.items()]
    return list(texts.values())[:1] if len(set(texts.values())) == 1 else each


def _recordings(part: Any, named: int | None) -> Iterator[str]:
    found = {"on": part.recordings(True), "not on": part.recordings(False), "on one host only": part.undecided()}
    yield from (f"{label} {_some(names, named)}" for label, names in found.items() if names)


def _some(names: Sequence[str], named: int | None) -> str:
    shown = names if named is None else names[:named]
    more = f" and {len(names) - len(shown)} more" if len(shown) < len(names) else ""
    return ", ".join(shown) + more


def _table(part: Any, hosts: Sequence[str], key: bool) -> tuple[tuple, tuple, tuple]:
    """Return (heads, cells, values): a line a quantity and recording, a column a host, if anything stands in it."""
    lines: dict[tuple[str, str], dict[str, Any]] = {}
    for one in part.figures:
        if one.key or not key:
            lines.setdefault((one.quantity, one.recording), {})[one.host] = one
    known = {host for line in lines.values() for host in line}
    columns = [host for host in (ANY, *hosts, LIVE) if host in known]
    found = [[line.get(host) for host in columns] for line in lines.values()]
    names = [f"{quantity}: {recording}" if recording else quantity for quantity, recording in lines]
    texts = [[amount(one.value, one.unit) if one else "" for one in line] for line in found]
    cells = tuple((name, *line) for name, line in zip(names, texts, strict=True))
    values = tuple(tuple(one.value if one else None for one in line) for line in found)
    return ("", *(host or ALL_HOSTS for host in columns)), cells, values


def notes(finding: Any, report: Any) -> list[str]:
    """Return what stands below a claim: prices that decide, what stood in, where the counts are from."""
    found = []
    if finding.decided_by:
        told = _some(finding.decided_by, DECIDING)
        found.append(f"On some recording a price, within its range, turns the answer: {told}.")
    if finding.verdict == UNTESTED:
        found.append(f"Not tested: no recording has what its rule takes ({finding.claim.rule}).")
    if finding.stand_in:
        found.append(f"Stand-in: {finding.stand_in}.")
    if finding.bounded:
        found.append(f"Lower bounds are compared: {', '.join(finding.bounded)}.")
    if finding.wide:
        wide = ", ".join(finding.wide)
        found.append(f"Guests of 64 bits, where the mail's had 32: {wide}{report.wide_about}.")
    if report.live_about and any(one.host == LIVE and one.key for part in finding.parts for one in part.figures):
        found.append(f"Measured live: one run of results/live, on {report.live_about}; another gives other digits.")
    for how in dict.fromkeys(one.how for one in finding.sources):
        names = [one.experiment for one in finding.sources if one.how == how and one.experiment]
        found.append(f"Counts: {how}{' in results/: ' + ', '.join(names) if names else ''}.")
    return found


def overview(report: Any) -> tuple[list[str], list[list[str]]]:
    """Return (heads, lines): every claim with its verdict at each host's prices."""
    heads = ["", "claim", *report.hosts]
    lines = []
    for finding in report.findings:
        each = [finding.verdict_at(host) for host in report.hosts]
        lines.append([str(finding.claim.number), finding.claim.says, *each])
    return heads, lines


def with_condition(finding: Any, host: str) -> str:
    """Say the verdict at a host's prices, and where it holds in part the condition of each part that does."""
    verdict = finding.verdict_at(host)
    found = []
    for part in finding.parts:
        at = host if host in part.hosts else part.hosts[0]
        if part.verdict(at) == verdict == WHEN and at in part.conditions:
            found.append(part.conditions[at])
    return f"{verdict} {'; '.join(dict.fromkeys(found))}".rstrip()


def markdown(report: Any) -> str:
    parts = ["# The mail's claims\n", *words.markdown_table(*overview(report), left=(0, 1))]
    for finding in report.findings:
        claim = finding.claim
        parts += [f"\n## {claim.number}. {claim.says}\n", f"{claim.author} ({claim.where}). **{finding.verdict}**\n"]
        parts += [f"Rule: {claim.rule}.\n"]
        for part in finding.parts:
            one = told(part, report.hosts, named=None)
            parts += [f"### {one.meaning}: {one.verdict}\n"]
            parts += [f"* when {text}" for text in one.conditions]
            parts += [f"* {text}" for text in one.recordings]
            parts += ["", *words.markdown_table(one.heads, one.cells)] if one.cells else []
            parts.append("")
        parts += [f"{note}\n" for note in notes(finding, report)]
        parts += [f"    {source.command}" for source in finding.sources]
    return "\n".join(parts).rstrip() + "\n"


def sections(report: Any) -> list[Any]:
    """Return the sections of a page (html/page.py), from headings of level 3 on."""
    from mmuexp.render.html.sections import Cell, Details, Heading, Table
    from mmuexp.render.html.sections import Text as Paragraph

    def marked(finding: Any, host: str) -> Cell:
        return Cell(with_condition(finding, host), mark=MARKS.get(finding.verdict_at(host), ""))

    def table(one: Told, **options: Any) -> Table:
        pairs = zip(one.cells, one.values, strict=True)
        return Table(one.heads, [[name, *map(Cell, texts, values)] for (name, *texts), values in pairs], **options)

    heads, lines = overview(report)
    rows = [
        [number, says, *(marked(finding, host) for host in report.hosts)]
        for finding, (number, says, *_) in zip(report.findings, lines, strict=True)
    ]
    found: list[Any] = [Table(heads, rows, sortable=False, wrap=True)]
    for finding in report.findings:
        claim = finding.claim
        found.append(Heading(f"{claim.number}. {claim.says}", 3, f"claim-{claim.number}"))
        found.append(Paragraph(f"{claim.author}: {finding.verdict}", "verdict"))
        for part in finding.parts:
            one = told(part, report.hosts, named=None)
            whens = [f"when {text}" for text in one.conditions]
            found.append(Paragraph([f"{one.meaning}: {one.verdict}", *whens]))
            found.append(Paragraph(list(one.recordings), "note"))
            if one.cells:
                found.append(table(one, sortable=False))
            every = told(part, report.hosts, named=None, key=False)
            if len(every.cells) > len(one.cells):
                found.append(Details("every figure", [table(every)]))
        judged = [
            Paragraph([claim.rule, claim.where]),
            Paragraph([source.command for source in finding.sources], "code"),
        ]
        found.append(Details("how it is judged, and from what", judged))
        found.append(Paragraph(notes(finding, report), "note"))
    return found


def print_report(report: Any, console: Console) -> None:
    """Print the overview (of several claims), then each claim: verdict, condition, figures, where they are from."""
    if len(report.findings) > 1:
        heads, lines = overview(report)
        rows = [[Text(cell, style=COLOURS.get(cell, "")) for cell in line] for line in lines]
        print_table(console, heads, rows, left=(0, 1), head_style="dim")
    for at, finding in enumerate(report.findings):
        if at or len(report.findings) > 1:
            console.print()
        _print(finding, report, console)


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
            print_table(console, one.heads, one.cells, indent=5, head_style="dim")
    for note in notes(finding, report):
        print_text(console, Text(note, style="dim"), 3)
