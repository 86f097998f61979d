"""What `strategy list` and `strategy show` say: everything comes from the strategy's file, nothing is written twice."""

import inspect
import sys
from typing import Any

from mmuexp.strategy import Strategy
from mmuexp.strategy.designs import designs_of

OF_COSTS = """\
Costs of one, in primitives (a host profile holds ns for each). Counts that are not columns are sums over RAM
accesses: units8 of their 8-byte parts, wide_units8 of those above 4 bytes, ram_misaligned_units8 of
misaligned ones inside a page, ram_cross_loads and ram_cross_store_bytes of those that cross."""


def _text(cls: type[Strategy]) -> str:
    return inspect.cleandoc(sys.modules[cls.__module__].__doc__ or cls.__doc__ or "")


def summary(cls: type[Strategy]) -> dict[str, Any]:
    """One scheme in a line."""
    return {
        "name": cls.name,
        "hit_insns": cls().hit_insns(),
        "parameters": list(cls.params()),
        "what": _text(cls).partition("\n")[0].removeprefix(f"{cls.name}: "),
        "designs": [one._asdict() for one in designs_of(cls.name)],
    }


def description(strategy: Strategy) -> dict[str, Any]:
    """Everything that a strategy's file says of it."""
    cls = type(strategy)
    names = {at: name for name, at in cls.columns().items()}
    return summary(cls) | {
        "spec": str(strategy),
        "text": _text(cls),
        "hit_insns": strategy.hit_insns(),
        "fast_path": inspect.cleandoc(strategy.fast_path()),
        "parameters": {
            p.name: {"value": p.text(getattr(strategy, p.name)), "range": p.range, "unit": p.unit, "help": p.help}
            | {"sweep": [p.text(v) for v in p.sweep]}
            for p in cls.params().values()
        },
        "events": {names[at]: text for at, text in cls.events.items()},
        "guests_of_64_bits": _wide(strategy),
        "costs": {name: cost.primitives() | {"source": cost.source} for name, cost in strategy.price_list().items()},
    }


def _wide(strategy: Strategy) -> dict[str, Any]:
    """What the scheme needs for a guest of 48 bits: which defaults are others there, and bytes that it reserves; or why
    it has none."""
    if why := strategy.only_32_bits():
        return {"none": why}
    wide = strategy.of_guest(48)
    others = {
        p.name: p.text(now)
        for p in wide.params().values()
        if (now := getattr(wide, p.name)) != getattr(strategy, p.name)
    }
    return {"parameters": others, "table_bytes": wide.table_bytes(), "reserved_bytes": wide.reserved_bytes()}


def _needs(wide: dict[str, Any]) -> str:
    """The same in a sentence."""
    if "none" in wide:
        return f"none: {wide['none']}."
    needs = [f"{size(wide['table_bytes'])} of table" if wide["table_bytes"] else "no table"]
    if wide["reserved_bytes"]:
        needs.append(f"{size(wide['reserved_bytes'])} of host address space")
    others = "".join(f"; {name}={value}" for name, value in wide["parameters"].items())
    return f"of 48 bits of addresses: {', '.join(needs)}{others}. MODEL.md, section 10."


def size(count: int) -> str:
    """So many bytes, in the largest unit of which they are one."""
    units = ("bytes", "KiB", "MiB", "GiB", "TiB")
    power = min(len(units) - 1, max(0, count.bit_length() - 1) // 10)
    return f"{count / 1024**power:,.4g} {units[power]}"


def instructions(count: int) -> str:
    return f"{count} instruction{'s' * (count != 1)}"


def as_text(about: dict[str, Any]) -> str:
    """`description` for people."""
    lines = [about["text"], "", f"Fast path ({instructions(about['hit_insns'])} on a hit):", ""]
    lines += [f"    {line}" for line in about["fast_path"].splitlines()]
    lines += ["", "Parameters:", ""]
    for name, p in about["parameters"].items():
        lines.append(f"    {name}={p['value']}  ({p['range']}{', ' + p['unit'] if p['unit'] else ''})")
        lines.append(f"        {p['help']}")
    if not about["parameters"]:
        lines.append("    none")
    if about["designs"]:
        lines += ["", "Designs that it is the model of:", ""]
        width = max(len(one["name"]) for one in about["designs"])
        for one in about["designs"]:
            lines.append(f"    {one['name']:<{width}}  {one['guest']}: {one['spec']}")
            lines += [f"    {'':<{width}}  {one['differs']}"] * bool(one["differs"])
    lines += ["", "Events it counts:", ""]
    width = max(map(len, about["events"]), default=0)
    lines += [f"    {name:<{width}}  {text}" for name, text in about["events"].items()]
    lines += ["", "Guests of 64 bits:", "", f"    {_needs(about['guests_of_64_bits'])}"]
    lines += ["", *OF_COSTS.splitlines(), ""]
    for name, cost in about["costs"].items():
        bundle = " + ".join(f"{n:g} {p}" for p, n in cost.items() if p != "source")
        lines.append(f"    {name:<{max(map(len, about['costs']))}}  {bundle}")
        lines.append(f"        {cost['source']}")
    return "\n".join(lines)
