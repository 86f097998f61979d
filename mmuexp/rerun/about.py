"""What an experiment.toml says. Its format stands in results/README.md (index.py writes it there)."""

import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from mmuexp.errors import MmuexpError
from mmuexp.rerun.section import Section
from mmuexp.result.table import COLUMNS

FILE = "experiment.toml"
PLACE = re.compile(r"\{([^{}]*)\}")  # of a figure, in the answer
LARGEST = 1 << 20  # bytes of an experiment.toml
COUNTS = "counts"  # the name of the only command, and so of its table
NAME = re.compile(r"[a-z]\w*", re.ASCII)
RESERVED = {"report", "chart", "experiment", "readme"}
TAKES = ("one", "min", "median", "max", "sum", "count", "all", "any")
FORMAT = re.compile(r",?(\.\d)?[f%]?")
FORMATS = ("count", "ratio", "percent", "duration", "size", "digits")


@dataclass(frozen=True)
class Choice:
    """Which rows are meant: of the command `of`; recordings and schemes by name (none: all); cells as given."""

    of: str
    traces: tuple[str, ...] = ()
    strategies: tuple[str, ...] = ()
    where: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Figure:
    """A number or a word of the answer. `kind` is "value", "check" or "order", and `text` what stands there."""

    name: str
    choice: Choice
    kind: str
    text: str
    take: str = "one"
    show: str = "value"
    format: str = ""
    yes: str = ""
    no: str = ""


@dataclass(frozen=True)
class Hold:
    """A comparison that the answer rests on: true of every row that is chosen."""

    choice: Choice
    check: str


@dataclass(frozen=True)
class Column:
    """Of a table; `otherwise` stands there where the comparison `when` is not true."""

    head: str
    value: str
    format: str = ""
    when: str | None = None
    otherwise: str = ""
    take: str = "one"
    show: str = "value"


@dataclass(frozen=True)
class Table:
    """A line for each value of the column `rows` that is chosen; `labels` give lines other names, and their order."""

    name: str
    choice: Choice
    rows: str
    title: str
    head: str
    labels: Mapping[str, str]
    columns: tuple[Column, ...]


@dataclass(frozen=True)
class Chart:
    """`spec` is for mmuexp.render.chart.draw."""

    choice: Choice
    spec: Mapping[str, Any]


@dataclass(frozen=True)
class About:
    """A whole experiment.toml. `commands`: name of the table -> words of the command line, without `mmuexp`."""

    folder: Path
    question: str
    answer: str
    commands: Mapping[str, tuple[str, ...]]
    recipe: str | None
    long: bool
    quoted: tuple[str, ...]  # texts of the answer that hold numbers, none of which is a result
    columns: Mapping[str, str]
    figures: tuple[Figure, ...]
    holds: tuple[Hold, ...]
    tables: tuple[Table, ...]
    chart: Chart | None

    @property
    def name(self) -> str:
        return self.folder.name


def read(folder: Path) -> About:
    """The experiment of a folder. Raises MmuexpError for a folder without one, and for what is none."""
    path = folder / FILE
    try:
        with path.open("rb") as file:
            content = file.read(LARGEST + 1)
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        todo = "name a folder that holds an experiment.toml, such as results/programs"
        raise MmuexpError(f"cannot be read: {reason}", where=str(path), todo=todo) from None
    if len(content) > LARGEST:
        raise MmuexpError(f"has more than {LARGEST:,} bytes", where=str(path), todo="write less")
    try:
        given = tomllib.loads(content.decode())
    except (ValueError, RecursionError) as error:
        raise MmuexpError(
            f"is no TOML: {error}", where=str(path), todo="see results/README.md for the format"
        ) from None
    return _about(folder, Section(given, f"{folder.name}/{FILE}"))


def _about(folder: Path, top: Section) -> About:
    question, answer = top.take("question", str, ...), top.take("answer", str, ...)
    recipe, long = top.take("recipe", str), top.take("long", bool, False)
    quoted = top.texts("quoted")
    for text in quoted:
        if text not in " ".join(answer.split()):
            raise top.error(f"quoted {text!r} is not in the answer", "leave it out")
    commands = _commands(top)
    first = next(iter(commands))
    columns = _named(top, "columns")
    figures = tuple(_figure(name, one, first) for name, one in _named(top, "figures").items())
    holds = tuple(_hold(at, one, top, first) for at, one in enumerate(top.take("holds", list, [])))
    tables = tuple(_table(name, one, first) for name, one in _named(top, "tables").items())
    chart = _chart(Section(top.take("chart", dict), f"{top.where}: chart"), first) if top.has("chart") else None
    top.end()
    for name, text in columns.items():
        if not isinstance(text, str):
            raise top.error(f"columns.{name} is not a text")
        if name in COLUMNS:
            raise top.error(f"columns.{name} is a column of every result", "give it another name")
    _all_used(top, answer, [figure.name for figure in figures])
    about = About(
        folder, question, answer.strip(), commands, recipe, long, quoted, columns, figures, holds, tables, chart
    )
    one: Any  # each says `of` which command it is
    for one in [*figures, *holds, *tables, *([chart] if chart else [])]:
        if one.choice.of not in commands:
            raise top.error(f"of = {one.choice.of!r} is no command", f"there are {' '.join(commands)}")
    return about


def _all_used(top: Section, answer: str, figures: list[str]) -> None:
    """Every {name} of the answer is a figure, and every figure is in the answer."""
    used = PLACE.findall(answer)
    for name in used:
        if name not in figures:
            near = get_close_matches(name, figures, 1)
            hint = f"did you mean {near[0]}?" if near else "the section [figures] holds those"
            raise top.error(f"the answer has {{{name}}}, which is no figure", hint)
    for name in figures:
        if name not in used:
            raise top.error(f"figure {name!r} is not in the answer", f"write {{{name}}} there, or leave it out")


def _named(top: Section, key: str) -> dict[str, Any]:
    """A table of tables or texts, each with the place where it stands if that is a table."""
    section = Section(top.take(key, dict, {}), f"{top.where}: {key}")
    found = {name: section.take(name, object) for name in section.names()}
    for name in found:
        if not NAME.fullmatch(name):
            raise section.error(f"{name!r} is no name", "write small letters, digits and _")
    if key == "columns":
        return found
    short = {"figures": "value"}
    out = {}
    for name, one in found.items():
        given = {short[key]: one} if isinstance(one, str) and key in short else one
        out[name] = Section(given, f"{section.where}.{name}")
    return out


def _commands(top: Section) -> dict[str, tuple[str, ...]]:
    if top.has("commands"):
        section = Section(top.take("commands", dict), f"{top.where}: commands")
        found = {name: section.texts(name) for name in section.names()}
    else:
        found = {COUNTS: top.texts("command", ...)}
    for name, words in found.items():
        if not NAME.fullmatch(name) or name in RESERVED:
            raise top.error(f"{name!r} is no name of a command", "write small letters, digits and _")
        if not words:
            raise top.error(f"command {name!r} has no words")
    if not found:
        raise top.error("there is no command")
    return found


def _choice(section: Section, first: str) -> Choice:
    where = section.take("where", dict, {})
    if not all(isinstance(value, int | str) for value in where.values()):
        raise section.error("where holds something else than whole numbers and texts")
    return Choice(section.take("of", str, first), section.texts("trace"), section.texts("strategy"), where)


def _figure(name: str, section: Section, first: str) -> Figure:
    kinds = [kind for kind in ("value", "check", "order") if section.has(kind)]
    if len(kinds) != 1:
        raise section.error("needs one of value, check and order")
    kind = kinds[0]
    found = Figure(
        name,
        _choice(section, first),
        kind,
        section.take(kind, str),
        section.one_of("take", TAKES, "all" if kind == "check" else "one"),
        section.take("show", str, "value"),
        _format(section),
        section.take("yes", str, ... if kind == "check" else ""),
        section.take("no", str, ... if kind == "check" else ""),
    )
    section.end()
    return found


def _format(section: Section) -> str:
    word = section.take("format", str, "")
    if word not in FORMATS and not FORMAT.fullmatch(word):
        raise section.error(f"format is {word!r}", f"known: {' '.join(FORMATS)}, or as in ,.3f")
    return word


def _hold(at: int, given: Any, top: Section, first: str) -> Hold:
    section = Section({"check": given} if isinstance(given, str) else given, f"{top.where}: holds[{at}]")
    found = Hold(_choice(section, first), section.take("check", str, ...))
    section.end()
    return found


def _table(name: str, section: Section, first: str) -> Table:
    choice = _choice(section, first)
    rows = section.take("rows", str, "trace")
    title, head = section.take("title", str, ""), section.take("head", str, rows)
    labels = Section(section.take("labels", dict, {}), f"{section.where}.labels")
    texts = {key: labels.take(key, str) for key in labels.names()}
    columns = []
    for at, one in enumerate(section.take("columns", list, ...)):
        column = Section(one, f"{section.where}.columns[{at}]")
        value = column.take("value", str, ...)
        columns.append(
            Column(
                column.take("head", str, value),
                value,
                _format(column),
                column.take("when", str),
                column.take("otherwise", str, ""),
                column.one_of("take", ("one", "min", "median", "max"), "one"),
                column.take("show", str, "value"),
            )
        )
        column.end()
    section.end()
    return Table(name, choice, rows, title, head, texts, tuple(columns))


def _chart(section: Section, first: str) -> Chart:
    """What is drawn is for the chart's own code to judge: all other keys are its. Texts, but for these."""
    choice = _choice(section, first)
    kinds = {"log_x": bool, "log_y": bool, "across": int}
    spec: dict[str, Any] = {}
    for key in section.names():
        value = section.take(key, object)
        several = key == "y" and isinstance(value, list) and all(isinstance(one, str) for one in value)
        if not several and not isinstance(value, kinds.get(key, str)):
            raise section.error(f"{key} is {value!r}")
        spec[key] = value
    return Chart(choice, spec)
