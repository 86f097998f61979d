"""Which figures a table shows, and how each becomes a text: columns of a table of rows, lines of an upright one."""

import re
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, NamedTuple

from mmuexp.render import words
from mmuexp.render.clock import NOT_MEASURABLE, Timed
from mmuexp.result.declared import DeclaredBy
from mmuexp.result.table import (
    FAULT_CAUSES,
    WINDOW,
    Result,
    access_ns,
    is_measured,
    live_interval,
    measured_ns,
    within_tolerance,
)
from mmuexp.trace.loadseed import LOAD_SEED

Row = dict[str, Any]
TIME = "memory\naccess time"  # the first figure of a run; the columns before it name the run
SHORT = 12  # a reference's name up to so long stands in the middle of a label


class Figure(NamedTuple):
    """`label` breaks where it says so, never in an upright table; `left` sets it left; `text` makes a cell of a row.

    `of` is the column that it shows, if a trace may not tell enough of it.
    """

    label: str
    left: bool
    text: Callable[[Row], str]
    of: str = ""


def shows(write: Callable[[Any], str], column: str) -> Callable[[Row], str]:
    """The cell of a column, as `write` writes it; None is for it to write where a row has nothing there."""
    return lambda row: write(row.get(column))


def _as_is(label: str, write: Callable[[Any], str], column: str) -> Figure:
    """A column as `write` writes it, as far as the trace tells it."""
    return Figure(label, False, shows(write, column), column)


def per_access(column: str) -> Callable[[Row], str]:
    """A part of the instructions, for each access, with the digits of the whole."""
    return lambda r: words.DASH if r.get(column) is None or not r["accesses"] else f"{r[column] / r['accesses']:.2f}"


def _each(column: str, write: Callable[[float], str]) -> Callable[[Row], str]:
    """A sum over page crossings, for each of them."""
    return lambda row: write((row.get(column) or 0) / row["page_cross"]) if row["page_cross"] else words.DASH


class Figures:
    """The figures of `rows` of one trace; `all_rows` are the trace's, among which the reference is."""

    def __init__(self, result: Result, trace: str, rows: list[Row], all_rows: list[Row], parameters: Sequence[str]):
        self.result, self.rows, self.parameters = result, rows, parameters
        self.verdicts: dict[str, Row] = {
            v["scheme"]: v for v in result.manifest.get("verdicts", []) if v["trace"] == trace
        }
        known = next(iter(self.verdicts.values()), {}).get("reference")
        self.reference = known or rows[0]["strategy"]
        self.bases: dict[int | None, Row] = {}  # the reference's rows, by window
        for row in all_rows:
            if row["strategy"] == self.reference:
                self.bases.setdefault(row.get(WINDOW), row)
        self.best: Row | None = None  # the run that wins
        self.footnotes: dict[str, int] = {}  # prices that decide, numbered as they are met
        self.told = DeclaredBy(result.manifest)

    def lines(self) -> list[Figure]:
        """The lines of an upright table; instructions are split by where they run, faults by cause."""
        against = self.reference if len(self.reference) <= SHORT else "the reference"
        found = [Figure("", True, SCHEME.text), Figure("memory access time", False, _time, "access_ns")]
        found.append(Figure(f"  against {against}", False, self._against))
        if any(map(self.ranged, self.rows)):
            found.append(Figure(f"  of {against}'s time", False, lambda r: self.ranged(r) or words.DASH))
        if any(self._deciding(row) for row in self.rows):
            found.append(Figure("  price that decides", False, self._marks))
        if all(row.get("second_half_ns") is not None for row in self.rows):
            found.append(Figure("  second half alone", False, self._in_second_half))
        if self.is_live():
            found += self._live_figures(" ", against)
        found += [INSNS, *map(_part_of, PARTS if self._is_split() else []), TRANSLATING, *KERNEL]
        if self._any("faults"):
            found.append(Figure("  per 1,000 accesses", False, _per_thousand, "faults"))
        causes = [cause for cause in FAULT_CAUSES if self._any(cause) or self._is_unknown(cause)]
        found += [_as_is(f"  {cause.removeprefix('faults_')}", words.number, cause) for cause in causes]
        if self._any("evictions"):
            found.append(EVICTIONS)
        found.append(_as_is("page crossings", words.number, "page_cross"))
        if self._any("page_cross"):
            found += map(_part_of, CROSSINGS)
        found += SIZES[:1] + [RESIDENT._replace(label="  resident")] * self._is_sparse() + SIZES[1:]
        if self.has_rivals():
            found.append(Figure("a host fault costs", False, self._now))
            found.append(Figure(f"  ahead of {against}", False, self._while))
        return [self._told(one._replace(label=one.label.replace("\n/", "/").replace("\n", " "))) for one in found]

    def columns(self) -> list[Figure]:
        """The columns of a table of rows."""
        short = len(self.reference) <= SHORT  # else its own line says "reference"
        against = f"against\n{self.reference}" if short else "against\nreference"
        ahead = f"ahead of {self.reference}\nwhile a fault costs" if short else "ahead of it\nwhile a\nfault costs"
        found: list[Figure] = []
        if self.result.windowed:
            found.append(Figure("window", False, shows(words.number, WINDOW)))
        if not self.parameters or list(self.parameters) == [LOAD_SEED]:
            found.append(SCHEME)
        for p in self.parameters:
            found.append(Figure(p, False, partial(_value, p, p == self.parameters[0])))
        found += [
            Figure(TIME, False, _time, "access_ns"),
            Figure(against, True, lambda r: " ".join(filter(None, (self._against(r), self._marks(r))))),
            *(self._live_figures("\n", self.reference if short else "reference") if self.is_live() else []),
            INSNS,
            *(PARTS if not self.parameters and self._is_split() else []),
            *([TRANSLATING] if self._has("translate_ns") else []),
            *KERNEL,
        ]
        if self._any("faults"):
            found.append(Figure("of these", True, self._causes))
        if self._any("evictions"):
            found.append(EVICTIONS)
        if self.parameters:
            found += SIZES[:1] + [RESIDENT] * self._is_sparse() + SIZES[1:]
        if self._any("cross_ns" if self.parameters else "page_cross"):
            found += CROSSINGS
        elif self._is_unknown("page_cross"):
            found += CROSSINGS[:2]
        if self.has_rivals():
            found.append(Figure(ahead, False, self._while))
        return list(map(self._told, found))

    def _told(self, figure: Figure) -> Figure:
        """The same as far as the trace tells it: a cell is its text, "unknown", or a lower bound."""

        def cell(row: Row) -> str:
            if self.told.is_unknown(row, figure.of):
                return words.UNKNOWN
            text = figure.text(row)
            return f">= {text}" if self.told.is_bounded(row, figure.of) and text != words.DASH else text

        return figure._replace(text=cell) if figure.of else figure

    def _is_unknown(self, column: str) -> bool:
        """Does the trace not tell it, of any run that has it?"""
        return any(self.told.is_unknown(row, column) for row in self.rows)

    def _has(self, column: str) -> bool:
        """Has any run a value there, or would have one if the trace told it? A result saved earlier has not."""
        return any(row.get(column) is not None for row in self.rows) or self._is_unknown(column)

    def _causes(self, row: Row) -> str:
        told = [words.number(row[c]) if row.get(c) else "unknown" * self.told.is_unknown(row, c) for c in FAULT_CAUSES]
        named = zip(told, FAULT_CAUSES, strict=True)
        return ", ".join(f"{text} {cause.removeprefix('faults_')}" for text, cause in named if text)

    def _any(self, column: str) -> bool:
        """Is there anything to say of an event? What no run has takes one line, with its 0."""
        return any(row.get(column) for row in self.rows)

    def _is_sparse(self) -> bool:
        """Does a scheme reserve tables that no host holds in memory, for a guest of 64 bits?"""
        return any((row.get("table_bytes") or 0) > MOST_TABLE_BYTES for row in self.rows)

    def is_live(self) -> bool:
        return any(map(is_measured, self.rows))

    def _live_figures(self, gap: str, against: str) -> list[Figure]:
        """What `compare --live` measured; `gap` stands before the unit."""
        lead = "  " if gap == " " else ""
        return [
            Figure(f"measured here,{gap}ns/access", False, _live_measured),
            Figure(f"{lead}low to{gap}high", False, _live_range),
            Figure(f"{lead}against{gap}{against}", False, self._against_by_clock),
            Figure(f"{lead}modelled", False, shows(_two_digits, "live_model_ns_per_access")),
            Figure(f"{lead}error", False, _live_error),
        ]

    def _is_split(self) -> bool:
        return any(row.get("hit_insns") is not None for row in self.rows)  # a result saved earlier is not

    def has_rivals(self) -> bool:
        """Is the reference another scheme than the rows? A sweep against itself turns at no price worth a column."""
        name = self.reference.partition(",")[0]
        others = any(row["strategy"].partition(",")[0] != name for row in self.rows)
        seeded = LOAD_SEED in self.result.parameters  # a verdict at each load address
        faults = any(row["faults"] for row in (*self.rows, *self.bases.values()))  # else no price of one matters
        return bool(self.verdicts) and not self.result.windowed and not seeded and others and faults

    def _base(self, row: Row) -> Row | None:
        return self.bases.get(row.get(WINDOW))

    def _against(self, row: Row) -> str:
        base = self._base(row)
        if row is base or base is None or self._is_reference(row):
            text = "reference" if base is not None else words.DASH
        else:
            text = words.factor(access_ns(row), access_ns(base))
        return f"{text} *" if row is self.best else text

    def _in_second_half(self, row: Row) -> str:
        base = self._base(row)
        if row is base or base is None:
            return "reference" if base is not None else words.DASH
        return words.factor(row["second_half_ns"], base["second_half_ns"])

    def ranged(self, row: Row) -> str:
        """Of the reference's time what this run takes at least and at most, all prices anywhere in their ranges."""
        verdict = self.verdicts.get(row["strategy"], {})
        low, high = verdict.get("ratio_low"), verdict.get("ratio_high")
        if low is None or high is None or self.result.windowed or self.parameters or row["strategy"] == self.reference:
            return ""
        times = max(low, high) >= 10
        least, most = (f"{end if times else 100 * end:,.0f}" for end in (low, high))
        unit = "x" if times else " %"
        return f"{least} to\n{most}{unit}" if least != most else f"{least}{unit}"

    def _against_by_clock(self, row: Row) -> str:
        base = self._base(row)
        known = [(one, measured_ns(one)) for one in (row, base) if one is not None]
        if row is base or len(known) < 2 or any(ns is None for _, ns in known):
            return "reference" if row is base else words.DASH
        mine, its = (Timed("", ns or 0.0, *live_interval(one), 0.0) for one, ns in known)
        return "tie" if mine.ties_with(its) else words.factor(mine.ns, its.ns)

    def _is_reference(self, row: Row) -> bool:
        """At other load addresses the reference is measured against itself as it was recorded, or at the first."""
        return row["strategy"] == self.reference and LOAD_SEED not in self.result.parameters

    def _deciding(self, row: Row) -> list[str]:
        """The prices that turn this run's order with the reference, within their ranges."""
        base = self._base(row)
        if self.result.windowed or base is None or words.factor(access_ns(row), access_ns(base)) == words.EQUAL:
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


def _time(row: Row) -> str:
    return words.duration(access_ns(row))


def _per_access(row: Row) -> str:
    """Instructions for each access; those of the translator stand apart, as its time does."""
    value, translator = row["insns_per_access"], row.get("translate_insns")
    if value is None or not row["accesses"]:
        return words.DASH
    return f"{value - (translator or 0) / row['accesses']:.2f}"


def _per_thousand(row: Row) -> str:
    """Host faults for each 1,000 accesses: the x axis of the report's chart."""
    if row["faults"] is None or not row["accesses"]:
        return words.DASH
    return words.significant(1000 * row["faults"] / row["accesses"])


def _two_digits(value: float | None) -> str:
    return words.DASH if value is None else f"{value:.2f}"


def _live_measured(row: Row) -> str:
    ns = measured_ns(row)
    return f"{ns:.2f}" if ns is not None else NOT_MEASURABLE if is_measured(row) else words.DASH


def _live_range(row: Row) -> str:
    if measured_ns(row) is None:
        return words.DASH
    low, high = live_interval(row)
    return f"{low:.2f} to {high:.2f}"


def _live_error(row: Row) -> str:
    live = measured_ns(row)
    if live is None:
        return words.DASH
    error = row["live_error_ns_per_access"]
    return f"{error:+.2f} ({100 * error / live:+.0f} %){'' if within_tolerance(row) else ' !'}"


def _value(parameter: str, first: bool, row: Row) -> str:
    """The value of a swept parameter; of a run that has none its scheme, in the first column of them."""
    return str(row[parameter]) if row[parameter] is not None else row["strategy"] if first else words.DASH


def _part_of(figure: Figure) -> Figure:
    """As a line below the figure that it is a part of."""
    return figure._replace(label=f"  {figure.label.removeprefix(CROSSING)}")


CROSSING = "page crossings:\n"
SCHEME = Figure("scheme", True, lambda row: row["strategy"])
INSNS = Figure("instructions\n/access", False, _per_access, "insns_per_access")
PARTS = [
    Figure("hit\npath", False, per_access("hit_insns"), "hit_insns"),
    Figure("helpers and\nhandlers", False, per_access("handler_insns"), "handler_insns"),
]
TRANSLATING = _as_is("translating\nguest code", words.duration, "translate_ns")
KERNEL = [
    _as_is("kernel\ntime", words.duration, "kernel_ns"),
    _as_is("host\nfaults", words.number, "faults"),
]
EVICTIONS = Figure("evictions", False, shows(words.number, "evictions"))
CROSSINGS = [
    _as_is(f"{CROSSING}instructions", words.number, "cross_insns"),
    _as_is(f"{CROSSING}kernel time", words.duration, "cross_kernel_ns"),
    Figure("each:\ninstructions", False, _each("cross_insns", words.significant)),
    Figure("each:\nkernel time", False, _each("cross_kernel_ns", words.duration)),
]
MOST_TABLE_BYTES = 1 << 30  # more than any scheme has for a guest of 32 bits
RESIDENT = Figure("tables\nresident", False, shows(words.size, "table_resident_bytes"))
SIZES = [
    _as_is("lookup\ntables", words.size, "table_bytes"),
    _as_is("host address\nspace", words.size, "reserved_bytes"),
    _as_is("host mappings\nat most", words.number, "peak_mappings"),
]


def row_names() -> dict[str, str]:
    """Give the column of each line of an upright table that is called otherwise, by what the line is called, as a word:
    host_faults -> faults."""
    shown = [INSNS, *PARTS, TRANSLATING, *KERNEL, *CROSSINGS[:2], *SIZES]
    labels = {one.of: one.label for one in shown} | {"access_ns": TIME, "page_cross": "page crossings"}
    labels |= {cause: cause.removeprefix("faults_") for cause in FAULT_CAUSES}
    return {re.sub(r"\W+", "_", label): column for column, label in labels.items()}
