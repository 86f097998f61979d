"""Makes rows of runs again for the loop, from where a scheme lost something to the era's end, once for all schemes."""

from typing import Any

import numpy as np

from mmuexp.blocks.runs import OTHER
from mmuexp.guest import PAGE_BITS, Op
from mmuexp.native.bits import lowest_bit, lowest_bits
from mmuexp.native.jitcache import Number, guarded, inside, kept
from mmuexp.replay.firsts import END_ACCESS, END_OTHER, END_PART, END_ROW, END_RUN, Rows, packed_row
from mmuexp.replay.keys import ACCESS, KINDS, MISALIGNED, ODD
from mmuexp.replay.shapes import (
    COUNT,
    FIRST,
    FLAGS,
    HAS_BLOCK,
    INSNS,
    NUMBER,
    PLACE_BITS,
    SIZE,
    VADDR,
    alignment_of,
    kind_of,
)
from mmuexp.replay.walked import other_row


@inside
def _key_and_form(packed: Any, vaddr: Any) -> tuple[Any, Any]:
    """Make the key and the form of a data row."""
    u4 = np.uint32
    page, kind = u4(vaddr >> u4(PAGE_BITS)) << u4(KINDS), kind_of(packed)
    odd, misaligned = alignment_of(packed, vaddr)
    bit = kind << u4(KINDS // 2) if misaligned else kind
    form = u4(MISALIGNED) if misaligned else u4(ACCESS)
    return page | (u4(0) if odd else bit), u4(ODD) if odd else form


@guarded()
@kept
def expand(w: Any, place: np.ndarray, begin: Number, stop: Number, to: Rows) -> None:
    """Write the rows from row `begin` of the batch up to row `stop`, and of the run at `begin` those before it; the
    runs are read from `place` on, a row of eras."""
    u8 = np.uint64
    row, run, part = place[END_ROW], place[END_RUN], place[END_PART]
    access, other = place[END_ACCESS], place[END_OTHER]
    while row < stop:
        shape, i = u8(w.run[u8(run)]), u8(row)
        if shape == OTHER:
            o = u8(other)
            to.vaddr[i], to.about[i], to.key[i], to.form[i] = w.other_vaddr[o], other_row(w, o), w.other_frame[o], ODD
            row, run, other = row + 1, run + 1, other + 1
            continue
        about = shape << u8(PLACE_BITS)
        has = np.int64(w.shape[about | u8(HAS_BLOCK)])
        block, count = max(has - part, np.int64(0)), np.int64(w.shape[about | u8(COUNT)]) - max(part - has, np.int64(0))
        if row + block + count <= begin:
            row, run, part, access = row + block + count, run + 1, 0, access + count
            continue
        if block:
            size = w.shape[about | u8(SIZE)]
            to.vaddr[i], to.key[i], to.form[i] = w.shape[about | u8(VADDR)], w.shape[about | u8(NUMBER)], size
            to.about[i] = packed_row(size, w.shape[about | u8(INSNS)], Op.EXEC, w.shape[about | u8(FLAGS)])
            row, part = row + 1, part + 1
        first = np.int64(w.shape[about | u8(FIRST)]) + part - has
        some = min(count, stop - row)
        # bit by bit: for a loop that counts the compiler makes vector code, which takes longer to begin than to do this
        bits = lowest_bits(some) if some else u8(0)
        while bits:
            k = lowest_bit(bits)
            bits &= bits - u8(1)
            i, packed, vaddr = u8(row) + k, w.site[u8(first) + k], w.vaddr[u8(access) + k]
            to.vaddr[i], to.about[i] = vaddr, packed
            to.key[i], to.form[i] = _key_and_form(packed, vaddr)
        row, access = row + some, access + some
        if some == count:
            run, part = run + 1, 0
        else:
            part += some
