"""Finds the EXEC rows that look their code up in a TLB, by QEMU's rule: the others go on without asking.

QEMU links blocks of one page to each other, and finds a block of another page in its *jump cache*, by the address of
the block. What neither knows is looked up by its physical address, and so its page in the TLB. So a row is one of these
if its page was not entered in its mode since the last FLUSH, or FLUSH_PAGE of that page; or if the block before began
on another page, and the jump cache does not hold the row's address. Each row that is one is put there. FLUSH empties
the jump cache, FLUSH_PAGE the places of that page and of the page before, whose last block may lie in both.

Source: QEMU 10.0: accel/tcg/tb-jmp-cache.h, tb-hash.h (the place), cputlb.c (tb_jmp_cache_clear_page), cpu-exec.c
(tb_lookup), translator.c (translator_use_goto_tb). It hangs on the rows alone, and on no scheme: a scheme with a kernel
`fetch` is asked about these rows.
"""

import numpy as np

from mmuexp.emulator.state import zeros
from mmuexp.guest import PAGE_BITS, PAGES, USER, Columns
from mmuexp.native import bits
from mmuexp.native.jitcache import Number, guarded, inside, kept

JUMPS = 1 << 12  # places of the jump cache
GROUP = 1 << 6  # places that all blocks of one page share, and those of some other pages
LAST_EPOCH = 1 << 30
EPOCH, BEFORE = range(2)  # in `clock`: of FLUSH rows, from 1; page << 1 | user of the block before
NOWHERE = PAGES << 1  # not a page: the block before says nothing
PIECE = 1 << 6  # rows that are looked at together


class Fetches:
    """Finds the rows of one trace of `mode` "user" or "system" that look code up; give it the batches in order."""

    def __init__(self, mode: str) -> None:
        self._user_mode = mode == "user"
        self._entered = zeros(2 * PAGES, np.int64)  # by page << 1 | user: the epoch in which it was entered last
        # epoch << 33 | address << 1 | user of a block: who finds his own there has entered the page in his mode, too
        self._jumps = np.zeros(JUMPS, np.int64)
        self._clock = np.array([1, NOWHERE], np.int64)
        self._found = np.empty(0, np.int64)

    def of(self, columns: Columns) -> np.ndarray:
        """Find those of a batch, counted from its first row: int64[fetches], valid until the next batch."""
        if len(columns.op) > len(self._found):
            self._found = np.empty(len(columns.op), np.int64)
        found = _find(
            columns.vaddr, columns.op, columns.flags, self._user_mode, self._entered, self._jumps, self._clock,
            self._found,
        )  # fmt: skip
        return self._found[:found]


@inside
def _group_of(vaddr: Number) -> Number:
    """Give the first of the places of all blocks of the page that this address is in."""
    return (vaddr ^ vaddr >> 6) >> 6 & JUMPS - GROUP


@inside
def _rows_of_code(
    vaddrs: np.ndarray, ops: np.ndarray, flags: np.ndarray, start: Number, count: Number, user_mode: bool,
    before: Number
) -> tuple[Number, Number]:  # fmt: skip
    """Two bits for each of `count` rows from `start` on: it is a block, or drops pages; and it does not stay in the
    page `before`. No branches: vector code, as code mostly stays."""
    u4, u8 = np.uint32, np.uint64
    page, user = u4(before >> 1), u4(before & 1)
    code, leaves = u8(0), u8(0)
    for j in range(u8(count)):
        op, flag, vaddr = u4(ops[u8(start) + j]), u4(flags[u8(start) + j]), u4(vaddrs[u8(start) + j])
        mode = u4(1) if user_mode else u4(flag >> u4(1) & u4(1))
        other = u4(u4(vaddr >> u4(PAGE_BITS)) ^ page) | u4(mode ^ user)
        block, drops = op == u4(2), u4(op - u4(3)) < u4(2)
        code |= u8(block | drops) << j
        leaves |= u8((block & (other != u4(0))) | drops) << j
    return code, leaves


@guarded()
@kept
def _find(
    vaddrs: np.ndarray, ops: np.ndarray, flags: np.ndarray, user_mode: bool, entered: np.ndarray, jumps: np.ndarray,
    clock: np.ndarray, found: np.ndarray
) -> Number:  # fmt: skip
    """Write the numbers of the rows to `found`; returns how many."""
    u8 = np.uint64
    epoch, before = clock[EPOCH], clock[BEFORE]
    count, rows = 0, len(ops)
    for start in range(0, rows, PIECE):
        if rows - start >= PIECE:  # of a length that the compiler knows
            code, leaves = _rows_of_code(vaddrs, ops, flags, start, PIECE, user_mode, before)
        else:
            code, leaves = _rows_of_code(vaddrs, ops, flags, start, rows - start, user_mode, before)
        if not leaves:
            continue
        code &= ~bits.lowest_bits(bits.lowest_bit(leaves))
        while code:
            i = u8(start) + bits.lowest_bit(code)
            code &= code - u8(1)
            vaddr = np.int64(vaddrs[i])
            page = vaddr >> PAGE_BITS
            if ops[i] == 2:
                where = page << 1 | (1 if user_mode else np.int64(flags[i] & USER) >> 1)
                if where == before:
                    continue
                place = _group_of(vaddr) | (vaddr ^ vaddr >> 6) & GROUP - 1
                now = epoch << 33 | vaddr << 1 | where & 1
                held = jumps[place]
                if held != now and (entered[where] != epoch or (page != before >> 1 and held >> 1 != now >> 1)):
                    found[count] = i
                    count += 1
                    entered[where] = epoch
                    jumps[place] = now
                before = where
            elif ops[i] == 3:
                epoch += 1
                before = NOWHERE
                if epoch == LAST_EPOCH:
                    entered[:] = jumps[:] = 0
                    epoch = 1
            else:
                entered[page << 1] = entered[page << 1 | 1] = 0
                for of in (page, page - 1 & PAGES - 1):
                    first = _group_of(of << PAGE_BITS)
                    jumps[first : first + GROUP] = 0
                if before >> 1 == page:
                    before = NOWHERE
    clock[EPOCH], clock[BEFORE] = epoch, before
    return count
