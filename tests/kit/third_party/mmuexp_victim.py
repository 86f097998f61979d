"""softmmu-large: a fifth scheme, in one file of another package: a one-level table of the whole address space.

    entry = tlb[vaddr >> 12]

An entry for each page, so nothing is ever pushed out: what a TLB of unlimited size would cost. It counts one event of
its own, `pages_entered`, which no scheme of mmuexp has.
"""

from typing import NamedTuple

import numpy as np

from mmuexp.events import CODE
from mmuexp.guest import PAGES
from mmuexp.strategy import FIRST_EXTRA, SETTLED, Cost, Event, Kernels, Strategy, kernel, nothing, param

PAGES_ENTERED = FIRST_EXTRA


class State(NamedTuple):
    entered: np.ndarray  # uint8[PAGES]
    count: np.ndarray  # int64[1], entries in use


@kernel
def _enter(s, n, page):
    if not s.entered[page]:
        n[Event.TLB_FILLS] += 1
        n[PAGES_ENTERED] += 1
        s.entered[page] = 1
        s.count[0] += 1


@kernel
def access(s, e, n, row):
    _enter(s, n, row.page)
    if row.second >= 0:
        _enter(s, n, row.second)
    return SETTLED


@kernel
def io(s, e, n, row):
    n[Event.SLOW_IO] += 1
    return 0


@kernel
def flush(s, e, n):
    s.entered[:] = 0
    s.count[0] = 0


@kernel
def flush_page(s, e, n, page):
    s.count[0] -= s.entered[page]
    s.entered[page] = 0


class SoftmmuLarge(Strategy):
    name = "softmmu-large"
    FAST_PATH = """
        mov  reg, vaddr
        shr  reg, 12
        mov  reg, [table + reg*4]
        test reg, reg
        jz   miss                  ; not taken
        mov  data, [reg + vaddr]
    """
    events = dict.fromkeys(CODE, "as everywhere") | {Event.TLB_FILLS: "an empty entry", Event.SLOW_IO: "a device"}
    extra_events = ("pages_entered",)
    costs = {  # noqa: RUF012
        Event.TLB_FILLS: Cost(walk=1, insn=300, source="assumed: as softmmu"),
        Event.SLOW_IO: Cost(insn=40, source="assumed: as softmmu"),
    }
    kernels = Kernels(access=access, io=io, execute=nothing, protect=nothing, flush=flush, flush_page=flush_page)

    associativity: int = param(1, minimum=1, maximum=8, sweep=(1, 2), unit="ways", help="of no consequence")

    def state(self) -> State:
        return State(np.zeros(PAGES, np.uint8), np.zeros(1, np.int64))

    def table_bytes(self) -> int:
        return 4 * PAGES
