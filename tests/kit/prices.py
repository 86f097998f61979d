"""Hosts whose prices are known, `calibrate` with rounds that are known, and runs that claims are judged by."""

from dataclasses import replace
from functools import cache

import pytest

from mmuexp.claims import REGISTRY
from mmuexp.claims.evidence import CountedRun, Evidence
from mmuexp.claims.gather import GUEST, evidence_for, hosts_of
from mmuexp.claims.model import Finding
from mmuexp.claims.report import judged
from mmuexp.live import calibrate, timing
from mmuexp.price.host import Profile, priced_at
from mmuexp.price.priced import Priced
from mmuexp.price.primitives import KERNEL as KERNEL_PART
from mmuexp.price.primitives import PRICES
from mmuexp.result import table
from mmuexp.strategy import Cost
from mmuexp.strategy.registry import default_strategies, parse_spec

SOURCE = "measured: made for a test"


def made_host(name: str = "plain", **ns: float) -> Profile:
    """Every primitive takes its instructions, and those of the kernel nothing, but for what `ns` names."""
    given = {price: p.insns / p.times for price, p in PRICES.items()} | ns
    return Profile(name, "made for a test", {price: priced_at(each, SOURCE) for price, each in given.items()})


def with_ns(host: Profile, **ns: float) -> Profile:
    """The same host with other prices."""
    return Profile(
        host.name, host.about, {**host.prices, **{name: priced_at(each, SOURCE) for name, each in ns.items()}}
    )


KERNEL = {  # ns, three rounds
    "signal": [1000, 1300, 900], "mmap": [2000, 2100, 2600], "map_on_fault": [4000, 4100, 4400],
    "write_fault": [1800, 2000, 1950], "protect": [500, 600, 700], "unmap": [900, 1000, 1100],
    "unmap_all": [300, 420, 330], "walk_level": [10, 15, 12], "insn": [0.1, 0.3, 0.2],
    "patch": [200, 210, 180], "compare_table": [100, 120, 110],
    "mapping": [60, 64, 61],
}  # fmt: skip
ALONE = [name for name in KERNEL if name not in ("walk_level", "insn", "patch", "compare_table")]
KERNEL |= {f"near.{name}": [ns - 100 for ns in KERNEL[name]] for name in ALONE}
KERNEL |= {f"far.{name}": [2 * ns for ns in KERNEL[name]] for name in ALONE}
EVENTS = {"helper": [20.0, 22, 18], "scan": [0.5, 0.25, 1], "drop": [30, 40, 35], "fill": [25.123456, 24, 26]}
EVENTS |= {"split": [7.0, 6, 8], "patched_access": [2.0, 1, 4], "wide patched_access": [5, 4, 6]}
EVENTS |= {"checked_entry": [8.0, 9, 7], "checked_byte": [0.01, 0.0, 0.02]}
KERNEL |= {"near.patch": [150] * 3, "far.compare_table": [300, 320, 310]}
KERNEL |= {"inline.checked_entry": [-1, -2, -3], "inline.checked_byte": [0.04, 0.03, 0.05]}
LOOPS = {"short hit": [0.1, 0.2, 0.3], "long hit": [0.1, 0.4, 0.5], "dependent hit": [0.2, 0.3, 0.4]}
LOOPS |= {"short access": [0.5, 0.4, 0.9], "long access": [0.5, 0.4, 0.9], "dependent access": [4, 5, 6]}
LOOPS |= {"scattered hit": [0.75, 0.875, 1], "scattered access": [0.0, 0.0, 0.25]}
PATHS = dict.fromkeys((strategy.name for strategy in default_strategies("user")), 7)  # in ns / 8
PATHS |= {"softmmu": 12, "byte-lookup": 8, "map-block": 5, "qemu-fast": 2, "softmmu-qemu10": 10}
for name, eighths in PATHS.items():
    LOOPS |= {f"short path.{name}": [eighths / 8 - 0.125] * 3, f"long path.{name}": [eighths / 8 + 0.25] * 3}
    LOOPS |= {f"scattered path.{name}": [eighths / 8 + ns for ns in (1, 2.5, 3)]}
    LOOPS |= {f"dependent path.{name}": [eighths / 8 + ns for ns in (4, 4.5, 5)]}
LOOPS |= {f"{timing.WIDE}{name}": list(ns) for name, ns in LOOPS.items() if not name.startswith("dependent")}
TRANSLATE = [1000, 900, 1300]


@pytest.fixture
def known(monkeypatch, tmp_path):
    """`calibrate` with rounds that are known, and a configuration folder of its own."""
    monkeypatch.setattr(calibrate, "kernel", lambda rounds, step=None: KERNEL)
    monkeypatch.setattr(timing, "hits", lambda rounds, step=None: LOOPS)
    monkeypatch.setattr(timing, "events", lambda rounds, step, kinds: EVENTS)
    monkeypatch.setattr(calibrate, "translate_ns", lambda rounds: TRANSLATE)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    return calibrate


NO_COUNTS = dict.fromkeys([*table.COUNTS, *table.PRICES, *table.PARTS], 0)


def host(name: str = "plain", **ns: float) -> Profile:
    """1 ns an instruction, 1,000 a signal, nothing for calls and pages, unless said otherwise."""
    return made_host(name, **{"signal": 1000.0, **ns})


def dearer(profile: Profile, factor: float) -> Profile:
    """The same host, where all that the kernel does takes `factor` times as long."""
    kernel = {name: factor * profile.ns[name] for name, p in PRICES.items() if p.part == KERNEL_PART}
    return replace(with_ns(profile, **kernel), name=f"{profile.name} x {factor}")


def run(recording: str, spec: str, mode: str = "system", **counts) -> CountedRun:
    """1,000 accesses of 8 bytes and less in 1,000 guest instructions, and what `counts` says."""
    usual = {"accesses": 1000, "units8": 1000, "guest_insns": 1000, "loads": 1000}
    strategy = parse_spec(spec)
    usual["hit_insns"] = strategy.hit_insns() * counts.get("units8", 1000)
    return CountedRun(recording, mode, strategy, {**NO_COUNTS, **usual, **counts})


def evidence(*hosts: Profile, live=None, **tables) -> Evidence:
    """`tables` by experiment, `_` for `-` in their names."""
    return Evidence(
        {name.replace("_", "-"): runs for name, runs in tables.items()}, hosts or (host(),), {}, live or {}, "here"
    )


def finding(number: int, found: Evidence) -> Finding:
    return judged(REGISTRY[number], found)


@cache
def committed(*profiles: str) -> Evidence:
    """The evidence of results/, at these hosts; of 2004 and the present-day one for none."""
    names = dict.fromkeys(name for claim in REGISTRY.values() for name in claim.experiments)
    return evidence_for(names, hosts=hosts_of(list(profiles or ("pentium4-2004", "epyc-vm"))))


def changed(found: Evidence, recording: str, spec: str, **counts) -> Evidence:
    """The same, with counts of one run changed: to a value, or by a function of the old one."""

    def of(one: CountedRun) -> CountedRun:
        if one.recording != recording or str(one.strategy) != spec:
            return one
        new = {name: value(one.counts[name]) if callable(value) else value for name, value in counts.items()}
        return replace(one, counts={**one.counts, **new})

    tables = {name: [of(one) for one in runs] for name, runs in found.tables.items() if name != GUEST}
    tables[GUEST] = found.tables.get(GUEST, [])
    return Evidence(tables, found.hosts, found.sources, found.live, found.live_about)


NS = {"insn": 0.5, "signal": 1000, "mmap": 200, "munmap": 300, "mprotect": 400, "page_in": 50, "page_out": 60}
USER_NS = {"hit": 0.25, "access": 0.5, "split": 6, "helper": 20, "walk_level": 11, "scan": 2, "drop": 70}
USER_NS |= {"translate": 900}
USER_NS |= {
    "patched_access": 3,
    "patch": 150,
    "compare_table": 90,
    "checked_entry": 8,
    "checked_byte": 0.0625,
    "mapping": 30,
}


def profile(path=None, dependent=None, extra=None, far=None, cold=None, **assumed) -> Profile:
    """NS and USER_NS, measured without a spread, but for the primitives named: those are assumed."""
    given = {**NS, **USER_NS, **assumed}
    prices = {p: priced_at(given[p], "assumed: a guess" if p in assumed else "measured: here") for p in PRICES}
    groups = {"path": path or {}, "far": far or {}, "cold": cold or {}, "dependent": dependent or {}}
    groups = {
        group: {name: priced_at(ns, "measured: here") for name, ns in held.items()} for group, held in groups.items()
    }
    return Profile("test", "", {**prices, **(extra or {})}, **groups)


class Scheme:
    """As much of a strategy as prices need."""

    name = "scheme"

    def __init__(self, *lines):
        self.lines = [("units8", Cost(hit=4, access=1, source="read: x")), *lines]

    def price_list(self):
        return dict(self.lines)


def priced(user_ns, kernel_ns, **moves) -> Priced:
    """So many ns of code and in the kernel; `moves` are ns that a price can add (from 0 on), or (less, more)."""
    ends = {name: move if isinstance(move, tuple) else (0.0, float(move)) for name, move in moves.items()}
    return Priced(hit_ns=user_ns, kernel_ns=kernel_ns, moves=ends)


# Model and clock are compared on these.
MEASURED_RECORDINGS = ("numeric_sort", "string_sort", "bit_field", "assignment", "huffman", "neural_net", "lu")
MEASURED_RECORDINGS += ("bzip2", "gzip", "linux_early")


class MeasuredError(UserWarning):
    """No warning of anything: how a table comes to the end of pytest's output."""
