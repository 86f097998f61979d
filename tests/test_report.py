"""`mmuexp report`: who wins, how sure, by hand; and the page made of a folder of experiments."""

import json
import shutil
from pathlib import Path

import pandas as pd
import pytest
from cli_cases import one_line

from mmuexp.export import load
from mmuexp.host import PRIMITIVES, Profile, load_profile
from mmuexp.mail.evidence import Evidence, Run, runs_of
from mmuexp.overview import build
from mmuexp.overview.certainty import ASSUMED, CLOSE, DISPUTED, SURE, Measured, judge, measured, typical_error
from mmuexp.overview.experiments import plain
from mmuexp.overview.summary import RATE, TIMES, rates_sections, sentence, summary_sections
from mmuexp.overview.workloads import KINDS, Contest, by_kind, contests
from mmuexp.registry import parse_spec
from mmuexp.render.sections import Chart, Table
from mmuexp.result import rows_of

ROOT = Path(__file__).parent.parent
NOW = load_profile("xeon-2.6-vm")


def host(**ns: float) -> Profile:
    """An instruction takes 1 ns and all of the kernel nothing but what is named; nothing is assumed."""
    prices = {primitive: 0.0 for primitive in PRIMITIVES} | {"insn": 1.0} | ns
    return Profile("h", "", prices, dict.fromkeys(PRIMITIVES, "measured: here"))


def run(spec: str, **counts: int) -> Run:
    return Run("gzip", "user", parse_spec(spec), {"accesses": 100, "units8": 100, "faults": 0} | counts)


def contest(*runs: Run, at: Profile, portable: bool = False) -> Contest:
    return contests(Evidence({"programs": list(runs)}, [at]), at, portable=portable)[0]


def test_the_winner_and_until_when_by_hand():
    """100 accesses of 8 bytes: softmmu 11 instructions each, map-block 4; a fault of map-block is a signal of 200 ns,
    a walk of 150 instructions and its handler. With one fault its time is 400 + 200 + 150 + handler against 1100."""
    handler = dict(parse_spec("map-block").price_list())["faults_unmapped"].insn
    one = contest(run("softmmu"), run("map-block", faults=1, faults_unmapped=1), at=host(signal=200))
    assert one.winner == "map-block"
    ns = 400 + 200 + 150 + handler
    assert one.ns == {"map-block": ns / 100, "softmmu": 11.0}
    assert one.margin == pytest.approx(1100 / ns)
    assert one.against("softmmu") == one.margin
    assert one.fault_ns == 200
    assert one.below_ns == pytest.approx(1100 - 400 - 150 - handler)  # what a fault's kernel time may be
    assert one.above_ns is None


def test_a_scheme_enters_in_its_best_layout_and_not_where_it_is_not_portable():
    slow = run("qemu-fast", faults=5, faults_unmapped=5)
    fast = run("qemu-fast,guest_limit=0x100000000")
    given = [run("softmmu"), slow, fast]
    assert list(contest(*given, at=host(signal=900)).ns) == ["qemu-fast,guest_limit=0x100000000", "softmmu"]
    assert contests(Evidence({"programs": given}, [NOW]), NOW, portable=True) == []  # one alone is no contest


def case(margin: float = 2.0, assumed=()) -> Contest:
    return Contest(
        KINDS[0], "gzip", "h", {"map-block": 1.0, "softmmu": margin}, assumed=dict.fromkeys(assumed, "softmmu")
    )


def tried(spec: str, least: float, most: float, error: float = 0.1, recording: str = "gzip") -> Measured:
    ns = (least + most) / 2
    return Measured(recording, spec, ns, least, most, ns * (1 + error))


@pytest.mark.parametrize(
    ("one", "live", "level", "why"),
    [
        (case(), [], SURE, "softmmu takes 2 times as long; no assumed price turns it alone"),
        (case(), [tried("x", 1, 2, -0.2, "y")], SURE, "more than the model's typical error of 20 %"),
        (case(1.1), [tried("x", 1, 2, 0.2, "y")], CLOSE, "the model's error is typically 20 %"),
        (case(1.1), [], SURE, "1.1 times"),
        (case(assumed=["signal"]), [], ASSUMED, "softmmu would be faster: signal"),
        (case(), [tried("map-block", 1, 2), tried("softmmu", 3, 4)], SURE, "found the same in every round"),
        (case(), [tried("map-block", 3, 4), tried("softmmu", 1, 2)], DISPUTED, "softmmu faster in every round"),
        (case(), [tried("map-block", 1, 3), tried("softmmu", 2, 4)], SURE, "no assumed price"),  # rounds overlap
    ],
)
def test_how_sure(one, live, level, why):
    found = judge(one, live)
    assert found.level == level
    assert why in found.why


def test_what_was_measured_today_says_nothing_of_2004():
    live = [tried("map-block", 3, 4), tried("softmmu", 1, 2)]
    assert judge(case(), live, today=False).level == SURE


def test_the_typical_error_is_the_median_without_signs():
    assert typical_error([tried("a", 1, 1, e) for e in (0.1, -0.3, 0.2)]) == pytest.approx(0.2)
    assert typical_error([]) is None


def committed() -> Evidence:
    tables = {}
    for name in ("programs", "ten-kernels", "linux-windows"):
        tables[name] = runs_of(load(str(ROOT / "results" / name / "counts.csv")))
    return Evidence(tables, [NOW])


def test_contests_agree_with_the_committed_tables():
    """At the host that they were priced at: the least `ns` of each recording, straight from the CSV."""
    found = {one.recording: one for one in contests(committed(), NOW)}
    seen = 0
    for name in ("programs", "linux-windows"):
        frame = pd.read_csv(ROOT / "results" / name / "counts.csv")
        for trace, rows in frame.groupby("trace"):
            one = found[Path(trace).stem]
            least = rows.loc[rows["ns"].idxmin()]
            assert one.winner == least["strategy"]
            assert one.ns[one.winner] == pytest.approx(least["ns"] / least["accesses"], rel=1e-9)
            softmmu = rows.loc[rows["strategy"] == "softmmu", "ns"].item()
            assert one.against("softmmu") == pytest.approx(softmmu / least["ns"], rel=1e-9)
            seen += 1
    assert seen == 7


def test_the_sentence_names_each_kind_once_for_its_winner():
    found = contests(committed(), NOW, portable=True)
    told = sentence(found)
    for kind, several in by_kind(found).items():
        winners = {one.winner for one in several}
        name = kind.name[0].lower() + kind.name[1:]
        assert told.count(name) == len(winners)
        if len(winners) == 1:
            part = next(part for part in told.split("; ") if name in part)
            assert f"{winners.pop()} is best for" in part


def test_faults_decide_and_the_chart_says_so():
    *_, chart = rates_sections(committed(), NOW)
    assert isinstance(chart, Chart)
    rows = {(row["recording"], row["scheme"]): row for row in rows_of(chart.frame)}
    frame = pd.read_csv(ROOT / "results/programs/counts.csv")
    gzip = frame[frame["trace"].str.contains("gzip")].set_index("strategy")
    one = rows["gzip", "map-block"]
    assert one[RATE] == pytest.approx(1000 * gzip["faults"]["map-block"] / gzip["accesses"]["map-block"])
    assert one[TIMES] == pytest.approx(gzip["ns"]["map-block"] / gzip["ns"]["softmmu"])
    slower = min(row[RATE] for row in rows.values() if row[TIMES] > 1)
    assert not [row for row in rows.values() if row[RATE] < slower and row[TIMES] > 1]


def test_the_summary_has_a_table_for_each_host():
    hosts = [NOW, load_profile("pentium4-2004")]
    tables = [one for one in summary_sections(committed(), hosts, []) if isinstance(one, Table)]
    assert len(tables) == 2
    kinds = [kind.name for kind in by_kind(contests(committed(), NOW))]
    assert [row[0].text.partition(":")[0] for row in tables[0].rows] == kinds


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
        shutil.copytree(ROOT / "results" / name, tmp_path / "mine" / name)
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
    ):
        assert words in text
    assert "What the mail claims" not in text  # that rests on all of results/
    manifest = json.loads((tmp_path / "page.html.manifest.json").read_text())
    assert [one["experiment"] for one in manifest["experiments"]] == ["page-crossing", "programs"]
    assert all(len(one["sha256"]) == 64 for one in manifest["experiments"])
    assert [one["name"] for one in manifest["hosts"]] == ["xeon-2.6-vm", "pentium4-2004"]


def test_prices_are_those_of_the_host_that_is_asked_for(folder):
    found = build.report(folder, host="pentium4-2004")
    within = [one for section in found.sections for one in getattr(section, "sections", [section])]
    tables = [one for one in within if isinstance(one, Table) and one.name == "programs-counts"]
    frame = pd.read_csv(folder / "programs" / "counts.csv")
    row = next(row for row in tables[0].rows if row[0] == "gzip" and getattr(row[1], "text", row[1]) == "softmmu")
    gzip = frame[frame["trace"].str.contains("gzip") & (frame["strategy"] == "softmmu")].iloc[0]
    insn = load_profile("pentium4-2004").ns["insn"]
    assert row[2].value == pytest.approx(gzip["insns"] * insn / gzip["accesses"])  # softmmu takes no host fault


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
        (["{empty}"], 1, "holds no experiment"),
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
    found = measured([load(str(folder / "page-crossing" / "counts.csv"))])
    assert len(found) == len(frame)
    assert found[0].error == pytest.approx(0.25)


def test_an_experiment_that_was_never_made_is_told(cli, folder, tmp_path):
    (folder / "programs" / "counts.csv").unlink()
    done = cli("report", folder, "-o", tmp_path / "x.html")
    assert (done.code, done.err.splitlines()[0].partition(",")[0]) == (0, "mmuexp: programs is left out")
    assert "Left out, never made: programs." in (tmp_path / "x.html").read_text()
