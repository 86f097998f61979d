"""What was measured stands beside what is modelled, in the report of an experiment."""

import pytest
from kit.places import RESULTS

from mmuexp.rerun import measured
from mmuexp.result.table import Result, make_frame


def row(strategy: str, access: float, again: float = 0.0, trace: str = "traces/t.arrow") -> dict:
    return {"trace": trace, "strategy": strategy, "access_ns": access, "retranslate_ns": again, "ns": access}


def verdict(scheme: str, low: float, high: float) -> dict:
    return {"trace": "traces/t.arrow", "scheme": scheme, "reference": "softmmu", "ratio_low": low, "ratio_high": high}


CLOCK = ("live_ns_per_access", "live_least_ns_per_access", "live_most_ns_per_access", "live_model_ns_per_access")


@pytest.fixture
def live(monkeypatch):
    """A folder with one table of measured rows."""
    timed = {("t", "softmmu"): 2.0, ("t", "map-block"): 0.5, ("t", "noise"): -0.1, ("other", "m"): 1.0}
    rows = [row(spec, 1, trace=f"{trace}.arrow") | dict.fromkeys(CLOCK, ns) for (trace, spec), ns in timed.items()]
    monkeypatch.setattr(measured, "live_results", lambda folder: {"x": Result("compare", make_frame(rows), {})})
    return RESULTS / "live"


def test_both_ratios_and_the_range_by_hand(live):
    frame = make_frame([row("softmmu", 100, 20), row("map-block", 75, 55), row("noise", 9), row("m", 9)])
    verdicts = [verdict("softmmu", 1, 1), verdict("map-block", 0.3, 0.9), verdict("noise", 0, 1), verdict("m", 0, 1)]
    found = measured.measured_beside(live, Result("compare", frame, {"verdicts": verdicts}))
    # 0.5 / 2; (75 - 55) / (100 - 20); 75 / 100
    assert found == [measured.HEAD, ["t", "map-block", "0.50", "25 %", "25 %", "75 %", "30 %", "90 %"]]


def test_what_was_not_measured_makes_no_table(tmp_path):
    frame = make_frame([row("softmmu", 100), row("map-block", 75)])
    result = Result("compare", frame, {"verdicts": [verdict("map-block", 0.3, 0.9)]})
    assert measured.measured_beside(tmp_path / "nothing", result) == []


def test_windows_are_not_one_run(live):
    frame = make_frame([row("softmmu", 100), row("map-block", 75), row("map-block", 75)])
    result = Result("compare", frame, {"verdicts": [verdict("map-block", 0.3, 0.9)]})
    assert measured.measured_beside(live, result) == []


def test_the_committed_measurements_are_read():
    found = measured.live_times(measured.live_results(RESULTS / measured.LIVE).values())
    assert {"bzip2", "numeric_sort"} <= {recording for recording, _ in found}
