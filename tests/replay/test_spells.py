"""Spells that are passed over: by a scheme that counts how often it is asked, and against a walk row by row."""

from typing import NamedTuple

import numpy as np
import pytest

from mmuexp.emulator.kernel import entry
from mmuexp.guest import PAGE_BITS, Columns, Op
from mmuexp.replay.firsts import PIECE
from mmuexp.replay.keys import ACCESS, KINDS, MISALIGNED
from mmuexp.replay.replay import Replay
from mmuexp.replay.spells import BEGINS_AT, passed_spells, settle_in_spell
from mmuexp.replay.survey import Survey
from mmuexp.strategy import SETTLED, SETTLED_IN_SPELL, WATCH_EXEC, Cost, Event, Kernels, Strategy, kernel, nothing

pytestmark = pytest.mark.long  # the scheme compiles for seconds

ABOVE = 1000  # pages from here on begin a spell
BLOCK = -1


class State(NamedTuple):
    """Of the scheme: is it in a spell? And in place of the Emulator, where the functions are tested alone."""

    in_spell: np.ndarray


@entry
def passed_of(e, n, keys, forms, count, unknown, epoch):
    return passed_spells(e, n, keys, forms, 0, count, unknown, epoch)


@entry
def settle(e, page, kind, begins, epoch):
    settle_in_spell(e, page, kind, begins, epoch)


@kernel
def access(s, e, n, row):
    n[Event.TLB_FILLS] += 1
    answer = 0
    if not s.in_spell[0]:
        if row.page < ABOVE:
            return SETTLED
        n[Event.FAULTS_SOFTMMU] += 1
        s.in_spell[0] = 1
        answer = WATCH_EXEC
    n[Event.SOFTMMU_ACCESSES] += 1
    return answer | SETTLED_IN_SPELL


@kernel
def execute(s, e, n):
    s.in_spell[0] = 0
    return 0


class Spelled(Strategy):
    name = "spelled"
    FAST_PATH = "mov data, [vaddr]"
    events = {  # noqa: RUF012
        Event.TLB_FILLS: "the strategy was asked about an access",
        Event.FAULTS_SOFTMMU: "a spell began",
        Event.SOFTMMU_ACCESSES: "an access in a spell",
    }
    costs = dict.fromkeys(events, Cost(insn=1, source="assumed: nothing"))
    kernels = Kernels(
        access=access, io=nothing, execute=execute, protect=nothing, flush=nothing, flush_page=nothing, spells=True
    )

    def state(self) -> State:
        return State(np.zeros(1, np.int64))


def counts(rows: list[int], batch: int = 1 << 20, **how) -> tuple[int, int, int]:
    """How often the scheme was asked, spells and accesses in them: of rows that enter a block, or load a page."""
    pages = np.array(rows, "i8")
    block, none = pages == BLOCK, np.zeros(len(rows), "u1")
    columns = Columns(
        np.where(block, 0x500, pages << PAGE_BITS).astype("u4"), none.astype("u4"), np.where(block, 16, 4).astype("u2"),
        np.where(block, 3, 1).astype("u1"), np.where(block, Op.EXEC, Op.LOAD).astype("u1"), none,
    )  # fmt: skip
    survey, replay = Survey("user"), Replay(Spelled(), "user", **how)
    for at in range(0, len(rows), batch):
        replay.feed(survey.feed(Columns(*(column[at : at + batch].copy() for column in columns))))
    found = replay.counts()
    return found["tlb_fills"], found["faults_softmmu"], found["softmmu_accesses"]


SPELL = [BLOCK, 5, ABOVE, 6, ABOVE + 1]  # 5 is direct; the spell has three accesses


def test_a_spell_of_which_nothing_is_new_is_asked_about_once():
    assert counts(SPELL) == (4, 1, 3)
    assert counts([*SPELL * 1000, BLOCK]) == (4, 1000, 3000)
    assert counts(SPELL * 1000) == (4 + 3, 1000, 3000)  # the last one goes on behind the last row
    assert counts(SPELL * 1000, filtered=False) == (4000, 1000, 3000)
    # each fault goes into the log, so no spell is passed over; page 5 is settled
    assert counts(SPELL * 1000, log=1 << 12) == (3001, 1000, 3000)


@pytest.mark.parametrize("batch", [1, 7, 64, 1000])
def test_wherever_the_rows_are_cut(batch):
    asked, spells, accesses = counts(SPELL * 300, batch)
    assert (spells, accesses) == (300, 900)
    assert asked < 4 * 300


def asked_of_others(*other: int) -> int:
    """How often, about 50 of those spells and 50 others of two accesses, less what is asked about the former alone."""
    asked, spells, accesses = counts([*SPELL * 50, *[BLOCK, *other] * 50, BLOCK])
    assert (spells, accesses) == (100, 150 + 100)
    return asked - 4


def test_what_was_seen_in_a_spell_alone_is_new_outside_of_one():
    """Page 6 was an access in a spell, the direct one is another; as is page 5 in a spell, whose first access comes
    before it, and is asked about with it. Rows that were looked up with them may be, too."""
    assert 3 <= asked_of_others(6, ABOVE, 5) <= PIECE


def test_a_page_that_never_began_a_spell_is_asked_about_when_it_does():
    """And what comes behind it in that spell."""
    assert 2 <= asked_of_others(ABOVE + 1, 6) <= PIECE


def test_a_spell_longer_than_what_is_looked_up_at_a_time():
    long = [BLOCK, ABOVE, *[6] * (2 * PIECE)]
    asked, spells, accesses = counts(long * 20)
    assert (spells, accesses) == (20, 20 * (2 * PIECE + 1))
    assert asked <= accesses


def walked(rows: list[tuple[bool, bool, bool, bool]]) -> tuple[int, int, int]:
    """Row by row (block, known, settled in a spell, begins one): how many are passed, spells and accesses in them."""
    best, spells, accesses = (0, 0, 0), 0, 0
    inside = False
    for at, (block, known, settled, begins) in enumerate(rows):
        if block:
            best = (at, spells, accesses)
            if not known:
                return best
            inside = False
        elif inside or begins:
            if not settled:
                return best
            spells, accesses, inside = spells + (not inside), accesses + 1, True
        elif not known:
            return best
        if not inside:
            best = (at + 1, spells, accesses)
    return best


@pytest.mark.parametrize("seed", range(8))
def test_the_same_as_a_walk_row_by_row(seed):
    """Random rows of eight kinds, in runs that are mostly known; `unknown` is as the loop makes it."""
    draw = np.random.default_rng(seed)
    passing = 0
    for _ in range(300):
        count = int(draw.integers(1, PIECE + 1))
        likely = draw.random(4) ** np.array([1, 0.2, 0.2, 1])
        told = [tuple(bool(draw.random() < chance) for chance in likely) for _ in range(count)]
        rows = [
            (block, known and (block or not begins), not block and settled, not block and begins)
            for block, known, settled, begins in told
        ]
        e = State(np.zeros(PIECE + 1, np.uint32))
        keys, forms = np.empty(count, np.uint32), np.empty(count, np.uint16)
        unknown, epoch = np.uint64(0), 7
        for at, (block, known, settled, begins) in enumerate(rows):
            kind = 1 << int(draw.integers(0, 4))
            keys[at], forms[at] = (at, 16) if block else (at + 1 << KINDS | kind, ACCESS)
            e.in_spell[at + 1] = epoch << KINDS | kind * settled | kind * begins << BEGINS_AT
            unknown |= np.uint64(not known) << np.uint64(at)
        n = np.zeros(64, np.int64)
        passed = passed_of(e, n, keys, forms, count, unknown, epoch)
        expected = walked(rows)
        assert (passed, n[Event.FAULTS_SOFTMMU], n[Event.SOFTMMU_ACCESSES]) == expected
        passing += passed > 0
    assert 50 < passing < 300


def test_what_is_settled_is_of_one_epoch_and_of_aligned_accesses():
    e = State(np.zeros(8, np.uint32))
    settle(e, 3, 2, 0, 5)
    settle(e, 3, 1, WATCH_EXEC, 5)
    assert e.in_spell[3] == 5 << KINDS | 1 << BEGINS_AT | 3
    settle(e, 3, 4, 0, 6)
    assert e.in_spell[3] == 6 << KINDS | 4
    keys, n = np.array([3 << KINDS | 1, 0], np.uint32), np.zeros(64, np.int64)  # a load, and a block
    for epoch, form, passed in ((5, ACCESS, 1), (6, ACCESS, 0), (5, MISALIGNED, 0)):
        e.in_spell[3] = 5 << KINDS | 1 << BEGINS_AT | 1
        forms = np.array([form, 16], np.uint16)
        assert passed_of(e, n, keys, forms, 2, np.uint64(1), epoch) == 2 * passed
