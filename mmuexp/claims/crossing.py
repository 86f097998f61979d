"""Claim 3: what an access that crosses a page costs under byte-lookup and under map-block."""

from collections.abc import Iterator
from typing import Any

from mmuexp.claims.evidence import BYTE_LOOKUP, MAP_BLOCK, SOFTMMU, CountedRun, Evidence
from mmuexp.claims.model import COUNT, NS, Claim, Part
from mmuexp.claims.words import live_figures

EXPERIMENTS = ("page-crossing", "ten-kernels", "programs", "linux-windows", "linux-boot")


def _signal_each(byte: CountedRun, soft: CountedRun | None) -> bool:
    """Of RAM, as softmmu counts them; a crossing of device memory is answered by one signal for the device."""
    if soft is not None:
        return byte.counts["faults_cross"] == soft.counts["slow_cross"]
    return 0 <= byte.counts["page_cross"] - byte.counts["faults_cross"] <= byte.counts["faults_io"]


def judge(evidence: Evidence) -> Iterator[Part]:
    pairs = evidence.pairs(*EXPERIMENTS, of=[BYTE_LOOKUP, MAP_BLOCK])
    crossing = [(name, runs) for name, runs in pairs if runs[0].counts["page_cross"]]
    every = evidence.recordings(*EXPERIMENTS)
    part = Part("byte-lookup takes a signal for each")
    for at, (name, (byte, block)) in enumerate(crossing):
        shown: Any = {"unit": COUNT, "recording": name, "key": at == 0}
        part.case(name, _signal_each(byte, every[name].get(SOFTMMU)))
        part.figure("accesses that cross a page", byte.counts["page_cross"], **shown)
        part.figure("signals for them, byte-lookup", byte.counts["faults_cross"], **shown)
        part.figure("signals in all, map-block", block.faults, **shown)
    _each(part, evidence, BYTE_LOOKUP)
    yield part
    part = Part("map-block runs them at full speed")
    _each(part, evidence, MAP_BLOCK)
    _each(part, evidence, SOFTMMU)
    for host in evidence.hosts:
        for name, (_, block) in crossing:
            part.case(name, block.price(host).cross_ns == 0, host.name)
    part.figures += live_figures(evidence, crossing[:1])
    yield part


def _each(part: Part, evidence: Evidence, spec: str) -> None:
    """What one costs beyond the same access aligned, on the recording that has most of them."""
    runs = [run for _, (run,) in evidence.pairs(*EXPERIMENTS, of=[spec]) if run.counts["page_cross"]]
    if runs:
        run = max(runs, key=lambda run: run.share("page_cross"))
        for host in evidence.hosts:
            ns = run.price(host).cross_ns / run.counts["page_cross"]
            part.figure(f"what one costs more, {spec}", ns, NS, host.name, run.recording, key=True)


CLAIMS = (
    Claim(
        3, "Piotras, Magnus Damm",
        "An access that crosses a page costs byte-lookup a signal; map-block runs it at full speed.",
        "MODEL.md section 8, claim 3",
        "of each recording with such accesses: byte-lookup's faults_cross are as many; map-block's cross_ns is 0",
        EXPERIMENTS, judge,
    ),
)  # fmt: skip
