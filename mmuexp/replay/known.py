"""What the loop knows of rows, and how it looks them up, 64 together: vector code, in which what is known costs little.

A row is *known* if the strategy, asked about it, would change and count nothing: a plain access that it called SETTLED,
or a block that was entered, and nothing taken back since (`Emulator.lost`). Key and form of a row: keys.py.
"""

import numpy as np

from mmuexp.emulator.kernel import kernel
from mmuexp.emulator.state import ACCESSES, BLOCKS, ENTERED, lost_bit
from mmuexp.guest import PAGE_BITS, PAGE_MASK
from mmuexp.replay.firsts import WORD_FORM_BITS, WORD_FORM_MASK
from mmuexp.replay.keys import KINDS, PLAIN_KINDS, is_block, key_and_form


@kernel
def slot_of(vaddr):
    """Where a block is remembered as entered: neighbours side by side, so that a line of the cache holds several."""
    u4 = np.uint32
    return u4(u4(u4(vaddr >> u4(2)) ^ u4(vaddr >> u4(PAGE_BITS))) & u4(ENTERED - 1))


@kernel
def entered_word(vaddr, size, code_epoch):
    """What is remembered of a block that was entered: vaddr (32 bits), size (16), the code epoch (16)."""
    return np.uint64(vaddr) << np.uint64(32) | np.uint64(np.uint32(np.uint32(size << np.uint32(16)) | code_epoch))


@kernel
def remember_block(e, vaddr, size, block, code_epoch):
    """The block was entered at this address. It is remembered once, so that it is forgotten when it is dropped."""
    slot = np.int64(slot_of(np.uint32(vaddr)))
    if e.block[block].entered:
        e.entered[e.block[block].entered - 1] = 0
    e.entered[slot] = entered_word(np.uint32(vaddr), np.uint32(size), np.uint32(code_epoch))
    e.block[block].entered = slot + 1


@kernel
def is_known(e, key, form, epoch, code_epoch):
    """Is this (see keys.py) a remembered block, or a settled access? All is uint32. No branches, and no more bits than
    needed: vector code."""
    u4 = np.uint32
    remembered = e.entered[slot_of(key)] == entered_word(key, form, code_epoch)
    settled = u4(e.page[u4(key >> u4(PAGE_BITS))].settled ^ u4(epoch << u4(KINDS)))  # in this epoch: kinds alone
    plain = (settled <= u4(PLAIN_KINDS)) & (u4(settled & key) != u4(0))
    return remembered if is_block(form) else plain


@kernel
def of_word(word):
    """Of a first, from its word (firsts.py)."""
    return np.uint32(word >> np.uint64(WORD_FORM_BITS)), np.uint32(word & np.uint64(WORD_FORM_MASK))


@kernel
def write_keys(vaddrs, sizes, ops, flags, row, count, user_mode, keys, forms):
    """The keys and forms of `count` rows from `row` on. Vector code, apart from `unknown_rows`, as it is none that
    writes somewhere and reads wherever a key may lead."""
    u4, u8 = np.uint32, np.uint64
    for j in range(u8(count)):
        i = u8(row) + j
        keys[j], forms[j] = key_and_form(u4(vaddrs[i]), u4(sizes[i]), u4(ops[i]), u4(flags[i]), user_mode)


@kernel
def unknown_rows(e, keys, forms, count, epoch, code_epoch):
    """A bit for each of `count` keys and forms that is not known."""
    u4, u8 = np.uint32, np.uint64
    bits = u8(0)
    for j in range(u8(count)):
        bits |= u8(not is_known(e, keys[j], forms[j], u4(epoch), u4(code_epoch))) << j
    return bits


@kernel
def unknown_firsts(e, first_words, at, count, epoch, code_epoch):
    """As `unknown_rows`, of `count` firsts from number `at` on."""
    u4, u8 = np.uint32, np.uint64
    bits = u8(0)
    for j in range(u8(count)):
        key, form = of_word(first_words[u8(at) + j])
        bits |= u8(not is_known(e, key, form, u4(epoch), u4(code_epoch))) << j
    return bits


@kernel
def rows_of_lost(e, vaddrs, ops, row, count):
    """A bit for each of `count` rows from `row` on that may repeat what is `lost` (state.py). Vector code."""
    u4, u8 = np.uint32, np.uint64
    accesses, blocks = e.lost[ACCESSES], e.lost[BLOCKS]
    bits = u8(0)
    for j in range(u8(count)):
        vaddr, block = u4(vaddrs[u8(row) + j]), ops[u8(row) + j] == 2
        what = u4(vaddr & u4(PAGE_MASK)) if block else u4(vaddr >> u4(PAGE_BITS))
        bits |= u8(u8((blocks if block else accesses) >> u8(lost_bit(what))) & u8(1)) << j
    return bits


@kernel
def rows_of_firsts(firsts, at, end, row, count):
    """A bit for each of `count` rows from `row` on that is a first, of those from number `at` to `end`; and the number
    of the next. The first of them is in row `row` or later."""
    bits = np.uint64(0)
    while at < end and firsts[at] < row + count:
        bits |= np.uint64(1) << np.uint64(firsts[at] - row)
        at += 1
    return bits, at
