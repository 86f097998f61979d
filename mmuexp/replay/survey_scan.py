"""Holds the loops of the survey: what a row must be, and what it counts.

Plain accesses and blocks are summed as their keys are made (keys.py), and looked at one by one only where they are
firsts of their era (firsts.py): a repeated row touches no other page, and is known as the first was. Every other row is
odd, thus a first, and `_odd` is the whole truth about it.
"""

import numpy as np

from mmuexp.guest import MAX_ACCESS_BYTES, PAGES
from mmuexp.native.jitcache import Number, guarded, inside, kept
from mmuexp.replay import keys as key_of
from mmuexp.replay.farcode import count_far
from mmuexp.replay.firsts import END_ROW, ERA_ROWS, WORD_FORM_MASK, count_insns, end_era, find

# What the kernel counts, by its place in `sums`. From RAM_LOADS on of accesses that are not IO: `units8` sums
# ceil(size / 8), `wide_units8` does so over accesses of more than 4 bytes, `ram_misaligned_units8` over misaligned
# ones that stay in their page.
_COUNTED = """rows loads stores misaligned page_cross io_accesses mode_switches execs guest_insns flushes page_flushes
    map_rows ram_loads ram_stores ram_misaligned_in_page ram_cross_loads ram_cross_stores ram_cross_store_bytes
    units8 wide_units8 ram_misaligned_units8"""
COUNTED = tuple(_COUNTED.split())
ROWS, LOADS, STORES, MISALIGNED, PAGE_CROSS, IO_ACCESSES, MODE_SWITCHES, EXECS, GUEST_INSNS = range(9)
FLUSHES, PAGE_FLUSHES, MAPS, RAM_LOADS, RAM_STORES, RAM_MISALIGNED_IN_PAGE, RAM_CROSS_LOADS = range(9, 16)
RAM_CROSS_STORE_BYTES, UNITS8, WIDE_UNITS8, RAM_MISALIGNED_UNITS8 = range(17, 21)  # 16: RAM_CROSS_LOADS + STORE
EPOCH, MODE = 21, 22  # state that follows the sums: the present epoch, the USER flag of the last access or -1

# Why a row is refused: codes of the kernel.
(
    BAD_OP,
    BAD_SIZE,
    BAD_EXEC_EMPTY,
    BAD_EXEC_IO,
    BAD_EXEC_LONG,
    BAD_MAP_USER,
    BAD_IO_USER,
    BAD_MAP_ODD,
    BAD_MAP_OTHER,
    BAD_UNKNOWN,
    BAD_IO_KNOWN,
    BAD_PAGE,
) = range(1, 13)


@inside
def _odd(
    op: Number, flag: Number, vaddr: Number, size: Number, frame: Number, sums: np.ndarray, touched: np.ndarray,
    stamp: np.ndarray, page_of: np.ndarray, system: bool
) -> Number:  # fmt: skip
    """Count an odd row. Returns why it is refused, 0 if it is not."""
    page, high = vaddr >> 12, ((vaddr >> 12) + 1) & (PAGES - 1)
    epoch = sums[EPOCH]
    crosses = (vaddr & 4095) + size > 4096
    if 5 < op < 128:
        return BAD_OP
    if op >= 128:
        return 0
    if frame != 0 and op != 5:
        return BAD_PAGE
    if op < 2:
        if size == 0 or size > MAX_ACCESS_BYTES:
            return BAD_SIZE
        odd = (vaddr & (size - 1)) != 0 and (size & (size - 1)) == 0
        if flag & 1:
            if not system:
                return BAD_IO_USER
            if stamp[page] == epoch:
                return BAD_IO_KNOWN
            sums[IO_ACCESSES] += 1
        else:
            if system and (stamp[page] != epoch or (crosses and stamp[high] != epoch)):
                return BAD_UNKNOWN
            touched[page] = 1
            units = (size + 7) >> 3
            sums[RAM_LOADS + op] += 1
            sums[UNITS8] += units
            if size > 4:
                sums[WIDE_UNITS8] += units
            if crosses:
                touched[high] = 1
                sums[RAM_CROSS_LOADS + op] += 1
                sums[RAM_CROSS_STORE_BYTES] += op * size
        sums[LOADS + op] += 1
        sums[MISALIGNED] += odd
        sums[PAGE_CROSS] += crosses
    elif op == 2:
        return BAD_EXEC_EMPTY if size == 0 else BAD_EXEC_IO if flag & 1 else BAD_EXEC_LONG
    elif op == 3:
        sums[EPOCH] += 1
        sums[FLUSHES] += 1
    elif op == 4:
        if system:
            stamp[page] = 0
        sums[PAGE_FLUSHES] += 1
    else:
        if not system:
            return BAD_MAP_USER
        if vaddr & 4095:
            return BAD_MAP_ODD
        if stamp[page] == epoch and page_of[page] != frame:
            return BAD_MAP_OTHER
        stamp[page] = epoch
        page_of[page] = frame
        sums[MAPS] += 1
    return 0


@inside
def _first(
    block: Number, vaddr: Number, size: Number, touched: np.ndarray, stamp: np.ndarray, epoch: Number, system: bool
) -> Number:
    """Check a plain access or a block seen for the first time in its era. Returns why it is refused, 0 if it is not."""
    page = vaddr >> 12
    if system:
        last = (vaddr + size - 1) & 0xFFFFFFFF  # a block may cross
        if stamp[page] != epoch or stamp[last >> 12] != epoch:
            return BAD_UNKNOWN
    touched[PAGES if block else page] = 1  # it may be either with equal chances: no branch
    return 0


@inside
def _count_modes(ops: np.ndarray, flags: np.ndarray, accesses: Number, users: Number, sums: np.ndarray) -> None:
    """Count how often kernel and user mode take turns in a strip; mostly it is all one or the other."""
    if not accesses:
        return
    mode = np.int64(2 if users else 0)
    if users == 0 or users == accesses:
        sums[MODE_SWITCHES] += sums[MODE] >= 0 and sums[MODE] != mode
        sums[MODE] = mode
        return
    mode, switches = sums[MODE], np.int64(0)
    for i in range(len(ops)):  # no branches: who is next cannot be guessed
        now = np.int64(flags[i] & 2) if ops[i] < 2 else mode
        switches += np.int64(now != mode) & np.int64(mode >= 0)
        mode = now
    sums[MODE] = mode
    sums[MODE_SWITCHES] += switches


@inside
def _count_usual(some: np.ndarray, sums: np.ndarray) -> None:
    """Add what keys.py summed of a strip's plain accesses and blocks."""
    loads = some[key_of.PLAIN] - some[key_of.PLAIN_STORES]
    sums[LOADS] += loads
    sums[STORES] += some[key_of.PLAIN_STORES]
    sums[RAM_LOADS] += loads
    sums[RAM_STORES] += some[key_of.PLAIN_STORES]
    sums[MISALIGNED] += some[key_of.PLAIN_MISALIGNED]
    sums[RAM_MISALIGNED_IN_PAGE] += some[key_of.PLAIN_MISALIGNED]
    sums[RAM_MISALIGNED_UNITS8] += some[key_of.MISALIGNED_UNITS8]
    sums[EXECS] += some[key_of.BLOCKS]
    sums[GUEST_INSNS] += some[key_of.INSNS]
    sums[UNITS8] += some[key_of.UNITS8]
    sums[WIDE_UNITS8] += some[key_of.WIDE_UNITS8]


@guarded()
@kept
def scan(
    vaddrs: np.ndarray, pages: np.ndarray, sizes: np.ndarray, insns: np.ndarray, ops: np.ndarray, flags: np.ndarray,
    sums: np.ndarray, touched: np.ndarray, stamp: np.ndarray, page_of: np.ndarray, system: bool, keys: np.ndarray,
    forms: np.ndarray, firsts: np.ndarray, first_words: np.ndarray, seen: np.ndarray, era: np.ndarray, eras: np.ndarray,
    some: np.ndarray, lately: np.ndarray, lately_tables: np.ndarray
) -> tuple[Number, Number, Number, Number]:  # fmt: skip
    """Count the rows up to the first bad one into `sums`, and find the firsts and the eras.

    `keys` and `forms` have room for a strip: what a replay of single rows needs is made again if one comes to it.
    Returns (its index, why), or (rows, 0); firsts; eras. After a bad row only `sums[ROWS]` means something.
    """
    rows = len(ops)
    found = ended = 0
    for start in range(0, rows, key_of.STRIP):
        end = min(start + key_of.STRIP, rows)
        part = slice(start, end)
        key_of.fill(
            vaddrs[part], pages[part], sizes[part], insns[part], ops[part], flags[part], not system, keys, forms, some
        )
        before, eras_before = found, ended
        found, ended = find(keys, forms, ops[part], start, found, firsts, first_words, seen, era, eras, ended)
        for at in range(before, found):
            i = firsts[at]
            vaddr, size = np.int64(vaddrs[i]), np.int64(sizes[i])
            form = first_words[at] & np.uint64(WORD_FORM_MASK)
            if form != key_of.ODD:
                code = _first(key_of.is_block(form), vaddr, size, touched, stamp, sums[EPOCH], system)
            else:
                op, flag, page = np.int64(ops[i]), np.int64(flags[i]), np.int64(pages[i])
                code = _odd(op, flag, vaddr, size, page, sums, touched, stamp, page_of, system)
            if code:
                sums[ROWS] += i
                return i, code, found, ended
        insns_before = sums[GUEST_INSNS]
        _count_usual(some, sums)
        count_far(vaddrs[part], ops[part], flags[part], lately, lately_tables)
        _count_modes(ops[part], flags[part], some[key_of.ACCESSES], some[key_of.USER_ACCESSES], sums)
        if (end % ERA_ROWS == 0 or end == rows) and (ended == 0 or eras[ended - 1, END_ROW] != end):
            ended = end_era(end, found, seen, era, eras, ended)
        count_insns(forms[: end - start], insns[part], start, insns_before, sums[GUEST_INSNS], eras, eras_before, ended)
    sums[ROWS] += rows
    return rows, 0, found, ended
