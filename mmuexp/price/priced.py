"""Counts x costs = prices. Linear in the counts and in each price, so every figure here is a closed form.

A strategy prices a count as a bundle of primitives (`Strategy.price_list`: count -> `Cost`); a host profile says what
each primitive takes in ns. What was measured whole is never put together from instructions: where the profile holds the
hit path of a scheme (`Profile.path`), that is its price; in far and in cold code (farcode.py) it has others
(`Profile.far`, `Profile.cold`). Cold accesses are counted among the far ones; each is priced once, as what is known of
it: where nobody counted the cold ones, or the host has no price of them, as far. Where nobody counted
`searched_blocks`, they are priced as so many for each walk as a boot has (`PAGE_BLOCKS`).

    insns = hit_insns + handler_insns + translate_insns        the primitives' lengths, the same on every host
    ns    = hit_ns + handler_ns + kernel_ns + retranslate_ns + translate_ns
    access_ns = ns - translate_ns       what memory accesses cost; translating a block for the first time stands apart,
                                        as it is the same under every scheme
    cross_*   = the part of these that falls to counts with "cross" in their name, but for what is of the hit path
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from typing import Any

from mmuexp.events import WALK_LEVELS
from mmuexp.price.host import OF_TIERS, Price, Profile
from mmuexp.price.primitives import HANDLER, HIT, KERNEL, LEVELS, PRICES, PRIMITIVES, TRANSLATOR, Cost

PATH = "units8"  # the count of which each pays the hit path once
FAR = "far_accesses"  # the count of those of them that far code makes, cold code included
COLD = "cold_accesses"  # and of those of these that cold code makes
TIERS = {COLD: "cold", FAR: "far"}  # the innermost first
SEARCHED = "searched_blocks"
# that a page's list has when softmmu-qemu10 walks it: the mean of a Linux's boot (results/linux-boots, i386)
PAGE_BLOCKS = 68
DEPENDENCE = "accesses that wait for each other, as in a linked list"
PARTS = (HIT, HANDLER, KERNEL, TRANSLATOR)
Ends = tuple[float, float]  # at the low end of a range, and at its high one
Products = dict[tuple[str, str], tuple[Ends, Ends]]  # of two knobs that move together: see Priced
Lines = list[tuple[str, int, Cost]]  # what is counted, how often, what one costs


@dataclass(frozen=True)
class Priced:
    """What one run costs: instructions of emulator code by part, and ns by part.

    `moves` is how far each price moves `access_ns`: by so many ns if it alone goes to its low end, and to its high one.
    `products`, of an assumed number of instructions and what one of them takes: as both move, so many ns more than the
    sum of their moves, for (low, high) of the number at the price's low end, and at its high one.
    """

    hit_insns: float = 0
    handler_insns: float = 0
    translate_insns: float = 0
    cross_insns: float = 0
    hit_ns: float = 0.0
    handler_ns: float = 0.0
    kernel_ns: float = 0.0
    retranslate_ns: float = 0.0  # of blocks that were translated before, and of blocks in another form
    translate_ns: float = 0.0  # of blocks that never were
    cross_ns: float = 0.0
    cross_kernel_ns: float = 0.0  # the part of cross_ns that the kernel takes
    moves: dict[str, Ends] = field(default_factory=dict)
    products: Products = field(default_factory=dict)

    @property
    def insns(self) -> float:
        return self.hit_insns + self.handler_insns + self.translate_insns

    @property
    def access_ns(self) -> float:
        return self.hit_ns + self.handler_ns + self.kernel_ns + self.retranslate_ns

    @property
    def engine_ns(self) -> float:
        """What a live engine should take: it translates no guest code."""
        return self.access_ns - self.retranslate_ns

    @property
    def ns(self) -> float:
        return self.access_ns + self.translate_ns

    def times(self, factor: float) -> "Priced":
        """So many such runs."""
        scaled = {f.name: factor * getattr(self, f.name) for f in fields(self) if f.name not in ("moves", "products")}
        moves = {name: _scaled(factor, ends) for name, ends in self.moves.items()}
        products = {both: (_scaled(factor, a), _scaled(factor, b)) for both, (a, b) in self.products.items()}
        return Priced(**scaled, moves=moves, products=products)


def _scaled(factor: float, ends: Ends) -> Ends:
    return factor * ends[0], factor * ends[1]


def price_lines(costs: Mapping[str, Cost], counts: Mapping[str, int | None]) -> Lines:
    """(name, count, Cost) of everything that is priced and happened. Of a guest whose page table has more levels than
    the one that `Cost.walk` is of, each walk is as many times as long."""
    deeper = (counts.get(WALK_LEVELS) or LEVELS) / LEVELS
    lines = [(name, n, cost) for name, cost in costs.items() if (n := counts.get(name))]
    if deeper == 1:
        return lines
    return [(name, n, replace(cost, walk=deeper * cost.walk)) for name, n, cost in lines]


def with_searched(counts: Mapping[str, int | None]) -> Mapping[str, int | None]:
    """The same counts; where nobody counted the blocks that walks of a list went through, with as many as usual."""
    if counts.get(SEARCHED) is not None:
        return counts
    walks = counts.get("code_list_walks")
    return {**counts, SEARCHED: PAGE_BLOCKS * ((counts.get("slow_code") if walks is None else walks) or 0)}


def insns_of(cost: Cost, part: str) -> float:
    """Instructions of a bundle that run in this part of the emulator. An int while every amount is one."""
    return sum(getattr(cost, p.field) * p.insns for p in PRIMITIVES if p.part == part)


def price(
    strategy: Any, counts: Mapping[str, int | None], host: Profile, costs: Mapping[str, Cost] | None = None
) -> Priced:
    """The price of `counts` under `strategy` on `host`. `costs` stand in place of the strategy's own list."""
    if counts.get(FAR) is None:
        host = host.mixed
    lines = price_lines(strategy.price_list() if costs is None else costs, with_searched(counts))
    timed = _tiers_apart(strategy, lines, counts, host)
    total = {part: _ns(strategy, timed, host, part) for part in PARTS}
    crossing = [line for line in lines if "cross" in line[0]]
    crossed = {part: _ns(strategy, crossing, host, part) for part in PARTS if part != HIT}
    first_insns = (counts.get("translated_insns") or 0) - (counts.get("retranslated_insns") or 0)
    first = min(first_insns * host.ns["translate"], total[TRANSLATOR])
    moves, products = _moves(strategy, timed, host, first_insns)
    return Priced(
        hit_insns=_insns(lines, HIT),
        handler_insns=_insns(lines, HANDLER),
        translate_insns=_insns(lines, TRANSLATOR),
        cross_insns=sum(_insns(crossing, part) for part in crossed),
        hit_ns=total[HIT],
        handler_ns=total[HANDLER],
        kernel_ns=total[KERNEL],
        retranslate_ns=total[TRANSLATOR] - first,
        translate_ns=first,
        cross_ns=sum(crossed.values()),
        cross_kernel_ns=crossed[KERNEL],
        moves=moves,
        products=products,
    )


def engine_ns_per_access(strategy: Any, counts: Mapping[str, Any], host: Profile) -> float:
    """What the scheme's live engine should take for each access, by the one model."""
    return price(strategy, counts, host, strategy.engine_price_list()).engine_ns / max(1, counts["accesses"] or 0)


def _insns(lines: Lines, part: str) -> float:
    return sum(n * insns_of(cost, part) for _, n, cost in lines)


def _tiers_apart(strategy: Any, lines: Lines, counts: Mapping[str, int | None], host: Profile) -> Lines:
    """The same lines, with hits in far and in cold code, if the host has a price of those, on lines of their own."""
    found = []
    for name, n, cost in lines:
        apart, told = [], 0
        for count, tier in TIERS.items() if name == PATH else ():
            if host.knows(tier, strategy.name) and (more := min(n, counts.get(count) or 0) - told) > 0:
                apart.append((count, more, cost))
                told += more
        found += [(name, n - told, cost), *reversed(apart)]
    return found


def _whole(strategy: Any, host: Profile, name: str) -> Price | None:
    """What a host says of the whole hit that this line is about."""
    held: Mapping[str, Mapping[str, Price]] = {PATH: host.path, FAR: host.far, COLD: host.cold}
    return held[name].get(strategy.name) if name in held else None


def _price_name(line: str, price: str) -> str:
    """What a profile calls the price of a primitive on this line."""
    apart = f"{price}_{TIERS[line]}" if line in TIERS else price
    return apart if apart in OF_TIERS else price


def _ns(strategy: Any, lines: Lines, host: Profile, part: str) -> float:
    whole = {name: _whole(strategy, host, name) if part == HIT else None for name, _, _ in lines}
    return float(
        sum(n * (one.ns if (one := whole[name]) else _bundle_ns(name, cost, host, part)) for name, n, cost in lines)
    )


def _bundle_ns(line: str, cost: Cost, host: Profile, part: str) -> float:
    parts = (p for p in PRIMITIVES if p.part == part)
    return sum(getattr(cost, p.field) * p.times * host.ns[_price_name(line, p.price)] for p in parts)


def _moves(strategy: Any, lines: Lines, host: Profile, first_insns: int) -> tuple[dict[str, Ends], Products]:
    """`moves` and `products` of a Priced."""
    moves: dict[str, Ends] = {}
    products: Products = {}

    def add(knob: str, low: float, high: float) -> None:
        if low or high:
            before = moves.get(knob, (0.0, 0.0))
            moves[knob] = before[0] + low, before[1] + high

    def add_product(knob: str, other: str, low: Ends, high: Ends) -> None:
        before = products.get((knob, other), ((0.0, 0.0), (0.0, 0.0)))
        (low0, high0), (low1, high1) = before
        products[knob, other] = (low0 + low[0], high0 + low[1]), (low1 + high[0], high1 + high[1])

    waiting = host.dependent.get(strategy.name)
    for name, n, cost in lines:
        whole, knob = _whole(strategy, host, name), ""
        if whole:
            add(_path_knob(strategy.name, name, whole), *_scaled(n, whole.off))
        elif cost.own_insns:
            kind = _price_name(name, "hit" if cost.hit else "insn")
            insn = host.prices[kind]
            fewer, more = (n * (end - cost.own_insns) for end in cost.range)
            knob = _length_knob(strategy.name, name, cost)
            add(knob, fewer * insn.ns, more * insn.ns)
            if (fewer or more) and insn.low_ns < insn.high_ns:
                add_product(knob, _price_knob(kind, host), *(_scaled(end, (fewer, more)) for end in insn.off))
        for p in PRIMITIVES:
            amount = n * getattr(cost, p.field) * p.times
            if name == "translated_insns" and p.part == TRANSLATOR:
                amount -= first_insns * cost.translate
            if amount and not (whole and p.part == HIT):
                kind = _price_name(name, p.price)
                low, high = host.prices[kind].off
                add(_price_knob(kind, host), amount * low, amount * high)
        if name == PATH or name in TIERS:
            now = whole.ns if whole else _bundle_ns(name, cost, host, HIT)
            then = waiting.ns if waiting else host.waiting_ns(cost.hit, cost.access)
            if then is not None:
                add(DEPENDENCE, 0.0, n * max(0.0, then - now))
                if knob and (fewer or more) and not waiting and then > now:
                    slower = host.ns["hit_dependent"] - host.ns[_price_name(name, "hit")]
                    add_product(knob, DEPENDENCE, (0.0, 0.0), _scaled(slower, (fewer, more)))
    return moves, products


HIT_PATH_OF = "the hit path of "


def _range_of(one: Price) -> str:
    low, high = (f"{ns:,.0f}" if ns >= 1000 else f"{ns:.3g}" for ns in (one.low_ns, one.high_ns))
    return f"{low} to {high} ns"


def _path_knob(name: str, line: str, whole: Price) -> str:
    return f"{HIT_PATH_OF}{name}{f' in {TIERS[line]} code' if line in TIERS else ''} ({_range_of(whole)})"


def _length_knob(name: str, event: str, cost: Cost) -> str:
    what = "the hit path" if event == PATH or event in TIERS else event
    least, most = cost.range
    return f"instructions of {what} in {name} ({least:g} to {most:g})"


def _price_knob(price_name: str, host: Profile) -> str:
    return f"{price_name} ({_range_of(host.prices[price_name])}, host {host.name})"


def is_of_host(knob: str) -> bool:
    """Is what moves (a name in `Priced.moves`) a price that `mmuexp calibrate` measures?"""
    return knob.startswith(HIT_PATH_OF) or knob.partition(" (")[0] in {*PRICES, *OF_TIERS}


def price_table(strategies: list[Any], host: Profile) -> dict[str, Any]:
    """Every price behind a result, with its source, for the manifest. A scheme's list stands under its name; a spec
    whose prices differ from that (its tables are larger, say) has one of its own."""
    lists: dict[str, dict[str, Any]] = {}
    for strategy in strategies:
        prices = {name: cost.primitives() | {"source": cost.source} for name, cost in strategy.price_list().items()}
        if lists.setdefault(strategy.name, prices) != prices:
            lists[str(strategy)] = prices
    lengths = {p.field: {"insns": p.insns, "meaning": p.meaning} for p in PRIMITIVES if p.insns}
    return {"host": host.as_dict(), "primitives": lengths, "strategies": lists}
