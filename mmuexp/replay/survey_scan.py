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
from mmuexp.native.bits import copy_eight, lowest_bit, lowest_bits
from mmuexp.native.jitcache import Number, guarded, inside, kept
from mmuexp.replay import farcode
from mmuexp.replay.firsts import (
    END_ACCESS,
    END_FIRST,
    END_INSNS,
    END_MADE,
    END_OTHER,
    END_PART,
    END_ROW,
    END_RUN,
    ERA_AT,
    ERA_ROWS,
    LAST_ERA,
    Rows,
    columns_of,
    packed_row,
)
from mmuexp.replay.keys import ACCESS, KINDS, LARGEST_BLOCK, MISALIGNED, ODD
from mmuexp.replay.pages import followed_by, is_in_a_page
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
    kind_of,
)
from mmuexp.replay.shapes import MODE as MODE_OF_SHAPE
from mmuexp.replay.walked import Pages, Sites, Walked, begun, bits_of_run, moved, other_row, place

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
    ONE_TOO_MANY,
) = range(1, 14)


# The walk's place in a batch, and in the trace. PART: rows of the run that are done. KNOWN: shapes that ran in the
# group. BEFORE: the site of the data row before, -1 where the batch has none
ROW, RUN, PART, AT_ACCESS, AT_CHANGE, AT_OTHER, KNOWN, BEFORE, ERA, ERA_START = range(10)


class Found(NamedTuple):
    """The firsts, and the eras."""

    row: np.ndarray  # int32[firsts], ascending rows of the batch
    rows: Rows  # of the firsts
    eras: np.ndarray  # int64[eras, END_MADE + 1]


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
def _first(f: Found, n: Number, row: Number, vaddr: Number, about: Number, key: Number, form: Number) -> Number:
    """Write a first. Returns how many there are now."""
    at = np.uint64(n)
    f.row[at] = row
    f.rows.vaddr[at], f.rows.about[at], f.rows.key[at], f.rows.form[at] = vaddr, about, key, form
    return n + 1


@inside
def _block(w: Walked, f: Found, p: Pages, g: Sites, shape: Number, row: Number, n: Number, epoch: Number, system: bool,
           new: Number, wide: bool) -> tuple[Number, Number]:  # fmt: skip
    """Look at the EXEC row of a shape that was not seen in this era. Returns firsts so far, and why it is refused."""
    about = shape << np.uint64(PLACE_BITS)
    if wide and new:
        size = w.shape[about | np.uint64(SIZE)]
        w.shape[about | np.uint64(VADDR)] = place(g, w.block_real[shape], size, shape)
        if g.counts[1]:
            return n, ONE_TOO_MANY
    vaddr, size = np.int64(w.shape[about | np.uint64(VADDR)]), np.int64(w.shape[about | np.uint64(SIZE)])
    flags = w.shape[about | np.uint64(FLAGS)]
    if flags & 1:
        return n, BAD_EXEC_IO
    if (vaddr & 4095) + size > LARGEST_BLOCK:
        return n, BAD_EXEC_LONG
    if not _is_known(p, vaddr, size, epoch, system):
        return n, BAD_UNKNOWN
    insns, number = w.shape[about | np.uint64(INSNS)], w.shape[about | np.uint64(NUMBER)]
    n = _first(f, n, row, vaddr, packed_row(size, insns, 2, flags), number, size)
    return n, 0


@inside
def _data(w: Walked, f: Found, p: Pages, g: Sites, site: Number, row: Number, n: Number, era: Number,
          sums: np.ndarray, system: bool) -> tuple[Number, Number, Number]:  # fmt: skip
    """Look at a data row. Returns firsts so far; is it one whenever it comes; and why it is refused, 0 if it is not."""
    u4, u8 = np.uint32, np.uint64
    packed, vaddr = w.site[site], g.vaddr[site]
    if g.counts[1] == np.int64(site) + 1:
        return n, 1, ONE_TOO_MANY
    odd, misaligned = alignment_of(packed, vaddr)
    page, kind = u8(vaddr >> u4(12)), kind_of(packed)
    key, form = page << u8(KINDS), ODD
    if odd:
        size, _, op, flags = columns_of(packed)
        code = _irregular(op, flags, np.int64(vaddr), size, sums, p, system)
        if code:
            return n, 1, code
    else:
        seen = p.seen[page]
        if seen >> u4(ERA_AT) != u4(era):
            seen = u4(era) << u4(ERA_AT)
        if seen & kind and not misaligned:
            return n, 0, 0
        if system and p.epoch[page] != sums[EPOCH]:
            return n, 0, BAD_UNKNOWN
        p.touched[page] = 1
        if misaligned:
            sums[MISALIGNED_ROWS] += 1
            sums[RAM_MISALIGNED_IN_PAGE] += 1
            sums[RAM_MISALIGNED_UNITS8] += columns_of(packed)[0] + UNIT_BYTES - 1 >> 3
            key, form = key | u8(kind << u4(KINDS // 2)), MISALIGNED
        else:
            p.seen[page] = seen | kind
            key, form = key | u8(kind), ACCESS
    return _first(f, n, row, vaddr, packed, key, form), np.int64(odd | misaligned), 0


@inside
def _take_turn(mode: Number, sums: np.ndarray) -> None:
    """An access of that mode comes."""
    sums[MODE_SWITCHES] += sums[MODE] >= 0 and sums[MODE] != mode
    sums[MODE] = mode


@inside
def _mode_after(w: Walked, first: Number, count: Number, now: Number, sums: np.ndarray) -> Number:
    """Count the switches of mode in the accesses of some sites. Returns the mode after them."""
    sums[MODE] = now
    for k in range(count):
        _take_turn(columns_of(w.site[np.uint64(first + k)])[3] & 2, sums)
    return sums[MODE]


@inside
def _alone(
    w: Walked, f: Found, p: Pages, g: Sites, o: Number, row: Number, n: Number, sums: np.ndarray, system: bool,
    wide: bool
) -> tuple[Number, Number, Number]:  # fmt: skip
    """Look at a row of OTHER. Returns firsts so far, its op, and why it is refused, 0 if it is not."""
    op, code = np.int64(w.other_op[o]), np.int64(0)
    if wide and is_in_a_page(op):
        size = np.uint32(w.other_size[o]) if op <= 2 else np.uint32(0)
        w.other_vaddr[o] = place(g, np.uint64(w.other_real[o]), size, np.uint64(0))
        code = np.int64(ONE_TOO_MANY) if g.counts[1] else code
    vaddr = np.int64(w.other_vaddr[o])
    if not code:
        code = _other(op, vaddr, np.int64(w.other_page[o]), sums, p, system)
    if not code:
        n = _first(f, n, row, vaddr, other_row(w, o), w.other_frame[o], ODD)
    return n, op, code


@inside
def _end_era(
    f: Found, ended: Number, n: Number, insns: Number, row: Number, run: Number, part: Number, access: Number,
    other: Number
) -> Number:  # fmt: skip
    """Write where an era ends. Returns the number of eras ended."""
    at = np.uint64(ended)
    f.eras[at, END_ROW], f.eras[at, END_FIRST], f.eras[at, END_INSNS] = row, n, insns
    f.eras[at, END_RUN], f.eras[at, END_PART] = run, part
    f.eras[at, END_ACCESS], f.eras[at, END_OTHER], f.eras[at, END_MADE] = access, other, row
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
def _look(
    w: Walked, p: Pages, f: Found, g: Sites, shape: Number, part: Number, end: Number, access: Number, bits: Number,
    known: Number, before: Number, change: Number, row: Number, n: Number, era: Number, sums: np.ndarray, system: bool,
    wide: bool
) -> tuple[Number, Number, Number, Number, Number]:  # fmt: skip
    """Look at the rows of a run from number `part` of it on, which is row `row`, up to number `end`: at all of them, or
    of a shape that was seen in this era and had no row that is always a first, at those whose address changed.

    `bits` are those of all its data rows; `known` shapes ran before, `before`: see the walk's place. Returns firsts so
    far, changes that are done, whether a row is always a first, the number in the run of the row that is refused, and
    why it is, 0 if none is.
    """
    u4, u8 = np.uint32, np.uint64
    about = shape << u8(PLACE_BITS)
    has, first = np.int64(w.shape[about | u8(HAS_BLOCK)]), np.int64(w.shape[about | u8(FIRST)])
    begin, end = max(part - has, np.int64(0)), end - has
    rows = (lowest_bits(end) if end > 0 else u8(0)) & ~(lowest_bits(begin) if begin else u8(0))
    bits &= rows
    is_clean, code = w.shape[about | u8(CLEAN)] == u4(era), np.int64(0)
    always = np.int64(0)
    if not is_clean:
        new = np.int64(shape) > known
        if part < has:
            n, code = _block(w, f, p, g, shape, row, n, sums[EPOCH], system, new, wide)
            if code:
                return n, change, always, part, code
        if new:
            change = begun(w, g, first, access, begin, end, bits, before, change, wide)
            bits = u8(0)
    found = u8(0)
    if bits:
        found, change = moved(w, p, g, first, access, bits, change, era, wide)
    if is_clean:
        rows = found
    while rows:
        k = np.int64(lowest_bit(rows))
        rows &= rows - u8(1)
        n, each, code = _data(w, f, p, g, u8(first + k), row + has + k - part, n, era, sums, system)
        always |= each
        if code:
            return n, change, always, has + k, code
    return n, change, always, part, code


@inside
def _counted_row(
    w: Walked, site: Number, sums: np.ndarray, near: farcode.Near, executed: farcode.Executed
) -> farcode.Near:  # fmt: skip
    """Count of a data row what else its shape counts for all its executions."""
    size, _, op, flag = columns_of(w.site[site])
    sums[LOADS + op] += 1
    sums[IO_ACCESSES] += flag & 1
    if not flag & 1:
        sums[RAM_LOADS + op] += 1
        sums[UNITS8] += size + 7 >> 3
        sums[WIDE_UNITS8] += (size + 7 >> 3) * (size > 4)
        near = farcode.access(near, executed, np.int64(1))
    _take_turn(flag & 2, sums)
    return near


@seldom
def _part_of_run(
    w: Walked, p: Pages, f: Found, g: Sites, at: np.ndarray, stop: Number, sums: np.ndarray, near: farcode.Near,
    executed: farcode.Executed, n: Number, system: bool, wide: bool
) -> tuple[Number, Number, farcode.Near]:  # fmt: skip
    """Walk the rows of a run that a cut goes through, up to row `stop` or the run's end.

    Returns firsts so far; why the row is refused at which it stands, 0 if none is; and how far farcode.py is.
    """
    u8 = np.uint64
    shape = u8(w.run[u8(at[RUN])])
    about = shape << u8(PLACE_BITS)
    has = np.int64(w.shape[about | u8(HAS_BLOCK)])
    first, count = np.int64(w.shape[about | u8(FIRST)]), np.int64(w.shape[about | u8(COUNT)])
    w.shape[about | u8(CLEAN)] = 0  # whoever sees it next looks at all of it
    part, end = at[PART], min(has + count, at[PART] + stop - at[ROW])
    done = max(np.int64(0), part - has)
    access = at[AT_ACCESS] - done
    bits = bits_of_run(w.changed, access, count)
    n, change, _, refused, code = _look(
        w, p, f, g, shape, part, end, access, bits, at[KNOWN], at[BEFORE], u8(at[AT_CHANGE]), at[ROW], n, at[ERA], sums,
        system, wide,
    )  # fmt: skip
    at[AT_CHANGE], at[PART] = change, refused if code else end
    at[ROW] += at[PART] - part
    if code:
        return n, code, near
    if end > has:
        at[BEFORE] = first + end - has - 1
    if part < has:
        sums[EXECS] += 1
        sums[GUEST_INSNS] += w.shape[about | u8(INSNS)]
        near = farcode.enter(near, executed, w.shape[about | u8(NUMBER)])
    for each in range(max(part, has), end):
        w.vaddr[u8(at[AT_ACCESS])] = g.vaddr[u8(first + each - has)]
        near = _counted_row(w, u8(first + each - has), sums, near, executed)
        at[AT_ACCESS] += 1
    if end == has + count:
        at[PART] = 0
        at[RUN] += 1
        at[KNOWN] = max(at[KNOWN], np.int64(shape))
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
    w: Walked, p: Pages, g: Sites, f: Found, at: np.ndarray, stop: Number, sums: np.ndarray, near: farcode.Near,
    executed: farcode.Executed, system: bool, wide: bool
) -> tuple[Number, Number, Number, farcode.Near]:  # fmt: skip
    """Walk from the place `at` up to row `stop` of the batch, or to the first bad row: then `at` is its place.

    Counts into `sums`, and writes firsts and eras. Returns the numbers of both; why a row is refused, 0 if none is; and
    how far farcode.py is. After a bad row only `sums[ROWS]` means something.
    """
    u4, u8 = np.uint32, np.uint64
    n = ended = code = np.int64(0)
    began = at[ROW]
    row, run, access, other, era, era_start = at[ROW], at[RUN], at[AT_ACCESS], at[AT_OTHER], at[ERA], at[ERA_START]
    part, insns, now = at[PART], sums[GUEST_INSNS], sums[MODE]
    change, known, before = u8(at[AT_CHANGE]), at[KNOWN], at[BEFORE]
    while row < stop:
        shape, drops = u8(w.run[u8(run)]), False
        if shape == OTHER:
            n, op, code = _alone(w, f, p, g, u8(other), row, n, sums, system, wide)
            if code:
                break
            row, run, other = row + 1, run + 1, other + 1
            drops = op == 3 or op == 4
        else:
            about = shape << u8(PLACE_BITS)
            has = np.int64(w.shape[about | u8(HAS_BLOCK)])
            first, count = np.int64(w.shape[about | u8(FIRST)]), np.int64(w.shape[about | u8(COUNT)])
            if part or row + has + count > stop:
                at[ROW], at[RUN], at[PART], at[AT_ACCESS], at[AT_CHANGE] = row, run, part, access, change
                at[KNOWN], at[BEFORE], at[ERA], sums[GUEST_INSNS], sums[MODE] = known, before, era, insns, now
                n, code, near = _part_of_run(w, p, f, g, at, stop, sums, near, executed, n, system, wide)
                row, run, part, access, change = at[ROW], at[RUN], at[PART], at[AT_ACCESS], u8(at[AT_CHANGE])
                known, before, insns, now = at[KNOWN], at[BEFORE], sums[GUEST_INSNS], sums[MODE]
            else:
                w.shape[about | u8(EXECUTIONS)] += u4(1)
                if has:
                    insns += np.int64(w.shape[about | u8(INSNS)])
                    near = farcode.enter(near, executed, w.shape[about | u8(NUMBER)])
                near = farcode.access(near, executed, np.int64(w.shape[about | u8(RAM)]))
                mode = np.int64(w.shape[about | u8(MODE_OF_SHAPE)])
                if mode != now and mode != NO_ACCESS:
                    now = _mode_after(w, first, count if mode == MIXED else np.int64(1), now, sums)
                bits = bits_of_run(w.changed, access, count)
                # before what moves is stored: a load of eight waits long for a store of one of them
                for k in range(u8(0), u8(count), u8(8)):
                    copy_eight(w.vaddr, u8(access) + k, g.vaddr, u8(first) + k)
                if bits or w.shape[about | u8(CLEAN)] != u4(era):
                    n, change, always, part, code = _look(
                        w, p, f, g, shape, np.int64(0), has + count, access, bits, known, before, change, row, n, era,
                        sums, system, wide,
                    )  # fmt: skip
                    if always or w.shape[about | u8(CLEAN)] != u4(era):
                        w.shape[about | u8(CLEAN)] = u4(0 if always else era)
                        known = max(known, np.int64(shape))
                before = first + count - 1 if count else before
                if code:
                    row += part
                    break
                row, run, access = row + has + count, run + 1, access + count
            if code:
                break
        if drops or row - era_start >= ERA_ROWS or row == stop:
            ended = _end_era(f, ended, n, insns, row, run, part, access, other)
            era, era_start = _next_era(era, w, p), row
    at[ROW], at[RUN], at[PART], at[AT_ACCESS], at[AT_CHANGE] = row, run, part, access, change
    at[AT_OTHER], at[KNOWN], at[BEFORE], at[ERA], at[ERA_START] = other, known, before, era, era_start
    sums[GUEST_INSNS], sums[MODE] = insns, now
    sums[ROWS] += row - began
    _count_executions(w, sums)
    return n, ended, code, near
