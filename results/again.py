"""Make every result of this folder again: `python results/again.py [NAME]...` (with mmuexp installed).

A result is a folder: experiment.toml asks the question and gives the command, counts.csv holds its table as the
command wrote it, counts.csv.manifest.json how it came about, report.md the tables for reading. Names of recordings in
the command are files of traces/. Counts are exact: tests/test_results.py makes counts.csv again and compares it.
"""

import subprocess
import sys
import tomllib
from pathlib import Path

RESULTS = Path(__file__).parent
ROOT = RESULTS.parent


def command_of(folder: Path) -> list[str]:
    """Arguments for `mmuexp`, to be run in the repository's root."""
    words = tomllib.loads((folder / "experiment.toml").read_text())["command"]
    return [f"traces/{word}.arrow" if (ROOT / "traces" / f"{word}.arrow").exists() else word for word in words]


def make(folder: Path) -> None:
    outputs = [f"results/{folder.name}/counts.csv", f"results/{folder.name}/report.md"]
    arguments = [*command_of(folder), *(word for path in outputs for word in ("-o", path))]
    subprocess.run([sys.executable, "-m", "mmuexp", *arguments], cwd=ROOT, check=True)


if __name__ == "__main__":
    wanted = sys.argv[1:]
    for path in sorted(RESULTS.glob("*/experiment.toml")):
        if not wanted or path.parent.name in wanted:
            make(path.parent)
