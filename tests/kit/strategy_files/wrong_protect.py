"""A scheme that lies: where a page becomes a code page, the entry of its neighbour goes, and nothing says so."""

from typing import NamedTuple

import numpy as np

from mmuexp.events import CODE
from mmuexp.guest import PAGES
from mmuexp.strategy import SETTLED, Cost, Event, Kernels, Strategy, kernel, nothing


class State(NamedTuple):
    entered: np.ndarray  # uint8[PAGES]


@kernel
def _enter(s, n, page):
    if not s.entered[page]:
        n[Event.TLB_FILLS] += 1
        s.entered[page] = 1


@kernel
def access(s, e, n, row):
    _enter(s, n, row.page)
    if row.second >= 0:
        _enter(s, n, row.second)
    return SETTLED


@kernel
def protect(s, e, n, frame):
    s.entered[frame ^ 1] = 0  # without unsettling it


@kernel
def flush(s, e, n):
    s.entered[:] = 0


@kernel
def flush_page(s, e, n, page):
    s.entered[page] = 0


class WrongProtect(Strategy):
    name = "wrong-protect"
    FAST_PATH = "mov data, [vaddr]"
    events = dict.fromkeys(CODE, "as everywhere") | {Event.TLB_FILLS: "another page"}
    costs = {Event.TLB_FILLS: Cost(insn=1, source="assumed: nothing")}  # noqa: RUF012
    kernels = Kernels(access=access, io=nothing, execute=nothing, protect=protect, flush=flush, flush_page=flush_page)

    def state(self) -> State:
        return State(np.zeros(PAGES, np.uint8))
