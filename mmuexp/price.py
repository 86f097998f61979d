"""Counts x costs = prices. Linear in the counts, so every figure here is a closed form.

A strategy prices a count as a bundle of primitives (`Strategy.price_list`: count -> `Cost`); this module says how many
emulator instructions a primitive is, and a host profile how many ns.

    insns     = sum of count x (insn + walk x WALK.insns + translate x TRANSLATE.insns)
    kernel_ns = sum of count x (signal, mmap, munmap, mprotect, page_in, page_out), each at the profile's ns
    ns        = insns x the profile's ns of one instruction + kernel_ns
    cross_*   = the part of these that falls to counts with "cross" in their name
    insns     = hit_insns (the HIT lines) + translate_insns (the primitive `translate`) + handler_insns (all else)
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from mmuexp.host import Profile

HIT = ("units8", "wide_units8")  # the counts that pay the hit path
KERNEL = ("signal", "mmap", "munmap", "mprotect", "page_in", "page_out")


ENGINE_EVENTS = {  # what is priced -> the whole event that `mmuexp calibrate` measures
    "ram_misaligned_units8": "helper",
    "slow_misaligned": "helper",
    "tlb_fills": "fill",
    "slow_cross": "helper_cross",
    "slow_io": "helper",
    "slow_code": "helper",
}


class InUserMode(NamedTuple):
    """A primitive that is emulator code: its length in host instructions, the same on every host."""

    insns: float
    source: str


WALK = InUserMode(
    150,
    "assumed: two levels; with 300 for the fill, the 450 of a TLB miss in QEMU commit 88e89a57f9 (Intel PIN, 4 levels,"
    " 2014), which is an upper bound here",
)
TRANSLATE = InUserMode(
    500,
    "assumed: for each guest instruction translated; no published figure for dyngen, and the same in every scheme",
)


@dataclass(frozen=True)
class Priced:
    """What one run costs: instructions (`insns`), kernel time (`kernel_ns`) and both together (`ns`).

    `knobs` names each assumed price and the part of `ns`, in ns, that is proportional to it.
    """

    insns: float
    kernel_ns: float
    ns: float
    cross_insns: float
    cross_ns: float
    cross_kernel_ns: float  # the part of cross_ns that the kernel takes
    knobs: dict[str, float] = field(default_factory=dict)
    hit_insns: float = 0  # the part of insns that the hit path is
    translate_insns: float = 0  # and the part that goes into translating guest code

    @property
    def handler_insns(self) -> float:
        """The rest of insns: helpers and fault handlers."""
        return self.insns - self.hit_insns - self.translate_insns


def price_lines(strategy: Any, counts: Mapping[str, int | None]) -> list[tuple[str, int, Any]]:
    """(name, count, Cost) of everything that is priced and happened."""
    return [(name, n, cost) for name, cost in strategy.price_list().items() if (n := counts.get(name))]


def _insns(cost: Any) -> float:
    return cost.insn + cost.walk * WALK.insns + _translate_insns(cost)


def _translate_insns(cost: Any) -> float:
    return cost.translate * TRANSLATE.insns


def _kernel_ns(cost: Any, host: Profile) -> float:
    return sum(getattr(cost, primitive) * host.ns[primitive] for primitive in KERNEL)


def price(strategy: Any, counts: Mapping[str, int | None], host: Profile) -> Priced:
    """The price of `counts` under `strategy` on `host`. `insns` stays an int while every cost is one."""
    lines = price_lines(strategy, counts)
    insns = sum(n * _insns(cost) for _, n, cost in lines)
    kernel = float(sum(n * _kernel_ns(cost, host) for _, n, cost in lines))
    crossing = [(n, cost) for event, n, cost in lines if "cross" in event]
    cross_insns = sum(n * _insns(cost) for n, cost in crossing)
    cross_kernel = float(sum(n * _kernel_ns(cost, host) for n, cost in crossing))
    return Priced(
        insns=insns,
        kernel_ns=kernel,
        ns=insns * host.ns["insn"] + kernel,
        cross_insns=cross_insns,
        cross_ns=cross_insns * host.ns["insn"] + cross_kernel,
        cross_kernel_ns=cross_kernel,
        knobs=_knobs(strategy.name, lines, insns, host),
        hit_insns=sum(n * (_insns(cost) - _translate_insns(cost)) for event, n, cost in lines if event in HIT),
        translate_insns=sum(n * _translate_insns(cost) for _, n, cost in lines),
    )


def engine_ns(strategy: Any, counts: Mapping[str, int | None], host: Profile) -> float:
    """What the live engine should take for these counts: it translates no guest code, and does the accesses.

    What a helper takes is not its length: a call out of the fast path is mispredicted. So where the host profile holds
    a measured figure for an event of a helper (ENGINE_EVENTS), that is its price here.
    """
    cost = price(strategy, counts, host)
    ns = cost.ns - cost.translate_insns * host.ns["insn"] + (counts.get("units8") or 0) * host.access_ns
    for name, n, one in price_lines(strategy, counts):
        event = ENGINE_EVENTS.get(name)
        if event in host.also and not one.signal:
            ns += n * (host.also[event] - _insns(one) * host.ns["insn"])
    return ns


def _knobs(name: str, lines: list, insns: float, host: Profile) -> dict[str, float]:
    per_insn = host.ns["insn"]
    knobs: dict[str, float] = {}

    def add(knob: str, ns: float) -> None:
        if ns:
            knobs[knob] = knobs.get(knob, 0.0) + ns

    for event, n, cost in lines:
        if cost.source.startswith("assumed"):
            # only the bundle's own instructions are a guess: how many signals or pages it takes is counted
            what = "the hit path" if event == "units8" else event
            add(f"instructions of {what} ({name})", n * cost.insn * per_insn)
        for primitive, user in (("walk", WALK), ("translate", TRANSLATE)):
            if user.source.startswith("assumed"):
                add(_user_knob(primitive, user), n * getattr(cost, primitive) * user.insns * per_insn)
        for primitive in KERNEL:
            if host.assumed(primitive):
                add(_host_knob(primitive, host), n * getattr(cost, primitive) * host.ns[primitive])
    if host.assumed("insn"):
        add(_host_knob("insn", host), insns * per_insn)
    return knobs


def _user_knob(primitive: str, user: InUserMode) -> str:
    what = {"walk": "a guest page walk", "translate": "translating one guest instruction"}[primitive]
    return f"{what} ({user.insns:g} instructions)"


def _host_knob(primitive: str, host: Profile) -> str:
    what = {"insn": "one emulator instruction"}.get(primitive, primitive)
    return f"{what} ({host.ns[primitive]:g} ns, host {host.name})"


def price_table(strategies: list, host: Profile) -> dict[str, Any]:
    """Every price behind a result, with its source, for the manifest. A scheme's list stands under its name; a spec
    whose prices differ from that (its tables are larger, say) has one of its own."""
    lists: dict[str, dict] = {}
    for strategy in strategies:
        prices = {name: cost.primitives() | {"source": cost.source} for name, cost in strategy.price_list().items()}
        if lists.setdefault(strategy.name, prices) != prices:
            lists[str(strategy)] = prices
    return {
        "host": host.as_dict(),
        "walk": {"insns": WALK.insns, "source": WALK.source},
        "translate": {"insns": TRANSLATE.insns, "source": TRANSLATE.source},
        "strategies": lists,
    }
