"""The whole program, of which recordings hold the memory accesses: what else runs is a parameter with a range.

    T(scheme) = guest_insns x f x ns of an instruction + the scheme's own ns

f is how many host instructions the code generator makes of one guest instruction, memory accesses aside. Linear in f,
so the range of f in which a speed-up lies in a range is a closed form.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import exp, log

from mmuexp.claims.evidence import Pairs
from mmuexp.price.host import Profile


@dataclass(frozen=True)
class Factor:
    """Gives f a value, and says where it is from."""

    f: float
    of: str
    source: str


CODE_COPY = Factor(
    1, "code copy",
    "assumed: near-native in the mail's words and QEMU's (Changelog 0.5.3): one host instruction for one of the guest",
)  # fmt: skip
INTEGER = Factor(
    4, "dyngen, integer code",
    "measured: BYTEmark for Linux under QEMU 0.4.2 in user mode, 4 times slower than native (Bellard, QEMU, a Fast and"
    " Portable Dynamic Translator, USENIX 2005, section 5); assumed: its instructions take as long as native ones",
)  # fmt: skip
FLOATING = Factor(10, "dyngen, floating point", "measured: as for integer code, 10 times slower than native")
FACTORS = (CODE_COPY, INTEGER, FLOATING)
SOURCED = (CODE_COPY.f, FLOATING.f)  # the range of f that sources leave
BISECTIONS = 60


@dataclass(frozen=True)
class Program:
    """Compares two schemes over one recording: ns of one for each unit of f, ns of the slower, and of the faster."""

    unit: float
    slow: float
    fast: float

    def speedup(self, f: float, f_fast: float | None = None) -> float:
        """How many times faster the whole program is under the faster scheme (which may generate other code)."""
        return (self.unit * f + self.slow) / (self.unit * (f if f_fast is None else f_fast) + self.fast)

    def f_at(self, speedup: float) -> float:
        """The f at which the speed-up is this; above it, it is less. Negative if it is so nowhere."""
        return (self.slow - speedup * self.fast) / ((speedup - 1) * self.unit)

    def f_at_saving(self, share: float) -> float:
        """The f at which this share of the time is saved: the other reading of "20-30 % better"."""
        return self.f_at(1 / (1 - share))


def programs_of(pairs: Pairs, host: Profile) -> dict[str, Program]:
    """The program of each recording whose guest instructions were counted."""
    units = {name: (slow.counts["guest_insns"] or 0) * host.ns["hit"] for name, (slow, _) in pairs}
    return {name: Program(units[name], slow.ns(host), fast.ns(host)) for name, (slow, fast) in pairs if units[name]}


def mean_speedup(programs: Sequence[Program], f: float | Sequence[float]) -> float:
    """The geometric mean, as benchmarks of several kernels take it. One f, or one for each."""
    each = [f] * len(programs) if isinstance(f, int | float) else f
    return exp(sum(log(p.speedup(x)) for p, x in zip(programs, each, strict=True)) / len(programs))


def mean_f_at(programs: Sequence[Program], speedup: float) -> float:
    """The f at which the geometric mean is `speedup`, by bisection: it falls as f grows. 0 if it is less everywhere."""
    if not programs or mean_speedup(programs, 0) < speedup:
        return 0.0
    low, high = 0.0, max(max(p.f_at(speedup) for p in programs), 0.0)  # no program gains so much beyond
    for _ in range(BISECTIONS):
        middle = (low + high) / 2
        low, high = (middle, high) if mean_speedup(programs, middle) > speedup else (low, middle)
    return (low + high) / 2
