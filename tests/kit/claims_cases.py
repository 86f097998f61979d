"""What the tests of the claims share: runs made by hand, a host with round prices, evidence with one count changed."""

from dataclasses import replace
from functools import cache

from kit.hosts import made_host, with_ns
from mmuexp.claims import REGISTRY
from mmuexp.claims.evidence import Evidence, Run
from mmuexp.claims.gather import GUEST, evidence_for, hosts_of
from mmuexp.claims.model import Finding
from mmuexp.claims.report import judged
from mmuexp.price.host import Profile
from mmuexp.price.primitives import KERNEL
from mmuexp.price.primitives import PRICES as HOST_PRICES
from mmuexp.result.table import COUNTS, PARTS, PRICES
from mmuexp.strategy.registry import parse_spec

EMPTY = dict.fromkeys([*COUNTS, *PRICES, *PARTS], 0)


def host(name: str = "plain", **ns: float) -> Profile:
    """1 ns an instruction, 1,000 a signal, nothing for calls and pages, unless said otherwise."""
    return made_host(name, **{"signal": 1000.0, **ns})


def dearer(profile: Profile, factor: float) -> Profile:
    """The same host, where all that the kernel does takes `factor` times as long."""
    kernel = {name: factor * profile.ns[name] for name, p in HOST_PRICES.items() if p.part == KERNEL}
    return replace(with_ns(profile, **kernel), name=f"{profile.name} x {factor}")


def run(recording: str, spec: str, mode: str = "system", **counts) -> Run:
    """1,000 accesses of 8 bytes and less in 1,000 guest instructions, and what `counts` says."""
    usual = {"accesses": 1000, "units8": 1000, "guest_insns": 1000, "loads": 1000}
    strategy = parse_spec(spec)
    usual["hit_insns"] = strategy.hit_insns() * counts.get("units8", 1000)
    return Run(recording, mode, strategy, {**EMPTY, **usual, **counts})


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

    def of(one: Run) -> Run:
        if one.recording != recording or str(one.strategy) != spec:
            return one
        new = {name: value(one.counts[name]) if callable(value) else value for name, value in counts.items()}
        return replace(one, counts={**one.counts, **new})

    tables = {name: [of(one) for one in runs] for name, runs in found.tables.items() if name != GUEST}
    tables[GUEST] = found.tables.get(GUEST, [])
    return Evidence(tables, found.hosts, found.sources, found.live, found.live_about)
