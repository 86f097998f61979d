"""What people see of a result, before it becomes text of some kind: tables of strings, a sentence, notes.

One `Summary` for each trace (a sweep: for each trace and pool); table.py, markdown.py and html.py only lay it out.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from mmuexp.ranges import COMPANIONS
from mmuexp.render import words
from mmuexp.render.sentence import Line, lines_of, sentence
from mmuexp.result import FAULT_CAUSES, Result, rows_of

Row = dict[str, Any]
MAX_MAP_COUNT = 65530  # Linux's default limit of mappings of one process
UPRIGHT_RUNS = 6  # up to so many runs are columns side by side

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

    def without(self, column: int) -> "Summary":
        """The same without one column, for a narrow terminal."""

        def cut(cells: list[str]) -> list[str]:
            return cells[:column] + cells[column + 1 :]

        left = {at - (at > column) for at in self.left if at != column}
        return replace(self, heads=cut(self.heads), cells=[cut(row) for row in self.cells], left=left)


def summaries(result: Result) -> list[Summary]:
    rows = rows_of(result.frame)
    traces = list(dict.fromkeys(row["trace"] for row in rows))
    found = []
    for trace in traces:
        mine = [row for row in rows if row["trace"] == trace]
        for caption, group in _groups(mine, result.parameters):
            found.append(_Table(result, trace, group, mine, caption).summary())
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
        self.upright = result.kind == "compare" and not result.windowed and len(rows) <= UPRIGHT_RUNS

    def summary(self) -> Summary:
        columns = self._figures() if self.upright else self._columns()
        heads = [head for head, _, _ in columns]
        cells = [[cell(row) for _, _, cell in columns] for row in self.rows]
        left = {at for at, (_, is_left, _) in enumerate(columns) if is_left}
        if self.upright:
            turned = [list(line) for line in zip(heads, *cells, strict=True)]
            # a long spec would make a wide column
            heads, cells, left = [cell.replace(",", ",\n") for cell in turned[0]], turned[1:], {0}
        names = [self._name(row) for row in self.rows]
        lines = lines_of(self.rows, names)
        base = next((n for n, r in zip(names, self.rows, strict=True) if r["strategy"] == self.reference), "")
        best = None
        if not self.result.windowed and len(lines) > 1:
            best = min(range(len(lines)), key=lambda at: lines[at].ns) + self.upright
        bars = lines if self.result.kind == "sweep" else []
        text = sentence(lines, base)
        return Summary(self._title(), heads, cells, left, best, self.upright, text, self._notes(), bars)

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
        """The lines of an upright table; faults are split by cause."""
        found: list[tuple[str, bool, Any]] = [
            ("", True, lambda r: r["strategy"]),
            ("time", False, lambda r: words.duration(r["ns"])),
            (f"  against {self.reference}", False, self._against),
            ("instructions/access", False, _per_access),
            ("kernel time", False, lambda r: words.duration(r["kernel_ns"])),
            ("host faults", False, lambda r: words.number(r["faults"])),
        ]
        for cause in FAULT_CAUSES:
            if any(row.get(cause) for row in self.rows):
                name = f"  {cause.removeprefix('faults_')}"
                found.append((name, False, lambda r, c=cause: words.number(r.get(c))))
        found += [
            ("crossing instructions", False, lambda r: words.number(r["cross_insns"])),
            ("  kernel time", False, lambda r: words.duration(r.get("cross_kernel_ns"))),
            ("  for each crossing", False, _each_crossing),
            ("lookup tables", False, lambda r: words.size(r["table_bytes"])),
            ("host address space", False, lambda r: words.size(r["reserved_bytes"])),
            ("host mappings at most", False, lambda r: words.number(r["peak_mappings"])),
        ]
        if self._has_rivals():
            found.append(("ahead if fault under", False, self._while))
            found.append(("  a fault costs here", False, self._now))
        return found

    def _columns(self) -> list[tuple[str, bool, Any]]:
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
            ("time", False, lambda r: words.duration(r["ns"])),
            (f"against\n{self.reference}", True, self._against),
            ("instructions\nper access", False, _per_access),
            ("kernel\ntime", False, lambda r: words.duration(r["kernel_ns"])),
            ("host\nfaults", False, lambda r: words.number(r["faults"])),
            ("of these", True, _causes),
        ]
        if self.parameters:
            found += [
                ("table", False, lambda r: words.size(r["table_bytes"])),
                ("host address\nspace", False, lambda r: words.size(r["reserved_bytes"])),
                ("mappings\nat most", False, lambda r: words.number(r["peak_mappings"])),
            ]
        if not self.parameters or any(row["cross_ns"] for row in self.rows):
            found += [
                ("crossings cost\ninstructions", False, lambda r: words.number(r["cross_insns"])),
                ("and in\nthe kernel", False, lambda r: words.duration(r.get("cross_kernel_ns"))),
                ("each", False, _each_crossing),
            ]
        if self._has_rivals():
            found.append((f"ahead of {self.reference}\nif fault under", False, self._while))
        return found

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
            return "reference" if base is not None else words.DASH
        text = words.factor(row["ns"], base["ns"])
        if self.result.windowed or text == words.EQUAL:  # equal as printed: there is no order to turn
            return text
        knobs = self.verdicts.get(row["strategy"], {}).get("decided_by", [])
        return text + "".join(f" [{self.footnotes.setdefault(k, len(self.footnotes) + 1)}]" for k in knobs)

    def _while(self, row: Row) -> str:
        verdict = self.verdicts.get(row["strategy"])
        if verdict is None or row["strategy"] == self.reference:
            return ""
        wins, price = verdict["wins"], words.duration(verdict["fault_ns"])
        return {"always": "any price", "never": "never", "below": price, "above": f"over {price}"}[wins]

    def _now(self, row: Row) -> str:
        return words.duration(row["kernel_ns"] / row["faults"]) if row["faults"] else words.DASH

    def _notes(self) -> list[str]:
        notes = []
        host = self.result.manifest.get("prices", {}).get("host")
        if host:
            rate = host["prices"]["insn"]["ns"]
            notes.append(
                f"time = instructions x {rate:g} ns + kernel time, a model at the prices of host {host['name']}"
                f" ({host['about']}). Counts are exact."
            )
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


def _each_crossing(row: Row) -> str:
    count, insns, kernel = row["page_cross"], row["cross_insns"], row.get("cross_kernel_ns") or 0
    if not count:
        return words.DASH
    if not insns and not kernel:
        return "free"
    each = f"{words.significant(insns / count)} instr"
    return each + (f" + {words.duration(kernel / count)}" if kernel else "")
