"""Pages as a reader has them: in Chromium, by mouse and by keyboard, on paper, in the dark and on a phone."""

import base64
import csv
import io

import pandas as pd
import pytest
from kit.browser import CONTRAST, DESKTOP, PHONE, one_browser  # noqa: F401

from mmuexp.render.chart.draw import chart_of
from mmuexp.render.html.page import page
from mmuexp.render.html.sections import Cell, Chart, Details, Heading, Table, Text

HOSTILE = "<img src=x onerror=\"document.title='owned'\"><script>document.title='owned'</script>"
FRAME = pd.DataFrame(
    {
        "bits": [12, 13, 14, 12, 13, 14],
        "ns": [900.0, 30.0, 1.5, 800.0, 20.0, 2.5],
        "trace": ["gzip", "gzip", "gzip", HOSTILE, HOSTILE, HOSTILE],
    }
)
PARTS = pd.DataFrame({"scheme": ["a", "b"] * 3, "hit": [1, 2, 3, 4, 5, 6], "kernel": [3, 1] * 3, "t": list("xxyyzz")})
# sorted as texts these would come out otherwise: 1.5 us is more than 900 ns, 10 more than 9
ROWS = [["r1", Cell("1.50 us", 1500), 9], ["r2", Cell("900 ns", 900), 10], ["r3", None, -1]]
ROWS += [[f"s{n}", Cell(f"{n} ms", n * 1e6), n] for n in range(3, 9)]
LINE = {
    "mark": "line",
    "x": "bits",
    "y": "ns",
    "color": "trace",
    "log_y": True,
    "x_title": "bits",
    "y_title": "time (ns)",
}


def sample() -> str:
    line = Chart(chart_of(FRAME, LINE), FRAME, f"Lines {HOSTILE}", f"Caption {HOSTILE}", "lines")
    stacked = chart_of(PARTS, {"mark": "stacked", "x": "scheme", "y": ["hit", "kernel"], "facet": "t"})
    table = Table(["run", "time", "faults"], ROWS, ["", "", "SIGSEGV"], f"Runs {HOSTILE}", {1}, csv=FRAME, name="runs")
    marked = Table(["a", "b"], [[Cell("good", mark="best"), Cell("careful", mark="warn")]])
    wide = Table([f"column{n}" for n in range(30)], [[HOSTILE, *range(29)]], name="wide")
    sections = [Heading("One"), Text([HOSTILE, "a note"], "note"), line, table, Heading("Two"), marked, wide]
    sections += [Heading("Three"), Chart(stacked, PARTS, "Bars", "", "bars"), Text("mmuexp compare", "code")]
    sections += [Details("More", [Text("folded"), Heading("Four", 3)])]
    return page(f"A page {HOSTILE}", sections, {"mmuexp": "0.1", "odd": HOSTILE}, "What it is about.")


@pytest.fixture(scope="module")
def file(tmp_path_factory):
    path = tmp_path_factory.mktemp("page") / "page.html"
    path.write_text(sample(), encoding="utf-8")
    return path


def column(browser, at: int) -> list[str]:
    rows = browser.all(".table")[0].find_elements("css selector", "tbody tr")
    return [row.find_elements("css selector", "th, td")[at].text.split(" ")[0] for row in rows if row.is_displayed()]


def test_it_renders_quietly_and_asks_for_nothing(browser, file):
    browser.open(file)
    assert browser.log() == []
    assert browser.requests() == [file.as_uri()]
    assert browser.run("return document.documentElement.lang") == "en"
    assert browser.driver.title.startswith("A page <img")  # what was given is text, never markup
    assert HOSTILE in browser.find("figcaption").text
    marks = browser.run(
        "return [...document.querySelectorAll('.plot')].map(p => p.querySelectorAll('svg path').length)"
    )
    assert len(marks) == 2
    assert all(marks)
    dots = browser.all("#chart-1 .mark-symbol path")
    assert len(dots) == len(FRAME)
    # 900 lies at the top, 1.5 at the bottom: smaller y is higher up
    heights = [dot.location["y"] for dot in dots[:3]]
    assert heights == sorted(heights)


def test_tables_sort_by_value_by_mouse_and_by_keyboard(browser, file):
    browser.open(file)
    before = column(browser, 0)
    head = browser.all(".table")[0].find_elements("css selector", "thead th")[1]
    button = head.find_element("css selector", "button")
    button.click()
    assert head.get_attribute("aria-sort") == "ascending"
    assert column(browser, 0) == ["r2", "r1", "s3", "s4", "s5", "s6", "s7", "s8", "r3"]  # nothing is last
    browser.run("arguments[0].focus()", button)
    browser.keys("\ue007")  # Enter
    assert head.get_attribute("aria-sort") == "descending"
    assert column(browser, 0) == ["s8", "s7", "s6", "s5", "s4", "s3", "r1", "r2", "r3"]
    browser.keys(" ")
    assert head.get_attribute("aria-sort") == "none"
    assert column(browser, 0) == before
    browser.all(".table")[0].find_elements("css selector", "thead button")[2].click()
    assert column(browser, 2) == ["-1", "3", "4", "5", "6", "7", "8", "9", "10"]


def test_the_filter_hides_rows_and_says_so(browser, file):
    browser.open(file)
    box = browser.find(".filter input")
    box.send_keys("MS 5")
    assert column(browser, 0) == ["s5"]
    assert browser.find(".shown").text == "1 of 9 rows"
    box.clear()
    box.send_keys(" ")
    assert len(column(browser, 0)) == 9


def test_the_legend_switches_series_off_and_on(browser, file):
    browser.open(file)
    first, second = browser.all("figure .legend button")[:2]
    first.click()
    assert first.get_attribute("aria-pressed") == "false"
    browser.wait("return document.querySelectorAll('#chart-1 .mark-symbol path').length === 3")
    browser.run("arguments[0].focus()", second)
    browser.keys(" ")  # nothing would be left: all come back
    browser.wait("return document.querySelectorAll('#chart-1 .mark-symbol path').length === 6")
    assert first.get_attribute("aria-pressed") == "true"
    assert browser.log() == []


def test_pointing_at_a_mark_tells_its_values(browser, file):
    browser.open(file)
    browser.point_at(browser.all("#chart-1 .mark-symbol path")[1])
    browser.wait("return !document.querySelector('.tip').hidden")
    assert browser.find(".tip").text.split("\n") == ["trace", "gzip", "bits", "13", "time (ns)", "30"]


@pytest.mark.parametrize("dark", [False, True])
def test_every_text_stands_out_from_its_ground(browser, file, dark):
    browser.open(file, dark=dark)
    browser.run("document.querySelectorAll('details').forEach(d => d.open = true)")
    browser.run("document.querySelector('.legend button').click()")  # a series that is off must be legible, too
    found = browser.run(CONTRAST)
    assert len(found) >= 5
    assert {key: value for key, value in found.items() if value[0] < 4.5} == {}


def test_the_button_turns_light_and_dark_and_it_is_kept(browser, file):
    ground = "return getComputedStyle(document.documentElement).backgroundColor"
    bar = "return getComputedStyle(document.querySelector('#chart-1 .mark-symbol path')).fill"
    for dark in (False, True):
        browser.open(file, dark=dark)
        button = browser.find("#theme")
        assert button.text == ("Light" if dark else "Dark")
        before = browser.run(ground), browser.run(bar)
        button.click()
        after = browser.run(ground), browser.run(bar)
        assert before[0] != after[0]
        assert before[1] != after[1]
        browser.driver.refresh()
        assert browser.run(ground) == after[0]
    browser.media("print", dark=True)
    assert browser.run(ground) == "rgb(255, 255, 255)"
    assert not browser.find("#theme").is_displayed()


def test_a_phone_scrolls_tables_and_not_the_page(browser, file):
    browser.open(file, size=PHONE)
    assert browser.run("return document.documentElement.scrollWidth") == PHONE[0]
    assert browser.run("return document.querySelectorAll('.scroll')[2].scrollWidth") > PHONE[0]

    def clipped() -> list:
        """Charts that are wider than their place."""
        return browser.run(
            "return [...document.querySelectorAll('.plot')].filter("
            "p => Number(p.querySelector('svg').getAttribute('width')) > p.clientWidth + 1).map(p => p.id)"
        )

    assert clipped() == []
    browser.resize(DESKTOP)  # the phone is turned: small charts stand beside each other
    browser.wait("return Number(document.querySelector('#chart-2 svg').getAttribute('width')) > 800")
    assert clipped() == []


def test_a_table_that_goes_on_shows_it_and_rows_keep_their_lines(browser, file):
    browser.open(file, size=PHONE)
    ground = browser.run("return getComputedStyle(document.querySelectorAll('.scroll')[2]).backgroundImage")
    assert ground.count("linear-gradient") == 2  # a shadow at the edge, and what covers it at the end
    first = "return getComputedStyle(document.querySelectorAll('.table')[0].querySelectorAll('tbody th')[1])"
    assert browser.run(f"{first}.borderTopWidth") == "1px"
    collapse = "return getComputedStyle(document.querySelector('table')).borderCollapse"
    assert browser.run(collapse) == "separate"  # collapsed lines do not stay with a cell that stays


def test_a_group_of_columns_has_a_head_of_its_own_and_the_columns_sort(browser, tmp_path):
    table = Table(["a", "b", "c"], [["x", 2, 1], ["y", 1, 2]], groups=[("", 1), ("both", 2)], wrap=True)
    path = tmp_path / "groups.html"
    path.write_text(page("T", [table], {}), encoding="utf-8")
    browser.open(path)
    group = browser.find("th[scope=colgroup]")
    assert (group.text, group.get_attribute("colspan")) == ("both", "2")
    browser.all("thead button")[1].click()
    assert column(browser, 0) == ["y", "x"]
    browser.all("thead button")[2].click()
    assert column(browser, 0) == ["x", "y"]


def test_the_data_downloads_as_it_was(browser, file, tmp_path):
    browser.open(file)
    behaviour = {"behavior": "allow", "downloadPath": str(tmp_path)}
    browser.driver.execute_cdp_cmd("Browser.setDownloadBehavior", behaviour)
    browser.find("figure a.save").click()
    for _ in range(200):
        if (tmp_path / "lines.csv").exists() and (tmp_path / "lines.csv").stat().st_size:
            break
        browser.run("return new Promise(done => setTimeout(done, 25))")
    rows = list(csv.DictReader(io.StringIO((tmp_path / "lines.csv").read_text())))
    assert [float(row["ns"]) for row in rows] == FRAME["ns"].tolist()
    assert rows[-1]["trace"] == HOSTILE
    links = {link.get_attribute("download"): link.get_attribute("href") for link in browser.all("a.save")}
    assert set(links) == {"lines.csv", "runs.csv", "bars.csv", "manifest.json"}
    assert base64.b64decode(links["bars.csv"].partition(",")[2]).decode() == PARTS.to_csv(index=False)


def test_it_can_be_read_without_seeing_and_without_a_mouse(browser, file):
    browser.open(file)
    assert [plot.get_attribute("aria-label") for plot in browser.all(".plot")] == [f"Lines {HOSTILE}", "Bars"]
    browser.keys("\ue004", "\ue007")  # Tab, Enter: the skip link
    assert browser.run("return document.activeElement.id") == "main"
    unnamed = """
      return [...document.querySelectorAll('button, input, [role=region], [role=group], [role=img], a')].filter(e =>
        !(e.getAttribute('aria-label') || e.textContent.trim() || e.closest('label')))
        .map(e => e.outerHTML.slice(0, 80))"""
    assert browser.run(unnamed) == []
    assert browser.run("return [...document.querySelectorAll('th')].filter(e => !e.scope).length") == 0
    assert (
        browser.run("return [...document.querySelectorAll('h1,h2,h3')].map(e => e.tagName).join(' ')")
        == "H1 H2 H2 H2 H3"
    )
    button = browser.find("thead button")
    browser.run("arguments[0].focus()", button)
    browser.keys("\ue004", "\ue008\ue004\ue000")  # there and back by Tab: it shows where one is
    outline = "return getComputedStyle(document.activeElement).outlineStyle"
    assert browser.run(outline) == "solid"
