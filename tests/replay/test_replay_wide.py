"""A guest of 64 bits counts what one of 32 bits counts that does the same, wherever its addresses lie."""

import numpy as np
import pytest
from kit.replays import run
from kit.traces import columns_of, inner, load, random_trace, widened

from mmuexp.errors import UsageError
from mmuexp.guest import Columns, Op
from mmuexp.strategy.registry import parse_spec

SIZES = {"table_bytes", "table_lines", "table_resident_bytes", "reserved_bytes"}
LOW, HIGH = 1 << 42, 0xFFFF_8000_0000_0000
WHEREVER = (
    "softmmu", "softmmu,tlb_bits=4", "softmmu-qemu10,window_insns=100", "byte-lookup,entries=8",
    "map-block,pool_blocks=3", "map-block,map_block_bits=13,map_pages=2,pool_blocks=2,evict=random",
    "page-table", "page-table,live=16,tables=1",
)  # fmt: skip


@pytest.fixture(scope="module", params=["user", "system"])
def rows(request):
    return inner(columns_of(random_trace(5, 6_000, request.param))), request.param


@pytest.mark.parametrize("spec", WHEREVER)
def test_it_does_not_matter_where_a_guest_lies(rows, spec):
    columns, mode = rows
    narrow = run(columns, spec, mode)
    for by, filtered in ((0, True), (LOW, True), (HIGH, True), (LOW + 0x5000_0000, False)):
        wide = run(widened(columns, by), spec, mode, filtered=filtered, chunk=1_000)
        assert {name for name in wide if wide[name] != narrow[name]} <= SIZES, hex(by)


@pytest.mark.parametrize("spec", [spec for spec in WHEREVER if "map-block" in spec])
def test_a_pool_that_is_no_array(rows, spec, monkeypatch):
    columns, mode = rows
    whole = run(columns, spec, mode)
    monkeypatch.setattr("mmuexp.emulator.pool.MOST_WINDOWS", 0)
    assert run(columns, spec, mode) == whole
    wide = run(widened(columns, HIGH), spec, mode, chunk=1_000)
    assert {name for name in wide if wide[name] != whole[name]} <= SIZES


def test_blocks_of_a_terabyte(rows):
    """All that is touched lies in one block: 64 of them take 64 TiB, and no array of their pages."""
    columns, mode = rows
    narrow = run(widened(columns), "map-block,map_block_bits=32", mode)
    wide = run(widened(columns, LOW), "map-block,map_block_bits=40", mode)
    assert {name for name in wide if wide[name] != narrow[name]} <= SIZES and wide["reserved_bytes"] > 1 << 46
    assert wide["table_bytes"] == 8 << 8 and wide["table_resident_bytes"] == 4096


@pytest.mark.parametrize(
    "spec", ["fastmem", "fastmem,code=block,patch=always,remember=0", "views,views=2,guest_limit=0x80000000000"]
)
def test_views_below_their_limit(rows, spec):
    columns, mode = rows
    narrow, wide = run(columns, spec, mode), run(widened(columns, LOW), spec, mode)
    differ = {name for name in wide if wide[name] != narrow.get(name)}
    # tables of four levels, and a fault that there is not where nothing lies above
    assert differ <= {"reserved_bytes", "compared_tables", "faults_softmmu"} and wide["faults_softmmu"] == 0
    assert narrow.get("compared_tables", 0) <= wide.get("compared_tables", 0)


def test_a_block_of_all_addresses_is_for_wider_guests():
    """Registers of 32 bits shift by 31 at most."""
    assert parse_spec("map-block,map_block_bits=31").of_guest(32).table_bytes() == 8
    with pytest.raises(UsageError, match="is for guests of 64 bits: an address of 32 bits shifted by 32"):
        parse_spec("map-block,map_block_bits=32").of_guest(32)


@pytest.mark.parametrize(("bits", "grown"), [(32, 1 << 20), (64, 1 << 21)])
def test_qemus_table_grows_to_4_m_entries(bits, grown):
    """71 % of 2**20 entries are in use at the FLUSH: it doubles, but not beyond max_bits, which is 20 or 22."""
    pages = -(-71 * (1 << 20) // 100)
    rows = Columns(*(column.repeat(pages + 1) for column in columns_of([load(0)], bits)))
    rows.vaddr[:] = np.arange(pages + 1, dtype=rows.vaddr.dtype) << 12
    rows.op[-1] = Op.FLUSH
    n = run(rows, "softmmu-qemu10,first_bits=20,min_bits=20", "user")
    assert n["table_bytes"] == 32 * ((1 << 20) + grown) and n["flushed_entries"] == grown
    assert n["table_resident_bytes"] == 4096 * -(-pages // 128)


@pytest.mark.parametrize("by", [0, LOW])
def test_a_direct_map_below_its_limit(rows, by):
    columns, mode = rows
    narrow, wide = run(columns, "qemu-fast,guest_limit=0x100000000", mode), run(widened(columns, by), "qemu-fast", mode)
    assert {name for name in wide if wide[name] != narrow[name]} == {"reserved_bytes"}
    assert wide["reserved_bytes"] == 1 << 46
    wide = run(widened(columns, by), f"qemu-fast,guest_limit={by + 0x4000_0000:#x}", mode, filtered=False)
    narrow = run(columns, "qemu-fast,guest_limit=0x40000000", mode)
    # beyond the limit there is nothing, and so no border
    assert {name for name in wide if wide[name] != narrow[name]} <= {"reserved_bytes", "peak_mappings"}


def test_the_upper_half_is_no_direct_map(rows):
    columns, mode = rows
    n = run(widened(columns, HIGH), "qemu-fast", mode)
    assert n["maps"] == n["faults_unmapped"] == 0 < n["faults_softmmu"]
    assert n["softmmu_accesses"] == n["accesses"]
    n = run(widened(columns, HIGH), "fastmem,patch=never,map=known", mode)
    assert n["maps"] == 0 and n["faults"] == n["faults_io"] + n["faults_softmmu"] == n["accesses"]
