"""Claim 3: what an access that crosses a page costs under byte-lookup and under map-block."""

from collections.abc import Iterator

from mmuexp.claims.evidence import BYTE_LOOKUP, MAP_BLOCK, SOFTMMU, Evidence, Run
from mmuexp.claims.model import COUNT, NS, Case, Claim, Figure, Part
from mmuexp.claims.words import live_figures

EXPERIMENTS = ("page-crossing", "ten-kernels", "programs", "linux-windows", "linux-boot")


def _signal_each(byte: Run, soft: Run | None) -> bool:
    """Of RAM, as softmmu counts them; a crossing of device memory is answered by one signal for the device."""
    if soft is not None:
        return byte.counts["faults_cross"] == soft.counts["slow_cross"]
    return 0 <= byte.counts["page_cross"] - byte.counts["faults_cross"] <= byte.counts["faults_io"]


def judge(evidence: Evidence) -> Iterator[Part]:
    crossing = [
        (name, runs)
        for name, runs in evidence.pairs(*EXPERIMENTS, of=[BYTE_LOOKUP, MAP_BLOCK])
        if runs[0].counts["page_cross"]
    ]
    every = evidence.recordings(*EXPERIMENTS)
    cases = tuple(Case(name, _signal_each(byte, every[name].get(SOFTMMU))) for name, (byte, _) in crossing)
    yield Part(
        "byte-lookup takes a signal for each", cases, figures=(*_counted(crossing), *_each(evidence, BYTE_LOOKUP))
    )
    cases, figures = (), [*_each(evidence, MAP_BLOCK), *_each(evidence, SOFTMMU)]
    for host in evidence.hosts:
        cases += tuple(
            Case(name, evidence.price(block, host).cross_ns == 0, host.name) for name, (_, block) in crossing
        )
    figures += live_figures(evidence, crossing[:1])
    yield Part("map-block runs them at full speed", cases, figures=tuple(figures))


def _counted(crossing: list) -> Iterator[Figure]:
    for at, (name, (byte, block)) in enumerate(crossing):
        key = at == 0
        yield Figure("accesses that cross a page", byte.counts["page_cross"], COUNT, recording=name, key=key)
        yield Figure("signals for them, byte-lookup", byte.counts["faults_cross"], COUNT, recording=name, key=key)
        yield Figure("signals in all, map-block", block.faults, COUNT, recording=name, key=key)


def _each(evidence: Evidence, spec: str) -> Iterator[Figure]:
    """What one costs beyond the same access aligned, on the recording that has most of them."""
    runs = [run for _, (run,) in evidence.pairs(*EXPERIMENTS, of=[spec]) if run.counts["page_cross"]]
    if not runs:
        return
    run = max(runs, key=lambda run: run.share("page_cross"))
    for host in evidence.hosts:
        ns = evidence.price(run, host).cross_ns / run.counts["page_cross"]
        yield Figure(f"what one costs more, {spec}", ns, NS, host.name, run.recording, key=True)


CLAIMS = (
    Claim(
        3, "Piotras, Magnus Damm",
        "An access that crosses a page costs byte-lookup a signal; map-block runs it at full speed.",
        "MODEL.md section 8, claim 3",
        "of each recording with such accesses: byte-lookup's faults_cross are as many; map-block's cross_ns is 0",
        EXPERIMENTS, judge,
    ),
)  # fmt: skip
