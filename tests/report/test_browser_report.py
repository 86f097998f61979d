"""The report of results/ as a reader has it: in Chromium, on a desk and on a phone."""

import pytest
from kit.browser import CONTRAST, DESKTOP, PHONE, one_browser  # noqa: F401

from mmuexp.cli.main import run


@pytest.fixture(scope="module")
def report(tmp_path_factory):
    """The report of results/, as it is."""
    path = tmp_path_factory.mktemp("report") / "report.html"
    assert run(["report", "-o", str(path)]) == 0
    return path


@pytest.mark.long
@pytest.mark.parametrize(("size", "dark"), [(DESKTOP, False), (DESKTOP, True), (PHONE, False)])
def test_the_whole_report_renders(browser, report, size, dark):
    browser.open(report, size=size, dark=dark)
    assert (browser.log(), browser.requests()) == ([], [report.as_uri()])
    assert browser.run("return document.documentElement.scrollWidth") == size[0]
    browser.run("document.querySelectorAll('details').forEach(d => d.open = true)")
    assert browser.run("return document.documentElement.scrollWidth") == size[0]
    undrawn = "return [...document.querySelectorAll('.plot')].filter(p => !p.querySelector('svg path')).map(p => p.id)"
    assert browser.run(undrawn) == []
    assert len(browser.all(".plot")) >= 5
    assert {key: value for key, value in browser.run(CONTRAST).items() if value[0] < 4.5} == {}
    twice = "const ids = [...document.querySelectorAll('[id]')].map(e => e.id); return ids.length - new Set(ids).size"
    assert browser.run(twice) == 0
    broken = """return [...document.querySelectorAll('a[href^="#"]')].map(a => a.getAttribute('href').slice(1))
        .filter(id => !document.getElementById(id))"""
    assert browser.run(broken) == []


@pytest.mark.long
def test_the_answers_are_seen_whole(browser, report):
    """On a desk the last column of the main table; on a phone a claim's verdict with its condition."""
    wide = "const s = document.querySelector(arguments[0]); return s.scrollWidth - s.clientWidth"
    browser.open(report)
    assert browser.run(wide, ".scroll:has(.groups)") == 0
    browser.open(report, size=PHONE)
    cells = "return [...document.querySelectorAll('#claims ~ .table')][0].querySelectorAll('tbody tr')[4].cells[2]"
    cell = browser.run(cells)
    assert cell.text.startswith("holds when one guest instruction takes")
    assert cell.rect["x"] + cell.rect["width"] <= PHONE[0]


@pytest.mark.long
def test_every_table_of_the_report_sorts(browser, report):
    """The smallest number is first after one click, the largest after two, in each column of numbers."""
    browser.open(report)
    wrong = browser.run("""
      const wrong = [];
      const heads = (table) => [...table.querySelectorAll('thead tr:last-child th')];
      document.querySelectorAll('.table').forEach((table, t) => heads(table).forEach((head, at) => {
        const button = head.querySelector('button');
        if (!button || !head.classList.contains('number')) return;
        const values = () => [...table.querySelectorAll('tbody tr')].map(row => row.cells[at].dataset.value)
          .filter(v => v !== undefined).map(Number);
        const up = [...values()].sort((a, b) => a - b);
        button.click();
        if (values().join() !== up.join()) wrong.push([t, at, 'up']);
        button.click();
        if (values().join() !== up.reverse().join()) wrong.push([t, at, 'down']);
        button.click();
      }));
      return wrong;""")
    assert wrong == []
