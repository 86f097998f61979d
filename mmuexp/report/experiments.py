"""One experiment of results/ on the page: question, answer, chart, tables, its CSV, what made it and what redoes it."""

import re
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

from mmuexp.analysis.reprice import reprice
from mmuexp.claims.evidence import CountedRun, runs_of
from mmuexp.errors import MmuexpError
from mmuexp.price.host import Profile
from mmuexp.render import words
from mmuexp.render.across import is_corpus, summary_across
from mmuexp.render.chart.draw import chart_of
from mmuexp.render.html.result import chart_sections, table_of
from mmuexp.render.html.sections import Cell, Chart, Details, Heading, Table, Text
from mmuexp.rerun.about import About
from mmuexp.rerun.report import ExperimentReport, commands_of
from mmuexp.result.table import WINDOW, Result, rows_of
from mmuexp.result.turns import stem
from mmuexp.strategy.registry import parse_saved
from mmuexp.trace import digest

HEAD = ["recording", "scheme", "time", "instructions", "accesses", "host faults", "in all", "kernel", "page crossings"]
MOST = 12  # columns of a table that holds no prices
SHOWN = 12  # longer tables open when asked for
UNITS = ["", "", "ns/access", "/access", "", "", "ms", "ms", ""]


def experiment_sections(about: About, results: Mapping[str, Result], host: Profile) -> list[Any]:
    """The sections of one experiment; prices are those of `host`, counts those that are committed."""
    report = ExperimentReport(about, results)
    found: list[Any] = [Heading(about.name, 3, f"experiment-{about.name}"), Text(about.question, "verdict")]
    found += [Text(f"This does not hold: {line}.", "verdict") for line in report.broken]
    found.append(Text([plain(part) for part in re.split(r"\n\s*\n", report.answer.strip()) if part]))
    for table, title, (head, *lines) in report.tables():
        rows = [[Cell(plain(line[0])), *(Cell(cell, words.value(cell)) for cell in line[1:])] for line in lines]
        found.append(Table([plain(cell) for cell in head], rows, caption=plain(title), name=table.name))
    found += _chart(report, results)
    for name, result in results.items():
        found += _together(about, name, result, host)
        runs = _runs(about, name, result, host)
        found.append(runs if len(runs.rows) <= SHOWN else Details(f"Every run: {len(runs.rows)} rows", [runs]))
    found.append(Details("Redo it, and what made it", _redo(about, results)))
    return found


def plain(text: str) -> str:
    """Markdown without its marks: [words](link), `code`, *emphasis*, line breaks."""
    text = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", text)
    text = re.sub(r"(?<!\w)(\*{1,2})(\S(?:[^*]*\S)?)\1(?!\w)", r"\2", text)
    return " ".join(text.replace("`", "").split())


def _chart(report: ExperimentReport, results: Mapping[str, Result]) -> list[Any]:
    """What experiment.toml asks for; else where the time of each run goes."""
    about = report.about
    if about.chart is not None:
        frame = report.drawn()
        used = [about.chart.spec.get(key) for key in ("x", "y", "color", "facet", "label")]
        columns = [name for one in used if one for name in ([one] if isinstance(one, str) else one)]
        spec = {key: value for key, value in about.chart.spec.items() if key != "title"}
        title = about.chart.spec.get("title", "")
        drawn = frame[list(dict.fromkeys(columns))]
        alt = f"{' and '.join(dict.fromkeys(columns))}: {title or about.question} The table below has its figures."
        return [Chart(chart_of(frame, spec), drawn, alt, title, f"{about.name}-chart")]
    first = next(iter(results.values()))
    return chart_sections(first, name=f"{about.name}-chart") if "ns" in first.frame.columns else []


def _runs(about: About, name: str, result: Result, host: Profile) -> Table:
    """Every run at the prices of `host`, the winner of each recording marked; the CSV is the committed one."""
    if not can_price(result):
        return _as_saved(about, name, result)
    runs = runs_of(result)
    ranked = sorted(runs, key=lambda run: run.ns(host), reverse=True)
    least = {run.recording: run.ns(host) for run in ranked}
    contest = len(runs) > len(least) and not result.parameters
    rows = [_row(run, host, contest and run.ns(host) == least[run.recording]) for run in runs]
    caption = f"Every run{result.since}, at the prices of {host.name}; {name}.csv has all columns as they were counted"
    return Table(HEAD, rows, UNITS, caption=caption, csv=result.frame, name=f"{about.name}-{name}")


def _together(about: About, name: str, result: Result, host: Profile) -> list[Any]:
    """How each scheme stands over all recordings of a comparison, at the prices of `host`; nothing for another."""
    if not (is_corpus(result) and can_price(result)):
        return []
    over = summary_across(reprice(result, host))
    caption = f"{over.title}{result.since}, at the prices of {host.name}"
    table = replace(table_of(over), caption=caption, name=f"{about.name}-{name}-together")
    return [table, Text(over.sentence), *(Text(note, "note") for note in over.notes)]


def can_price(result: Result) -> bool:
    """Can its counts be priced anew? Windows, tables without prices, and schemes that are not installed cannot."""
    if result.windowed or "units8" not in result.frame.columns or not len(result.frame):
        return False
    specs = list(dict.fromkeys(result.frame["strategy"]))
    with suppress(MmuexpError):
        return all(parse_saved(spec) is not None for spec in specs)
    return False


def _as_saved(about: About, name: str, result: Result) -> Table:
    """The main columns at the prices that the table was saved with."""
    main = [c for c in ("trace", WINDOW, "strategy", "accesses", "faults", "ns") if c in result.frame.columns]
    columns = main if "ns" in main else list(result.frame.columns)[:MOST]
    rows = [[row[c] for c in columns] for row in rows_of(result.frame)]
    caption = f"Every run{result.since}, as saved; {name}.csv has all columns"
    return Table(columns, rows, caption=caption, csv=result.frame, name=f"{about.name}-{name}")


def _row(run: CountedRun, host: Profile, best: bool) -> list[Any]:
    accesses, cost, spec = run.counts["accesses"], run.price(host), str(run.strategy)
    crossing = run.counts["page_cross"]
    each = [Cell(f"{total / accesses:.2f}", total / accesses) for total in (cost.access_ns, cost.insns)]
    milliseconds = [Cell(words.significant(ns / 1e6), ns) for ns in (cost.access_ns, cost.kernel_ns)]
    scheme = Cell(spec, mark="best") if best else spec
    return [
        run.recording,
        scheme,
        *each,
        accesses,
        run.faults,
        *milliseconds,
        words.UNKNOWN if crossing is None else crossing,
    ]


def _redo(about: About, results: Mapping[str, Result]) -> list[Any]:
    commands = commands_of(about)
    commands.insert(bool(about.recipe), f"mmuexp rerun results/{about.name}")
    rows = []
    for name, result in results.items():
        manifest = about.folder / f"{name}.csv.manifest.json"
        for trace in result.manifest.get("traces", []):
            rows.append([stem(trace["trace"]), trace.get("rows"), trace.get("sha256", ""), f"{name}.csv"])
        made = " ".join(str(result.manifest.get(key, "")) for key in ("mmuexp", "commit", "finished"))
        rows.append([manifest.name, None, digest_of(manifest), made])
    head = ["recording or manifest", "rows", "sha256", "of, or made by"]
    return [Text(commands, "code"), Table(head, rows, sortable=False, name=f"{about.name}-inputs")]


def digest_of(file: Path) -> str:
    """sha256 of a file, "" where there is none."""
    return digest(file) if file.is_file() else ""


def index_of(abouts: Sequence[About]) -> Table:
    """Every experiment with its question."""
    rows = [[Cell(about.name, href=f"#experiment-{about.name}"), about.question] for about in abouts]
    return Table(["experiment", "question"], rows, name="experiments")
