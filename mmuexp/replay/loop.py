"""The only loop that drives a strategy's kernels over the rows of a trace.

A row costs little when nothing can happen. The loop remembers, for each virtual page, which plain accesses (RAM, inside
the page) the strategy called SETTLED, until it hears LOST or `unsettle`; and the translated blocks that were
entered. While nothing is lost it therefore looks at the firsts of an era alone (firsts.py). When something is, it also
looks at the rows of the era that may repeat it: those that share its page, or, of a block, its offset. Where too much
is lost, or all (LOST), or the next block is watched for, it reads every row. Either way it looks at 64 together
(known.py), and then only at those that are not known. Before each row that fetches.py found it stops reading, and the
kernel `fetch` comes first.

replay.py loads this file anew for each strategy and puts the strategy's kernels in the place of the names below, so
that one compilation serves all its parameter values.
"""

import numpy as np

from mmuexp.emulator.code import add_block, find_block, is_code_page, room_for_block
from mmuexp.emulator.faults import log_faults
from mmuexp.emulator.kernel import CONFLICT, LOST, SETTLED, WATCH_EXEC, entry, kernel, nothing
from mmuexp.emulator.reserve import watch_peak
from mmuexp.emulator.state import (
    ACCESSES,
    BLOCKS,
    GUEST_INSNS,
    TOLD,
    Row,
    forget_all_pages,
    forget_lost,
    forget_page,
    frame_of,
    learn_own_page,
    learn_page,
    lose,
    unsettle,
)
from mmuexp.guest import IO, PAGE_BITS, PAGE_BYTES, PAGE_MASK, PAGES, USER, Op
from mmuexp.native.bits import count_bits, lowest_bit, lowest_bits
from mmuexp.replay.firsts import END_FIRST, END_INSNS, END_ROW, PIECE
from mmuexp.replay.keys import ALIGNED, KINDS, LONG, ODD, PLAIN_KINDS, is_block, key_and_form
from mmuexp.replay.known import (
    is_known,
    of_word,
    remember_block,
    rows_of_firsts,
    rows_of_lost,
    unknown_firsts,
    unknown_rows,
    write_keys,
)

access = io = execute = protect = flush = flush_page = fetch = mapped = nothing
HAS_RESERVE = HAS_FETCH = False

DONE, NO_ROOM, STOPPED, LOG_FULL = range(4)
# where in a batch the loop is; READS: what it reads of this era; FETCHES: how many of the batch are done
ERA, FIRST, ROW, READS, FETCHES, PLACES = range(6)
FIRSTS, SOME, ALL = range(3)  # its firsts; also the rows that may repeat what was lost; every row
MANY = 16  # of 64 rows: where more are firsts, or may repeat what was lost, every row is read
MOST_LOST = 12  # bits in `Emulator.lost`; where more are lost every row is read
FULL = 1 << 8  # beside a kernel's answer: the log has no room for another row
LAST_EPOCH = (1 << (32 - KINDS)) - 1
EPOCH_MASK = (1 << 16) - 1  # of the code epoch that are kept with each block


@kernel
def whole(answer):
    """The answer of a strategy, which must be a whole number: a cast would cut 1.5 to SETTLED, and say nothing."""
    return np.int64(answer | 0)


@kernel
def enter_block(s, e, n, vaddr, size, insns, i, user_mode):
    """Row `i` enters a block that is not remembered. Returns its answer and the block; -1: no room for a new one."""
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
        block = add_block(e, n, start, size, second, np.int64(insns[i]))
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
def row_of(e, vaddr, size, store, user, misaligned, user_mode):
    """RAM that is accessed or executed, as a kernel sees it."""
    page = vaddr >> PAGE_BITS
    offset = vaddr & PAGE_MASK
    over = offset + size - PAGE_BYTES  # bytes in the second page
    second, second_frame = np.int64(-1), np.int64(-1)
    frame = frame_of(e, page, user_mode)
    if over > 0:
        second = (page + 1) & (PAGES - 1)
        second_frame = frame_of(e, second, user_mode)
    last = PAGE_MASK if over > 0 else offset + size - 1
    return Row(vaddr, size, store, user, misaligned, page, frame, offset, last, second, second_frame, over - 1)


@kernel
def access_row(s, e, n, vaddr, size, store, user, misaligned, user_mode):
    """An access to RAM that is not known to be settled. Returns the strategy's answer."""
    row = row_of(e, vaddr, size, store, user, misaligned, user_mode)
    answer = whole(access(s, e, n, row))
    if user_mode:  # known from the next row on
        learn_own_page(e, row.page)
        if row.second >= 0:
            learn_own_page(e, row.second)
    return answer


@entry
def loop(
    s, e, n, clock, place, log, keys, forms, vaddrs, sizes, insns, ops, flags, frames, firsts, first_words, eras,
    fetches, user_mode, filtered,
):  # fmt: skip
    """Replay a batch from `place` on. Returns why it stops; `place` tells where it goes on, place[ROW] the row that
    stopped it. `keys` and `forms` are for those of PIECE rows."""
    u4, u8 = np.uint32, np.uint64
    epoch, watching = clock[0], clock[2]
    code_epoch = clock[1]
    era, at, row, reads, fetched = place[ERA], place[FIRST], place[ROW], place[READS], place[FETCHES]
    # what is looked at together: `count` rows, or firsts, from `base` on, and a bit for each that is not known
    base = count = np.int64(0)
    bits = np.uint64(0)
    why = DONE
    while era < eras.shape[0]:
        fetching = False  # the row at hand is one of `fetches`, and is not asked about itself yet
        if not bits:
            if not filtered or watching:
                reads = ALL
            end = eras[era, END_ROW]
            fetch_comes = HAS_FETCH and fetched < fetches.size and fetches[fetched] < end
            if fetch_comes:
                end = fetches[fetched]
            if reads == FIRSTS:
                base, count = at, min(eras[era, END_FIRST] - at, PIECE)
                while fetch_comes and count and firsts[at + count - 1] >= end:
                    count -= 1
                if count:
                    bits = unknown_firsts(e, first_words, at, count, epoch, code_epoch)
                at += count
            else:
                base, count = row, min(end - row, PIECE)
                if not count:
                    pass
                elif reads == SOME:
                    bits, at = rows_of_firsts(firsts, at, eras[era, END_FIRST], row, count)
                    bits |= rows_of_lost(e, vaddrs, ops, row, count)
                    if count_bits(bits) > MANY:
                        reads = ALL
                if count and reads == ALL:
                    write_keys(vaddrs, sizes, ops, flags, row, count, user_mode, keys, forms)
                    bits = lowest_bits(count)
                    if filtered and not watching:
                        bits = unknown_rows(e, keys, forms, count, epoch, code_epoch)
                row += count
            if not count and not fetch_comes:
                at, row, reads = eras[era, END_FIRST], eras[era, END_ROW], FIRSTS
                forget_lost(e)
                era += 1
            if count or not fetch_comes:
                continue
            fetching = True
        if HAS_FETCH and fetching:
            j, i, key, form = np.int64(-1), fetches[fetched], u4(0), u4(ODD)
            fetched += 1
            then = i  # where the loop goes on
        else:
            j = np.int64(lowest_bit(bits))
            bits &= bits - np.uint64(1)
            if reads == FIRSTS:
                i = np.int64(firsts[base + j])
                key, form = of_word(first_words[base + j])
            else:
                i = base + j
                if reads == ALL:
                    key, form = keys[u8(j)], forms[u8(j)]
                else:
                    key, form = key_and_form(u4(vaddrs[i]), u4(sizes[i]), u4(ops[i]), u4(flags[i]), user_mode)
            then = i + 1
            if is_known(e, key, form, u4(epoch), u4(code_epoch)) and not (watching and is_block(form)):
                continue  # since a row that came after they were looked at
        block = is_block(form)
        kind = np.int64(0) if block else np.int64(key) & PLAIN_KINDS
        answer = 0
        if reads == ALL:  # whatever is lost again must be noticed
            forget_lost(e)
        lost_accesses, lost_blocks = e.lost[ACCESSES], e.lost[BLOCKS]
        op = np.uint8(Op.EXEC) if block else ops[i]
        if HAS_FETCH and fetching:
            vaddr, size, flag = np.int64(vaddrs[i]), np.int64(sizes[i]), np.int64(flags[i])
            user = np.int64(1) if user_mode else (flag & USER) >> 1
            answer = whole(fetch(s, e, n, row_of(e, vaddr, size, np.int64(0), user, np.int64(0), user_mode))) & ~SETTLED
        elif block:  # most often told by its key alone: the columns are in no cache
            vaddr, size = np.int64(key), np.int64(form) if form < LONG else np.int64(sizes[i])
            if watching:
                execute(s, e, n)
                watching = 0
            answer, entered = enter_block(s, e, n, vaddr, size, insns, i, user_mode)
            if entered < 0:
                row, reads, why = i, ALL, NO_ROOM
                break
            if filtered and size < LONG:
                remember_block(e, vaddr, size, entered, code_epoch)
        elif op <= Op.STORE:
            vaddr, size, flag = np.int64(vaddrs[i]), np.int64(sizes[i]), np.int64(flags[i])
            user = np.int64(1) if user_mode else (flag & USER) >> 1
            page = vaddr >> PAGE_BITS
            if flag & IO:
                access_to = Row(vaddr, size, np.int64(op), user, np.int64(0), page, np.int64(-1), vaddr & PAGE_MASK,
                                np.int64(0), np.int64(-1), np.int64(-1), np.int64(-1))  # fmt: skip
                answer = whole(io(s, e, n, access_to)) & ~SETTLED
            else:
                misaligned = np.int64((size & (size - 1)) == 0 and (vaddr & (size - 1)) != 0)
                answer = access_row(s, e, n, vaddr, size, np.int64(op), user, misaligned, user_mode)
                if kind and answer & SETTLED:
                    if filtered:
                        known = np.int64(e.page[page].settled)  # the strategy may have unsettled it
                        if answer & LOST or known >> KINDS != epoch:
                            known = 0
                        after = epoch + 1 if answer & LOST else epoch
                        e.page[page].settled = after << KINDS | (known & PLAIN_KINDS) | kind
                elif kind & ALIGNED and reads != ALL:
                    lose(e, ACCESSES, page)  # what repeats this row must be asked about
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
            page = np.int64(vaddrs[i]) >> PAGE_BITS
            if e.page[page].frame == 0:
                mapped(s, e, n, page)
            learn_page(e, page, np.int64(frames[i]))
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
            row, reads, why = (i, ALL, STOPPED) if answer & CONFLICT else (then, ALL, LOG_FULL)
            break
        more = e.lost[ACCESSES] != lost_accesses or e.lost[BLOCKS] != lost_blocks
        if reads == ALL:
            if more or answer & (LOST | WATCH_EXEC):
                bits = lowest_bits(count) & ~lowest_bits(j + 1)  # those after this one
        elif answer & (LOST | WATCH_EXEC):
            row, reads, bits = then, ALL, np.uint64(0)
        elif more:
            if reads == FIRSTS:
                at = base + j + 1
            while at > 0 and firsts[at - 1] >= then:  # of the rows that are looked at again
                at -= 1
            reads = SOME if count_bits(e.lost[ACCESSES]) + count_bits(e.lost[BLOCKS]) <= MOST_LOST else ALL
            row, bits = then, np.uint64(0)
    place[ERA], place[FIRST], place[ROW], place[READS], place[FETCHES] = era, at, row, reads, fetched
    clock[0], clock[1], clock[2] = epoch, code_epoch, watching
    return why
