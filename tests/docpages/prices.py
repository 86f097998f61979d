"""The tables of docs/prices.md: the one list of primitives, and what each shipped profile says of it."""

import re
from collections.abc import Iterator

from mmuexp.price.host import DEFAULT, TIERS, Profile, load_profile, shipped_folder
from mmuexp.price.primitives import PRIMITIVES

from .pages import ROOT

PAGE = ROOT / "docs" / "prices.md"


def text() -> str:
    """The whole page, its tables as they are today."""
    page = PAGE.read_text()
    for name, table in (("primitives", _primitives()), ("profiles", _profiles()), ("prices", _prices())):
        page, times = re.subn(rf"(?s)(<!-- {name}: [^\n]*-->\n)\n.*?(<!-- /{name} -->)", _filled(table), page)
        if times != 1:
            raise LookupError(f"docs/prices.md has {times} places for the table of {name}")
    return page


def _filled(lines: Iterator[str]):
    table = "\n".join(lines)
    return lambda found: f"{found[1]}\n{table}\n\n{found[2]}"


def _primitives() -> Iterator[str]:
    yield from ("| primitive | what one is | where | instructions |", "|:--|:--|:--|--:|")
    for p in PRIMITIVES:
        price = f"`{p.price}`" + (f" x {p.times}, the primitive `{p.field}`" if p.times > 1 else "")
        length = f"{p.insns // p.times:,}" if p.insns else ""
        yield f"| {price} | {p.meaning} | {p.part} | {length} |"


def _shipped() -> list[Profile]:
    files = [file for file in shipped_folder().iterdir() if file.name.endswith(".toml")]
    found = [load_profile(str(file)) for file in files]
    return sorted(found, key=lambda host: host.name != DEFAULT)


def _profiles() -> Iterator[str]:
    yield from ("| profile | what it is | prices that were measured |", "|:--|:--|--:|")
    for host in _shipped():
        measured = sum(price.source.startswith("measured") for price in host.prices.values())
        used = "; used where none is named" if host.name == DEFAULT else ""
        link = f"[`{host.name}`](../mmuexp/price/profiles/{host.name}.toml)"
        yield f"| {link} | {host.about}{used} | {measured} of {len(host.prices)} |"


def _prices() -> Iterator[str]:
    hosts = _shipped()
    yield "| ns of one, and its range | " + " | ".join(host.name for host in hosts) + " |"
    yield "|:--|" + "--:|" * len(hosts)
    for p in PRIMITIVES:
        yield f"| `{p.price}` | " + " | ".join(_price(host, p.price) for host in hosts) + " |"
    for name in sorted({name for host in hosts for name in host.path}):
        yield f"| a whole hit of {name} | " + " | ".join(_whole(host, name) for host in hosts) + " |"


def _price(host: Profile, name: str) -> str:
    price = host.prices[name]
    ends = "" if price.low_ns == price.high_ns else f" ({_ns(price.low_ns)} to {_ns(price.high_ns)})"
    return f"{_ns(price.ns)}{ends}{', assumed' if price.assumed else ''}"


def _whole(host: Profile, name: str) -> str:
    path, waiting = host.path.get(name), host.dependent.get(name)
    if path is None:
        return "as its instructions"
    tiers = {tier: held[name] for tier in TIERS if name in (held := getattr(host, tier))}
    apart = "".join(f", {_ns(price.ns)} in {tier} code" for tier, price in tiers.items())
    return _ns(path.ns) + apart + (f"; {_ns(waiting.ns)} where accesses wait for each other" if waiting else "")


def _ns(ns: float) -> str:
    return f"{ns:,.0f}" if ns >= 1000 else f"{ns:.3g}"
