"""Draws charts by Vega-Lite (altair): one short specification for a page, an SVG or a PNG.

    chart = chart_of(frame, {"mark": "line", "x": "map_block_bits", "y": "ns", "color": "trace", "log_y": True})
    Path("chart.svg").write_bytes(svg(chart))

Keys of a specification:
    mark             "line", "point", "bar" or "stacked". Bars lie: the values of x are written at their left
    x, y             columns; y of "stacked" and "line" may be several, whose names are the parts or the series
    color, facet     columns: one series for each value, one small chart for each value; across: so many in a row  [2]
    title, x_title, y_title, color_title   texts with units; without, the columns' names
    log_x, log_y     logarithmic; symlog where there is a 0. Bars become dots on thin lines, and parts cannot be stacked
    label            a column that names a point when it is pointed at
    rule             a level of y that is marked by a line
An unknown key or column is a UsageError. Rows without an x or y are left out.
"""

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any

import altair
import pandas as pd

from mmuexp.errors import UsageError
from mmuexp.render import palette
from mmuexp.render.chart.theme import ROOM, config, enlarged, in_a_row, number_format, ticks
from mmuexp.render.chart.vega import convert
from mmuexp.result.table import rows_of

WIDTH, HEIGHT, BAR, LEGEND = 640, 300, 30, 20  # pixels; BAR for each bar with its gap, LEGEND for a row of one
MARKS = ("line", "point", "bar", "stacked")
TEXTS = ("title", "x_title", "y_title", "color_title")
MOST_ACROSS = 6
KEYS = {"mark", "x", "y", "color", "facet", *TEXTS, "log_x", "log_y", "label", "rule", "across"}
SMALL, SMALL_HEIGHT, COLUMNS = 280, 170, 2  # small charts of a facet


def chart_of(frame: pd.DataFrame, spec: Mapping[str, Any]) -> altair.Chart:
    """Return the chart of `frame` that `spec` asks for; its `usermeta` says what its legend holds."""
    asked = _Asked(frame, spec)
    data = altair.Data(values=asked.records)
    chart = asked.layers(altair.Chart() if asked.facet else altair.Chart(data))
    if asked.facet:
        small = chart.properties(width=SMALL, height=asked.height)
        values = list(dict.fromkeys(row["f"] for row in asked.records))
        by = altair.Facet("f:N", title=None, sort=values)
        chart = small.facet(facet=by, columns=spec.get("across", COLUMNS), data=data)
    else:
        fit = altair.AutoSizeParams(type="fit-x" if asked.lies else "fit", contains="padding")
        chart = chart.properties(width=WIDTH, height=asked.height, autosize=fit)
    if asked.text["title"]:
        chart = chart.properties(title=asked.text["title"])
    chart.config = config()
    facets = {row["f"] for row in asked.records} if asked.facet else set()
    chart.usermeta = {"series": asked.series, "facet": len(facets)}
    return chart


def spec_of(chart: altair.Chart) -> dict[str, Any]:
    """Return Vega-Lite, as plain data; colours are still `var(--name)`."""
    with altair.theme.enable("none"):
        return chart.to_dict()


def vega_lite() -> str:
    """Return the version of Vega-Lite that altair writes, as vl-convert names it."""
    return ".".join(altair.SCHEMA_VERSION.lstrip("v").split(".")[:2])


def svg(chart: altair.Chart) -> bytes:
    """Return the chart as an SVG file on a light ground. The same chart gives the same bytes."""
    text = convert("vegalite_to_svg", vl_spec=_light(chart, ROOM), vl_version=vega_lite())
    text = re.sub(r'font-size="([\d.]+)px"', lambda m: f'font-size="{float(m[1]) / ROOM:.3g}px"', text)
    numbers: dict[str, str] = {}  # ids count up over the life of the process
    text = re.sub(r"\b(clip|gradient_)(\d+)\b", lambda m: m[1] + numbers.setdefault(m[0], str(len(numbers))), text)
    return (text.rstrip("\n") + "\n").encode()


def png(chart: altair.Chart, scale: float = 2) -> bytes:
    """Return the chart as a PNG file on a light ground, `scale` pixels for one of CSS."""
    return convert("vegalite_to_png", vl_spec=_light(chart), vl_version=vega_lite(), scale=scale)


def _light(chart: altair.Chart, room: float = 1) -> str:
    spec = enlarged(spec_of(chart), room)
    spec["background"] = palette.var("paper")
    spec["padding"] = 12
    names = [one["name"] for one in spec["usermeta"]["series"]]
    if names:  # a page has a legend of its own
        columns = min(len(names), in_a_row(names, WIDTH))
        spec["config"]["legend"]["columns"] = columns
        if spec.get("autosize", {}).get("type") == "fit":
            spec["height"] += LEGEND * (-(-len(names) // columns) - 1)
    return palette.plain(json.dumps(spec))


class _Asked:
    """What one specification asks of one frame: `records` with the keys x, y, c, f, and how each is shown."""

    def __init__(self, frame: pd.DataFrame, spec: Mapping[str, Any]):
        self.spec = dict(spec)
        self.mark = _checked(frame, self.spec)
        self.facet = spec.get("facet")
        ys = [spec["y"]] if isinstance(spec["y"], str) else list(spec["y"])
        self.color = spec.get("color") or ("part" if len(ys) > 1 else None)
        self.records = _records(frame, self.spec, ys)
        named = {"x": spec["x"], "y": ys[0] if len(ys) == 1 else "", "color": spec.get("color") or "", "title": ""}
        self.text = {key: spec.get(key) or named[key.removesuffix("_title")] for key in TEXTS}
        self.lies = self.mark in ("bar", "stacked")
        self.category = self.lies or any(isinstance(row["x"], str) for row in self.records)
        self.names = list(dict.fromkeys(row["c"] for row in self.records)) if self.color else []
        self.series = self._series()

    @property
    def height(self) -> int:
        full = SMALL_HEIGHT if self.facet else HEIGHT
        if not self.lies:
            return full
        bars = len({row["x"] for row in self.records})
        grouped = len(self.names) if self.mark == "bar" and self.names else 1
        return BAR * bars * max(1, min(grouped, 4) * 2 // 3)

    def _series(self) -> list[dict[str, Any]]:
        """One entry of the legend each: its name, and how it is drawn."""
        if self.mark == "stacked" and len(self.names) <= len(palette.PARTS):
            return [{"name": n, "color": palette.var(c)} for n, c in zip(self.names, palette.PARTS, strict=False)]
        found = []
        for name, slot in zip(self.names, palette.slots(self.names), strict=True):
            one: dict[str, Any] = {"name": name, "color": palette.var(palette.SERIES[slot])}
            if self.mark in ("line", "point") or self.spec.get("log_y"):
                one["shape"] = palette.SHAPES[slot]
            if self.mark == "line":
                one["dash"] = palette.DASHES[slot]
            found.append(one)
        return found

    def layers(self, base: altair.Chart) -> altair.Chart:
        """The marks with their encodings."""
        tooltip = self._tooltip()
        if self.lies and self.spec.get("log_y"):
            return self._stalks(base, tooltip)
        if self.lies:
            bars = base.mark_bar(cornerRadiusEnd=2 if self.mark == "bar" else 0)
            return bars.encode(**self._lying(), tooltip=tooltip)
        both = {"x": self._position("x"), "y": self._position("y")}
        dots = base.mark_point(filled=True, size=55, opacity=1).encode(**both, **self._look("shape"), tooltip=tooltip)
        if self.spec.get("rule") is not None:
            level = base.mark_rule(strokeDash=[4, 4], color=palette.var("muted"))
            dots = level.encode(y=altair.datum(self.spec["rule"])) + dots
        if self.mark == "point":
            return dots
        return base.mark_line(strokeWidth=2).encode(**both, **self._look("dash")) + dots

    def _stalks(self, base: altair.Chart, tooltip: list[Any]) -> altair.Chart:
        """Bars on a logarithmic axis: their length would mean nothing, so each is a dot on a thin line."""
        values = sorted(row["y"] for row in self.records)
        where = {key: value for key, value in self._lying().items() if key != "order"}
        low = ticks(values)[0]
        stalks = base.mark_rule(strokeWidth=1.5).encode(**where, x2=altair.datum(low))
        shape = {"shape": self._look("shape")["shape"]} if self.names else {}
        return stalks + base.mark_point(filled=True, size=70, opacity=1).encode(**where, **shape, tooltip=tooltip)

    def _lying(self) -> dict[str, Any]:
        values = list(dict.fromkeys(row["x"] for row in self.records))
        axis = altair.Axis(labelLimit=230, labelOverlap=False, ticks=False, domain=False)
        found: dict[str, Any] = {"y": altair.Y("x:N", sort=values, title=None, axis=axis)}
        found |= {"x": self._position("y", channel=altair.X), **self._look()}
        if self.mark == "bar" and self.names:
            found["yOffset"] = altair.YOffset("c:N", sort=self.names)
        if self.mark == "stacked":
            found["order"] = altair.Order("o:Q")
        return found

    def _look(self, *more: str) -> dict[str, Any]:
        """Colour, and with it dash or shape, by series; one legend for all."""
        if not self.names:
            return {"color": altair.value(palette.var("c1"))}
        channels = {"color": altair.Color, "dash": altair.StrokeDash, "shape": altair.Shape}
        found = {}
        for look in ("color", *more):
            scale = altair.Scale(domain=self.names, range=[one[look] for one in self.series])
            found[look] = channels[look]("c:N", scale=scale, title=self.text["color_title"], sort=None)
            if len(self.names) == 1:
                found[look] = found[look].legend(None)  # there is nothing to tell apart
        if "dash" in found:
            found["strokeDash"] = found.pop("dash")
        return found

    def _position(self, key: str, channel: Any = None) -> Any:
        channel = channel or {"x": altair.X, "y": altair.Y}[key]
        title = self.text[f"{key}_title"]
        if key == "x" and self.category:
            values = list(dict.fromkeys(row["x"] for row in self.records))
            return channel("x:N", sort=values, title=title, axis=altair.Axis(labelAngle=-30, labelOverlap=False))
        values = [row[key] for row in self.records]
        distinct = sorted(set(values))
        axis: dict[str, Any] = {"format": number_format(values)}
        scale: dict[str, Any] = {"nice": key == "y", "zero": key == "y"}
        if self.spec.get(f"log_{key}"):
            axis["values"] = ticks(distinct)
            scale = {"type": "log" if min(distinct, default=1) > 0 else "symlog"}
            scale["domain"] = [axis["values"][0], max(axis["values"][-1], distinct[-1])] if distinct else [1, 10]
        if self.lies:
            axis["tickCount"] = 4 if self.facet else 8
        if key == "x" and 0 < len(distinct) <= 12:
            axis["values"] = distinct
            scale.pop("domain", None)
        return channel(f"{key}:Q", title=title, axis=altair.Axis(**axis), scale=altair.Scale(**scale))

    def _tooltip(self) -> list[Any]:
        named = {"n": self.spec.get("label"), "c": self.text["color_title"] or "series", "f": self.facet}
        named |= {"x": self.text["x_title"], "y": self.text["y_title"] or "value"}
        found = []
        for key, title in named.items():
            if not self.records or key not in self.records[0]:
                continue
            values = [row[key] for row in self.records]
            if any(isinstance(value, str) for value in values) or (key == "x" and self.category):
                found.append(altair.Tooltip(f"{key}:N", title=title))
            else:
                found.append(altair.Tooltip(f"{key}:Q", title=title, format=number_format(values, ",.4~r")))
        return found


def _checked(frame: pd.DataFrame, spec: Mapping[str, Any]) -> str:
    """Return the mark. Raises UsageError for a specification that the frame cannot serve."""

    def refuse(what: str, todo: str) -> None:
        raise UsageError(what, where="chart", todo=todo)

    for key in sorted(set(spec) - KEYS):
        refuse(f"{key!r} is not a key of a chart", f"there are {', '.join(sorted(KEYS))}")
    mark = spec.get("mark", "line")
    if mark not in MARKS:
        refuse(f"there is no mark {mark!r}", f"there are {', '.join(MARKS)}")
    for key in ("x", "y"):
        if not spec.get(key):
            refuse(f"it has no {key}", "name a column")
    several = isinstance(spec["y"], (list, tuple))
    if several and (mark not in ("stacked", "line") or spec.get("color")):
        refuse("several columns as y", 'that is for mark = "stacked" or "line", without a color')
    across = spec.get("across", 1)
    if isinstance(across, bool) or not isinstance(across, int) or not 1 <= across <= MOST_ACROSS:
        refuse(f"across is {across!r}", f"give 1 to {MOST_ACROSS} small charts in a row")
    if mark == "stacked" and spec.get("log_y"):
        refuse("parts that are stacked on a logarithmic axis", "leave log_y out, or take another mark")
    columns = [spec["x"], *(spec["y"] if several else [spec["y"]])]
    columns += [spec.get(key) for key in ("color", "facet", "label")]
    for column in columns:
        if column and column not in frame.columns:
            refuse(f"there is no column {column!r}", f"there are {', '.join(map(str, frame.columns))}")
    return mark


def _records(frame: pd.DataFrame, spec: Mapping[str, Any], ys: Sequence[str]) -> list[dict[str, Any]]:
    found = []
    for row in rows_of(frame):
        for y in ys:
            if row[spec["x"]] is None or row[y] is None:
                continue
            one = {"x": row[spec["x"]], "y": row[y]}
            if spec.get("color") or len(ys) > 1:
                one["c"] = str(row[spec["color"]]) if spec.get("color") else y
            more = {"f": spec.get("facet"), "n": spec.get("label")}
            found.append(one | {key: str(row[column]) for key, column in more.items() if column})
    names = list(dict.fromkeys(one.get("c") for one in found))
    return [one | {"o": names.index(one["c"])} if "c" in one else one for one in found]
