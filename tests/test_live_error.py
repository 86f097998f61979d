"""How far the modelled time is from the measured one, on five recordings, at prices measured in the same run.

What it finds is printed as a warning, which pytest shows at the end: scheme by scheme, and where the model errs by more
than 15 % and 0.3 ns an access. Noise of a shared machine must not fail it: it fails where magnitudes are wrong.
"""

import warnings
from pathlib import Path

import pytest

from mmuexp.experiment import compare
from mmuexp.result import TOLERANCE, TOLERANCE_NS, rows_of, within_tolerance

TRACES = Path(__file__).parent.parent / "traces"
USER_MODE = ("bzip2", "gzip", "numeric_sort", "huffman")
RECORDINGS = (*USER_MODE, "linux_early")
ROUNDS = {"bzip2": 7, "gzip": 9, "numeric_sort": 21, "huffman": 41, "linux_early": 7}  # a short one is done in a ms
FACTOR, FACTOR_NS = 3, 2.5  # the model is wrong, not only off, if it errs by more than the larger of the two

pytestmark = pytest.mark.long


class MeasuredError(UserWarning):
    """No warning of anything: how a table comes to the end of pytest's output."""


def line(name: str, row: dict) -> str:
    live, model, error = (row[f"live_{one}ns_per_access"] for one in ("", "model_", "error_"))
    ranged = f"{row['live_least_ns_per_access']:.2f} to {row['live_most_ns_per_access']:.2f}"
    verdict = "within" if within_tolerance(row) else "NOT WITHIN"
    share = f"{100 * error / live:+5.0f} %" if live > 0 else ""
    return f"{name:13} {row['strategy']:30} {live:7.2f} {ranged:>16} {model:7.2f} {error:+7.2f} {share:>7}  {verdict}"


def wrong(row: dict) -> bool:
    live, model = row["live_ns_per_access"], row["live_model_ns_per_access"]
    near = abs(model - live) <= FACTOR_NS or live / FACTOR <= model <= live * FACTOR
    return not near or row["live_most_ns_per_access"] <= 0 or live <= -TOLERANCE_NS


def test_the_error_of_the_model_on_five_recordings():
    head = ("trace", "scheme", "live", "least to most", "model", "error")
    lines = ["", "{:13} {:30} {:>7} {:>16} {:>7} {:>7}   ns per access".format(*head)]
    found, off = {}, set()
    for name in RECORDINGS:
        rows = rows_of(compare(str(TRACES / f"{name}.arrow"), live=True, rounds=ROUNDS[name]).frame)
        found[name] = {row["strategy"]: row for row in rows}
        lines += [line(name, row) for row in rows]
        off |= {name for row in rows if not within_tolerance(row)}
    lines.append(
        f"every scheme within {TOLERANCE:.0%} or {TOLERANCE_NS} ns: {len(RECORDINGS) - len(off)} of {len(RECORDINGS)}"
        f" recordings{'' if not off else '; not ' + ', '.join(sorted(off))}"
    )
    warnings.warn("\n".join(lines), MeasuredError, stacklevel=1)
    assert [(name, row) for name, rows in found.items() for row in rows.values() if wrong(row)] == []
    sums = {
        scheme: sum(found[name][scheme]["live_ns_per_access"] for name in USER_MODE)
        for scheme in ("softmmu", "qemu-fast")
    }
    assert sums["softmmu"] > sums["qemu-fast"]
