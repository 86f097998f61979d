"""A scheme that lies: it calls an access settled although another access takes its entry away, and says nothing."""

from typing import NamedTuple

import numpy as np

from mmuexp.events import CODE
from mmuexp.strategy import SETTLED, Cost, Event, Kernels, Strategy, kernel, nothing


class State(NamedTuple):
    only: np.ndarray  # int64[1], the one page that is entered


@kernel
def access(s, e, n, row):
    if s.only[0] != row.page:
        n[Event.TLB_FILLS] += 1
        s.only[0] = row.page
    return SETTLED  # without unsettling the page that was there before


@kernel
def flush(s, e, n):
    s.only[0] = -1


@kernel
def flush_page(s, e, n, page):
    s.only[0] = -1


class WrongSettled(Strategy):
    name = "wrong-settled"
    FAST_PATH = "mov data, [vaddr]"
    events = dict.fromkeys(CODE, "as everywhere") | {Event.TLB_FILLS: "another page"}
    costs = {Event.TLB_FILLS: Cost(insn=1, source="assumed: nothing")}  # noqa: RUF012
    kernels = Kernels(access=access, io=nothing, execute=nothing, protect=nothing, flush=flush, flush_page=flush_page)

    def state(self) -> State:
        return State(np.full(1, -1, np.int64))
