"""Runs the commands of a page, where they find what they name, and looks up those that cannot run."""

import contextlib
import io
import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import click

from mmuexp.cli.main import group, run

from .pages import ROOT, Command


@dataclass(frozen=True)
class Done:
    code: int
    out: str
    err: str


@contextlib.contextmanager
def scratch(folder: Path, program: str | None) -> Iterator[None]:
    """Inside, the current folder is `folder`, which has what pages name: recordings, schemes, results, `./program`."""
    for name in ("traces", "strategies", "results", "tests"):
        (folder / name).symlink_to(ROOT / name)
    (folder / "docs").mkdir()
    for script in (ROOT / "docs").glob("*.py"):
        shutil.copy(script, folder / "docs")
    if program:
        shutil.copy(program, folder / "program")
    with contextlib.chdir(folder):
        yield


def execute(command: Command) -> Done:
    """mmuexp runs in this process, which has compiled its loops before; what starts programs runs as one itself."""
    words = shlex.split(command.line)
    if words[0] == "mmuexp" and words[1] != "record":
        out, err = io.TextIOWrapper(io.BytesIO(), "utf-8"), io.StringIO()
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            code = run(words[1:])
        out.flush()
        return Done(code, out.buffer.getvalue().decode(), err.getvalue())
    python = {"mmuexp": [sys.executable, "-m", "mmuexp"], "python": [sys.executable]}
    words = python.get(words[0], words[:1]) + words[1:]
    done = subprocess.run(words, capture_output=True, text=True, stdin=subprocess.DEVNULL, env=dict(os.environ))
    return Done(done.returncode, done.stdout, done.stderr)


def look_up(line: str) -> None:
    """Raises if mmuexp has no such command or option, or the Makefile no such target. Runs nothing."""
    program, *words = shlex.split(line)
    if program == "make":
        for target in (word for word in words if not word.startswith("-")):
            assert re.search(rf"^{target}:", (ROOT / "Makefile").read_text(), re.M), f"make has no {target}"
    elif program == "mmuexp":
        _parse(group, None, "mmuexp", words)
    else:
        raise AssertionError(f"{program} is not looked up: let it run")


def _parse(command: click.Command, parent: click.Context | None, name: str, words: list[str]) -> None:
    if not words:
        return  # a command's name: it exists
    if isinstance(command, click.Group):
        ctx = click.Context(command, parent, name)
        found, child, rest = command.resolve_command(ctx, words)
        _parse(child, ctx, found, rest)
    else:
        command.make_context(name, list(words), parent)


def program() -> str:
    """What `./program` of the pages is: 200 page crossings."""
    from kit.recordings import workload  # only recordings need QEMU

    return workload("crossing", 200)
