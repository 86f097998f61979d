"""Help: a sentence, then two examples, which are run; and it comes at once."""

import gzip
import lzma
import os
import re
import shlex
import subprocess
import sys
from itertools import pairwise

import click
import pytest
from kit.cli import ALL_COMMANDS
from kit.drmemtrace import INSTR, recorded
from kit.importing import instruction
from kit.places import ROOT
from kit.traces import write_trace

from mmuexp.cli.main import COMMANDS

HEAVY = {"numba", "numpy", "pandas", "pyarrow", "rich"}


def examples(command: click.Command) -> list[str]:
    return re.findall(r"^\s+(mmuexp .*)$", command.help or "", flags=re.MULTILINE)


def test_every_command_is_there():
    assert set(COMMANDS) <= set(ALL_COMMANDS)


@pytest.mark.parametrize("name", ALL_COMMANDS)
def test_help_begins_with_a_sentence_and_two_examples(name, cli):
    done = cli(*name.split(), "--help")
    assert done.code == 0
    text = done.out.split("\n\n", 1)[1].lstrip()
    sentence = text.split("Examples:")[0].strip()
    assert re.match(r"[A-Z].*[.:]$", " ".join(sentence.split())), sentence
    assert text.split("Examples:")[1].count("\n    mmuexp ") >= 2 or name == "record"
    assert len(examples(ALL_COMMANDS[name])) >= 2


@pytest.mark.parametrize("name", [name for name in COMMANDS if name in ALL_COMMANDS])
def test_the_list_says_what_the_command_says(name):
    assert ALL_COMMANDS[name].help.split()[0] == COMMANDS[name].split()[0]


@pytest.mark.parametrize("name", [name for name, command in ALL_COMMANDS.items() if hasattr(command, "commands")])
def test_no_sentence_in_a_list_of_commands_is_cut(name, cli):
    listed = cli(*name.split(), "--help").out.split("Commands:")[1]
    assert "..." not in listed


# `record` runs QEMU, and its tests run its examples; the others' need files of these names
NAMES = ("", "compare", "sweep", "misses", "faults", "verify", "export", "cache info", "help", "completion")
MINE = [example for name in NAMES for example in examples(ALL_COMMANDS[name])]


@pytest.mark.parametrize("example", MINE)
def test_examples_run(example, cli, bundled, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    cli("compare", "-s", "softmmu", "-o", "result.json")
    argv = shlex.split(example)
    assert argv[0] == "mmuexp"
    done = cli(*argv[1:])
    assert done.code == 0, done.err


OTHERS = [
    example
    for name in ALL_COMMANDS
    if name.startswith(("trace", "strategy"))
    for example in examples(ALL_COMMANDS[name])
]


@pytest.fixture(scope="module")
def long_trace(tmp_path_factory) -> str:
    """Long enough for examples that speak of row 5,000,000."""
    return write_trace(tmp_path_factory.mktemp("long") / "long.arrow", rows=5_000_004)


LACKEY = "==1== Lackey\nI  {high}08048000,3\n S {high}0804a000,4\n L {high}0804a000,4\n"


BEGINNINGS = {
    example for example in OTHERS if " check " in example and any(o.startswith(f"{example} --trace ") for o in OTHERS)
}


def marked(example):
    """`strategy check` runs a scheme as plain Python, too; what it does with a recording begins with all else."""
    return pytest.param(example, marks=[pytest.mark.long] if " strategy check " in example else [])


@pytest.mark.parametrize("example", [marked(example) for example in sorted(set(OTHERS) - BEGINNINGS)])
def test_examples_about_traces_and_strategies_run(example, cli, long_trace, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for folder in ("strategies", "traces"):
        (tmp_path / folder).symlink_to(ROOT / folder)
    argv = shlex.split(example)[1:]
    for before, word in pairwise(argv):
        if word.endswith(".arrow") and before != "-o" and "/" not in word:
            os.link(long_trace, tmp_path / word)
        elif word.endswith(".log"):
            (tmp_path / word).write_text(LACKEY.format(high="ff" if "64" in word else ""))
        elif word.endswith(".log.gz"):
            (tmp_path / word).write_bytes(gzip.compress(LACKEY.format(high="").encode()))
        elif word.endswith(".xz"):
            (tmp_path / word).write_bytes(lzma.compress(instruction(0x400000, reads=(0x7FFF0000,))))
        elif word.endswith(".dir"):
            (tmp_path / word).mkdir()
            (tmp_path / word / "t.trace").write_bytes(recorded((INSTR, 3, 0x1000), thread=4711))
            (tmp_path / word / "u.trace").write_bytes(recorded((INSTR, 3, 0x1000), thread=4712))
    done = cli(*argv)
    assert done.code == 0, done.err


@pytest.mark.parametrize("argv", [["--help"], ["--version"], ["compare", "--help"], ["sweep", "--help"], ["nonsense"]])
def test_nothing_heavy_is_imported_for_help(argv):
    code = "import sys; from mmuexp.cli.main import run; run(sys.argv[1:]); print(*sys.modules, file=sys.stderr)"
    done = subprocess.run([sys.executable, "-c", code, *argv], capture_output=True, text=True, check=True)
    assert not HEAVY & set(done.stderr.split())


def test_help_answers_at_once():
    """150 ms where Python itself takes 20: measured as a ratio, since machines differ, and of what other programs that
    run leave alone: processor time."""

    def seconds(*argv: str) -> float:
        begun = os.times()
        for _ in range(5):
            subprocess.run([sys.executable, *argv], capture_output=True, check=True)
        ended = os.times()
        return ended.children_user + ended.children_system - begun.children_user - begun.children_system

    assert seconds("-m", "mmuexp", "--help") < 3 * seconds("-c", "import click, importlib.metadata")


def test_without_a_command_there_is_help(cli):
    done = cli()
    assert done.code == 2
    assert "Commands:" in done.err
