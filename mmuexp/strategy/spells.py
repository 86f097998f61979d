"""What accesses by QEMU's software TLB cost in schemes that do most of theirs otherwise: its events as in softmmu."""

from typing import Any

from mmuexp.events import Event
from mmuexp.price.primitives import Cost

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
_MEASURED = "measured: as in softmmu.c, by calibrate"
SPELL_ENGINE_COSTS: dict[Any, Cost] = {
    Event.TLB_FILLS: Cost(helper=1, hit=206, source=_MEASURED),
    Event.SLOW_MISALIGNED: Cost(helper=1, hit=151, source=_MEASURED),
    Event.SLOW_CROSS: Cost(helper=1, hit=422, source=_MEASURED),
    Event.SEARCHED_BLOCKS: Cost(hit=66, least=28, most=200, source=_MEASURED),
}


def spell_meanings(meaning: str) -> dict[Any, str]:
    """Give all of these events one meaning."""
    return dict.fromkeys(SPELL_COSTS, meaning)
