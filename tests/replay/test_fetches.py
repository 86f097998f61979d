"""Which EXEC rows look their code up, and that a scheme is asked about these, once each and in its place."""

from typing import NamedTuple

import numpy as np
import pytest
from kit.places import HONEST_FILE
from kit.replays import differences
from kit.traces import columns_of, exec_, flush, io_load, load, map_, random_trace
from truth import oracle
from truth.oracle.softmmu_qemu10 import Remembered

from mmuexp.errors import MmuexpError
from mmuexp.guest import PAGE_BITS, PAGES, Columns
from mmuexp.replay.fetches import EPOCH, LAST_EPOCH, Fetches
from mmuexp.replay.firsts import FLAGS_AT
from mmuexp.replay.replay import Replay
from mmuexp.replay.survey import Survey
from mmuexp.strategy import LOST, SETTLED, Cost, Event, Kernels, Strategy, kernel, nothing
from mmuexp.strategy.mistakes import declared
from mmuexp.strategy.registry import strategies_of_file

EXEC, FLUSH, FLUSH_PAGE, USER = 2, 3, 4, 2


def naive(rows: list, mode: str) -> list[int]:
    """Of the rows, by the oracle's memory."""
    remembered, found = Remembered(PAGES), []
    for i, (op, vaddr, _, _, flags, _) in enumerate(rows):
        if op == FLUSH:
            remembered.forget()
        elif op == FLUSH_PAGE:
            remembered.forget_page(vaddr >> PAGE_BITS)
        elif op == EXEC and remembered.looks_up(vaddr, mode == "user" or bool(flags & USER)):
            found.append(i)
    return found


def found_of(rows: list, mode: str, batch: int, start: int = 1) -> list[int]:
    columns, of, survey, found = columns_of(rows), Fetches(mode), Survey(mode), []
    of._clock[EPOCH] = start
    for at in range(0, len(rows), batch):
        part = Columns(*(column[at : at + batch] for column in columns))
        for one in survey.feed(part).parts:
            numbers, looked_up = of.of(one)
            found += [at + int(i) for i in numbers]
            assert looked_up.vaddr.tolist() == part.vaddr[numbers].tolist()
            assert (looked_up.about >> FLAGS_AT).tolist() == part.flags[numbers].tolist()
    return found


@pytest.mark.parametrize("mode", ["user", "system"])
@pytest.mark.parametrize("batch", [1 << 20, 64, 63, 1])
def test_batches_of_any_length_find_the_same(mode, batch):
    rows = random_trace(seed=5, n=3000, mode=mode)
    assert found_of(rows, mode, batch) == naive(rows, mode)


def test_epochs_begin_anew_after_the_last():
    rows = [exec_(0x1000), exec_(0x2000), flush(), exec_(0x2000), exec_(0x1000), exec_(0x2000)] * 3
    for before in range(4):
        assert found_of(rows, "user", 1 << 20, LAST_EPOCH - 1 - before) == naive(rows, "user")


def test_a_block_of_another_page_is_seen_wherever_it_stands():
    """Code that never leaves its page is passed over; one block of another page at each place in 64 rows is not."""
    for at in range(70):
        rows = [exec_(0x1000 + 16 * i) for i in range(140)]
        rows[at] = exec_(0x5000)
        assert found_of(rows, "user", 1 << 20) == naive(rows, "user") == sorted({0, at, at + 1})


@pytest.mark.parametrize("spec", ["softmmu-qemu10,window_insns=0,min_bits=1,first_bits=1", "softmmu-qemu10,max_bits=8"])
def test_code_and_data_that_push_each_other_out(spec):
    """All in one set, so that each lookup takes somebody's settled entry: the filter must hear of it."""
    rows = []
    for i in range(900):
        page = (i * 7 % 11) * 0x100000
        rows += [load(page + 0x1000)] if i % 3 else [exec_(page + 0x1000 + 16 * (i % 5))]
        if i % 200 == 199:
            rows.append(flush())
    expected = oracle.run(rows, spec, "user")
    assert expected["code_fills"] > 50
    for how in ({}, {"filtered": False}, {"chunk": 7}):
        assert differences(rows, spec, "user", expected, **how) == {}


class State(NamedTuple):
    seen: np.ndarray


@kernel
def access(s, e, n, row):
    n[Event.TLB_FILLS] += 1
    return SETTLED


@kernel
def fetch(s, e, n, row):
    """Takes everything back, and notes what it was told: the last block, and pages that became known."""
    n[Event.SLOW_CODE] += 1
    s.seen[:5] = (row.vaddr, row.size, row.page, row.second, row.store)
    return LOST


@kernel
def mapped(s, e, n, page):
    n[Event.SLOW_IO] += 1
    s.seen[5] = page


class Told(Strategy):
    name = "told"
    FAST_PATH = "mov data, [vaddr]"
    events = {Event.TLB_FILLS: "asked", Event.SLOW_CODE: "looked up", Event.SLOW_IO: "known"}  # noqa: RUF012
    costs = {Event.TLB_FILLS: Cost(insn=1, source="assumed: nothing")}  # noqa: RUF012
    kernels = Kernels(access=access, io=nothing, execute=nothing, protect=nothing, flush=nothing, flush_page=nothing,
                      fetch=fetch, mapped=mapped)  # fmt: skip

    def state(self) -> State:
        return State(np.zeros(6, np.int64))


@pytest.mark.parametrize("filtered", [True, False])
def test_a_scheme_is_told_of_blocks_and_of_pages(filtered, plain_python):
    pages = [map_(0x1000, 1), map_(0x2000, 2), map_(0x1000, 1)]
    looks = [load(0x1000, flags=0)] * 5
    rows = [*pages, *looks, exec_(0x1010, flags=0), *looks, exec_(0x1FF8, flags=0), *looks, exec_(0x2010, flags=0)]
    survey, replay = Survey("system"), Replay(Told(), "system", filtered=filtered)
    replay.feed(survey.feed(columns_of([*rows, io_load(0x9000), *looks])))
    counts = replay.counts()
    assert (counts["slow_code"], counts["slow_io"]) == (2, 2)  # page 1 is known at its second MAP; it is entered once
    assert counts["tlb_fills"] == (4 if filtered else 20)  # again after each LOST: two lookups, and a new code page
    assert replay.state.seen.tolist() == [0x2010, 16, 2, -1, 0, 2]


OPTIONAL = {
    "a function": ("", "def fetch(s, e, n, row):\n    return 0\n", "fetch is not a kernel; write @kernel above"),
    "other arguments": ("@kernel\n", "def fetch(s, e, n):\n    return 0\n", "fetch is not def fetch(s, e, n, row)"),
}


@pytest.mark.parametrize("case", OPTIONAL)
def test_a_kernel_that_may_be_left_out_is_looked_at_where_it_is_not(tmp_path, request, case):
    above, text, said = OPTIONAL[case]
    honest = (HONEST_FILE).read_text()
    (six,) = strategies_of_file(HONEST_FILE)
    assert six.kernels.fetch is six.kernels.mapped is nothing
    wrong = honest.replace("class Honest", f"{above}{text}\n\nclass Honest")
    wrong = wrong.replace("flush_page=flush_page)", "flush_page=flush_page, fetch=fetch)")
    (tmp_path / "own.py").write_text(wrong)
    with pytest.raises(MmuexpError) as told:
        for cls in strategies_of_file(tmp_path / "own.py"):
            declared(cls)
    assert said in str(told.value)


def test_a_trace_without_blocks_has_none():
    assert found_of([load(0x1000)] * 100, "user", 64) == []
