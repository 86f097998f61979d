"""The guest with the Windows 98 habit (traces/workloads/guest/habit.S) at several rates, and the results made from it.

habit.S derives every count from its ROUNDS and STRIDE; here they stand as formulas, and each guest is recorded anew.
"""

import csv
from pathlib import Path

import pytest
from kit.places import RESULTS
from kit.recordings import recorded_guest, tuples
from kit.replays import check_known
from truth.schemes import NAMES

import mmuexp
from mmuexp.guest import Op
from mmuexp.trace import open_trace
from mmuexp.trace.info import info
from mmuexp.trace.verify import FAILED, WARNING, verify

COPIED = 21  # words
GUESTS = [(300, 1), (300, 3), (1000, 7), (5000, 500), (3, 3), (2, 1)]  # rounds, and every how many of them store
SPECS = [*NAMES, "byte-lookup,entries=4", "qemu-fast,guest_limit=0x100000000"]
SPECS += ["map-block,map_block_bits=13,pool_blocks=3", "map-block,map_pages=4"]


def expected(spec: str, rounds: int, stride: int) -> dict[str, int]:
    """What follows from habit.S under a scheme, without running one."""
    stored, left = divmod(rounds, stride)
    counts = {
        "loads": COPIED + rounds + 1,
        "stores": COPIED + rounds + stored,
        "accesses": 2 * COPIED + 2 * rounds + stored + 1,
        "execs": COPIED + 2 * rounds + 3,
        "misaligned": 0,
        "page_cross": 0,
        "io_accesses": 0,
        "flushes": 0,
        "page_flushes": 0,
        "pages": 3,
        "smc_stores": 0,
        "code_page_data_stores": stored,
    }
    name = spec.partition(",")[0]
    if name == "softmmu-qemu10":  # as of 2004, with neither bitmap nor misaligned helper
        return counts | {"tlb_fills": 3, "slow_code": stored, "slow_cross": 0, "translations": 8 if stride == 1 else 9}
    if name == "softmmu":
        walks = 1 + min(stored - 1, 10) if stride == 1 else min(stored, 10)
        new = {"tlb_fills": 3, "slow_code": stored, "code_list_walks": walks, "slow_misaligned": 0, "slow_cross": 0}
        return counts | new | {"translations": 8 if stride == 1 else 9}
    if name not in ("byte-lookup", "map-block", "qemu-fast"):
        return counts
    again = 2 * stored + 5 if stride == 1 else 3 * stored + 6 + 2 * (left > 0)
    counts |= {"faults_code": stored, "faults_write": 0, "faults": 3 + stored, "protects": stored + 1, "maps": 3}
    counts |= {"translations": again}
    if name == "map-block":
        return counts | {"faults_block": 3, "faults_unmapped": 0}
    return counts | {"faults_unmapped": 3}


@pytest.fixture(scope="module", params=GUESTS, ids=lambda p: f"{p[0]}-rounds-stride-{p[1]}")
def recorded(request, tmp_path_factory):
    """(rounds, stride, path of the recording)"""
    rounds, stride = request.param
    folder = tmp_path_factory.mktemp("habit")
    return rounds, stride, recorded_guest(f"habit_{stride}", rounds, folder)


@pytest.mark.parametrize("spec", SPECS)
def test_every_count_is_what_the_source_derives(recorded, spec):
    rounds, stride, path = recorded
    check_known(tuples(path), spec, "system", expected(spec, rounds, stride))


def test_the_rows_are_a_valid_trace_of_four_pages(recorded):
    *_, path = recorded
    assert not [check for check in verify(path) if check.state in (FAILED, WARNING)]
    shown = [(row[1] >> 12, row[5]) for row in tuples(path) if row[0] == Op.MAP]
    assert [page for page, _ in shown] == [0xFFFFF, 0xFF, 0x20, 0x30]
    assert [page for _, page in shown[2:]] == [0x20, 0x30]


def test_the_rate_is_the_one_asked_for():
    """About 1000 / (2 stride + 1) faults_code for each 1,000 accesses; 1 for each 1,000 from stride 499 on down."""
    for stride in (1, 10, 100, 1000):
        counts = expected("map-block", 200_000, stride)
        assert 1000 * counts["faults_code"] / counts["accesses"] == pytest.approx(1000 / (2 * stride + 1), rel=1e-3)


RESULT = RESULTS / "windows-habit"
BUNDLED = sorted(RESULT.glob("*.arrow"))


@pytest.mark.parametrize("path", BUNDLED, ids=lambda path: path.stem)
def test_the_recordings_of_the_result_are_whole_and_name_no_path_of_their_machine(path):
    assert not [check for check in verify(path) if check.state in (FAILED, WARNING)]
    trace = open_trace(path)
    assert (trace.mode, trace.complete in ("yes", f"the limit of {trace.window[1]:,} rows")) == ("system", True)
    assert trace.metadata["licence"].startswith("CC0-1.0")
    assert not [word for word in " ".join(trace.metadata.values()).split() if word.lstrip("'\"").startswith(("/", "~"))]


def test_the_counts_of_the_result_are_those_of_the_formulas():
    rows = list(csv.DictReader((RESULT / "counts.csv").open()))
    found = 0
    for row in rows:
        name = Path(row["trace"]).stem
        if name.startswith("habit_"):
            known = expected(row["strategy"], 200_000, int(name.removeprefix("habit_")))
            assert {key: row[key] for key in known} == {key: str(number) for key, number in known.items()}
            found += 1
    assert found == 8 * 5  # strides, schemes


def test_a_guest_of_debians_has_the_habit_for_longer_than_the_firmware():
    """More than 1 faults_code for each 1,000 accesses, in each million of more rows than SeaBIOS does it for."""
    frame = mmuexp.compare(str(RESULT / "grub_text.arrow"), ["map-block"], every=1_000_000)
    assert frame["rows"].sum() > 3 * open_trace(RESULT / "seabios.arrow").rows
    whole = frame[frame["rows"] == 1_000_000]
    assert len(whole) == 5
    assert (1000 * whole["faults_code"] / whole["accesses"]).min() > 8


@pytest.mark.parametrize("name", ["kolibri_start", "freedos_prompt"])
def test_whole_systems_have_it_with_nothing_else_against_the_mmap_schemes(name):
    rows = [row for row in csv.DictReader((RESULT / "counts.csv").open()) if Path(row["trace"]).stem == name]
    counts = {row["strategy"]: row for row in rows}
    assert {row[cause] for row in rows for cause in ("flushes", "io_accesses", "page_cross")} == {"0"}
    faults = int(counts["map-block"]["faults_code"])
    assert 1000 * faults / int(counts["map-block"]["accesses"]) > 10
    assert faults > 0.99 * int(counts["map-block"]["faults"])
    told = info(RESULT / f"{name}.arrow")["guest"]["code"]  # other code: which pages were executed, then stored to
    assert int(counts["softmmu"]["slow_code"]) == told["stores"]


@pytest.mark.parametrize("table", ["counts", "pentium4"])
@pytest.mark.parametrize("scheme", ["byte-lookup", "map-block", "qemu-fast,guest_limit=0x100000000"])
def test_the_rate_of_the_report_is_where_the_lines_cross(table, scheme):
    """By another way, and other recordings: time over stores is a line for each scheme, through two of the guests."""
    ns = {
        (Path(row["trace"]).stem, row["strategy"]): float(row["ns"])
        for row in csv.DictReader((RESULT / f"{table}.csv").open())
    }
    few, many = expected(scheme, 200_000, 10_000), expected(scheme, 200_000, 500)
    stored = [counts["code_page_data_stores"] for counts in (few, many)]
    ahead = [ns[name, "softmmu"] - ns[name, scheme] for name in ("habit_10000", "habit_500")]
    stores = stored[0] + (stored[1] - stored[0]) * ahead[0] / (ahead[0] - ahead[1])
    rate = 1000 * stores / (few["accesses"] - stored[0] + stores)
    host = {"counts": "epyc-vm", "pentium4": "pentium4-2004"}[table]
    shown = (RESULT / "report.md").read_text().split(f"in our guest, at the prices of host {host}:")[2]
    line = next(line for line in shown.splitlines() if line.startswith(f"| {scheme} |"))
    assert line.split("|")[2].strip() == f"{rate:.3f}"


SEARCH = RESULTS / "habit-search"


def test_the_table_of_the_search_is_what_its_counts_say():
    counts = {}
    for row in csv.DictReader((SEARCH / "counts.csv").open()):
        counts.setdefault(Path(row["trace"]).stem, {})[row["strategy"]] = row
    found = 0
    _, _, table = (SEARCH / "report.md").read_text().partition("| recording | rows |")
    for line in table.partition("\n\n")[0].splitlines():
        first, *cells = [cell.strip() for cell in line.strip("|").split("|")]
        if first in counts:
            here, softmmu = (counts[first][scheme] for scheme in ("map-block", "softmmu"))
            accesses, faults = int(here["accesses"]), int(here["faults_code"])
            known = [f"{int(here['rows']):,}", f"{accesses:,}", f"{faults:,}", f"{1000 * faults / accesses:.3f}"]
            assert cells == [*known, *(f"{int(scheme['translations']):,}" for scheme in (here, softmmu))]
            found += 1
    assert found == len(counts) == 10
