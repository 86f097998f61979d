"""`mmuexp report`: the page made of a folder of experiments."""

import json
import shutil
from math import prod
from pathlib import Path

import pandas as pd
import pytest
from kit.cli import one_line
from kit.places import RESULTS

from mmuexp.analysis.reprice import reprice
from mmuexp.render.html.sections import Table
from mmuexp.render.words import factor
from mmuexp.report import build
from mmuexp.report.experiments import plain
from mmuexp.rerun.measured import live_times
from mmuexp.result.saved import load


@pytest.mark.parametrize(
    ("given", "shown"),
    [
        ("see [rates.md](rates.md) and `mmuexp\ncompare`", "see rates.md and mmuexp compare"),
        ("*The mail*: **yes**, 2 * 3 * 4", "The mail: yes, 2 * 3 * 4"),
        ("faults_code and 12 < 13", "faults_code and 12 < 13"),
    ],
)
def test_markdown_becomes_words(given, shown):
    assert plain(given) == shown


@pytest.fixture
def folder(tmp_path, monkeypatch) -> Path:
    """Two experiments of results/, in a folder of one's own; and no host profile of one's own."""
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    for name in ("programs", "page-crossing"):
        shutil.copytree(RESULTS / name, tmp_path / "mine" / name)
    return tmp_path / "mine"


def test_a_folder_of_your_own_becomes_a_page(cli, folder, tmp_path):
    page = tmp_path / "page.html"
    done = cli("report", folder, "-o", page)
    assert (done.code, done.out, done.err) == (0, "", f"mmuexp: wrote {page}\n")
    text = page.read_text()
    for words in (
        "Which scheme for a workload like yours",
        "page-crossing-counts.csv",
        "mmuexp rerun results/programs",
        "Five schemes, on",
    ):
        assert words in text
    assert "What the mail claims" not in text  # that rests on all of results/
    manifest = json.loads((tmp_path / "page.html.manifest.json").read_text())
    assert [one["experiment"] for one in manifest["experiments"]] == ["page-crossing", "programs"]
    assert all(len(one["sha256"]) == 64 for one in manifest["experiments"])
    assert [one["name"] for one in manifest["hosts"]] == ["epyc-vm", "pentium4-2004"]


@pytest.mark.parametrize("host", ["epyc-vm", "pentium4-2004"])
def test_each_comparison_has_a_summary_over_its_recordings(folder, host):
    """At the prices of the page's host; a sweep has none."""
    page = build.report(folder, host=[host])
    tables = {one.name: one for one in page.sections if isinstance(one, Table)}
    assert {name for name in tables if name.endswith("-together")} == {
        f"{name}-together" for name in ("programs-counts", "page-crossing-counts")
    }
    table = reprice(load(str(RESULTS / "programs" / "counts.csv")), host).frame
    times = {trace: dict(zip(g["strategy"], g["access_ns"], strict=True)) for trace, g in table.groupby("trace")}
    shown = {row[0].text: row for row in tables["programs-counts-together"].rows}
    assert shown.keys() == set(table["strategy"])
    for spec, row in shown.items():
        ratios = [each[spec] / each["softmmu"] for each in times.values()]
        assert row[-1].text == str(sum(each[spec] == min(each.values()) for each in times.values()))
        if spec != "softmmu":
            mean = prod(ratios) ** (1 / len(ratios))
            assert row[2].text == factor(mean, 1.0)
            assert all(
                factor(ratio, 1.0) in cell.text
                for ratio, cell in zip((min(ratios), max(ratios)), row[3:5], strict=True)
            )
    assert host in tables["programs-counts-together"].caption


def test_prices_are_those_of_the_host_that_is_asked_for(folder):
    found = build.report(folder, host="pentium4-2004")
    within = [one for section in found.sections for one in getattr(section, "sections", [section])]
    tables = [one for one in within if isinstance(one, Table) and one.name == "programs-counts"]
    frame = reprice(load(str(folder / "programs" / "counts.csv")), "pentium4-2004").frame
    shown = {(row[0], getattr(row[1], "text", row[1])): row[2].value for row in tables[0].rows}
    gzip = frame[frame["trace"].str.contains("gzip")]
    assert len(gzip) > 3
    for spec, ns, accesses in zip(gzip["strategy"], gzip["access_ns"], gzip["accesses"], strict=True):
        assert shown["gzip", spec] == pytest.approx(ns / accesses)


def test_its_examples_run(cli, folder, tmp_path, monkeypatch):
    monkeypatch.setattr(build, "results_folder", lambda: folder)
    monkeypatch.setattr(build, "_claims", lambda *_: [])
    monkeypatch.chdir(tmp_path)
    assert cli("report").code == 0, cli.err
    assert cli("report", "-o", "here.html", "--host", "pentium4-2004").code == 0, cli.err
    assert {"report.html", "here.html"} <= {path.name for path in tmp_path.iterdir()}
    assert cli("report", "-o", "-").out.startswith("<!doctype html>")


@pytest.mark.parametrize(
    ("argv", "code", "told"),
    [
        (["{empty}"], 1, "holds no experiment; name a folder such as results/; of one recording, `mmuexp compare"),
        (["{empty}/nothing"], 1, "holds no experiment"),
        (["-o", "{empty}/x.pdf"], 2, "suffix"),
        (["-o", "{empty}/no/x.html"], 1, "cannot be written"),
        (["{folder}", "--host", "nonsense"], 2, "nonsense"),
    ],
)
def test_what_goes_wrong_is_one_line_and_leaves_nothing(cli, folder, tmp_path, argv, code, told):
    empty = tmp_path / "empty"
    empty.mkdir()
    words = [word.format(empty=empty, folder=folder) for word in argv]
    done = cli("report", *words, *([] if "-o" in words else ["-o", empty / "x.html"]))
    assert done.code == code
    assert told in one_line(done.err)
    assert not list(empty.iterdir())


def test_a_damaged_experiment_is_named(cli, folder, tmp_path):
    (folder / "programs" / "counts.csv").write_text("trace,strategy\n")
    done = cli("report", folder, "-o", tmp_path / "x.html")
    assert done.code == 1
    assert "counts.csv" in one_line(done.err)
    assert not (tmp_path / "x.html").exists()


def test_measured_figures_come_from_live_results(cli, folder):
    frame = pd.read_csv(folder / "page-crossing" / "counts.csv")
    live = ["live_ns_per_access", "live_least_ns_per_access", "live_most_ns_per_access", "live_model_ns_per_access"]
    frame = frame.assign(**dict(zip(live, (2.0, 1.0, 3.0, 2.5), strict=True)))
    frame.to_csv(folder / "page-crossing" / "counts.csv", index=False)
    found = live_times([load(str(folder / "page-crossing" / "counts.csv"))])
    assert len(found) == len(frame)
    assert next(iter(found.values())).error == pytest.approx(0.25)


def test_an_experiment_that_was_never_made_is_told(cli, folder, tmp_path):
    (folder / "programs" / "counts.csv").unlink()
    done = cli("report", folder, "-o", tmp_path / "x.html")
    assert (done.code, done.err.splitlines()[0].partition(",")[0]) == (0, "mmuexp: programs is left out")
    assert "Left out, never made: programs." in (tmp_path / "x.html").read_text()
