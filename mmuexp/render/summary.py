"""What people see of a result, before it becomes text of some kind: tables of strings, a sentence, notes.

One `Summary` for each trace (a sweep: for each trace and pool); table.py, markdown.py and html.py only lay it out.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from mmuexp.ranges import COMPANIONS
from mmuexp.render import words
from mmuexp.render.sentence import Line, clear_winner, lines_of, sentence
from mmuexp.result import FAULT_CAUSES, Result, rows_of

Row = dict[str, Any]
MAX_MAP_COUNT = 65530  # Linux's default limit of mappings of one process
PAGE = 120  # characters: an upright table wider than this is laid down where there is no terminal to measure
GAP = 2  # between columns
SHORT = 12  # a reference's name up to so long stands in the middle of a label

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
    """One table: `heads` and `cells` are texts, `left` the columns set left; `bars` feed the plot of a sweep.

    `upright`: the table is turned, a column a run and a line a figure, so `best`, the run that wins, is a column.
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

    @property
    def width(self) -> int:
        """In characters, with nothing folded."""
        columns = zip(self.heads, *self.cells, strict=True)
        return sum(max(len(line) for cell in column for line in cell.split("\n")) + GAP for column in columns) - GAP

    def without(self, column: int) -> "Summary":
        """The same without one column, for a narrow terminal."""

        def cut(cells: list[str]) -> list[str]:
            return cells[:column] + cells[column + 1 :]

        left = {at - (at > column) for at in self.left if at != column}
        return replace(self, heads=cut(self.heads), cells=[cut(row) for row in self.cells], left=left)


def summaries(result: Result, width: int = PAGE) -> list[Summary]:
    """Upright where that fits in `width` characters."""
    rows = rows_of(result.frame)
    traces = list(dict.fromkeys(row["trace"] for row in rows))
    found = []
    for trace in traces:
        mine = [row for row in rows if row["trace"] == trace]
        for caption, group in _groups(mine, result.parameters):
            table = _Table(result, trace, group, mine, caption)
            found.append(table.summary(width))
    return found


def _groups(rows: list[Row], parameters: Sequence[str]) -> list[tuple[str, list[Row]]]:
    """A sweep that shows companions (a pool of 64 blocks, one of 64 MiB) is a table for each."""
    for name in parameters:
        variants = COMPANIONS.get(name, ())
        if variants and all(key in parameters for key in variants[0]):
            groups = []
            for variant in variants:
                fits = [r for r in rows if r[name] is None or all(r[key] == variant[key] for key in variant)]
                if any(row[name] is not None for row in fits):
                    mib = variant["pool_mib"]
                    pool = f"a pool of {mib} MiB" if mib else f"a pool of {variant['pool_blocks']} blocks"
                    groups.append((pool, fits))
            if sum(row[name] is not None for _, g in groups for row in g) == sum(r[name] is not None for r in rows):
                return groups
    return [("", rows)]


class _Table:
    """Builds one Summary of `rows`; `all_rows` are the trace's, among which the reference is."""

    def __init__(self, result: Result, trace: str, rows: list[Row], all_rows: list[Row], caption: str):
        self.result, self.trace, self.rows, self.all_rows, self.caption = result, trace, rows, all_rows, caption
        self.verdicts = {v["scheme"]: v for v in result.manifest.get("verdicts", []) if v["trace"] == trace}
        known = next(iter(self.verdicts.values()), {}).get("reference")
        self.reference = known or rows[0]["strategy"]
        self.parameters = [p for p in result.parameters if not caption or p not in ("pool_blocks", "pool_mib")]
        self.footnotes: dict[str, int] = {}
        self.names = [self._name(row) for row in rows]
        self.lines = lines_of(rows, self.names)
        winner = None if result.windowed else clear_winner(self.lines)
        self.best = None if winner is None else self.names.index(winner.name)

    def summary(self, width: int) -> Summary:
        if self.result.kind == "compare" and not self.result.windowed:
            upright = self._summary(upright=True)
            if upright.width <= width:
                return upright
        return self._summary(upright=False)

    def _summary(self, *, upright: bool) -> Summary:
        self.footnotes = {}
        columns = self._figures() if upright else self._columns()
        heads = [head for head, _, _ in columns]
        cells = [[cell(row) for _, _, cell in columns] for row in self.rows]
        left = {at for at, (_, is_left, _) in enumerate(columns) if is_left}
        if upright:
            turned = [list(line) for line in zip(heads, *cells, strict=True)]
            # a long spec would make a wide column
            heads, cells, left = [cell.replace(",", ",\n") for cell in turned[0]], turned[1:], {0}
        base = next((n for n, r in zip(self.names, self.rows, strict=True) if r["strategy"] == self.reference), "")
        best = None if self.best is None else self.best + upright
        bars = self.lines if self.result.kind == "sweep" else []
        text = sentence(self.lines, base)
        return Summary(self._title(), heads, cells, left, best, upright, text, self._notes(), bars)

    def _name(self, row: Row) -> str:
        if self.parameters and row[self.parameters[0]] is not None:
            return ",".join(f"{p}={row[p]}" for p in self.parameters)
        return row["strategy"]

    def _title(self) -> str:
        total = self.rows[0]
        if self.result.windowed:
            mine = [row for row in self.rows if row["strategy"] == total["strategy"]]
            total = {k: sum(row[k] for row in mine) for k in ("rows", "accesses", "page_cross", "misaligned")}
        facts = next((t for t in self.result.manifest.get("traces", []) if t["trace"] == self.trace), {})
        mode = f", {facts['mode']} mode" if "mode" in facts else ""
        swept = f"\n{self.rows[-1]['strategy'].split(',')[0]} with {self.caption}" if self.caption else ""
        return (
            f"{self.trace}: {words.number(total['rows'])} rows, {words.number(total['accesses'])} memory accesses"
            f" ({words.share(total['page_cross'], total['accesses'])} cross a page,"
            f" {words.share(total['misaligned'], total['accesses'])} are misaligned){mode}{swept}"
        )

    def _figures(self) -> list[tuple[str, bool, Any]]:
        """The lines of an upright table; instructions are split by where they run, faults by cause."""
        against, ahead = self._of_reference()
        found: list[tuple[str, bool, Any]] = [
            ("", True, lambda r: r["strategy"]),
            ("memory access time", False, lambda r: words.duration(r["ns"])),
            (against, False, self._against),
        ]
        if any(self._deciding(row) for row in self.rows):
            found.append(("  price that decides", False, self._marks))
        found.append(("instructions/access", False, _per_access))
        if self._is_split():
            found += [
                ("  hit path", False, _part("hit_insns")),
                ("  helpers and handlers", False, _part("handler_insns")),
                (f"  {self._translating()}".replace(" (", "\n    ("), False, _part("translate_insns")),
            ]
        found += [
            ("kernel time", False, lambda r: words.duration(r["kernel_ns"])),
            ("host faults", False, lambda r: words.number(r["faults"])),
        ]
        for cause in FAULT_CAUSES:
            if any(row.get(cause) for row in self.rows):
                name = f"  {cause.removeprefix('faults_')}"
                found.append((name, False, lambda r, c=cause: words.number(r.get(c))))
        found += [
            ("page crossings", False, lambda r: words.number(r["page_cross"])),
            ("  instructions", False, lambda r: words.number(r["cross_insns"])),
            ("  kernel time", False, lambda r: words.duration(r.get("cross_kernel_ns"))),
            ("  each: instructions", False, _each_insns),
            ("  each: kernel time", False, _each_kernel),
            ("lookup tables", False, lambda r: words.size(r["table_bytes"])),
            ("host address space", False, lambda r: words.size(r["reserved_bytes"])),
            ("host mappings at most", False, lambda r: words.number(r["peak_mappings"])),
        ]
        if self._has_rivals():
            found.append((ahead, False, self._while))
            found.append(("  a fault costs\n    at these prices", False, self._now))
        return found

    def _columns(self) -> list[tuple[str, bool, Any]]:
        short = len(self.reference) <= SHORT  # else its own line says "reference"
        against = f"against\n{self.reference}" if short else "against\nreference"
        ahead = f"ahead of {self.reference}\nwhile a fault costs" if short else "ahead of it\nwhile a\nfault costs"
        found: list[tuple[str, bool, Any]] = []
        if self.result.windowed:
            found.append(("window", False, lambda r: words.number(r["window"])))
        if self.parameters:
            for p in self.parameters:
                other = (lambda r: r["strategy"]) if p == self.parameters[0] else (lambda r: words.DASH)
                found.append((p, False, lambda r, p=p, other=other: other(r) if r[p] is None else str(r[p])))
        else:
            found.append(("scheme", True, lambda r: r["strategy"]))
        found += [
            ("memory\naccess time", False, lambda r: words.duration(r["ns"])),
            (against, True, lambda r: " ".join(filter(None, (self._against(r), self._marks(r))))),
            ("instructions\n/access", False, _per_access),
        ]
        if not self.parameters and self._is_split():
            found += [
                ("hit\npath", False, _part("hit_insns")),
                ("helpers and\nhandlers", False, _part("handler_insns")),
                (self._translating().replace(" ", "\n", 1), False, _part("translate_insns")),
            ]
        found += [
            ("kernel\ntime", False, lambda r: words.duration(r["kernel_ns"])),
            ("host\nfaults", False, lambda r: words.number(r["faults"])),
            ("of these", True, _causes),
        ]
        if self.parameters:
            found += [
                ("lookup\ntables", False, lambda r: words.size(r["table_bytes"])),
                ("host address\nspace", False, lambda r: words.size(r["reserved_bytes"])),
                ("host mappings\nat most", False, lambda r: words.number(r["peak_mappings"])),
            ]
        if not self.parameters or any(row["cross_ns"] for row in self.rows):
            found += [
                ("page crossings:\ninstructions", False, lambda r: words.number(r["cross_insns"])),
                ("page crossings:\nkernel time", False, lambda r: words.duration(r.get("cross_kernel_ns"))),
                ("each:\ninstructions", False, _each_insns),
                ("each:\nkernel time", False, _each_kernel),
            ]
        if self._has_rivals():
            found.append((ahead, False, self._while))
        return found

    def _of_reference(self) -> tuple[str, str]:
        """The two labels that name the reference; a long spec is broken, so that the labels stay narrow."""
        if len(self.reference) <= SHORT:
            return f"  against {self.reference}", f"ahead of {self.reference} while\n  a fault costs"
        name = self.reference.replace(",", ",\n    ")
        return f"  against\n    {name}", f"ahead of\n    {name}\n  while a fault costs"

    def _is_split(self) -> bool:
        return any(row.get("hit_insns") is not None for row in self.rows)  # a result saved earlier is not

    def _translating(self) -> str:
        source = self.result.manifest.get("prices", {}).get("translate", {}).get("source", "")
        return "translating code" + (" (assumed)" if source.startswith("assumed") else "")

    def _has_rivals(self) -> bool:
        """Is the reference another scheme than the rows? A sweep against itself turns at no price worth a column."""
        name = self.reference.partition(",")[0]
        others = any(row["strategy"].partition(",")[0] != name for row in self.rows)
        return bool(self.verdicts) and not self.result.windowed and others

    def _base(self, row: Row) -> Row | None:
        for other in self.all_rows:
            if other["strategy"] == self.reference and other.get("window") == row.get("window"):
                return other
        return None

    def _against(self, row: Row) -> str:
        base = self._base(row)
        if row["strategy"] == self.reference or base is None:
            text = "reference" if base is not None else words.DASH
        else:
            text = words.factor(row["ns"], base["ns"])
        wins = self.best is not None and row is self.rows[self.best]
        return f"{text} *" if wins else text

    def _deciding(self, row: Row) -> list[str]:
        """The assumed prices that turn this run's order with the reference."""
        base = self._base(row)
        if self.result.windowed or base is None or words.factor(row["ns"], base["ns"]) == words.EQUAL:
            return []  # equal as printed: there is no order to turn
        return self.verdicts.get(row["strategy"], {}).get("decided_by", [])

    def _marks(self, row: Row) -> str:
        return " ".join(f"[{self.footnotes.setdefault(k, len(self.footnotes) + 1)}]" for k in self._deciding(row))

    def _while(self, row: Row) -> str:
        verdict = self.verdicts.get(row["strategy"])
        if verdict is None or row["strategy"] == self.reference:
            return ""
        wins, price = verdict["wins"], words.duration(verdict["fault_ns"])
        return {"always": "any price", "never": "never", "below": f"under {price}", "above": f"over {price}"}[wins]

    def _now(self, row: Row) -> str:
        return words.duration(row["kernel_ns"] / row["faults"]) if row["faults"] else words.DASH

    def _notes(self) -> list[str]:
        notes = []
        host = self.result.manifest.get("prices", {}).get("host")
        if host:
            rate = host["prices"]["insn"]["ns"]
            notes.append(
                f"memory access time = instructions x {rate:g} ns + kernel time; the guest's other instructions are not"
                f" counted. A model at the prices of host {host['name']} ({host['about']}); counts are exact."
            )
        if self.best is not None:
            notes[-1:] = [f"{notes[-1]} The winner has a *."] if notes else ["The winner has a *."]
        causes = [text for cause, text in CAUSES.items() if any(row.get(cause) for row in self.rows)]
        if causes:
            notes.append("host fault = a SIGSEGV that the emulator takes. " + "; ".join(causes) + ".")
        for knob, at in self.footnotes.items():
            notes.append(f"[{at}] an assumed price decides this: half or double of {knob} turns the order.")
        if any((row["peak_mappings"] or 0) > MAX_MAP_COUNT for row in self.rows):
            notes.append(f"More host mappings than Linux allows by default (vm.max_map_count, {MAX_MAP_COUNT:,}).")
        facts = next((t for t in self.result.manifest.get("traces", []) if t["trace"] == self.trace), {})
        if facts.get("complete") not in (None, "yes"):
            notes.append(f"The recording was cut short: {facts['complete']}.")
        if self.result.manifest.get("complete", "yes") != "yes":
            notes.append(f"Not complete: {self.result.manifest['complete']}.")
        return notes


def _per_access(row: Row) -> str:
    value = row["insns_per_access"]
    return words.DASH if value is None else f"{value:.2f}"


def _causes(row: Mapping[str, Any]) -> str:
    found = [(cause.removeprefix("faults_"), row.get(cause)) for cause in FAULT_CAUSES]
    return ", ".join(f"{words.number(count)} {cause}" for cause, count in found if count)


def _part(column: str) -> Callable[[Row], str]:
    """A part of the instructions, for each access, with the digits of the whole."""

    def cell(row: Row) -> str:
        part = row.get(column)
        return words.DASH if part is None or not row["accesses"] else f"{part / row['accesses']:.2f}"

    return cell


def _each_insns(row: Row) -> str:
    return words.significant(row["cross_insns"] / row["page_cross"]) if row["page_cross"] else words.DASH


def _each_kernel(row: Row) -> str:
    kernel = row.get("cross_kernel_ns") or 0
    return words.duration(kernel / row["page_cross"]) if row["page_cross"] else words.DASH
