"""What a scheme is, how one is found, and what it says of itself. A scheme's own file imports its words from here.

`base.py` is what every strategy is; `registry.py` finds them, also as a caller names them, `describe.py` says
what one is; `bounds.py` and `mistakes.py` are about schemes that somebody else wrote.
"""

from mmuexp.emulator.kernel import CONFLICT, LOST, SETTLED, SETTLED_IN_SPELL, WATCH_EXEC, kernel, nothing
from mmuexp.events import FIRST_EXTRA, Event
from mmuexp.price.primitives import Cost
from mmuexp.strategy.base import SPLIT, Kernels, Param, Strategy, is_instruction, param

__all__ = [
    "CONFLICT",
    "FIRST_EXTRA",
    "LOST",
    "SETTLED",
    "SETTLED_IN_SPELL",
    "SPLIT",
    "WATCH_EXEC",
    "Cost",
    "Event",
    "Kernels",
    "Param",
    "Strategy",
    "is_instruction",
    "kernel",
    "nothing",
    "param",
]
