"""Counts the accesses that code makes which did not run lately, `far_accesses`, and those of them that code makes which
did not run for long, `cold_accesses`. A processor keeps what it decoded for a while, then makes room; what it knows of
jumps, and the code itself in the first cache, it keeps for longer: an access of far code takes longer, under any
scheme, and one of cold code much longer.

An *execution* is an EXEC row with the RAM accesses up to the next one; its block is known by its address. One without
such accesses is left out. A *generation* ends with the execution that brings the accesses of blocks that are executed
in it for the first time to GENERATION. An execution is *near* if its block was executed in this generation or in the
one before, else *far*, as is each block's first. So near is what lies among the last 128 to 256 accesses of different
code. `calibrate` measures loops of 64, which this calls near, and of 512, which it calls far; the bound lies at their
geometric middle, which is 181, and no recording was asked where.

A *long generation* is of whole generations. It ends with the one in which the accesses of blocks that are executed in
it for the first time reach LONG_GENERATION. An execution is *cold* if its block was executed neither in this one nor in
the one before, as is each block's first; it is then far, too. So what is not cold lies among the last 1,024 to 2,048
accesses of different code. `calibrate` measures 16,384 accesses in no order, whose middle with the loops of 512 is
twice as far. Here recordings were asked: of those of results/live one price of an access so counted is what is missing
beside far code's in bzip2, luajit, linux_user and linux_spaces; with long generations of 2,048, bzip2 has none.

Accesses before the first EXEC row are of a block that nobody knows, and are not counted. It hangs on the rows alone.
"""

from typing import Any, NamedTuple

import numpy as np

from mmuexp.emulator.state import zeros
from mmuexp.native.jitcache import Number, inside

GENERATION = 128  # accesses
LONG_GENERATION = 1024


class Near(NamedTuple):
    """How far the count is, and of the execution at hand what is known."""

    generation: Number  # this generation's number
    new: Number  # accesses of blocks that are executed for the first time in it
    far_accesses: Number  # so far
    last: Number  # the generation in which the block at hand was executed last, before this execution
    place: Number  # of its block's address among the generations; 0: there is none


class Executed(NamedTuple):
    """In which generation each block was executed last, and how far the long generations are."""

    generations: np.ndarray  # int64, by the number of a block's address and one; 0: it never was
    long: np.ndarray  # int64: BEGAN, BEGAN_BEFORE, LONG_NEW, COLD


# BEGAN: the first generation of this long one. BEGAN_BEFORE: that of the one before. LONG_NEW: as `new`. COLD: cold
# accesses so far.
BEGAN, BEGAN_BEFORE, LONG_NEW, COLD = range(4)
# What was never executed is of generation 0, which is more than one before the first, and before the first long one.
FIRST = 2
NEAR: Any = Near._make(map(np.int64, (FIRST, 0, 0, FIRST, 0)))


def new_executed(blocks: int) -> Executed:
    """Nothing was executed yet, of so many blocks."""
    return Executed(zeros(blocks + 1, np.int64), np.array([FIRST, FIRST - 1, 0, 0], np.int64))


@inside
def enter(near: Near, executed: Executed, address: Number) -> Near:
    """Begin the execution of a block."""
    generation, new = near.generation, near.new
    if new >= GENERATION:
        generation, new = generation + 1, np.int64(0)
        if executed.long[LONG_NEW] >= LONG_GENERATION:
            executed.long[BEGAN_BEFORE], executed.long[BEGAN] = executed.long[BEGAN], generation
            executed.long[LONG_NEW] = 0
    place = np.int64(address) + 1
    return Near(generation, new, near.far_accesses, executed.generations[np.uint64(place)], place)


@inside
def access(near: Near, executed: Executed, count: Number) -> Near:
    """Add RAM accesses to the execution at hand."""
    if near.last == near.generation or not count:
        return near
    executed.generations[np.uint64(near.place)] = near.generation
    if near.last < executed.long[BEGAN]:
        executed.long[LONG_NEW] += count
        executed.long[COLD] += count * np.int64(near.last < executed.long[BEGAN_BEFORE])
    far = near.far_accesses + count * np.int64(near.generation - near.last > 1)
    return Near(near.generation, near.new + count, far, near.last, near.place)
