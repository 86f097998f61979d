"""Charts: what a specification may ask, what is drawn, the colours."""

import json
import re

import pandas as pd
import pytest

from mmuexp.errors import UsageError
from mmuexp.render import palette, words
from mmuexp.render.chart.draw import chart_of, png, spec_of, svg
from mmuexp.render.chart.theme import number_format, ticks

FRAME = pd.DataFrame({"x": [1, 2, 4], "y": [10.0, 100.0, 1000.0], "who": ["a", "a", "b"], "n": [1, None, 3]})
LINE = {"mark": "line", "x": "x", "y": "y"}


def luminance(colour: str) -> float:
    """WCAG 2.1, of #rrggbb."""
    parts = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    red, green, blue = (v / 12.92 if v <= 0.03928 else ((v + 0.055) / 1.055) ** 2.4 for v in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def contrast(one: str, other: str) -> float:
    light, dark = sorted((luminance(one), luminance(other)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


def test_contrast_is_that_of_the_recommendation():
    assert contrast("#000000", "#ffffff") == pytest.approx(21)
    assert contrast("#777777", "#ffffff") == pytest.approx(4.48, abs=0.01)  # its well-known near miss


@pytest.mark.parametrize("at", [0, 1])
def test_texts_and_series_stand_out_on_both_grounds(at):
    colours = {name: pair[at] for name, pair in palette.COLOURS.items()}
    for ground in ("paper", "panel", "best"):
        for text in ("ink", "muted", "accent"):
            assert contrast(colours[text], colours[ground]) >= 4.5, (text, ground)
    assert contrast(colours["warn"], colours["paper"]) >= 4.5
    for series in palette.SERIES:
        assert contrast(colours[series], colours["paper"]) >= 3, series


def test_a_scheme_has_its_colour_in_every_chart():
    assert palette.slots(["qemu-fast", "softmmu"]) == [3, 0]
    assert palette.slots(["softmmu", "mine", "map-block,evict=lifo"]) == [0, 1, 2]
    assert palette.slots(["map-block", "map-block,evict=lifo"]) == [2, 0]  # two of one scheme need two colours
    assert len(set(palette.slots([f"s{n}" for n in range(8)]))) == 8


@pytest.mark.parametrize(
    ("spec", "told"),
    [
        ({**LINE, "hue": "who"}, "'hue' is not a key"),
        ({**LINE, "mark": "pie"}, "no mark 'pie'"),
        ({**LINE, "y": "z"}, "no column 'z'"),
        ({"mark": "line", "y": "y"}, "has no x"),
        ({**LINE, "mark": "point", "y": ["y", "n"]}, "several columns"),
        ({**LINE, "facet": "who", "across": 0}, "across is 0"),
        ({**LINE, "facet": "who", "across": True}, "across is True"),
    ],
)
def test_what_it_does_not_know_is_refused(spec, told):
    with pytest.raises(UsageError, match=re.escape(told)):
        chart_of(FRAME, spec)


def test_the_same_chart_gives_the_same_bytes():
    spec = {**LINE, "color": "who", "log_x": True, "log_y": True, "title": "T", "x_title": "bits", "y_title": "ns"}
    first = svg(chart_of(FRAME, spec))
    assert svg(chart_of(FRAME, spec)) == first
    text = first.decode()
    assert "var(--" not in text
    for word in (">T<", ">bits<", ">ns<", ">a<", ">b<", palette.COLOURS["c1"][0]):
        assert word in text
    picture = png(chart_of(FRAME, spec))
    assert picture.startswith(b"\x89PNG")
    assert [int.from_bytes(picture[at : at + 4]) for at in (16, 20)] == [2 * 640, 2 * 300]  # two pixels for one of CSS


def test_rows_without_a_value_are_left_out_and_odd_names_do_no_harm():
    frame = FRAME.rename(columns={"n": "a.b[c]'\\"})
    data = spec_of(chart_of(frame, {"mark": "point", "x": "x", "y": "a.b[c]'\\"}))["data"]["values"]
    assert [(row["x"], row["y"]) for row in data] == [(1, 1), (4, 3)]


def test_stacked_columns_are_parts_in_their_order():
    spec = spec_of(chart_of(FRAME, {"mark": "stacked", "x": "who", "y": ["y", "x"]}))
    assert [one["name"] for one in spec["usermeta"]["series"]] == ["y", "x"]
    assert [(row["c"], row["o"], row["y"]) for row in spec["data"]["values"]][:2] == [("y", 0, 10.0), ("x", 1, 1)]


def test_series_differ_by_more_than_their_colour():
    spec = spec_of(chart_of(FRAME, {**LINE, "color": "who"}))
    looks = [(str(one["dash"]), one["shape"]) for one in spec["usermeta"]["series"]]
    assert len({dash for dash, _ in looks}) == len({shape for _, shape in looks}) == 2


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([12, 90], [10, 20, 50, 100]),
        ([1, 10_000], [1, 10, 100, 1000, 10_000]),
        ([0, 3, 40], [0, 2, 5, 10, 20, 50]),
        ([5], [5]),
    ],
)
def test_ticks_of_a_logarithmic_axis(values, expected):
    assert ticks(values) == expected


def test_formats():
    assert number_format([1, 20_000]) == ",d"
    assert number_format([1, 20_000_000]) == "~s"
    assert number_format([0.5, 20]) == ",.3~r"


@pytest.mark.parametrize("ns", [0, 0.5, 999, 1175, 27_600, 1e6, 9.22e6, 3.2e9])
def test_a_duration_is_worth_what_it_says(ns):
    assert words.value(words.duration(ns)) == pytest.approx(ns, rel=0.005)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1.88x faster [1] *", 1.88),
        ("2.00x slower", 0.5),
        ("as fast", 1),
        ("reference *", 1),
        ("under 27.6 us", 27_600),
        ("over 575 ns", 575),
        ("1,234", 1234),
        ("256 KiB", 2**18),
        ("-0.30 (-12 %)", -0.3),
        ("never", None),
        ("-", None),
        ("", None),
    ],
)
def test_texts_sort_by_what_they_are_worth(text, value):
    assert words.value(text) == value


def test_a_specification_is_plain_data():
    json.dumps(spec_of(chart_of(FRAME, {**LINE, "facet": "who"})))


def test_bars_on_a_logarithmic_axis_are_dots_since_a_length_would_mean_nothing():
    spec = spec_of(chart_of(FRAME, {"mark": "bar", "x": "who", "y": "y", "log_y": True}))
    stalk, dot = spec["layer"]
    assert (stalk["mark"]["type"], dot["mark"]["type"]) == ("rule", "point")
    assert stalk["encoding"]["x2"] == {"datum": 10}  # the axis begins there
    with pytest.raises(UsageError, match="logarithmic"):
        chart_of(FRAME, {"mark": "stacked", "x": "who", "y": ["y", "x"], "log_y": True})
