"""What an experiment.toml says. Its format stands in results/README.md (index.py writes it there)."""

import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

from mmuexp.errors import MmuexpError, did_you_mean, reason_of
from mmuexp.rerun.section import Section
from mmuexp.result.table import COLUMNS

FILE = "experiment.toml"
PLACE = re.compile(r"\{([^{}]*)\}")  # of a figure, in the answer
LARGEST = 1 << 20  # bytes of an experiment.toml
LIVE = "live"  # the folder beside the experiments that holds tables of `compare --live`
COUNTS = "counts"  # the name of the only command, and so of its table
NAME = re.compile(r"[a-z]\w*", re.ASCII)
LIVE_TABLE = re.compile(LIVE + r"/[a-z]\w*", re.ASCII)  # what `of` names beside a command
RESERVED = {"report", "chart", "experiment", "readme"}
FORMAT = re.compile(r",?(\.\d)?[f%]?")
FORMATS = ("count", "ratio", "percent", "duration", "size", "digits")
SPEC_KINDS = {"log_x": bool, "log_y": bool, "across": int}  # of a chart's keys; all others are texts


@dataclass(frozen=True, kw_only=True)
class Choice:
    """Chooses rows: of the command `of`, or of a table in LIVE as `live/NAME`; recordings and schemes by name (none:
    all); cells as given."""

    of: str
    trace: tuple[str, ...] = ()
    strategy: tuple[str, ...] = ()
    where: Mapping[str, int | str] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Shown:
    """Shows one number: an expression, which of its values is taken, and what is told of the row that has it."""

    value: str
    take: Literal["one", "min", "median", "max", "sum", "count"] = "one"
    show: str = "value"
    format: str = ""


@dataclass(frozen=True, kw_only=True)
class AnswerFigure(Choice, Shown):
    """Stands in the answer for {name}: a number, or one of two words where `value` is a comparison (`check`)."""

    name: str
    words: tuple[str, str] | None = None


@dataclass(frozen=True, kw_only=True)
class Hold(Choice):
    """States a comparison that the answer rests on: true of every row that is chosen."""

    check: str


@dataclass(frozen=True, kw_only=True)
class TableColumn(Shown):
    """Heads a column of a table; `otherwise` stands there where the comparison `when` is not true."""

    head: str = ""
    when: str = ""
    otherwise: str = ""


@dataclass(frozen=True, kw_only=True)
class AnswerTable(Choice):
    """Stands below the answer: a line for each value of the column `rows` that is chosen."""

    name: str
    columns: tuple[TableColumn, ...]
    rows: str = "trace"
    title: str = ""
    head: str = ""


@dataclass(frozen=True, kw_only=True)
class AnswerChart(Choice):
    """Asks for a drawing: `spec` is for mmuexp.render.chart.draw."""

    spec: Mapping[str, Any]


@dataclass(frozen=True, kw_only=True)
class About:
    """Holds a whole experiment.toml. `commands`: name of the table -> words of the command line, without `mmuexp`."""

    folder: Path
    question: str
    answer: str
    commands: Mapping[str, tuple[str, ...]]
    recipe: str = ""
    long: bool = False
    quoted: tuple[str, ...] = ()  # texts of the answer that hold numbers, none of which is a result
    columns: Mapping[str, str]
    figures: tuple[AnswerFigure, ...]
    holds: tuple[Hold, ...]
    tables: tuple[AnswerTable, ...]
    chart: AnswerChart | None

    @property
    def name(self) -> str:
        return self.folder.name

    @property
    def live(self) -> tuple[str, ...]:
        """The tables of LIVE that it asks for, as `live/NAME`."""
        asking = [*self.figures, *self.holds, *self.tables, *([self.chart] if self.chart else [])]
        return tuple(dict.fromkeys(one.of for one in asking if LIVE_TABLE.fullmatch(one.of)))

    def error(self, what: str, place: str = "", todo: str = "") -> MmuexpError:
        """Something that does not fit the counts, at `place` of the file."""
        return MmuexpError(what, where=f"{self.name}/{FILE}" + (f": {place}" if place else ""), todo=todo)


def read(folder: Path) -> About:
    """The experiment of a folder. Raises MmuexpError for a folder without one, and for a file that is not one."""
    path = folder / FILE
    try:
        with path.open("rb") as file:
            content = file.read(LARGEST + 1)
    except OSError as error:
        todo = "name a folder that holds an experiment.toml, such as results/programs"
        raise MmuexpError(f"cannot be read: {reason_of(error)}", where=str(path), todo=todo) from None
    if len(content) > LARGEST:
        raise MmuexpError(f"has more than {LARGEST:,} bytes", where=str(path), todo="write less")
    try:
        given = tomllib.loads(content.decode())
    except (ValueError, RecursionError) as error:
        todo = "see results/README.md for the format"
        raise MmuexpError(f"is not TOML: {error}", where=str(path), todo=todo) from None
    return _about(folder, Section(given, f"{folder.name}/{FILE}"))


def _about(folder: Path, top: Section) -> About:
    commands = _commands(top)
    first = next(iter(commands))
    about = top.fill(
        About,
        folder=folder,
        commands=commands,
        columns={name: one for name, one, _ in _named(top, "columns")},
        figures=tuple(_figure(name, one, at, first) for name, one, at in _named(top, "figures")),
        holds=tuple(_hold(one, f"{top.where}: holds[{n}]", first) for n, one in enumerate(top.take("holds", list, []))),
        tables=tuple(table for name, one, at in _named(top, "tables") for table in _tables(name, one, at, first)),
        chart=_chart(top.table("chart"), first) if top.has("chart") else None,
    )
    about = replace(about, answer=about.answer.strip())
    for text in about.quoted:
        if text not in " ".join(about.answer.split()):
            raise top.error(f"quoted {text!r} is not in the answer", "leave it out")
    for name, text in about.columns.items():
        if not isinstance(text, str):
            raise top.error(f"columns.{name} is not a text")
        if name in COLUMNS:
            raise top.error(f"columns.{name} is a column of every result", "give it another name")
    _all_used(top, about.answer, [figure.name for figure in about.figures])
    for one in [*about.figures, *about.holds, *about.tables, *([about.chart] if about.chart else [])]:
        if one.of not in commands and one.of not in about.live:
            raise top.error(f"of = {one.of!r} is not a command", f"there are {' '.join(commands)}")
    return about


def _all_used(top: Section, answer: str, figures: list[str]) -> None:
    """Every {name} of the answer is a figure, and every figure is in the answer."""
    used = PLACE.findall(answer)
    for name in used:
        if name not in figures:
            hint = did_you_mean(name, figures, "the section [figures] holds those")
            raise top.error(f"the answer has {{{name}}}, which is not a figure", hint)
    for name in figures:
        if name not in used:
            raise top.error(f"figure {name!r} is not in the answer", f"write {{{name}}} there, or leave it out")


def _named(top: Section, key: str) -> list[tuple[str, Any, str]]:
    """(name, what stands there, where that is) of each entry of a table."""
    section = top.table(key)
    for name in section.names():
        if not NAME.fullmatch(name):
            raise section.error(f"{name!r} is not a name", "write small letters, digits and _")
    return [(name, section.take(name, object), f"{section.where}.{name}") for name in section.names()]


def _commands(top: Section) -> dict[str, tuple[str, ...]]:
    if top.has("commands"):
        section = top.table("commands")
        found = {name: section.texts(name) for name in section.names()}
    else:
        found = {COUNTS: top.texts("command", ...)}
    for name, words in found.items():
        if not NAME.fullmatch(name) or name in RESERVED:
            raise top.error(f"{name!r} is not a name of a command", "write small letters, digits and _")
        if not words:
            raise top.error(f"command {name!r} has no words")
    if not found:
        raise top.error("there is no command")
    return found


def _figure(name: str, given: Any, where: str, first: str) -> AnswerFigure:
    section = Section({"value": given} if isinstance(given, str) else given, where)
    if section.has("value") == section.has("check"):
        raise section.error("needs one of value and check")
    known = {"name": name, "of": section.take("of", str, first), "words": None}
    if section.has("check"):
        words = section.take("yes", str, ...), section.take("no", str, ...)
        known |= {"value": section.take("check", str), "words": words, "take": "one", "show": "value", "format": ""}
    else:
        known |= {"format": _format(section)}
    return section.fill(AnswerFigure, **known)


def _format(section: Section) -> str:
    word = section.take("format", str, "")
    if word not in FORMATS and not FORMAT.fullmatch(word):
        raise section.error(f"format is {word!r}", f"known: {' '.join(FORMATS)}, or as in ,.3f")
    return word


def _hold(given: Any, where: str, first: str) -> Hold:
    section = Section({"check": given} if isinstance(given, str) else given, where)
    return section.fill(Hold, of=section.take("of", str, first))


def _tables(name: str, given: Any, where: str, first: str) -> list[AnswerTable]:
    """One table for each command that `of` names."""
    section = Section(given, where)
    of, columns = section.texts("of", [first]), []
    if not of:
        raise section.error("of names no command")
    for at, one in enumerate(section.take("columns", list, ...)):
        column = Section(one, f"{where}.columns[{at}]")
        columns.append(column.fill(TableColumn, format=_format(column)))
    table = section.fill(AnswerTable, name=name, of="", columns=tuple(columns))
    return [replace(table, of=one, name=f"{name}_{one}" if len(of) > 1 else name) for one in of]


def _chart(section: Section, first: str) -> AnswerChart:
    """What is drawn is for the chart's own code to judge: it takes all keys but those of a choice."""
    spec: dict[str, Any] = {}
    for key in section.names():
        if key not in ("of", "trace", "strategy", "where"):
            value = section.take(key, object)
            several = key == "y" and isinstance(value, list) and all(isinstance(one, str) for one in value)
            if not several and not isinstance(value, SPEC_KINDS.get(key, str)):
                raise section.error(f"{key} is {value!r}")
            spec[key] = value
    return section.fill(AnswerChart, of=section.take("of", str, first), spec=spec)
