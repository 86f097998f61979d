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

from typing import Any, NamedTuple

import numpy as np

from mmuexp.native.jitcache import Number, inside

GENERATION = 128  # accesses


class Near(NamedTuple):
    """How far the count is, and of the execution at hand what is known."""

    generation: Number  # this generation's number
    new: Number  # accesses of blocks that are executed for the first time in it
    far_accesses: Number  # so far
    is_first: Number  # is the execution its block's first in the generation, 0 or 1
    is_far: Number  # 0 or 1
    place: Number  # of its block's address among the generations; 0: there is none


# What was never executed is of generation 0, which is more than one before the first.
NOTHING_YET = Near(2, 0, 0, 0, 0, 0)
NEAR: Any = Near._make(map(np.int64, NOTHING_YET))


@inside
def enter(near: Near, generations: np.ndarray, address: Number) -> Near:
    """Begin the execution of a block; `generations` has the last in which each was executed, by the number of its
    address and one."""
    over = near.new >= GENERATION
    generation, new = near.generation + np.int64(over), np.int64(0) if over else near.new
    place = np.int64(address) + 1
    age = generation - generations[np.uint64(place)]
    return Near(generation, new, near.far_accesses, np.int64(age != 0), np.int64(age > 1), place)


@inside
def access(near: Near, generations: np.ndarray, count: Number) -> Near:
    """Add RAM accesses to the execution at hand."""
    if not near.is_first or not count:
        return near
    generations[np.uint64(near.place)] = near.generation
    far = near.far_accesses + near.is_far * count
    return Near(near.generation, near.new + count, far, near.is_first, near.is_far, near.place)
