"""What a trace declares not to know, and what of a result is then unknown, or no more than a lower bound.

A trace that was imported may not tell how many bytes an access has, or which code made it. It says so in its metadata
(`mmuexp.sizes`, `mmuexp.code`), and this module alone says what follows: a cell that is *unknown* is empty in files and
"unknown" in tables, never 0; a *lower bound* is what the rows show, and what they do not show can only add to it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from mmuexp.errors import TraceError, shown
from mmuexp.events import FAULTS, Event
from mmuexp.price.priced import COLD, FAR

KNOWN, UNKNOWN, ASSUMED, PARTLY = "known", "unknown", "assumed", "partly"  # sizes
NONE, LENGTHS = "none", "lengths unknown"  # code
SIZES, CODE, UNKNOWN_SIZES = "sizes", "code", "unknown_sizes"  # metadata keys, without prefix
NOT_TOLD = (None, "unknown")  # values of `complete` that say nothing; earlier versions wrote the second
CODE_PAGE_STORES = "code_page_stores"  # column of results with traces without sizes: of two columns the sum is known

# Rows of one byte: whether an access lies in two pages or on its bytes' boundary, and which block a store overlaps.
WITHOUT_SIZES = {
    *("misaligned", "page_cross", "faults_cross", "slow_cross", "slow_misaligned"),
    *("cross_insns", "cross_ns", "cross_kernel_ns", "smc_stores", "code_page_data_stores"),
    *("wide_units8", "ram_misaligned_units8", "ram_cross_loads", "ram_cross_store_bytes"),
}
# Without EXEC rows: all that is counted of blocks, of their translation, and of the pages that they lie in.
WITHOUT_CODE = {
    *("execs", "guest_insns", "translations", "translated_insns", "blocks_dropped", "retranslated_insns"),
    *(FAR, COLD),
    *("protects", "faults_code", "slow_code", "code_list_walks", "searched_blocks"),
    *("smc_stores", "code_page_data_stores"),
    *("translate_insns", "translate_ns", "retranslate_ns"),
}
# What is left out of these can only make them larger; of causes of faults, one may take the place of another. A scheme
# that takes no fault has none, whatever a trace tells.
OF_FAULTS = {"faults", "host_calls", "kernel_ns"}
BOUNDED = OF_FAULTS | {
    *("tlb_fills", "compulsory", "lru_fills", "lookups", "insns", "insns_per_access", "hit_insns", "handler_insns"),
    *("translate_insns", "hit_ns", "handler_ns", "retranslate_ns", "translate_ns", "access_ns", "ns", "second_half_ns"),
}
BOUNDED_BY_SIZES = {"pages", "units8"}
EVENTS = {event.column for event in Event}


@dataclass(frozen=True)
class Declared:
    """What one trace knows of its accesses and its code.

    sizes   KNOWN, UNKNOWN (each row has one byte), ASSUMED (each has `bytes`) or PARTLY (`count` accesses, where that
            is told, have no known size and one byte)
    code    KNOWN, NONE (there are no EXEC rows) or LENGTHS (that of a block's last instruction is not known)
    """

    sizes: str = KNOWN
    code: str = KNOWN
    bytes: int | None = None
    count: int | None = None

    @cached_property
    def unknown(self) -> frozenset[str]:
        """The columns that have no value for this trace under any scheme."""
        sizes, code = self.sizes == UNKNOWN, self.code == NONE
        return frozenset((WITHOUT_SIZES if sizes else set()) | (WITHOUT_CODE if code else set()))

    def unknown_to(self, scheme: Any) -> frozenset[str]:
        """The same under one scheme (a Strategy or its class), with its own events that hang on code."""
        return self.unknown | (frozenset(scheme.code_events) if self.code == NONE else frozenset())

    @cached_property
    def bounded(self) -> frozenset[str]:
        """The columns whose values are lower bounds."""
        if self.sizes != UNKNOWN and self.code != NONE:
            return frozenset()
        return frozenset(BOUNDED | (BOUNDED_BY_SIZES if self.sizes == UNKNOWN else set())) - self.unknown

    @property
    def about_sizes(self) -> str:
        """A sentence for those who read a table; "" where all is known."""
        if self.sizes == UNKNOWN:
            return (
                "The trace does not tell how many bytes an access has: each counts as the byte at its address. What is"
                " misaligned or crosses a page is unknown; what the other bytes would add is left out, so that host"
                " faults, fills, instructions and times are lower bounds."
            )
        if self.sizes == ASSUMED:
            return f"The trace does not tell how many bytes an access has: {self.bytes} are assumed for each."
        if self.sizes == PARTLY:
            some = "Some accesses" if self.count is None else f"{self.count:,} accesses"
            return f"{some} of the recording have no known size, and count as one byte each."
        return ""

    @property
    def about_code(self) -> str:
        """A sentence for those who read a table; "" where all is known."""
        if self.code == NONE:
            return (
                "The trace has no code: which blocks run, what translating them takes, and which stores go to their"
                " pages is unknown; what that would add is left out, so that host faults, instructions and times are"
                " lower bounds."
            )
        if self.code == LENGTHS:
            return (
                "The trace does not tell how long the last instruction of a block is: code counts as up to one"
                " instruction less than there was."
            )
        return ""

    @property
    def notes(self) -> list[str]:
        return [text for text in (self.about_sizes, self.about_code) if text]

    @property
    def missing(self) -> str:
        """What its lower bounds lack, in a few words; "" where nothing is one."""
        lacks = [*["sizes of accesses"] * (self.sizes == UNKNOWN), *["code"] * (self.code == NONE)]
        return " and ".join(lacks)


ALL_KNOWN = Declared()


def declared_in(metadata: Mapping[str, str], where: str) -> Declared:
    """Read what a trace's metadata (keys without prefix) declares. Raises TraceError for a value that means nothing."""
    from mmuexp.guest import MAX_ACCESS_BYTES

    sizes, code = metadata.get(SIZES, KNOWN), metadata.get(CODE, KNOWN)
    assumed = re.fullmatch(r"assumed ([1-9][0-9]?)", sizes)
    if assumed and int(assumed[1]) <= MAX_ACCESS_BYTES:
        sizes = ASSUMED
    elif sizes not in (UNKNOWN, PARTLY) and SIZES in metadata:
        raise _refused(SIZES, sizes, f"unknown, partly or assumed N (1 to {MAX_ACCESS_BYTES} bytes)", where)
    if code not in (NONE, LENGTHS) and CODE in metadata:
        raise _refused(CODE, code, f"{NONE} or {LENGTHS}", where)
    count = metadata.get(UNKNOWN_SIZES)
    if count is not None and not (count.isascii() and count.isdigit() and len(count) < 20):
        raise _refused(UNKNOWN_SIZES, count, "a number", where)
    told = None if count is None or sizes != PARTLY else int(count)
    return Declared(sizes, code, int(assumed[1]) if assumed else None, told)


def _refused(key: str, value: str, expected: str, where: str) -> TraceError:
    what = f"mmuexp.{key} is {shown(value[:40])!r}, expected {expected}"
    return TraceError(what, where=where, todo="mend its writer: what is known has no such key")


def declared_of(trace: Any) -> Declared:
    """Read what an open trace declares. Raises TraceError."""
    return declared_in(trace.metadata, trace.path)


def check_declared(declared: Declared, counts: Mapping[str, Any], where: str) -> None:
    """Raise TraceError where rows contradict what their trace declares; `counts` are those of its shape."""
    todo = "mend its writer: mmuexp trace verify"
    if declared.code == NONE and counts["execs"]:
        raise TraceError(f"declares that it has no code, and has {counts['execs']:,} EXEC rows", where=where, todo=todo)
    if declared.sizes == UNKNOWN and (
        counts["misaligned"] or counts["page_cross"] or counts["units8"] > counts["accesses"]
    ):
        what = "declares that its sizes are unknown, and has rows of more than one byte"
        raise TraceError(what, where=where, todo=todo)


def facts_of(declared: Declared) -> dict[str, list[str]]:
    """What a manifest tells beside the metadata: which columns are unknown, which are lower bounds."""
    told = {"unknown": sorted(declared.unknown), "lower_bounds": sorted(declared.bounded)}
    return {name: columns for name, columns in told.items() if columns}


class DeclaredBy:
    """What the traces of a result declare, from its manifest. Rows are dicts of its table."""

    def __init__(self, manifest: Mapping[str, Any]):
        self._traces = {
            one["trace"]: declared_in(one.get("metadata") or {}, one["trace"]) for one in manifest.get("traces", [])
        }
        self._schemes: dict[str, Any] = {}

    def of(self, trace: str) -> Declared:
        return self._traces.get(trace, ALL_KNOWN)

    def is_unknown(self, row: Mapping[str, Any], column: str) -> bool:
        """Is a cell empty because the trace does not tell, and not because the scheme has no such event?"""
        declared = self.of(row["trace"])
        if row.get(column) is not None or not (declared.unknown or declared.code == NONE):
            return False
        scheme = self._scheme(row["strategy"])
        if scheme is None:
            return column in declared.unknown
        has = column not in EVENTS or column in scheme.columns()
        return has and column in declared.unknown_to(scheme)

    def is_bounded(self, row: Mapping[str, Any], column: str) -> bool:
        """Is a cell a lower bound?"""
        if row.get(column) is None or column not in self.of(row["trace"]).bounded:
            return False
        scheme = self._scheme(row["strategy"])
        return column not in OF_FAULTS or scheme is None or bool(FAULTS & set(scheme.events))

    def _scheme(self, spec: str) -> Any:
        from mmuexp.strategy.registry import known_classes

        name = spec.partition(",")[0]
        if name not in self._schemes:
            self._schemes[name] = next(iter(known_classes([name])), None)
        return self._schemes[name]

    def missing(self, traces: Iterable[str]) -> str:
        """What the lower bounds of these traces lack, in a few words; "" where nothing is one."""
        return " and ".join(dict.fromkeys(filter(None, (self.of(trace).missing for trace in traces))))
