"""Host profiles: what one machine takes, in ns, for an emulator instruction and for the kernel's primitives.

A profile is a TOML file: `about`, and for each of `PRIMITIVES` a table with `ns` and `source` (and `spread_ns`, for
people). A source begins with "read:", "measured:", "given:" or "assumed:"; only an assumed one can mark a result.
`also` is for what else was measured. Two profiles are shipped beside this file; `mmuexp calibrate` writes a user's own,
which are found by path, or by name in `$XDG_CONFIG_HOME/mmuexp/hosts/`. Prices may follow a name, as settings follow a
scheme's: `xeon-2.6-vm,signal=300` is that profile with another price of a signal, and its name says so.
"""

import os
import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from importlib import resources
from math import isfinite
from pathlib import Path
from typing import Any, NamedTuple

from mmuexp.errors import MmuexpError, UsageError, all_shown, shown
from mmuexp.places import settings_folder

PRIMITIVES = ("insn", "signal", "mmap", "munmap", "mprotect", "page_in", "page_out")
ACCESS = "access"  # may be missing; beyond its instructions, what the access itself takes of every hit
SOURCES = ("read:", "measured:", "given:", "assumed:")
DEFAULT = "xeon-2.6-vm"
CALIBRATED = "here"  # as `mmuexp calibrate` names what it measured, if -o does not say
MOST = 1_000_000_000  # ns: no primitive takes a second


@dataclass(frozen=True)
class Profile:
    """`ns[primitive]` and `source[primitive]` of one machine; sources of the rest as "access" and "also.EVENT"."""

    name: str
    about: str
    ns: dict[str, float]
    source: dict[str, str]
    access_ns: float = 0.0  # the same under every scheme, so no part of `ns`: only a measured time holds it
    also: dict[str, float] = field(default_factory=dict)  # whole events that `mmuexp calibrate` measured, in ns
    spread_ns: dict[str, float] = field(default_factory=dict)  # named as in `source`; of what was measured with one

    def assumed(self, primitive: str) -> bool:
        return self.source[primitive].startswith("assumed")

    def as_dict(self) -> dict[str, Any]:
        """As a manifest holds it; "access" and "also", which price live runs alone, only if they are known."""
        found: dict[str, Any] = {"name": self.name, "about": self.about}
        found["prices"] = {p: self._told(p, self.ns[p]) for p in PRIMITIVES}
        if ACCESS in self.source:
            found[ACCESS] = self._told(ACCESS, self.access_ns)
        if self.also:
            found["also"] = {event: self._told(f"also.{event}", ns) for event, ns in self.also.items()}
        return found

    def _told(self, name: str, ns: float) -> dict[str, Any]:
        spread = {"spread_ns": self.spread_ns[name]} if name in self.spread_ns else {}
        return {"ns": ns, "source": self.source.get(name, ""), **spread}


def user_folder() -> Path:
    """Where `mmuexp calibrate` writes and where names are looked up: $XDG_CONFIG_HOME/mmuexp/hosts."""
    return settings_folder() / "hosts"


def _names_in(folder) -> dict[str, Any]:
    if not folder.is_dir():
        return {}
    return {f.name.removesuffix(".toml"): f for f in folder.iterdir() if f.name.endswith(".toml")}


def profile_names() -> list[str]:
    """Every name that `load_profile` finds, the user's own first where they share a name."""
    return sorted({**_names_in(resources.files(__name__)), **_names_in(user_folder())})


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
        if primitive not in PRIMITIVES:
            raise UsageError(
                f"there is no primitive {primitive!r} to price", where=word, todo=f"there are {', '.join(PRIMITIVES)}"
            )
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
    return replace(
        profile,
        name=",".join([profile.name, *(f"{primitive}={ns:g}" for primitive, ns in prices.items())]),
        ns={**profile.ns, **prices},
        source={**profile.source, **dict.fromkeys(prices, "given: by the user, in place of the profile's")},
        spread_ns={name: ns for name, ns in profile.spread_ns.items() if name not in prices},
    )


def load_profile(name_or_path: str | os.PathLike | None = None) -> Profile:
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
            raise UsageError("no such host profile file", where=asked, todo=f"or name one of {_known()}")
    else:
        shipped = _names_in(resources.files(__name__))
        found = {**shipped, **_names_in(user_folder())}
        name = asked if asked in found else asked.lower()  # ours are in lower case
        if name not in found or (name != asked and name not in shipped):
            known = f"there are {_known()}; a path ends in .toml"
            todo = f"`mmuexp calibrate` measures this host and writes it; {known}" if name == CALIBRATED else known
            raise UsageError(f"no host profile named {asked!r}", todo=todo)
        file = found[name]
    return with_prices(_parse(file, name), prices)


def profile_of_text(text: str, name: str) -> Profile:
    """A profile that is no file: what `calibrate` has just measured."""
    return _profile(text, name, f"host profile {name}")


def _known() -> str:
    return ", ".join(profile_names())


def _parse(file, name: str) -> Profile:
    where = f"host profile {file}"
    try:
        return _profile(file.read_text(encoding="utf-8-sig"), name, where)  # some editors begin with a BOM
    except OSError as error:
        raise MmuexpError(error.strerror or "cannot be read", where=where) from error
    except UnicodeDecodeError as error:
        raise MmuexpError(f"is not TOML: {error}", where=where) from error


def _profile(text: str, name: str, where: str) -> Profile:
    try:
        data = all_shown(tomllib.loads(text))
    except (ValueError, RecursionError) as error:  # TOML, UTF-8, an integer of thousands of digits, lists in lists
        raise MmuexpError(f"is not TOML: {error}", where=where) from error
    unknown = sorted(set(data) - set(PRIMITIVES) - {"about", "also", ACCESS})
    if unknown:
        known = ", ".join((*PRIMITIVES, ACCESS))
        raise MmuexpError(f"unknown key {unknown[0]!r}", where=where, todo=f"known: about, also, {known}")
    about = data.get("about", "")
    if not isinstance(about, str):
        raise MmuexpError("about is not a text", where=where)
    entries = {p: _entry(data, p, where) for p in PRIMITIVES}
    if ACCESS in data:
        entries[ACCESS] = _entry(data, ACCESS, where)
    others = data.get("also", {})
    if not isinstance(others, dict):
        raise MmuexpError("also is not a table", where=where, todo="write [also.EVENT] with ns and source")
    entries |= {f"also.{event}": _entry(others, event, where, f"also.{event}") for event in others}
    return Profile(
        shown(name),
        about,
        {p: entries[p].ns for p in PRIMITIVES},
        {entry: found.source for entry, found in entries.items()},
        entries[ACCESS].ns if ACCESS in entries else 0.0,
        {event: entries[f"also.{event}"].ns for event in others},
        {entry: found.spread_ns for entry, found in entries.items() if found.spread_ns is not None},
    )


class _Entry(NamedTuple):
    ns: float
    source: str
    spread_ns: float | None


def _entry(data: dict, key: str, where: str, called: str = "") -> _Entry:
    """One table of a profile; `called` as a file writes it."""
    called = called or key
    todo = f'write [{called}] with ns = NUMBER and source = "measured: ..."'
    if key not in data:
        raise MmuexpError(f"[{called}] is missing", where=where, todo=todo)
    table = data[key]
    if not isinstance(table, dict):
        raise MmuexpError(f"{called} is not a table", where=where, todo=todo)
    unknown = sorted(set(table) - {"ns", "source", "spread_ns"})
    if unknown:
        raise MmuexpError(f"unknown key {unknown[0]!r} in [{called}]", where=where, todo=todo)
    for needed in ("ns", "source"):
        if needed not in table:
            raise MmuexpError(f"{needed} is missing in [{called}]", where=where, todo=todo)
    for number in ("ns", "spread_ns"):
        _check_ns(table.get(number, 0), f"{number} of [{called}]", where, todo)
    if called == "insn" and table["ns"] == 0:
        raise MmuexpError("ns of [insn] is 0, a price cannot be", where=where, todo=todo)
    source = table["source"]
    if not isinstance(source, str) or not source.startswith(SOURCES):
        raise MmuexpError(f"source of [{called}] does not begin with {' or '.join(SOURCES)}", where=where, todo=todo)
    spread = table.get("spread_ns")
    return _Entry(float(table["ns"]), source, None if spread is None else float(spread))


def _check_ns(ns: Any, what: str, where: str, todo: str) -> None:
    if isinstance(ns, bool) or not isinstance(ns, int | float) or (isinstance(ns, float) and not isfinite(ns)):
        raise MmuexpError(f"{what} is not a number", where=where, todo=todo)
    if ns < 0:
        raise MmuexpError(f"{what} is {ns}, a price cannot be", where=where, todo=todo)
    if ns > MOST:
        raise MmuexpError(f"{what} is more than {MOST:,}, a second", where=where, todo="write it in ns")
