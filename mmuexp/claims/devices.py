"""Claim 10: byte-lookup is of little use for memory-mapped I/O, perhaps good for user mode."""

from collections.abc import Iterator

from mmuexp.claims.evidence import BYTE_LOOKUP, QEMU_10, SOFTMMU, CountedRun, Evidence, ns_of
from mmuexp.claims.model import COUNT, NS, RATE, Claim, Part
from mmuexp.claims.words import fault_condition, fault_figures, live_figures, spread_times
from mmuexp.render.words import significant

SYSTEM = ("linux-boot", "linux-windows", "windows-habit")
USER = ("programs", "ten-kernels")
EXPERIMENTS = (*SYSTEM, *USER)
MUCH = 2.0


def judge(evidence: Evidence) -> Iterator[Part]:
    yield _devices(evidence)
    yield _user_mode(evidence)


def device_prices(soft: CountedRun, byte: CountedRun, host) -> tuple[float, float]:
    """ns of one access to a device: softmmu's helper, byte-lookup's signal."""
    return ns_of(soft.strategy, host, slow_io=1), ns_of(byte.strategy, host, faults_io=1)


def rate_of_devices(soft: CountedRun, byte: CountedRun, host) -> float:
    """Accesses to devices, of each 1,000, that cost what byte-lookup's shorter hit path saves on the others."""
    gain = ns_of(soft.strategy, host, units8=1) - ns_of(byte.strategy, host, units8=1)
    helper, signal = device_prices(soft, byte, host)
    return 1000 * gain / (gain + signal - helper)


def _devices(evidence: Evidence) -> Part:
    part = Part("of little use for memory-mapped I/O")
    pairs = [(n, r) for n, r in evidence.pairs(*SYSTEM, of=[SOFTMMU, BYTE_LOOKUP]) if r[0].counts["io_accesses"]]
    for host in evidence.hosts:
        for at, (name, (soft, byte)) in enumerate(pairs):
            helper, signal = device_prices(soft, byte, host)
            every = byte.counts["faults_io"] == byte.counts["io_accesses"]
            part.case(name, every and signal >= MUCH * helper, host.name)
            if at == 0:
                rate = rate_of_devices(soft, byte, host)
                part.conditions[host.name] = (
                    f"devices are more than {significant(rate)} of each 1,000 accesses: below that the shorter hit path"
                    " makes up for their signals"
                )
                part.figure("one device access, softmmu", helper, NS, host.name, key=True)
                part.figure("one device access, byte-lookup", signal, NS, host.name, key=True)
                part.figure("rate that undoes the shorter path", rate, RATE, host.name, key=True)
    for at, (name, (_, byte)) in enumerate(pairs):
        part.figure("device accesses", 1000 * byte.share("io_accesses"), RATE, recording=name, key=at == 0)
        part.figure("signals for them", byte.counts["faults_io"], COUNT, recording=name)
    return part


def _user_mode(evidence: Evidence) -> Part:
    part = Part("good for user mode")
    pairs = evidence.pairs(*USER, of=[SOFTMMU, BYTE_LOOKUP], mode="user")
    for host in evidence.hosts:
        evens = {name: byte.even(soft, host) for name, (soft, byte) in pairs}
        for name, (soft, byte) in pairs:
            part.case(name, byte.ns(host) < soft.ns(host), host.name, byte.deciding(soft, host))
            part.figures += fault_figures(evens[name], host.name, name)
        part.figures += spread_times(pairs, SOFTMMU, host)
        part.figures += spread_times(evidence.pairs(*USER, of=[QEMU_10, BYTE_LOOKUP], mode="user"), QEMU_10, host)
        tight = {name: even.fault_ns for name, even in evens.items() if even.fault_ns is not None}
        if tight:
            name = min(tight, key=tight.__getitem__)
            part.conditions[host.name] = fault_condition(evens[name], name)
    part.figures += live_figures(evidence, pairs)
    return part


CLAIMS = (
    Claim(
        10, "Magnus Damm", "byte-lookup is of little use for memory-mapped I/O, but maybe efficient for user mode.",
        "MODEL.md section 8, claim 10",
        f"each access to a device is a signal, which costs at least {MUCH:g} times softmmu's helper; on each recorded"
        " user program byte-lookup's memory accesses cost less than softmmu's",
        EXPERIMENTS, judge,
    ),
)  # fmt: skip
