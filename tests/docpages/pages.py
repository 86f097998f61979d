"""A page of Markdown, and the commands in it.

    ```console          `$ command`, then what it prints on stdout: run and compared; `...` stands for lines left out
        command         an indented line: run, and must succeed
    <!-- run by make check: why -->   before a block: it takes long, and is run there
    <!-- not run: why -->             before a block: its words are looked up, nothing runs
    ```python FILE  a piece of that file, word for word
    `mmuexp ...`        in a sentence: looked up

Commands of a page run in order, in one folder of their own (`run.py`).
"""

import itertools
import re
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
PROGRAMS = ("mmuexp", "make", "valgrind", "python")

_FENCE = re.compile(r"^```(\w*)(?: (\S+))?\n(.*?)^```$", re.M | re.S)
_MARK = re.compile(r"<!-- (run by make check|not run): .+ -->")


@dataclass(frozen=True)
class Command:
    """`shown`: the lines below it, None where no output is shown; `first`: where these begin in the page, from 0."""

    line: str
    first: int
    shown: tuple[str, ...] | None = None
    runs: str = ""  # "": in make test; else what the mark before its block says


NOT_RUN, LONG = "not run", "run by make check"


def commands(text: str) -> list[Command]:
    """Every command that stands on a line of its own, in order."""
    found, mark, before, fence = [], "", "", ""
    for number, line in enumerate(text.splitlines()):
        if line.startswith("```"):
            fence = "" if fence else line[3:] or "text"
        inside = fence == "console" or (not fence and line.startswith("    "))
        if _MARK.fullmatch(before):
            mark = _MARK.fullmatch(before)[1]
        elif not inside:
            mark = ""
        if fence == "console" and line.startswith("$ "):
            found.append(Command(line[2:], number + 1, _shown(text, number + 1), mark))
        elif not fence and inside and line.split()[0] in PROGRAMS:
            found.append(Command(line.split(" #")[0].strip(), number, runs=mark))
        before = line or before
    return found


def mentioned(text: str) -> list[str]:
    """Commands inside sentences."""
    return [" ".join(words.split()) for words in re.findall(r"`(mmuexp [^`]+)`", _FENCE.sub("", text))]


def pieces(text: str) -> list[tuple[str, str]]:
    """(file, piece of it) of each block that names one"""
    return [(m[2], m[3]) for m in _FENCE.finditer(text) if m[2]]


def links(text: str) -> list[str]:
    return re.findall(r"\]\(([^)#]+)\)", _FENCE.sub("", text))


def _shown(text: str, first: int) -> tuple[str, ...]:
    """The lines from there to the next command or the block's end."""
    return tuple(itertools.takewhile(lambda line: not line.startswith(("$ ", "```")), text.splitlines()[first:]))
