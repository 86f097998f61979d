"""Host profiles: what one machine takes, in ns, for each primitive (primitives.py), with the range it may lie in.

A profile is a TOML file: `about`, and for each of `PRICES` a table with `ns`, `source`, and `low_ns` and `high_ns`, its
range (`spread_ns`, which older ones hold, is the width of one). A source begins with "read:", "measured:", "given:" or
"assumed:". What else it may hold:

    [path.SCHEME]        a whole hit of that scheme, its access included, in code whose accesses are independent
    [far.SCHEME]         the same in code that did not run lately (farcode.py); [path.SCHEME] is then of other code
    [cold.SCHEME]        the same in code that did not run for long; [far.SCHEME] is then of far code that is not cold
    [dependent.SCHEME]   the same in code in which each address waits for the load before
    [hit_far], [access_far], [hit_cold], [access_cold], [hit_dependent], [access_dependent]
                         such code's `hit` and `access`, for schemes without a figure of their own
    [also.EVENT]         whatever else was measured, for people

Profiles are shipped in profiles/; `mmuexp calibrate` writes a user's own, which are found by path, or by name in
`$XDG_CONFIG_HOME/mmuexp/hosts/`. Prices may follow a name, as settings follow a scheme's: `xeon-2.6-vm,signal=300` is
that profile with another price of a signal, and its name says so.
"""

import os
import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property, lru_cache
from importlib import resources
from importlib.resources.abc import Traversable
from math import isfinite
from pathlib import Path
from typing import Any, NamedTuple

from mmuexp.errors import MmuexpError, UsageError, all_shown, shown
from mmuexp.price.primitives import ASSUMED, ASSUMED_RANGE, KERNEL, PRICES
from mmuexp.runtime.places import settings_folder

MAPPING = "mapping"  # older profiles have no price of it
NEEDED = ("insn", *(name for name, p in PRICES.items() if p.part == KERNEL and name != MAPPING))  # what any holds
TIERS = ("far", "cold")  # of code that is not near
LINE = ("hit", "access")  # what a hit is put together from
OF_TIERS = tuple(f"{name}_{tier}" for tier in TIERS for name in LINE)
DEPENDENT = tuple(f"{name}_dependent" for name in LINE)
OPTIONAL = (*OF_TIERS, *DEPENDENT)
GROUPS = ("path", *TIERS, "dependent", "also")  # tables of tables
SOURCES = ("read:", "measured:", "given:", "assumed:")
DEFAULT = "epyc-vm"
CALIBRATED = "here"  # as `mmuexp calibrate` names what it measured, if -o does not say
MOST = 1_000_000_000  # ns: no primitive takes a second
LARGEST = 1 << 20  # bytes of a profile, which has some 10,000: no other file is read into memory


class Price(NamedTuple):
    """What one primitive takes: ns, and the range that it may lie in, low_ns to high_ns."""

    ns: float
    source: str
    low_ns: float
    high_ns: float
    spread_ns: float | None = None  # as the file says it

    @property
    def assumed(self) -> bool:
        return self.source.startswith(ASSUMED)

    @property
    def off(self) -> tuple[float, float]:
        """How far its range reaches from it, in ns: below it, and above."""
        return self.low_ns - self.ns, self.high_ns - self.ns

    def as_dict(self) -> dict[str, Any]:
        """As a manifest holds it, and a profile's table."""
        spread = {} if self.spread_ns is None else {"spread_ns": self.spread_ns}
        return {"ns": self.ns, "low_ns": self.low_ns, "high_ns": self.high_ns, **spread, "source": self.source}


def priced_at(ns: float, source: str, spread_ns: float | None = None) -> Price:
    """Make a price whose range nobody gives: half and double where it is assumed, its spread where it was measured."""
    if source.startswith(ASSUMED):
        low, high = ASSUMED_RANGE
        return Price(ns, source, ns * low, ns * high, spread_ns)
    off = (spread_ns or 0.0) / 2
    return Price(ns, source, max(0.0, ns - off), ns + off, spread_ns)


def _mixed(near: Price, far: Price) -> Price:
    low, high = min(near.low_ns, far.low_ns), max(near.high_ns, far.high_ns)
    return Price((2 * near.ns + far.ns) / 3, near.source, low, high)


@dataclass(frozen=True)
class Profile:
    """`prices` holds one for each of PRICES, and those of OPTIONAL that are known; the groups are as in a file."""

    name: str
    about: str
    prices: Mapping[str, Price]
    path: Mapping[str, Price] = field(default_factory=dict)
    far: Mapping[str, Price] = field(default_factory=dict)
    cold: Mapping[str, Price] = field(default_factory=dict)
    dependent: Mapping[str, Price] = field(default_factory=dict)
    also: Mapping[str, Price] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if MAPPING not in self.prices:
            none = priced_at(0.0, "assumed: in what mprotect takes")
            object.__setattr__(self, "prices", {**self.prices, MAPPING: none})

    @cached_property
    def ns(self) -> dict[str, float]:
        return {name: price.ns for name, price in self.prices.items()}

    def assumed(self, primitive: str) -> bool:
        return self.prices[primitive].assumed

    def knows(self, tier: str, scheme: str) -> bool:
        """Has it a price of its own for hits of this scheme in code of this tier?"""
        held: Mapping[str, Price] = getattr(self, tier)
        return scheme in held if scheme in self.path else all(f"{name}_{tier}" in self.prices for name in LINE)

    @cached_property
    def mixed(self) -> "Profile":
        """The same where nobody counted which code is far: two hits of three are near, and ranges hold both."""
        path = {name: _mixed(near, self.far[name]) if name in self.far else near for name, near in self.path.items()}
        prices = {name: price for name, price in self.prices.items() if name not in OF_TIERS}
        if all(f"{name}_far" in self.prices for name in LINE):
            prices |= {near: _mixed(prices[near], self.prices[f"{near}_far"]) for near in LINE}
        return replace(self, prices=prices, path=path, far={}, cold={})

    def waiting_ns(self, hits: float, accesses: float) -> float | None:
        """A hit of so many instructions where each address waits for the load before; None if nobody measured it."""
        if not all(name in self.prices for name in DEPENDENT):
            return None
        return hits * self.ns["hit_dependent"] + accesses * self.ns["access_dependent"]

    def as_dict(self) -> dict[str, Any]:
        """As a manifest holds it; `profile_of_dict` reads it back."""
        found: dict[str, Any] = {"name": self.name, "about": self.about}
        found["prices"] = {name: price.as_dict() for name, price in self.prices.items()}
        for group in GROUPS:
            if held := getattr(self, group):
                found[group] = {name: price.as_dict() for name, price in held.items()}
        return found


def user_folder() -> Path:
    """Where `mmuexp calibrate` writes and where names are looked up: $XDG_CONFIG_HOME/mmuexp/hosts."""
    return settings_folder() / "hosts"


def shipped_folder() -> Traversable:
    """Where the profiles lie that come with mmuexp."""
    return resources.files("mmuexp.price") / "profiles"


def _names_in(folder: Traversable) -> dict[str, Any]:
    if not folder.is_dir():
        return {}
    return {f.name.removesuffix(".toml"): f for f in folder.iterdir() if f.name.endswith(".toml")}


def profile_names() -> list[str]:
    """Every name that `load_profile` finds, the user's own first where they share a name."""
    return sorted({**_names_in(shipped_folder()), **_names_in(user_folder())})


_PRICES = re.compile(r"(?P<profile>.*?)(?P<prices>(,[^,=/]+=[^,]*)+)")  # what may follow a profile's name


def split_prices(asked: str) -> tuple[str, dict[str, float]]:
    """Split `PROFILE,signal=300` into the profile, which may be empty (the default one), and the prices in ns.

    Raises `UsageError` for a primitive that does not exist and for what is not a price.
    """
    parts = _PRICES.fullmatch(asked)
    if parts is None:
        return asked, {}
    prices: dict[str, float] = {}
    for word in parts["prices"][1:].split(","):
        primitive, _, text = word.partition("=")
        if primitive not in PRICES:
            what = f"there is no primitive {primitive!r} to price"
            raise UsageError(what, where=word, todo=f"there are {', '.join(PRICES)}")
        try:
            ns = float(text)
        except ValueError:
            raise UsageError(f"{text!r} is not a number of ns", where=word, todo=f"as in {primitive}=300") from None
        if not 0 <= ns <= MOST or (primitive == "insn" and ns == 0):
            raise UsageError(f"{text} ns cannot be a price", where=word, todo=f"give 0 to {MOST:,}, insn above 0")
        prices[primitive] = ns
    return parts["profile"], prices


def with_prices(profile: Profile, prices: Mapping[str, float]) -> Profile:
    """The same profile, but for `prices` (ns by primitive), which its name and its sources tell."""
    if not prices:
        return profile
    given = "given: by the user, in place of the profile's"
    held = dict(profile.prices)
    if prices.keys() & {*LINE}:  # else what was given would price nothing
        profile = replace(profile, path={}, far={}, cold={})
        held = {name: price for name, price in held.items() if name not in OF_TIERS}
    return replace(
        profile,
        name=",".join([profile.name, *(f"{primitive}={ns:g}" for primitive, ns in prices.items())]),
        prices={**held, **{name: priced_at(ns, given) for name, ns in prices.items()}},
    )


def load_profile(name_or_path: str | os.PathLike[str] | None = None) -> Profile:
    """Read a profile by name, or from the user's own file (what contains a "/" or ends in ".toml"); prices may follow.

    Raises `UsageError` for a name or a file that is not there, `MmuexpError` for a file that is not a profile.
    """
    if not isinstance(name_or_path, str | os.PathLike | None):
        kind = type(name_or_path).__name__
        raise UsageError(f"{name_or_path!r} is of type {kind}", where="host", todo="give a name, a path or a Profile")
    asked, prices = split_prices(os.fsdecode(name_or_path if name_or_path is not None else DEFAULT))
    asked = asked or DEFAULT
    if os.sep in asked or asked.endswith(".toml"):
        file, name = Path(asked), Path(asked).stem
        if not file.is_file():
            what = "is not a file, as a host profile is" if file.exists() else "no such host profile file"
            raise UsageError(what, where=asked, todo=f"or name one of {', '.join(profile_names())}")
    else:
        shipped = _names_in(shipped_folder())
        found = {**shipped, **_names_in(user_folder())}
        name = asked if asked in found else asked.lower()  # ours are in lower case
        if name not in found or (name != asked and name not in shipped):
            known = f"there are {', '.join(profile_names())}; a path ends in .toml"
            todo = f"`mmuexp calibrate` measures this host and writes it; {known}" if name == CALIBRATED else known
            raise UsageError(f"no host profile named {asked!r}", todo=todo)
        file = found[name]
    return with_prices(_read(file, name), prices)


def profile_of_dict(saved: Mapping[str, Any], where: str) -> Profile:
    """Read what `Profile.as_dict` wrote. Raises MmuexpError for what is not a profile."""
    if not isinstance(saved, Mapping) or not isinstance(saved.get("prices"), Mapping):
        raise MmuexpError("holds no prices of a host", where=where)
    groups = {group: saved[group] for group in GROUPS if group in saved}
    data = {"about": saved.get("about", ""), **saved["prices"], **groups}
    return _profile_of(data, str(saved.get("name", "")), where)


def _read(file: Path | Traversable, name: str) -> Profile:
    where = f"host profile {file}"
    try:
        with file.open("rb") as opened:
            content = opened.read(LARGEST + 1)
        if len(content) > LARGEST:
            raise MmuexpError(f"is not a host profile: it has more than {LARGEST:,} bytes", where=where)
        return profile_of_text(content.decode("utf-8-sig"), name, where)  # some editors begin with a BOM
    except OSError as error:
        raise MmuexpError(error.strerror or "cannot be read", where=where) from error
    except UnicodeDecodeError as error:
        raise MmuexpError(f"is not TOML: {error}", where=where) from error


@lru_cache(8)  # TOML takes as long to read as a million rows to replay
def profile_of_text(text: str, name: str, where: str = "") -> Profile:
    """Read a profile from the text of a file. Raises MmuexpError for what is not a profile."""
    where = where or f"host profile {name}"
    try:
        data = all_shown(tomllib.loads(text))
    except (ValueError, RecursionError) as error:  # TOML, UTF-8, an integer of thousands of digits, lists in lists
        raise MmuexpError(f"is not TOML: {error}", where=where) from error
    return _profile_of(data, name, where)


def _profile_of(data: Mapping[str, Any], name: str, where: str) -> Profile:
    unknown = sorted(set(data) - {*PRICES, *OPTIONAL, *GROUPS, "about"})
    if unknown:
        known = ", ".join(("about", *PRICES, *OPTIONAL, *GROUPS))
        raise MmuexpError(f"unknown key {unknown[0]!r}", where=where, todo=f"known: {known}")
    about = data.get("about", "")
    if not isinstance(about, str):
        raise MmuexpError("about is not a text", where=where)
    names = [name for name in (*PRICES, *OPTIONAL) if name in data or name in NEEDED]
    prices = {name: _entry(data, name, where) for name in names}
    groups = {group: _group(data.get(group, {}), group, where) for group in GROUPS}
    return Profile(shown(name), about, {**_of_instructions(prices), **prices}, **groups)


def _of_instructions(prices: Mapping[str, Price]) -> dict[str, Price]:
    """What a profile that prices nothing but instructions says of the primitives that are made of them."""
    insn = prices["insn"].ns
    return {
        name: priced_at(p.insns * insn, f"assumed: {p.insns} of its own instructions")
        for name, p in PRICES.items()
        if p.part != KERNEL
    } | {"walk_level": priced_at(PRICES["walk_level"].insns / PRICES["walk_level"].times * insn, "assumed: as long")}


def _group(tables: Any, group: str, where: str) -> dict[str, Price]:
    if not isinstance(tables, dict):
        todo = f"write [{group}.NAME] with ns and source"
        raise MmuexpError(f"{group} is not a table", where=where, todo=todo)
    return {shown(name): _entry(tables, name, where, f"{group}.{name}") for name in tables}


def _entry(data: Mapping[str, Any], key: str, where: str, called: str = "") -> Price:
    """One table of a profile; `called` as a file writes it."""
    called = called or key
    todo = f'write [{called}] with ns = NUMBER and source = "measured: ..."'
    if key not in data:
        raise MmuexpError(f"[{called}] is missing", where=where, todo=todo)
    table = data[key]
    if not isinstance(table, dict):
        raise MmuexpError(f"{called} is not a table", where=where, todo=todo)
    unknown = sorted(set(table) - {*Price._fields})
    if unknown:
        raise MmuexpError(f"unknown key {unknown[0]!r} in [{called}]", where=where, todo=todo)
    for needed in ("ns", "source"):
        if needed not in table:
            raise MmuexpError(f"{needed} is missing in [{called}]", where=where, todo=todo)
    for number in ("ns", "low_ns", "high_ns", "spread_ns"):
        _check_ns(table.get(number, 0), f"{number} of [{called}]", where, todo)
    if called == "insn" and table["ns"] == 0:
        raise MmuexpError("ns of [insn] is 0, a price cannot be", where=where, todo=todo)
    source = table["source"]
    if not isinstance(source, str) or not source.startswith(SOURCES):
        raise MmuexpError(f"source of [{called}] does not begin with {' or '.join(SOURCES)}", where=where, todo=todo)
    spread = table.get("spread_ns")
    found = priced_at(float(table["ns"]), source, None if spread is None else float(spread))
    given: dict[str, Any] = {end: float(table[end]) for end in ("low_ns", "high_ns") if end in table}
    found = found._replace(**given)
    if not found.low_ns <= found.ns <= found.high_ns:
        what = f"ns of [{called}], {found.ns:g}, is not in its range, {found.low_ns:g} to {found.high_ns:g}"
        raise MmuexpError(what, where=where, todo=todo)
    return found


def _check_ns(ns: Any, what: str, where: str, todo: str) -> None:
    if isinstance(ns, bool) or not isinstance(ns, int | float) or (isinstance(ns, float) and not isfinite(ns)):
        raise MmuexpError(f"{what} is not a number", where=where, todo=todo)
    if ns < 0:
        raise MmuexpError(f"{what} is {ns}, a price cannot be", where=where, todo=todo)
    if ns > MOST:
        raise MmuexpError(f"{what} is more than {MOST:,}, a second", where=where, todo="write it in ns")
