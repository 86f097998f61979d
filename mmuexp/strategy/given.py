"""Strategies as a caller names them: specs or Strategy objects, one or several."""

from collections.abc import Iterable
from typing import Any

from mmuexp.arguments import listed
from mmuexp.errors import UsageError
from mmuexp.strategy import Strategy
from mmuexp.strategy.registry import default_strategies, parse_spec


def given_strategies(given: Any, what: str = "strategies") -> list[Any]:
    todo = "give specs as in 'map-block,evict=lifo', or Strategy objects"
    found: dict[str, Strategy] = {}
    for one in listed(given, (str, Strategy), what, todo):
        strategy = one if isinstance(one, Strategy) else parse_spec(one)
        other = found.setdefault(str(strategy), strategy)
        if type(other) is not type(strategy):
            raise UsageError(
                "two schemes have this name", where=f"strategy {strategy}", todo="rename yours in its file"
            )
    if not found:
        raise UsageError("no strategy is named", todo="leave the list out for all of them")
    return list(found.values())


def possible_schemes(strategies: Any, reference: Any = None) -> list[Any]:
    """The strategies that a result of `compare` may hold, known before any trace is opened; as `compare` takes them."""
    if strategies is not None:
        named = given_strategies(strategies)
    else:
        named = [*default_strategies("user"), *default_strategies("system")]
    base = [] if reference is None else given_strategies(reference, "reference")
    return list({str(strategy): strategy for strategy in [*named, *base]}.values())


def own_columns(strategies: Iterable[Any]) -> list[str]:
    """The columns that these strategies add to a result's."""
    return list(dict.fromkeys(name for strategy in strategies for name in strategy.extra_events))
