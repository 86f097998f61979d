"""`mmuexp.replay.keys`: key and form of a row say its page, and whether it is a plain access of which kind, a block or
none; and `mmuexp.replay.firsts`: a row that is no first repeats one of its era."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from kit.traces import columns_of, random_trace
from numba import njit

from mmuexp.guest import IO, USER, Columns, Op
from mmuexp.replay.firsts import ERA_ROWS, LAST_ERA, PIECE
from mmuexp.replay.keys import ACCESS, LONG, MISALIGNED, ODD, STRIP, USER_ACCESSES, fill
from mmuexp.replay.known import write_keys
from mmuexp.replay.survey import Survey

ROW = st.tuples(
    st.sampled_from([0, 1, 2, 3, 4, 128, 255]),
    st.one_of(st.integers(0, 2**32 - 1), st.integers(0, 3).map(lambda n: (4096 * n - 3) % 2**32)),
    st.one_of(st.integers(1, 64), st.sampled_from([1, 2, 4, 8, 16, 32, 64])),
    st.integers(0, 255),
)


def by_hand(op: int, vaddr: int, size: int, flags: int, mode: str) -> tuple[int, int]:
    """Key and form."""
    page = vaddr // 4096 * 4096
    if op == Op.EXEC:
        return vaddr, min(size, LONG)
    if op not in (Op.LOAD, Op.STORE) or flags & IO or vaddr % 4096 + size > 4096:
        return page, ODD
    misaligned = size in (1, 2, 4, 8, 16, 32, 64) and vaddr % size != 0
    user = mode == "user" or bool(flags & USER)
    kind = {(0, False): 1, (1, False): 2, (0, True): 4, (1, True): 8}[op, user]
    return (page + 16 * kind, MISALIGNED) if misaligned else (page + kind, ACCESS)


def columns(rows) -> Columns:
    op, vaddr, size, flags = (list(column) for column in zip(*rows, strict=True))
    none = np.zeros(len(op), "u4")
    return Columns(np.array(vaddr, "u4"), none, np.array(size, "u2"), none.astype("u1"),
                   np.array(op, "u1"), np.array(flags, "u1"))  # fmt: skip


@njit
def filled(vaddrs, pages, sizes, insns, ops, flags, user_mode, keys, forms):
    fill(vaddrs, pages, sizes, insns, ops, flags, user_mode, keys, forms, np.zeros(USER_ACCESSES + 1, np.int64))


@njit
def written(vaddrs, sizes, ops, flags, user_mode, keys, forms):
    write_keys(vaddrs, sizes, ops, flags, 0, len(ops), user_mode, keys, forms)


def keys_and_forms(rows: Columns, mode: str) -> list[tuple[int, int]]:
    """As the survey makes them of a strip, and the loop of a piece: the same."""
    made, again = ((np.zeros(len(rows.op), "u4"), np.zeros(len(rows.op), "u2")) for _ in range(2))
    filled(*rows, mode == "user", *made)
    written(rows.vaddr, rows.size, rows.op, rows.flags, mode == "user", *again)
    found = [list(zip(*(column.tolist() for column in columns), strict=True)) for columns in (made, again)]
    assert found[0] == found[1]
    return found[0]


@settings(deadline=None)  # the first example compiles
@given(rows=st.lists(ROW, min_size=1, max_size=40), mode=st.sampled_from(["user", "system"]))
def test_keys_are_what_they_say(rows, mode):
    rows = [(op, vaddr, size, flags & ~IO if op == Op.EXEC else flags) for op, vaddr, size, flags in rows]
    assert keys_and_forms(columns(rows), mode) == [by_hand(*row, mode) for row in rows]


def test_keys_of_a_system_trace():
    given = [(5, 0x1000, 0, 0), (0, 0x1000, 4, 0), (1, 0x1002, 4, USER), (0, 0x9000, 1, IO | USER), (2, 0x1FF0, 9, 0),
             (2, 0x1FF0, 508, 0), (2, 0x1FF0, 509, 0), (2, 0x1FF0, 8192 - 0xFF0, 0)]  # fmt: skip
    assert keys_and_forms(columns(given), "system") == [
        (0x1000, 511), (0x1001, 0), (0x1080, 510), (0x9000, 511), (0x1FF0, 9), (0x1FF0, 508), (0x1FF0, 509),
        (0x1FF0, 509)]  # fmt: skip


def by_sets(rows: Columns, mode: str) -> tuple[list[int], list[int]]:
    """Rows that are firsts, and those before which an era ends, if no two words share a slot."""
    firsts, ends, seen = [], [], set()
    for at, (vaddr, _, size, _, op, flags) in enumerate(zip(*(c.tolist() for c in rows), strict=True)):
        word = by_hand(op, vaddr, size, flags, mode)
        if word[1] >= LONG or word not in seen:
            firsts.append(at)
        seen.add(word)
        if op in (Op.FLUSH, Op.FLUSH_PAGE) or (at + 1) % ERA_ROWS == 0 or at + 1 == len(rows.op):
            ends.append(at + 1)
            seen = set()
    return firsts, ends


def accepted(rows: Columns, mode: str = "user"):
    one = Survey(mode).feed(rows)
    assert one.eras[-1].tolist()[:2] == [len(rows.op), len(one.firsts)]
    return one


@pytest.mark.parametrize("seed", range(4))
def test_what_is_no_first_repeats_one_of_its_era(seed):
    rows = columns_of(random_trace(seed, 2 * ERA_ROWS + 100, "user"))
    one = accepted(rows)
    needed, ends = by_sets(rows, "user")
    found = set(one.firsts.tolist())
    assert one.firsts.tolist() == sorted(found)
    assert found >= set(needed)
    assert len(found) <= 1.2 * len(needed)  # of words that share a slot
    assert one.eras[:, 0].tolist() == ends


def test_firsts_by_hand():
    given = [(0, 0x1000, 4, USER), (0, 0x1800, 1, USER), (1, 0x1000, 4, USER), (1, 0x1004, 2, USER),
             (2, 0x5000, 9, USER), (2, 0x5000, 9, USER), (2, 0x5000, 8, USER),  # another block
             (0, 0x1001, 2, USER), (0, 0x1001, 2, USER),  # misaligned: each
             (200, 0, 0, 0), (200, 0, 0, 0),  # annotations: each
             (4, 0x9000, 0, 0), (0, 0x1000, 4, USER),
             (3, 0, 1, 0), (0, 0x1000, 4, USER), (0, 0x1000, 4, USER)]  # fmt: skip
    one = accepted(columns(given))
    assert one.firsts.tolist() == [0, 2, 4, 6, 7, 8, 9, 10, 11, 12, 13, 14]
    assert one.eras[:, :2].tolist() == [[12, 9], [14, 11], [16, 12]]


@pytest.mark.parametrize("rows", [1, PIECE - 1, PIECE, STRIP, STRIP + 1, ERA_ROWS, ERA_ROWS + 1, 3 * ERA_ROWS - 1])
def test_an_era_is_as_long_as_it_says(rows):
    one = accepted(columns([(0, 0x1000, 4, USER)] * rows))
    assert one.firsts.tolist() == list(range(0, rows, ERA_ROWS))
    assert one.eras[:, 0].tolist() == [*range(ERA_ROWS, rows, ERA_ROWS), rows]


def test_guest_instructions_up_to_each_era():
    rows = columns([(2, 0x1000, 9, USER), (3, 0, 0, 0), (2, 0x1000, 9, USER), (0, 0x1000, 1, USER), (4, 0, 0, 0),
                    *[(2, 0x1000, 9, USER)] * ERA_ROWS])  # fmt: skip
    rows.insns[:] = 7
    survey = Survey("user")
    assert survey.feed(rows).eras[:, 2].tolist() == [7, 14, 14 + 7 * (ERA_ROWS - 5), 14 + 7 * ERA_ROWS]
    assert survey.feed(rows).eras[0, 2] == 14 + 7 * ERA_ROWS + 7


def test_after_very_many_eras_what_was_seen_is_forgotten():
    flushes = columns([(3, 0, 1, 0), (0, 0x1000, 4, USER)] * (1000 * LAST_ERA + 10))
    one = accepted(flushes)
    assert len(one.eras) == 1000 * LAST_ERA + 10 + len(flushes.op) // ERA_ROWS + 1 and len(one.firsts) == len(
        flushes.op
    )
