"""The shipped profile of today is what its raw rounds say."""

import csv
from statistics import median

import pytest
from kit.places import ROOT

from mmuexp.price.host import TIERS, load_profile


def rounds() -> dict[str, list[float]]:
    found: dict[str, list[float]] = {}
    for row in csv.DictReader((ROOT / "results/prices/rounds.csv").open(newline="")):
        found.setdefault(row["figure"], []).append(float(row["ns"]))
    return found


def test_every_price_is_the_median_of_its_rounds():
    profile, raw = load_profile("epyc-vm"), rounds()
    held = dict(profile.prices)
    held |= {
        f"{group}.{name}": price
        for group in ("path", *TIERS, "dependent")
        for name, price in getattr(profile, group).items()
    }
    assert held.keys() == {name for name in raw if not name.startswith("also.")}
    for name, price in held.items():
        assert price.ns == pytest.approx(max(0.0, median(raw[name])), rel=1e-3), name  # below noise is 0
        assert price.source.startswith("measured: "), name
        assert price.low_ns <= price.ns <= price.high_ns
