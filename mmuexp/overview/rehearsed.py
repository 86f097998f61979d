"""What results/live holds: the tables of the live engine, and the prices that each run measured on its machine."""

from collections.abc import Sequence
from math import isfinite
from pathlib import Path
from typing import Any

from mmuexp.export import load
from mmuexp.host import PRIMITIVES, Profile
from mmuexp.mail.gather import LIVE
from mmuexp.result import Result


def live_results(folder: Path) -> dict[str, Result]:
    """File -> table; measured figures are no experiment of their own. Raises MmuexpError for a damaged one."""
    return {f"results/{LIVE[0]}/{file.name}": load(str(file)) for file in sorted((folder / LIVE[0]).glob("*.csv"))}


def live_hosts(tables: dict[str, Result]) -> list[Profile]:
    """The profile of each run whose manifest has all prices, named by its file."""
    found = [_profile(name, table.manifest.get("prices", {}).get("host", {})) for name, table in tables.items()]
    return [one for one in found if one]


def _profile(name: str, saved: dict[str, Any]) -> Profile | None:
    """As Profile.as_dict wrote it; None where a price is missing or is none."""
    prices = saved.get("prices", {})
    ns = {primitive: prices.get(primitive, {}).get("ns") for primitive in PRIMITIVES}
    if not _are_prices(list(ns.values())):
        return None
    return Profile(name, saved.get("about", ""), ns, {p: str(prices[p].get("source", "")) for p in PRIMITIVES})


def _are_prices(given: Sequence[Any]) -> bool:
    return all(type(ns) in (int, float) and isfinite(ns) and ns >= 0 for ns in given)
