"""Guests of 64 bits run for real: model and engine agree wherever their addresses lie, on data, too."""

import numpy as np
import pytest
from kit.replays import Rows, apart, outcome, timed_apart
from kit.traces import columns_of, flush, inner, load, random_trace, widened, write

from mmuexp.analysis.compare import compare
from mmuexp.analysis.verify import verify_one
from mmuexp.errors import UsageError
from mmuexp.guest import Columns
from mmuexp.live.process import Engine, EngineFailed
from mmuexp.live.timing import DEPENDENT
from mmuexp.price.host import DEFAULT
from mmuexp.strategy.registry import parse_spec

LOW, HIGH = 1 << 42, 0xFFFF_8000_0000_0000
LIMIT = 0x80C8000  # in the middle of the pages that random traces touch
SPECS = [
    "softmmu", "softmmu-qemu10,window_insns=500", "byte-lookup,entries=4", "byte-lookup,code=block",
    "map-block,pool_blocks=4,map_block_bits=14,map_pages=4", "map-block,pool_blocks=2,map_block_bits=20,code=check",
    "page-table", "page-table,form=vtlb,live=5", "page-table,form=offset,detect=any", "page-table,detect=off,tables=1",
    "qemu-fast", "qemu-fast,code=free", f"qemu-fast,guest_limit={LOW + 0x4000_0000:#x}",
    "fastmem", "fastmem,code=block,patch=always,how=block,flush=diff",
    f"fastmem,guest_limit={LOW + LIMIT:#x},patch=memory,remember=0,map=accessed,flush=diff",
    f"fastmem,guest_limit={LOW + LIMIT:#x},map=known,dirty=none,patch=never,code=check",
    f"views,views=2,guest_limit={LOW + LIMIT:#x},drop_maps=3", f"views,views=3,guest_limit={2 * LOW:#x},kernel=softmmu",
]  # fmt: skip


@pytest.mark.parametrize("spec", SPECS)
@pytest.mark.parametrize("by", [LOW, HIGH], ids=["low", "high"])
def test_model_and_engine_agree(spec, by):
    for seed, mode in enumerate(("user", "system")):
        rows = widened(inner(columns_of(random_trace(50 + seed, 1500, mode))), by)
        assert apart(rows, mode, spec, batch=1 << 20) == ""
        assert timed_apart(rows, mode, spec) == ""


def test_both_halves_in_one_trace():
    """A program below, its kernel above: what no direct map shows runs by the TLB."""
    low, high = (widened(inner(columns_of(random_trace(60, 800, "user"))), by) for by in (LOW, HIGH))
    mixed = type(low)(*(one.reshape(1, -1).repeat(2, 0).ravel() for one in low))
    mixed.vaddr[1::2][: len(high.vaddr)] = high.vaddr
    found = verify_one(Rows(mixed, "user"), parse_spec("qemu-fast"), "both")
    assert found.equal, found.parting
    assert found.live["maps"] > 0 < found.live["softmmu_accesses"]


@pytest.mark.parametrize("spec", ["qemu-fast", "fastmem", "fastmem,patch=memory,how=block", "views,views=2"])
def test_addresses_that_begin_to_move_in_a_later_chunk(spec):
    """Below the limit code reads the addresses of the rows, and others from the first that lies above it on."""
    rows = inner(columns_of(random_trace(61, 500, "user")))
    low, high = (widened(rows, by) for by in (LOW, HIGH))
    columns = Columns(*(np.concatenate(each) for each in zip(low, low, high, low, strict=True)))
    assert timed_apart(columns, "user", spec, batch=len(rows.op)) == ""


@pytest.mark.parametrize("spec", ["byte-lookup", "qemu-fast"])
def test_an_address_that_waits_for_data_is_whole(spec):
    """What is added to it is 0, and all its bits stay."""
    rows = widened(columns_of([load(0x1000 + 8 * at) for at in range(64)]), LOW)
    with Engine(parse_spec(spec), "user", checked=False, extra=DEPENDENT, address_bits=64) as engine:
        engine.feed(rows)
        engine.feed(rows)
        assert engine.counts()["faults_unmapped"] == 1


def test_a_flush_costs_what_was_mapped_and_not_what_a_block_spans():
    """A block of 40 bits has 2**28 windows, of which 200 flushes unmap one each."""
    rows = widened(columns_of([load(0x1000), flush()] * 200), LOW)
    found = outcome(rows, "user", "map-block,map_block_bits=40,pool_blocks=2", time_limit=10)
    assert found.equal, found.parting
    assert found.live["munmap_calls"] == found.live["unmaps"] == 200


def test_an_address_of_more_bits_is_one_line():
    rows = widened(columns_of([(0, 0x1000, 4, 1)]), 1 << 50)
    with (
        Engine(parse_spec("softmmu"), "user", address_bits=64) as engine,
        pytest.raises(EngineFailed, match="address 0x4000000001000 takes more than 48 bits") as failed,
    ):
        engine.feed(rows)
    assert failed.value.row == 0 and "mmuexp compare" in failed.value.todo


def test_what_is_for_32_bits_says_so():
    with pytest.raises(UsageError, match="is for guests of 32 bits"):
        Engine(parse_spec("qemu-fast,kernel_offset=0x30000000"), "user", address_bits=64)


def test_the_commands_take_them(cli, tmp_path):
    path = write(tmp_path / "wide.arrow", widened(inner(columns_of(random_trace(70, 600, "user"))), LOW))
    assert cli("verify", path, "-s", "softmmu", "-s", "byte-lookup").code == 0, cli.err
    assert "of 2 runs" in cli.out
    assert cli("compare", path, "-s", "byte-lookup").code == 0
    lines = [line.split() for line in cli.out.splitlines()]
    assert ["lookup", "tables", "64.0", "GiB"] in lines and any(line[:1] == ["resident"] for line in lines)
    timed = compare(str(path), ["softmmu"], live=True, rounds=1, host=DEFAULT)
    assert timed.frame["live_ns_per_access"].notna().all()


def test_where_they_part_is_told_by_its_whole_address(cli, tmp_path):
    path = write(tmp_path / "wide.arrow", widened(inner(columns_of(random_trace(5, 6000, "user"))), LOW))
    done = cli("verify", path, "-s", "map-block,pool_blocks=4", "--plant", "small-pool")
    assert done.code == 3, done.err
    assert "the first row where they part is" in done.words and "engine faults_block at 0x400" in done.words
