"""`calibrate` with rounds that are known, for tests of what is made of them."""

import numpy as np
import pytest

from mmuexp.live import calibrate

KERNEL = {  # ns, three rounds
    "signal": [1000, 1300, 900], "mmap": [2000, 2100, 2600], "map_on_fault": [4000, 4100, 4400],
    "write_fault": [1800, 2000, 1950], "protect": [500, 600, 700], "unmap": [900, 1000, 1100],
    "unmap_all": [300, 420, 330], "walk": [20, 30, 25],
}  # fmt: skip


EVENTS = {"helper": [20.0, 22, 18], "fill": [25.123456, 24, 26]}


@pytest.fixture
def known(monkeypatch, tmp_path):
    """`calibrate` with rounds that are known, and a configuration folder of its own."""
    monkeypatch.setattr(calibrate, "_kernel", lambda rounds, step: {n: np.array(ns, float) for n, ns in KERNEL.items()})
    monkeypatch.setattr(calibrate, "_hits", lambda rounds, step: (np.array([0.1, 0.3, 0.2]), np.array([0.5, 0.4, 0.9])))
    monkeypatch.setattr(calibrate, "_events", lambda rounds, step, kinds: {n: np.array(ns) for n, ns in EVENTS.items()})
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    return calibrate
