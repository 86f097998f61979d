"""Claim 8: qemu-fast is much faster than softmmu, about two times by QEMU's manual, but its layout is not portable."""

from collections.abc import Iterator

from mmuexp.claims.estimate import CODE_COPY, INTEGER, mean_speedup, programs_of
from mmuexp.claims.evidence import PATCHED, QEMU_10, QEMU_FAST, SOFTMMU, WIDE, CountedRun, Evidence
from mmuexp.claims.model import FACTOR, NS, RATE, SPEEDUP, Claim, Part
from mmuexp.claims.words import between, judge_by_f, live_figures, spread, spread_times
from mmuexp.render.words import duration

USER = ("ten-kernels", "programs")
SYSTEM = ("linux-boot", "linux-windows")
WHOLE = ("linux-boot",)  # its windows were chosen where much happens: no measure of a program
EXPERIMENTS = (*USER, *SYSTEM)
MUCH = 2.0
ABOUT_TWO = (1.5, 2.5)  # what rounds to 2
LAYOUTS = {QEMU_FAST: "2004, unpatched", PATCHED: "2004, patched kernel", WIDE: "64-bit host"}


def fitting(
    evidence: Evidence, base: str = SOFTMMU, system: tuple[str, ...] = SYSTEM
) -> list[tuple[str, list[CountedRun]]]:
    """(recording, [base, qemu-fast]) where the guest fits into the host's layout: user programs, or a 64-bit host."""
    user = evidence.pairs(*USER, of=[base, QEMU_FAST], mode="user")
    return user + evidence.pairs(*system, of=[base, WIDE], mode="system")


def judge(evidence: Evidence) -> Iterator[Part]:
    yield _much_faster(evidence)
    yield _about_two(evidence)
    yield _layout(evidence)


def fault_for_much(soft: CountedRun, fast: CountedRun, host) -> float | None:
    """A fault's price up to which `fast` is MUCH times cheaper than `soft`, which takes none. None: at no price."""
    cost = fast.price(host)
    room = soft.ns(host) / MUCH - (cost.access_ns - cost.kernel_ns)
    return room / fast.faults if fast.faults and room > 0 else None


def _much_faster(evidence: Evidence) -> Part:
    part = Part("much faster")
    pairs = fitting(evidence)
    for host in evidence.hosts:
        for name, (soft, fast) in pairs:
            part.case(name, fast.times(soft, host) >= MUCH, host.name, fast.deciding(soft, host, MUCH))
        part.figures += spread_times(pairs, SOFTMMU, host)
        allowed = {name: fault_for_much(soft, fast, host) for name, (soft, fast) in pairs}
        prices = {name: value for name, value in allowed.items() if value is not None}
        for name, value in prices.items():
            part.figure(f"a fault up to which it is {MUCH:g} times faster", value, NS, host.name, name)
        here = {n: fast.price(host).kernel_ns / fast.faults for n, (_, fast) in pairs if fast.faults}
        for name, value in here.items():
            part.figure("a host fault here", value, NS, host.name, name)
        if prices:
            name = max(pairs, key=lambda pair: pair[1][0].counts["accesses"] if pair[0] in prices else 0)[0]
            part.conditions[host.name] = (
                f"a host fault costs less than {duration(prices[name])} on {name} (here {duration(here[name])})"
            )
        part.figures += spread_times(fitting(evidence, QEMU_10), QEMU_10, host)
    part.figures += live_figures(evidence, pairs)
    return part


def _about_two(evidence: Evidence) -> Part:
    part = Part("softmmu about two times slower (QEMU's manual)")
    least, most = ABOUT_TWO
    for host in evidence.hosts:
        found = programs_of(fitting(evidence, system=WHOLE), host)
        if not found:
            continue
        low, high = judge_by_f(part, found, host.name, least, most)
        for name, one in found.items():
            part.figure("f from which it is about two", one.f_at(most), FACTOR, host.name, name)
            part.figure("f up to which it is about two", one.f_at(least), FACTOR, host.name, name)
            part.figure(f"whole program, f = {INTEGER.f:g}", one.speedup(INTEGER.f), SPEEDUP, host.name, name)
        mean = mean_speedup(list(found.values()), INTEGER.f)
        part.figure(f"whole programs, the mean at f = {INTEGER.f:g}", mean, SPEEDUP, host.name, key=True)
        part.figures += between("it is about two, the mean", low, high, host.name) if high > 0 else []
        with_copy = {name: one.speedup(INTEGER.f, CODE_COPY.f) for name, one in found.items()}
        part.figures += spread("with code copy, which only qemu-fast has", with_copy, SPEEDUP, host.name)
    return part


def _layout(evidence: Evidence) -> Part:
    """Unpatched Linux: worse than softmmu in the layout of 2004, better than that where its kernel fits."""
    part = Part("its memory layout is not portable")
    found = evidence.recordings(*SYSTEM, mode="system")
    with_all = {name: runs for name, runs in found.items() if {SOFTMMU, QEMU_FAST, WIDE} <= runs.keys()}
    longest = max(with_all, key=lambda name: with_all[name][SOFTMMU].counts["accesses"], default="")
    for host in evidence.hosts:
        for name, runs in with_all.items():
            ns = {spec: run.ns(host) for spec, run in runs.items()}
            part.case(name, ns[QEMU_FAST] > max(ns[SOFTMMU], ns[WIDE]), host.name)
            for spec in [spec for spec in LAYOUTS if spec in ns]:
                what = f"memory accesses, {LAYOUTS[spec]}"
                part.figure(what, ns[SOFTMMU] / ns[spec], SPEEDUP, host.name, name, name == longest)
    for name, runs in with_all.items():
        rate = 1000 * runs[QEMU_FAST].share("faults_softmmu")
        what = "faults that retranslate a block, 2004 unpatched"
        part.figure(what, rate, RATE, recording=name, key=name == longest)
    return part


CLAIMS = (
    Claim(
        8, "Piotras; QEMU's manual of 2004",
        "qemu-fast is much faster than softmmu (the manual: softmmu is about two times slower), but its memory layout"
        " is not portable.",
        "MODEL.md section 8, claim 8; qemu-doc.texi:100",
        f"where the guest fits (user programs; Linux on a 64-bit host) softmmu's memory accesses cost at least {MUCH:g}"
        f" times qemu-fast's; the whole program is {ABOUT_TWO[0]} to {ABOUT_TWO[1]} times faster for f between two"
        " values, as in claim 5; unpatched Linux costs more in the layout of 2004 than under softmmu, and more than on"
        " a 64-bit host",
        EXPERIMENTS, judge,
        "Linux 6.1 in place of the patched Linux of 2004, its kernel moved by kernel_offset; code copy is a figure, and"
        " was not run",
    ),
)  # fmt: skip
