"""README.md of a folder of experiments: every question with its answer, and the format of experiment.toml."""

from pathlib import Path

from mmuexp.errors import MmuexpError
from mmuexp.rerun.about import read
from mmuexp.rerun.report import ExperimentReport
from mmuexp.rerun.rerun import experiments, made_file
from mmuexp.result.saved import load

INDEX = "README.md"
FORMAT = Path(__file__).with_name("format.md")
MARK = "<!-- Written by `mmuexp rerun`: change the experiment.toml of a folder, not this. -->"
INTRODUCTION = """
What the recordings say of the mail's claims. Each folder is one experiment, and all but its `experiment.toml` is made
from that: `mmuexp rerun results/NAME` makes it again, `mmuexp rerun results/NAME --check` compares every digit with
what is here, `--all` does so with all of them.
"""


def index_text(home: Path) -> str:
    """An experiment that is not made yet, or whose experiment.toml does not fit its table, stands there as such."""
    parts = ["# Results", MARK, INTRODUCTION.strip()]
    folders = experiments(home)
    parts += [_entry(folder) for folder in folders]
    others = [path for path in sorted(home.glob(f"*/{INDEX}")) if path.parent.resolve() not in folders]
    if others:
        links = ", ".join(f"[{path.parent.name}]({path.parent.name}/{INDEX})" for path in others)
        parts.append(f"Made by other commands, which their pages name: {links}.")
    return "\n\n".join(parts) + "\n\n" + FORMAT.read_text(encoding="utf-8")


def _entry(folder: Path) -> str:
    try:
        about = read(folder)
        results = {name: load(str(folder / f"{name}.csv")) for name in about.commands}
        answer = ExperimentReport(about, results).answer
        return f"**[{about.name}]({about.name}/report.md)** *{about.question}*\n\n{answer}"
    except MmuexpError as error:
        return f"**{folder.name}** is not made yet: {error.what}."


def is_index(path: Path) -> bool:
    """Is this file one that was written here? Nobody else's README is touched."""
    try:
        return MARK in path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return False


def write_index(home: Path) -> str:
    """Write README.md of `home`; returns its path."""
    content = index_text(home).encode()
    file = made_file(home / INDEX)
    file.save(content, {})
    return file.path
