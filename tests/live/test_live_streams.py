"""Synthetic streams make what they say and nothing else, under the model and under the engines that are timed."""

import ast
import inspect
from collections import Counter

import numpy as np
import pytest
from kit.replays import SCHEMES, run, timed_apart

from mmuexp.guest import Columns, Op
from mmuexp.live import calibrate, streams
from mmuexp.live import timing as measuring
from mmuexp.strategy.registry import parse_spec


def beside_code(rows: int, blocks: int, page: int) -> Columns:
    parts = streams.code_pages(blocks), streams.beside_code(rows, page)
    return Columns(*(np.concatenate(both) for both in zip(*parts, strict=True)))


STREAMS = {
    "hits": streams.hits(5000),
    "hits of a long loop": streams.hits(5000, 512),
    "loads": streams.hits(5000, stores=0.0),
    "crossing": streams.crossing(300),
    "at page ends": streams.at_page_ends(300, False),
    "across page ends": streams.at_page_ends(300, True),
    "misaligned": streams.misaligned(300),
    "now and then": streams.now_and_then(300, True),
    "thrashing": streams.thrashing(300),
    "flushes": streams.flushes(30),
    "dropped": streams.dropped(9, 32),
    "beside code": beside_code(300, 5, 0),
    "flushed": streams.touched_and_flushed(64, 5),
}


def events(columns: Columns, spec: str) -> dict[str, int]:
    """What happened at all, without the trace's shape and the sizes of tables."""
    strategy = parse_spec(spec)
    counts = run(columns, spec, "user")
    return {name: counts[name] for name in strategy.columns() if counts.get(name) and name != "peak_mappings"}


@pytest.mark.parametrize("spec", SCHEMES)
def test_hits_make_no_event_under_any_scheme(spec):
    first, rows = streams.stores_first(), streams.hits(20_000)
    both = Columns(*(np.concatenate(pair) for pair in zip(first, rows, strict=True)))
    assert events(both, spec) == events(first, spec)


def test_hits_go_anywhere_in_their_pages_aligned():
    rows = streams.hits(64_000)
    assert len(rows.op) == 64_000
    pages = set((rows.vaddr >> 12).tolist())
    assert pages == set((streams.stores_first().vaddr >> 12).tolist())
    assert set(rows.op.tolist()) == {Op.LOAD, Op.STORE}
    assert not (rows.vaddr % rows.size).any()
    assert Counter(rows.size.tolist()).most_common(1)[0][0] == 4
    for loop in (64, 512):  # as a loop of the guest
        rows = streams.hits(64_000, loop)
        for column in (rows.op, rows.size):
            assert np.array_equal(column[:loop], column[loop : 2 * loop])
            assert not np.array_equal(column[: loop // 2], column[loop // 2 : loop])
    assert len(np.unique(rows.vaddr)) > 10_000


def test_hits_of_any_number_of_rows():
    assert [len(streams.hits(rows).op) for rows in (1, 63, 64, 65)] == [1, 63, 64, 65]
    assert np.array_equal(streams.hits(100).vaddr, streams.hits(100).vaddr)


def test_a_thrashing_row_is_a_fill():
    assert events(streams.thrashing(300), "softmmu") == {"tlb_fills": 300}


def test_a_misaligned_row_is_a_helper_call():
    found = events(streams.misaligned(300), "softmmu")
    assert found == {"slow_misaligned": 300, "tlb_fills": 1}


def test_a_crossing_row_is_a_signal_or_a_helper_call():
    found = events(streams.crossing(300), "byte-lookup")
    assert found == {"faults_cross": 300}
    assert events(streams.crossing(300), "softmmu") == {"slow_cross": 300, "tlb_fills": 2}


@pytest.mark.parametrize("spec", ["map-block", "qemu-fast"])
def test_at_page_ends_accesses_cross_or_do_not_and_make_no_event_of_it(spec):
    near, across = (streams.at_page_ends(5000, across) for across in (False, True))
    assert [run(rows, spec, "user")["page_cross"] for rows in (near, across)] == [0, 5000]
    for column in ("op", "size", "insns", "flags"):
        assert np.array_equal(getattr(near, column), getattr(across, column))
    assert (across.vaddr - near.vaddr == across.size // 2).all()
    twice = Columns(*(np.tile(column, 2) for column in across))
    assert events(twice, spec) == events(across, spec)  # once its pages are mapped, there is nothing more


def test_now_and_then_is_a_helper_call_in_eight():
    found = events(streams.now_and_then(8000, True), "softmmu")
    assert 900 < found["slow_misaligned"] < 1100
    assert found == {"slow_misaligned": found["slow_misaligned"], "tlb_fills": 1}
    assert events(streams.now_and_then(8000, False), "softmmu") == {"tlb_fills": 1}
    rows = streams.now_and_then(8000, True)
    assert (rows.vaddr % 4 != 0).sum() == found["slow_misaligned"]


def test_a_store_drops_all_blocks_before_it():
    found = events(streams.dropped(9, 32), "softmmu")
    assert (found["translations"], found["blocks_dropped"], found["smc_stores"]) == (9 * 32, 9 * 32, 9)


@pytest.mark.parametrize(("page", "blocks"), [(0, 7), (1, 1)])
def test_a_store_beside_code_goes_through_all_blocks_of_its_page(page, blocks):
    found = events(beside_code(300, 7, page), "softmmu-qemu10")
    stores = {"slow_code": 300, "code_page_data_stores": 300, "searched_blocks": 300 * blocks}
    assert stores == {name: found[name] for name in stores} and "tlb_fills" not in found  # code filled the page
    assert found["translations"] == 64 * 7 + 1


def test_flushes_are_nothing_else():
    rows = streams.flushes(30)
    assert run(rows, "softmmu", "user")["flushes"] == 30
    assert events(rows, "softmmu") == {}


@pytest.mark.parametrize(("pages", "times"), [(16, 7), (64, 3), (1024, 2)])
def test_what_is_touched_is_flushed(pages, times):
    rows = streams.touched_and_flushed(pages, times)
    assert len(rows.op) == (pages + 1) * times
    found = events(rows, "qemu-fast")
    assert [found[name] for name in ("faults_unmapped", "maps", "mmap_calls", "unmaps")] == [pages * times] * 4
    shape = run(rows, "qemu-fast", "user")
    assert (shape["flushes"], shape["pages"], shape["accesses"]) == (times, pages, pages * times)


def test_sites_are_patched_once_and_rows_without_one_are_direct():
    first, *rows = (streams.patching(64), *(streams.of_block(640, 64, sites) for sites in (True, False)))
    for column in ("op", "size", "vaddr"):
        assert np.array_equal(getattr(rows[0], column), getattr(rows[1], column))
    joined = [Columns(*(np.concatenate(both) for both in zip(first, one, strict=True))) for one in rows]
    alone, patched, direct = (run(one, "fastmem,patch=memory", "user") for one in (first, *joined))
    assert alone["patches"] == alone["faults"] - (streams.PAGES - 1) == 64  # by one each, and then the other pages
    for found in (patched, direct):
        assert (found["patches"], found["faults"]) == (64, alone["faults"])
    assert patched["softmmu_accesses"] - alone["softmmu_accesses"] == 640
    assert direct["softmmu_accesses"] == alone["softmmu_accesses"]


def test_an_entered_block_is_checked_and_nothing_else():
    found = events(streams.entered(640, 64, 16), "fastmem,code=check,check_after=0")
    assert found.pop("translations") == found.pop("translated_insns") == 64
    assert found == {"checked_entries": 640 - 64, "checked_bytes": 16 * (640 - 64)}


@pytest.mark.parametrize("name", ["patched", "entered"])
def test_fastmem_s_engine_does_the_same_on_its_streams(name):
    first, rows = streams.patching(64), streams.of_block(640, 64, True)
    patched = Columns(*(np.concatenate(both) for both in zip(first, rows, strict=True)))
    stream, spec = {
        "patched": (patched, "fastmem,patch=memory"),
        "entered": (streams.entered(640, 64, 16), "fastmem,code=check,check_after=0"),
    }[name]
    assert timed_apart(stream, "user", spec) == ""


@pytest.mark.parametrize("name", STREAMS)
@pytest.mark.parametrize("spec", SCHEMES)
def test_the_engines_that_are_timed_do_the_same(name, spec):
    assert timed_apart(STREAMS[name], "user", spec) == ""


def test_nothing_of_a_recording_is_in_them():
    """Neither module can read a trace."""
    for module in (streams, calibrate, measuring):
        names = set()
        for node in ast.walk(ast.parse(inspect.getsource(module))):
            if isinstance(node, ast.ImportFrom):
                names |= {node.module, *(f"{node.module}.{one.name}" for one in node.names)}
            elif isinstance(node, ast.Import):
                names |= {one.name for one in node.names}
        assert not [name for name in names if "trace" in name or "experiment" in name or "record" in name]
