"""What results/live holds: the tables of the live engine, and the prices that each run measured on its machine."""

from dataclasses import replace
from pathlib import Path
from typing import Any

from mmuexp.claims.gather import LIVE
from mmuexp.errors import MmuexpError
from mmuexp.price.host import Profile, profile_of_dict
from mmuexp.render.export import load
from mmuexp.result.table import Result


def live_results(folder: Path) -> dict[str, Result]:
    """File -> table; measured figures are no experiment of their own. Raises MmuexpError for a damaged one."""
    return {f"results/{LIVE[0]}/{file.name}": load(str(file)) for file in sorted((folder / LIVE[0]).glob("*.csv"))}


def live_hosts(tables: dict[str, Result]) -> list[Profile]:
    """The profile of each run whose manifest has all prices, named by its file."""
    found = [_profile(name, table.manifest.get("prices", {}).get("host", {})) for name, table in tables.items()]
    return [one for one in found if one]


def _profile(name: str, saved: dict[str, Any]) -> Profile | None:
    """As Profile.as_dict wrote it; None where it is no profile of today's."""
    try:
        return replace(profile_of_dict(saved, name), name=name)
    except MmuexpError:
        return None
