"""The only loop that drives a strategy's kernels over the rows of a trace.

A row costs little when nothing can happen: the loop remembers, for each virtual page, which plain accesses (RAM, inside
the page, aligned) the strategy called SETTLED, and skips them until it hears LOST. Translated blocks that were entered
are remembered the same way.

replay.py loads this file anew for each strategy and puts the strategy's kernels in the place of the names below, so
that one compilation serves all its parameter values.
"""

import numpy as np

from mmuexp.emulator.code import add_block, find_block, is_code_page, room_for_block
from mmuexp.emulator.faults import log_faults
from mmuexp.emulator.kernel import CONFLICT, LOST, SETTLED, WATCH_EXEC, entry, kernel, nothing
from mmuexp.emulator.reserve import watch_peak
from mmuexp.emulator.state import CODE_EPOCH, TOLD, Row, forget_all_pages, forget_page, frame_of, learn_page
from mmuexp.guest import IO, PAGE_BITS, PAGE_BYTES, PAGE_MASK, PAGES, USER, Op
from mmuexp.keys import EXEC_KEY, KINDS

access = io = execute = protect = flush = flush_page = nothing
HAS_RESERVE = False

DONE, NO_ROOM, STOPPED, LOG_FULL = range(4)
FULL = 1 << 8  # beside a kernel's answer: the log has no room for another row
PLAIN = (1 << KINDS) - 1  # bits of a key, and of a page's memory: load and store, kernel and user
LAST_EPOCH = (1 << (32 - KINDS)) - 1
ENTERED = 1 << 13  # blocks remembered as entered
EPOCH_BITS = 16  # of the code epoch that are kept with each
EPOCH_MASK = (1 << EPOCH_BITS) - 1


@kernel
def enter_block(s, e, n, vaddr, size, insns, user_mode):
    """An EXEC row of a block not remembered. Returns its answer, or -1: no room for a new block."""
    page = vaddr >> PAGE_BITS
    offset = vaddr & PAGE_MASK
    crosses = offset + size > PAGE_BYTES
    other = (page + 1) & (PAGES - 1)
    frame = frame_of(e, page, user_mode)
    second = frame_of(e, other, user_mode) if crosses else np.int64(-1)
    start = frame << PAGE_BITS | offset
    if find_block(e, start, size, second) < 0:
        if not room_for_block(e):
            return -1
        new = not is_code_page(e, frame)
        second_new = crosses and second != frame and not is_code_page(e, second)
        add_block(e, n, start, size, second, insns)
        if new:
            protect(s, e, n, frame)
        if second_new:
            protect(s, e, n, second)
        answer = LOST if new or second_new else 0
    else:
        answer = 0
    if user_mode:
        learn_page(e, page, page)
        if crosses:
            learn_page(e, other, other)
    return answer


@kernel
def access_row(s, e, n, vaddr, size, store, user, misaligned, user_mode):
    """An access to RAM that is not known to be settled. Returns the strategy's answer."""
    page = vaddr >> PAGE_BITS
    offset = vaddr & PAGE_MASK
    over = offset + size - PAGE_BYTES  # bytes in the second page
    second, second_frame = np.int64(-1), np.int64(-1)
    frame = frame_of(e, page, user_mode)
    if over > 0:
        second = (page + 1) & (PAGES - 1)
        second_frame = frame_of(e, second, user_mode)
    last = PAGE_MASK if over > 0 else offset + size - 1
    row = Row(vaddr, size, store, user, misaligned, page, frame, offset, last, second, second_frame, over - 1)
    answer = access(s, e, n, row)
    if user_mode:  # known from the next row on
        learn_page(e, page, page)
        if over > 0:
            learn_page(e, second, second)
    return answer


@entry
def loop(s, e, n, entered, clock, log, keys, vaddrs, sizes, insns, ops, flags, frames, first_row, user_mode, filtered):
    """Replay rows from `first_row` on. Returns the row it stopped before, and why."""
    epoch, watching = clock[0], clock[2]
    code_epoch = e.control[CODE_EPOCH] & EPOCH_MASK
    for i in range(first_row, keys.size):
        key = np.int64(keys[i])
        kind = key & PLAIN
        if kind:
            known = np.int64(e.settled[key >> PAGE_BITS])
            if known >> KINDS == epoch and known & kind:
                continue
        elif key & EXEC_KEY and not watching:
            vaddr = np.int64(vaddrs[i])
            block = (vaddr << 16 | np.int64(sizes[i])) << EPOCH_BITS
            if entered[(vaddr ^ vaddr >> PAGE_BITS) & (ENTERED - 1)] == block | code_epoch:
                continue
        op = ops[i]
        answer = 0
        if op <= Op.STORE:
            vaddr, size, flag = np.int64(vaddrs[i]), np.int64(sizes[i]), np.int64(flags[i])
            user = np.int64(1) if user_mode else (flag & USER) >> 1
            page = vaddr >> PAGE_BITS
            if flag & IO:
                row = Row(vaddr, size, np.int64(op), user, np.int64(0), page, np.int64(-1), vaddr & PAGE_MASK,
                          np.int64(0), np.int64(-1), np.int64(-1), np.int64(-1))  # fmt: skip
                answer = np.int64(io(s, e, n, row)) & ~SETTLED
            else:
                misaligned = np.int64((size & (size - 1)) == 0 and (vaddr & (size - 1)) != 0)
                answer = np.int64(access_row(s, e, n, vaddr, size, np.int64(op), user, misaligned, user_mode))
                if kind and answer & SETTLED and filtered:
                    known = np.int64(e.settled[page])  # the strategy may have unsettled it
                    if answer & LOST or known >> KINDS != epoch:
                        known = 0
                    after = epoch + 1 if answer & LOST else epoch
                    e.settled[page] = after << KINDS | (known & PLAIN) | kind
        elif op == Op.EXEC:
            vaddr, size = np.int64(vaddrs[i]), np.int64(sizes[i])
            if watching:
                execute(s, e, n)
                watching = 0
            answer = enter_block(s, e, n, vaddr, size, np.int64(insns[i]), user_mode)
            if answer < 0:
                clock[0], clock[2] = epoch, watching
                return i, NO_ROOM
            if filtered:
                at = (vaddr ^ vaddr >> PAGE_BITS) & (ENTERED - 1)
                entered[at] = (vaddr << 16 | size) << EPOCH_BITS | (e.control[CODE_EPOCH] & EPOCH_MASK)
        elif op == Op.FLUSH:
            flush(s, e, n)
            if not user_mode:
                forget_all_pages(e)
            e.control[CODE_EPOCH] += 1
            answer = LOST
        elif op == Op.FLUSH_PAGE:
            page = np.int64(vaddrs[i]) >> PAGE_BITS
            flush_page(s, e, n, page)
            if not user_mode:
                forget_page(e, page)
            e.control[CODE_EPOCH] += 1
            answer = LOST
        elif op == Op.MAP:
            learn_page(e, np.int64(vaddrs[i]) >> PAGE_BITS, np.int64(frames[i]))
        if e.control[TOLD]:
            if log.size and log_faults(e.control, log, clock, i):
                answer |= FULL
            e.control[TOLD] = 0
        if HAS_RESERVE:
            watch_peak(s.reserve, n)
        code_epoch = e.control[CODE_EPOCH] & EPOCH_MASK
        if e.control[CODE_EPOCH] >> EPOCH_BITS != clock[1]:  # what is kept of the epoch begins anew
            clock[1] = e.control[CODE_EPOCH] >> EPOCH_BITS
            entered[:] = 0
        if answer & WATCH_EXEC:
            watching = 1
        if answer & LOST:
            epoch += 1
            if epoch == LAST_EPOCH:
                e.settled[:] = 0
                epoch = 1
        if answer & (CONFLICT | FULL):
            clock[0], clock[2] = epoch, watching
            return (i, STOPPED) if answer & CONFLICT else (i + 1, LOG_FULL)
    clock[0], clock[2] = epoch, watching
    return ops.size, DONE
