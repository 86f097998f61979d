"""Conditions in words, from closed forms; and figures over many recordings, least and most of them named."""

from collections.abc import Mapping

from mmuexp.claims.estimate import SOURCED, Program, mean_f_at
from mmuexp.claims.evidence import Evidence, Pairs
from mmuexp.claims.model import ANY_HOST, FACTOR, LIVE, NS, SPEEDUP, ClaimFigure, Part, verdict_of_range
from mmuexp.price.host import Profile
from mmuexp.price.verdict import ABOVE, ALWAYS, BELOW, BreakEven
from mmuexp.render.words import duration, significant

AGAINST = "memory accesses against {}'s"
FEW = 3  # measured figures that are told one by one


def fault_condition(even: BreakEven, of: str = "") -> str:
    """When a scheme is cheaper than another, as a price of a host fault; `of` names the recording."""
    on = f" on {of}" if of else ""
    if even.wins == ALWAYS:
        return f"at any price of a host fault{on}"
    if even.fault_ns is None:
        return f"at no price of a host fault{on}"
    side = {BELOW: "less", ABOVE: "more"}[even.wins]
    now = f" (here {duration(even.now_ns)})" if even.now_ns is not None else ""
    return f"a host fault costs {side} than {duration(even.fault_ns)}{on}{now}"


def fault_figures(even: BreakEven, host: str, recording: str, *, key: bool = False) -> list[ClaimFigure]:
    """The price of a fault at which two schemes are equal, and what a fault costs now."""
    found = []
    if even.fault_ns is not None:
        found.append(ClaimFigure("a host fault at break-even", even.fault_ns, NS, host, recording, key))
    if even.now_ns is not None:
        found.append(ClaimFigure("a host fault here", even.now_ns, NS, host, recording, key))
    return found


def span(low: float, high: float, sourced: tuple[float, float]) -> str:
    """The range of the code generator's factor in which a claim holds, beside the range that sources give."""
    told = f"(sources: {sourced[0]:g} to {sourced[1]:g})"
    if high <= 0 or low > high:
        return f"at no number of host instructions for one of the guest {told}"
    values = f"{significant(max(low, 0))} to {significant(high)}"
    return f"one guest instruction takes {values} host ones besides memory accesses {told}"


def judge_by_f(part: Part, found: Mapping[str, Program], host: str, least: float, most: float) -> tuple[float, float]:
    """Rule that a speed-up of `least` to `most` times holds where sources may give f so; the ends of f for the mean."""
    every = list(found.values())
    low, high = mean_f_at(every, most), mean_f_at(every, least)
    part.ruled[host], part.conditions[host] = verdict_of_range(low, high, SOURCED), span(low, high, SOURCED)
    never = verdict_of_range(1, 0, SOURCED)
    for name, one in found.items():
        part.case(name, verdict_of_range(one.f_at(most), one.f_at(least), SOURCED) != never, host)
    return low, high


def spread(quantity: str, values: Mapping[str, float], unit: str, host: str = ANY_HOST) -> list[ClaimFigure]:
    """A figure for each recording; of several, the least and the most are key."""
    alone = len(values) == 1
    found = [ClaimFigure(quantity, value, unit, host, recording, alone) for recording, value in values.items()]
    if len(values) > 1:
        for word, pick in (("least", min), ("most", max)):
            told = f"{quantity}, {word} of {len(values)}"
            found.append(ClaimFigure(told, pick(values.values()), unit, host, key=True))
    return found


def between(what: str, low: float, high: float, host: str) -> list[ClaimFigure]:
    """The two values of f between which something is so, key."""
    return [
        ClaimFigure(f"f from which {what}", low, FACTOR, host, key=True),
        ClaimFigure(f"f up to which {what}", high, FACTOR, host, key=True),
    ]


def live_figures(evidence: Evidence, pairs: Pairs, *, key: bool = True) -> list[ClaimFigure]:
    """What translation took for real, ns an access, and how many times less than under the first of each pair: of
    (recording, [base, run]) that a committed live run has both of. Of many pairs the least and the most are key."""
    found, ratios, base_spec = [], {}, ""
    for name, (base, run) in pairs:
        known = [evidence.live.get((name, str(one.strategy))) for one in (base, run)]
        ns = [one for one in known if one is not None]
        if len(ns) < 2:
            continue
        for one, value in zip((base, run), ns, strict=True):
            found.append(ClaimFigure(f"translation under {one.strategy}, an access", value, NS, LIVE, name))
        ratios[name], base_spec = ns[0] / ns[1], base.strategy
    few = len(ratios) <= FEW
    told = AGAINST.format(base_spec)
    if key and not few:
        return found + spread(told, ratios, SPEEDUP, LIVE)
    return found + [ClaimFigure(told, ratio, SPEEDUP, LIVE, name, key) for name, ratio in ratios.items()]


def spread_times(pairs: Pairs, base: str, host: Profile) -> list[ClaimFigure]:
    """How many times less the memory accesses of (recording, [base, run]) cost under `run`."""
    return spread(AGAINST.format(base), {name: run.times(old, host) for name, (old, run) in pairs}, SPEEDUP, host.name)
