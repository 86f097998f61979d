"""What accesses by QEMU's software TLB cost in schemes that do most of theirs otherwise: its events as in softmmu."""

from typing import Any

from mmuexp.events import Event
from mmuexp.price.primitives import Cost
from mmuexp.strategy.helpers import CROSSING, FILL, MISALIGNED, SEARCHED_BLOCK

_MODELLED = "assumed: as the same event of softmmu"
SPELL_COSTS: dict[Any, Cost] = {
    Event.TLB_FILLS: Cost(helper=1, walk=1, insn=280, most=280, source=_MODELLED),
    Event.SLOW_MISALIGNED: Cost(helper=1, insn=10, source=_MODELLED),
    Event.SLOW_CROSS: Cost(helper=1, insn=34, source=_MODELLED + ", a load of two lookups"),
    Event.SLOW_IO: Cost(helper=1, insn=20, source=_MODELLED),
    Event.SLOW_CODE: Cost(helper=1, insn=30, source=_MODELLED),
    Event.CODE_LIST_WALKS: Cost(insn=40, source=_MODELLED),
    Event.SEARCHED_BLOCKS: Cost(insn=16, source=_MODELLED),
}
SPELL_ENGINE_COSTS: dict[Any, Cost] = {
    Event.TLB_FILLS: FILL,
    Event.SLOW_MISALIGNED: MISALIGNED,
    Event.SLOW_CROSS: CROSSING,
    Event.SEARCHED_BLOCKS: SEARCHED_BLOCK,
}


def spell_meanings(meaning: str) -> dict[Any, str]:
    """Give all of these events one meaning."""
    return dict.fromkeys(SPELL_COSTS, meaning)
