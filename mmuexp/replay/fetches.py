"""Finds the EXEC rows that look their code up in a TLB, by QEMU's rule: the others go on without asking.

QEMU links blocks of one page to each other, and finds a block of another page in its *jump cache*, by the address of
the block. What neither knows is looked up by its physical address, and so its page in the TLB. So a row is one of these
if its page was not entered in its mode since the last FLUSH, or FLUSH_PAGE of that page; or if the block before began
on another page, and the jump cache does not hold the row's address. Each row that is one is put there. FLUSH empties
the jump cache, FLUSH_PAGE the places of that page and of the page before, whose last block may lie in both. A place
hangs on the guest's own address, all else on numbers of pages (pages.py).

Source: QEMU 10.0: accel/tcg/tb-jmp-cache.h, tb-hash.h (the place), cputlb.c (tb_jmp_cache_clear_page), cpu-exec.c
(tb_lookup), translator.c (translator_use_goto_tb). It hangs on the rows alone, and on no scheme: a scheme with a kernel
`fetch` is asked about these rows.
"""

from typing import Any

import numpy as np

from mmuexp.blocks.runs import OTHER
from mmuexp.emulator.state import PageTable, new_page_table, zeros
from mmuexp.guest import PAGE_BITS, PAGES, USER
from mmuexp.native.jitcache import Number, guarded, inside, kept
from mmuexp.replay.firsts import END_OTHER, END_PART, END_ROW, END_RUN, Rows, packed_row, room_for
from mmuexp.replay.shapes import COUNT, FLAGS, HAS_BLOCK, INSNS, NUMBER, PLACE_BITS, SIZE, VADDR

JUMPS = 1 << 12  # places of the jump cache
GROUP = 1 << 6  # places that all blocks of one page share, and those of some other pages
LAST_EPOCH = 1 << 30
EPOCH, BEFORE = range(2)  # in `clock`: of FLUSH rows, from 1; page << 1 | user of the block before
NOWHERE = PAGES << 1  # not a page: the block before says nothing


class Fetches:
    """Finds the rows of one trace of `mode` "user" or "system" that look code up; give it the parts in order."""

    def __init__(self, mode: str, pages: PageTable | None = None) -> None:
        self._apart = (pages or new_page_table()).apart
        self._user_mode = mode == "user"
        self._entered = zeros(2 * PAGES, np.int64)  # by page << 1 | user: the epoch in which it was entered last
        # epoch << 33 | address << 1 | user of a block: who finds his own there has entered the page in his mode, too
        self._jumps = np.zeros(JUMPS, np.int64)
        self._clock = np.array([1, NOWHERE], np.int64)
        self._found, self._rows = np.empty(0, np.int64), room_for(0)

    def of(self, part: Any) -> tuple[np.ndarray, Rows]:
        """Find those of a part of a batch (survey.py): int64[fetches], their numbers in the batch, and the rows. Both
        are valid until the next part."""
        if len(part.batch.runs.run) > len(self._found):
            self._found, self._rows = np.empty(len(part.batch.runs.run), np.int64), room_for(len(part.batch.runs.run))
        found = _find(
            part.batch.walked, part.place, part.stop, self._user_mode, self._apart, self._entered, self._jumps,
            self._clock, self._found, self._rows,
        )  # fmt: skip
        return self._found[:found], Rows(*(column[:found] for column in self._rows))


@inside
def _group_of(vaddr: Number) -> Number:
    """Give the first of the places of all blocks of the page that this address is in."""
    return (vaddr ^ vaddr >> 6) >> 6 & JUMPS - GROUP


@guarded()
@kept
def _find(
    w: Any, place: np.ndarray, stop: Number, user_mode: bool, apart: np.ndarray, entered: np.ndarray,
    jumps: np.ndarray, clock: np.ndarray, found: np.ndarray, rows: Rows
) -> Number:  # fmt: skip
    """Write the numbers of the rows to `found`, and the rows; returns how many."""
    u8 = np.uint64
    epoch, before = clock[EPOCH], clock[BEFORE]
    count, row, run, part, other = 0, place[END_ROW], place[END_RUN], place[END_PART], place[END_OTHER]
    while row < stop:
        shape, i = u8(w.run[u8(run)]), row
        run += 1
        if shape != OTHER:
            about = shape << u8(PLACE_BITS)
            has = np.int64(w.shape[about | u8(HAS_BLOCK)])
            row += np.int64(w.shape[about | u8(COUNT)]) + has - part
            enters, part = has > part, 0
            vaddr, flags = np.int64(w.shape[about | u8(VADDR)]), np.int64(w.shape[about | u8(FLAGS)])
            page = vaddr >> PAGE_BITS
            where = page << 1 | (1 if user_mode else (flags & USER) >> 1)
            if where == before or not enters:
                continue
            real = vaddr + (apart[page] << PAGE_BITS)
            at = _group_of(real) | (real ^ real >> 6) & GROUP - 1
            now = epoch << 33 | vaddr << 1 | where & 1
            held = jumps[at]
            if held != now and (entered[where] != epoch or (page != before >> 1 and held >> 1 != now >> 1)):
                n = u8(count)
                found[n] = i
                size = w.shape[about | u8(SIZE)]
                rows.vaddr[n], rows.key[n], rows.form[n] = vaddr, w.shape[about | u8(NUMBER)], size
                rows.about[n] = packed_row(size, w.shape[about | u8(INSNS)], 2, flags)
                count += 1
                entered[where] = epoch
                jumps[at] = now
            before = where
            continue
        op, page = w.other_op[other], np.int64(w.other_vaddr[other]) >> PAGE_BITS
        row, other = row + 1, other + 1
        if op == 3:
            epoch += 1
            before = NOWHERE
            if epoch == LAST_EPOCH:
                entered[:] = jumps[:] = 0
                epoch = 1
        elif op == 4:
            entered[page << 1] = entered[page << 1 | 1] = 0
            for back in range(2):  # the page before page 0 is the last: a place hangs on the lowest bits alone
                first = _group_of(page + apart[page] - back << PAGE_BITS)
                jumps[first : first + GROUP] = 0
            if before >> 1 == page:
                before = NOWHERE
    clock[EPOCH], clock[BEFORE] = epoch, before
    return count
