"""Drives a strategy's kernels over the rows of a trace: the only loop that does.

Most rows repeat one that the strategy has already answered. The loop remembers those answers, and asks only about rows
that are not *known* (known.py): it looks 64 of them up at a time, and serves those whose bit is set. Where a scheme has
spells, those of which nothing is new are passed over whole (spells.py).

There are two ways through an era. While nothing is revoked the loop reads the era's *firsts* alone (firsts.py). Once a
kernel revokes an answer (`unsettle`, a dropped block, LOST), or answers one that cannot be remembered, any later row
may matter, and the loop reads every row up to the era's end. Where they are not made (expand.py) it returns NO_ROWS.
Either way it halts before each row that fetches.py found, for which the kernel `fetch` comes first.

compiled.py loads this file once for each strategy, and puts the strategy's kernels in the place of the names below, so
that one compilation serves all its parameter values.
"""

from typing import Any, NamedTuple

import numpy as np

from mmuexp.emulator.code import add_block, ever_translated, find_block, is_code_page, room_for_block
from mmuexp.emulator.faults import log_faults
from mmuexp.emulator.kernel import CONFLICT, LOST, SETTLED, SETTLED_IN_SPELL, WATCH_EXEC, entry, kernel, nothing
from mmuexp.emulator.reserve import watch_peak
from mmuexp.emulator.state import (
    GUEST_INSNS,
    REVOKED,
    TOLD,
    Emulator,
    Row,
    address_of,
    forget_all_pages,
    forget_page,
    frame_of,
    learn_own_page,
    learn_page,
    next_page,
    unsettle,
    unsettle_all,
)
from mmuexp.guest import BATCH_ROWS, IO, PAGE_BITS, PAGE_BYTES, PAGE_MASK, USER, Op
from mmuexp.native.bits import lowest_bit, lowest_bits
from mmuexp.replay.entries import Entries
from mmuexp.replay.firsts import END_FIRST, END_INSNS, END_MADE, END_ROW, PIECE, Rows, columns_of
from mmuexp.replay.keys import ALIGNED, KINDS, PLAIN_KINDS, is_block
from mmuexp.replay.known import is_known, is_remembered, remember_block, settled_word, unknown_rows
from mmuexp.replay.spells import passed_spells, settle_in_spell

access = io = execute = protect = flush = flush_page = fetch = mapped = translated = nothing
HAS_RESERVE = HAS_FETCH = HAS_SITES = HAS_SPELLS = False

int64: Any = np.int64  # for a type checker, to which it is not an int
DONE, NO_ROOM, STOPPED, LOG_FULL, NO_ROWS = range(5)  # why the loop returns
FULL, CROWDED = 1 << 8, 1 << 9  # beside a kernel's answer: no room for another row in the log, for another block
WORTH_ROWS = 8  # as many must have been passed over for another look behind a spell: it takes as long as some rows
LAST_EPOCH = (1 << (32 - KINDS)) - 1
EPOCH_MASK = (1 << 16) - 1  # of the code epoch that are kept with each block

CURSOR = np.dtype(
    [
        ("user_mode", "i8"),  # is the trace a user-mode one?
        ("filtered", "i8"),  # are known rows passed over?
        ("epoch", "i8"),  # of what is settled: what was so in an earlier one may be so no longer
        ("code_epoch", "i8"),  # of what is entered
        ("watching", "i8"),  # does the next block call `execute`?
        ("first_row", "i8"),  # number of the batch's first row in the trace
        ("logged", "i8"),  # faults in the log
        ("era", "i8"),  # of the batch, in which the loop is
        ("first", "i8"),  # the next of the batch's firsts, where the loop reads firsts
        ("row", "i8"),  # the next row of the batch, where the loop reads every row; the row that stopped it
        ("every", "i8"),  # does it read every row of this era?
        ("fetched", "i8"),  # how many of the batch's fetches are done
        ("begun", "i8"),  # how many of the batch's entries come before the row, where the scheme reads `Row.block`
        ("at_work", "i8"),  # the block of the last of them
    ]
)


class Batch(NamedTuple):
    """Holds what the loop reads of some rows, and what the survey and fetches.py found."""

    rows: Rows  # by number in the batch, where they are made
    firsts: np.ndarray
    first_rows: Rows
    eras: np.ndarray
    fetches: np.ndarray
    fetch_rows: Rows
    entries: Entries


@kernel
def whole(answer: int) -> int:
    """Check that a strategy's answer is a whole number: a cast would cut 1.5 to SETTLED, and say nothing."""
    return int64(answer | 0)


@kernel
def user_of(c: Any, r: Rows, i: int) -> int:
    """Tell whether row `i` runs in user mode, as a kernel sees it: 0 or 1."""
    return int64(1) if c.user_mode else (columns_of(r.about[i])[3] & USER) >> 1


@kernel
def find_at_work(e: Emulator, c: Any, entries: Entries, i: int) -> None:
    """Find the block of the last EXEC row before row `i` of the batch, while its pages are what they were there."""
    at = c.begun
    while at < entries.row.size and entries.row[at] < i:
        at += 1
    if at == c.begun:
        return
    c.begun = at
    vaddr, size = int64(entries.vaddr[at - 1]), int64(entries.size[at - 1])
    page, offset = vaddr >> PAGE_BITS, vaddr & PAGE_MASK
    second = int64(-1)
    if offset + size > PAGE_BYTES:
        second = frame_of(e, next_page(e, page), c.user_mode)
    c.at_work = ever_translated(e, frame_of(e, page, c.user_mode) << PAGE_BITS | offset, size, second)


@kernel
def row_of(e: Emulator, c: Any, r: Rows, i: int, store: int, misaligned: int) -> Row:
    """Make row `i`, which accesses or executes RAM, into what a kernel sees."""
    traced = int64(r.vaddr[i])
    size, insns, _, _ = columns_of(r.about[i])
    page = traced >> PAGE_BITS
    offset = traced & PAGE_MASK
    over = offset + size - PAGE_BYTES  # bytes in the second page
    second, second_frame = int64(-1), int64(-1)
    frame = frame_of(e, page, c.user_mode)
    if over > 0:
        second = next_page(e, page)
        second_frame = frame_of(e, second, c.user_mode)
    last = PAGE_MASK if over > 0 else offset + size - 1
    user = user_of(c, r, i)
    vaddr = address_of(e, page, offset)
    return Row(vaddr, size, store, user, misaligned, page, frame, offset, last, second, second_frame, over - 1,
               insns, c.at_work)  # fmt: skip


@kernel
def serve_fetch(s: Any, e: Emulator, n: np.ndarray, c: Any, r: Rows, i: int) -> int:
    """Ask about the lookup of the code of row `i`, before the row itself."""
    return whole(fetch(s, e, n, row_of(e, c, r, i, int64(0), int64(0)))) & ~SETTLED


@kernel
def serve_block(s: Any, e: Emulator, n: np.ndarray, c: Any, r: Rows, i: int) -> int:
    """Ask about row `i`, which enters a block that is not remembered."""
    vaddr = int64(r.vaddr[i])
    size, insns, _, _ = columns_of(r.about[i])
    page = vaddr >> PAGE_BITS
    offset = vaddr & PAGE_MASK
    crosses = offset + size > PAGE_BYTES
    other = next_page(e, page)
    frame = frame_of(e, page, c.user_mode)
    second = frame_of(e, other, c.user_mode) if crosses else int64(-1)
    start = frame << PAGE_BITS | offset
    known = c.watching and is_remembered(e, r.key[i], size, c.code_epoch)
    block = int64(e.entered_block[np.uint64(r.key[i])]) if known else find_block(e, start, size, second)
    answer = int64(0)
    if block < 0 and not room_for_block(e):
        return int64(CROWDED)
    if c.watching or (block >= 0 and e.block[block].marked):
        c.watching = 0
        answer = whole(execute(s, e, n, block))
        if known and is_remembered(e, r.key[i], size, c.code_epoch):
            return answer
        if block >= 0 and e.block[block].dropped:
            block = -1
    if block < 0:
        new = not is_code_page(e, frame)
        second_new = crosses and second != frame and not is_code_page(e, second)
        block = add_block(e, n, start, size, second, insns)
        if new:
            protect(s, e, n, frame)
        if second_new:
            protect(s, e, n, second)
        if c.user_mode:  # a frame is one virtual page
            if new:
                unsettle(e, page)
            if second_new:
                unsettle(e, other)
        elif new or second_new:
            answer |= LOST
        answer |= whole(translated(s, e, n, block))
    if c.user_mode:
        learn_own_page(e, page)
        if crosses:
            learn_own_page(e, other)
    if e.block[block].marked:
        e.control[REVOKED] = 1  # its next entry must be asked about, and may be no first
    elif c.filtered:
        remember_block(e, r.key[i], size, block, c.code_epoch)
    return answer


@kernel
def serve_access(s: Any, e: Emulator, n: np.ndarray, c: Any, r: Rows, i: int, kind: int) -> int:
    """Ask about row `i`, which accesses RAM and is not known; `kind` is 0 if it is not plain (keys.py)."""
    vaddr = int64(r.vaddr[i])
    size, _, op, _ = columns_of(r.about[i])
    misaligned = int64((size & (size - 1)) == 0 and (vaddr & (size - 1)) != 0)
    row = row_of(e, c, r, i, op, misaligned)
    answer = whole(access(s, e, n, row))
    if c.user_mode:  # known from the next row on
        learn_own_page(e, row.page)
        if row.second >= 0:
            learn_own_page(e, row.second)
    if kind and answer & SETTLED:
        if c.filtered:
            before = int64(e.page[row.page].settled)  # read now: the strategy may have unsettled it
            e.page[row.page].settled = settled_word(before, kind, c.epoch + 1 if answer & LOST else c.epoch)
    elif HAS_SPELLS and kind & ALIGNED and answer & SETTLED_IN_SPELL and c.filtered:
        settle_in_spell(e, row.page, kind, answer & WATCH_EXEC, c.epoch)
    elif kind & ALIGNED and not c.every:
        e.control[REVOKED] = 1  # what repeats this row must be asked about, and is not a first
    return answer


@kernel
def serve_io(s: Any, e: Emulator, n: np.ndarray, c: Any, r: Rows, i: int) -> int:
    """Ask about row `i`, which accesses device memory."""
    page, offset, none = int64(r.vaddr[i]) >> PAGE_BITS, int64(r.vaddr[i]) & PAGE_MASK, int64(-1)
    size, insns, op, _ = columns_of(r.about[i])
    row = Row(address_of(e, page, offset), size, op, user_of(c, r, i), int64(0), page, none, offset, int64(0), none,
              none, none, insns, c.at_work)  # fmt: skip
    return whole(io(s, e, n, row)) & ~SETTLED


@kernel
def serve_flush(s: Any, e: Emulator, n: np.ndarray, c: Any, r: Rows, i: int, insns: int) -> int:
    """Tell of row `i`, which drops the translation of all pages, or of one."""
    e.control[GUEST_INSNS] = insns
    size, _, op, _ = columns_of(r.about[i])
    if op == Op.FLUSH:
        flush(s, e, n, int64(r.vaddr[i]), size)
        if not c.user_mode:
            forget_all_pages(e)
    else:
        page = int64(r.vaddr[i]) >> PAGE_BITS
        flush_page(s, e, n, page)
        if not c.user_mode:
            forget_page(e, page)
    c.code_epoch = (c.code_epoch + 1) & EPOCH_MASK
    if c.code_epoch == 0:  # what is kept of the epoch begins anew
        e.entered[:] = 0
    return int64(LOST)


@kernel
def serve(s: Any, e: Emulator, n: np.ndarray, c: Any, r: Rows, i: int, key: int, form: Any, insns: int) -> int:
    """Ask the strategy about row `i` of `r`; `insns` is what a row that ends the era is told. Returns its answer, or
    CROWDED if the row must come again."""
    if is_block(form):
        return serve_block(s, e, n, c, r, i)
    _, _, op, flags = columns_of(r.about[i])
    if op <= Op.STORE:
        if flags & IO:
            return serve_io(s, e, n, c, r, i)
        return serve_access(s, e, n, c, r, i, int64(key) & PLAIN_KINDS)
    if op == Op.FLUSH or op == Op.FLUSH_PAGE:
        return serve_flush(s, e, n, c, r, i, insns)
    if op == Op.MAP:
        page = int64(r.vaddr[i]) >> PAGE_BITS
        if e.page[page].frame == 0:
            mapped(s, e, n, page, int64(key))
        learn_page(e, page, int64(key))
    return int64(0)


@kernel
def after_row(s: Any, e: Emulator, n: np.ndarray, c: Any, log: np.recarray, i: int, answer: int) -> int:
    """Log the faults of row `i`, and do what the answer to it asks for. Returns it, with FULL if the log is."""
    if answer & CROWDED:
        return answer
    if e.control[TOLD]:
        if log.size and log_faults(e.control, log, c, i):
            answer |= FULL
        e.control[TOLD] = 0
    if HAS_RESERVE:
        watch_peak(s.reserve, n)
    if answer & WATCH_EXEC:
        c.watching = 1
    if answer & LOST:
        c.epoch += 1
        if c.epoch == LAST_EPOCH:
            unsettle_all(e)
            c.epoch = 1
    return answer


@kernel
def look_up(e: Emulator, n: np.ndarray, c: Any, b: Batch, end: int, logs: int) -> tuple[Any, Any, Any]:
    """Look up the next rows before row `end`, or the next firsts. Returns the number of the first of them, how many
    they are, up to PIECE, and a bit for each that is not known. Spells are passed over unless faults are logged."""
    if c.every:
        base, count, bits = c.row, min(end - c.row, PIECE), np.uint64(0)
        if count:
            bits = lowest_bits(count)
            if c.filtered and not c.watching:
                bits = unknown_rows(e, b.rows.key, b.rows.form, base, count, c.epoch, c.code_epoch)
                if HAS_SPELLS and bits and not logs:
                    passed = passed_spells(e, n, b.rows.key, b.rows.form, base, count, bits, c.epoch)
                    if passed:
                        count, bits = passed, np.uint64(0)
        c.row += count
    else:
        base, count, bits = c.first, min(b.eras[c.era, END_FIRST] - c.first, PIECE), np.uint64(0)
        while HAS_FETCH and count and b.firsts[base + count - 1] >= end:
            count -= 1
        if count:
            bits = unknown_rows(e, b.first_rows.key, b.first_rows.form, base, count, c.epoch, c.code_epoch)
        c.first += count
    return base, count, bits


@entry
def loop(s: Any, e: Emulator, n: np.ndarray, cursor: np.recarray, log: np.recarray, b: Batch) -> int:
    """Replay a batch from the cursor on. Returns why it stops, and leaves the cursor where it goes on."""
    u4, u8 = np.uint32, np.uint64
    c: Any = cursor[0]
    base = count = int64(0)
    look_again = False  # behind the next spell?
    bits = u8(0)  # of the `count` rows, or firsts, from `base` on: those that are not known
    while c.era < b.eras.shape[0]:
        r = b.rows if c.every else b.first_rows
        if not bits:
            end = b.eras[c.era, END_ROW]
            fetching = HAS_FETCH and c.fetched < b.fetches.size and b.fetches[c.fetched] < end
            if HAS_FETCH and fetching:
                end = b.fetches[c.fetched]
            if not c.filtered or c.watching:
                c.every = 1
            if c.every and c.row < b.eras[c.era, END_MADE]:
                return NO_ROWS
            base, count, bits = look_up(e, n, c, b, end, log.size)
            look_again = c.watching != 0 or (not bits and count >= WORTH_ROWS)
            if count:
                continue
            if not fetching:
                c.first, c.row, c.every = b.eras[c.era, END_FIRST], end, 0
                c.era += 1
                continue
            i = then = end
            j, count, watched = int64(0), int64(1), int64(0)  # nothing that was looked up comes after it
            answer = serve_fetch(s, e, n, c, b.fetch_rows, c.fetched)
            c.fetched += 1
        else:
            j = int64(lowest_bit(bits))
            bits &= bits - u8(1)
            at = base + j
            key, form = r.key[u8(at)], u4(r.form[u8(at)])
            watched = c.watching
            if not watched and is_known(e, key, form, u4(c.epoch), u4(c.code_epoch)):
                continue  # since a row that came after they were looked up
            i = at if c.every else int64(b.firsts[at])
            then = i + 1
            if HAS_SITES:
                find_at_work(e, c, b.entries, i)
            answer = serve(s, e, n, c, r, at, key, form, b.eras[c.era, END_INSNS])
        answer = after_row(s, e, n, c, log, i, answer)
        if answer & (CONFLICT | FULL | CROWDED):
            c.every = 1
            c.row = i if answer & (CONFLICT | CROWDED) else then
            return STOPPED if answer & CONFLICT else NO_ROOM if answer & CROWDED else LOG_FULL
        if e.control[REVOKED] or answer & (LOST | WATCH_EXEC):
            e.control[REVOKED] = 0
            if c.every:
                bits = lowest_bits(count) & ~lowest_bits(j + 1)  # look again at those after this one
            else:
                c.row, c.every, bits = then, 1, u8(0)
        elif HAS_SPELLS and watched and not c.watching and look_again:
            c.row, bits = then, u8(0)
    if HAS_SITES:  # the next batch lists its own
        find_at_work(e, c, b.entries, BATCH_ROWS)
    return DONE
