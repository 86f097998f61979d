"""Counts x costs = prices. Linear in the counts, so every figure here is a closed form.

A strategy prices an event as a bundle of primitives (`Cost`); this module says how many emulator instructions a
primitive is, and a host profile how many ns.

    insns     = sum of count x (insn + walk x WALK.insns + translate x TRANSLATE.insns)
    kernel_ns = sum of count x (signal, mmap, munmap, mprotect, page_in, page_out), each at the profile's ns
    ns        = insns x the profile's ns of one instruction + kernel_ns
    cross_*   = the part of both that falls to events with "cross" in their name

The hit path is the event `accesses`: `Strategy.hit_insns` for each access, unless the strategy prices that itself.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from mmuexp.host import Profile

KERNEL = ("signal", "mmap", "munmap", "mprotect", "page_in", "page_out")


class InUserMode(NamedTuple):
    """A primitive that is emulator code: its length in host instructions, the same on every host."""

    insns: float
    source: str


WALK = InUserMode(
    450,
    "assumed: TLB miss with page walk, QEMU commit 88e89a57f9 (Intel PIN, 4 levels, 2014): an upper bound for 2 levels",
)
TRANSLATE = InUserMode(
    500,
    "assumed: for each guest instruction translated; no published figure for dyngen, equal in every scheme",
)

HIT = "accesses"  # the event that stands for the hit path
HIT_SOURCE = "read: the listing of the fast path"


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


def price_lines(strategy: Any, counts: Mapping[str, int | None]) -> list[tuple[str, int, Any]]:
    """(event, count, Cost) of everything that is priced, the hit path first."""
    from mmuexp.strategy import Cost

    lines = [(_column(event), count, cost) for event, count, cost in _events(strategy, counts) if count]
    if not any(event == HIT for event, _, _ in lines) and counts.get(HIT):
        lines.insert(0, (HIT, counts[HIT], Cost(insn=_hit_insns(strategy), source=HIT_SOURCE)))
    return lines


def _events(strategy: Any, counts: Mapping[str, int | None]) -> list[tuple[Any, int, Any]]:
    if hasattr(strategy, "price_events"):
        return strategy.price_events(counts)
    costs = {**_shared_costs(), **strategy.costs}
    return [(event, counts.get(_column(event)) or 0, cost) for event, cost in costs.items()]


def _insns(cost: Any) -> float:
    return cost.insn + cost.walk * WALK.insns + cost.translate * TRANSLATE.insns


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
    )


def _knobs(name: str, lines: list, insns: float, host: Profile) -> dict[str, float]:
    per_insn = host.ns["insn"]
    knobs: dict[str, float] = {}

    def add(knob: str, ns: float) -> None:
        if ns:
            knobs[knob] = knobs.get(knob, 0.0) + ns

    for event, n, cost in lines:
        if cost.source.startswith("assumed"):
            # only the bundle's own instructions are a guess: how many signals or pages it takes is counted
            add(f"instructions of {event} ({name})", n * cost.insn * per_insn)
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
    """Every price behind a result, with its source, for the manifest."""
    events: dict[str, dict] = {}
    for strategy in strategies:
        hit = {"insn": _hit_insns(strategy), "source": HIT_SOURCE}
        events[strategy.name] = {HIT: hit, **_by_column(strategy.costs)}
    return {
        "host": host.as_dict(),
        "walk": {"insns": WALK.insns, "source": WALK.source},
        "translate": {"insns": TRANSLATE.insns, "source": TRANSLATE.source},
        "shared": _by_column(_shared_costs()),
        "strategies": events,
    }


def _shared_costs() -> Mapping[Any, Any]:
    import mmuexp.strategy

    return getattr(mmuexp.strategy, "SHARED_COSTS", {})


def _by_column(costs: Mapping[Any, Any]) -> dict[str, dict]:
    return {_column(event): cost.primitives() | {"source": cost.source} for event, cost in costs.items()}


def _column(event: Any) -> str:
    return getattr(event, "column", None) or str(event)


def _hit_insns(strategy: Any) -> float:
    insns = strategy.hit_insns
    return insns() if callable(insns) else insns
