"""Makes what people see of a result, before it becomes text of some kind: tables of strings, a sentence, notes.

One `Summary` for each trace (a sweep: for each trace and pool); terminal/, markdown.py and html/ only lay it out.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from mmuexp.analysis.ranges import companions_of, tables_of
from mmuexp.price.priced import DEPENDENCE
from mmuexp.price.verdict import Line, clear_winner, close_to
from mmuexp.render import words
from mmuexp.render.clock import clock_sentence, timed, winner_by_clock
from mmuexp.render.figures import TIME, Figures, Row
from mmuexp.render.sentence import certainty_sentence, half_sentence, lines_of, sentence, today_sentence
from mmuexp.render.terminal.grid import table_width
from mmuexp.render.terminal.wrap import PAGE
from mmuexp.result.declared import NOT_TOLD
from mmuexp.result.table import TOLERANCE, TOLERANCE_NS, Result, access_ns, rows_of, within_tolerance
from mmuexp.strategy.registry import TODAY, known_classes
from mmuexp.trace.loadseed import LOAD_SEED

CERTAIN_ROUNDS = 6  # fewer do not bound a median so that it lies outside but once in 20
MAX_MAP_COUNT = 65530  # Linux's default limit of mappings of one process
NARROW = 80  # characters: an upright table wider than this is folded, if it fits them then
LONG_CELL, SHORT_CELL = 11, 7  # characters: a longer one is folded; in a table that must be narrow, one above 7, too

OF_TRACES = ("traces", "verdicts", "certainty", "pressure", "left_out")  # lists of a manifest, an entry a trace or run

CAUSES = {
    "faults_unmapped": "unmapped: first touch of a page that the scheme has not mapped",
    "faults_block": "block: the guest block has no host block yet, or lost it",
    "faults_write": "write: first store to a clean page, mapped read-only",
    "faults_code": "code: a store to a page that holds translated code",
    "faults_cross": "cross: an access across a page's end",
    "faults_io": "io: device memory",
    "faults_softmmu": "softmmu: a block that must run with softmmu accesses",
}


@dataclass
class Summary:
    """One table: `heads` and `cells` are texts, `left` the columns set left; `bars` are the runs of a sweep.

    `upright`: the table is turned, a column a run and a line a figure, so `best`, the run that wins, is a column.
    The first `keys` columns say which run a row is.
    """

    title: str
    heads: list[str]
    cells: list[list[str]]
    left: set[int]
    best: int | None
    upright: bool
    sentence: str
    notes: list[str] = field(default_factory=list)
    bars: list[Line] = field(default_factory=list)
    keys: int = 1

    @property
    def width(self) -> int:
        """In characters, with nothing folded."""
        return table_width(self.heads, self.cells)

    def without(self, column: int) -> "Summary":
        """Return the same without one column, for a narrow terminal."""

        def cut(cells: list[str]) -> list[str]:
            return cells[:column] + cells[column + 1 :]

        left = {at - (at > column) for at in self.left if at != column}
        return replace(self, heads=cut(self.heads), cells=[cut(row) for row in self.cells], left=left)

    def folded(self, longest: int = LONG_CELL, joints: str = "-") -> "Summary":
        """Return the same with names on several lines, broken after `joints`, and cells longer than `longest` on two.

        Labels stay whole.
        """

        def fold(cell: str) -> str:
            return cell if len(cell) <= longest or "\n" in cell else cell.replace(" ", "\n", 1)

        heads = [re.sub(f"[{joints}]", "\\g<0>\n", head) for head in self.heads]
        return replace(self, heads=heads, cells=[[row[0], *map(fold, row[1:])] for row in self.cells])


def summaries(result: Result, width: int = PAGE) -> list[Summary]:
    """Return a Summary for each table, upright where that fits in `width` characters."""
    rows = rows_of(result.frame)
    traces = list(dict.fromkeys(row["trace"] for row in rows))
    companions = companions_of(known_classes(row["strategy"] for row in rows)) if result.parameters else {}
    of_trace: dict[str, list[Row]] = {trace: [] for trace in traces}
    for row in rows:
        of_trace[row["trace"]].append(row)
    told_of = _by_trace(result.manifest, traces)
    found = []
    for trace, mine in of_trace.items():
        part = replace(result, manifest={**result.manifest, **told_of[trace]})
        for caption, group, told in tables_of(mine, result.parameters, companions):
            table = _Table(part, trace, group, mine, caption, told)
            found.append(table.summary(width))
    return found


def _by_trace(manifest: Mapping[str, Any], traces: Iterable[str]) -> dict[str, dict[str, list[Any]]]:
    """What lists of the manifest tell of each trace: looked for in all of them, a corpus would take minutes."""
    found: dict[str, dict[str, list[Any]]] = {trace: {name: [] for name in OF_TRACES} for trace in traces}
    for name in OF_TRACES:
        for one in manifest.get(name, []):
            if one.get("trace") in found:
                found[one["trace"]][name].append(one)
    return found


class _Table:
    """Builds one Summary of `rows`; `all_rows` are the trace's, among which the reference is."""

    def __init__(self, result: Result, trace: str, rows: list[Row], all_rows: list[Row], caption: str, told: set[str]):
        self.result, self.trace, self.rows, self.caption = result, trace, rows, caption
        self.parameters = [p for p in result.parameters if p not in told]
        self.figures = Figures(result, trace, rows, all_rows, self.parameters)
        self.host = result.manifest.get("prices", {}).get("host", {}).get("name", "its host profile")
        self.names = [self._name(row) for row in rows]
        self.lines = lines_of(rows, self.names)
        self.timed = timed(rows, self.names)
        model = None if result.windowed else clear_winner(self.lines)
        winner = winner_by_clock(self.timed) if self.timed else model  # the clock decides, where it was asked
        self.best = None if winner is None else self.names.index(winner.name)
        self.figures.best = None if self.best is None else rows[self.best]

    def summary(self, width: int) -> Summary:
        if self.result.kind == "compare" and not self.result.windowed:
            upright = self._summary(upright=True)
            folded = upright.folded()
            if upright.width > NARROW:
                narrower = (folded, upright.folded(joints="_=-"), upright.folded(SHORT_CELL, "_=-"))
                upright = next((one for one in narrower if one.width <= NARROW), upright)
            for one in (upright, folded):
                if one.width <= width:
                    return one
        return self._summary(upright=False)

    def _summary(self, *, upright: bool) -> Summary:
        self.figures.footnotes.clear()
        figures = self.figures.lines() if upright else self.figures.columns()
        heads = [figure.label for figure in figures]
        cells = [[figure.text(row) for figure in figures] for row in self.rows]
        left = {at for at, figure in enumerate(figures) if figure.left}
        if upright:
            turned = [list(line) for line in zip(heads, *cells, strict=True)]
            # a long spec would make a wide column
            heads, cells, left = [cell.replace(",", ",\n") for cell in turned[0]], turned[1:], {0}
        reference = self.figures.reference
        base = next((n for n, r in zip(self.names, self.rows, strict=True) if r["strategy"] == reference), "")
        best = None if self.best is None else self.best + upright
        bars = self.lines if self.result.kind == "sweep" else []
        halves = half_sentence(self.rows, self.names, base) if self.result.kind == "compare" else ""
        today = today_sentence(self.lines, self._today()) if self.result.kind == "compare" else ""
        said = (sentence(self.lines, base, self.host), self._certainty(), today, halves, self._rests_on())
        text = " ".join(filter(None, said))
        notes = [*self._notes(upright), *self.figures.told.of(self.trace).notes]
        if self.timed:
            notes.insert(0, f"By the model: {text}")
            text = clock_sentence(self.timed)
        keys = 1 if upright else heads.index(TIME)
        return Summary(self._title(), heads, cells, left, best, upright, text, notes, bars, keys)

    def _facts(self) -> Mapping[str, Any]:
        """What the manifest says of the trace."""
        return next((t for t in self.result.manifest.get("traces", []) if t["trace"] == self.trace), {})

    def _today(self) -> set[str]:
        """The names of the runs whose schemes are of the group `today`."""
        today = {cls.name for cls in known_classes(row["strategy"] for row in self.rows) if cls.GROUP == TODAY}
        runs = zip(self.rows, self.names, strict=True)
        return {name for row, name in runs if row["strategy"].partition(",")[0] in today}

    def _certainty(self) -> str:
        """How sure the model's winner is, of those that it does not call equal."""
        if not self.lines:
            return ""
        winner = min(self.lines, key=lambda line: line.ns)
        specs = {name: row["strategy"] for row, name in zip(self.rows, self.names, strict=True)}
        close = {line.name for line in close_to(winner, self.lines)}
        others = {specs[line.name]: line.name for line in self.lines if line.name not in close}
        known = self.result.manifest.get("certainty", [])
        mine = [one for one in known if one["trace"] == self.trace and one["best"] == specs[winner.name]]
        return certainty_sentence(winner.name, mine, others, self.host)

    def _rests_on(self) -> str:
        """What the verdict rests on, where times are lower bounds."""
        if not (missing := self.figures.told.of(self.trace).missing):
            return ""
        return f"This compares lower bounds: the trace lacks {missing}, and what that adds may turn the order."

    def _name(self, row: Row) -> str:
        told = ",".join(f"{p}={row[p]}" for p in self.parameters if row[p] is not None)
        if LOAD_SEED in self.parameters:
            return f"{row['strategy'].partition(',')[0]},{told}"
        return told or row["strategy"]

    def _title(self) -> str:
        total = self.rows[0]
        if self.result.windowed:
            mine = [row for row in self.rows if row["strategy"] == total["strategy"]]
            shape = ("rows", "accesses", "page_cross", "misaligned")
            total = {k: None if mine[0][k] is None else sum(row[k] for row in mine) for k in shape}
        facts = self._facts()
        mode = f", {facts['mode']} mode" if "mode" in facts else ""
        mode += f", thread {facts['thread']} alone" if "thread" in facts else ""
        swept = f"\n{self.rows[-1]['strategy'].split(',')[0]} with {self.caption}" if self.caption else ""
        return (
            f"{self.trace}: {words.number(total['rows'])} rows{self.result.since},"
            f" {words.number(total['accesses'])} memory accesses"
            f" ({_layout(total)}){mode}{swept}"
        )

    def _priced_at(self, host: Mapping[str, Any], *, exact: bool) -> str:
        """What times are made of, and whose prices they are at; `exact`: that counts are."""
        exactly = "; counts are exact"
        if self.figures.told.of(self.trace).missing:
            exactly += " as far as the trace tells them"
        return (
            "memory access time = hit paths, helpers and handlers, kernel, code translated again. Translating code"
            " for the first time stands apart: it is the same under every scheme. What else the guest does is not"
            f" counted. A model at the prices of host {host['name']} ({host['about']}){exactly if exact else ''}."
        )

    def _notes(self, upright: bool) -> list[str]:
        prices = self.result.manifest.get("prices", {})
        host = prices.get("host")
        schemes = list(dict.fromkeys(row["strategy"].partition(",")[0] for row in self.rows))
        unchecked = words.unchecked_in(schemes, self.result.manifest.get("unchecked", []))
        notes = [self._priced_at(host, exact=not unchecked)] if host else []
        live = self.result.manifest.get("live", {})
        if self.best is not None:
            notes[-1:] = [f"{notes[-1]} The winner has a *."] if notes else ["The winner has a *."]
        notes += unchecked
        notes += words.put_together(schemes, prices)
        if upright and any(map(self.figures.ranged, self.rows)):
            notes.append(
                f"of {self.figures.reference}'s time: at least and at most, all prices anywhere in their ranges."
            )
        if self.figures.is_live():
            few = any(one.rounds is not None and one.rounds < CERTAIN_ROUNDS for one in self.timed)
            ends = "the least and the most of them" if few else "where it lies but for one case in 20"
            notes.append(
                "measured here = processor time of the scheme's engine less that of a loop without translation over the"
                f" same rows: the median of the rounds, and {ends}; error = modelled less measured."
            )
        if others := [
            text for row, name in zip(self.rows, self.names, strict=True) if (text := _engine_is_other(row, name))
        ]:
            notes.append(
                "modelled = what the engine should take. An engine walks no guest page tables, since a trace holds"
                f" none, and some helpers of it are not the scheme's: ns an access of {'; '.join(others)}. Where both"
                " differ, measured ratios are not those of memory access time."
            )
        if not all(map(within_tolerance, self.rows)):
            notes.append(
                f"! The model is off by more than {TOLERANCE:.0%} and {TOLERANCE_NS} ns an access: docs/prices.md says"
                " what that may be. On a busy machine, or where low and high lie far apart, measure longer: --time."
            )
        notes += [f"{one['strategy']} is not measured, {one['why']}." for one in live.get("without_engine", [])]
        notes += words.missing_in(self.rows)
        if upright and self.figures.has_rivals():
            notes.append(
                f"a host fault costs: kernel time / host faults, {words.at_prices(self.host)}; ahead of"
                f" {self.figures.reference}: the price under or over which the scheme beats it."
            )
        causes = [text for cause, text in CAUSES.items() if any(row.get(cause) for row in self.rows)]
        if causes:
            notes.append("host fault = a SIGSEGV that the emulator takes. " + "; ".join(causes) + ".")
        for knob, at in self.figures.footnotes.items():
            turns = "where they do" if knob == DEPENDENCE else "within that range"
            notes.append(f"[{at}] this decides: {knob}; {turns} the order turns.")
        shown = {row["strategy"] for row in self.rows}
        for one in self.result.manifest.get("pressure", []):
            if one["trace"] == self.trace and one["strategy"] in shown:
                notes.append(words.pressure(one))
        if any((row["peak_mappings"] or 0) > MAX_MAP_COUNT for row in self.rows):
            notes.append(f"More host mappings than Linux allows by default (vm.max_map_count, {MAX_MAP_COUNT:,}).")
        facts = self._facts()
        if facts.get("complete") not in (*NOT_TOLD, "yes"):
            notes.append(f"The recording was cut short: {facts['complete']}.")
        for one in self.result.manifest.get("left_out", []):
            if one["trace"] == self.trace:
                notes.append(f"{one['strategy']} is left out, it cannot serve this trace: {one['why']}.")
        if self.result.manifest.get("by_default"):
            notes.append(words.groups_there_are(self._facts().get("mode", "user")))
        if self.result.manifest.get("complete", "yes") != "yes":
            notes.append(f"Not complete: {self.result.manifest['complete']}.")
        return notes


def _layout(total: Row) -> str:
    """How many accesses lie across a page's end, or on no boundary of their size."""
    if total["page_cross"] is None:
        return "how many cross a page or are misaligned is unknown"
    crossing, misaligned = (words.share(total[name], total["accesses"]) for name in ("page_cross", "misaligned"))
    return f"{crossing} cross a page, {misaligned} are misaligned"


def _engine_is_other(row: Row, name: str) -> str:
    """What a measured scheme and its engine take by the model, in ns an access, where that is not about the same."""
    engine, again = row.get("live_model_ns_per_access"), row.get("retranslate_ns")
    if engine is None or again is None or not row["accesses"]:
        return ""
    scheme = (access_ns(row) - again) / row["accesses"]
    if abs(scheme - engine) <= max(TOLERANCE * engine, TOLERANCE_NS):
        return ""
    return f"{name} {scheme:.2f}, of its engine {engine:.2f}"
