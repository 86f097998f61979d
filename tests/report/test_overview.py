"""The summary of `mmuexp report`: who wins, how sure, what decides; by hand and from the committed counts."""

import json
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest
from kit.places import RESULTS, ROOT
from kit.prices import made_host

from mmuexp.claims.evidence import SEVERAL, CountedRun, Evidence, runs_of
from mmuexp.price.host import Price, Profile, load_profile
from mmuexp.render.html.sections import Chart, Table, Text
from mmuexp.report.build import live_hosts
from mmuexp.report.summary import (
    OWN,
    RATE,
    RATES,
    TIMES,
    own_sections,
    rates,
    rates_sections,
    sentence,
    summary_sections,
    thresholds,
)
from mmuexp.report.sure import sure_sections
from mmuexp.report.workloads import (
    CLOSE,
    DECIDED,
    DISPUTED,
    ELSEWHERE,
    KINDS,
    SPLIT,
    SURE,
    TOGETHER,
    Contest,
    by_kind,
    contests,
    judge,
    typical_error,
)
from mmuexp.rerun.measured import LiveTime, live_results
from mmuexp.result.saved import load
from mmuexp.result.table import rows_of
from mmuexp.strategy.registry import default_strategies, parse_spec

NOW = load_profile("epyc-vm")
NAMES = list(dict.fromkeys(strategy.name for strategy in default_strategies("user")))


def host(**ns: float) -> Profile:
    """An instruction takes 1 ns and all of the kernel nothing but what is named; nothing is assumed."""
    return made_host("h", **ns)


def run(spec: str, **counts: int) -> CountedRun:
    return CountedRun("gzip", "user", parse_spec(spec), {"accesses": 100, "units8": 100, "faults": 0} | counts)


def contest(*runs: CountedRun, at: Profile, also=(), **options) -> Contest:
    return contests(Evidence({"programs": list(runs)}, [at], also=also), at, **options)[0]


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


def test_a_scheme_enters_in_its_best_layout_and_not_where_it_is_left_out():
    slow = run("qemu-fast", faults=5, faults_unmapped=5)
    fast = run("qemu-fast,guest_limit=0x100000000")
    given = [run("softmmu"), slow, fast]
    assert list(contest(*given, at=host(signal=900)).ns) == ["qemu-fast,guest_limit=0x100000000", "softmmu"]
    assert contests(Evidence({"programs": given}, [NOW]), NOW, without="qemu-fast") == []  # one alone is not a contest


def test_without_qemu_fast_every_other_scheme_competes():
    """Nothing but hits of 8 bytes: instructions of each hit path are 11 (softmmu), 7, 4 and 1; the others' are read
    from their prices."""
    one = contest(*map(run, NAMES), at=host(), without="qemu-fast")
    read = {name: dict(parse_spec(name).price_list())["units8"].hit for name in NAMES if name != "qemu-fast"}
    newer = read["softmmu-qemu10"]
    assert one.ns == read | {"softmmu": 11.0, "byte-lookup": 7.0, "map-block": 4.0}
    assert one.not_run == ()
    assert contest(run("softmmu"), run("softmmu-qemu10"), at=host(), without="qemu-fast").winner == "softmmu-qemu10"
    assert newer < 11


def test_a_scheme_that_was_not_run_is_told():
    names = [name for name in NAMES if name != "softmmu-qemu10"]
    assert contest(*map(run, names), at=host()).not_run == ("softmmu-qemu10",)
    others = [name for name in names if name != "qemu-fast"]
    assert contest(*map(run, others), at=host(), without="qemu-fast").not_run == ("softmmu-qemu10",)
    table = tables_of({"programs": list(map(run, names))})[0]
    assert table.rows[0][1].text == "qemu-fast; softmmu-qemu10 not run"
    assert table.rows[0][1].mark == "warn"


def tables_of(runs: dict[str, list[CountedRun]]) -> list[Table]:
    return [one for one in summary_sections(Evidence(runs, [NOW])) if isinstance(one, Table)]


def test_a_setting_that_is_not_the_default_is_named():
    """qemu-fast with its faults loses by default; for a guest of 4 GiB it wins."""
    wide = run("qemu-fast,guest_limit=0x100000000")
    runs = [run("softmmu"), run("softmmu-qemu10"), run("byte-lookup"), run("map-block"), wide]
    cell = tables_of({"programs": runs})[0].rows[0][1]
    assert cell.text == "qemu-fast,guest_limit=0x100000000 (on a 64-bit host)"


def test_recordings_that_disagree_are_not_sure():
    """Two recordings of a kind: on one map-block takes a fault for each access, on the other none."""
    other = [CountedRun("bzip2", "user", parse_spec(s), {"accesses": 100, "units8": 100, "faults": 0}) for s in PAIR]
    slow = run("map-block", faults=100, faults_unmapped=100)
    row = tables_of({"programs": [run("softmmu"), slow, *other]})[0].rows[0]
    assert row[1].text.startswith("softmmu in 1, map-block in 1")
    assert (row[3].text, row[3].mark) == (SPLIT, "warn")


PAIR = ("softmmu", "map-block")


def test_another_winner_at_prices_that_were_measured():
    """A fault of 200 ns leaves map-block ahead (see above); one of 2000 ns does not."""
    runs = [run("softmmu"), run("map-block", faults=1, faults_unmapped=1)]
    dear = replace(host(signal=2000), name="results/live/x.csv")
    one = contest(*runs, at=host(signal=200), also=[dear])
    assert (one.winner, one.elsewhere) == ("map-block", {"results/live/x.csv": "softmmu"})
    assert contest(*runs, at=host(signal=200), also=[replace(dear, prices=host().prices)]).elsewhere == {}
    verdict = judge(one, [])
    assert (verdict.level, verdict.why) == (ELSEWHERE, "softmmu wins at those of results/live/x.csv")
    assert judge(one, [], today=False).level != ELSEWHERE


def test_the_prices_of_a_live_run_are_those_of_its_manifest(tmp_path):
    tables = live_results(RESULTS / "live")
    assert {"kernels.csv", "live.csv"} <= set(tables)
    saved = json.loads((ROOT / "results/live/live.csv.manifest.json").read_text())["prices"]["host"]
    found = {one.name: one for one in live_hosts(tables)}["results/live/live.csv"]
    assert {name: found.ns[name] for name in saved["prices"]} == {n: p["ns"] for n, p in saved["prices"].items()}
    del saved["prices"]["signal"]
    table = replace(tables["live.csv"], manifest={"prices": {"host": saved}})
    assert live_hosts({"x": table}) == []  # not all of its prices
    assert live_results(tmp_path) == {}


def test_pairs_that_could_be_told_apart_are_counted():
    """a below b beyond their noise; b and c overlap: one pair of two, and the model has it right."""
    live = [tried("a", 1, 2), tried("b", 3, 5), tried("c", 4, 6)]
    told = next(one.paragraphs for one in sure_sections([NOW], live) if "median" in str(getattr(one, "paragraphs", "")))
    assert "Of 2 pairs of schemes" in told
    assert "An engine walks no guest page tables" in told
    assert "1 could be told apart beyond their noise; the model has 1 of those" in told


def test_the_rule_for_ones_own_names_its_host_and_the_rates():
    frame = pd.DataFrame([["a", "k", "s", rate, times] for rate, times in PLACED], columns=RATES)
    assert thresholds(frame) == (2.0, 3.0)
    assert thresholds(frame[frame[TIMES] > 1]) is None
    text, code = own_sections(rates(contests(committed(), NOW)), "epyc-vm")
    assert "at the prices of epyc-vm: with fewer than" in text.paragraphs
    assert (code.kind, code.paragraphs.split("\n")) == ("code", list(OWN))


PLACED = ((1.0, 0.5), (2.0, 1.5), (3.0, 0.9), (4.0, 7.0))


def case(margin: float = 2.0, decided_by=()) -> Contest:
    return Contest(
        KINDS[0], "gzip", "h", {"map-block": 1.0, "softmmu": margin}, decided_by=dict.fromkeys(decided_by, "softmmu")
    )


def tried(spec: str, least: float, most: float, error: float = 0.1, recording: str = "gzip") -> LiveTime:
    ns = (least + most) / 2
    return LiveTime(recording, spec, ns, least, most, ns * (1 + error))


@pytest.mark.parametrize(
    ("one", "live", "level", "why"),
    [
        (case(), [], SURE, "softmmu takes 2 times as long; no prices within their ranges turn it"),
        (case(), [tried("x", 1, 2, -0.2, "y")], SURE, "more than the model's typical error of 20 %"),
        (case(1.1), [tried("x", 1, 2, 0.2, "y")], CLOSE, "the model's error is typically 20 %"),
        (case(1.1), [], SURE, "1.1 times"),
        (case(decided_by=["signal", SEVERAL]), [], DECIDED, "softmmu would be faster: signal"),
        (case(decided_by=[SEVERAL]), [], TOGETHER, "softmmu would be faster with several prices"),
        (case(1.1, decided_by=[SEVERAL]), [tried("x", 1, 2, 0.2, "y")], CLOSE, "typically 20 %"),
        (
            case(),
            [tried("map-block", 1, 2), tried("softmmu", 3, 4)],
            SURE,
            "found every other slower, beyond its noise",
        ),
        (case(), [tried("map-block", 3, 4), tried("softmmu", 1, 2)], DISPUTED, "softmmu faster, beyond its noise"),
        (case(), [tried("map-block", 1, 3), tried("softmmu", 2, 4)], SURE, "no prices within"),  # rounds overlap
        (case(decided_by=["hit"]), [tried("map-block", 1, 2), tried("softmmu", 3, 4)], SURE, "every other slower"),
        (case(), [tried("map-block", 3, 4), replace(tried("softmmu", 1, 2), ns=None)], SURE, "no prices within"),
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
        tables[name] = runs_of(load(str(RESULTS / name / "counts.csv")))
    return Evidence(tables, [NOW])


def test_contests_agree_with_the_committed_tables():
    """At the host that they were priced at: the least `access_ns` of each recording, straight from the CSV."""
    found = {one.recording: one for one in contests(committed(), NOW)}
    seen = 0
    for name in ("programs", "linux-windows"):
        frame = pd.read_csv(RESULTS / name / "counts.csv")
        for trace, rows in frame.groupby("trace"):
            one = found[Path(trace).stem]
            least = rows.loc[rows["access_ns"].idxmin()]
            assert one.winner == least["strategy"]
            assert one.ns[one.winner] == pytest.approx(least["access_ns"] / least["accesses"], rel=1e-9)
            softmmu = rows.loc[rows["strategy"] == "softmmu", "access_ns"].item()
            assert one.against("softmmu") == pytest.approx(softmmu / least["access_ns"], rel=1e-9)
            seen += 1
    assert seen == 7


def test_the_sentence_names_each_kind_once_for_its_winner():
    found = contests(committed(), NOW, without="qemu-fast")
    told = sentence(found)
    for kind, several in by_kind(found).items():
        winners = {one.winner for one in several}
        name = kind.name[0].lower() + kind.name[1:]
        assert told.count(name) == len(winners)
        if len(winners) == 1:
            part = next(part for part in told.split("; ") if name in part)
            assert f"{winners.pop()} is best for" in part


def test_faults_decide_and_the_chart_says_so():
    _, text, chart = rates_sections(rates(contests(committed(), NOW)), "epyc-vm")
    assert text.paragraphs.startswith("At the prices of epyc-vm no recording")
    assert isinstance(chart, Chart)
    rows = {(row["recording"], row["scheme"]): row for row in rows_of(chart.frame)}
    frame = pd.read_csv(ROOT / "results/programs/counts.csv")
    gzip = frame[frame["trace"].str.contains("gzip")].set_index("strategy")
    one = rows["gzip", "map-block"]
    assert one[RATE] == pytest.approx(1000 * gzip["faults"]["map-block"] / gzip["accesses"]["map-block"])
    assert one[TIMES] == pytest.approx(gzip["access_ns"]["map-block"] / gzip["access_ns"]["softmmu"])
    slower = min(row[RATE] for row in rows.values() if row[TIMES] > 1)
    assert not [row for row in rows.values() if row[RATE] < slower and row[TIMES] > 1]


def test_the_summary_has_a_table_for_each_host():
    hosts = [NOW, load_profile("pentium4-2004")]
    sections = summary_sections(replace(committed(), hosts=hosts))
    tables = [one for one in sections if isinstance(one, Table)]
    assert len(tables) == 2
    legend = next(one for one in sections if isinstance(one, Text) and SURE in one.paragraphs)
    assert sections.index(legend) < sections.index(tables[0])
    kinds = [kind.name for kind in by_kind(contests(committed(), NOW))]
    assert [row[0].text.partition(":")[0] for row in tables[0].rows] == kinds


def test_what_only_several_prices_turn_is_told_apart_from_what_one_does():
    """softmmu 1000 ns of insn-priced hits, map-block 900 and faults whose two prices may each cost 60 ns more."""
    counts = {"accesses": 100, "units8": 100}
    soft, block = parse_spec("softmmu"), parse_spec("map-block")
    lead = 100 * (11 - 4)  # at made_host, 1 ns an instruction
    runs = [
        CountedRun("r", "user", soft, counts),
        CountedRun("r", "user", block, counts | {"faults": 1, "mmap_calls": 1, "munmap_calls": 1}),
    ]
    for share, found in ((0.4, ()), (0.6, (SEVERAL,)), (1.1, ("mmap", "munmap"))):
        prices = {n: Price(0.0, "measured: x", 0.0, share * lead) for n in ("mmap", "munmap")}
        host = replace(made_host(), prices={**made_host().prices, **prices})
        told = runs[1].deciding(runs[0], host)
        assert tuple(one.partition(" (")[0] for one in told) == found
