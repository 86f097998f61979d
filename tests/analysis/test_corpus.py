"""A corpus: folders, lists and patterns; one bad file costs its own row; a summary over all recordings."""

import os
from math import prod
from pathlib import Path

import pytest
from kit.cli import one_line
from kit.traces import ROWS, load, write_trace

import mmuexp
from mmuexp.analysis import given
from mmuexp.analysis.given import given_recordings, given_traces
from mmuexp.errors import MmuexpError, TraceError
from mmuexp.render.across import across, summary_across
from mmuexp.render.difffile import given_result

SPECS = ["softmmu", "map-block", "byte-lookup"]


@pytest.fixture
def corpus(tmp_path, monkeypatch) -> Path:
    """Four recordings in two folders; no two have the same counts."""
    monkeypatch.chdir(tmp_path)
    folder = tmp_path / "corpus"
    (folder / "deep" / "er").mkdir(parents=True)
    for number, name in enumerate(("b.arrow", "a.arrow", "deep/c.arrow", "deep/er/d.arrow"), start=1):
        write_trace(folder / name, (*ROWS, *(load(0x5000 * page) for page in range(1, 9 * number))), repeat=number)
    (folder / "notes.md").write_text("none of them")
    (folder / "half.arrow.part").write_text("nor this")
    return folder


ALL = ["corpus/a.arrow", "corpus/b.arrow", "corpus/deep/c.arrow", "corpus/deep/er/d.arrow"]


def test_a_folder_a_list_and_a_pattern(corpus):
    assert given_traces("corpus") == given_traces("corpus/**/*.arrow") == ALL
    assert given_traces("corpus/*.arrow") == ALL[:2]
    assert given_traces("corpus/?.arrow") == given_traces("corpus/[ab].arrow") == ALL[:2]
    (corpus / "some.txt").write_text("# mine\n\n  b.arrow  \r\ndeep\na.arrow\n*.arrow\n/not/there.arrow\n")
    named = ["corpus/b.arrow", "corpus/deep/c.arrow", "corpus/deep/er/d.arrow", "corpus/a.arrow", "/not/there.arrow"]
    assert given_traces("corpus/some.txt") == named
    assert given_traces(Path("corpus/some.txt")) == named
    mixed = given_recordings(["corpus/deep/c.arrow", "corpus", None])
    assert mixed == {ALL[2]: False, ALL[0]: True, ALL[1]: True, ALL[3]: True, None: False}


def test_a_name_with_magic_in_it_is_a_name_first(corpus):
    os.rename("corpus/a.arrow", "corpus/[b].arrow")
    assert given_traces("corpus/[b].arrow") == ["corpus/[b].arrow"]
    os.mkdir("corpus/x.txt")
    write_trace(corpus / "x.txt" / "y.arrow")
    assert given_traces("corpus/x.txt") == ["corpus/x.txt/y.arrow"]


def test_what_stands_for_nothing(corpus, monkeypatch):
    (corpus / "empty").mkdir()
    (corpus / "words.txt").write_text("nothing that a tool recorded\n")
    (corpus / "gone.txt").write_text("gone.arrow\nempty\n")
    (corpus / "zero.txt").write_text("\0\n")
    for name, told in {
        "corpus/empty": "without a recording",
        "corpus/*.tar": "fits no file",
        "corpus/words.txt": "is text, not a trace, and none of its lines names a file",
        "corpus/gone.txt": "none of its lines",
        "corpus/zero.txt": "none of its lines",
    }.items():
        with pytest.raises(TraceError, match=told):
            given_traces(name)
    monkeypatch.setattr(given, "MOST_LIST_BYTES", 5)
    with pytest.raises(TraceError, match="is a list of more than"):
        given_traces("corpus/gone.txt")


def test_a_list_does_not_lead_to_itself(corpus):
    (corpus / "self.txt").write_text("self.txt\na.arrow\n")
    assert given_traces("corpus/self.txt") == ["corpus/self.txt", "corpus/a.arrow"]


@pytest.fixture
def bad(corpus) -> Path:
    """And three that cannot be replayed: one is cut, one is not a recording, one has a bad row behind a good one."""
    (corpus / "cut.arrow").write_bytes((corpus / "a.arrow").read_bytes()[:-40])
    (corpus / "text.arrow").write_text("no recording")
    write_trace(corpus / "late.arrow", (load(0x1000), load(0x1000, size=65)))
    return corpus


def test_a_bad_file_costs_its_own_row(bad, cli):
    good = mmuexp.compare(ALL, SPECS)
    found = mmuexp.compare("corpus", SPECS)
    assert found.equals(good)
    failed = found.attrs["manifest"]["failed"]
    assert {one["trace"]: one["why"] for one in failed}.keys() == {f"corpus/{n}.arrow" for n in ("cut", "text", "late")}
    assert any("row 1:" in one["why"] for one in failed)
    words = [word for spec in SPECS for word in ("-s", spec)]
    done = cli("compare", "corpus", *words, "--format", "csv", "-o", "out.csv", "-o", "out.json")
    assert done.code == 1 and done.out == cli("compare", *ALL, *words, "--format", "csv").out and cli.code == 0
    done = cli("compare", "corpus", *words)
    lines = done.err.splitlines()
    assert len(lines) == 4 and lines[-1] == "mmuexp: 3 of 7 recordings could not be replayed; see above"
    assert "Not replayed: corpus/text.arrow: line 1 is 'no recording'" in done.words
    assert cli("export", "out.json", "--format", "table").code == 0, cli.err
    assert "Not replayed: corpus/cut.arrow" in cli.words
    assert cli("compare", "corpus", *words, "--fail-if", "softmmu:rows > 0").code == 3


def test_named_by_itself_it_ends_the_run_before_the_work(bad, cli, monkeypatch):
    monkeypatch.setattr("mmuexp.analysis.experiment.run_passes", lambda *_, **__: pytest.fail("work began"))
    assert cli("compare", "corpus/a.arrow", "corpus/text.arrow").code == 1
    assert "corpus/text.arrow" in one_line(cli.err)


def test_where_none_can_be_replayed(bad, cli):
    for name in ("a", "b"):
        (bad / f"{name}.arrow").write_text("")
    done = cli("compare", "corpus/*.arrow", "-s", "softmmu")
    assert done.code == 1 and "is the last of 5 recordings, none of which can be replayed" in one_line(done.err)
    assert cli("compare", "corpus/a*", "-s", "softmmu").code == 1 and "is empty" in one_line(cli.err)


def test_sweeps_misses_and_a_warmup_that_is_longer_than_one(bad, cli):
    assert set(mmuexp.sweep("map_block_bits=12..13", "corpus")["trace"]) == set(ALL)
    assert set(mmuexp.tlb_misses("corpus/deep")["trace"]) == set(ALL[2:])
    found = mmuexp.compare("corpus", SPECS, warmup=30)
    assert set(found["trace"]) == {"corpus/a.arrow", "corpus/deep/c.arrow", "corpus/deep/er/d.arrow"}
    assert "all of them warm-up" in str(found.attrs["manifest"]["failed"])


def test_the_summary_is_what_the_table_says(corpus):
    table = mmuexp.compare("corpus", SPECS)
    result = given_result(table, "test")
    times = {t: dict(zip(g["strategy"], g["access_ns"], strict=True)) for t, g in table.groupby("trace")}
    wins = [min(each, key=each.get) for each in times.values()]
    for one in across(result):
        ratios = {trace: each[one.strategy] / each["softmmu"] for trace, each in times.items()}
        assert one.ratios == ratios
        assert one.mean == pytest.approx(prod(ratios.values()) ** (1 / 4), rel=1e-12)
        assert one.wins == wins.count(one.strategy)
        assert one.at(max) == max(ratios.items(), key=lambda pair: pair[1])
    shown = summary_across(result)
    means = {one.strategy: one.mean for one in across(result)}
    assert shown.cells[shown.best][0] == min(means, key=means.get)
    assert shown.cells[0] == ["softmmu", "4", "reference", "-", "-", str(wins.count("softmmu"))]


def test_what_costs_nothing_has_no_ratio(corpus):
    """A recording without accesses: nobody wins it, and no mean takes it in."""
    write_trace(corpus / "none.arrow", ((2, 0x1000, 4, 1),))
    found = {one.strategy: one for one in across(given_result(mmuexp.compare("corpus", SPECS), "test"))}
    assert all(len(one.ratios) == 4 for one in found.values())
    assert sum(one.wins for one in found.values()) == 4


def test_every_medium_shows_it(corpus, cli):
    words = ["compare", "corpus", "-s", "softmmu", "-s", "map-block"]
    assert cli(*words, "-o", "r.md", "-o", "r.html", "-o", "r.csv").code == 0
    table = cli(*words).out
    assert table.index("All 4 recordings together") > table.index("corpus/deep/er/d.arrow: ")
    assert "## All 4 recordings together" in Path("r.md").read_text()
    page = Path("r.html").read_text()
    assert "All 4 recordings together" in page and "geometric mean against softmmu" in page
    assert "All 4 recordings together" in cli("export", "r.csv", "--format", "table").out
    assert "together" not in cli("compare", "corpus/a.arrow").out
    assert "together" not in cli(*words, "--every", "50").out


def test_without_a_scheme_that_serves_all(tmp_path):
    frame = mmuexp.compare(write_trace(tmp_path / "a.arrow"), ["softmmu"])
    other = mmuexp.compare(write_trace(tmp_path / "b.arrow"), ["map-block"], reference="map-block")
    import pandas as pd

    both = pd.concat([frame, other])
    both.attrs["manifest"] = frame.attrs["manifest"] | {
        "verdicts": frame.attrs["manifest"]["verdicts"] + other.attrs["manifest"]["verdicts"]
    }
    shown = summary_across(given_result(both, "test"))
    assert shown.best is None and shown.sentence == "No scheme serves all recordings."
    assert [row[1] for row in shown.cells] == ["1 of 2", "1 of 2"]


def test_an_unreadable_folder_is_one_line(corpus, monkeypatch):
    def walk(name, onerror):
        onerror(PermissionError(13, "Permission denied", name))
        return []

    monkeypatch.setattr(given.os, "walk", walk)
    with pytest.raises(MmuexpError, match="cannot be read: permission denied"):
        given_traces("corpus")
