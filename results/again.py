"""Make every result of this folder again: `python results/again.py [NAME]...` (with mmuexp installed).

A result is a folder: experiment.toml asks the question, gives the answer and the command; counts.csv holds the table as
the command wrote it, counts.csv.manifest.json how it came about; report.md question, answer and tables for reading.
Names of recordings in the command are files of traces/. tests/test_results.py makes counts.csv again and compares it. A
result that names a `recipe` needs a recording too large for traces/: it is made only when it is asked for by name.
"""

import subprocess
import sys
import tomllib
from pathlib import Path

RESULTS = Path(__file__).parent
ROOT = RESULTS.parent


def experiment_of(folder: Path) -> dict:
    return tomllib.loads((folder / "experiment.toml").read_text())


def command_of(folder: Path) -> list[str]:
    """Arguments for `mmuexp`, to be run in the repository's root."""
    words = experiment_of(folder)["command"]
    return [f"traces/{word}.arrow" if (ROOT / "traces" / f"{word}.arrow").exists() else word for word in words]


def heading_of(folder: Path) -> str:
    """What stands above the tables of report.md."""
    about = experiment_of(folder)
    commands = [about["recipe"]] if "recipe" in about else []
    commands += [" ".join(["mmuexp", *command_of(folder)])]
    shown = "\n".join(f"    {command}" for command in commands)
    return f"# {folder.name}\n\n*{about['question']}*\n\n{about['answer'].strip()}\n\n{shown}\n\n"


def bundled(folder: Path) -> bool:
    """Can it be made from traces/ alone? Others name the recipe that makes their recording first."""
    return "recipe" not in experiment_of(folder)


def make(folder: Path) -> None:
    csv, report = f"results/{folder.name}/counts.csv", f"results/{folder.name}/report.md"
    subprocess.run([sys.executable, "-m", "mmuexp", *command_of(folder), "-o", csv, "-o", report], cwd=ROOT, check=True)
    (ROOT / report).write_text(heading_of(folder) + (ROOT / report).read_text())
    (ROOT / f"{report}.manifest.json").unlink()  # one a folder is enough


def write_index() -> None:
    """README.md of this folder: every question with its answer."""
    lines = [
        "# Results\n",
        "What the recordings say of the mail's claims. `python results/again.py` makes all of this again.\n",
    ]
    for path in sorted(RESULTS.glob("*/experiment.toml")):
        about = experiment_of(path.parent)
        lines.append(
            f"**[{path.parent.name}]({path.parent.name}/report.md)** *{about['question']}*\n{about['answer']}\n"
        )
    (RESULTS / "README.md").write_text("\n".join(lines))


if __name__ == "__main__":
    wanted = sys.argv[1:]
    for path in sorted(RESULTS.glob("*/experiment.toml")):
        if path.parent.name in wanted or (not wanted and bundled(path.parent)):
            make(path.parent)
    write_index()
