"""Says what runs, shapes and sites are: the form in which traces are stored and replayed.

A *run* is an EXEC row and the LOAD and STORE rows behind it, at most MOST_SITES of them; a longer one goes on in runs
without an EXEC row, *tails*, as does what follows another row, or what no EXEC row came before. Its *shape* is all that
it says but for the addresses of its data; a *site* is one data row of a shape. A program is some thousand shapes, and
most sites find most of their addresses where they were the last time.

Shapes are numbered from 1 in order of first appearance, sites in that order, too. A number is of a *group* of batches:
with the first batch of the next one numbers begin anew, so that a trace can be read from there. A row that belongs to
no shape (FLUSH, FLUSH_PAGE, MAP, an annotation, and what is an error in any trace) is a run by itself, OTHER.
"""

from typing import NamedTuple

import numpy as np

from mmuexp.guest import Columns

MOST_SITES = 64  # of a shape
MOST_SHAPES = (1 << 16) - 2  # of a group: 16 bits tell one of them, a new one, or none
GROUP_BATCHES = 16  # what begins in a group's middle costs the decoding of at most so many batches
OTHER = 0  # in place of a shape's number: the next of `others`


class Shapes(NamedTuple):
    """What the shapes of a group are, by number; the arrays' first entry is that of OTHER and says nothing."""

    vaddr: np.ndarray  # uint64, of the EXEC row
    size: np.ndarray  # uint16, of the EXEC row; 0: a tail, which has none
    insns: np.ndarray  # uint8, of the EXEC row
    flags: np.ndarray  # uint8, of the EXEC row
    first_site: np.ndarray  # int32[shapes + 2], the sites of shape s are first_site[s] to first_site[s + 1]


class Sites(NamedTuple):
    """What the data rows of a group's shapes are but for their addresses, one array a column."""

    size: np.ndarray  # uint16
    insns: np.ndarray  # uint8
    op: np.ndarray  # uint8, LOAD or STORE
    flags: np.ndarray  # uint8


class Runs(NamedTuple):
    """Consecutive rows of a trace, at most 2**20, as runs. Arrays may be longer than what is said of them."""

    rows: int
    run: np.ndarray  # uint16[runs], the number of each one's shape, or OTHER
    accesses: int  # data rows of all runs but OTHER
    # uint64[accesses / 64 + 2], a bit for each from the lowest on: is its address another than its *base*? That is the
    # one that its site had the last time; where the shape appears for the first time, the one that the data row before
    # it in the batch has, at first 0
    changed: np.ndarray
    steps: np.ndarray  # uint32[bits that are set + 1], how far each is from its base; uint64 of 64 bits
    others: Columns  # the rows of OTHER
    shapes: Shapes  # of the group so far
    sites: Sites
    before: int  # shapes of the group before these rows; 0: the group begins

    @property
    def shapes_so_far(self) -> int:
        """How many shapes the group has with these rows."""
        return len(self.shapes.size) - 1


def no_shapes() -> tuple[Shapes, Sites]:
    """Make the shapes and sites of a group that has none yet."""
    none = np.zeros(1, np.uint8)
    shapes = Shapes(np.zeros(1, np.uint64), np.zeros(1, np.uint16), none, none, np.zeros(2, np.int32))
    return shapes, Sites(np.zeros(0, np.uint16), *(np.zeros(0, np.uint8) for _ in range(3)))
