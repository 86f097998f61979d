"""Numbers the pages of a trace of 64 bits, so that behind the survey a page is a place in an array.

A *page number of the trace* is given to a page when a row first touches it, from 0 on; at most PAGES pages have one. A
*trace address* is such a number and the offset in the page, and takes 32 bits. Runs that enter the survey get trace
addresses in the place of the guest's own, and so all that follows is what it is for a guest of 32 bits, where the
number of a page is the page. What hangs on the guest's own addresses asks for them: which page follows another, and
the real page behind a number. Both are kept as differences from what they are where the numbering changes nothing, so
that arrays of zeros, which take no memory, say so.
"""

import numpy as np

from mmuexp.emulator.state import new_page_table, place_of_page
from mmuexp.guest import ADDRESS_BITS, PAGE_BITS, PAGE_BYTES, PAGE_MASK, PAGES, WIDE_BITS, Columns, Op
from mmuexp.native.jitcache import Number, guarded, inside, kept

U = np.uint64
REAL_PAGES = 1 << (64 - PAGE_BITS)  # page 0 follows the last
PLACE_BITS = 21  # of the table by page: at most half of its places are taken
FEWEST_WIDE_BITS, MORE_WIDE_BITS = 48, 57  # of addresses of guests of 64 bits: walks of 4 levels, of 5
LEVELS_OF = {ADDRESS_BITS: 2, FEWEST_WIDE_BITS: 4, MORE_WIDE_BITS: 5, WIDE_BITS: 5}  # of a walk, without PAE
NONE = -1  # in place of a number: there are PAGES already


class PageNumbers:
    """Numbers the pages of one trace; feed it rows in order, or let the survey do so (survey_scan.py)."""

    def __init__(self) -> None:
        self.table = new_page_table(1 << PLACE_BITS)
        self.counts = np.zeros(2, np.int64)  # pages that have a number; other than 0 where one had to have none
        self._bits, self._looked_at = FEWEST_WIDE_BITS, 0  # by the pages looked at
        self._spaces = np.zeros(1, np.uint64)  # values of CR3, by number

    def columns(self, columns: Columns) -> Columns:
        """Give rows trace addresses; those of rows that touch a page too many say nothing."""
        traced = np.empty(len(columns.op), np.uint32)
        _rows(columns.vaddr, columns.size, columns.op, *self.table, self.counts, traced)
        return columns._replace(vaddr=traced)

    def numbers_of_spaces(self, values: np.ndarray) -> np.ndarray:
        """Number values of CR3, which are too wide for the column of addresses."""
        self._spaces = np.concatenate([self._spaces, np.setdiff1d(values, self._spaces)])
        order = np.argsort(self._spaces)
        return order[np.searchsorted(self._spaces, values, sorter=order)]

    @property
    def count(self) -> int:
        """How many pages have a number."""
        return int(self.counts[0])

    @property
    def address_bits(self) -> int:
        """How many bits the addresses of the pages so far take: 48, 57 or 64, all above alike."""
        known = int(self.counts[0])
        if known > self._looked_at:
            signed = self.real(np.arange(self._looked_at, known)) << PAGE_BITS  # of 64 bits, the highest is the sign
            for bits in (FEWEST_WIDE_BITS, MORE_WIDE_BITS):
                if (signed >> (bits - 1) != signed >> 63).any():
                    self._bits = max(self._bits, MORE_WIDE_BITS if bits == FEWEST_WIDE_BITS else WIDE_BITS)
            self._looked_at = known
        return self._bits

    @property
    def is_full(self) -> bool:
        """Has a row touched a page too many?"""
        return bool(self.counts[1])

    def real(self, numbers: np.ndarray) -> np.ndarray:
        """int64: the real pages behind page numbers."""
        return numbers + self.table.apart[numbers]


def following(page: Number, step: np.ndarray) -> Number:
    """Give the number of the page that follows a page, if it has one."""
    return page + 1 + step[page] & PAGES - 1


followed_by = inside(following)


_place_of = inside(place_of_page)


@inside
def _number_of(
    page: Number, apart: np.ndarray, step: np.ndarray, back: np.ndarray, numbered: np.ndarray, count: np.ndarray
) -> Number:  # fmt: skip
    """Find the number of a real page; one that is new gets the next, or NONE, and knows its neighbours."""
    place = _place_of(page, apart, numbered)
    if numbered[place]:
        return np.int64(numbered[place]) - 1
    number = count[0]
    if number == PAGES:
        count[1] = 1
        return np.int64(NONE)
    count[0] = number + 1
    apart[number] = np.int64(page) - number
    step[number], back[number] = -1, 1
    numbered[place] = number + 1  # last: another thread may look it up meanwhile
    after = np.int64(numbered[_place_of(page + U(1) & U(REAL_PAGES - 1), apart, numbered)]) - 1
    if after >= 0:
        step[number], back[after] = after - number - 1, number - after + 1
    before = np.int64(numbered[_place_of(page - U(1) & U(REAL_PAGES - 1), apart, numbered)]) - 1
    if before >= 0:
        back[number], step[before] = before - number + 1, number - before - 1
    return number


@inside
def traced(
    vaddr: Number, size: Number, apart: np.ndarray, step: np.ndarray, back: np.ndarray, numbered: np.ndarray,
    count: np.ndarray,
) -> Number:  # fmt: skip
    """Make the trace address of so many bytes, and see to it that the page they reach into has a number; NONE where
    one cannot have it."""
    page = vaddr >> U(PAGE_BITS)
    number = _number_of(page, apart, step, back, numbered, count)
    if number == NONE:
        return np.int64(NONE)
    crosses = (vaddr & U(PAGE_MASK)) + U(size) > U(PAGE_BYTES)
    after = page + U(1) & U(REAL_PAGES - 1)
    if crosses and step[number] == -1 and _number_of(after, apart, step, back, numbered, count) == NONE:
        return np.int64(NONE)
    return number << PAGE_BITS | np.int64(vaddr & U(PAGE_MASK))


@inside
def is_in_a_page(op: Number) -> Number:
    """Tell whether a row's address is one: a FLUSH row has CR3 there, and an annotation anything."""
    return (op != Op.FLUSH) & (op <= Op.MAP)


@guarded()
@kept
def _rows(
    vaddrs: np.ndarray, sizes: np.ndarray, ops: np.ndarray, apart: np.ndarray, step: np.ndarray, back: np.ndarray,
    numbered: np.ndarray, count: np.ndarray, to: np.ndarray,
) -> None:  # fmt: skip
    for i in range(len(ops)):
        to[i] = vaddrs[i]
        if is_in_a_page(ops[i]):
            size = U(sizes[i]) if ops[i] <= Op.EXEC else U(0)
            to[i] = traced(U(vaddrs[i]), size, apart, step, back, numbered, count)
