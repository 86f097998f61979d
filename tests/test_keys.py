"""`mmuexp.keys`: the word of a row says its page, and whether it is a plain access of which kind, a block or none."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mmuexp.guest import IO, USER, Columns, Op
from mmuexp.keys import EXEC_KEY, keys_of

ROW = st.tuples(
    st.sampled_from([0, 1, 2, 3, 4, 5, 128, 255]),
    st.one_of(st.integers(0, 2**32 - 1), st.integers(0, 3).map(lambda n: (4096 * n - 3) % 2**32)),
    st.one_of(st.integers(1, 64), st.sampled_from([1, 2, 4, 8, 16, 4096, 65535])),
    st.integers(0, 255),
)


def key_by_hand(op: int, vaddr: int, size: int, flags: int, mode: str) -> int:
    page = vaddr // 4096 * 4096
    if op == Op.EXEC:
        return page + EXEC_KEY
    if op not in (Op.LOAD, Op.STORE) or flags & IO:
        return page
    crosses = vaddr % 4096 + size > 4096
    misaligned = size in (1, 2, 4, 8, 16, 32, 64, 4096) and vaddr % size != 0
    if crosses or misaligned:
        return page
    user = mode == "user" or bool(flags & USER)
    return page + {(0, False): 1, (1, False): 2, (0, True): 4, (1, True): 8}[op, user]


def columns(rows) -> Columns:
    op, vaddr, size, flags = (list(column) for column in zip(*rows, strict=True))
    none = np.zeros(len(op), "u4")
    return Columns(np.array(vaddr, "u4"), none, np.array(size, "u2"), none.astype("u1"),
                   np.array(op, "u1"), np.array(flags, "u1"))  # fmt: skip


@pytest.mark.parametrize("mode", ["user", "system"])
@settings(deadline=None)  # the first example compiles
@given(rows=st.lists(ROW, min_size=1, max_size=40))
def test_keys_are_what_they_say(mode, rows):
    assert keys_of(columns(rows), mode).tolist() == [key_by_hand(*row, mode) for row in rows]


def test_the_room_is_used_again():
    rows = columns([(0, 0x1000, 4, 0)] * 10)
    room = np.empty(16, np.uint32)
    assert keys_of(rows, "user", room).base is room
    assert len(keys_of(rows, "user", room[:5])) == 10
