"""How sure a model's winner is: does any price within its range put another run first, and what would decide that?"""

from collections.abc import Mapping, Sequence
from typing import Any

from mmuexp.price.host import CALIBRATED
from mmuexp.price.priced import is_of_host

NAMED = 3  # prices, of several that turn the order
MEASURED = (CALIBRATED, "now")  # profiles of the reader's own host, as calibrate and compare --live name them


def certainty_sentence(winner: str, entries: Sequence[Mapping[str, Any]], names: Mapping[str, str], host: str) -> str:
    """Say it of a winner, whose `entries` a manifest holds, and of the others, `names`: spec -> name.

    Without an entry of every one of them it is not known, and nothing is said.
    """
    found = {entry["scheme"]: entry for entry in entries}
    if not names or not names.keys() <= found.keys():
        return ""
    unsure = {spec: found[spec] for spec in names if not found[spec]["sure"]}
    if not unsure:
        return "No prices within their ranges put another first."
    alone = [spec for spec, entry in unsure.items() if entry["decided_by"]]
    together = [names[spec] for spec in unsure if spec not in alone]
    knobs = list(dict.fromkeys(knob for spec in alone for knob in unsure[spec]["decided_by"]))
    told = []
    if alone:
        more = f" or {len(knobs) - NAMED} more" if len(knobs) > NAMED else ""
        first = _or([names[spec] for spec in alone])
        listed = f"{', '.join(knobs[:NAMED])}{more}"
        told.append(f"one of these alone, within its range, puts {first} before {winner}: {listed}")
    if together:
        told.append(f"several prices at once, each within its range, put {_or(together)} before {winner}")
    return f"Not sure: {'; '.join(told)}. {_advice(knobs, host)}"


def _advice(knobs: Sequence[str], host: str) -> str:
    if host not in MEASURED and (not knobs or any(map(is_of_host, knobs))):
        return "`mmuexp calibrate` measures the prices of this host, --live what the schemes take on it."
    return "--live measures what the schemes take on this host."


def _or(names: Sequence[str]) -> str:
    return " or ".join(filter(None, (", ".join(names[:-1]), names[-1])))
