"""The loop of what `trace info` says of a guest: one pass over valid rows, in arrays whose size is fixed."""

import numpy as np

from mmuexp.guest import ADDRESS_BITS, PAGE_BITS
from mmuexp.native.jitcache import guarded, kept
from mmuexp.replay.pages import followed_by

WINDOWS = (1_000, 10_000, 100_000, 1_000_000)  # rows; each a multiple of the first
STEP = WINDOWS[0]
REGION_BITS = 22  # 4 MiB
REGIONS = 1 << (ADDRESS_BITS - REGION_BITS)
IO_USE = 3  # column of `regions` and bit of `uses` that IO has; LOAD, STORE and EXEC have their op's
EXACT = 1 << 16  # intervals below this have a place of their own in the histogram, longer ones are listed

# Places in `state`. A page's `last` is the epoch of its latest access; an epoch ends with each STEP of rows and at each
# FLUSH, so that a page is new to a window, or to a flush interval, when `last` is below the epoch that it began with.
ROW, EPOCH, LAST_FLUSH, FLUSH_EPOCH, FLUSH_PAGES, CODE_STORES, LONG_ROWS, LONG_PAGES = range(8)
PLACES = 8
START, TOUCHED, CLOSED, SUM, MOST = range(5)  # rows of `curve`, a column each window size


@kept
def _touch(page, last, state, curve):
    """Count a data page that its epoch has not seen."""
    before = last[page]
    if before != state[EPOCH]:
        last[page] = state[EPOCH]
        state[FLUSH_PAGES] += before < state[FLUSH_EPOCH]
        for k in range(len(WINDOWS)):
            curve[TOUCHED, k] += before < curve[START, k]


@kept
def _flush(row, state, spans, long):
    """End a flush interval, if one had begun: its rows and its data pages into histograms."""
    if state[LAST_FLUSH] >= 0:
        between, pages = row - state[LAST_FLUSH] - 1, state[FLUSH_PAGES]
        if between < EXACT:
            spans[0, between] += 1
        else:
            long[0, state[LONG_ROWS]] = between
            state[LONG_ROWS] += 1
        if pages < EXACT:
            spans[1, pages] += 1
        else:
            long[1, state[LONG_PAGES]] = pages
            state[LONG_PAGES] += 1
    state[LAST_FLUSH] = row
    state[EPOCH] += 1
    state[FLUSH_EPOCH] = state[EPOCH]
    state[FLUSH_PAGES] = 0


@kept
def _close(row, state, curve):
    """End the windows that end before `row`, a multiple of STEP."""
    state[EPOCH] += 1
    for k in range(len(WINDOWS)):
        if row % WINDOWS[k] == 0:
            curve[CLOSED, k] += 1
            curve[SUM, k] += curve[TOUCHED, k]
            curve[MOST, k] = max(curve[MOST, k], curve[TOUCHED, k])
            curve[START, k] = state[EPOCH]
            curve[TOUCHED, k] = 0


@guarded(_touch, _flush, _close)
@kept
def scan(
    vaddrs, sizes, ops, flags, frames, step, region_bits,
    state, curve, spans, long, reasons, user, regions, uses, devices, last, frame, code,
):  # fmt: skip
    """Count all rows given. The arrays are those of `GuestInfo`, `frames` holds dense numbers in MAP rows; `step` tells
    which page follows another (pages.py); a place of `regions` has 2**region_bits bytes."""
    rows, first = len(ops), state[ROW]
    begin = 0
    while begin < rows:
        end = min(rows, begin + STEP - (first + begin) % STEP)
        epoch = state[EPOCH]
        for i in range(begin, end):
            op, vaddr, flag = np.int64(ops[i]), np.int64(vaddrs[i]), np.int64(flags[i])
            page = vaddr >> 12
            if op > 2:
                if op == 3:
                    _flush(first + i, state, spans, long)
                    reasons[sizes[i] if sizes[i] < len(reasons) else 0] += 1
                    epoch = state[EPOCH]
                elif op == 5:
                    frame[page] = frames[i]
                continue
            regions[vaddr >> region_bits, op] += 1
            user[op] += flag >> 1 & 1
            uses[page] |= 1 << op
            other = page
            if (vaddr + np.int64(sizes[i]) - 1 >> PAGE_BITS) != page:
                other = followed_by(page, step)
            if op == 2:
                code[frame[page]] |= 1
                if other != page:
                    uses[other] |= 4
                    code[frame[other]] |= 1
                continue
            if flag & 1:
                regions[vaddr >> region_bits, IO_USE] += 1
                uses[page] |= 1 << IO_USE
                devices[op, page] += 1
                continue
            if last[page] != epoch:
                _touch(page, last, state, curve)
            hit = op == 1 and code[frame[page]] != 0
            if hit:
                code[frame[page]] = 3
            if other != page:
                uses[other] |= 1 << op
                _touch(other, last, state, curve)
                if op == 1 and code[frame[other]]:
                    code[frame[other]] = 3
                    hit = True
            state[CODE_STORES] += hit
        if (first + end) % STEP == 0:
            _close(first + end, state, curve)
        begin = end
    state[ROW] = first + rows
