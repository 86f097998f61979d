"""`calibrate`: every price is measured, in a profile that `--host` reads; noise is told.

The machine is shared and its clock uneven: nothing here depends on how long anything takes but orders of magnitude.
"""

import csv
import io
import os
import tomllib
from datetime import date

import numpy as np
import pytest
from kit.cli import one_line
from kit.prices import KERNEL, LOOPS, PATHS, TRANSLATE, known
from kit.recordings import need

from mmuexp.live import calibrate, timing, translating
from mmuexp.live.calibrate import Sampler, profile_text, rounds_text
from mmuexp.price.host import OPTIONAL, load_profile, user_folder
from mmuexp.price.primitives import PRICES
from mmuexp.result import manifest
from mmuexp.strategy.registry import parse_spec

__all__ = ["known"]


@pytest.fixture(scope="module")
def real() -> calibrate.Calibration:
    return calibrate.calibrate(rounds=5)


def median(first: str, *less: str) -> float:
    return float(np.median(np.array(KERNEL[first]) - sum(np.array(KERNEL[one]) for one in less)))


def test_prices_are_medians_of_differences_round_by_round(known):
    found = known.calibrate().figures
    prices = {name: found[name].ns for name in PRICES}
    assert prices == pytest.approx(
        {
            "hit": 0.2,
            "access": 0.5,
            "split": 7,
            "helper": 20,
            "insn": 0.2,
            "walk_level": 12,
            "scan": 0.5,
            "drop": 35,
            "signal": median("signal"),
            "mmap": median("mmap"),
            "page_in": median("map_on_fault", "signal", "mmap"),
            "mprotect": median("write_fault", "signal"),
            "mapping": median("mapping"),
            "page_out": median("unmap_all"),
            "munmap": median("unmap", "unmap_all"),
            "translate": 1000,
            "patched_access": 2,
            "patch": 200,
            "compare_table": 110,
            "checked_entry": 8,
            "checked_byte": 0.01,
        }
    )
    assert found["page_in"].ns == 900  # not 4100 - 1000 - 2100, the difference of medians
    assert (found["page_in"].low_ns, found["page_in"].high_ns, found["page_in"].spread_ns) == (800, 950, 150)


def test_the_range_of_a_host_call_reaches_over_what_the_guest_leaves_in_the_caches(known):
    """From the median where the guest uses nothing to that where it uses the second level; a difference has its own."""
    found = known.calibrate().figures
    assert (found["signal"].low_ns, found["signal"].ns, found["signal"].high_ns) == (900, 1000, 2000)
    assert (found["page_out"].low_ns, found["page_out"].ns, found["page_out"].high_ns) == (230, 330, 660)
    assert (found["also.map_on_fault"].low_ns, found["also.map_on_fault"].high_ns) == (4000, 8200)
    assert (found["mprotect"].low_ns, found["mprotect"].ns, found["mprotect"].high_ns) == (750, 800, 925)
    assert (found["insn"].low_ns, found["insn"].high_ns) == pytest.approx((0.15, 0.25))


def test_the_range_of_what_can_be_done_in_two_ways_reaches_from_one_to_the_other(known):
    """From the engine's stub to one that saves all registers, from a comparison by a call to one inline: less than 0
    is no time. From code and tables that the caches hold to what they do not."""
    found = known.calibrate().figures
    ends = {name: (found[name].low_ns, found[name].high_ns) for name in ("patched_access", "patch", "compare_table")}
    assert ends == {"patched_access": (1.5, 5), "patch": (150, 205), "compare_table": (105, 310)}
    assert (found["checked_entry"].low_ns, found["checked_entry"].high_ns) == (0, 8.5)
    assert (found["checked_byte"].low_ns, found["checked_byte"].high_ns) == (0.005, 0.04)


def test_hit_paths_are_whole_near_in_short_loops_far_in_long_ones_and_cold_in_no_order(known):
    found = known.calibrate().figures
    for name, eighths in PATHS.items():
        path, far, cold, waiting = (found[f"{group}.{name}"] for group in ("path", "far", "cold", "dependent"))
        assert (path.ns, path.low_ns, path.high_ns) == (eighths / 8 - 0.125,) * 3
        assert (far.ns, far.low_ns, far.high_ns) == (eighths / 8 + 0.25,) * 3
        assert ("loops of 64 accesses" in path.how, "loops of 512 accesses" in far.how) == (True, True)
        assert (cold.ns, cold.low_ns, cold.high_ns) == tuple(eighths / 8 + ns for ns in (2.5, 1.75, 2.75))
        assert "in 4,096 blocks of 4 accesses that run in no order" in cold.how
        assert (waiting.ns, waiting.low_ns, waiting.high_ns) == tuple(eighths / 8 + ns for ns in (4.5, 4.25, 4.75))
    assert (found["hit"].low_ns, found["hit"].high_ns) == pytest.approx((0.15, 0.25))
    far = found["hit_far"]
    assert (far.ns, far.low_ns, far.high_ns) == pytest.approx((0.4, 0.25, 0.45))
    assert found["access_far"].ns == 0.5
    assert (found["hit_cold"].ns, found["access_cold"].ns) == (0.875, 0)
    assert (found["hit_dependent"].ns, found["access_dependent"].ns) == (0.3, 5)


def test_the_range_of_a_hit_reaches_over_data_of_the_second_cache(known, monkeypatch):
    wide = LOOPS | {"wide short path.softmmu": [2.0, 2.5, 9], "wide long hit": [0.125, 0.1, 0.2]}
    monkeypatch.setattr(timing, "hits", lambda rounds, step=None: wide)
    found = known.calibrate().figures
    path, hit_far = found["path.softmmu"], found["hit_far"]
    assert (path.low_ns, path.ns, path.high_ns) == (1.375, 1.375, 2.5)
    assert (hit_far.low_ns, hit_far.ns, hit_far.high_ns) == pytest.approx((0.125, 0.4, 0.45))


@pytest.mark.long
def test_real_figures_are_in_order(real):
    ns = {name: figure.ns for name, figure in real.figures.items()}
    assert ns["signal"] < ns["also.map_on_fault"]
    assert ns["mmap"] < ns["also.map_on_fault"]
    assert ns["signal"] < ns["also.write_fault"]
    assert ns["page_out"] < ns["also.unmap"]
    for name in PATHS:  # data of the second cache takes longer
        path = real.figures[f"path.{name}"]
        assert path.low_ns <= path.ns < path.high_ns
    for name in ("signal", "mmap"):  # a guest that uses all of a cache leaves less of the kernel there
        assert real.figures[name].low_ns <= ns[name] < real.figures[name].high_ns
    assert calibrate.LEAST_INSN_NS <= ns["insn"] < 10
    assert 0 <= ns["access"] < 50
    assert ns["far.softmmu"] < ns["cold.softmmu"]  # its path has a jump, which is not foreseen
    for name in ("also.fill", "also.misaligned", "split", "helper", "walk_level", "drop", "translate"):
        assert 0 <= ns[name] < 100 * ns["signal"]
    assert ns["scan"] < ns["also.fill"] < ns["also.signal_completed"]
    assert ns["path.qemu-fast"] < ns["dependent.qemu-fast"] < ns["dependent.softmmu"]
    pools = [ns[f"also.flush_{pages}_pages"] for pages in timing.POOLS]
    assert pools == sorted(pools)
    assert 8 < pools[-1] / pools[0] < 512  # 64 times the pages


@pytest.mark.long
def test_helpers_take_what_the_live_model_says(real):
    """Both sides are measured in the same run; another compiler, or another processor, makes another length."""
    costs, host = parse_spec("softmmu").engine_price_list(), real.profile()
    for event, name in {"ram_misaligned_units8": "misaligned", "slow_cross": "crossing", "tlb_fills": "fill"}.items():
        modelled = costs[event].helper * host.ns["helper"] + costs[event].hit * host.ns["hit"]
        assert modelled == pytest.approx(real.figures[f"also.{name}"].ns, rel=0.5), event


def test_every_price_is_measured_and_none_is_a_number_of_instructions(real):
    profile = real.profile()
    assert {*PRICES, *OPTIONAL} <= real.figures.keys()
    assert profile.prices.keys() == {*PRICES, *OPTIONAL}
    assert not [name for name in profile.prices if profile.assumed(name)]
    assert {*PATHS} == profile.path.keys() == profile.far.keys() == profile.cold.keys() == profile.dependent.keys()


def test_the_profile_reads_back(real, tmp_path):
    file = tmp_path / "mine.toml"
    file.write_text(profile_text(real))
    profile = load_profile(str(file))
    for name, figure in real.figures.items():
        group, _, member = name.rpartition(".")
        price = getattr(profile, group)[member] if group else profile.prices[name]
        assert price.source == f"measured: {figure.how}"
        for field in ("ns", "low_ns", "high_ns", "spread_ns"):
            assert getattr(price, field) == pytest.approx(getattr(figure, field), rel=1e-3), (name, field)


def test_every_round_of_every_figure_is_written(known):
    found = known.calibrate()
    rows = list(csv.DictReader(io.StringIO(rounds_text(found))))
    for name, figure in found.figures.items():
        mine = [row for row in rows if row["figure"] == name]
        assert [int(row["round"]) for row in mine] == [0, 1, 2]
        assert tuple(float(row["ns"]) for row in mine) == figure.rounds
    assert [float(row["ns"]) for row in rows if row["figure"] == "translate"] == TRANSLATE
    assert len(rows) == 3 * len(found.figures)


def test_without_a_translator_there_is_no_price_of_it(known, monkeypatch):
    monkeypatch.setattr(calibrate, "translate_ns", lambda rounds: [])
    found = known.calibrate()
    assert "translate" not in found.figures
    assert found.profile().assumed("translate")
    assert found.profile().ns["translate"] == PRICES["translate"].insns * 0.2


def test_the_profile_says_what_machine_and_when(real):
    about = tomllib.loads(profile_text(real))["about"]
    machine = manifest.machine()
    assert os.uname().release in about
    assert (machine["processor"] or machine["architecture"]) in about
    assert real.date in about
    assert abs((date.fromisoformat(real.date) - date.today()).days) <= 1
    assert real.manifest["machine"] == machine
    assert real.manifest["kind"] == "calibrate"


def test_what_is_measured_now_is_a_profile_of_that_name(known):
    profile = Sampler().profile()
    assert (profile.name, profile.ns["insn"], profile.ns["access"]) == ("now", 0.2, 0.5)
    assert profile.also["fill"].ns == 25.12


def test_rounds_are_taken_between_those_of_something_else(known, monkeypatch):
    """At once, then not before some time has passed; in the end there are enough."""
    asked, now = [], [100.0]

    def kernel(rounds, step):
        asked.append(rounds)
        return {name: [ns[0]] * rounds for name, ns in KERNEL.items()}

    monkeypatch.setattr(calibrate, "kernel", kernel)
    monkeypatch.setattr(calibrate.time, "monotonic", lambda: now[0])
    sampler = Sampler()
    for later in (0, 1.5, 1.4, 0.2, 3):
        now[0] += later
        sampler.between()
    assert asked == [1, 1, 1]
    assert sampler.profile().ns["signal"] == 1000
    assert asked == [1, 1, 1, calibrate.QUICK_ROUNDS - 3]


# noise


def noisy(monkeypatch, taken) -> None:
    """Rounds of an instruction, on the hit path and in a helper, as they come one after the other."""
    left = {name: iter(ns) for name, ns in taken.items()}

    def line(rounds, step=None):
        new = [next(left["hit"]) for _ in range(rounds)]
        return {**{name: [LOOPS[name][0]] * rounds for name in LOOPS}, "short hit": new, "long hit": new}

    def kernel(rounds, step=None):
        new = [next(left["insn"]) for _ in range(rounds)]
        return {**{name: [KERNEL[name][0]] * rounds for name in KERNEL}, "insn": new}

    monkeypatch.setattr(timing, "hits", line)
    monkeypatch.setattr(calibrate, "kernel", kernel)


@pytest.mark.parametrize(
    ("rounds", "price"),
    [
        ([0.1, -5, 0.2], 0.1),  # one round of noise is outvoted
        ([-0.1, 0.0, -0.2, 0.1, 0.1, 0.1], 0.05),  # it measures on, until an instruction is told from noise
    ],
)
@pytest.mark.parametrize("name", calibrate.NEEDED)
def test_an_instruction_is_told_from_noise(known, monkeypatch, name, rounds, price):
    noisy(monkeypatch, {"hit": [0.3] * 9, "insn": [0.3] * 9} | {name: rounds})
    found = calibrate.calibrate(rounds=3).figures[name]
    assert found.ns == pytest.approx(price)
    assert list(found.rounds) == pytest.approx(rounds)


@pytest.mark.parametrize("noise", [-1.0, 0.0, 0.0004])
@pytest.mark.parametrize("name", calibrate.NEEDED)
def test_noise_alone_is_an_error_and_no_profile(cli, known, monkeypatch, name, noise):
    noisy(monkeypatch, {"hit": [0.3] * 99, "insn": [0.3] * 99} | {name: [noise] * 3 * calibrate.PATIENCE})
    user_folder().mkdir(parents=True)
    (user_folder() / "here.toml").write_text("what stood there")
    assert cli("calibrate", "--rounds", "3").code == 1
    assert "what an instruction takes is lost in noise" in one_line(cli.err)
    assert [file.name for file in user_folder().iterdir()] == ["here.toml"]
    assert (user_folder() / "here.toml").read_text() == "what stood there"


def test_a_difference_below_zero_stands_as_none(known, monkeypatch, tmp_path):
    """Of the kernel's primitives some are differences, and the smaller of two may come out above the larger."""
    odd = KERNEL | {"map_on_fault": [2500.0, 2600, 3000]}
    monkeypatch.setattr(calibrate, "kernel", lambda rounds, step=None: odd)
    below = {"short access": [-0.01] * 3, "long access": [-0.01] * 3}
    monkeypatch.setattr(timing, "hits", lambda rounds, step=None: LOOPS | below)
    found = known.calibrate()
    assert found.figures["page_in"].ns == found.figures["access"].ns == 0
    assert "not measurable: -5e+02 ns, less than its noise" in found.figures["page_in"].how
    file = tmp_path / "odd.toml"
    file.write_text(profile_text(found))
    assert load_profile(str(file)).ns["page_in"] == 0


# the translator


def test_the_programs_that_are_translated_differ_in_their_blocks_alone():
    few, many = (translating.program(blocks) for blocks in (3, 5))
    assert len(many) - len(few) == 2 * len(translating.BLOCK)
    assert few[: 52 - 12] == many[: 52 - 12]
    need("qemu-i386", "qemu-user")
    assert len(translating.translate_ns(2)) == 2


@pytest.mark.parametrize("script", ["exit 1", "kill -SEGV $$", "exec sleep 9"])
def test_a_translator_that_fails_is_none(monkeypatch, tmp_path, script):
    file = tmp_path / "qemu-i386"
    file.write_text(f"#!/bin/sh\n{script}\n")
    file.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)
    monkeypatch.setattr(translating, "SECONDS", 0.2)
    assert translating.qemu() == str(file)
    assert translating.translate_ns(2) == []


def test_no_translator_is_none(monkeypatch):
    monkeypatch.setenv("PATH", "")
    assert translating.translate_ns(2) == []
