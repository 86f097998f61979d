"""`mmuexp.replay.keys`: key and form of a row say its page, and whether it is a plain access of which kind, a block or
none; and `mmuexp.replay.firsts`: a row that is not a first repeats one of its era."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from kit.traces import columns_of, random_trace

from mmuexp.blocks.builder import Builder
from mmuexp.blocks.runs import MOST_SITES
from mmuexp.guest import IO, USER, Columns, Op
from mmuexp.replay import survey_scan as scan
from mmuexp.replay.expand import expand
from mmuexp.replay.firsts import END_OTHER, ERA_ROWS, LAST_ERA, PIECE
from mmuexp.replay.keys import ACCESS, MISALIGNED, ODD
from mmuexp.replay.survey import Survey

ROW = st.tuples(
    st.sampled_from([0, 1, 2, 3, 4, 128, 255]),
    st.one_of(st.integers(0, 2**32 - 1), st.integers(0, 3).map(lambda n: (4096 * n - 3) % 2**32)),
    st.one_of(st.integers(1, 64), st.sampled_from([1, 2, 4, 8, 16, 32, 64])),
    st.integers(0, 255),
)


def by_hand(op: int, vaddr: int, size: int, flags: int, mode: str) -> tuple[int, int]:
    """Key and form."""
    page = vaddr // 4096 * 256
    if op == Op.EXEC:
        return vaddr, size
    if op not in (Op.LOAD, Op.STORE):
        return 0, ODD
    if flags & IO or vaddr % 4096 + size > 4096:
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


def told(made) -> list[tuple[int, ...]]:
    """Address, size, insns, op and flags of rows as the loop reads them."""
    about = ((word >> at & most).tolist() for word, at, most in (
        (made.about, 32, 0xFFFF), (made.about, 48, 255), (made.about, 24, 255), (made.about, 56, 255)))  # fmt: skip
    return list(zip(made.vaddr.tolist(), *about, strict=True))


def told_by(rows: Columns) -> list[tuple[int, ...]]:
    """The same of rows."""
    return list(zip(*(c.tolist() for c in (rows.vaddr, rows.size, rows.insns, rows.op, rows.flags)), strict=True))


def keys_and_forms(rows: Columns, mode: str) -> list[tuple[int, int]]:
    """As the loop has them where it reads every row; the key of a block is shown as the address of its number."""
    (runs,) = Builder().feed(rows)
    survey = Survey(mode)
    survey._begin(runs, 0)
    batch, data = survey._batch, rows.vaddr[rows.op <= Op.STORE]
    batch.walked.vaddr[: len(data)] = data
    begin, made = np.zeros(END_OTHER + 1, np.int64), batch.room.taken_by(batch)
    for first in (runs.rows // 2, 0):  # the rest of them, then all
        made.vaddr[:], made.about[:] = 0xDEAD, 0
        expand(batch.walked, begin, first, runs.rows, made)
        assert told(made)[first:] == told_by(rows)[first:]
    keys, blocks = made.key, rows.op == Op.EXEC
    of_number = dict(zip(keys[blocks].tolist(), rows.vaddr[blocks].tolist(), strict=True))
    assert len(set(of_number.values())) == len(of_number)
    shown = [of_number[key] if block else key for key, block in zip(keys.tolist(), blocks.tolist(), strict=True)]
    return list(zip(shown, made.form.tolist(), strict=True))


@settings(deadline=None)  # the first example compiles
@given(rows=st.lists(ROW, min_size=1, max_size=40), mode=st.sampled_from(["user", "system"]))
def test_keys_are_what_they_say(rows, mode):
    rows = [(op, vaddr, size, flags & ~IO if op == Op.EXEC else flags) for op, vaddr, size, flags in rows]
    assert keys_and_forms(columns(rows), mode) == [by_hand(*row, mode) for row in rows]


def test_keys_of_a_system_trace():
    given = [(5, 0x1000, 0, 0), (0, 0x1000, 4, 0), (1, 0x1002, 4, USER), (0, 0x9000, 1, IO | USER), (2, 0x1FF0, 9, 0),
             (2, 0x1FF0, 508, 0), (2, 0x1FF0, 8192 - 0xFF0, 0)]  # fmt: skip
    assert keys_and_forms(columns(given), "system") == [
        (0, ODD), (0x101, ACCESS), (0x180, MISALIGNED), (0x900, ODD), (0x1FF0, 9), (0x1FF0, 508),
        (0x1FF0, 8192 - 0xFF0)]  # fmt: skip


def runs_by_hand(rows: Columns) -> list[tuple]:
    """The shape of each run, told by its rows, and its first and last row but one."""
    told, ops = [], rows.op.tolist()
    for at, op in enumerate(ops):
        row = (op, int(rows.size[at]), int(rows.insns[at]), int(rows.flags[at]))
        data = op in (Op.LOAD, Op.STORE)
        if data and told and told[-1][3] < MOST_SITES and told[-1][2] == at and told[-1][4]:
            shape, first, _, sites, _ = told[-1]
            told[-1] = ((*shape, row), first, at + 1, sites + 1, True)
        else:
            name = (*row, int(rows.vaddr[at])) if op == Op.EXEC else row
            told.append(((name,), at, at + 1, int(data), data or op == Op.EXEC))
    return told


def by_sets(rows: Columns, mode: str) -> tuple[list[int], list[int]]:
    """Rows that are firsts, and those before which an era ends."""
    firsts, ends, seen, begun = [], [], set(), 0
    for shape, first, stop, _, _ in runs_by_hand(rows):
        for at in range(first, stop):
            key, form = by_hand(*(int(column[at]) for column in (rows.op, rows.vaddr, rows.size, rows.flags)), mode)
            word = shape if rows.op[at] == Op.EXEC else (key, form)
            if form in (MISALIGNED, ODD) or word not in seen:
                firsts.append(at)
            seen.add(word)
        if rows.op[first] in (Op.FLUSH, Op.FLUSH_PAGE) or stop - begun >= ERA_ROWS or stop == len(rows.op):
            ends.append(stop)
            seen, begun = set(), stop
    return firsts, ends


def accepted(rows: Columns, mode: str = "user"):
    (one,) = Survey(mode).feed(rows).parts
    assert one.eras[-1].tolist()[:2] == [len(rows.op), len(one.firsts)]
    all_rows = told_by(rows)
    assert told(one.first_rows) == [all_rows[first] for first in one.firsts]
    return one


@pytest.mark.parametrize("seed", range(4))
def test_what_is_no_first_repeats_one_of_its_era(seed):
    rows = columns_of(random_trace(seed, 2 * ERA_ROWS + 100, "user"))
    one = accepted(rows)
    needed, ends = by_sets(rows, "user")
    found = one.firsts.tolist()
    assert found == sorted(set(found))
    assert set(found) >= set(needed)
    assert len(found) <= 1.2 * len(needed)  # of a shape that has a row which always is one, the block is one, too
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


@pytest.mark.parametrize("rows", [1, PIECE - 1, PIECE, ERA_ROWS, ERA_ROWS + 1, 3 * ERA_ROWS - 1])
def test_an_era_is_as_long_as_it_says(rows):
    one = accepted(columns([(0, 0x1000, 4, USER)] * rows))
    assert one.firsts.tolist() == list(range(0, rows, ERA_ROWS))
    assert one.eras[:, 0].tolist() == [*range(ERA_ROWS, rows, ERA_ROWS), rows]


def test_an_era_ends_with_a_run():
    run = [(2, 0x1000, 9, USER), *[(0, 0x1000, 4, USER)] * 6]
    one = accepted(columns(run * ERA_ROWS))
    assert one.eras[0, 0] == -(-ERA_ROWS // 7) * 7


def test_guest_instructions_up_to_each_era():
    rows = columns([(2, 0x1000, 9, USER), (3, 0, 0, 0), (2, 0x1000, 9, USER), (0, 0x1000, 1, USER), (4, 0, 0, 0),
                    *[(2, 0x1000, 9, USER)] * ERA_ROWS])  # fmt: skip
    rows.insns[:] = 7
    survey = Survey("user")
    assert survey.feed(rows).parts[0].eras[:, 2].tolist() == [7, 14, 14 + 7 * ERA_ROWS]
    assert survey.feed(rows).parts[0].eras[0, 2] == 14 + 7 * ERA_ROWS + 7


def test_after_very_many_eras_what_was_seen_is_forgotten():
    survey, rows = Survey("user"), columns([(2, 0x1000, 9, USER), (0, 0x1000, 4, USER), (3, 0, 1, 0)] * 3)
    survey._at[scan.ERA] = LAST_ERA - 1
    assert survey.feed(rows).parts[0].firsts.tolist() == list(range(9))
    assert survey._at[scan.ERA] == 2


@pytest.mark.parametrize("cut", range(1, 9))
def test_rows_of_a_run_that_is_cut_count_once(cut):
    rows = columns([(2, 0x1000, 9, USER), (0, 0x1000, 4, USER), (1, 0x2002, 4, USER), (0, 0x2FFE, 4, USER)] * 2
                   + [(3, 0, 1, 0)])  # fmt: skip
    whole, parts = Survey("user"), Survey("user")
    (runs,) = Builder().feed(rows)
    whole.feed(rows)
    firsts = [row for stop in (cut, 9) for part in parts.feed(runs, stop).parts for row in part.firsts.tolist()]
    assert parts.counts() == whole.counts()
    assert firsts == sorted(set(firsts)) and set(range(4)) <= set(firsts)
