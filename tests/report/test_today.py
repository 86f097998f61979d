"""What to build today, and what the mail's schemes would have needed in 2004: by hand, and from committed counts."""

import pytest
from kit.places import RESULTS
from kit.prices import made_host

from mmuexp.claims.evidence import CountedRun, Evidence, runs_of
from mmuexp.events import WALK_LEVELS
from mmuexp.render.html.sections import Table
from mmuexp.report.today import EXPERIMENTS, WIDTHS, needed_sections, today_contests, today_sections
from mmuexp.report.workloads import KINDS
from mmuexp.rerun.about import read
from mmuexp.rerun.measured import LiveTime
from mmuexp.result.saved import load
from mmuexp.strategy.registry import parse_spec

KNOWN = "fastmem,patch=never,map=known,dirty=none"


def run(spec: str, recording: str = "gzip", **counts: int) -> CountedRun:
    """100 accesses of 8 bytes; the hit paths are 10 instructions (QEMU 10), 8 (page-table) and 1 (fastmem)."""
    counts = {"accesses": 100, "units8": 100, "faults": 0} | counts
    return CountedRun(recording, "user", parse_spec(spec), counts)


def host(**ns: float):
    """An instruction takes 1 ns, and all of the kernel nothing but what is named."""
    return made_host("h", **ns)


def tables(*runs: CountedRun, live=(), at=None) -> list[Table]:
    found = today_sections(Evidence({"today": list(runs)}, [], timed=live), at or host())
    return [one for one in found if isinstance(one, Table)]


ALL = ("softmmu-qemu10", "page-table", KNOWN)


def test_the_table_of_what_to_build_by_hand():
    build, designs = tables(*map(run, ALL))
    (row,) = build.rows
    texts = [cell.text for cell in row]
    assert texts[0] == "32 bits"
    assert texts[2] == KNOWN
    assert "QEMU, user mode" in texts[3] and "FEX, SMCChecks=mtrack" in texts[3]
    assert texts[4:8] == ["10.0x", "-", "page-table", "8.00x"]
    of_qemu = next(row for row in designs.rows if row[0] == "QEMU, system mode")
    assert (of_qemu[3].text, of_qemu[4], of_qemu[5].text, of_qemu[6], of_qemu[7]) == (
        "10.0x",
        "gzip",
        "10.0x",
        "gzip",
        KNOWN,
    )
    best = next(row for row in designs.rows if row[0] == "QEMU, user mode")
    assert (best[5].text, best[7]) == ("1.00x", "-")
    assert not [row for row in designs.rows if row[0] == "PCSX2"]  # nobody ran it


def test_a_design_is_told_where_it_is_worst():
    """On bzip2 the direct map takes a fault of 900 ns: 1,000 ns in all and more, where page-table takes 800."""
    slow = run(KNOWN, "bzip2", faults=1, faults_code=1)
    build, designs = tables(*map(run, ALL), slow, run("page-table", "bzip2"), at=host(signal=900))
    assert build.rows[0][2].text == f"{KNOWN}; page-table"
    assert build.rows[0][8].text == "recordings disagree"
    row = next(row for row in designs.rows if row[0] == "QEMU, user mode")
    handler = dict(parse_spec(KNOWN).price_list())["faults_code"].insn
    assert (row[4], row[6], row[7]) == ("gzip", "bzip2", "page-table")
    assert row[5].value == pytest.approx((100 + 900 + handler) / 800)


def test_both_widths_and_the_clock():
    """The live engine of one run has QEMU's at 6 ns and the winner at 2; that of another run says nothing of both."""
    wide = [run(spec, "gzip64", **{WALK_LEVELS: 4}) for spec in ALL[:2]]
    live = [LiveTime("gzip", ALL[0], 6.0, 5.9, 6.1, 6.0), LiveTime("gzip", KNOWN, 2.0, 1.9, 2.1, 2.0)]
    live.append(LiveTime("gzip64", "page-table", 1.0, 0.9, 1.1, 1.0, run=1))
    runs = [*map(run, ALL), *wide]
    build, _ = tables(*runs, live=live)
    told = today_sections(Evidence({"today": runs}, [], timed=live), host())[0].paragraphs
    assert "Not run on guests of 32 bits: views." in told
    assert "Not run on guests of 64 bits: fastmem, views." in told
    assert [(row[0].text, row[2].text, row[5].text) for row in build.rows] == [
        ("32 bits", KNOWN, "3.00x"),
        ("64 bits", "page-table", "-"),
    ]


def test_schemes_of_the_mail_and_bounds_do_not_enter():
    assert tables(run("softmmu"), run("map-block"), run("page-table")) == []
    assert tables(run("fastmem,code=free"), run("page-table,tables=1"), run("page-table")) == []


def test_what_the_mail_would_have_needed_by_hand():
    """softmmu takes 1,100 ns, map-block 400, a walk of 150, its handler, and a signal of 2,000."""
    handler = dict(parse_spec("map-block").price_list())["faults_unmapped"].insn
    runs = [run("softmmu"), run("map-block", faults=1, faults_unmapped=1)]
    evidence = Evidence({"programs": runs}, [])
    day = host(signal=2000)
    _, table = needed_sections(evidence, day)
    (row,) = table.rows
    below = 1100 - 400 - 150 - handler
    assert row[:2] == ["Compiled programs (gzip)", "map-block"]
    assert row[2].value == pytest.approx((550 + handler + 2000) / 1100)
    assert row[3] == "2.00 us"
    assert row[4].value == pytest.approx(below)
    assert row[5].value == pytest.approx(2000 / below)
    day = host(signal=1)
    _, table = needed_sections(evidence, day)
    assert table.rows[0][5].text == "it won"


def test_every_recording_of_the_experiments_is_of_a_kind():
    abouts = [read(RESULTS / name) for name in EXPERIMENTS]
    tables = {
        about.name: [run for name in about.commands for run in saved_runs(about.folder / f"{name}.csv")]
        for about in abouts
    }
    found = today_contests(Evidence(tables, []), host())
    listed = {name for kind in KINDS for names in (*kind.recordings.values(), kind.more) for name in names}
    assert {run.recording for run in tables["today"]} <= listed
    assert {run.recording for run in tables["today"]} <= {one.recording for one in found}
    assert {one.bits for one in found} == set(WIDTHS)


def saved_runs(path) -> list[CountedRun]:
    result = load(str(path))
    return runs_of(result) if result.kind == "compare" else []
