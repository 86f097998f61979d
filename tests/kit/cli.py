"""Commands for tests: run in this process or in one of their own, and an experiment in a folder for them to run on."""

import json
import os
import subprocess
import sys
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path

import click
import pytest

from kit.traces import write_trace
from mmuexp.cli.main import COMMANDS, group, run


class Cli:
    """Runs command lines in this process: `cli("compare", path).out`."""

    def __init__(self, capsys):
        self.capsys = capsys

    def __call__(self, *argv: str):
        self.capsys.readouterr()
        self.code = run([str(word) for word in argv])
        self.out, self.err = self.capsys.readouterr()
        return self

    @property
    def words(self) -> str:
        """stdout on one line, for sentences that are wrapped."""
        return " ".join(self.out.split())


@pytest.fixture
def cli(capsys) -> Cli:
    return Cli(capsys)


@pytest.fixture
def trace(tmp_path) -> str:
    return write_trace(tmp_path / "small.arrow")


@pytest.fixture
def bundled(tmp_path, monkeypatch) -> str:
    """The small trace stands in for the bundled one."""
    path = write_trace(tmp_path / "bundled.arrow")
    monkeypatch.setattr("mmuexp.analysis.given.bundled_trace", lambda: Path(path))
    return path


def one_line(err: str) -> str:
    """The failure that `err` consists of. It is one line, names us, and is not a traceback."""
    lines = err.splitlines()
    assert len(lines) == 1, err
    assert lines[0].startswith("mmuexp: ")
    return lines[0]


def busy() -> float:
    """How many times as long something may take because the machine has other work: 1 if it has none."""
    return max(1.0, os.getloadavg()[0] / (os.cpu_count() or 1))


def run_and_measure(*args, **environment):
    """(exit code, stdout, stderr, largest resident size in MB) of one command in a process of its own."""
    peak = "print(next(l.split()[1] for l in open('/proc/self/status') if l.startswith('VmHWM')), file=sys.stderr)"
    code = f"import sys; from mmuexp.cli.main import run; code = run(sys.argv[1:]); {peak}; sys.exit(code)"
    done = subprocess.run(
        [sys.executable, "-c", code, *map(str, args)],
        capture_output=True,
        text=True,
        env={**os.environ, **environment},
        timeout=60,
    )
    *lines, kib = done.stderr.splitlines()
    return done.returncode, done.stdout, lines, int(kib) * 1024 / 1e6


ABOUT = """
question = "What does {it} cost?"
answer = '''
map-block faults {{faults}} times, in {{share}} of the accesses; softmmu takes {{times}} times its time.
The mail {{right}}. {{least}} has least.
'''
command = ["compare", "small", "other.arrow", "-s", "softmmu", "-s", "map-block"]
holds = ["map-block:faults > 0", {{ check = "faults == 0", strategy = "softmmu" }}]

[columns]
per_access = "faults / accesses"
twice = "2 * map-block:per_access"

[figures]
faults = {{ value = "map-block:faults", trace = "small" }}
share = {{ value = "map-block:per_access", trace = "small", format = "percent" }}
times = {{ value = "softmmu:insns / map-block:insns", take = "max", format = "ratio" }}
right = {{ check = "map-block:faults < softmmu:accesses", yes = "was right", no = "was wrong" }}
least = {{ value = "rows", take = "min", show = "trace" }}

[tables.each]
title = "Each:"
head = "recording"
columns = [
    {{ head = "faults", value = "map-block:faults" }},
    {{ head = "twice", value = "softmmu:twice", format = ".3f", when = "softmmu:rows > 12", otherwise = "few rows" }},
    {{ value = "softmmu:maps" }},
]

[chart]
mark = "bar"
x = "strategy"
y = "per_access"
facet = "recording"
"""


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """An experiment in a folder of its own, with two recordings; small has 12 rows, other 24."""
    monkeypatch.chdir(tmp_path)
    home = tmp_path / "mine"
    home.mkdir()
    write_trace(home / "small.arrow")
    write_trace(home / "other.arrow", repeat=2)
    (home / "experiment.toml").write_text(ABOUT.format(it="it"))
    return home


def edit(folder, old: str, new: str) -> None:
    path = folder / "experiment.toml"
    assert path.read_text().count(old) == 1
    path.write_text(path.read_text().replace(old, new))


def files(folder) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


OWN_SCHEME = '''
"""softmmu by another name.

Source: none. Leaves out: nothing.
"""
from mmuexp.strategies.softmmu import Softmmu

class Own(Softmmu):
    name = "own"
'''


def commands() -> dict[str, click.Command]:
    """Every command and subcommand: "trace info" -> Command."""
    found: dict[str, click.Command] = {"": group}
    for name in COMMANDS:
        if find_spec(f"mmuexp.cli.{name}") is None:
            continue  # the next test says so
        command = import_module(f"mmuexp.cli.{name}").command
        found[name] = command
        found |= {f"{name} {child}": sub for child, sub in getattr(command, "commands", {}).items()}
    return found


ALL_COMMANDS = commands()


def refused_manifest(cli, trace, folder: Path, **wrong) -> str:
    """The line that refuses a saved result of a trace whose manifest holds these."""
    saved = folder / "r.json"
    cli("compare", trace, "-s", "softmmu", "-o", saved)
    document = json.loads(saved.read_text())
    document["manifest"] |= wrong
    saved.write_text(json.dumps(document))
    assert cli("export", saved, "--format", "md", "-o", "-").code == 1
    return one_line(cli.err)
