"""The loops of the survey: what a row must be, and what it counts.

`_seldom` is the whole truth about a row. `_usual` counts blocks of rows in which nothing is unusual, several times
faster; tests hold the two equal.
"""

import numpy as np

from mmuexp.guest import MAX_ACCESS_BYTES, PAGES
from mmuexp.jitcache import guarded, kept

BLOCK = 1024  # rows that are counted together if there is nothing unusual about any

# What the kernel counts, by its place in `sums`. From RAM_LOADS on of accesses that are not IO: `units8` sums
# ceil(size / 8), `wide_units8` does so over accesses of more than 4 bytes, `ram_misaligned_units8` over misaligned
# ones that stay in their page.
_COUNTED = """rows loads stores misaligned page_cross io_accesses mode_switches execs guest_insns flushes page_flushes
    map_rows ram_loads ram_stores ram_misaligned_in_page ram_cross_loads ram_cross_stores ram_cross_store_bytes
    units8 wide_units8 ram_misaligned_units8"""
COUNTED = tuple(_COUNTED.split())
ROWS, LOADS, STORES, MISALIGNED, PAGE_CROSS, IO_ACCESSES, MODE_SWITCHES, EXECS, GUEST_INSNS = range(9)
FLUSHES, PAGE_FLUSHES, MAPS, RAM_LOADS, RAM_STORES, RAM_MISALIGNED_IN_PAGE, RAM_CROSS_LOADS = range(9, 16)
RAM_CROSS_STORES, RAM_CROSS_STORE_BYTES, UNITS8, WIDE_UNITS8, RAM_MISALIGNED_UNITS8 = range(16, 21)
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


@kept
def _seldom(op, flag, vaddr, size, frame, insns, sums, touched, stamp, page_of, system):
    """Count one row of any kind. Returns why it is refused, 0 if it is not."""
    page, high = vaddr >> 12, ((vaddr >> 12) + 1) & (PAGES - 1)
    epoch = sums[EPOCH]
    crosses = (vaddr & 4095) + size > 4096
    if 5 < op < 128:
        return BAD_OP
    if op >= 128:
        sums[ROWS] += 1
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
            elif odd:
                sums[RAM_MISALIGNED_IN_PAGE] += 1
                sums[RAM_MISALIGNED_UNITS8] += units
        sums[LOADS + op] += 1
        sums[MISALIGNED] += odd
        sums[PAGE_CROSS] += crosses
        mode = flag & 2
        sums[MODE_SWITCHES] += sums[MODE] >= 0 and sums[MODE] != mode
        sums[MODE] = mode
    elif op == 2:
        if size == 0:
            return BAD_EXEC_EMPTY
        if flag & 1:
            return BAD_EXEC_IO
        if (vaddr & 4095) + size > 8192:
            return BAD_EXEC_LONG
        if system and (stamp[page] != epoch or (crosses and stamp[high] != epoch)):
            return BAD_UNKNOWN
        sums[EXECS] += 1
        sums[GUEST_INSNS] += insns
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
    sums[ROWS] += 1
    return 0


@kept
def _usual(vaddrs, pages, sizes, insns, ops, flags, sums, touched, stamp, system):
    """Count rows that are all LOAD, STORE or EXEC, not IO and no errors. False, and nothing counted, if some are not.

    The first loop has no branches: the compiler makes vector code of it.
    """
    bad = np.uint32(0)
    accesses = stores = execs = guest_insns = misaligned = units8 = wide8 = odd8 = user = crosses = np.uint32(0)
    one, most = np.uint32(1), np.uint32(MAX_ACCESS_BYTES - 1)
    for i in range(len(ops)):
        op, size, flag, vaddr = np.uint32(ops[i]), np.uint32(sizes[i]), np.uint32(flags[i]), np.uint32(vaddrs[i])
        less = size - np.uint32(size != 0)
        end = np.uint32((vaddr & np.uint32(4095)) + less)  # of the last byte, in the page
        access = np.uint32(op < 2)
        is_exec = np.uint32(op == 2)
        bad |= np.uint32(pages[i]) | (flag & one) | np.uint32(op > 2) | np.uint32(size == 0) | np.uint32(end > 8191)
        bad |= access & np.uint32(less > most)
        units = ((size + np.uint32(7)) >> np.uint32(3)) * access
        accesses += access
        stores += np.uint32(op == 1)
        execs += is_exec
        guest_insns += is_exec * np.uint32(insns[i])
        odd = access & np.uint32((vaddr & less) != 0) & np.uint32((size & less) == 0)
        misaligned += odd
        odd8 += units * odd
        crosses += access & np.uint32(end > 4095)
        units8 += units
        wide8 += units * np.uint32(size > 4)
        user += access * (flag >> one & one)
    if bad:
        return False
    if system:
        known = True
        epoch = sums[EPOCH]
        for i in range(len(ops)):
            vaddr = np.int64(vaddrs[i])
            last = (vaddr + np.int64(sizes[i]) - 1) & 0xFFFFFFFF
            known &= (stamp[vaddr >> 12] == epoch) & (stamp[last >> 12] == epoch)
        if not known:
            return False
    for i in range(len(ops)):
        touched[np.int64(vaddrs[i]) >> 12 if ops[i] < 2 else PAGES] = 1
    sums[RAM_MISALIGNED_IN_PAGE] += misaligned
    sums[RAM_MISALIGNED_UNITS8] += odd8
    if crosses:
        for i in range(len(ops)):
            op, size, vaddr = np.int64(ops[i]), np.int64(sizes[i]), np.int64(vaddrs[i])
            if op < 2 and (vaddr & 4095) + size > 4096:
                touched[((vaddr >> 12) + 1) & (PAGES - 1)] = 1
                sums[RAM_CROSS_LOADS + op] += 1
                sums[RAM_CROSS_STORE_BYTES] += op * size
                odd_and_crosses = (size & (size - 1)) == 0  # such a size that crosses is misaligned
                sums[RAM_MISALIGNED_IN_PAGE] -= odd_and_crosses
                sums[RAM_MISALIGNED_UNITS8] -= odd_and_crosses * ((size + 7) >> 3)
    if accesses:
        mode = np.int64(2 * (user == accesses))
        if sums[MODE] != mode or (user != 0 and user != accesses):
            for i in range(len(ops)):
                if ops[i] < 2:
                    mode = np.int64(flags[i] & 2)
                    sums[MODE_SWITCHES] += sums[MODE] >= 0 and sums[MODE] != mode
                    sums[MODE] = mode
    loads = accesses - stores
    sums[ROWS] += len(ops)
    sums[LOADS] += loads
    sums[STORES] += stores
    sums[MISALIGNED] += misaligned
    sums[PAGE_CROSS] += crosses
    sums[EXECS] += execs
    sums[GUEST_INSNS] += guest_insns
    sums[RAM_LOADS] += loads
    sums[RAM_STORES] += stores
    sums[UNITS8] += units8
    sums[WIDE_UNITS8] += wide8
    return True


@guarded(_usual, _seldom)
@kept
def scan(vaddrs, pages, sizes, insns, ops, flags, sums, touched, stamp, page_of, system):
    """Count the rows up to the first bad one into `sums`. Returns (its index, why), or (rows, 0)."""
    rows = len(ops)
    for start in range(0, rows, BLOCK):
        end = min(start + BLOCK, rows)
        part = slice(start, end)
        if _usual(
            vaddrs[part], pages[part], sizes[part], insns[part], ops[part], flags[part], sums, touched, stamp, system
        ):
            continue
        for i in range(start, end):
            op, flag, vaddr, size = np.int64(ops[i]), np.int64(flags[i]), np.int64(vaddrs[i]), np.int64(sizes[i])
            code = _seldom(
                op, flag, vaddr, size, np.int64(pages[i]), np.int64(insns[i]), sums, touched, stamp, page_of, system
            )
            if code:
                return i, code
    return rows, 0
