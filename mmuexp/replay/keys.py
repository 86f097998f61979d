"""Makes two numbers of each row, *key* and *form*, which tell whether it repeats another one.

A *plain* access (RAM, inside its page, of 1 to 64 bytes) is known by its page and its kind: load or store, kernel or
user, aligned or not. A block is known by its address, of which the survey gives each a number, and its size. Every
other row is *odd*.
"""

from typing import Any

import numpy as np

from mmuexp.guest import PAGE_BYTES
from mmuexp.native.jitcache import inside

KINDS = 8  # bits 0..7 of an access's key, one for each kind of plain access: op | user << 1 | misaligned << 2
ALIGNED = (1 << KINDS // 2) - 1
PLAIN_KINDS = (1 << KINDS) - 1

# The key of a block is the number of its address, of an access its page << KINDS and the bit of a plain one, of a MAP
# row its frame. The form of a block is its size in bytes, and of others
ACCESS = 0  # plain and aligned
MISALIGNED, ODD = (1 << 16) - 2, (1 << 16) - 1  # plain and misaligned; neither plain nor a block
LARGEST_BLOCK = 2 * PAGE_BYTES


@inside
def is_block(form: Any) -> Any:
    """Tell whether this is the form of a block."""
    return np.uint32(np.uint32(form) - np.uint32(1)) < np.uint32(LARGEST_BLOCK)
