"""map-block whose host blocks end with their guest block: what the extra page is compared with.

    host = vaddr + table[vaddr >> MAP_BLOCK_BITS]

as map-block in all but this: an access that crosses from one guest block into the next runs over the end of its host
block, so it faults every time, exactly once, and the handler completes it through guest RAM, as byte-lookup's does at
every page's end. A crossing inside a block stays free. Blocks stay as they are; a crossing store makes each of its
pages dirty, and drops all blocks of code of each that is a code page.

Source: none; a scheme made for this comparison. Leaves out: nothing more than map-block. The inaccessible page between
two blocks stays, or a crossing would run on into whatever block lies there: it is in host mappings, and not counted as
address space.
"""

from dataclasses import replace

from mmuexp.strategies.map_block import COSTS, EVENTS, FAST_PATH, MapBlock, State
from mmuexp.strategies.map_block import access as access_inside

from mmuexp.emulator.faults import fault
from mmuexp.emulator.handler import note_store
from mmuexp.emulator.reserve import new_reserve
from mmuexp.guest import PAGE_BITS
from mmuexp.strategy import Cost, Event, kernel

EVENTS = EVENTS | {Event.FAULTS_CROSS: "an access crosses a block's end: the handler completes it"}
FAST_PATH = FAST_PATH
COSTS = COSTS | {
    Event.FAULTS_CROSS: Cost(signal=1, walk=2, insn=150, source="assumed: as byte-lookup's, two walks and a copy")
}


@kernel
def access(s, e, n, row):
    if row.second >= 0 and (row.second << PAGE_BITS) & ((1 << s.map_block_bits) - 1) == 0:
        fault(e, n, Event.FAULTS_CROSS, row.vaddr)
        if row.store:
            note_store(e, n, row.frame, row.first, row.last)
            note_store(e, n, row.second_frame, 0, row.second_last)
        return 0
    return access_inside(s, e, n, row)


class NoExtraPage(MapBlock):
    name = "no-extra-page"
    events = EVENTS
    costs = COSTS
    kernels = replace(MapBlock.kernels, access=access)

    def state(self) -> State:
        whole = self.blocks * self.block_bytes >> PAGE_BITS
        return super().state()._replace(reserve=new_reserve(whole))

    def reserved_bytes(self) -> int:
        return self.blocks << self.map_block_bits
