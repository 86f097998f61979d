"""Counts the accesses that code makes which did not run lately: `far_accesses`. A processor keeps what it decoded for a
while, then makes room: an access of far code takes longer, under any scheme.

An *execution* is an EXEC row with the RAM accesses up to the next one; its block is known by its address. One without
such accesses is left out. A *generation* ends with the execution that brings the accesses of blocks that are executed
in it for the first time to GENERATION. An execution is *near* if its block was executed in this generation or in the
one before, else *far*, as is each block's first. So near is what lies among the last 128 to 256 accesses of different
code. `calibrate` measures loops of 64, which this calls near, and of 512, which it calls far; the bound lies at their
geometric middle, which is 181, and no recording was asked where.

Accesses before the first EXEC row are of a block that nobody knows, and are not counted. It hangs on the rows alone.
"""

import numpy as np

from mmuexp.native.jitcache import Number, inside

GENERATION = 128  # accesses

# State: this generation's number; accesses of new blocks in it; the far accesses so far. Of the execution at hand: is
# it its block's first in the generation, and is it far; the number of its block's address, -1 = none; its accesses
GENERATIONS, SUM, FAR_ACCESSES, IS_FIRST, IS_FAR, ADDRESS, ACCESSES = range(7)


def new_state() -> np.ndarray:
    """Make the state before the first row: int64[7]."""
    state = np.zeros(ACCESSES + 1, np.int64)
    state[GENERATIONS] = 2  # what was never executed has generation 0
    state[ADDRESS] = -1
    return state


@inside
def enter(state: np.ndarray, generation: np.ndarray, address: Number) -> None:
    """Begin the execution of a block; `generation` is the last in which each was executed, by its address's number."""
    made = state[ACCESSES]
    if made and state[ADDRESS] >= 0:
        generation[np.uint64(state[ADDRESS])] = state[GENERATIONS]
    state[SUM] += state[IS_FIRST] * made
    if state[SUM] >= GENERATION:
        state[GENERATIONS] += 1
        state[SUM] = 0
    age = state[GENERATIONS] - generation[np.uint64(address)]
    state[IS_FIRST], state[IS_FAR] = np.int64(age != 0), np.int64(age > 1)
    state[ADDRESS], state[ACCESSES] = address, 0


@inside
def access(state: np.ndarray, count: Number) -> None:
    """Add RAM accesses to the execution at hand."""
    state[ACCESSES] += count
    state[FAR_ACCESSES] += state[IS_FAR] * count
