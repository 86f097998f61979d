"""Remembers answers of a strategy, and looks rows up, 64 at a time: vector code, in which a known row costs little.

A row is *known* if the strategy, asked about it, would change and count nothing: a plain access that it called SETTLED,
or a block that was entered, and that was not revoked since. Key and form of a row: keys.py.
"""

from typing import Any

import numpy as np

from mmuexp.emulator.kernel import kernel
from mmuexp.emulator.state import Emulator
from mmuexp.replay.keys import KINDS, ODD, PLAIN_KINDS, is_block


@kernel
def settled_word(before: Any, kinds: Any, epoch: Any) -> Any:
    """Add kinds to what an entry says is settled, which counts for nothing if it is of another epoch."""
    known = before & PLAIN_KINDS if before >> KINDS == epoch else np.int64(0)
    return epoch << KINDS | known | kinds


@kernel
def entered_word(size: Any, code_epoch: Any) -> Any:
    """Pack what is remembered of a block that was entered: its size (16 bits), the code epoch (16)."""
    return np.uint32(np.uint32(size) << np.uint32(16) | np.uint32(code_epoch))


@kernel
def remember_block(e: Emulator, number: Any, size: Any, block: int, code_epoch: Any) -> None:
    """Remember that the block was entered at the address of that number: at one alone, so that its drop forgets it."""
    if e.block[block].entered:
        e.entered[e.block[block].entered - 1] = 0
    e.entered[np.uint64(number)], e.entered_block[np.uint64(number)] = entered_word(size, code_epoch), block
    e.block[block].entered = np.int64(number) + 1


@kernel
def is_remembered(e: Emulator, number: Any, size: Any, code_epoch: Any) -> Any:
    """Tell whether the block `e.entered_block[number]`, of that size, is remembered as entered."""
    return e.entered[np.uint64(number)] == entered_word(size, code_epoch)


@kernel
def is_known(e: Emulator, key: Any, form: Any, epoch: Any, code_epoch: Any) -> Any:
    """Tell whether a key and a form are of a remembered block, or of a settled access. All is uint32.

    It has no branches, and no more bits than are needed: vector code.
    """
    u4 = np.uint32
    block = is_block(form)
    remembered = e.entered[u4(key if block else u4(0))] == entered_word(form, code_epoch)
    settled = u4(e.page[u4(u4(0) if block else key >> u4(KINDS))].settled ^ u4(epoch << u4(KINDS)))  # kinds alone, now
    plain = (settled <= u4(PLAIN_KINDS)) & (u4(settled & key) != u4(0)) & (form != u4(ODD))
    return remembered if block else plain


@kernel
def unknown_rows(e: Emulator, keys: np.ndarray, forms: np.ndarray, at: int, count: int, epoch: Any,
                 code_epoch: Any) -> Any:  # fmt: skip
    """Look up `count` keys and forms from number `at` on. Returns a bit for each that is not known."""
    u4, u8 = np.uint32, np.uint64
    bits = u8(0)
    for j in range(u8(count)):
        key, form = u4(keys[u8(at) + j]), u4(forms[u8(at) + j])
        bits |= u8(not is_known(e, key, form, u4(epoch), u4(code_epoch))) << j
    return bits
