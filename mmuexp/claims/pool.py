"""Claim 9: the pool of host blocks can be much smaller than the guest's address space."""

from collections.abc import Iterator

from mmuexp.claims.evidence import MAP_BLOCK, CountedRun, Evidence
from mmuexp.claims.model import BYTES, COUNT, RATE, SHARE, TIMES, Claim, Part
from mmuexp.render.words import number, share, size

SWEEPS = ("pool-size",)
DEFAULTS = ("linux-boot", "linux-windows", "programs")
EXPERIMENTS = (*SWEEPS, *DEFAULTS)
MUCH_SMALLER = 1 / 10  # of the guest's address space
CLOSE = 1.1  # times the time with the largest pool


def space_of(runs: dict[int, CountedRun]) -> int:
    """Bytes of the guest's address space."""
    return 1 << next(iter(runs.values())).address_bits


def by_blocks(evidence: Evidence) -> dict[str, dict[int, CountedRun]]:
    """recording -> blocks of the pool -> run."""
    found: dict[str, dict[int, CountedRun]] = {}
    for run in evidence.runs(*SWEEPS):
        if run.strategy.name == MAP_BLOCK:
            found.setdefault(run.recording, {})[run.strategy.blocks] = run
    return {name: runs for name, runs in found.items() if len(runs) > 1}


def enough(runs: dict[int, CountedRun], host) -> int:
    """The fewest blocks tried from which on the pool costs next to nothing more than the largest one tried."""
    best = runs[max(runs)].ns(host)
    found = max(runs)
    for blocks in sorted(runs, reverse=True):
        if runs[blocks].ns(host) > CLOSE * best:
            break
        found = blocks
    return found


def judge(evidence: Evidence) -> Iterator[Part]:
    part, sweeps = Part("a pool much smaller than the address space is enough"), by_blocks(evidence)
    for host in evidence.hosts:
        needed = {name: enough(runs, host) for name, runs in sweeps.items()}
        for name, blocks in needed.items():
            pool, at = sweeps[name][blocks].counts["reserved_bytes"], (host.name, name)
            space = space_of(sweeps[name])
            part.case(name, pool <= MUCH_SMALLER * space, host.name)
            part.figure("blocks that are enough", blocks, COUNT, *at, key=True)
            part.figure("such a pool", pool, BYTES, *at)
            part.figure("such a pool, of the address space", pool / space, SHARE, *at)
            smallest = min(sweeps[name])
            ratio = sweeps[name][blocks].times(sweeps[name][smallest], host)
            part.figure(f"times as dear with {smallest} blocks", ratio, TIMES, *at)
        if needed:
            name = max(needed, key=needed.__getitem__)
            pool = sweeps[name][needed[name]].counts["reserved_bytes"]
            space = space_of(sweeps[name])
            told = f"{number(needed[name])} blocks, {size(pool)}, {share(pool, space)} of {size(space)}"
            part.conditions[host.name] = f"the pool has {told} or more ({name} needs most)"
    for name, runs in sweeps.items():
        without = [blocks for blocks, run in runs.items() if not run.counts["evictions"]]
        if without:
            part.figure("blocks from which none is taken away", min(without), COUNT, recording=name, key=True)
        for blocks, run in sorted(runs.items()):
            part.figure(f"faults, {blocks} blocks", run.faults, COUNT, recording=name)
    for name, (run,) in evidence.pairs(*DEFAULTS, of=[MAP_BLOCK]):
        what = f"evictions, {run.strategy.blocks} blocks"
        part.figure(what, 1000 * run.share("evictions"), RATE, recording=name, key=name == "boot")
    yield part


CLAIMS = (
    Claim(
        9, "Piotras", "The pool of blocks can be much smaller than the guest's virtual address space.",
        "MODEL.md section 8, claim 9",
        f"on each recording a pool of at most {MUCH_SMALLER:.0%} of the address space costs at most {CLOSE:g} times"
        " what the largest pool tried costs, and so does every larger one",
        EXPERIMENTS, judge,
    ),
)  # fmt: skip
