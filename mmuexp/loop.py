"""The only loop that drives a strategy's kernels over the rows of a trace.

A row costs little when nothing can happen. The loop remembers, for each virtual page, which plain accesses (RAM, inside
the page) the strategy called SETTLED, until it hears LOST or `unsettle`; and the translated blocks that were
entered. While nothing is lost it therefore looks at the firsts of an era alone (firsts.py); when something is, it reads
the rest of the era. Either way it looks at 64 together, and then only at those that are not known.

replay.py loads this file anew for each strategy and puts the strategy's kernels in the place of the names below, so
that one compilation serves all its parameter values.
"""

import numpy as np

from mmuexp.bits import lowest_bit, lowest_bits
from mmuexp.emulator.code import add_block, find_block, is_code_page, room_for_block
from mmuexp.emulator.faults import log_faults
from mmuexp.emulator.kernel import CONFLICT, LOST, SETTLED, WATCH_EXEC, entry, kernel, nothing
from mmuexp.emulator.reserve import watch_peak
from mmuexp.emulator.state import (
    ENTERED,
    GUEST_INSNS,
    TOLD,
    UNSETTLED,
    Row,
    forget_all_pages,
    forget_page,
    frame_of,
    learn_own_page,
    learn_page,
    unsettle,
)
from mmuexp.firsts import END_FIRST, END_INSNS, END_ROW, PIECE, SIZE_BITS
from mmuexp.guest import IO, PAGE_BITS, PAGE_BYTES, PAGE_MASK, PAGES, USER, Op
from mmuexp.keys import ALIGNED, EXEC_KEY, KINDS, PLAIN_KINDS

access = io = execute = protect = flush = flush_page = nothing
HAS_RESERVE = False

DONE, NO_ROOM, STOPPED, LOG_FULL = range(4)
ERA, FIRST, ROW, LOSSY, PLACES = range(5)  # where in a batch the loop is; LOSSY: it reads every row of this era
FULL = 1 << 8  # beside a kernel's answer: the log has no room for another row
LAST_EPOCH = (1 << (32 - KINDS)) - 1
SIZE_MASK = (1 << SIZE_BITS) - 1  # of a first's word
EPOCH_MASK = (1 << 16) - 1  # of the code epoch that are kept with each block


@kernel
def enter_block(s, e, n, vaddr, size, insns, user_mode):
    """An EXEC row of a block not remembered. Returns its answer and the block; -1: no room for a new one."""
    page = vaddr >> PAGE_BITS
    offset = vaddr & PAGE_MASK
    crosses = offset + size > PAGE_BYTES
    other = (page + 1) & (PAGES - 1)
    frame = frame_of(e, page, user_mode)
    second = frame_of(e, other, user_mode) if crosses else np.int64(-1)
    start = frame << PAGE_BITS | offset
    block = find_block(e, start, size, second)
    answer = np.int64(0)
    if block < 0:
        if not room_for_block(e):
            return answer, np.int64(-1)
        new = not is_code_page(e, frame)
        second_new = crosses and second != frame and not is_code_page(e, second)
        block = add_block(e, n, start, size, second, insns)
        if new:
            protect(s, e, n, frame)
        if second_new:
            protect(s, e, n, second)
        if user_mode:  # a frame is one virtual page
            if new:
                unsettle(e, page)
            if second_new:
                unsettle(e, other)
        elif new or second_new:
            answer = np.int64(LOST)
    if user_mode:
        learn_own_page(e, page)
        if crosses:
            learn_own_page(e, other)
    return answer, block


@kernel
def slot_of(vaddr):
    """Where a block is remembered as entered: neighbours side by side, so that a line of the cache holds several."""
    u4 = np.uint32
    return u4(u4(u4(vaddr >> u4(2)) ^ u4(vaddr >> u4(PAGE_BITS))) & u4(ENTERED - 1))


@kernel
def entered_word(vaddr, size, code_epoch):
    """What is remembered of a block that was entered: vaddr (32 bits), size (16), the code epoch (16)."""
    return np.uint64(vaddr) << np.uint64(32) | np.uint64(np.uint32(np.uint32(size << np.uint32(16)) | code_epoch))


@kernel
def remember_block(e, vaddr, size, block, code_epoch):
    """The block was entered at this address. It is remembered once, so that it is forgotten when it is dropped."""
    slot = np.int64(slot_of(np.uint32(vaddr)))
    if e.block[block].entered:
        e.entered[e.block[block].entered - 1] = 0
    e.entered[slot] = entered_word(np.uint32(vaddr), np.uint32(size), np.uint32(code_epoch))
    e.block[block].entered = slot + 1


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
        learn_own_page(e, page)
        if over > 0:
            learn_own_page(e, second)
    return answer


@kernel
def is_known(e, what, size, epoch, code_epoch):
    """Is this a remembered block, of some size at vaddr `what`, or a settled access, of key `what` and size 0? All is
    uint32. No branches, and no more bits than needed: vector code."""
    u4 = np.uint32
    remembered = e.entered[slot_of(what)] == entered_word(what, size, code_epoch)
    settled = u4(e.page[u4(what >> u4(PAGE_BITS))].settled ^ u4(epoch << u4(KINDS)))  # in this epoch: kinds alone
    plain = (settled <= u4(PLAIN_KINDS)) & (u4(settled & what) != u4(0))
    return plain if size == u4(0) else remembered


@kernel
def row_to_look_up(keys, vaddrs, sizes, i):
    """What `is_known` asks for, of row `i`: `what` and `size`."""
    u4 = np.uint32
    block = u4(keys[i] & u4(EXEC_KEY)) != u4(0)
    return u4(vaddrs[i]) if block else keys[i], u4(sizes[i]) if block else u4(0)


@kernel
def first_to_look_up(word):
    """The same of a first, from its word (firsts.py)."""
    return np.uint32(word >> np.uint64(SIZE_BITS)), np.uint32(word & np.uint64(SIZE_MASK))


@kernel
def unknown_rows(e, keys, vaddrs, sizes, row, count, epoch, code_epoch):
    """A bit for each of `count` rows from `row` on that is not known."""
    u4, u8 = np.uint32, np.uint64
    bits = u8(0)
    for j in range(u8(count)):
        what, size = row_to_look_up(keys, vaddrs, sizes, u8(row) + j)
        bits |= u8(not is_known(e, what, size, u4(epoch), u4(code_epoch))) << j
    return bits


@kernel
def unknown_firsts(e, first_words, at, count, epoch, code_epoch):
    """As `unknown_rows`, of `count` firsts from number `at` on."""
    u4, u8 = np.uint32, np.uint64
    bits = u8(0)
    for j in range(u8(count)):
        what, size = first_to_look_up(first_words[u8(at) + j])
        bits |= u8(not is_known(e, what, size, u4(epoch), u4(code_epoch))) << j
    return bits


@entry
def loop(
    s, e, n, clock, place, log, keys, vaddrs, sizes, insns, ops, flags, frames, firsts, first_words, eras,
    user_mode, filtered,
):  # fmt: skip
    """Replay a batch from `place` on. Returns why it stops; `place` tells where it goes on, place[ROW] the row that
    stopped it."""
    epoch, watching = clock[0], clock[2]
    code_epoch = clock[1]
    era, at, row, lossy = place[ERA], place[FIRST], place[ROW], place[LOSSY]
    # what is looked at together: `count` rows, or firsts, from `base` on, and a bit for each that is not known
    base = count = np.int64(0)
    bits = np.uint64(0)
    why = DONE
    while era < eras.shape[0]:
        if not bits:
            if lossy or not filtered or watching:
                lossy = 1
                base, count = row, min(eras[era, END_ROW] - row, PIECE)
                if not count:
                    at, lossy = eras[era, END_FIRST], 0
                    era += 1
                elif not filtered or watching:
                    bits = lowest_bits(count)
                else:
                    bits = unknown_rows(e, keys, vaddrs, sizes, row, count, epoch, code_epoch)
                row += count
            else:
                base, count = at, min(eras[era, END_FIRST] - at, PIECE)
                if count:
                    bits = unknown_firsts(e, first_words, at, count, epoch, code_epoch)
                else:
                    row = eras[era, END_ROW]
                    era += 1
                at += count
            continue
        j = np.int64(lowest_bit(bits))
        bits &= bits - np.uint64(1)
        if lossy:
            i = base + j
            what, length = row_to_look_up(keys, vaddrs, sizes, i)
        else:
            i = np.int64(firsts[base + j])
            what, length = first_to_look_up(first_words[base + j])
        if is_known(e, what, length, np.uint32(epoch), np.uint32(code_epoch)) and not (watching and length):
            continue  # since a row that came after they were looked at
        kind = np.int64(0) if length else np.int64(what) & PLAIN_KINDS
        lost = False
        op = ops[i]
        answer = 0
        unsettled = e.control[UNSETTLED]
        if op <= Op.STORE:
            vaddr, size, flag = np.int64(vaddrs[i]), np.int64(sizes[i]), np.int64(flags[i])
            user = np.int64(1) if user_mode else (flag & USER) >> 1
            page = vaddr >> PAGE_BITS
            if flag & IO:
                access_to = Row(vaddr, size, np.int64(op), user, np.int64(0), page, np.int64(-1), vaddr & PAGE_MASK,
                                np.int64(0), np.int64(-1), np.int64(-1), np.int64(-1))  # fmt: skip
                answer = np.int64(io(s, e, n, access_to)) & ~SETTLED
            else:
                misaligned = np.int64((size & (size - 1)) == 0 and (vaddr & (size - 1)) != 0)
                answer = np.int64(access_row(s, e, n, vaddr, size, np.int64(op), user, misaligned, user_mode))
                if kind and answer & SETTLED:
                    if filtered:
                        known = np.int64(e.page[page].settled)  # the strategy may have unsettled it
                        if answer & LOST or known >> KINDS != epoch:
                            known = 0
                        after = epoch + 1 if answer & LOST else epoch
                        e.page[page].settled = after << KINDS | (known & PLAIN_KINDS) | kind
                elif kind & ALIGNED:
                    lost = not lossy  # what repeats this row must be asked about
        elif op == Op.EXEC:
            vaddr, size = np.int64(vaddrs[i]), np.int64(sizes[i])
            if watching:
                execute(s, e, n)
                watching = 0
            answer, entered = enter_block(s, e, n, vaddr, size, np.int64(insns[i]), user_mode)
            if entered < 0:
                row, lossy, why = i, 1, NO_ROOM
                break
            if filtered:
                remember_block(e, vaddr, size, entered, code_epoch)
        elif op == Op.FLUSH or op == Op.FLUSH_PAGE:
            e.control[GUEST_INSNS] = eras[era, END_INSNS]
            if op == Op.FLUSH:
                flush(s, e, n)
                if not user_mode:
                    forget_all_pages(e)
            else:
                page = np.int64(vaddrs[i]) >> PAGE_BITS
                flush_page(s, e, n, page)
                if not user_mode:
                    forget_page(e, page)
            code_epoch = (code_epoch + 1) & EPOCH_MASK
            if code_epoch == 0:  # what is kept of the epoch begins anew
                e.entered[:] = 0
            answer = LOST
        elif op == Op.MAP:
            learn_page(e, np.int64(vaddrs[i]) >> PAGE_BITS, np.int64(frames[i]))
        if e.control[TOLD]:
            if log.size and log_faults(e.control, log, clock, i):
                answer |= FULL
            e.control[TOLD] = 0
        if HAS_RESERVE:
            watch_peak(s.reserve, n)
        if answer & WATCH_EXEC:
            watching = 1
        if answer & LOST:
            epoch += 1
            if epoch == LAST_EPOCH:
                for each in range(PAGES):
                    e.page[each].settled = 0
                epoch = 1
        if answer & (CONFLICT | FULL):
            row, lossy, why = (i, 1, STOPPED) if answer & CONFLICT else (i + 1, 1, LOG_FULL)
            break
        if lost or answer & (LOST | WATCH_EXEC) or e.control[UNSETTLED] != unsettled:
            if lossy:
                bits = lowest_bits(count) & ~lowest_bits(j + 1)  # those after this one
            else:
                row, lossy, bits = i + 1, 1, np.uint64(0)
    place[ERA], place[FIRST], place[ROW], place[LOSSY] = era, at, row, lossy
    clock[0], clock[1], clock[2] = epoch, code_epoch, watching
    return why
