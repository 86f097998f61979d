"""Remembers answers of a strategy, and looks rows up, 64 at a time: vector code, in which a known row costs little.

A row is *known* if the strategy, asked about it, would change and count nothing: a plain access that it called SETTLED,
or a block that was entered, and that was not revoked since. Key and form of a row: keys.py.
"""

from typing import Any

import numpy as np

from mmuexp.emulator.kernel import kernel
from mmuexp.emulator.state import ENTERED, Emulator
from mmuexp.guest import PAGE_BITS
from mmuexp.replay.firsts import WORD_FORM_BITS, WORD_FORM_MASK
from mmuexp.replay.keys import KINDS, PLAIN_KINDS, is_block, key_and_form


@kernel
def slot_of(vaddr: Any) -> Any:
    """Choose where a block is remembered as entered: neighbours side by side, so that a cache line holds several."""
    u4 = np.uint32
    return u4(u4(u4(vaddr >> u4(2)) ^ u4(vaddr >> u4(PAGE_BITS))) & u4(ENTERED - 1))


@kernel
def entered_word(vaddr: Any, size: Any, code_epoch: Any) -> Any:
    """Pack what is remembered of a block that was entered: vaddr (32 bits), size (16), the code epoch (16)."""
    return np.uint64(vaddr) << np.uint64(32) | np.uint64(np.uint32(np.uint32(size << np.uint32(16)) | code_epoch))


@kernel
def remember_block(e: Emulator, vaddr: Any, size: Any, block: int, code_epoch: Any) -> None:
    """Remember that the block was entered at this address: at one place only, so that dropping it forgets it."""
    slot = np.int64(slot_of(np.uint32(vaddr)))
    if e.block[block].entered:
        e.entered[e.block[block].entered - 1] = 0
    e.entered[slot] = entered_word(np.uint32(vaddr), np.uint32(size), np.uint32(code_epoch))
    e.block[block].entered = slot + 1


@kernel
def is_known(e: Emulator, key: Any, form: Any, epoch: Any, code_epoch: Any) -> Any:
    """Tell whether a key and a form are of a remembered block, or of a settled access. All is uint32.

    It has no branches, and no more bits than are needed: vector code.
    """
    u4 = np.uint32
    remembered = e.entered[slot_of(key)] == entered_word(key, form, code_epoch)
    settled = u4(e.page[u4(key >> u4(PAGE_BITS))].settled ^ u4(epoch << u4(KINDS)))  # in this epoch: kinds alone
    plain = (settled <= u4(PLAIN_KINDS)) & (u4(settled & key) != u4(0))
    return remembered if is_block(form) else plain


@kernel
def of_word(word: Any) -> Any:
    """Take key and form of a first from its word (firsts.py)."""
    return np.uint32(word >> np.uint64(WORD_FORM_BITS)), np.uint32(word & np.uint64(WORD_FORM_MASK))


@kernel
def write_keys(
    vaddrs: np.ndarray, sizes: np.ndarray, ops: np.ndarray, flags: np.ndarray, row: int, count: int, user_mode: int,
    keys: np.ndarray, forms: np.ndarray,
) -> None:  # fmt: skip
    """Write the keys and forms of `count` rows from `row` on, which the survey accepted.

    Kept apart from `unknown_rows`: LLVM does not vectorise a loop that both stores and gathers.
    """
    u2, u8 = np.uint16, np.uint64
    always = u2(1 if user_mode else 0)
    for j in range(u8(count)):
        i = u8(row) + j
        page = np.uint32(0)  # so it is, but of a MAP row, which is odd anyway
        found = key_and_form(np.uint32(vaddrs[i]), page, u2(sizes[i]), u2(ops[i]), u2(flags[i]), always)
        keys[j], forms[j] = found[0], found[1]


@kernel
def unknown_rows(e: Emulator, keys: np.ndarray, forms: np.ndarray, count: int, epoch: Any, code_epoch: Any) -> Any:
    """Look up `count` keys and forms. Returns a bit for each that is not known."""
    u4, u8 = np.uint32, np.uint64
    bits = u8(0)
    for j in range(u8(count)):
        bits |= u8(not is_known(e, keys[j], u4(forms[j]), u4(epoch), u4(code_epoch))) << j
    return bits


@kernel
def unknown_firsts(e: Emulator, first_words: np.ndarray, at: int, count: int, epoch: Any, code_epoch: Any) -> Any:
    """Look up `count` firsts from number `at` on. Returns a bit for each that is not known."""
    u4, u8 = np.uint32, np.uint64
    bits = u8(0)
    for j in range(u8(count)):
        key, form = of_word(first_words[u8(at) + j])
        bits |= u8(not is_known(e, key, form, u4(epoch), u4(code_epoch))) << j
    return bits
