"""A store of counts for each test."""

import sqlite3
from pathlib import Path

import pytest


@pytest.fixture
def store(tmp_path, monkeypatch) -> Path:
    """The file of a store of its own, which is not there yet."""
    path = tmp_path / "store" / "counts.sqlite"
    monkeypatch.setenv("MMUEXP_STORE", str(path))
    return path


@pytest.fixture
def no_replay(monkeypatch):
    """From when it is called on, whatever replays fails."""

    def forbid():
        monkeypatch.setattr("mmuexp.analysis.experiment.run_passes", lambda *_, **__: pytest.fail("it replays"))
        monkeypatch.setattr("mmuexp.analysis.tlbmisses.split", lambda *_, **__: pytest.fail("it counts misses"))

    return forbid


def entries(store: Path) -> int:
    with sqlite3.connect(store) as connection:
        return connection.execute("SELECT count(*) FROM counts").fetchone()[0]
