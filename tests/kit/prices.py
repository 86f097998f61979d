"""Hosts of round prices, made by hand: an instruction takes 1 ns wherever it runs, and nothing else takes any time."""

from mmuexp.price.host import Profile, priced_at
from mmuexp.price.primitives import PRICES

SOURCE = "measured: made for a test"


def made_host(name: str = "plain", **ns: float) -> Profile:
    """Every primitive takes its instructions, and those of the kernel nothing, but for what `ns` names."""
    given = {price: p.insns / p.times for price, p in PRICES.items()} | ns
    return Profile(name, "made for a test", {price: priced_at(each, SOURCE) for price, each in given.items()})


def with_ns(host: Profile, **ns: float) -> Profile:
    """The same host with other prices."""
    return Profile(
        host.name, host.about, {**host.prices, **{name: priced_at(each, SOURCE) for name, each in ns.items()}}
    )
