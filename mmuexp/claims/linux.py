"""Claim 6: Linux seemed faster under map-block than under softmmu."""

from collections.abc import Iterator

from mmuexp.claims.estimate import INTEGER, programs_of
from mmuexp.claims.evidence import MAP_BLOCK, QEMU_10, SOFTMMU, Evidence
from mmuexp.claims.model import RATE, SPEEDUP, Claim, Part
from mmuexp.claims.words import AGAINST, fault_condition, fault_figures, live_figures

EXPERIMENTS = ("linux-boot", "linux-windows")


def judge(evidence: Evidence) -> Iterator[Part]:
    part = Part("Linux is faster")
    pairs = evidence.pairs(*EXPERIMENTS, of=[SOFTMMU, MAP_BLOCK], mode="system")
    longest = max(pairs, key=lambda pair: pair[1][0].counts["accesses"])[0] if pairs else ""
    for host in evidence.hosts if pairs else ():
        whole = programs_of(pairs, host)
        for name, (soft, block) in pairs:
            key, even = name == longest, block.even(soft, host)
            part.case(name, block.ns(host) < soft.ns(host), host.name, block.deciding(soft, host))
            part.figure(AGAINST.format(SOFTMMU), block.times(soft, host), SPEEDUP, host.name, name, True)
            if name in whole:
                what = f"whole program, f = {INTEGER.f:g}"
                part.figure(what, whole[name].speedup(INTEGER.f), SPEEDUP, host.name, name, key)
            part.figures += fault_figures(even, host.name, name, key=key)
            if key:
                part.conditions[host.name] = fault_condition(even, name)
        for name, (newer, block) in evidence.pairs(*EXPERIMENTS, of=[QEMU_10, MAP_BLOCK], mode="system"):
            part.figure(AGAINST.format(QEMU_10), block.times(newer, host), SPEEDUP, host.name, name, True)
    for name, (soft, _) in pairs:
        rate = 1000 * soft.share("flushes")
        part.figure("flushes (CR3 writes and the like)", rate, RATE, recording=name, key=name == longest)
    part.figures += live_figures(evidence, pairs)
    yield part


CLAIMS = (
    Claim(
        6, "Piotras", "Linux seemed faster.",
        "MODEL.md section 8, claim 6",
        "on each recording of Linux map-block's memory accesses cost less than softmmu's; the condition is that of the"
        " longest recording",
        EXPERIMENTS, judge,
        "Linux 6.1 of Debian 12 in place of the Linux 2.4 or 2.6 of 2004; a boot to busybox and four windows of it"
        " where much happens",
    ),
)  # fmt: skip
