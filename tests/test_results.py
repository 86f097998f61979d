"""Every table in results/ is what its command prints today, digit for digit."""

import csv
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
sys.path.insert(0, str(ROOT / "results"))

from again import bundled, command_of, heading_of  # noqa: E402

SHAPE = ("rows", "pages", "flushes")
FOLDERS = sorted(path.parent for path in (ROOT / "results").glob("*/experiment.toml"))


TAKE_LONGER = {"linux-windows", "windows-habit", "map-block-bits"}  # `make check` makes them again


def test_there_are_results():
    assert len(FOLDERS) >= 5


@pytest.mark.parametrize("folder", [f for f in FOLDERS if not bundled(f)], ids=lambda f: f.name)
def test_of_a_recording_that_is_not_bundled_the_sums_hold(folder):
    assert (folder / "report.md").read_text().startswith(heading_of(folder))
    with (folder / "counts.csv").open() as file:
        rows = [{k: int(v) if v.isdigit() else v for k, v in row.items() if v} for row in csv.DictReader(file)]
    assert len(rows) >= 4
    first = {row["trace"]: row for row in reversed(rows)}  # rows, pages and flushes are the recording's own
    for row in rows:
        assert row["accesses"] == row["loads"] + row["stores"]
        assert row["faults"] == sum(count for column, count in row.items() if column.startswith("faults_"))
        calls = [row[name] for name in ("mmap_calls", "mprotect_calls", "munmap_calls") if name in row]
        assert row.get("host_calls", 0) == sum(calls)
        assert row["translations"] <= row["execs"]
        assert [row[s] for s in SHAPE] == [first[row["trace"]][s] for s in SHAPE]


def marked(folder):
    return pytest.param(folder, id=folder.name, marks=[pytest.mark.long] if folder.name in TAKE_LONGER else [])


@pytest.mark.parametrize("folder", [marked(f) for f in FOLDERS if bundled(f)])
def test_made_again_it_is_the_same(folder):
    command = [sys.executable, "-m", "mmuexp", *command_of(folder), "--format", "csv"]
    done = subprocess.run(command, cwd=ROOT, env=os.environ, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout == (folder / "counts.csv").read_text()
    assert (folder / "report.md").read_text().startswith(heading_of(folder))
    assert (folder / "counts.csv.manifest.json").is_file()
