"""The whole-program estimate by hand; each closed form looked at from both sides; counts that are no column."""

import pytest
from kit.places import RESULTS, ROOT
from kit.prices import committed, dearer, evidence, finding, host, run

from mmuexp.claims import REGISTRY
from mmuexp.claims.devices import rate_of_devices
from mmuexp.claims.direct_map import fault_for_much
from mmuexp.claims.estimate import FACTORS, Program, mean_f_at, mean_speedup
from mmuexp.claims.evidence import runs_of
from mmuexp.claims.model import FAILS, HOLDS, UNTESTED, WHEN, together, verdict_of, verdict_of_range
from mmuexp.claims.windows98 import rate_from
from mmuexp.price.host import load_profile
from mmuexp.price.priced import price
from mmuexp.result.saved import load
from mmuexp.strategy import Cost

EXPERIMENTS = sorted({name for claim in REGISTRY.values() for name in claim.experiments})


def test_an_estimate_worked_out_by_hand():
    # 1,000 guest instructions at 0.5 ns: 500 ns for each unit of f; softmmu 11,000 x 0.5, map-block 4,000 x 0.5
    one = Program(unit=500.0, slow=5500.0, fast=2000.0)
    assert one.speedup(4) == (2000 + 5500) / (2000 + 2000) == 1.875
    assert one.speedup(0) == 2.75
    assert one.f_at(1.25) == (5500 - 1.25 * 2000) / (0.25 * 500) == 24
    assert one.speedup(24) == 1.25
    # a quarter of the time is saved where the speed-up is 4/3: (5500 - 2666.7) / (166.7) = 17
    assert one.f_at_saving(0.25) == pytest.approx(17)
    assert one.speedup(4, 1) == (2000 + 5500) / (500 + 2000)  # other code for the faster


def test_the_geometric_mean_by_hand():
    four, one = Program(1.0, 7.0, 1.0), Program(1.0, 2.0, 2.0)  # at f = 1: 4 times, and once
    assert mean_speedup([four, one], 1) == pytest.approx(2)
    assert mean_f_at([four, one], 2) == pytest.approx(1)
    assert mean_speedup([four, four], [1, 0]) == pytest.approx(28**0.5)
    assert mean_f_at([one], 1.5) == 0  # never so fast


@pytest.mark.parametrize("speedup", [1.05, 1.2, 1.3, 2.0])
def test_the_factor_parts_what_is_faster_from_what_is_not(speedup):
    one = Program(unit=380.0, slow=2090.0, fast=760.0)
    f = one.f_at(speedup)
    assert one.speedup(f * 0.999) > speedup > one.speedup(f * 1.001)


def test_factors_are_sourced():
    assert [factor.f for factor in FACTORS] == sorted(factor.f for factor in FACTORS)
    for factor in FACTORS:
        Cost(insn=factor.f, source=factor.source)  # read, measured or assumed


@pytest.mark.parametrize(
    ("low", "high", "verdict"),
    [(1, 10, HOLDS), (0, 20, HOLDS), (2, 3, WHEN), (9, 12, WHEN), (10.1, 12, FAILS), (-3, 0.9, FAILS), (5, 4, FAILS)],
)
def test_a_range_beside_the_sourced_one(low, high, verdict):
    assert verdict_of_range(low, high, (1, 10)) == verdict


def test_verdicts_of_cases_and_of_parts():
    assert [verdict_of(v) for v in ([], [True], [False], [True, False])] == [UNTESTED, HOLDS, FAILS, WHEN]
    assert together([HOLDS, UNTESTED]) == HOLDS
    assert together([HOLDS, FAILS]) == together([WHEN]) == WHEN
    assert together([UNTESTED]) == together([]) == UNTESTED


@pytest.mark.parametrize("name", EXPERIMENTS)
def test_a_saved_result_priced_anew_is_what_it_was(name):
    result = load(str(RESULTS / name / "counts.csv"))
    xeon = load_profile(result.manifest["prices"]["host"]["name"])
    for one in runs_of(result):
        now = price(one.strategy, one.counts, xeon)
        for part in ("insns", "hit_insns", "handler_insns", "translate_insns", "cross_insns"):
            assert getattr(now, part) == one.counts[part], (one.recording, str(one.strategy), part)
        assert now.ns == pytest.approx(one.counts["ns"], rel=1e-12)
        assert now.cross_ns == pytest.approx(one.counts["cross_ns"], rel=1e-12)


def test_linux_is_faster_below_the_condition_and_not_above():
    here = committed("xeon-2.6-vm")
    soft, block = (here.recordings("linux-boot")["boot"][spec] for spec in ("softmmu", "map-block"))
    even = block.even(soft, here.hosts[0])
    for side in (0.999, 1.001):
        there = dearer(here.hosts[0], side * even.fault_ns / even.now_ns)
        assert (block.ns(there) < soft.ns(there)) == (side < 1)


def test_qemu_fast_is_much_faster_below_the_condition_and_not_above():
    here = committed("pentium4-2004")
    runs = here.recordings("linux-boot")["boot"]
    soft, fast = runs["softmmu"], runs["qemu-fast,guest_limit=0x100000000"]
    now = fast.price(here.hosts[0]).kernel_ns / fast.faults
    for side in (0.999, 1.001):
        there = dearer(here.hosts[0], side * fault_for_much(soft, fast, here.hosts[0]) / now)
        assert (soft.ns(there) > 2 * fast.ns(there)) == (side < 1)


def habit(recording: str, stores: int) -> list:
    """A guest of 1,000,000 accesses, `stores` of them beside running code (1,000 and no more stores: 1 in 1,000)."""
    counts = {"accesses": 1_000_000 + stores, "units8": 1_000_000 + stores}
    return [
        run(recording, "softmmu", **counts, slow_code=stores),
        run(recording, "map-block", **counts, faults_code=stores),
    ]


@pytest.mark.parametrize("factor", [1.0, 2.0])
def test_the_rate_of_stores_parts_slower_from_not_slower(factor):
    plain = host()
    guest = [*habit("habit_10", 20_000), *habit("habit_100", 2_000)]
    rate = rate_from(evidence(plain, habit_guest=guest), plain, factor)
    for side in (0.999, 1.001):
        stores = round(side * rate * 1e-3 * 1_000_000 / (1 - rate * 1e-3))
        soft, block = habit("other", stores)
        assert (block.ns(plain) > factor * soft.ns(plain)) == (side > 1)


def test_the_rate_of_stores_by_hand():
    # map-block: 4 for the access, a signal of 1,000 and 200 instructions: 1,204. softmmu: 11 + 50 = 61.
    # room for s stores: 4 M + 1,204 s = 11 M + 61 s, M = 1,000,000 accesses: s = 7 M / 1,143
    plain = host()
    guest = [*habit("habit_10", 20_000), *habit("habit_100", 2_000)]
    stores = 7_000_000 / 1_143
    assert rate_from(evidence(plain, habit_guest=guest), plain, 1.0) == pytest.approx(1000 * stores / (1e6 + stores))


def test_the_rate_of_devices_parts_what_pays_from_what_does_not():
    plain = host()
    soft, byte = run("r", "softmmu"), run("r", "byte-lookup")
    rate = rate_of_devices(soft, byte, plain)
    # 4 instructions saved; 1,000 + 120 + 150 for a signal, 40 for a helper
    assert rate == pytest.approx(1000 * 4 / (4 + 1270 - 40))
    for side in (0.99, 1.01):
        devices = round(side * rate * 1000)
        counts = {"accesses": 1_000_000, "units8": 1_000_000 - devices}
        soft, byte = (
            run("r", "softmmu", **counts, slow_io=devices),
            run("r", "byte-lookup", **counts, faults_io=devices),
        )
        assert (byte.ns(plain) > soft.ns(plain)) == (side > 1)


def test_the_conditions_are_those_of_the_experiment():
    """results/windows-habit tells the same rates, by other code."""
    text = (ROOT / "results/windows-habit/report.md").read_text()
    for name in ("epyc-vm", "pentium4-2004"):
        here = committed(name)
        assert f"{rate_from(here, here.hosts[0], 1.0):.3f}" in text


def test_every_claim_of_the_mail_has_a_verdict():
    for number in range(1, 11):
        assert finding(number, committed()).verdict != UNTESTED
