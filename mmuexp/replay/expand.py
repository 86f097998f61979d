"""Makes rows of runs again for the loop, where a scheme lost something: a few eras at a time, once for all schemes."""

from typing import Any

import numpy as np

from mmuexp.blocks.runs import OTHER
from mmuexp.guest import PAGE_BITS, PAGE_MASK, Op
from mmuexp.native.jitcache import Number, guarded, inside, kept
from mmuexp.replay.firsts import END_ACCESS, END_OTHER, END_PART, END_ROW, END_RUN, Rows
from mmuexp.replay.keys import ACCESS, KINDS, MISALIGNED, ODD
from mmuexp.replay.shapes import COUNT, FIRST, HAS_BLOCK, LESS_AT, MASK_AT, NUMBER, ODD_AT, PLACE_BITS


@inside
def _key_and_form(packed: Any, vaddr: Any) -> tuple[Any, Any]:
    """Make the key and the form of a data row."""
    u4 = np.uint32
    offset = u4(vaddr) & u4(PAGE_MASK)
    page = u4(vaddr >> np.uint64(PAGE_BITS)) << u4(KINDS)
    kind = packed & u4((1 << MASK_AT) - 1)
    odd = (packed >> u4(ODD_AT) != u4(0)) | (offset + (packed >> u4(LESS_AT) & u4(255)) > u4(PAGE_MASK))
    misaligned = offset & (packed >> u4(MASK_AT)) & u4(63) != u4(0)
    bit = kind << u4(KINDS // 2) if misaligned else kind
    form = u4(MISALIGNED) if misaligned else u4(ACCESS)
    return page | (u4(0) if odd else bit), u4(ODD) if odd else form


@guarded()
@kept
def expand(w: Any, place: np.ndarray, stop: Number, to: Rows) -> None:
    """Write the rows from `place` on, a row of eras, up to row `stop` of the batch."""
    u8 = np.uint64
    row, run, part = place[END_ROW], place[END_RUN], place[END_PART]
    access, other = place[END_ACCESS], place[END_OTHER]
    while row < stop:
        shape, i = u8(w.run[u8(run)]), u8(row)
        if shape == OTHER:
            o = u8(other)
            to.vaddr[i], to.size[i], to.insns[i] = w.other_vaddr[o], w.other_size[o], w.other_insns[o]
            to.op[i], to.flags[i], to.key[i], to.form[i] = w.other_op[o], w.other_flags[o], w.other_frame[o], ODD
            row, run, other = row + 1, run + 1, other + 1
            continue
        about = shape << u8(PLACE_BITS)
        has = np.int64(w.shape[about | u8(HAS_BLOCK)])
        if part < has:
            to.vaddr[i], to.size[i], to.insns[i] = w.shape_vaddr[shape], w.shape_size[shape], w.shape_insns[shape]
            to.op[i], to.flags[i] = Op.EXEC, w.shape_flags[shape]
            to.key[i], to.form[i] = w.shape[shape << u8(PLACE_BITS) | u8(NUMBER)], w.shape_size[shape]
            row, part = row + 1, part + 1
        count = np.int64(w.shape[about | u8(COUNT)]) + has - part
        first = np.int64(w.shape[about | u8(FIRST)]) + part - has
        some = min(count, stop - row)
        for k in range(u8(some)):
            i, site, vaddr = u8(row) + k, u8(first) + k, w.vaddr[u8(access) + k]
            to.vaddr[i], to.size[i], to.insns[i] = vaddr, w.site_size[site], w.site_insns[site]
            to.op[i], to.flags[i] = w.site_op[site], w.site_flags[site]
            to.key[i], to.form[i] = _key_and_form(w.site[site], vaddr)
        row, access = row + some, access + some
        if some == count:
            run, part = run + 1, 0
        else:
            part += some
