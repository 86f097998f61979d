"""Walks the runs of a trace for the survey: what a row must be, what it counts, and which rows are firsts.

A run of a shape that was seen in this era, all of whose addresses are what they were, costs a look at its shape: no row
of it is new. Where some addresses changed these alone are looked at. What a shape counts whatever its addresses are is
added up once for all its executions (shapes.py); the rest is counted row by row: what is misaligned, what crosses.
"""

from typing import NamedTuple

import numpy as np

from mmuexp.blocks.runs import OTHER
from mmuexp.emulator.kernel import seldom
from mmuexp.guest import MAX_ACCESS_BYTES, PAGE_BYTES, PAGE_MASK
from mmuexp.native.bits import lowest_bit, lowest_bits
from mmuexp.native.jitcache import Number, guarded, inside, kept
from mmuexp.replay import farcode
from mmuexp.replay.firsts import (
    END_ACCESS,
    END_FIRST,
    END_INSNS,
    END_OTHER,
    END_PART,
    END_ROW,
    END_RUN,
    ERA_AT,
    ERA_ROWS,
    LAST_ERA,
    Rows,
)
from mmuexp.replay.keys import ACCESS, KINDS, LARGEST_BLOCK, MISALIGNED, ODD
from mmuexp.replay.pages import followed_by
from mmuexp.replay.shapes import (
    CLEAN,
    COUNT,
    EXECUTIONS,
    FIRST,
    FLAGS,
    HAS_BLOCK,
    INSNS,
    MIXED,
    NO_ACCESS,
    NUMBER,
    PLACE_BITS,
    RAM,
    SIZE,
    UNIT_BYTES,
    VADDR,
    alignment_of,
    columns_of,
    kind_of,
)
from mmuexp.replay.shapes import MODE as MODE_OF_SHAPE

# What the kernel counts, by its place in `sums`. From RAM_LOADS on of accesses that are not IO: `units8` sums
# ceil(size / 8), `wide_units8` does so over accesses of more than 4 bytes, `ram_misaligned_units8` over misaligned
# ones that stay in their page.
_COUNTED = """rows loads stores misaligned page_cross io_accesses mode_switches execs guest_insns flushes page_flushes
    map_rows ram_loads ram_stores ram_misaligned_in_page ram_cross_loads ram_cross_stores ram_cross_store_bytes
    units8 wide_units8 ram_misaligned_units8"""
COUNTED = tuple(_COUNTED.split())
ROWS, LOADS, STORES, MISALIGNED_ROWS, PAGE_CROSS, IO_ACCESSES, MODE_SWITCHES, EXECS, GUEST_INSNS = range(9)
FLUSHES, PAGE_FLUSHES, MAPS, RAM_LOADS, RAM_STORES, RAM_MISALIGNED_IN_PAGE, RAM_CROSS_LOADS = range(9, 16)
RAM_CROSS_STORE_BYTES, UNITS8, WIDE_UNITS8, RAM_MISALIGNED_UNITS8 = range(17, 21)  # 16: RAM_CROSS_LOADS + STORE
OF_SHAPE = (EXECS, LOADS, STORES, IO_ACCESSES, RAM_LOADS, RAM_STORES, UNITS8, WIDE_UNITS8)  # in the order of shapes.py
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


# The walk's place in a batch, and in the trace
ROW, RUN, PART, AT_ACCESS, AT_OTHER, ERA, ERA_START = range(7)


class Walked(NamedTuple):
    """The runs that are walked, and what is known of their shapes; see runs.py and shapes.py."""

    run: np.ndarray
    vaddr: np.ndarray
    changed: np.ndarray
    other_vaddr: np.ndarray
    other_page: np.ndarray
    other_size: np.ndarray
    other_insns: np.ndarray
    other_op: np.ndarray
    other_flags: np.ndarray
    other_frame: np.ndarray  # int32, the frame of each MAP row
    shapes: int  # so far, and one for OTHER
    counts: np.ndarray
    shape: np.ndarray
    site: np.ndarray


class Pages(NamedTuple):
    """What the survey keeps of each page."""

    touched: np.ndarray  # uint8[PAGES], by data
    epoch: np.ndarray  # int64[PAGES]: a page of a system trace is known while this is the present epoch
    page_of: np.ndarray  # uint32[PAGES], what the MAP row had in `page`
    seen: np.ndarray  # uint32[PAGES], the era in which plain accesses of it were seen << ERA_AT, and of which kinds
    step: np.ndarray  # int32[PAGES], which page follows it (pages.py)


class Found(NamedTuple):
    """The firsts, and the eras."""

    row: np.ndarray  # int32[firsts], ascending rows of the batch
    rows: Rows  # of the firsts
    eras: np.ndarray  # int64[eras, END_OTHER + 1]


@inside
def _other(op: Number, vaddr: Number, page: Number, sums: np.ndarray, p: Pages, system: bool) -> Number:
    """Count a row of OTHER. Returns why it is refused, 0 if it is not."""
    at = np.uint64(vaddr >> 12)
    epoch = sums[EPOCH]
    if 5 < op < 128:
        return BAD_OP
    if op >= 128:
        return 0
    if page != 0 and op != 5:
        return BAD_PAGE
    if op == 2:
        return BAD_EXEC_EMPTY
    if op == 3:
        sums[EPOCH] += 1
        sums[FLUSHES] += 1
    elif op == 4:
        if system:
            p.epoch[at] = 0
        sums[PAGE_FLUSHES] += 1
    else:
        if not system:
            return BAD_MAP_USER
        if vaddr & 4095:
            return BAD_MAP_ODD
        if p.epoch[at] == epoch and p.page_of[at] != page:
            return BAD_MAP_OTHER
        p.epoch[at] = epoch
        p.page_of[at] = page
        sums[MAPS] += 1
    return 0


@inside
def _irregular(
    op: Number, flag: Number, vaddr: Number, size: Number, sums: np.ndarray, p: Pages, system: bool
) -> Number:  # fmt: skip
    """Count what a shape does not say of an access that is not plain. Returns why it is refused, 0 if it is not."""
    if size == 0 or size > MAX_ACCESS_BYTES:
        return BAD_SIZE
    low = np.uint64(vaddr >> 12)
    epoch = sums[EPOCH]
    crosses = np.int64((vaddr & 4095) + size > 4096)
    if flag & 1:
        if not system:
            return BAD_IO_USER
        if p.epoch[low] == epoch:
            return BAD_IO_KNOWN
    else:
        high = np.uint64(followed_by(np.int64(low), p.step)) if crosses else low
        if system and (p.epoch[low] != epoch or p.epoch[high] != epoch):
            return BAD_UNKNOWN
        p.touched[low] = 1
        if crosses:
            p.touched[high] = 1
            sums[RAM_CROSS_LOADS + op] += 1
            sums[RAM_CROSS_STORE_BYTES] += op * size
    sums[MISALIGNED_ROWS] += (vaddr & (size - 1)) != 0 and (size & (size - 1)) == 0
    sums[PAGE_CROSS] += crosses
    return 0


@inside
def _is_known(p: Pages, vaddr: Number, size: Number, epoch: Number, system: bool) -> Number:
    """Tell whether the pages of a row that may be a block are known."""
    if not system:
        return True
    low = np.int64(vaddr >> 12)
    high = followed_by(low, p.step) if (vaddr & PAGE_MASK) + size > PAGE_BYTES else low
    return p.epoch[np.uint64(low)] == epoch and p.epoch[np.uint64(high)] == epoch


@inside
def _first(f: Found, n: Number, row: Number, vaddr: Number, size: Number, insns: Number, op: Number, flags: Number,
           key: Number, form: Number) -> Number:  # fmt: skip
    """Write a first. Returns how many there are now."""
    at = np.uint64(n)
    f.row[at] = row
    f.rows.vaddr[at], f.rows.size[at], f.rows.insns[at] = vaddr, size, insns
    f.rows.op[at], f.rows.flags[at] = op, flags
    f.rows.key[at], f.rows.form[at] = key, form
    return n + 1


@inside
def _block(w: Walked, f: Found, p: Pages, shape: Number, row: Number, n: Number, epoch: Number,
           system: bool) -> tuple[Number, Number]:  # fmt: skip
    """Look at the EXEC row of a shape that was not seen in this era. Returns firsts so far, and why it is refused."""
    about = shape << np.uint64(PLACE_BITS)
    vaddr, size = np.int64(w.shape[about | np.uint64(VADDR)]), np.int64(w.shape[about | np.uint64(SIZE)])
    flags = w.shape[about | np.uint64(FLAGS)]
    if flags & 1:
        return n, BAD_EXEC_IO
    if (vaddr & 4095) + size > LARGEST_BLOCK:
        return n, BAD_EXEC_LONG
    if not _is_known(p, vaddr, size, epoch, system):
        return n, BAD_UNKNOWN
    insns, number = w.shape[about | np.uint64(INSNS)], w.shape[about | np.uint64(NUMBER)]
    n = _first(f, n, row, vaddr, size, insns, 2, flags, number, size)
    return n, 0


@inside
def _data(w: Walked, f: Found, p: Pages, site: Number, vaddr: Number, row: Number, n: Number, era: Number,
          sums: np.ndarray, system: bool) -> tuple[Number, Number, Number]:  # fmt: skip
    """Look at a data row. Returns firsts so far; is it one whenever it comes; and why it is refused, 0 if it is not."""
    u4, u8 = np.uint32, np.uint64
    packed = w.site[site]
    size, insns, op, flags = columns_of(packed)
    odd, misaligned = alignment_of(packed, vaddr)
    page = u8(vaddr >> 12)
    if odd:
        code = _irregular(np.int64(op), np.int64(flags), vaddr, np.int64(size), sums, p, system)
        n = _first(f, n, row, vaddr, size, insns, op, flags, page << u8(KINDS), ODD)
        return n, 1, code
    kind = kind_of(packed)
    if misaligned:
        if system and p.epoch[page] != sums[EPOCH]:
            return n, 1, BAD_UNKNOWN
        p.touched[page] = 1
        sums[MISALIGNED_ROWS] += 1
        sums[RAM_MISALIGNED_IN_PAGE] += 1
        sums[RAM_MISALIGNED_UNITS8] += np.int64(size) + UNIT_BYTES - 1 >> 3
        key = page << u8(KINDS) | u8(kind << u4(KINDS // 2))
        n = _first(f, n, row, vaddr, size, insns, op, flags, key, MISALIGNED)
        return n, 1, 0
    seen = p.seen[page]
    if seen >> u4(ERA_AT) != u4(era):
        seen = u4(era) << u4(ERA_AT)
    if seen & kind:
        return n, 0, 0
    if system and p.epoch[page] != sums[EPOCH]:
        return n, 0, BAD_UNKNOWN
    p.seen[page] = seen | kind
    p.touched[page] = 1
    n = _first(f, n, row, vaddr, size, insns, op, flags, page << u8(KINDS) | u8(kind), ACCESS)
    return n, 0, 0


@inside
def _not_seen(w: Walked, p: Pages, first: Number, access: Number, bits: Number, era: Number) -> Number:
    """Look up some data rows of a run. Returns a bit for each that is not plain, or whose page was not accessed so in
    this era."""
    u4, u8 = np.uint32, np.uint64
    found = u8(0)
    while bits:
        k = lowest_bit(bits)
        bits &= bits - u8(1)
        vaddr, packed = w.vaddr[u8(access) + k], w.site[u8(first) + k]
        odd, misaligned = alignment_of(packed, vaddr)
        seen = p.seen[vaddr >> u4(12)]
        old = (seen >> u4(ERA_AT) != u4(era)) | (seen & kind_of(packed) == u4(0))
        found |= u8(odd | misaligned | old) << k
    return found


@inside
def _take_turn(mode: Number, sums: np.ndarray) -> None:
    """An access of that mode comes."""
    sums[MODE_SWITCHES] += sums[MODE] >= 0 and sums[MODE] != mode
    sums[MODE] = mode


@inside
def _end_era(
    f: Found, ended: Number, n: Number, insns: Number, row: Number, run: Number, part: Number, access: Number,
    other: Number
) -> Number:  # fmt: skip
    """Write where an era ends. Returns the number of eras ended."""
    at = np.uint64(ended)
    f.eras[at, END_ROW], f.eras[at, END_FIRST], f.eras[at, END_INSNS] = row, n, insns
    f.eras[at, END_RUN], f.eras[at, END_PART] = run, part
    f.eras[at, END_ACCESS], f.eras[at, END_OTHER] = access, other
    return ended + 1


@inside
def _next_era(era: Number, w: Walked, p: Pages) -> Number:
    """Number the next era; where numbers begin anew, nothing was seen."""
    if era == LAST_ERA:
        p.seen[:] = 0
        for shape in range(len(w.shape) >> PLACE_BITS):
            w.shape[shape << PLACE_BITS | CLEAN] = 0
        return np.int64(1)
    return era + 1


@inside
def _bits_of(changed: np.ndarray, access: Number, count: Number) -> Number:
    """Take the bits of `count` data rows from `access` on; there is a word behind the last."""
    u8 = np.uint64
    if count == 0:
        return u8(0)
    word, bit = u8(access) >> u8(6), u8(access) & u8(63)
    bits = changed[word] >> bit | (changed[word + u8(1)] << u8(1)) << (u8(63) - bit)
    return bits & lowest_bits(count)


@inside
def _look(w: Walked, p: Pages, f: Found, shape: Number, bits: Number, access: Number, row: Number, n: Number,
          era: Number, sums: np.ndarray, system: bool) -> tuple[Number, Number, Number]:  # fmt: skip
    """Look at the rows of a run that may be new: all of them, or of a shape that was seen in this era and had no row
    that is always a first, those whose address changed.

    Returns firsts so far; the row of the run that is refused; and why it is, 0 if none is.
    """
    u4, u8 = np.uint32, np.uint64
    about = shape << u8(PLACE_BITS)
    has = np.int64(w.shape[about | u8(HAS_BLOCK)])
    first, count = np.int64(w.shape[about | u8(FIRST)]), np.int64(w.shape[about | u8(COUNT)])
    is_clean = w.shape[about | u8(CLEAN)] == u4(era)
    always, code = np.int64(0), np.int64(0)
    if is_clean:
        bits = _not_seen(w, p, first, access, bits, era)
    else:
        bits = lowest_bits(count) if count else u8(0)
        if has:
            n, code = _block(w, f, p, shape, row, n, sums[EPOCH], system)
            if code:
                return n, np.int64(0), code
    while bits:
        k = np.int64(lowest_bit(bits))
        bits &= bits - u8(1)
        vaddr = np.int64(w.vaddr[u8(access + k)])
        n, each, code = _data(w, f, p, u8(first + k), vaddr, row + has + k, n, era, sums, system)
        always |= each
        if code:
            return n, has + k, code
    if always or not is_clean:
        w.shape[about | u8(CLEAN)] = u4(0 if always else era)
    return n, np.int64(0), code


@inside
def _counted_row(w: Walked, site: Number, sums: np.ndarray, near: farcode.Near) -> farcode.Near:
    """Count of a data row what else its shape counts for all its executions."""
    packed = columns_of(w.site[site])
    size, op, flag = np.int64(packed[0]), np.int64(packed[2]), np.int64(packed[3])
    sums[LOADS + op] += 1
    sums[IO_ACCESSES] += flag & 1
    if not flag & 1:
        sums[RAM_LOADS + op] += 1
        sums[UNITS8] += size + 7 >> 3
        sums[WIDE_UNITS8] += (size + 7 >> 3) * (size > 4)
        near = farcode.access(near, 1)
    _take_turn(flag & 2, sums)
    return near


@seldom
def _part_of_run(
    w: Walked, p: Pages, f: Found, at: np.ndarray, stop: Number, sums: np.ndarray, near: farcode.Near,
    generations: np.ndarray, n: Number, system: bool
) -> tuple[Number, Number, farcode.Near]:  # fmt: skip
    """Walk the rows of a run that a cut goes through, one by one, up to row `stop` or the run's end.

    Returns firsts so far; why the row is refused at which it stands, 0 if none is; and how far farcode.py is.
    """
    u8 = np.uint64
    shape = u8(w.run[u8(at[RUN])])
    about = shape << u8(PLACE_BITS)
    has = np.int64(w.shape[about | u8(HAS_BLOCK)])
    first, count = np.int64(w.shape[about | u8(FIRST)]), np.int64(w.shape[about | u8(COUNT)])
    w.shape[about | u8(CLEAN)] = 0  # whoever sees it next looks at all of it
    while at[ROW] < stop and at[PART] < has + count:
        if at[PART] < has:
            n, code = _block(w, f, p, shape, at[ROW], n, sums[EPOCH], system)
            sums[EXECS] += 1
            sums[GUEST_INSNS] += w.shape[about | u8(INSNS)]
            near = farcode.enter(near, generations, w.shape[about | u8(NUMBER)])
        else:
            site = u8(first + at[PART] - has)
            vaddr = np.int64(w.vaddr[u8(at[AT_ACCESS])])
            n, _, code = _data(w, f, p, site, vaddr, at[ROW], n, at[ERA], sums, system)
            near = _counted_row(w, site, sums, near)
            at[AT_ACCESS] += code == 0
        if code:
            return n, code, near
        at[ROW] += 1
        at[PART] += 1
    if at[PART] == has + count:
        at[PART] = 0
        at[RUN] += 1
    return n, 0, near


@inside
def _count_executions(w: Walked, sums: np.ndarray) -> None:
    """Count what the executions of each shape count whatever its addresses are."""
    for each in range(w.shapes):
        times = np.int64(w.shape[each << PLACE_BITS | EXECUTIONS])
        if times:
            w.shape[each << PLACE_BITS | EXECUTIONS] = 0
            for k in range(len(OF_SHAPE)):
                sums[OF_SHAPE[k]] += times * np.int64(w.counts[each, k])


@guarded()
@kept
def walk(
    w: Walked, p: Pages, f: Found, at: np.ndarray, stop: Number, sums: np.ndarray, near: farcode.Near,
    generations: np.ndarray, system: bool
) -> tuple[Number, Number, Number, farcode.Near]:  # fmt: skip
    """Walk from the place `at` up to row `stop` of the batch, or to the first bad row: then `at` is its place.

    Counts into `sums`, and writes firsts and eras. Returns the numbers of both; why a row is refused, 0 if none is; and
    how far farcode.py is. After a bad row only `sums[ROWS]` means something.
    """
    u4, u8 = np.uint32, np.uint64
    n = ended = code = np.int64(0)
    begun = at[ROW]
    row, run, access, other, era, era_start = at[ROW], at[RUN], at[AT_ACCESS], at[AT_OTHER], at[ERA], at[ERA_START]
    part, insns, now = at[PART], sums[GUEST_INSNS], sums[MODE]
    while row < stop:
        shape = u8(w.run[u8(run)])
        drops = False
        if shape == OTHER:
            o = u8(other)
            op, vaddr = np.int64(w.other_op[o]), np.int64(w.other_vaddr[o])
            code = _other(op, vaddr, np.int64(w.other_page[o]), sums, p, system)
            if code:
                break
            n = _first(f, n, row, vaddr, w.other_size[o], w.other_insns[o], op, w.other_flags[o], w.other_frame[o], ODD)
            row, run, other = row + 1, run + 1, other + 1
            drops = op == 3 or op == 4
        else:
            about = shape << u8(PLACE_BITS)
            has = np.int64(w.shape[about | u8(HAS_BLOCK)])
            first, count = np.int64(w.shape[about | u8(FIRST)]), np.int64(w.shape[about | u8(COUNT)])
            if part or row + has + count > stop:
                at[ROW], at[RUN], at[PART], at[AT_ACCESS], at[ERA] = row, run, part, access, era
                sums[GUEST_INSNS] = insns
                sums[MODE] = now
                n, code, near = _part_of_run(w, p, f, at, stop, sums, near, generations, n, system)
                now = sums[MODE]
                row, run, part, access, insns = at[ROW], at[RUN], at[PART], at[AT_ACCESS], sums[GUEST_INSNS]
            else:
                w.shape[about | u8(EXECUTIONS)] += u4(1)
                if has:
                    insns += np.int64(w.shape[about | u8(INSNS)])
                    near = farcode.enter(near, generations, w.shape[about | u8(NUMBER)])
                near = farcode.access(near, np.int64(w.shape[about | u8(RAM)]))
                mode = np.int64(w.shape[about | u8(MODE_OF_SHAPE)])
                if mode != now and mode != NO_ACCESS:
                    sums[MODE] = now
                    for k in range(count if mode == MIXED else 1):
                        _take_turn(np.int64(columns_of(w.site[u8(first + k)])[3]) & 2, sums)
                    now = sums[MODE]
                bits = _bits_of(w.changed, access, count)
                if bits or w.shape[about | u8(CLEAN)] != u4(era):
                    n, at[PART], code = _look(w, p, f, shape, bits, access, row, n, era, sums, system)
                    if code:
                        row += at[PART]
                        break
                row, run, access = row + has + count, run + 1, access + count
            if code:
                break
        if drops or row - era_start >= ERA_ROWS or row == stop:
            ended = _end_era(f, ended, n, insns, row, run, part, access, other)
            era, era_start = _next_era(era, w, p), row
    at[ROW], at[RUN], at[PART], at[AT_ACCESS], at[AT_OTHER] = row, run, part, access, other
    at[ERA], at[ERA_START], sums[GUEST_INSNS], sums[MODE] = era, era_start, insns, now
    sums[ROWS] += row - begun
    _count_executions(w, sums)
    return n, ended, code, near
