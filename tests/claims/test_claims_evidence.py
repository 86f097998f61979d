"""Evidence: counts worked back from saved tables, whatever a listing costs today; live figures; a fifth scheme."""

import pytest
from kit.places import RESULTS
from kit.prices import evidence, finding, host, run

from mmuexp.claims.evidence import runs_of
from mmuexp.claims.gather import evidence_for, hosts_of, results_folder
from mmuexp.claims.model import LIVE, UNTESTED
from mmuexp.claims.report import ClaimsReport
from mmuexp.events import Event
from mmuexp.price.priced import price
from mmuexp.render.claims import notes
from mmuexp.result.saved import load
from mmuexp.result.table import Result
from mmuexp.strategy import Cost


def saved(name: str = "page-crossing", **changes) -> Result:
    result = load(str(RESULTS / name / "counts.csv"))
    return Result(result.kind, result.frame, {**result.manifest, **changes})


def of(runs, recording: str, spec: str):
    return next(r for r in runs if (r.recording, str(r.strategy)) == (recording, spec))


def test_counts_that_are_no_column_by_hand():
    """crossing.S says what a round of it does: 10 accesses, 2 of 8 bytes, 2 misaligned inside a page, 3 loads that
    cross and stores of 4, 2 and 8 bytes that cross. 24 instructions a load, 12 for each byte of a store."""
    rounds = 40_000
    soft = of(runs_of(saved()), "crossing", "softmmu").counts
    assert soft["units8"] == 10 * rounds
    assert soft["wide_units8"] == 2 * rounds
    assert soft["ram_misaligned_units8"] == 2 * rounds
    told = 24 * soft.get("ram_cross_loads", 0) + 12 * soft["ram_cross_store_bytes"]
    assert told == (24 * 3 + 12 * (4 + 2 + 8)) * rounds


def test_a_listing_that_grew_is_priced_at_its_new_length(monkeypatch):
    block = of(runs_of(saved()), "crossing", "map-block")
    before = price(block.strategy, block.counts, host()).insns
    cls = type(block.strategy)
    monkeypatch.setattr(cls, "FAST_PATH", cls.FAST_PATH + "    nop\n")
    again = of(runs_of(saved()), "crossing", "map-block")
    assert again.counts["units8"] == block.counts["units8"]
    assert price(again.strategy, again.counts, host()).insns == before + block.counts["units8"]


def test_a_helper_that_grew_is_priced_at_its_new_length(monkeypatch):
    soft = of(runs_of(saved("ten-kernels")), "string_sort", "softmmu")
    before = price(soft.strategy, soft.counts, host()).insns
    cls = type(soft.strategy)
    costs = {**cls.costs, "ram_misaligned_units8": Cost(insn=37, source="assumed: a test")}
    monkeypatch.setattr(cls, "costs", costs | {Event.TLB_FILLS: Cost(walk=1, insn=310, source="assumed: a test")})
    again = of(runs_of(saved("ten-kernels")), "string_sort", "softmmu")
    more = 7 * soft.counts["ram_misaligned_units8"] + 10 * soft.counts["tlb_fills"]
    assert price(again.strategy, again.counts, host()).insns == before + more


@pytest.mark.parametrize("name", ["page-crossing", "linux-windows"])
def test_a_table_without_a_manifest_is_priced_as_today(name):
    for one in runs_of(saved(name, prices={}, traces=[])):
        assert price(one.strategy, one.counts, host()).insns == one.counts["insns"]
        assert one.mode == ""


def test_one_scheme_alone_is_enough():
    result = saved("ten-kernels")
    frame = result.frame
    alone = Result(result.kind, frame[frame["strategy"] == "softmmu"], result.manifest)
    for one in runs_of(alone):
        assert price(one.strategy, one.counts, host()).insns == one.counts["insns"]


def test_modes_are_the_recordings():
    modes = {one.recording: one.mode for one in runs_of(saved("linux-windows"))}
    assert set(modes.values()) == {"system"}
    assert {one.mode for one in runs_of(saved())} == {"user"}


def test_measured_figures_stand_beside_the_modelled():
    runs = [run("boot", "softmmu"), run("boot", "map-block")]
    live = {("boot", "softmmu"): 3.0, ("boot", "map-block"): 2.0, ("other", "softmmu"): 9.0}
    figures = finding(6, evidence(linux_boot=runs, live=live)).parts[0].figures
    assert [(one.value, one.unit) for one in figures if one.host == LIVE] == [
        (3.0, "ns"),
        (2.0, "ns"),
        (1.5, "times faster"),
    ]


@pytest.mark.parametrize(
    ("number", "module", "experiment"),
    [
        (5, "nbench", "ten_kernels"),
        (6, "linux", "linux_boot"),
        (8, "direct_map", "programs"),
        (10, "devices", "programs"),
    ],
)
def test_a_newer_softmmu_is_one_more_line(monkeypatch, number, module, experiment):
    newer = "softmmu,tlb_bits=12"  # stands in for it
    monkeypatch.setattr(f"mmuexp.claims.{module}.QEMU_10", newer)
    mode = "system" if number == 6 else "user"
    specs = ["softmmu", newer, "map-block", "qemu-fast", "byte-lookup"]
    runs = [run("r", spec, mode, tlb_fills=9 * ("softmmu" in spec)) for spec in specs]

    def told(*chosen) -> set[str]:
        return {f.quantity for p in finding(number, evidence(**{experiment: chosen})).parts for f in p.figures}

    with_it, without = told(*runs), told(*(r for r in runs if str(r.strategy) != newer))
    assert without < with_it
    assert all("softmmu" in quantity for quantity in with_it - without)


def test_the_day_of_the_mail_comes_first_and_no_host_twice():
    assert [one.name for one in hosts_of("pentium4-2004")] == ["pentium4-2004"]
    assert [one.name for one in hosts_of("xeon-2.6-vm")] == ["pentium4-2004", "xeon-2.6-vm"]
    assert [one.name for one in hosts_of([host("a"), host("b")])] == ["a", "b"]


def test_an_experiment_that_is_not_there_leaves_its_claim_untested(monkeypatch, tmp_path):
    assert results_folder() == RESULTS
    monkeypatch.setattr("mmuexp.claims.gather.results_folder", lambda: tmp_path)
    nothing = evidence_for(["linux-boot", "windows-habit"], hosts=[host()])
    assert [finding(number, nothing).verdict for number in (6, 7)] == [UNTESTED, UNTESTED]
    untested = finding(6, nothing)
    assert notes(untested, ClaimsReport((untested,), ()))[0] == (
        f"Not tested: no recording has what its rule takes ({untested.claim.rule})."
    )
