"""A sweep in plain text: bars beside its table, and with --plot a plot of lines and marks."""

from collections.abc import Sequence
from itertools import pairwise
from math import log10
from typing import Any, NamedTuple

from mmuexp.render.sentence import Line
from mmuexp.render.terminal.wrap import PAGE, fold
from mmuexp.render.words import duration, significant

WIDTH = 48
TIME = 10  # characters of a duration with the spaces around it, at most
PLOT_WIDTH, PLOT_HEIGHT = 64, 16  # characters within the axes
MARKS, PLAIN_MARKS = "●■▲◆✚▼▶◀", "ox+*#%@&"
COLOURS = ["blue", "yellow", "green", "magenta", "cyan", "white", "red", "bright_black"]
DOTS = ((0x01, 0x08), (0x02, 0x10), (0x04, 0x20), (0x40, 0x80))  # of a braille character: row, then column


class Run(NamedTuple):
    """A piece of text of one style, as rich names them."""

    text: str
    style: str = ""


def bars(lines: Sequence[Line], *, unicode: bool = True, width: int = PAGE) -> str:
    """One bar a run in `width` characters: emulator instructions dark, kernel time light.

    The longest bar is WIDTH long, or shorter beside long names; a name folds where it would leave no room for bars.
    """
    longest = max((line.ns for line in lines), default=0)
    if not longest:
        return ""
    dark, light = ("█", "░") if unicode else ("#", ".")
    names = [fold(line.name, width // 2).split("\n") for line in lines]
    label = max(len(part) for name in names for part in name)
    room = min(WIDTH, width - label - TIME)
    found = []
    for line, (name, *more) in zip(lines, names, strict=True):
        whole = round(room * line.ns / longest)
        kernel = round(room * line.kernel / longest)
        bar = dark * (whole - kernel) + light * kernel
        found.append(f"{name:>{label}} {bar.ljust(room)} {duration(line.ns)}")
        found += [f"{part:>{label}}" for part in more]
    found.append(f"{'':>{label}} {dark} emulator instructions  {light} host kernel")
    return "\n".join(found)


def plot(frame: Any, spec: dict[str, Any], *, unicode: bool = True, width: int = 80) -> list[list[Run]]:
    """Lines of runs: what chart_of would draw of `frame`, without its facets, in `width` characters at most.

    Each series has a mark of its own and, where the terminal has colours, a colour.
    """
    from mmuexp.render.chart.data import checked, records_of

    checked(frame, spec)
    records = records_of(frame, spec, [spec["y"]])
    if not records:
        return []
    xs = list(dict.fromkeys(record["x"] for record in records))
    words = any(isinstance(x, str) for x in xs)
    if words:
        records = [{**record, "x": xs.index(record["x"])} for record in records]
    y_axis = _Axis([record["y"] for record in records], bool(spec.get("log_y")), room=True)
    x_axis = _Axis([record["x"] for record in records], bool(spec.get("log_x")))
    labels = [significant(y_axis.value(at / 4)) for at in range(4, -1, -1)]
    margin = max(map(len, labels)) + 2
    canvas = _Canvas(max(16, min(PLOT_WIDTH, width - margin - 6)), PLOT_HEIGHT, unicode)
    names = list(dict.fromkeys(record.get("c", "") for record in records))
    for series, name in enumerate(names):
        points = [(x_axis.share(r["x"]), y_axis.share(r["y"])) for r in records if r.get("c", "") == name]
        canvas.line(sorted(points), series, joined=not words)
    found = [[Run(f"{spec.get('y_title', spec['y'])}{', logarithmic' if y_axis.log else ''}", "bold")]]
    found += _rows(canvas, labels, margin)
    ticks = {x_axis.share(xs.index(x) if words else x): str(x) for x in xs}
    found += _feet(ticks, canvas, margin, spec.get("x_title", spec["x"]))
    if any(names):
        found += [[Run(" " * margin), *canvas.key(series, name)] for series, name in enumerate(names)]
    return found


class _Axis:
    """Values to 0..1 and back, linear (from 0 if `room`) or logarithmic."""

    def __init__(self, values: Sequence[float], log: bool, *, room: bool = False):
        self.log = log and min(values) > 0
        self.low, self.high = self._to(min(values)), self._to(max(values))
        if room and not self.log:
            self.low = min(0.0, self.low)
        if self.high == self.low:
            self.high = self.low + 1

    def _to(self, value: float) -> float:
        return log10(value) if self.log else float(value)

    def share(self, value: float) -> float:
        return (self._to(value) - self.low) / (self.high - self.low)

    def value(self, share: float) -> float:
        at = self.low + share * (self.high - self.low)
        return 10**at if self.log else at


class _Canvas:
    """Characters with a series each. Lines are braille dots (2 x 4 a character), or full stops in ASCII."""

    def __init__(self, width: int, height: int, unicode: bool):
        self.width, self.height, self.unicode = width, height, unicode
        self.marks = MARKS if unicode else PLAIN_MARKS
        self.cells: dict[tuple[int, int], tuple[str, int]] = {}

    def line(self, points: Sequence[tuple[float, float]], series: int, *, joined: bool = True) -> None:
        """From point to point, each 0..1; marks lie over lines. Between words there is nothing to join."""
        across, up = (self.width * 2 - 1, self.height * 4 - 1) if self.unicode else (self.width - 1, self.height - 1)
        placed = [(round(x * across), round((1 - y) * up)) for x, y in points]
        for (x0, y0), (x1, y1) in pairwise(placed if joined else ()):
            steps = max(abs(x1 - x0), abs(y1 - y0), 1)
            for step in range(steps + 1):
                self._dot(round(x0 + (x1 - x0) * step / steps), round(y0 + (y1 - y0) * step / steps), series)
        for x, y in placed:
            at = (y // 4, x // 2) if self.unicode else (y, x)
            self.cells[at] = (self.marks[series % len(self.marks)], series)

    def _dot(self, x: int, y: int, series: int) -> None:
        if not self.unicode:
            self.cells.setdefault((y, x), (".", series))
            return
        at = (y // 4, x // 2)
        text, owner = self.cells.get(at, ("\u2800", series))
        if "\u2800" <= text <= "\u28ff":
            self.cells[at] = (chr(ord(text) | DOTS[y % 4][x % 2]), owner)

    def row(self, at: int) -> list[Run]:
        found = []
        for column in range(self.width):
            text, series = self.cells.get((at, column), (" ", -1))
            found.append(Run(text, COLOURS[series % len(COLOURS)] if series >= 0 else ""))
        return found

    def key(self, series: int, name: str) -> list[Run]:
        return [Run(self.marks[series % len(self.marks)], COLOURS[series % len(COLOURS)]), Run(f" {name}")]


def _rows(canvas: _Canvas, labels: Sequence[str], margin: int) -> list[list[Run]]:
    bar, tick = ("│", "┤") if canvas.unicode else ("|", "+")
    told = {round(at * (canvas.height - 1) / 4): label for at, label in enumerate(labels)}
    return [
        [Run(f"{told.get(at, ''):>{margin - 1}}{tick if at in told else bar}", "dim"), *canvas.row(at)]
        for at in range(canvas.height)
    ]


def _feet(ticks: dict[float, str], canvas: _Canvas, margin: int, title: str) -> list[list[Run]]:
    """The x axis: a tick for each value, its label where there is room, and what it is."""
    corner, rule, tick = ("└", "─", "┬") if canvas.unicode else ("+", "-", "+")
    line, text, free = [rule] * canvas.width, [" "] * (canvas.width + 8), 0
    for share, label in sorted(ticks.items()):
        at = round(share * (canvas.width - 1))
        line[at] = tick
        begin = max(0, at - len(label) // 2)
        if begin >= free and begin + len(label) <= len(text):
            text[begin : begin + len(label)] = label
            free = begin + len(label) + 1
    return [
        [Run(" " * (margin - 1) + corner + "".join(line), "dim")],
        [Run((" " * margin + "".join(text)).rstrip(), "dim")],
        [Run(" " * margin + title.center(canvas.width).rstrip(), "bold")],
    ]
