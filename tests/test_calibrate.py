"""`calibrate`: streams that make what they say and nothing else, a profile that `--host` reads, noise that is told.

The machine is shared and its clock uneven: nothing here depends on how long anything takes but orders of magnitude.
"""

import ast
import inspect
import os
import tomllib
from collections import Counter
from datetime import date

import numpy as np
import pytest
from calibrated import KERNEL, known
from cli_cases import one_line
from kernels import run
from liveruns import SCHEMES, timed_apart

from mmuexp import manifest
from mmuexp.guest import Columns, Op
from mmuexp.host import load_profile, user_folder
from mmuexp.live import calibrate, streams
from mmuexp.live.calibrate import EVENTS, Sampler, profile_text
from mmuexp.price import ENGINE_EVENTS
from mmuexp.primitives import PRICES
from mmuexp.registry import parse_spec

__all__ = ["known"]

STREAMS = {
    "hits": streams.hits(5000),
    "crossing": streams.crossing(300),
    "misaligned": streams.misaligned(300),
    "thrashing": streams.thrashing(300),
    "flushed": streams.touched_and_flushed(64, 5),
}


HONEST_HITS = calibrate._hits

# streams: what the model counts on them


def events(columns: Columns, spec: str) -> dict[str, int]:
    """What happened at all, without the trace's shape and the sizes of tables."""
    strategy = parse_spec(spec)
    counts = run(columns, spec, "user")
    return {name: counts[name] for name in strategy.columns() if counts.get(name) and name != "peak_mappings"}


@pytest.mark.parametrize("spec", SCHEMES)
def test_hits_make_no_event_under_any_scheme(spec):
    first, rows = streams.stores_first(), streams.hits(20_000)
    both = Columns(*(np.concatenate(pair) for pair in zip(first, rows, strict=True)))
    assert events(both, spec) == events(first, spec)


def test_hits_go_anywhere_in_their_pages_aligned():
    rows = streams.hits(64_000)
    assert len(rows.op) == 64_000
    pages = set((rows.vaddr >> 12).tolist())
    assert pages == set((streams.stores_first().vaddr >> 12).tolist())
    assert set(rows.op.tolist()) == {Op.LOAD, Op.STORE}
    assert not (rows.vaddr % rows.size).any()
    assert Counter(rows.size.tolist()).most_common(1)[0][0] == 4
    for column in (rows.op, rows.size):  # as a loop of the guest
        assert np.array_equal(column[:64], column[64:128])
    assert len(np.unique(rows.vaddr)) > 10_000


def test_hits_of_any_number_of_rows():
    assert [len(streams.hits(rows).op) for rows in (1, 63, 64, 65)] == [1, 63, 64, 65]
    assert np.array_equal(streams.hits(100).vaddr, streams.hits(100).vaddr)


def test_a_thrashing_row_is_a_fill():
    assert events(streams.thrashing(300), "softmmu") == {"tlb_fills": 300}


def test_a_misaligned_row_is_a_helper_call():
    found = events(streams.misaligned(300), "softmmu")
    assert found == {"slow_misaligned": 300, "tlb_fills": 1}


def test_a_crossing_row_is_a_signal_or_a_helper_call():
    found = events(streams.crossing(300), "byte-lookup")
    assert found == {"faults_cross": 300}
    assert events(streams.crossing(300), "softmmu") == {"slow_cross": 300, "tlb_fills": 2}


@pytest.mark.parametrize(("pages", "times"), [(16, 7), (64, 3), (1024, 2)])
def test_what_is_touched_is_flushed(pages, times):
    rows = streams.touched_and_flushed(pages, times)
    assert len(rows.op) == (pages + 1) * times
    found = events(rows, "qemu-fast")
    assert [found[name] for name in ("faults_unmapped", "maps", "mmap_calls", "unmaps")] == [pages * times] * 4
    shape = run(rows, "qemu-fast", "user")
    assert (shape["flushes"], shape["pages"], shape["accesses"]) == (times, pages, pages * times)


@pytest.mark.parametrize("name", STREAMS)
@pytest.mark.parametrize("spec", SCHEMES)
def test_the_engines_that_are_timed_do_the_same(name, spec):
    assert timed_apart(STREAMS[name], "user", spec) == ""


def test_nothing_of_a_recording_is_in_them():
    """Neither module can read a trace."""
    for module in (streams, calibrate):
        names = set()
        for node in ast.walk(ast.parse(inspect.getsource(module))):
            if isinstance(node, ast.ImportFrom):
                names |= {node.module, *(f"{node.module}.{one.name}" for one in node.names)}
            elif isinstance(node, ast.Import):
                names |= {one.name for one in node.names}
        assert not [name for name in names if "trace" in name or "experiment" in name or "record" in name]


# the figures


@pytest.fixture(scope="module")
def real() -> calibrate.Calibration:
    return calibrate.calibrate(rounds=5)


def median(first: str, *less: str) -> float:
    return float(np.median(np.array(KERNEL[first]) - sum(np.array(KERNEL[one]) for one in less)))


def test_prices_are_medians_of_differences_round_by_round(known):
    found = {name: figure.ns for name, figure in known.calibrate().prices.items()}
    assert found == {
        "insn": 0.2,
        "access": 0.5,
        "signal": median("signal"),
        "mmap": median("mmap"),
        "page_in": median("map_on_fault", "signal", "mmap"),
        "mprotect": median("write_fault", "signal"),
        "page_out": median("unmap_all"),
        "munmap": median("unmap", "unmap_all"),
    }
    assert found["page_in"] == 900  # not 4100 - 1000 - 2100, the difference of medians
    assert known.calibrate().prices["signal"].spread_ns == 200  # 950 to 1150


def test_real_figures_are_in_order(real):
    prices = {name: figure.ns for name, figure in real.prices.items()}
    also = {name: figure.ns for name, figure in real.also.items()}
    assert prices["signal"] < also["map_on_fault"]
    assert prices["mmap"] < also["map_on_fault"]
    assert prices["signal"] < also["write_fault"]
    assert prices["page_out"] < also["unmap"]
    assert calibrate.LEAST_INSN_NS <= prices["insn"] < 10
    assert 0 <= prices["access"] < 50
    assert prices["insn"] < also["fill"] < prices["signal"]
    assert prices["insn"] < also["helper"] < prices["signal"]
    assert prices["insn"] < also["walk"] < prices["signal"]
    assert also["helper"] < also["signal_completed"]
    pools = [also[f"flush_{pages}_pages"] for pages in calibrate.POOLS]
    assert pools == sorted(pools)
    assert 8 < pools[-1] / pools[0] < 512  # 64 times the pages


def test_every_event_that_the_model_takes_from_it_is_measured(real):
    assert set(ENGINE_EVENTS.values()) <= set(real.also)


def test_the_profile_reads_back(real, tmp_path):
    file = tmp_path / "mine.toml"
    file.write_text(profile_text(real))
    data, profile = tomllib.loads(file.read_text()), load_profile(str(file))
    assert set(data) == {*PRICES, "access", "also", "about"}
    for name, figure in real.prices.items():
        assert data[name]["ns"] == pytest.approx(figure.ns, rel=1e-3)
        assert data[name]["spread_ns"] == pytest.approx(figure.spread_ns, rel=1e-3)
        assert data[name]["source"] == profile.source[name] == f"measured: {figure.how}"
        assert (profile.access_ns if name == "access" else profile.ns[name]) == data[name]["ns"]
    assert profile.ns["insn"] > 0
    assert not any(profile.assumed(primitive) for primitive in PRICES)
    assert profile.also == {event: data["also"][event]["ns"] for event in real.also}
    for event, figure in real.also.items():
        assert profile.also[event] == pytest.approx(figure.ns, rel=1e-3)
        assert profile.source[f"also.{event}"].startswith("measured: ")
        assert f"also.{event}" in profile.spread_ns


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
    assert (profile.name, profile.ns["insn"], profile.access_ns) == ("now", 0.2, 0.5)
    assert profile.also["fill"] == 25.12


def test_the_manifest_of_a_result_holds_all_of_it(known):
    told = Sampler().profile().as_dict()
    assert told["access"] == {"ns": 0.5, "source": told["access"]["source"], "spread_ns": 0.25}
    assert told["also"]["helper"] == {"ns": 20.0, "source": f"measured: {EVENTS['helper'].how}", "spread_ns": 2.0}
    assert told["prices"]["signal"]["spread_ns"] == 200
    assert "access" not in load_profile("xeon-2.6-vm").as_dict()
    assert set(load_profile("xeon-2.6-vm").as_dict()["prices"]["insn"]) == {"ns", "source"}


def test_rounds_are_taken_between_those_of_something_else(known, monkeypatch):
    """At once, then not before some time has passed; in the end there are enough."""
    asked, now = [], [100.0]

    def kernel(rounds, step):
        asked.append(rounds)
        return {name: np.array([ns[0]] * rounds, float) for name, ns in KERNEL.items()}

    monkeypatch.setattr(calibrate, "_kernel", kernel)
    monkeypatch.setattr(calibrate.time, "monotonic", lambda: now[0])
    sampler = Sampler()
    for later in (0, 0.5, 0.4, 0.2, 3):
        now[0] += later
        sampler.between()
    assert asked == [1, 1, 1]
    assert sampler.profile().ns["signal"] == 1000
    assert asked == [1, 1, 1, calibrate.QUICK_ROUNDS - 3]


# noise


def small(monkeypatch, slopes) -> list:
    """Hit paths over few rows, whose lines have these slopes in turn; what was taken of them."""
    taken, left = [], iter(slopes)
    monkeypatch.setattr(calibrate, "HIT_ROWS", 256)
    monkeypatch.setattr(calibrate, "HIT_TIMES", 1)

    def line(insns, ns):
        assert sorted(insns) == [1, 4, 7, 11]
        assert len(ns) == 4
        taken.append(next(left))
        return taken[-1], -0.1

    monkeypatch.setattr(calibrate, "_line", line)
    return taken


@pytest.mark.parametrize(
    ("slopes", "price"),
    [
        ([0.1, -5, 0.2], 0.1),  # one round of noise is outvoted
        ([-0.1, 0.0, -0.2, 0.1, 0.1, 0.1], 0.05),  # it measures on, until an instruction is told from noise
    ],
)
def test_an_instruction_is_told_from_noise(known, monkeypatch, slopes, price):
    monkeypatch.setattr(calibrate, "_hits", HONEST_HITS)
    taken = small(monkeypatch, slopes)
    assert calibrate.calibrate(rounds=3).prices["insn"].ns == pytest.approx(price)
    assert taken == slopes


@pytest.mark.parametrize("slope", [-1.0, 0.0, 0.0004])
def test_noise_alone_is_an_error_and_no_profile(cli, monkeypatch, tmp_path, slope):
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    monkeypatch.setattr(calibrate, "_kernel", lambda rounds, step: {})
    monkeypatch.setattr(calibrate, "_events", lambda rounds, step, kinds: {})
    taken = small(monkeypatch, [slope] * 100)
    user_folder().mkdir(parents=True)
    (user_folder() / "here.toml").write_text("what stood there")
    assert cli("calibrate", "--rounds", "3").code == 1
    assert "what an instruction takes is lost in noise" in one_line(cli.err)
    assert len(taken) == 3 * calibrate.PATIENCE
    assert [file.name for file in user_folder().iterdir()] == ["here.toml"]
    assert (user_folder() / "here.toml").read_text() == "what stood there"


def test_a_difference_below_zero_stands_as_none(known, monkeypatch, tmp_path):
    """Of the kernel's primitives some are differences, and the smaller of two may come out above the larger."""
    odd = {name: np.array(ns, float) for name, ns in KERNEL.items()} | {"map_on_fault": np.array([2500.0, 2600, 3000])}
    monkeypatch.setattr(calibrate, "_kernel", lambda rounds, step: odd)
    monkeypatch.setattr(calibrate, "_hits", lambda rounds, step: (np.array([0.1]), np.array([-0.01])))
    found = known.calibrate()
    assert found.prices["page_in"].ns == found.prices["access"].ns == 0
    assert "-500 ns, less than its noise" in found.prices["page_in"].how.replace("-5e+02", "-500")
    file = tmp_path / "odd.toml"
    file.write_text(profile_text(found))
    assert load_profile(str(file)).ns["page_in"] == 0
