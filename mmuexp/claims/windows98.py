"""Claim 7: Windows 98 much slower, because it writes to the very pages its code runs from.

Two recordings of our own guest (habit_10 and habit_100) run the same code and differ only in how many of its rounds
store beside that code. So under each scheme

    p    = (ns of habit_10 - ns of habit_100) / (stores more)       one such store, and what follows from it
    rate = stores for each 1,000 accesses from which map-block takes n times softmmu's time

A recording is much slower *for that reason* if it is much slower, and its own such stores at p would do it alone.
"""

from collections.abc import Iterator

from mmuexp.claims.evidence import MAP_BLOCK, QEMU_10, SOFTMMU, CountedRun, Evidence
from mmuexp.claims.model import COUNT, NS, RATE, SHARE, TIMES, Claim, Part
from mmuexp.render.words import significant

EXPERIMENTS = ("windows-habit", "habit-search")  # the first holds our guest
GUEST = ("habit_10", "habit_100")
MUCH = 2.0
OFTEN = 0.1  # such stores for each 1,000 accesses: of recordings with fewer the terminal shows no figure


def price_of_store(evidence: Evidence, spec: str, host) -> float | None:
    """p: ns of one store beside running code, under a scheme; None without our guest's recordings."""
    found = evidence.recordings("habit-guest")
    if not all(name in found and {spec, MAP_BLOCK} <= found[name].keys() for name in GUEST):
        return None
    (many, few), counted = ([found[name][s] for name in GUEST] for s in (spec, MAP_BLOCK))
    stores = counted[0].counts["faults_code"] - counted[1].counts["faults_code"]
    return (many.ns(host) - few.ns(host)) / stores if stores else None


def rate_from(evidence: Evidence, host, factor: float, base: str = SOFTMMU) -> float | None:
    """Such stores for each 1,000 accesses from which map-block takes `factor` times `base`'s time, in our guest."""
    block, soft = (price_of_store(evidence, spec, host) for spec in (MAP_BLOCK, base))
    if block is None or soft is None or block <= factor * soft:
        return None
    runs = evidence.recordings("habit-guest")[GUEST[1]]
    here, there = runs[MAP_BLOCK], runs[base]
    stores, accesses = here.counts["faults_code"], here.counts["accesses"]
    room = (factor * there.ns(host) - here.ns(host)) / (block - factor * soft)
    return 1000 * (stores + room) / (accesses + room)


def for_that_reason(soft: CountedRun, block: CountedRun, host, prices: tuple[float, float]) -> bool:
    """Much slower, and its stores beside code alone would make it so."""
    stores = block.counts["faults_code"]
    without = soft.ns(host) - stores * prices[1]  # softmmu's time, were there none
    alone = without + stores * prices[0] >= MUCH * (without + stores * prices[1])
    return alone and block.ns(host) >= MUCH * soft.ns(host)


def judge(evidence: Evidence) -> Iterator[Part]:
    part = Part("much slower, for its stores beside running code")
    pairs = [(n, r) for n, r in evidence.pairs(*EXPERIMENTS, of=[SOFTMMU, MAP_BLOCK]) if r[1].counts["faults_code"]]
    for host in evidence.hosts:
        mine, its = (price_of_store(evidence, spec, host) for spec in (MAP_BLOCK, SOFTMMU))
        if mine is None or its is None:
            continue
        slower, much = (rate_from(evidence, host, factor) for factor in (1.0, MUCH))
        if slower is None or much is None:
            part.conditions[host.name] = "at no rate of such stores: softmmu pays as much for one"
        else:
            part.conditions[host.name] = (
                f"there are more than {significant(much)} stores beside running code for each 1,000 accesses (slower at"
                f" all from {significant(slower)}), with nothing else against it"
            )
            part.figure("rate from which map-block is slower", slower, RATE, host.name, key=True)
            part.figure(f"rate from which it is {MUCH:g} times slower", much, RATE, host.name, key=True)
        part.figure("one store beside code, map-block", mine, NS, host.name, key=True)
        part.figure("one store beside code, softmmu", its, NS, host.name, key=True)
        if newer := rate_from(evidence, host, 1.0, QEMU_10):
            part.figure("rate from which it is slower than softmmu-qemu10", newer, RATE, host.name, key=True)
        for name, (soft, block) in pairs:
            holds = for_that_reason(soft, block, host, (mine, its))
            part.case(name, holds, host.name, soft.deciding(block, host, MUCH))
            key = 1000 * block.share("faults_code") >= OFTEN and not name.startswith("habit_")  # of real programs
            part.figure("times softmmu's time", 1 / block.times(soft, host), TIMES, host.name, name, key)
            share = block.counts["faults_code"] * mine / block.ns(host)
            part.figure("of map-block's time, those stores", share, SHARE, host.name, name)
    for name, (_, block) in pairs:
        part.figure("stores beside running code", 1000 * block.share("faults_code"), RATE, recording=name)
    for name, (_, block) in pairs:
        part.figure("faults_code", block.counts["faults_code"], COUNT, recording=name)
    yield part


CLAIMS = (
    Claim(
        7, "Piotras", "Windows 98 seemed much slower, because it writes to the very pages its code runs from.",
        "MODEL.md section 8, claim 7",
        f"of recordings with such stores (faults_code): map-block takes at least {MUCH:g} times softmmu's time, and"
        " those stores, at what one costs in our guest, would do it alone",
        EXPERIMENTS, judge,
        "no Windows 98 was recorded: KolibriOS and FreeDOS have its habit, so do SeaBIOS, boot loaders and a guest of"
        " our own at eight rates; Linux and what else of Debian writes to its code beside them",
    ),
)  # fmt: skip
