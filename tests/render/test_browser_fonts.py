"""Pictures and wide tables on a machine whose only letters are DejaVu's, wider than those a chart is laid out with."""

import pandas as pd
import pytest
from kit.browser import DESKTOP, one_browser  # noqa: F401
from kit.cli import cli, trace  # noqa: F401

from mmuexp.render.chart.draw import chart_of, svg
from mmuexp.render.chart.theme import FONT

SCHEMES = ["softmmu", "byte-lookup", "qemu-fast,guest_limit=0x100000000", "qemu-fast,kernel_offset=0x30000000"]
SCHEMES += ["softmmu-qemu10", "map-block,map_block_bits=20", "little title, fit it"]
FRAME = pd.DataFrame(
    [
        {"bits": bits, "scheme": scheme, "ns": bits * (at + 1) * 1e4, "kernel": 5e5 / bits, "trace": name}
        for at, scheme in enumerate(SCHEMES)
        for bits in range(12, 23)
        for name in ("traces/linux_firmware.arrow", "traces/lu.arrow")
    ]
)
BARS = {"x": "scheme", "title": "Title of a little chart that fits", "x_title": "", "y_title": "time (ns)"}
CHARTS = {
    "bars": {"mark": "stacked", "y": ["ns", "kernel"], **BARS},
    "small": {"mark": "stacked", "y": ["ns", "kernel"], "facet": "trace", **BARS},
    "stalks": {"mark": "bar", "y": "ns", "log_y": True, **BARS},
    "lines": {"mark": "line", "x": "bits", "y": "ns", "color": "scheme", "log_y": True, "title": "Lines"},
    "points": {"mark": "point", "x": "ns", "y": "kernel", "color": "scheme", "log_x": True},
}
# texts that leave the picture, and pairs that lie on each other; turned texts have boxes that say nothing of the second
TEXTS = """
const whole = document.documentElement.getBoundingClientRect();
const shown = t => t.textContent.trim() && t.getAttribute('opacity') !== '0';
const boxes = [...document.querySelectorAll('text')].filter(shown)
  .map(t => [t.textContent, t.getBoundingClientRect()]);
const wrong = boxes.length > 5 ? [] : ['only ' + boxes.length + ' texts'];
boxes.forEach(([text, box], at) => {
  if (box.left < 0 || box.top < 0 || box.right > whole.right || box.bottom > whole.bottom) wrong.push(text);
  boxes.slice(at + 1).forEach(([other, its]) => {
    const across = Math.min(box.right, its.right) - Math.max(box.left, its.left);
    const down = Math.min(box.bottom, its.bottom) - Math.max(box.top, its.top);
    if (across > 0 && down > 3) wrong.push([text, other]);
  });
});
return wrong;"""


@pytest.mark.parametrize("kind", CHARTS)
def test_no_text_of_a_picture_is_cut_or_lies_on_another(browser, tmp_path, kind):
    frame = FRAME if "facet" in CHARTS[kind] else FRAME[FRAME["trace"] == "traces/lu.arrow"]
    if CHARTS[kind]["mark"] not in ("line", "point"):
        frame = frame[frame["bits"] == 16]
    path = tmp_path / f"{kind}.svg"
    drawn = svg(chart_of(frame, CHARTS[kind])).decode()
    assert FONT in drawn
    path.write_text(drawn.replace(FONT, "DejaVu Sans"))
    browser.resize(DESKTOP)
    browser.driver.get(path.as_uri())
    family = "return getComputedStyle(document.querySelector('text')).fontFamily"
    assert browser.run(family).strip('"') == "DejaVu Sans"
    assert browser.run(TEXTS) == []
    plot = "return Math.max(...[...document.querySelectorAll('path.background')].map(p => p.getBBox().height))"
    assert browser.run(plot) > 120  # a long legend leaves the marks their room


def test_wide_tables_scroll_in_their_frames_on_a_desktop(browser, cli, trace, tmp_path):  # noqa: F811
    page = tmp_path / "wide.html"
    many = [word for bits in range(12, 22) for word in ("-s", f"map-block,map_block_bits={bits},evict=lifo")]
    for command in (["compare", trace, *many], ["compare", trace], ["sweep", "map_block_bits", "--trace", trace]):
        assert cli(*command, "-o", page).code == 0, cli.err
        browser.open(page)
        browser.run("document.querySelectorAll('details').forEach(d => d.open = true)")
        assert browser.run("return document.documentElement.scrollWidth") == DESKTOP[0]
        frames = browser.run(
            "return [...document.querySelectorAll('.scroll')].map("
            "s => [s.getBoundingClientRect().right, s.clientWidth, s.scrollWidth, getComputedStyle(s).overflowX])"
        )
        assert max(right for right, *_ in frames) <= DESKTOP[0]
        assert {flow for *_, flow in frames} == {"auto"}
        assert any(held > shown for _, shown, held, _ in frames)  # every count is wider than the frame
