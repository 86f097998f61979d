"""results/speed/ holds every goal, and its verdicts follow from its numbers. That they are fast is for `make bench`."""

import json
from pathlib import Path

import pytest

from .table import COLUMNS, GOALS, MET, NOT_MEASURED, NOT_MET, Row, digits, markdown, ratios, read_csv, verdict_of

FOLDER = Path(__file__).parents[2] / "results" / "speed"
RECORDS = read_csv(FOLDER / "speed.csv")


def test_every_goal_of_the_list_is_in_the_table():
    assert {r["goal"] for r in RECORDS if r["section"] == "goal"} == set(GOALS)
    assert {r["section"] for r in RECORDS} == {"goal", "figure", "curve", "stage"}
    assert all(tuple(record) == COLUMNS for record in RECORDS)


@pytest.mark.parametrize("record", [r for r in RECORDS if r["section"] == "goal"], ids=lambda r: r["name"])
def test_a_verdict_follows_from_its_numbers(record):
    if record["verdict"] == NOT_MEASURED:
        assert (record["value"], record["ratio"]) == ("", "")
        assert record["note"]  # why
        return
    value, target = float(record["value"]), float(record["target"])
    assert float(record["low"]) <= value <= float(record["high"])
    assert float(record["ratio"]) == pytest.approx(value / target, rel=1e-3)
    met = value >= target if record["relation"] == ">=" else value <= target
    assert record["verdict"] == ("met" if met else "NOT met")


def test_the_report_shows_the_table_and_what_it_was_measured_with():
    about = json.loads((FOLDER / "speed.csv.manifest.json").read_text())
    assert (FOLDER / "speed.md").read_text() == markdown(RECORDS, about)
    assert about["kind"] == "bench"
    assert {"python", "numba", "numpy", "pyarrow"} <= set(about["versions"])
    assert {"pycachesim", "libcachesim"} <= set(about["peers"])
    assert about["machine"]["processor"]


def test_a_verdict_is_of_the_figures_as_they_are_shown():
    assert verdict_of("1.3", "<=", "1.3") == verdict_of("20", ">=", "20") == MET
    assert verdict_of("1.301", "<=", "1.3") == verdict_of("19.99", ">=", "20") == NOT_MET
    assert verdict_of("", ">=", "20") == NOT_MEASURED
    assert verdict_of("5", "", "") == ""


def test_a_row_shows_the_median_of_ratios_round_by_round():
    above, below = [{"seconds": s} for s in (2, 9, 4)], [{"seconds": s} for s in (1, 3, 4)]
    record = Row("goal", "2a", "x", ratios(above, below), "x", "<=", 2.5).record()
    assert [record[c] for c in ("value", "low", "high", "ratio", "verdict")] == ["2", "1", "3", "0.8", "met"]
    assert [digits(v) for v in (1234567, 0.00043214, 0, None)] == ["1235000", "0.0004321", "0", ""]
