"""Pages as text: what may run, what is escaped, what is in them; and the charts of results, by hand."""

import base64
import hashlib
import json
import re
from html.parser import HTMLParser

import pandas as pd
import pytest
from kit.cli import one_line
from kit.places import TRACES
from kit.traces import write_trace

from mmuexp.errors import MmuexpError
from mmuexp.render.chart import bundle
from mmuexp.render.chart.draw import chart_of
from mmuexp.render.chart.runs import TIME, plan_of
from mmuexp.render.html.page import page
from mmuexp.render.html.result import html
from mmuexp.render.html.sections import Cell, Chart, Details, Heading, Table, Text
from mmuexp.result.saved import load
from mmuexp.result.table import Result, make_frame

OWNPAGE = TRACES / "ownpage.arrow"
HOSTILE = '</script><script>alert("1")</script>&'


class Reader(HTMLParser):
    """Elements with their attributes, and the texts of scripts and styles."""

    def __init__(self, text: str):
        super().__init__()
        self.elements: list[tuple[str, dict]] = []
        self.inside: dict[str, list[str]] = {"script": [], "style": []}
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        self.elements.append((tag, dict(attributes)))

    def handle_data(self, data):
        tag = self.elements[-1][0] if self.elements else ""
        if tag in self.inside and self.cdata_elem == tag:
            self.inside[tag].append(data)


def digest(text: str) -> str:
    return "'sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode() + "'"


def whole() -> str:
    frame = pd.DataFrame({"x": [1, 2], "y": [3.0, 4.0], "who": [HOSTILE, "b"]})
    chart = Chart(chart_of(frame, {"mark": "point", "x": "x", "y": "y", "color": "who"}), frame, HOSTILE, HOSTILE, "c")
    table = Table([HOSTILE], [[HOSTILE], [Cell(HOSTILE, 1.5)]], [HOSTILE], HOSTILE, name=HOSTILE, csv=frame)
    return page(HOSTILE, [Heading(HOSTILE), Text(HOSTILE), chart, table], {"a": HOSTILE}, HOSTILE)


def test_only_its_own_scripts_and_styles_may_run():
    reader = Reader(whole())
    policy = next(a["content"] for tag, a in reader.elements if a.get("http-equiv") == "Content-Security-Policy")
    assert policy.startswith("default-src 'none'; ")
    assert "unsafe" not in policy
    kinds = [attributes for tag, attributes in reader.elements if tag == "script"]
    assert [kind.get("type") for kind in kinds] == [None, "application/json", None, None]
    code = [text for text, kind in zip(reader.inside["script"], kinds, strict=True) if not kind.get("type")]
    allowed = dict(part.split(" ", 1) for part in policy.split("; "))
    assert allowed["script-src"].split() == [digest(text) for text in code]
    assert allowed["style-src"] == digest(reader.inside["style"][0])


def test_nothing_in_it_leads_elsewhere_and_nothing_given_is_markup():
    text = whole()
    reader = Reader(text)
    for tag, attributes in reader.elements:
        for name, value in attributes.items():
            assert not name.startswith("on"), (tag, name)
            if name in ("href", "src", "action", "srcset"):
                assert value.startswith(("#", "data:")), (tag, name, value[:80])
    assert [tag for tag, _ in reader.elements].count("script") == 4


def test_whatever_text_is_hostile_no_element_and_no_attribute_comes_of_it():
    """Every text of every kind of section, as a name, within a spec and within an attribute."""
    frame = pd.DataFrame({"x": [1, 2], "y": [3.0, 4.0], "who": ["a", "b"]})

    def tags(text: str) -> list[tuple[str, list[str]]]:
        cell = Cell(text, 1.5, mark=text, href=f"#{text}")
        wide = {"units": [text, text], "caption": text, "groups": [(text, 2)], "csv": frame, "name": text}
        drawn = chart_of(frame.replace("a", text), {"mark": "line", "x": "x", "y": "y", "color": "who", "title": text})
        sections = [
            *(Heading(text, level, text) for level in (2, 2, 2, 3)),
            *(Text([text, text], kind) for kind in ("", "code", text)),
            *(Table([text, text], [[text, cell]] * 9, best={0}, wrap=wrap, **wide) for wrap in (False, True)),
            Table([text], [[text]], sortable=False),
            Chart(drawn, frame, text, text, text),
            Details(text, [Text(text)]),
        ]
        made = page(text, sections, {text: text, "mmuexp": text, "finished": text}, text)
        return [(tag, sorted(attributes)) for tag, attributes in Reader(made).elements]

    harmless = tags("a=1,b c".ljust(60, "x"))
    assert [tag for tag, _ in harmless].count("h2") == 3
    for hostile in (HOSTILE, '" onload="alert(1)', "'onload='alert(1)", "]]><!--", "{{ 7*7 }}{% raw %}"):
        assert tags(f"a={hostile.replace(' ', '/')},b c".ljust(60, "x")) == harmless


def test_a_legend_has_a_shape_for_each_of_its_series():
    frame = pd.DataFrame([{"x": x, "y": 1.0, "who": f"s{n}"} for n in range(8) for x in (1, 2)])
    for mark, drawn in (("line", 2), ("point", 1)):
        chart = chart_of(frame, {"mark": mark, "x": "x", "y": "y", "color": "who"})
        paths = [a for tag, a in Reader(page("T", [Chart(chart, frame, "alt")], {})).elements if tag == "path"]
        assert len(paths) == 8 * drawn
        assert len({a["d"] for a in paths if "stroke" not in a}) == 8


def test_the_manifest_is_there_as_it_is():
    manifest = {"mmuexp": "0.1", "finished": "2026", "prices": {"signal": 1175, "note": "<&>"}}
    reader = Reader(page("T", [], manifest))
    link = next(a["href"] for tag, a in reader.elements if a.get("download") == "manifest.json")
    assert json.loads(base64.b64decode(link.partition(",")[2])) == manifest


def test_a_page_without_charts_has_no_vega():
    assert len(page("T", [Text("x")], {})) < 20_000


def test_cells_say_and_sort():
    table = Table(["a", "b", "c", "d"], [["x", 1234567, 0.0451, None], ["y", -1, float("nan"), Cell("-")]], name="t")
    text = page("T", [table], {})
    assert ">1,234,567<" in text and 'data-value="1234567"' in text
    assert ">0.0451<" in text and 'data-value="0.0451"' in text
    assert "nan" not in text.partition("<tbody>")[2].partition("</tbody>")[0]
    assert re.findall(r'<th scope="col"( class="number")?', text) == ["", ' class="number"', ' class="number"', ""]


def test_what_is_no_section_is_a_mistake():
    with pytest.raises(TypeError, match="str is not a section"):
        page("T", ["text"], {})


def row(**values):
    base = {
        "trace": "t",
        "strategy": "softmmu",
        "rows": 9,
        "accesses": 4,
        "page_cross": 0,
        "misaligned": 0,
        "faults": 0,
    }
    base |= {"insns": 40, "kernel_ns": 0.0, "ns": 20.0, "cross_insns": 0, "cross_ns": 0.0, "insns_per_access": 10.0}
    return base | {"hit_ns": 12.0, "handler_ns": 6.0, "retranslate_ns": 2.0} | values


def result(*rows, kind="compare", parameters=()):
    prices = {"host": {"name": "h", "about": "", "prices": {"insn": {"ns": 0.5, "source": "measured: x"}}}}
    return Result(kind, make_frame(rows, parameters), {"prices": prices}, tuple(parameters))


def test_the_parts_of_a_bar_by_hand():
    """4 accesses; 12 ns in the hit path are 3 for each access, and so on."""
    plan = plan_of(result(row(), row(strategy="map-block", kernel_ns=8.0, ns=28.0)))
    first, second = plan.frame.to_dict("records")
    assert first == {
        "recording": "t",
        "trace": "t",
        "scheme": "softmmu",
        "hit path": 3.0,
        "helpers and handlers": 1.5,
        "translated again": 0.5,
        "host kernel": 0.0,
    }
    assert second["host kernel"] == 2.0
    assert plan.spec["y"] == ["hit path", "helpers and handlers", "translated again", "host kernel"]
    assert plan.spec["y_title"] == TIME
    assert "softmmu 5.00 ns; map-block 7.00 ns" in plan.alt


def test_a_result_of_long_ago_has_two_parts():
    old = {"hit_ns": None, "handler_ns": None, "retranslate_ns": None}
    plan = plan_of(result(row(**old), row(strategy="map-block", **old)))
    assert plan.spec["y"] == ["emulator instructions", "host kernel"]
    assert plan.frame["emulator instructions"].tolist() == [5.0, 5.0]


def test_a_sweep_over_powers_is_logarithmic_and_a_narrow_one_is_not():
    def swept(name, values, times):
        rows = [row(strategy=f"map-block,{name}={v}", ns=ns, **{name: v}) for v, ns in zip(values, times, strict=True)]
        return plan_of(result(*rows, kind="sweep", parameters=(name,)))

    wide = swept("pool_blocks", [8, 64, 512], [4000.0, 40.0, 20.0])
    assert (wide.spec["x"], wide.spec["log_x"], wide.spec["log_y"]) == ("pool_blocks", True, True)
    assert wide.frame["ns_per_access"].tolist() == [1000.0, 10.0, 5.0]
    narrow = swept("map_block_bits", [12, 13], [40.0, 20.0])
    assert (narrow.spec["log_x"], narrow.spec["log_y"]) == (False, False)


def test_several_traces_share_one_picture_and_no_access_makes_none():
    plan = plan_of(result(row(trace="a/t.arrow"), row(trace="u.arrow")))
    assert plan.spec["facet"] == "recording"
    assert plan.frame["recording"].tolist() == ["t", "u"]
    same = plan_of(result(row(trace="a/t.arrow"), row(trace="b/t.arrow")))
    assert same.frame["recording"].tolist() == ["a/t.arrow", "b/t.arrow"]
    with pytest.raises(MmuexpError, match="nothing to draw"):
        plan_of(result(row(accesses=0)))


def test_every_kind_of_result_makes_a_page(cli, trace, tmp_path):
    commands = {
        "compare": ["compare", trace],
        "windows": ["compare", trace, "-s", "softmmu", "-s", "map-block", "--every", "5"],
        "sweep": ["sweep", "map_block_bits=12,13", "--trace", trace],
        "words": ["sweep", "evict", "-s", "map-block", "--trace", trace, "--reference", "softmmu"],
        "two": ["sweep", "map_block_bits=12,13", "evict", "--trace", trace],
    }
    for name, command in commands.items():
        saved = tmp_path / f"{name}.json"
        assert cli(*command, "-o", saved).code == 0, cli.err
        text = html(load(str(saved)))
        assert "data-for=" in text, name
        assert "vegaEmbed" in text
        links = [a["download"] for _, a in Reader(text).elements if "download" in a]
        assert links[-2:] == [f"{command[0]}.csv", "manifest.json"]


def test_the_bundled_recording_is_named_and_others_are_as_given():
    text = html(result(row(trace="default"), row(trace="default", strategy="map-block")))
    assert "<title>mmuexp compare: luajit (bundled)</title>" in text
    assert '<h2 id="luajit-bundled">luajit (bundled)</h2>' in text
    assert "<title>mmuexp compare: a/t.arrow</title>" in html(result(row(trace="a/t.arrow")))


def test_who_asks_for_a_plot_is_told_what_draws_one(cli, trace):
    refused = cli("sweep", "pool_blocks=8,64", "--trace", trace, "--plot")
    assert (refused.code, refused.out) == (2, "")
    assert "-o FILE.svg, .png or .html draws the sweep" in one_line(refused.err)
    assert "--plot" not in cli("sweep", "--help").out


def test_a_spec_breaks_after_commas_and_a_number_keeps_its_unit():
    text = page("T", [Table(["a", "b"], [["qemu-fast,guest_limit=1", 112784]]), Text("costs 1.67 us and 5 % more")], {})
    assert "<span>qemu-fast</span>,<wbr><span>guest_limit=1</span>" in text
    assert ">112,784<" in text
    assert "1.67\u00a0us and 5\u00a0% more" in text


def test_small_charts_fill_their_rows():
    """Four beside each other at most three: two and two, not three and one."""
    frame = pd.DataFrame({"x": [1, 2] * 4, "y": [3.0, 4.0] * 4, "f": list("aabbccdd")})
    chart = chart_of(frame, {"mark": "line", "x": "x", "y": "y", "facet": "f"})
    reader = Reader(page("T", [Chart(chart, frame, "alt")], {}))
    specs = json.loads(next(text for text in reader.inside["script"] if text.startswith("[{")))
    assert [spec["layout"]["columns"] for spec in specs] == [1, 2, 2]


def test_verify_writes_a_page_that_says_equal_or_different(cli, trace, tmp_path):
    done = cli("verify", trace, "-s", "map-block", "-o", tmp_path / "v.html")
    assert (done.code, done.err) == (0, f"mmuexp: wrote {tmp_path / 'v.html'}\n")
    text = (tmp_path / "v.html").read_text()
    assert "Model and engine agree on every count and every fault of 1 run" in text
    assert '<span class="unit">equal</span>' in text
    assert ">faults_unmapped<" in text
    done = cli("verify", OWNPAGE, "-s", "map-block", "-o", tmp_path / "w.html", "--plant", "no-protect")
    assert done.code == 3
    text = (tmp_path / "w.html").read_text()
    assert '<span class="unit">DIFFERENT</span>' in text
    assert "the first row where they part" in text


def test_a_chart_of_nothing_fails_in_one_line_and_leaves_nothing(cli, tmp_path):
    empty = write_trace(tmp_path / "empty.arrow", rows=1)  # a block of code, and no access
    done = cli("compare", empty, "-o", tmp_path / "x.svg")
    assert done.code == 1
    assert "nothing to draw" in one_line(done.err)
    assert [path.name for path in tmp_path.iterdir()] == ["empty.arrow"]
    assert cli("compare", empty, "-o", tmp_path / "x.html").code == 0  # a page has its tables still


@pytest.mark.long
def test_vega_is_kept_and_a_damaged_copy_is_made_anew(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    bundle.vega.cache_clear()
    script = bundle.vega()
    kept = next((tmp_path / "mmuexp" / "vega").iterdir())
    assert kept.read_text() == script
    assert "BSD-3-Clause" in script[:300]  # its licence asks for that
    assert "</script" not in script
    kept.write_text(script[: len(script) // 2])
    bundle.vega.cache_clear()
    assert bundle.vega() == script
    assert kept.read_text() == script
    bundle.vega.cache_clear()
    monkeypatch.setattr("mmuexp.render.chart.bundle.convert", lambda *_, **__: pytest.fail("it was kept"))
    assert bundle.vega() == script
