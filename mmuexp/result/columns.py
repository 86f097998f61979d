"""Tells which columns a table has, as `mmuexp help columns` prints them."""

from collections.abc import Iterable

from mmuexp.events import SHAPE, Event, Group
from mmuexp.result.misses import COLUMNS as OF_MISSES
from mmuexp.result.table import COLUMNS, HALF, IDENTITY, LIVE, PARTS, PRICES, RESIDENT, SIZES, TIMES, WINDOW

SUM_OF = {Group.FAULT: ["faults"], Group.CALL: ["host_calls"]}


def described(own: Iterable[str] = ()) -> list[tuple[str, list[str]]]:
    """List what columns tell, and the names of those that tell it; `own` are those that schemes add.

    Every column of a table stands in one of the lists.
    """
    found = [("which run a row is", [*IDENTITY]), ("the trace, under every scheme the same", [*SHAPE])]
    for group in Group:
        events = [event.column for event in Event if event.group is group]
        found.append((group.value, SUM_OF.get(group, []) + events))
    prices = [name for name in COLUMNS if name in {*PRICES, *PARTS, *TIMES, "cross_kernel_ns"}]
    found += [
        ("sizes: bytes, and cache lines", [*SIZES, RESIDENT]),
        ("instructions of the host, and prices in ns", prices),
    ]
    found += [("the second half of the rows alone", HALF)]
    told = {name for _, names in found for name in names}
    found += [("other counts, which prices need", [name for name in COLUMNS if name not in told])]
    found += [("with --every", [WINDOW]), ("with --live", LIVE)]
    found += [("of `mmuexp misses` alone", [name for name in OF_MISSES if name not in COLUMNS])]
    return [*found, ("events of one scheme; `mmuexp strategy show SCHEME` tells them", list(own))]
