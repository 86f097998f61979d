"""What docs/prices.md and results/live/README.md say of model and clock is what the published tables hold."""

import pandas as pd
import pytest
from kit.places import ROOT
from kit.prices import MEASURED_RECORDINGS

from mmuexp.result.table import rows_of, within_tolerance

WORDS = ["none", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten"]
LIVE = ROOT / "results" / "live"


def rows(name: str) -> list:
    return list(rows_of(pd.read_csv(LIVE / f"{name}.csv")))


def test_so_many_of_ten_recordings_agree():
    off = {row["trace"] for name in ("kernels", "live") for row in rows(name) if not within_tolerance(row)}
    agree = [name for name in MEASURED_RECORDINGS if f"traces/{name}.arrow" not in off]
    assert f"of the same ten {WORDS[len(agree)]} are in" in (ROOT / "docs" / "prices.md").read_text()


@pytest.mark.parametrize("name", ["kernels", "live", "programs", "guests", "guest64"])
def test_so_many_rows_agree(name):
    found = rows(name)
    within = sum(map(within_tolerance, found))
    assert f"{within} of {len(found)} in {name}.csv" in (LIVE / "README.md").read_text()
