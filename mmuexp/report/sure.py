"""How sure to be: what was measured beside what the model says, which prices are assumed, and what is left out."""

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

from mmuexp.price.host import Profile
from mmuexp.price.primitives import PRICES
from mmuexp.render import words
from mmuexp.render.clock import NOT_MEASURABLE
from mmuexp.render.html.sections import Cell, Heading, Table, Text
from mmuexp.report.workloads import typical_error
from mmuexp.rerun.measured import LiveTime

# of MODEL.md, the section on what is left out, and the README
LIMITS = (
    "Counts are exact, and the same on every machine: two implementations, cases worked out by hand, and engines that"
    " take real faults agree on them (mmuexp verify). Times are counts times prices: a model.",
    "Only memory accesses are timed. The guest's other instructions, device emulation and interrupts cost the same"
    " under every scheme and are left out, so a whole program gains less than its accesses do.",
    "The host's caches are not modelled: an access costs what one costs in the profile. A longer fast path also takes"
    " more of the instruction cache, which favours softmmu here.",
    "One recording is one run of one program. A workload of yours is better recorded than guessed: mmuexp record, then"
    " mmuexp compare.",
)


def sure_sections(hosts: Sequence[Profile], live: Sequence[LiveTime]) -> list[Any]:
    """What a reader needs to know before believing a time."""
    found: list[Any] = [Text(list(LIMITS))]
    if live:
        found += [Heading("Measured beside modelled", 3), Text(_told(live)), _measured(live)]
    found += [Heading("Prices and their sources", 3), _prices(hosts)]
    return found


def _told(live: Sequence[LiveTime]) -> str:
    error = typical_error(live)
    assert error is not None  # `live` is what was measured
    ordered = [(one, two) for one, two in _neighbours(live) if one.high < two.low]
    agreed = [(one, two) for one, two in ordered if one.model < two.model]
    return (
        f"The live engine ran {len(live)} pairs of recording and scheme for real. An engine walks no guest page tables,"
        " as a recording holds none: measured and modelled are here what the engine does, which is less than the memory"
        " access time of a scheme with many TLB fills. The model was off by"
        f" {100 * error:.2g} % in the median. Of {len(_neighbours(live))} pairs of schemes that follow each other on a"
        f" recording {len(ordered)} could be told apart beyond their noise; the model has {len(agreed)} of those in the"
        " same order. The other pairs lie within the spread of the rounds, and test nothing."
    )


def _neighbours(live: Sequence[LiveTime]) -> list[tuple[LiveTime, LiveTime]]:
    """Pairs of schemes that follow each other on one recording of one run, the faster first."""
    pairs: list[tuple[LiveTime, LiveTime]] = []
    for of in dict.fromkeys((one.run, one.recording) for one in live):
        mine = [one for one in live if (one.run, one.recording) == of and one.ns is not None]
        pairs += pairwise(sorted(mine, key=lambda one: one.ns or 0.0))
    return pairs


def _measured(live: Sequence[LiveTime]) -> Table:
    head = ["recording", "scheme", "measured", "low", "high", "modelled", "error"]
    units = ["", "", *["ns/access"] * 4, "%"]
    rows = []
    for one in live:
        error = Cell(words.DASH) if one.error is None else Cell(f"{100 * one.error:+.0f}", one.error)
        rows.append([one.recording, one.spec, *map(_two, (one.ns, one.low, one.high, one.model)), error])
    caption = "What translation takes on a real processor, and what the model says at that machine's prices"
    return Table(head, rows, units, caption=caption, name="measured")


def _two(ns: float | None) -> Cell:
    return Cell(NOT_MEASURABLE, None, "warn") if ns is None else Cell(f"{ns:.2f}", ns)


def _prices(hosts: Sequence[Profile]) -> Table:
    rows: list[list[Any]] = []
    for host in hosts:
        whole = {f"{group}.{name}": p for group in ("path", "dependent") for name, p in getattr(host, group).items()}
        for name, price in {**host.prices, **whole}.items():
            what = PRICES[name].meaning if name in PRICES else ""
            ends = [Cell(f"{ns:.3g}", ns) for ns in (price.ns, price.low_ns, price.high_ns)]
            source = Cell(price.source, mark="warn" if price.assumed else "")
            rows.append([name, what, host.name, *ends, source])
    head, units = ["price of", "one is", "host", "is", "at least", "at most", "source"], ["", "", "", *["ns"] * 3, ""]
    return Table(head, rows, units, caption="Every price, and the range that it may lie in", name="prices")
