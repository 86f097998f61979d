"""Counts that prices need and tables do not hold, worked back from the table's instructions.

A result's `insns` are sums of count x instructions, and its manifest says how many instructions each was priced at. So
the sums over accesses that are no column (`units8`, the misaligned, the crossing ones) follow, and a saved result can
be priced anew: for another host, and after a scheme's listing changed. Where two unknown counts share one sum (loads
and bytes of stores that cross), all of it is said in units of the cheaper one: the price comes out the same.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from mmuexp.price import HIT, TRANSLATE, WALK

Prices = Mapping[str, Mapping[str, float]]  # name of a count -> primitive -> how many


def prices_then(manifest: Mapping[str, Any], strategy: Any) -> tuple[Prices, float, float]:
    """(price list, instructions of a walk, of translating one) that a result was made with; today's if it says none."""
    said = manifest.get("prices") or {}
    lists = said.get("strategies") or {}
    listed = lists.get(str(strategy)) or lists.get(strategy.name)
    if listed is None:
        listed = {name: cost.primitives() for name, cost in strategy.price_list().items()}
    walk = (said.get("walk") or {}).get("insns", WALK.insns)
    return listed, walk, (said.get("translate") or {}).get("insns", TRANSLATE.insns)


def recovered(rows: Sequence[tuple[Any, Mapping[str, Any]]], manifest: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Counts of each (strategy, row) of one recording, with those that are no column.

    `price(strategy, counts, host)` of them gives the row's own `insns`, and its `ns` at the host of the manifest.
    """
    lists = [prices_then(manifest, strategy) for strategy, _ in rows]
    units = _units8(rows, lists)
    return [_one(row, *then, units) for (_, row), then in zip(rows, lists, strict=True)]


def _units8(rows: Sequence, lists: Sequence) -> int | None:
    """8-byte parts of the recording's accesses, from any scheme whose hit path has one length."""
    for (_, row), (listed, _, _) in zip(rows, lists, strict=True):
        if not any(name in listed for name in HIT[1:]) and listed["units8"].get("insn") and row["hit_insns"]:
            return round(row["hit_insns"] / listed["units8"]["insn"])
    return None


def _one(row: Mapping[str, Any], listed: Prices, walk: float, translate: float, units: int | None) -> dict[str, Any]:
    counts = dict(row)
    hit = listed["units8"].get("insn", 0)
    counts["units8"] = units if units is not None else round(row["hit_insns"] / hit) if hit else 0
    for name in HIT[1:]:
        if name in listed:
            counts[name] = _times(row["hit_insns"] - counts["units8"] * hit, listed[name]["insn"])

    def known(cross: bool) -> float:
        """Instructions of what is a column, translating and the hit path left out."""
        names = [n for n in listed if n not in HIT and ("cross" in n) == cross]
        return sum((counts.get(n) or 0) * (listed[n].get("insn", 0) + listed[n].get("walk", 0) * walk) for n in names)

    def spells(cross: bool) -> float:  # `translate` of a fault is in translate_insns, but a crossing's in cross_insns
        names = [n for n in listed if ("cross" in n) == cross]
        return sum((counts.get(n) or 0) * listed[n].get("translate", 0) * translate for n in names)

    crossing = row["cross_insns"] - known(True) - spells(True)
    other = row["handler_insns"] - (row["cross_insns"] - spells(True)) - known(False)
    _spread(counts, listed, crossing, cross=True)
    _spread(counts, listed, other, cross=False)
    return counts


def _spread(counts: dict[str, Any], listed: Prices, insns: float, *, cross: bool) -> None:
    """Give what no column explains to the cheapest count that is no column."""
    unknown = [n for n in listed if n not in counts and n not in HIT and ("cross" in n) == cross]
    unknown = [n for n in unknown if listed[n].get("insn")]
    for name in unknown:
        counts[name] = 0
    if unknown and insns:
        cheapest = min(unknown, key=lambda name: listed[name]["insn"])
        counts[cheapest] = _times(insns, listed[cheapest]["insn"])


def _times(insns: float, each: float) -> float | int:
    found = insns / each
    return int(found) if found.is_integer() else found
