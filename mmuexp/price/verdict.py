"""Who wins, while a fault costs how much, and which prices turn that: closed forms over two priced runs.

A *fault's price* is all kernel time of a run divided by its host faults: the signal, the mmap or mprotect that answers
it, the pages, and its share of what FLUSH and eviction cost. A break-even moves every kernel price, of both runs, by
one factor x: a run's time is user + x kernel, a line, and x = 1 at the profile's prices. The winner is the lowest line
at x = 1; `turns` says where it stops being that.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Any, NamedTuple

from mmuexp.price.priced import Ends, Priced

CLOSE = 0.01  # runs nearer to the winner than this are called equal: no price is known that well
ALWAYS, NEVER, BELOW, ABOVE = "always", "never", "below", "above"


@dataclass(frozen=True)
class BreakEven:
    """When `scheme` is cheaper (in access_ns) than `reference`.

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
    user = (run.access_ns - run.kernel_ns) - (base.access_ns - base.kernel_ns)  # ns that its own code takes more
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


def _fault_price(
    scheme: str, run: Priced, faults: int, reference: str, base: Priced, base_faults: int, *, mine: bool
) -> tuple[str, float | None]:
    """(whose, ns): the faults of the run that spends more in the kernel, as long as it has any."""
    runs = [(scheme, run, faults), (reference, base, base_faults)]
    for spec, priced, count in runs if mine else runs[::-1]:
        if count and priced.kernel_ns:
            return spec, priced.kernel_ns / count
    return "", None


def _order(difference: float) -> int:
    return (difference > 0) - (difference < 0)


def decided_by(run: Priced, base: Priced) -> list[str]:
    """The prices of which a single one, moved within its range, flips who is cheaper in access_ns.

    The difference of the two runs is linear in each price, so looking at both ends is enough.
    """
    difference = run.access_ns - base.access_ns
    now = _order(difference)
    return [
        name
        for name, ends in _paired(run.moves, base.moves).items()
        if any(_order(difference + (mine - its)) != now for mine, its in ends)
    ]


def is_sure(run: Priced, base: Priced) -> bool:
    """Does no combination of prices within their ranges flip who is cheaper in access_ns? A tie is never sure."""
    difference = run.access_ns - base.access_ns
    low, high = (
        difference + pick(sum(pick(mine - its for mine, its in moved) for moved in way) for way in _ways(run, base))
        for pick in (min, max)
    )
    return _order(low) == _order(high) != 0


def _paired(mine: Mapping[str, Ends], its: Mapping[str, Ends]) -> dict[str, list[Ends]]:
    """By how many ns both runs move with each price and length, at its low end and at its high one."""
    none = (0.0, 0.0)
    return {
        name: list(zip(mine.get(name, none), its.get(name, none), strict=True)) for name in dict.fromkeys([*mine, *its])
    }


def _ways(run: Priced, base: Priced) -> list[list[list[Ends]]]:
    """All that prices and lengths can do: ways to set the prices which assumed lengths are multiplied by, at an end of
    their ranges each; for each way, of every price and length, by how many ns both runs move as it goes anywhere.

    With those prices set, time is linear in all others.
    """
    prices = list(dict.fromkeys(price for _, price in [*run.products, *base.products]))
    found = []
    for way in product((0, 1), repeat=len(prices)):
        ends = dict(zip(prices, way, strict=True))
        paired = _paired(_moves_at(run, ends), _moves_at(base, ends))
        found.append([[moved[ends[name]]] if name in ends else [(0.0, 0.0), *moved] for name, moved in paired.items()])
    return found


def _moves_at(one: Priced, ends: dict[str, int]) -> dict[str, Ends]:
    """The moves of a run, those of its lengths at those ends of the prices that they are multiplied by."""
    moves = dict(one.moves)
    for (length, price), products in one.products.items():
        less, more = moves.get(length, (0.0, 0.0))
        moves[length] = less + products[ends[price]][0], more + products[ends[price]][1]
    return moves


def ratio_range(run: Priced, base: Priced) -> Ends:
    """How many times `base`'s access_ns `run` takes at least and at most, all prices anywhere in their ranges.

    A ratio of two linear functions is least and most at corners. Which corner, Dinkelbach's method finds: the best one
    for `run - ratio x base` is better than the last, until it is the same.
    """
    if not base.access_ns:
        return float("nan"), float("nan")
    ends = [_extreme_ratio(run, base, pick) for pick in (min, max)]
    return ends[0], ends[1]


def _extreme_ratio(run: Priced, base: Priced, pick: Callable[..., Any]) -> float:
    found = []
    for way in _ways(run, base):
        ratio = run.access_ns / base.access_ns
        for _ in range(len(way) + 2):
            corner = [pick(choices, key=lambda move: move[0] - ratio * move[1]) for choices in way]
            above = run.access_ns + sum(mine for mine, _ in corner)
            below = base.access_ns + sum(its for _, its in corner)
            if below <= 0 or above / below == ratio:
                break
            ratio = above / below
        found.append(ratio)
    return pick(found)


class Line(NamedTuple):
    """One run: ns outside and inside the kernel, and its host faults."""

    name: str
    user: float
    kernel: float
    faults: int

    @property
    def ns(self) -> float:
        return self.user + self.kernel

    @property
    def fault_ns(self) -> float | None:
        return self.kernel / self.faults if self.faults and self.kernel else None


class Turn(NamedTuple):
    """At `x` times today's kernel prices, `line` takes over."""

    x: float
    line: Line


def turns(lines: Sequence[Line]) -> tuple[Line, Turn | None, Turn | None]:
    """The winner; who overtakes it when faults get dearer (nearest first), and who when they get cheaper."""
    winner = min(lines, key=lambda line: line.ns)
    dearer, cheaper = [], []
    for line in lines:
        user, kernel = line.user - winner.user, line.kernel - winner.kernel
        if user > 0 and kernel < 0:
            dearer.append(Turn(-user / kernel, line))
        elif user < 0 and kernel > 0:
            cheaper.append(Turn(-user / kernel, line))
    return winner, min(dearer, default=None), max(cheaper, default=None)


def close_to(winner: Line, lines: Sequence[Line]) -> list[Line]:
    """The runs that no price tells from the winner, itself among them."""
    return [line for line in lines if line.ns == winner.ns or line.ns < winner.ns * (1 + CLOSE)]  # at 0 ns, too


def clear_winner(lines: Sequence[Line]) -> Line | None:
    """The run that is cheaper than all others by more than CLOSE."""
    winner = min(lines, key=lambda line: line.ns, default=None)
    return winner if winner and len(lines) > 1 and close_to(winner, lines) == [winner] else None
