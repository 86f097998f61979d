"""How far the modelled time is from the measured one, on ten recordings, at prices measured in the same run.

What it finds is printed as a warning, which pytest shows at the end: scheme by scheme, and where the model errs by more
than 15 % and 0.3 ns an access; the goal is nine recordings of ten. Noise of a shared machine must not fail it: it fails
where magnitudes are wrong, and where the clock puts another scheme before the model's winner by more than both errors.
"""

import warnings
from pathlib import Path

import pytest
from kit.places import TRACES
from kit.prices import MEASURED_RECORDINGS as RECORDINGS
from kit.prices import MeasuredError

from mmuexp.analysis.compare import compare
from mmuexp.result.table import TOLERANCE, TOLERANCE_NS, live_interval, measured_ns, rows_of, within_tolerance

SECONDS = 3
FACTOR, FACTOR_NS = 3, 2.5  # the model is wrong, not only off, if it errs by more than the larger of the two

pytestmark = pytest.mark.long


def line(name: str, row: dict) -> str:
    live, model = measured_ns(row), row["live_model_ns_per_access"]
    low, high = live_interval(row)
    found, ranged = f"{name:13} {row['strategy']:30}", f"{low:.2f} to {high:.2f}"
    if live is None:
        return f"{found}       - {ranged:>16} {model:7.2f}  not measurable"
    verdict = "within" if within_tolerance(row) else "NOT WITHIN"
    return f"{found} {live:7.2f} {ranged:>16} {model:7.2f} {model - live:+7.2f} {model / live - 1:+6.0%}  {verdict}"


def wrong(row: dict) -> bool:
    """Is the model off by magnitudes?"""
    live, model = measured_ns(row), row["live_model_ns_per_access"]
    return live is not None and abs(model - live) > FACTOR_NS and not live / FACTOR <= model <= live * FACTOR


def contradicted(rows: list[dict]) -> list[str]:
    """Who beats the model's winner by the clock, beyond their intervals and beyond what the model may be off."""
    winner = min(rows, key=lambda row: row["live_model_ns_per_access"])
    low = live_interval(winner)[0]
    return [
        f"{row['strategy']} beats {winner['strategy']}"
        for row in rows
        if measured_ns(row) is not None and live_interval(row)[1] < low - max(TOLERANCE * low, TOLERANCE_NS)
    ]


def test_the_error_of_the_model_on_ten_recordings():
    head = ("trace", "scheme", "live", "low to high", "model", "error")
    lines = ["", "{:13} {:30} {:>7} {:>16} {:>7} {:>7}   ns per access".format(*head)]
    found, off = {name: [] for name in RECORDINGS}, set()
    paths = [str(TRACES / f"{name}.arrow") for name in RECORDINGS]
    for row in rows_of(compare(paths, live=True, seconds=SECONDS).frame):
        name = Path(row["trace"]).stem
        found[name].append(row)
        lines.append(line(name, row))
        off |= set() if within_tolerance(row) else {name}
    lines.append(
        f"every scheme within {TOLERANCE:.0%} or {TOLERANCE_NS} ns: {len(RECORDINGS) - len(off)} of {len(RECORDINGS)}"
        f" recordings{'' if not off else '; not ' + ', '.join(sorted(off))}"
    )
    warnings.warn("\n".join(lines), MeasuredError, stacklevel=1)
    assert [(name, row["strategy"]) for name, rows in found.items() for row in rows if wrong(row)] == []
    assert {name: beaten for name, rows in found.items() if (beaten := contradicted(rows))} == {}
