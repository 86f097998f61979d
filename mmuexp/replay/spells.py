"""Passes over spells of which nothing is new: for schemes that answer SETTLED_IN_SPELL.

A *spell* is the rows from an access that answers WATCH_EXEC up to the next EXEC row. A kernel of an operating system
that lies where a scheme cannot map it is one spell a block, each of a few rows that were all asked about before. So 64
rows are looked up at a time, as the loop does with those outside of spells (known.py): which accesses begin a spell,
how far it goes, and whether the scheme would but count the accesses in it. Such spells are counted here.
"""

from typing import Any

import numpy as np

from mmuexp.emulator.kernel import kernel
from mmuexp.emulator.state import Emulator
from mmuexp.events import Event
from mmuexp.native.bits import count_bits, highest_bit, lowest_bit, lowest_bits
from mmuexp.replay.keys import ACCESS, ALIGNED, KINDS, PLAIN_KINDS, is_block
from mmuexp.replay.known import settled_word

int64: Any = np.int64  # for a type checker, to which it is not an int
BEGINS_AT = KINDS // 2  # in a page's entry: the kinds that begin a spell, above those that are settled in one


@kernel
def settle_in_spell(e: Emulator, page: int, kind: Any, begins: Any, epoch: Any) -> None:
    """Remember that an aligned access of that kind to the page is SETTLED_IN_SPELL; and if it `begins` one outside."""
    kinds = kind | (kind << BEGINS_AT if begins else int64(0))
    e.in_spell[page] = settled_word(int64(e.in_spell[page]), kinds, epoch)


@kernel
def passed_spells(e: Emulator, n: np.ndarray, keys: np.ndarray, forms: np.ndarray, at: int, count: int, unknown: Any,
                  epoch: Any) -> int:  # fmt: skip
    """Count what the next rows do, `count` of them from number `at` on, up to the first that must be asked about.

    No spell goes on at the first row. `unknown` has a bit for each row that is not known outside of a spell. Returns
    how many rows were counted: none goes on behind the last.
    """
    u4, u8 = np.uint32, np.uint64
    data = settled = begins = u8(0)  # a bit for each row that is no block, is settled in a spell, begins one outside
    for j in range(u8(count)):
        key, form = u4(keys[u8(at) + j]), u4(forms[u8(at) + j])
        block, kind = is_block(form), key & u4(ALIGNED)
        told = u4(e.in_spell[u4(u4(0) if block else key >> u4(KINDS))] ^ u4(epoch << u4(KINDS)))  # kinds alone, now
        plain = (told <= u4(PLAIN_KINDS)) & (form == u4(ACCESS))
        data |= u8(not block) << j
        settled |= u8(plain & (told & kind != u4(0))) << j
        begins |= u8(plain & (told & kind << u4(BEGINS_AT) != u4(0))) << j
    inside, way = begins, data
    for rows in (1, 2, 4, 8, 16, 32):  # a spell goes on up to the next block: over so many rows more
        inside |= inside << u8(rows) & way
        way &= way << u8(rows)
    wrong = inside & ~settled | unknown & ~inside
    passed = int64(lowest_bit(wrong)) if wrong else int64(count)
    if passed < count or inside >> u8(count - 1) & u8(1):  # back to where no spell goes on
        ends = (~inside << u8(1) | ~data | u8(1)) & lowest_bits(min(passed + 1, int64(count)))
        passed = int64(highest_bit(ends))
    if passed:
        inside &= lowest_bits(passed)
        n[Event.FAULTS_SOFTMMU] += int64(count_bits(inside & ~(inside << u8(1))))
        n[Event.SOFTMMU_ACCESSES] += int64(count_bits(inside))
    return passed
