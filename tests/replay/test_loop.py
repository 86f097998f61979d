"""Which rows the loop asks a strategy about, counted by a scheme that counts nothing else; worked out by hand.

A load settles. A store to page OTHERS + p takes back what was settled of page p, and settles nothing itself.
"""

from typing import NamedTuple

import numpy as np
import pytest

from mmuexp import guest
from mmuexp.analysis.passes import resident_bytes
from mmuexp.emulator.kernel import entry
from mmuexp.emulator.state import RECORD_BYTES, REVOKED, new_emulator, unsettle, unsettle_all
from mmuexp.guest import PAGE_BITS, USER, Columns
from mmuexp.replay.firsts import ERA_ROWS, PIECE
from mmuexp.replay.replay import Replay
from mmuexp.replay.survey import Survey
from mmuexp.strategy import SETTLED, Cost, Event, Kernels, Strategy, kernel, nothing

pytestmark = pytest.mark.long  # the scheme compiles for seconds

OTHERS = 1000
PAGES = 60


class State(NamedTuple):
    unused: np.ndarray


@kernel
def access(s, e, n, row):
    n[Event.TLB_FILLS] += 1
    if row.store:
        unsettle(e, row.page - OTHERS)
        return 0
    return SETTLED


class Asked(Strategy):
    name = "asked"
    FAST_PATH = "mov data, [vaddr]"
    events = {Event.TLB_FILLS: "the strategy was asked"}  # noqa: RUF012
    costs = {Event.TLB_FILLS: Cost(insn=1, source="assumed: nothing")}  # noqa: RUF012
    kernels = Kernels(access=access, io=nothing, execute=nothing, protect=nothing, flush=nothing, flush_page=nothing)

    def state(self) -> State:
        return State(np.zeros(1, np.int64))


def columns_of(rows: list[int]) -> Columns:
    """Rows that load a page, or store to one above OTHERS."""
    pages = np.array(rows, "u4")
    size, none = len(pages), np.zeros(len(pages), "u1")
    return Columns((pages << PAGE_BITS).astype("u4"), np.zeros(size, "u4"), np.full(size, 4, "u2"), none,
                   (pages >= OTHERS).astype("u1"), np.full(size, USER, "u1"))  # fmt: skip


def asked(rows: list[int], batch: int = 1 << 20, **how) -> int:
    """How often, about such rows."""
    columns, size = columns_of(rows), len(rows)
    survey, replay = Survey("user"), Replay(Asked(), "user", **how)
    for at in range(0, size, batch):
        replay.feed(survey.feed(Columns(*(column[at : at + batch].copy() for column in columns))))
    return replay.counts()["tlb_fills"]


LOADS = list(range(PAGES)) * 3


def test_what_is_settled_is_asked_about_once():
    assert asked(LOADS) == PAGES
    assert asked(LOADS, filtered=False) == 3 * PAGES
    assert asked(LOADS * (2 * ERA_ROWS // len(LOADS))) == PAGES  # in another era, too


@pytest.mark.parametrize("lost", [1, 2, PIECE // 2, PAGES])
@pytest.mark.parametrize("batch", [1 << 20, 100])
def test_what_was_taken_back_is_asked_about_again(lost, batch):
    rows = LOADS + [OTHERS + page for page in range(lost)] + LOADS
    assert asked(rows, batch) == PAGES + lost + lost
    assert asked(rows, batch, filtered=False) == len(rows)


@pytest.mark.parametrize("before", [0, 1, PIECE // 2, PAGES - 1])
def test_what_is_taken_back_time_and_again_is_asked_about_each_time(before):
    """Whatever else of the era is lost by then, and however near the rows stand."""
    page, times = PAGES - 1, 200
    rows = LOADS + [OTHERS + other for other in range(before)] + [OTHERS + page, page, page] * times + LOADS
    assert asked(rows) == PAGES + before + times + times + before
    apart = LOADS + ([OTHERS + page, *LOADS]) * 5
    assert asked(apart) == PAGES + 5 + 5


def test_what_settles_nothing_is_asked_about_each_time():
    rows = ([OTHERS + 5000, *LOADS]) * 7
    assert asked(rows) == PAGES + 7


def test_the_end_of_an_era_ends_what_is_lost():
    rows = LOADS + [OTHERS + 1] + LOADS * (3 * ERA_ROWS // len(LOADS))
    assert asked(rows) == PAGES + 1 + 1


def test_only_what_was_remembered_is_revoked():
    """So a page's first code, or a block that no row may repeat, does not cost the loop the rest of the era."""
    e = new_emulator()
    unsettle.py_func(e, 5)
    assert not e.control[REVOKED]
    e.page[5].settled = 1 << 8 | 1
    unsettle.py_func(e, 5)
    assert e.control[REVOKED] and not e.page[5].settled


def test_rows_whose_room_another_batch_took_are_made_again():
    """What the survey gave out stays as it is while it is fed once more: another replay may come later."""
    survey, ahead, behind = Survey("user"), Replay(Asked(), "user"), Replay(Asked(), "user")
    one = survey.feed(columns_of([*LOADS, OTHERS + 1, *LOADS]))
    ahead.feed(one)
    two = survey.feed(columns_of([*LOADS[::-1], OTHERS + 2, OTHERS + 3, *LOADS[::-1]]))
    for replay, rows in ((ahead, two), (behind, one), (behind, two)):
        replay.feed(rows)
    assert ahead.counts()["tlb_fills"] == behind.counts()["tlb_fills"] == PAGES + 1 + 1 + 2 + 2


def test_what_was_never_settled_takes_no_memory_to_forget():
    forget = entry(lambda e: unsettle_all(e))
    forget(new_emulator())  # which compiles it
    e = new_emulator()
    e.page[5].settled = e.page[guest.PAGES - 1].settled = 1 << 8 | 1
    before = resident_bytes()
    forget(e)
    assert not e.page.settled.any()
    assert resident_bytes() - before < guest.PAGES * RECORD_BYTES // 4
