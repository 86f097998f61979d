"""Pools and tables that are too small for a guest: what is given up and taken again costs time, and a parameter helps.

A parameter says which counts fall as it grows (`param(..., helps="evictions")`). What such a count costs is its own
price, if it has one, else that of a host fault each: what was given up faults when it is touched again.
"""

import dataclasses
from typing import Any

from mmuexp.price.host import Profile
from mmuexp.price.priced import Priced, price
from mmuexp.strategy import Param, Strategy

SHARE = 0.05  # of the memory access time: what takes less is not worth a word
LARGER = 16  # times a value, or 4 more of its logarithm


def pressures(trace: str, strategy: Strategy, counts: dict[str, int | None], cost: Priced, host: Profile) -> list[dict]:
    """For each count that takes more than SHARE of a run's time, as a dict: the count and its share; the parameter
    that helps with its value, and a larger one to try. These are texts, or None where there is none."""
    found = []
    for column, params in _helping(strategy).items():
        count = counts.get(column) or 0
        share = _ns(strategy, column, count, counts, cost, host) / cost.access_ns if cost.access_ns else 0.0
        if share <= SHARE:
            continue
        params = [p for p in params if getattr(strategy, p.name)]  # 0: another one is in force
        one: dict[str, Any] = {"trace": trace, "strategy": str(strategy), "column": column, "count": count}
        one |= {"share": share, "parameter": None, "value": None, "larger": None}
        if params:
            param = params[-1]
            one |= {"parameter": param.name, "value": param.text(getattr(strategy, param.name))}
            one["larger"] = _larger(strategy, param)
        found.append(one)
    return found


def _helping(strategy: Strategy) -> dict[str, list[Param]]:
    """Count -> the parameters that help. What a scheme evicts is looked at, whether or not one of them does."""
    found: dict[str, list[Param]] = {"evictions": []}
    for param in strategy.params().values():
        for column in param.helps:
            found.setdefault(column, []).append(param)
    return found


def _ns(strategy: Strategy, column: str, count: int, counts: dict, cost: Priced, host: Profile) -> float:
    own = price(strategy, {column: count}, host).access_ns
    return own or (count * cost.kernel_ns / counts["faults"] if counts.get("faults") else 0.0)


def _larger(strategy: Strategy, param: Param) -> str | None:
    value = getattr(strategy, param.name)
    wanted = value + 4 if param.unit.startswith("log2") else value * LARGER
    wanted = wanted if param.maximum is None else min(wanted, param.maximum)
    while wanted > value:
        try:
            return param.text(getattr(dataclasses.replace(strategy, **{param.name: wanted}), param.name))
        except ValueError:  # with the other parameters it is too large
            wanted = (wanted + value) // 2
    return None
