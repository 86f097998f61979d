"""Claim 5: nbench came out 20-30 % better than under softmmu. A whole program, so the code generator decides."""

from collections.abc import Iterator

from mmuexp.claims.estimate import FLOATING, INTEGER, SOURCED, Program, mean_f_at, mean_speedup, programs_of
from mmuexp.claims.evidence import MAP_BLOCK, QEMU_10, SOFTMMU, Evidence
from mmuexp.claims.model import FACTOR, SPEEDUP, Claim, Part
from mmuexp.claims.words import between, judge_by_f, live_figures, spread_times

EXPERIMENTS = ("ten-kernels",)
LEAST, MOST = 1.2, 1.3  # times the results under softmmu: nbench's results are rates
SAVED = (0.2, 0.3)  # the other reading: that share of the time
FLOATING_KERNELS = ("fourier", "neural_net", "lu")  # nbench's floating-point index


def programs(evidence: Evidence, host, base: str = SOFTMMU) -> dict[str, Program]:
    """Each recording under map-block, against `base`."""
    return programs_of(evidence.pairs(*EXPERIMENTS, of=[base, MAP_BLOCK]), host)


def _at_sources(found: dict[str, Program]) -> float:
    """The geometric mean with the factor that sources give each kernel's kind."""
    return mean_speedup(list(found.values()), [(FLOATING if n in FLOATING_KERNELS else INTEGER).f for n in found])


def judge(evidence: Evidence) -> Iterator[Part]:
    part = Part("20-30 % better results")
    pairs = evidence.pairs(*EXPERIMENTS, of=[SOFTMMU, MAP_BLOCK])
    for host in evidence.hosts:
        found = programs(evidence, host)
        if not found:
            continue
        every = list(found.values())
        low, high = judge_by_f(part, found, host.name, LEAST, MOST)
        told = f"whole programs, the mean at f = {INTEGER.f:g} ({FLOATING.f:g} floating point)"
        part.figure(told, _at_sources(found), SPEEDUP, host.name, key=True)
        for name, one in found.items():
            at = host.name, name
            part.figure("f from which it holds", one.f_at(MOST), FACTOR, *at)
            part.figure("f up to which it holds", one.f_at(LEAST), FACTOR, *at)
            part.figure("f from which 30 % of the time is saved", one.f_at_saving(SAVED[1]), FACTOR, *at)
            part.figure("f from which 20 % of the time is saved", one.f_at_saving(SAVED[0]), FACTOR, *at)
            for f in (*SOURCED, INTEGER.f):
                part.figure(f"whole program, f = {f:g}", one.speedup(f), SPEEDUP, *at)
        if high > 0:
            part.figures += between("it holds, the mean", low, high, host.name)
            least, most = (mean_f_at(every, 1 / (1 - share)) for share in reversed(SAVED))
            part.figures += between("20-30 % of the time are saved", least, most, host.name)
        part.figures += spread_times(pairs, SOFTMMU, host)
        if newer := programs(evidence, host, QEMU_10):
            told = "whole programs against softmmu-qemu10, the mean"
            part.figure(told, _at_sources(newer), SPEEDUP, host.name, key=True)
    part.figures += live_figures(evidence, pairs)
    yield part


CLAIMS = (
    Claim(
        5, "Piotras", "The nbench results were about 20-30 % better than with the traditional softmmu.",
        "MODEL.md section 8, claim 5",
        "whole programs, T = guest_insns x f x ns of an instruction + the scheme's own: the geometric mean of the"
        f" speed-ups is {LEAST} to {MOST} for f between two values. It holds if every sourced f ({SOURCED[0]:g}: code"
        f" copy; {INTEGER.f:g}: QEMU 0.4.2, integer; {FLOATING.f:g}: floating point) lies between them, holds when f"
        " does if some may, else not. A kernel is named as holding if its own two values reach into the sourced range",
        EXPERIMENTS, judge,
        "ten own kernels of nbench's kinds in place of nbench, each run once",
    ),
)  # fmt: skip
