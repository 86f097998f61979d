"""What was measured stands beside what is modelled, in the report of an experiment."""

import pytest
from kit.cli import edit, one_line
from kit.places import RESULTS

from mmuexp.rerun import measured
from mmuexp.rerun.about import LIVE
from mmuexp.result.saved import load
from mmuexp.result.table import LIVE as LIVE_COLUMNS
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
    assert found == [measured.HEAD, ["t", "map-block", "0.50", "0.50 to 0.50", "25 %", "25 %", "75 %", "30 %", "90 %"]]


def test_what_was_not_measured_makes_no_table(tmp_path):
    frame = make_frame([row("softmmu", 100), row("map-block", 75)])
    result = Result("compare", frame, {"verdicts": [verdict("map-block", 0.3, 0.9)]})
    assert measured.measured_beside(tmp_path / "nothing", result) == []


def test_windows_are_not_one_run(live):
    frame = make_frame([row("softmmu", 100), row("map-block", 75), row("map-block", 75)])
    result = Result("compare", frame, {"verdicts": [verdict("map-block", 0.3, 0.9)]})
    assert measured.measured_beside(live, result) == []


def test_the_committed_measurements_are_read():
    found = measured.live_times(measured.live_results(RESULTS / LIVE).values())
    assert {"bzip2", "numeric_sort"} <= {recording for recording, _ in found}


def test_the_ratio_is_of_one_run(monkeypatch):
    """Two runs measured map-block, one of them its reference beside it, and at another hour."""
    runs = {"a": {"map-block": 5.0}, "b": {"map-block": 0.5, "softmmu": 2.0}}
    tables = {
        name: Result("compare", make_frame([row(spec, 1) | dict.fromkeys(CLOCK, ns) for spec, ns in run.items()]), {})
        for name, run in runs.items()
    }
    monkeypatch.setattr(measured, "live_results", lambda folder: tables)
    frame = make_frame([row("softmmu", 100), row("map-block", 75)])
    found = measured.measured_beside(RESULTS, Result("compare", frame, {"verdicts": [verdict("map-block", 0.3, 0.9)]}))
    assert found[1][:5] == ["t", "map-block", "0.50", "0.50 to 0.50", "25 %"]
    assert measured.live_times(tables.values())["t", "map-block"].ns == 5.0  # the first has it


def test_an_answer_may_tell_what_was_measured(cli, folder):
    """`of` names a table beside the experiments; the counts of softmmu are 12 rows' there, too."""
    edit(folder, 'value = "map-block:faults", trace = "small" }', 'value = "softmmu:accesses", of = "live/own" }')
    assert "live/own.csv: cannot be read" in one_line(cli("rerun", "mine").err)
    (folder.parent / "live").mkdir()
    cli("compare", "mine/small.arrow", "-s", "softmmu", "-o", "live/own.csv")
    accesses = load("live/own.csv").frame["accesses"][0]
    assert cli("rerun", "mine").code == 0
    assert f"map-block faults {accesses} times" in (folder / "report.md").read_text()
    edit(folder, '"softmmu:accesses", of', '"softmmu:live_ns_per_access", of')
    frame = load("live/own.csv").frame.assign(**dict.fromkeys(LIVE_COLUMNS, 1.0) | {LIVE_COLUMNS[0]: None})
    frame.to_csv("live/own.csv", index=False)
    assert cli("rerun", "mine", "--saved").code == 0
    assert "map-block faults not measurable times" in (folder / "report.md").read_text()
    assert "own.csv" not in (folder / "report.md").read_text()
