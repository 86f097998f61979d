"""Translated code: which blocks exist, which pages they make code pages, and what a store drops.

A block is known by the physical address of its first byte, its size, and its second frame if it crosses. It hangs in
the list of each page it lies in by a link: link 2b for its first page, 2b + 1 for its second. A dropped block keeps its
place in the hash bucket, so that translating it again is told from translating it for the first time.
"""

import numpy as np

from mmuexp.emulator.kernel import entry, kernel, seldom
from mmuexp.emulator.state import BLOCK, DROPPED, LINK, REVOKED, USED_BLOCKS, Emulator, records, zeros
from mmuexp.events import Event
from mmuexp.guest import PAGE_BITS, PAGE_BYTES, PAGE_MASK
from mmuexp.runtime.threads import apart


@kernel
def is_code_page(e: Emulator, frame: int) -> bool:
    """Tells whether translated code lies in the frame, so that a store to it must be noticed."""
    return e.frame[frame].first_link != 0


@kernel
def list_length(e: Emulator, frame: int) -> int:
    """Tell how many blocks a walk of the frame's list goes through; one that lies in it twice counts twice."""
    return int(e.listed_blocks[frame])


@kernel
def _bucket_of(e: Emulator, start: int, size: int) -> int:
    mixed = int(start) * 0x9E3779B + int(size) * 0x85EBCA  # below 2**62: no overflow
    return (mixed ^ (mixed >> 23)) & (e.bucket.size - 1)


@kernel
def ever_translated(e: Emulator, start: int, size: int, second: int) -> int:
    """Find the block with this key, dropped or not, or -1."""
    b = e.bucket[_bucket_of(e, start, size)] - 1
    while b >= 0:
        if e.block[b].start == start and e.block[b].length == size and e.block[b].second == second + 1:
            return b
        b = e.block[b].chain - 1
    return -1


@kernel
def find_block(e: Emulator, start: int, size: int, second: int) -> int:
    """Find the translated block with this key, or -1. `second` is a frame or -1."""
    b = ever_translated(e, start, size, second)
    return -1 if b >= 0 and e.block[b].dropped else b


@kernel
def mark_block(e: Emulator, b: int) -> None:
    """Say that the scheme wants to be asked (`execute`) whenever block `b` is entered, from here on."""
    e.block[b].marked = 1
    if e.block[b].entered:
        e.entered[e.block[b].entered - 1] = 0
        e.block[b].entered = 0
        e.control[REVOKED] = 1


@kernel
def room_for_block(e: Emulator) -> bool:
    """Tells whether one more block can be translated; the loop makes room if not."""
    return e.control[USED_BLOCKS] < e.block.size


@kernel
def _link(e: Emulator, link: int, frame: int) -> None:
    head = e.frame[frame].first_link
    e.link[link].next = head
    e.link[link].prev = 0
    if head:
        e.link[head - 1].prev = link + 1
    e.frame[frame].first_link = link + 1
    e.listed_blocks[frame] += 1
    e.frame[frame].quiet_stores = 0


@kernel
def _unlink(e: Emulator, link: int, frame: int) -> None:
    before, after = e.link[link].prev, e.link[link].next
    if before:
        e.link[before - 1].next = after
    else:
        e.frame[frame].first_link = after
    if after:
        e.link[after - 1].prev = before
    e.listed_blocks[frame] -= 1
    e.frame[frame].quiet_stores = 0


@seldom
def add_block(e: Emulator, n: np.ndarray, start: int, size: int, second: int, insns: int) -> int:
    """Translate a block that `find_block` did not find, and return it; `room_for_block` must hold."""
    n[Event.TRANSLATIONS] += 1
    n[Event.TRANSLATED_INSNS] += insns
    b = ever_translated(e, start, size, second)
    if b >= 0:
        n[Event.RETRANSLATED_INSNS] += insns
        e.block[b].dropped = 0
        e.block[b].entered = 0
    else:
        b = e.control[USED_BLOCKS]
        e.control[USED_BLOCKS] = b + 1
        e.block[b].start = start
        e.block[b].length = size
        e.block[b].second = second + 1
        bucket = _bucket_of(e, start, size)
        e.block[b].chain = e.bucket[bucket]
        e.bucket[bucket] = b + 1
    _link(e, 2 * b, start >> PAGE_BITS)
    if second >= 0:
        _link(e, 2 * b + 1, second)
    return b


@kernel
def drop_block(e: Emulator, b: int) -> None:
    """Drop block `b`: it leaves the lists of its pages, and its next entry translates it again."""
    e.control[DROPPED] += 1
    _unlink(e, 2 * b, e.block[b].start >> PAGE_BITS)
    if e.block[b].second:
        _unlink(e, 2 * b + 1, e.block[b].second - 1)
    e.block[b].dropped = 1
    if e.block[b].entered:
        e.entered[e.block[b].entered - 1] = 0
        e.control[REVOKED] = 1


@kernel
def overlaps(e: Emulator, link: int, first: int, last: int) -> int:
    """Tells whether some of bytes first..last of the link's page belong to its block."""
    b = link >> 1
    offset = e.block[b].start & PAGE_MASK
    if link & 1:
        return first < offset + e.block[b].length - PAGE_BYTES
    return first < offset + e.block[b].length and last >= offset


@kernel
def overlapped_block(e: Emulator, frame: int, first: int, last: int) -> int:
    """Find a block of which bytes first..last of the frame are part, or -1."""
    link = e.frame[frame].first_link - 1
    while link >= 0:
        if overlaps(e, link, first, last):
            return link >> 1
        link = e.link[link].next - 1
    return -1


@seldom
def store_drops_page(e: Emulator, n: np.ndarray, frame: int, first: int, last: int) -> None:
    """Drop all blocks of a code page that is stored to: a handler sees pages, not bytes."""
    if overlapped_block(e, frame, first, last) >= 0:
        n[Event.SMC_STORES] += 1
    else:
        n[Event.CODE_PAGE_DATA_STORES] += 1
    while e.frame[frame].first_link:
        drop_block(e, (e.frame[frame].first_link - 1) >> 1)


@seldom
def store_drops_overlapped(e: Emulator, n: np.ndarray, frame: int, first: int, last: int) -> bool:
    """Drop the blocks that a store to a code page overlaps: a helper sees bytes. Returns whether there was one."""
    b = overlapped_block(e, frame, first, last)
    if b < 0:
        n[Event.CODE_PAGE_DATA_STORES] += 1
        return False
    n[Event.SMC_STORES] += 1
    while b >= 0:  # a block that crosses may hang in the list twice: look again from the start after each
        drop_block(e, b)
        b = overlapped_block(e, frame, first, last)
    return True


def with_more_blocks(e: Emulator) -> Emulator:
    """Make room for four times as many blocks in the same state; called when every place is taken."""
    blocks, old = 4 * e.block.size, e
    e = e._replace(block=records(blocks, BLOCK), link=records(2 * blocks, LINK), bucket=zeros(2 * blocks, np.int32))
    e.block[: old.block.size], e.link[: old.link.size] = old.block, old.link
    apart(_rehash, e)
    return e


@entry
def _rehash(e: Emulator) -> None:
    for b in range(e.control[USED_BLOCKS]):
        bucket = _bucket_of(e, e.block[b].start, e.block[b].length)
        e.block[b].chain = e.bucket[bucket]
        e.bucket[bucket] = b + 1
