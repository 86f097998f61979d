"""Claim 9: the pool of host blocks can be much smaller than the guest's address space."""

from collections.abc import Iterator

from mmuexp.claims.evidence import MAP_BLOCK, Evidence, Run
from mmuexp.claims.model import BYTES, COUNT, RATE, SHARE, TIMES, Case, Claim, Figure, Part
from mmuexp.guest import ADDRESS_BITS
from mmuexp.render.words import number, share, size

SWEEPS = ("pool-size",)
DEFAULTS = ("linux-boot", "linux-windows", "programs")
EXPERIMENTS = (*SWEEPS, *DEFAULTS)
MUCH_SMALLER = 1 / 10  # of the guest's address space
CLOSE = 1.1  # times the time with the largest pool
SPACE = 1 << ADDRESS_BITS


def by_blocks(evidence: Evidence) -> dict[str, dict[int, Run]]:
    """recording -> blocks of the pool -> run."""
    found: dict[str, dict[int, Run]] = {}
    for run in evidence.runs(*SWEEPS):
        if run.strategy.name == MAP_BLOCK:
            found.setdefault(run.recording, {})[run.strategy.blocks] = run
    return {name: runs for name, runs in found.items() if len(runs) > 1}


def enough(evidence: Evidence, runs: dict[int, Run], host) -> int:
    """The fewest blocks tried from which on the pool costs next to nothing more than the largest one tried."""
    best = evidence.ns(runs[max(runs)], host)
    found = max(runs)
    for blocks in sorted(runs, reverse=True):
        if evidence.ns(runs[blocks], host) > CLOSE * best:
            break
        found = blocks
    return found


def judge(evidence: Evidence) -> Iterator[Part]:
    sweeps = by_blocks(evidence)
    cases, figures, conditions = [], [], {}
    for host in evidence.hosts:
        needed = {name: enough(evidence, runs, host) for name, runs in sweeps.items()}
        for name, blocks in needed.items():
            bytes_ = sweeps[name][blocks].counts["reserved_bytes"]
            cases.append(Case(name, bytes_ <= MUCH_SMALLER * SPACE, host.name))
            figures.append(Figure("blocks that are enough", blocks, COUNT, host.name, name, key=True))
            figures.append(Figure("such a pool", bytes_, BYTES, host.name, name))
            figures.append(Figure("such a pool, of the address space", bytes_ / SPACE, SHARE, host.name, name))
            smallest = min(sweeps[name])
            ratio = evidence.ns(sweeps[name][smallest], host) / evidence.ns(sweeps[name][blocks], host)
            figures.append(Figure(f"times as dear with {smallest} blocks", ratio, TIMES, host.name, name))
        if needed:
            name = max(needed, key=needed.__getitem__)
            bytes_ = sweeps[name][needed[name]].counts["reserved_bytes"]
            told = f"{number(needed[name])} blocks, {size(bytes_)}, {share(bytes_, SPACE)} of 4 GiB"
            conditions[host.name] = f"the pool has {told} or more ({name} needs most)"
    figures += _evictions(evidence, sweeps)
    yield Part("a pool much smaller than 4 GiB is enough", tuple(cases), conditions, tuple(figures))


def _evictions(evidence: Evidence, sweeps: dict[str, dict[int, Run]]) -> Iterator[Figure]:
    for name, runs in sweeps.items():
        without = [blocks for blocks, run in runs.items() if not run.counts["evictions"]]
        if without:
            yield Figure("blocks from which none is taken away", min(without), COUNT, recording=name, key=True)
        for blocks, run in sorted(runs.items()):
            yield Figure(f"faults, {blocks} blocks", run.faults, COUNT, recording=name)
    for name, (run,) in evidence.pairs(*DEFAULTS, of=[MAP_BLOCK]):
        what = f"evictions, {run.strategy.blocks} blocks"
        yield Figure(what, 1000 * run.share("evictions"), RATE, recording=name, key=name == "boot")


CLAIMS = (
    Claim(
        9, "Piotras", "The pool of blocks can be much smaller than the guest's virtual address space.",
        "MODEL.md section 8, claim 9",
        f"on each recording a pool of at most {MUCH_SMALLER:.0%} of 4 GiB costs at most {CLOSE:g} times what the"
        " largest pool tried costs, and so does every larger one",
        EXPERIMENTS, judge,
    ),
)  # fmt: skip
