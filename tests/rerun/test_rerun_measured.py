"""What was measured stands beside what is modelled, in the report of an experiment."""

from pathlib import Path

from kit.places import RESULTS

from mmuexp.rerun import measured
from mmuexp.result.table import Result, make_frame


def row(strategy: str, access: float, again: float = 0.0, trace: str = "traces/t.arrow") -> dict:
    return {"trace": trace, "strategy": strategy, "access_ns": access, "retranslate_ns": again, "ns": access}


def verdict(scheme: str, low: float, high: float) -> dict:
    return {"trace": "traces/t.arrow", "scheme": scheme, "reference": "softmmu", "ratio_low": low, "ratio_high": high}


def test_both_ratios_and_the_range_by_hand(monkeypatch):
    timed = {("t", "softmmu"): 2.0, ("t", "map-block"): 0.5, ("t", "noise"): -0.1, ("other", "m"): 1.0}
    monkeypatch.setattr(measured, "_measured", lambda folder: timed)
    frame = make_frame([row("softmmu", 100, 20), row("map-block", 75, 55), row("noise", 9), row("m", 9)])
    verdicts = [verdict("softmmu", 1, 1), verdict("map-block", 0.3, 0.9), verdict("noise", 0, 1), verdict("m", 0, 1)]
    found = measured.measured_beside(Path("results/x"), Result("compare", frame, {"verdicts": verdicts}))
    # 0.5 / 2; (75 - 55) / (100 - 20); 75 / 100
    assert found == [measured.HEAD, ["t", "map-block", "0.50", "25 %", "25 %", "75 %", "30 %", "90 %"]]


def test_what_was_not_measured_makes_no_table(monkeypatch, tmp_path):
    frame = make_frame([row("softmmu", 100), row("map-block", 75)])
    result = Result("compare", frame, {"verdicts": [verdict("map-block", 0.3, 0.9)]})
    assert measured.measured_beside(tmp_path / "x", result) == []


def test_windows_are_not_one_run(monkeypatch):
    monkeypatch.setattr(measured, "_measured", lambda folder: {("t", "softmmu"): 2.0, ("t", "map-block"): 0.5})
    frame = make_frame([row("softmmu", 100), row("map-block", 75), row("map-block", 75)])
    result = Result("compare", frame, {"verdicts": [verdict("map-block", 0.3, 0.9)]})
    assert measured.measured_beside(Path("results/x"), result) == []


def test_the_committed_measurements_are_read():
    found = measured._measured(RESULTS / "live")
    assert {"bzip2", "numeric_sort"} <= {recording for recording, _ in found}
