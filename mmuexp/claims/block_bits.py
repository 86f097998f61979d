"""Claim 4: MAP_BLOCK_BITS above 12, for a smaller table and less fragmentation of the memory map."""

from collections.abc import Iterator

from mmuexp.claims.evidence import MAP_BLOCK, CountedRun, Evidence
from mmuexp.claims.model import BYTES, COUNT, NS, TIMES, Claim, Part

EXPERIMENTS = ("map-block-bits",)
TWELVE = 12
Groups = dict[tuple[str, str], dict[int, CountedRun]]  # recording, pool -> bits -> run


def groups(evidence: Evidence) -> Groups:
    """Sweeps over the bits: one for each recording and pool."""
    found: Groups = {}
    for run in evidence.runs(*EXPERIMENTS):
        if run.strategy.name == MAP_BLOCK:
            found.setdefault((run.recording, pool_of(run.strategy)), {})[run.strategy.map_block_bits] = run
    return {names: runs for names, runs in found.items() if TWELVE in runs and len(runs) > 1}


def pool_of(strategy) -> str:
    return f"{strategy.pool_mib} MiB" if strategy.pool_mib else f"{strategy.pool_blocks} blocks"


def judge(evidence: Evidence) -> Iterator[Part]:
    found = groups(evidence)
    yield _worst_at_12(found, "it limits the table", "lookup table", "table_bytes", BYTES)
    limits = "it limits the fragmentation of the memory map"
    yield _worst_at_12(found, limits, "host mappings at most", "peak_mappings", COUNT)
    part = Part("so a larger value costs less")
    for host in evidence.hosts:
        for (recording, pool), runs in found.items():
            at = host.name, f"{recording} ({pool})"
            prices = {bits: run.ns(host) for bits, run in runs.items()}
            best = min((bits for bits in prices if bits > TWELVE), key=prices.__getitem__)
            part.case(at[1], prices[best] < prices[TWELVE], host.name)
            part.figure("memory access time at 12 bits", prices[TWELVE], NS, *at)
            part.figure("times that of the best", prices[TWELVE] / prices[best], TIMES, *at, key=True)
            part.figure("the best bits", best, COUNT, *at)
    yield part


def _worst_at_12(found: Groups, meaning: str, quantity: str, column: str, unit: str) -> Part:
    """Is a count largest at 12 bits? The condition names the pools with which it is so on every recording."""
    part, pools = Part(meaning), dict[str, bool]()
    for at, ((recording, pool), runs) in enumerate(found.items()):
        named, counts = f"{recording} ({pool})", {bits: run.counts[column] for bits, run in sorted(runs.items())}
        holds = all(counts[bits] < counts[TWELVE] for bits in counts if bits > TWELVE)
        part.case(named, holds)
        pools[pool] = pools.get(pool, True) and holds
        last = at == len(found) - 1
        shown = (TWELVE, type(runs[TWELVE].strategy)().map_block_bits, max(runs)) if last else ()
        for bits, count in counts.items():
            part.figure(f"{quantity}, {bits} bits", count, unit, recording=named, key=bits in shown)
    held = [pool for pool, holds in pools.items() if holds]
    if found:
        part.conditions[""] = f"the pool is of {' or of '.join(held)}" if held else "at none of the pools tried"
    return part


CLAIMS = (
    Claim(
        4, "Piotras", "MAP_BLOCK_BITS should be above 12, to limit the table and the fragmentation of the memory map.",
        "MODEL.md section 8, claim 4",
        "in each sweep of one recording and one pool: of the values swept, 12 has the largest table, and the most host"
        " mappings; some larger value costs less",
        EXPERIMENTS, judge,
    ),
)  # fmt: skip
