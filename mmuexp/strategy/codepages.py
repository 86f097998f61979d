"""What the schemes that map guest pages say alike of parameter `code`; what it does is in emulator/codepages.py."""

from typing import Any

from mmuexp.emulator.codepages import CHECK_EVENTS, CODE_POLICIES
from mmuexp.events import FIRST_EXTRA
from mmuexp.price.primitives import Cost
from mmuexp.strategy.base import param

CHECK_COSTS: dict[Any, Cost] = {
    "checked_entries": Cost(checked_entry=1, source="read: PCSX2, iR5900.cpp:2028-2040"),
    "checked_bytes": Cost(checked_byte=1, source="read: PCSX2, iR5900.cpp:2028-2040: cmp and jne for 4 bytes"),
    "checks_failed": Cost(insn=200, source="assumed: as faults_code without its signal"),
}


def check_meanings(extra_events: tuple[str, ...]) -> dict[int, str]:
    """Say what the events of code=check are, for a scheme with these events of its own."""
    first = FIRST_EXTRA + extra_events.index(CHECK_EVENTS[0])
    return {
        first: "code=check: entries of blocks that compare their source",
        first + 1: "code=check: bytes of these",
        first + 2: "code=check: of these, found changed: dropped, and translated again",
    }


def code_param() -> Any:
    """Declare parameter `code`."""
    return param("page", choices=CODE_POLICIES, sweep=CODE_POLICIES, help="what is done with a code page")


def check_after_param() -> Any:
    """Declare parameter `check_after`."""
    what = "code=check: faults_code after which a page's blocks compare their source"
    only = {"code=check": {"code": "check"}}
    return param(1, minimum=0, maximum=255, sweep=(0, 1, 2, 4, 8), unit="faults", help=what, companions=only)
