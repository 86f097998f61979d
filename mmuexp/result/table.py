"""A Result: one tidy table of counts and prices, and the manifest that says how it came about.

Columns and their order are interface.md's and only ever grow at the end. In the DataFrame a missing value means that
the scheme has no such event (an empty field in CSV, null in JSON); 0 means that it has, and it never happened.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from mmuexp.events import CALLS, FAULTS, SHAPE, SUMS, Event
from mmuexp.price.priced import COLD, FAR

if TYPE_CHECKING:
    import pandas as pd

IDENTITY = ("trace", "strategy")
WINDOW = "window_index"  # of compare --every: which window of rows, from 0
OLD_NAMES = {"window": WINDOW}  # columns of older results, by the name of today; `window` is a keyword of SQL
SIZES = ["table_bytes", "table_lines", "reserved_bytes"]
RESIDENT = "table_resident_bytes"  # a size, too
PRICES = ["insns", "insns_per_access", "cross_insns", "cross_ns", "kernel_ns", "ns"]
PARTS = ["hit_insns", "handler_insns", "translate_insns"]  # they sum to insns
TIMES = ["hit_ns", "handler_ns", "retranslate_ns", "translate_ns", "access_ns"]  # access_ns = ns - translate_ns
HALF = ["second_half_accesses", "second_half_ns"]  # of compare: what the second half of the rows costs, access_ns
# what is not an event, in the order of the table; a new one is the last
OTHERS = [*IDENTITY, *SHAPE, "faults", "host_calls", *SIZES, *PRICES]
OTHERS += ["cross_kernel_ns", *PARTS, *TIMES, *SUMS, *HALF, FAR, RESIDENT, COLD]

# compare --live appends these, of the engines on this host: median, least and most of the rounds; the bare loop that
# was subtracted; the model at the host profile's prices, and how far it is off; the interval of the median; the rounds
LIVE = ["live_ns_per_access", "live_least_ns_per_access", "live_most_ns_per_access", "live_loop_ns_per_access"]
LIVE += ["live_model_ns_per_access", "live_error_ns_per_access"]
LIVE += ["live_low_ns_per_access", "live_high_ns_per_access", "live_rounds"]

TOLERANCE, TOLERANCE_NS = 0.15, 0.3  # the model is off if it errs by more than the larger of the two


def columns_in_order(others: Sequence[str], events: Sequence[Event]) -> list[str]:
    """Every column of a table: events at their places, `others` one after the other between and behind them."""
    places = {event.place: event.column for event in events}
    left = iter(others)
    columns = [places.pop(at) if at in places else next(left, "") for at in range(len(others) + len(events))]
    if places or "" in columns or next(left, None) is not None:
        raise ValueError("two events have one place, or there is a gap: a new one stands behind the last column")
    return columns


COLUMNS = columns_in_order(OTHERS, list(Event))
REQUIRED = COLUMNS[: COLUMNS.index("ns") + 1]  # interface.md's, which results of every version hold
FLOATS = {"insns_per_access", "cross_ns", "kernel_ns", "ns", "cross_kernel_ns", *TIMES, "second_half_ns"} | {*LIVE[:-1]}
MAYBE_FLOATS = {"insns", "cross_insns", *PARTS}  # whole numbers while every cost is one
COUNTS = [name for name in COLUMNS if name not in {*IDENTITY, *HALF, *FLOATS, *MAYBE_FLOATS}]
FAULT_CAUSES = [event.column for event in sorted(FAULTS)]


@dataclass(frozen=True)
class Result:
    """`kind` is "compare" or "sweep"; `parameters` are the swept columns; `frame` is tidy, a row a run (and window)."""

    kind: str
    frame: pd.DataFrame
    manifest: dict[str, Any] = field(default_factory=dict)
    parameters: tuple[str, ...] = ()

    @property
    def windowed(self) -> bool:
        return WINDOW in self.frame.columns

    @property
    def since(self) -> str:
        """Where its counts begin, as words that follow others: " from row 5 on"; empty without a warm-up."""
        warmup = self.manifest.get("warmup")
        return f" from row {warmup:,} on" if warmup else ""


def complete_counts(counts: Mapping[str, int | None]) -> dict[str, int | None]:
    """Fill in `faults` and `host_calls`, which a third party's strategy may leave out."""
    full = dict(counts)
    if full.get("faults") is None:
        full["faults"] = sum(full.get(cause) or 0 for cause in FAULT_CAUSES)
    calls = [count for call in CALLS if (count := full.get(call.column)) is not None]
    if full.get("host_calls") is None and calls:
        full["host_calls"] = sum(calls)
    return full


def new_names(columns: Iterable[str], parameters: Iterable[str]) -> dict[str, str]:
    """Today's names of the columns that an older version wrote under another one; a swept parameter keeps its own."""
    columns = list(columns)
    own = {*parameters}
    return {old: new for old, new in OLD_NAMES.items() if old in columns and new not in columns and old not in own}


def make_frame(records: Iterable[Mapping[str, Any]], appended: Iterable[str] = ()) -> pd.DataFrame:
    """Records (dicts) as a tidy frame: interface.md's columns, then any other count, then `appended`."""
    import pandas as pd

    records = list(records)
    appended = list(appended)
    own = dict.fromkeys(k for record in records for k in record if k not in COLUMNS and k not in appended)
    columns = [*COLUMNS, *own, *appended]
    return pd.DataFrame({c: _array([record.get(c) for record in records], c) for c in columns}, copy=False)


def _array(values: list[Any], column: str) -> Any:
    """A column; not as pandas builds one from a list, which costs more than a replay of a short trace."""
    import numpy as np
    from pandas.arrays import IntegerArray

    known = [v for v in values if v is not None]
    if column in IDENTITY or any(isinstance(v, str) for v in known):
        cells = np.empty(len(values), object)
        cells[:] = values
        return cells
    whole = all(isinstance(v, int) or float(v).is_integer() for v in known)
    if column in FLOATS or (column in MAYBE_FLOATS and not whole):
        return np.array([np.nan if v is None else float(v) for v in values], np.float64)
    empty = np.array([v is None for v in values], bool)
    return IntegerArray(np.array([0 if v is None else int(v) for v in values], np.int64), empty)


def rows_of(frame: pd.DataFrame) -> list[dict[str, Any]]:
    """The frame's rows with plain Python values, None where nothing is known."""
    import pandas as pd

    frame = pd.DataFrame(frame, copy=False)  # without the manifest, of which each column taken would get a copy
    plain = {c: [None if v is pd.NA or v != v else v for v in frame[c].tolist()] for c in frame.columns}
    return [dict(zip(plain, row, strict=True)) for row in zip(*plain.values(), strict=True)]


def access_ns(row: Mapping[str, Any]) -> float:
    """What the memory accesses of a row cost: the headline. A table saved before the column was has `ns` alone."""
    found = row.get("access_ns")
    return row["ns"] if found is None else found


def is_measured(row: Mapping[str, Any]) -> bool:
    """Did `compare --live` run the engine of this row, whatever came out?"""
    return row.get(LIVE[1]) is not None


def measured_ns(row: Mapping[str, Any]) -> float | None:
    """ns an access by the clock; None where nobody measured, or where what came out is no more than noise."""
    ns = row.get(LIVE[0])
    return None if ns is None or ns <= 0 else ns


def live_interval(row: Mapping[str, Any]) -> tuple[float, float]:
    """The interval in which the median of a measured row lies. A table saved before that was has the whole range."""
    low, high = row.get("live_low_ns_per_access"), row.get("live_high_ns_per_access")
    if low is None or high is None:
        return row["live_least_ns_per_access"], row["live_most_ns_per_access"]
    return low, high


def within_tolerance(row: Mapping[str, Any]) -> bool:
    """Is the modelled time of a row near enough to the measured one? What was not measured contradicts no model."""
    ns = measured_ns(row)
    return ns is None or abs(row["live_error_ns_per_access"]) <= max(TOLERANCE * ns, TOLERANCE_NS)
