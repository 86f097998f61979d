"""Claim 4: MAP_BLOCK_BITS above 12, for a smaller table and less fragmentation of the memory map."""

from collections.abc import Iterator, Sequence

from mmuexp.claims.evidence import MAP_BLOCK, Evidence, Run
from mmuexp.claims.model import BYTES, COUNT, NS, TIMES, Case, Claim, Figure, Part

EXPERIMENTS = ("map-block-bits",)
TWELVE = 12
Group = tuple[str, str, dict[int, Run]]  # recording, pool, bits -> run


def groups(evidence: Evidence) -> list[Group]:
    """Sweeps over the bits: one for each recording and pool."""
    found: dict[tuple[str, str], dict[int, Run]] = {}
    for run in evidence.runs(*EXPERIMENTS):
        if run.strategy.name == MAP_BLOCK:
            found.setdefault((run.recording, pool_of(run.strategy)), {})[run.strategy.map_block_bits] = run
    return [(*names, runs) for names, runs in found.items() if TWELVE in runs and len(runs) > 1]


def pool_of(strategy) -> str:
    return f"{strategy.pool_mib} MiB" if strategy.pool_mib else f"{strategy.pool_blocks} blocks"


def _named(group: Group) -> str:
    return f"{group[0]} ({group[1]})"


def _worst_at_12(runs: dict[int, Run], column: str) -> bool:
    return all(run.counts[column] < runs[TWELVE].counts[column] for bits, run in runs.items() if bits > TWELVE)


def _pools_that_hold(found: Sequence[Group], cases: Sequence[Case]) -> str:
    """With which pools it holds on every recording."""
    answers: dict[str, list[bool]] = {}
    for group, case in zip(found, cases, strict=True):
        answers.setdefault(group[1], []).append(case.holds)
    pools = [pool for pool, held in answers.items() if all(held)]
    return f"the pool is of {' or of '.join(pools)}" if pools else "at none of the pools tried"


def judge(evidence: Evidence) -> Iterator[Part]:
    found = groups(evidence)
    for meaning, column, unit in (
        ("it limits the table", "table_bytes", BYTES),
        ("it limits the fragmentation of the memory map", "peak_mappings", COUNT),
    ):
        cases = [Case(_named(group), _worst_at_12(group[2], column)) for group in found]
        figures = [
            figure for at, group in enumerate(found) for figure in _by_bits(group, column, unit, at == len(found) - 1)
        ]
        yield Part(meaning, tuple(cases), {"": _pools_that_hold(found, cases)} if found else {}, tuple(figures))
    yield _cheaper_above(evidence, found)


def _by_bits(group: Group, column: str, unit: str, last: bool) -> Iterator[Figure]:
    runs = group[2]
    shown = (TWELVE, type(runs[TWELVE].strategy)().map_block_bits, max(runs)) if last else ()
    for bits, run in sorted(runs.items()):
        name = {"table_bytes": "lookup table", "peak_mappings": "host mappings at most"}[column]
        yield Figure(f"{name}, {bits} bits", run.counts[column], unit, recording=_named(group), key=bits in shown)


def _cheaper_above(evidence: Evidence, found: Sequence[Group]) -> Part:
    cases, figures, conditions = [], [], {}
    for host in evidence.hosts:
        for group in found:
            prices = {bits: evidence.ns(run, host) for bits, run in group[2].items()}
            best = min((bits for bits in prices if bits > TWELVE), key=prices.__getitem__)
            cases.append(Case(_named(group), prices[best] < prices[TWELVE], host.name))
            figures.append(Figure("memory access time at 12 bits", prices[TWELVE], NS, host.name, _named(group)))
            figures.append(
                Figure("times that of the best", prices[TWELVE] / prices[best], TIMES, host.name, _named(group), True)
            )
            figures.append(Figure("the best bits", best, COUNT, host.name, _named(group)))
    return Part("so a larger value costs less", tuple(cases), conditions, tuple(figures))


CLAIMS = (
    Claim(
        4, "Piotras", "MAP_BLOCK_BITS should be above 12, to limit the table and the fragmentation of the memory map.",
        "MODEL.md section 8, claim 4",
        "in each sweep of one recording and one pool: of the values swept, 12 has the largest table, and the most host"
        " mappings; some larger value costs less",
        EXPERIMENTS, judge,
    ),
)  # fmt: skip
