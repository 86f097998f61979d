"""softmmu whose helper for code pages sees pages, not bytes: what the bitmap of code is compared with.

    entry = tlb[write][mode][(vaddr >> 12) & (entries - 1)]

as softmmu in all but this: a store to a code page drops all translated blocks of the page, as the handlers of the mmap
schemes do. So it needs no list of a page's blocks and no bitmap; but data beside code costs the code.

Source: none; a scheme made for this comparison. Leaves out: nothing more than softmmu.
"""

from dataclasses import replace

from mmuexp.strategies.softmmu import COSTS, EVENTS, FAST_PATH, Softmmu
from mmuexp.strategies.softmmu import access as access_kept

from mmuexp.emulator.code import is_code_page, store_drops_page
from mmuexp.strategy import Event, kernel

EVENTS = {event: text for event, text in EVENTS.items() if event != Event.CODE_LIST_WALKS}
FAST_PATH = FAST_PATH
COSTS = {event: cost for event, cost in COSTS.items() if event != Event.CODE_LIST_WALKS}


@kernel
def _drop(e, n, frame, first, last):
    if is_code_page(e, frame):
        n[Event.SLOW_CODE] += 1
        store_drops_page(e, n, frame, first, last)


@kernel
def access(s, e, n, row):
    if row.store:  # afterwards its pages hold no code, and softmmu's own helper stays out of it
        _drop(e, n, row.frame, row.first, row.last)
        if row.second >= 0:
            _drop(e, n, row.second_frame, 0, row.second_last)
    return access_kept(s, e, n, row)


class PageDrop(Softmmu):
    name = "page-drop"
    events = EVENTS
    costs = COSTS
    kernels = replace(Softmmu.kernels, access=access)
