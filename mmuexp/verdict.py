"""Who wins, while a fault costs how much, and which assumed price decides it: closed forms over two priced runs.

A *fault's price* is all kernel time of a run divided by its host faults: the signal, the mmap or mprotect that answers
it, the pages, and its share of what FLUSH and eviction cost. A break-even moves every kernel price, of both runs, by
one factor.
"""

from dataclasses import dataclass

from mmuexp.price import Priced

ALWAYS, NEVER, BELOW, ABOVE = "always", "never", "below", "above"


@dataclass(frozen=True)
class BreakEven:
    """When `scheme` is cheaper (in ns) than `reference`.

    `wins` is "always", "never", "below" (while a fault costs less than `fault_ns`) or "above"; `now_ns` is what a
    fault costs at the profile's prices (None where neither run faults), and `of` the spec whose faults these are.
    """

    scheme: str
    reference: str
    wins: str
    fault_ns: float | None = None
    now_ns: float | None = None
    of: str = ""


def break_even(scheme: str, run: Priced, faults: int, reference: str, base: Priced, base_faults: int) -> BreakEven:
    """Solve insns x rate + x kernel = the same of the reference for x, and say x as a fault's price in ns."""
    user = (run.ns - run.kernel_ns) - (base.ns - base.kernel_ns)  # ns that the scheme's own code takes more
    kernel = run.kernel_ns - base.kernel_ns  # ns in the kernel that it takes more
    of, per_fault = _fault_price(scheme, run, faults, reference, base, base_faults, mine=kernel >= 0)
    if kernel == 0 or per_fault is None:
        return BreakEven(scheme, reference, ALWAYS if user + kernel < 0 else NEVER, None, per_fault, of)
    if kernel > 0:
        wins, crosses = (BELOW, True) if user < 0 else (NEVER, False)
    else:
        wins, crosses = (ABOVE, True) if user > 0 else (ALWAYS, False)
    fault_ns = -user / kernel * per_fault if crosses else None
    return BreakEven(scheme, reference, wins, fault_ns, per_fault, of)


def _fault_price(scheme, run, faults, reference, base, base_faults, *, mine: bool) -> tuple[str, float | None]:
    """(whose, ns): the faults of the run that spends more in the kernel, as long as it has any."""
    runs = [(scheme, run, faults), (reference, base, base_faults)]
    for spec, priced, count in runs if mine else runs[::-1]:
        if count and priced.kernel_ns:
            return spec, priced.kernel_ns / count
    return "", None


def _order(difference: float) -> int:
    return (difference > 0) - (difference < 0)


def decided_by(run: Priced, base: Priced) -> list[str]:
    """The assumed prices of which a single one, moved between half and double, flips who is cheaper in ns.

    The difference of the two runs is linear in each price, so looking at both ends is enough.
    """
    difference = run.ns - base.ns
    now = _order(difference)
    names = list(dict.fromkeys([*run.knobs, *base.knobs]))
    deciding = []
    for name in names:
        share = run.knobs.get(name, 0.0) - base.knobs.get(name, 0.0)
        if any(_order(difference + (factor - 1) * share) != now for factor in (0.5, 2.0)):
            deciding.append(name)
    return deciding
