"""Claim 6: Linux seemed faster under map-block than under softmmu."""

from collections.abc import Iterator

from mmuexp.claims.estimate import INTEGER, Program
from mmuexp.claims.evidence import MAP_BLOCK, QEMU_10, SOFTMMU, Evidence
from mmuexp.claims.model import RATE, SPEEDUP, Case, Claim, Figure, Part
from mmuexp.claims.words import AGAINST, fault_condition, fault_figures, live_figures, times

EXPERIMENTS = ("linux-boot", "linux-windows")


def judge(evidence: Evidence) -> Iterator[Part]:
    pairs = evidence.pairs(*EXPERIMENTS, of=[SOFTMMU, MAP_BLOCK], mode="system")
    if not pairs:
        yield Part("Linux is faster", ())
        return
    longest = max(pairs, key=lambda pair: pair[1][0].counts["accesses"])[0]
    cases, figures, conditions = [], [], {}
    for host in evidence.hosts:
        for name, (soft, block) in pairs:
            key = name == longest
            even = evidence.even(block, soft, host)
            holds = evidence.ns(block, host) < evidence.ns(soft, host)
            cases.append(Case(name, holds, host.name, evidence.deciding(block, soft, host)))
            figures.append(
                Figure(AGAINST.format(SOFTMMU), times(evidence, block, soft, host), SPEEDUP, host.name, name, True)
            )
            whole = Program(
                soft.counts["guest_insns"] * host.ns["hit"], evidence.ns(soft, host), evidence.ns(block, host)
            )
            figures.append(
                Figure(f"whole program, f = {INTEGER.f:g}", whole.speedup(INTEGER.f), SPEEDUP, host.name, name, key)
            )
            figures += fault_figures(even, host.name, name, key=key)
            if key:
                conditions[host.name] = fault_condition(even, name)
        figures += _newer(evidence, host)
    for name, (soft, _) in pairs:
        rate = 1000 * soft.share("flushes")
        figures.append(Figure("flushes (CR3 writes and the like)", rate, RATE, recording=name, key=name == longest))
    figures += live_figures(evidence, pairs)
    yield Part("Linux is faster", tuple(cases), conditions, tuple(figures))


def _newer(evidence: Evidence, host) -> Iterator[Figure]:
    for name, (newer, block) in evidence.pairs(*EXPERIMENTS, of=[QEMU_10, MAP_BLOCK], mode="system"):
        yield Figure(AGAINST.format(QEMU_10), times(evidence, block, newer, host), SPEEDUP, host.name, name, key=True)


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
