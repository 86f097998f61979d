"""Kernels and oracle, written apart from the same page, agree on every integer of every scheme."""

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from kit.replays import differences
from kit.traces import any_traces, columns_of, random_trace

from truth import oracle

SPECS = [
    "softmmu", "softmmu,tlb_bits=0", "softmmu,tlb_bits=2",
    "byte-lookup", "byte-lookup,entries=1", "byte-lookup,entries=3",
    "map-block", "map-block,map_block_bits=12,pool_blocks=2", "map-block,map_block_bits=14,pool_blocks=3,map_pages=4",
    "map-block,pool_blocks=1,map_block_bits=13", "map-block,evict=lifo,pool_blocks=2,map_block_bits=13",
    "map-block,evict=random,pool_blocks=3,map_block_bits=13,pointer_bytes=8", "map-block,map_block_bits=22,pool_mib=9",
    "map-block,map_block_bits=20,map_pages=16,pool_blocks=2", "map-block,map_block_bits=13,map_pages=1024",
    "qemu-fast", "qemu-fast,guest_limit=0x100000000", "qemu-fast,guest_limit=0x40000000",
    "qemu-fast,kernel_offset=0x30000000", "qemu-fast,guest_limit=0x100000000,kernel_offset=0x30000000",
    "softmmu-qemu10", "softmmu-qemu10,window_insns=0", "softmmu-qemu10,window_insns=3000,min_bits=1,first_bits=2",
    "softmmu-qemu10,window_insns=20000,min_bits=2,first_bits=3,max_bits=5",
]  # fmt: skip


@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(trace=any_traces(), spec=st.sampled_from(SPECS), filtered=st.booleans())
def test_hypothesis_traces(trace, spec, filtered):
    mode, rows = trace
    assert differences(rows, spec, mode, oracle.run(rows, spec, mode), filtered=filtered) == {}


@pytest.mark.parametrize("spec", SPECS)
@pytest.mark.parametrize("mode", ["user", "system"])
def test_long_random_trace(spec, mode):
    rows = random_trace(seed=SPECS.index(spec), n=6000, mode=mode)
    assert differences(columns_of(rows), spec, mode, oracle.run(rows, spec, mode), chunk=997) == {}
