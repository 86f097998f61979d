"""Writes numbers as people read them: durations, counts, sizes, factors; and Markdown."""

import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from math import floor, log10
from typing import Any

from mmuexp.errors import shown
from mmuexp.guest import ADDRESS_BITS
from mmuexp.price.host import CALIBRATED
from mmuexp.price.priced import PATH
from mmuexp.strategy.registry import ALL, GROUPS, Group, is_ours

DASH = "-"  # the scheme has no such event
UNKNOWN = "unknown"  # the trace does not tell it
EQUAL = "as fast"


def number(value: float | int | None) -> str:
    """Write a count: 1234567 -> 1,234,567"""
    if value is None:
        return DASH
    return f"{value:,}" if isinstance(value, int) else f"{value:,.0f}"


def many(count: int, what: str) -> str:
    """Write a count of things: 1 row, 2 rows."""
    return f"{count:,} {what}{'s' * (count != 1)}"


def significant(value: float) -> str:
    """Write three digits, never in powers of ten: 12.0, 0.0451, 1,234"""
    if value == 0:
        return "0"
    if abs(value) >= 100:
        return f"{value:,.0f}"
    value = float(f"{value:.2e}")  # 9.999 has the digits of 10.0
    return f"{value:.{2 - floor(log10(abs(value)))}f}"


def duration(ns: float | None) -> str:
    """Write nanoseconds in the largest unit that keeps the number above 1: 1175 -> 1.18 us"""
    if ns is None:
        return DASH
    for unit, size in (("s", 1e9), ("ms", 1e6), ("us", 1e3)):
        if abs(ns) >= 0.9995 * size:  # 999.9 us is 1.00 ms
            return f"{significant(ns / size)} {unit}"
    return f"{significant(ns)} ns"


def at_prices(host: str) -> str:
    """Say whose prices a figure is at: `here` is the profile that was measured on the reader's own host."""
    return "at the prices measured here" if host == CALIBRATED else f"at the prices of {host}"


def size(count: int | None) -> str:
    """Write a size in bytes: 65536 -> 64 KiB"""
    if count is None:
        return DASH
    for unit, power in (("PiB", 50), ("TiB", 40), ("GiB", 30), ("MiB", 20), ("KiB", 10)):
        if count >= 1 << power:
            whole, rest = divmod(count, 1 << power)
            return f"{significant(count / (1 << power)) if rest else f'{whole:,}'} {unit}"
    return f"{count:,} B"


def factor(ns: float, reference_ns: float) -> str:
    """Say how a run stands to the reference: 1.63x faster, 2.10x slower, as fast."""
    if not ns or not reference_ns:
        return EQUAL if ns == reference_ns else DASH
    ratio = reference_ns / ns
    if round(ratio, 2) == 1:
        return EQUAL
    return f"{ratio:.2f}x faster" if ratio > 1 else f"{1 / ratio:.2f}x slower"


UNITS = {"ns": 1.0, "us": 1e3, "ms": 1e6, "s": 1e9}
UNITS |= {"B": 1.0, "KiB": 2.0**10, "MiB": 2.0**20, "GiB": 2.0**30, "TiB": 2.0**40, "PiB": 2.0**50}


def value(text: str) -> float | None:
    """Return what a text of this module sorts by: ns of a duration, bytes of a size, how many times faster.

    `1.88x faster *` is 1.88, `2.00x slower` 0.5; of `under 27.6 us` and `21.3 (+5 %)` the first number counts. None for
    a text without one.
    """
    if EQUAL in text or text.startswith("reference"):
        return 1.0
    found = re.search(r"(?<![\w.])([-+]?[\d,]*\.?\d+)(x| (?:ns|us|ms|s|B|KiB|MiB|GiB|TiB|PiB)\b)?", text)
    if found is None:
        return None
    amount, unit = float(found[1].replace(",", "")), (found[2] or "").strip()
    if unit == "x" and "slower" in text:
        return 1 / amount if amount else None
    return amount * UNITS.get(unit, 1.0)


def share(part: int, whole: int) -> str:
    """Write a percentage; a share that is there but tiny does not become 0."""
    if not whole or not part:
        return "0 %"
    percent = 100 * part / whole
    return f"{percent:.2f} %" if percent >= 0.01 else "under 0.01 %"


def markdown_line(cells: Sequence[str]) -> str:
    """Return a row of a Markdown table; nothing in a cell ends it, or is taken for HTML."""
    told = (cell.replace("-\n", "-").replace("\n", " ") for cell in cells)
    return "| " + " | ".join(markdown_text(cell).replace("|", "\\|") for cell in told) + " |"


def markdown_table(heads: Sequence[str], rows: Iterable[Sequence[str]], left: Collection[int] = (0,)) -> list[str]:
    """Return the lines of a Markdown table; `left` are the columns set left."""
    rule = ["| " + " | ".join(":--" if at in left else "--:" for at in range(len(heads))) + " |"]
    return [markdown_line(heads), *rule, *map(markdown_line, rows)]


def markdown_text(text: str) -> str:
    """Return the text so that Markdown finds no HTML in it."""
    return text.replace("&", "&amp;").replace("<", "&lt;")


def pressure(one: Mapping[str, Any]) -> str:
    """Say what was given up and taken again, what that costs, and which parameter helps (an entry of pressure.py)."""
    told = f"{one['strategy']}: {number(one['count'])} {one['column']}, some {100 * one['share']:.0f} % of its time"
    if one["parameter"] is None:
        return f"{told}; no parameter of it helps."
    setting = f"{one['parameter']}={one['value']}"
    if one["larger"] is None:
        return f"{told}: {setting} is too small for this guest, and the most that there is; no parameter helps."
    return f"{told}: {setting} is too small for this guest; try {one['parameter']}={one['larger']}."


def missing_in(rows: Sequence[Mapping[str, Any]]) -> list[str]:
    """Say what schemes of today could not do because the trace does not tell them something: told by their counts."""
    said = []
    flushed = [row for row in rows if row.get("view_switches") == 0 and row["flushes"] and row.get("compared_tables")]
    if flushed:
        said.append(
            "views: the trace tells no values of CR3, so that all its address spaces are one; recordings by QEMU from"
            " 9.1 on tell them."
        )
    unpatched = [
        row["strategy"]
        for row in rows
        if row.get("patches") == 0 and row.get("faults_io") and "patch=never" not in row["strategy"]
    ]
    if unpatched:
        said.append(
            f"{', '.join(unpatched)}: device accesses faulted, and none was patched: the trace does not tell which"
            " instruction of which block they are."
        )
    return said


def unchecked_in(schemes: Collection[str], told: Iterable[Mapping[str, str]]) -> list[str]:
    """Say which of these schemes nobody has checked; `told` is `unchecked` of a manifest."""
    return [
        f"{one['scheme']} never passed `mmuexp strategy check {shown(one['check'])}`: its counts, and what rests on"
        " them, may be wrong."
        for one in told
        if one["scheme"] in schemes
    ]


def put_together(schemes: Sequence[str], prices: Mapping[str, Any]) -> list[str]:
    """Say which of these schemes, of those that are somebody else's, have a hit path that is not measured on the host,
    where another's is; `prices` are a manifest's."""
    host = prices.get("host", {})
    measured = [name for name in schemes if name in host.get("path", {})]
    said = []
    for name in schemes if measured else ():
        insns = prices.get("strategies", {}).get(name, {}).get(PATH, {}).get("hit")
        if name not in measured and not is_ours(name) and insns is not None:
            said.append(
                f"{name}: its hit path is not measured on {host['name']}, but put together from"
                f" {many(insns, 'instruction')}; {measured[0]}'s is measured."
            )
    return said


def groups_there_are(mode: str) -> str:
    """Say which groups of schemes may be compared beside those that are shown where none is named."""
    told = []
    for name, meaning in GROUPS.items():
        schemes = dict.fromkeys(strategy.name for strategy in Group(name).of(mode, ADDRESS_BITS))
        told.append(f"-s {name}, {meaning}" + (f" ({', '.join(schemes)})" if name != ALL else ""))
    return f"There is more to compare: {'; '.join(told)}."
