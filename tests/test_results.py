"""Every table in results/ is what its command prints today, digit for digit."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
sys.path.insert(0, str(ROOT / "results"))

from again import command_of, heading_of  # noqa: E402

FOLDERS = sorted(path.parent for path in (ROOT / "results").glob("*/experiment.toml"))


def test_there_are_results():
    assert len(FOLDERS) >= 5


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda f: f.name)
def test_made_again_it_is_the_same(folder):
    command = [sys.executable, "-m", "mmuexp", *command_of(folder), "--format", "csv"]
    done = subprocess.run(command, cwd=ROOT, env=os.environ, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout == (folder / "counts.csv").read_text()
    assert (folder / "report.md").read_text().startswith(heading_of(folder))
    assert (folder / "counts.csv.manifest.json").is_file()
