"""Kernels and oracle, written apart from the same page, agree on every integer of every scheme."""

import random

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from kit.replays import differences, wide_differences
from kit.traces import NOT_CANONICAL, WIDE_PAGES_APART, any_traces, columns_of, random_trace

from truth import oracle, wide_guests
from truth.schemes import SPECS


@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(trace=any_traces(), spec=st.sampled_from(SPECS), filtered=st.booleans())
def test_hypothesis_traces(trace, spec, filtered):
    mode, rows = trace
    assert differences(rows, spec, mode, oracle.run(rows, spec, mode), filtered=filtered) == {}


@pytest.mark.parametrize("spec", SPECS)
@pytest.mark.parametrize("mode", ["user", "system"])
def test_long_random_trace(spec, mode):
    rows = random_trace(seed=SPECS.index(spec), n=3000, mode=mode)
    assert differences(columns_of(rows), spec, mode, oracle.run(rows, spec, mode), chunk=499) == {}


@pytest.mark.parametrize("spec", wide_guests.SPECS)
def test_guests_of_64_bits(spec):
    seed = wide_guests.SPECS.index(spec)
    mode, apart = ("user", "system")[seed % 2], WIDE_PAGES_APART + NOT_CANONICAL * (seed % 3 == 0)
    assert wide_differences(random_trace(seed, 900, mode, apart, trace_bits=64), spec, mode, chunk=211) == {}


@pytest.mark.long
@pytest.mark.parametrize("spec", wide_guests.SPECS)
@pytest.mark.parametrize("mode", ["user", "system"])
def test_more_guests_of_64_bits(spec, mode):
    for seed in range(100, 105):
        few = random.Random(seed).sample(WIDE_PAGES_APART + NOT_CANONICAL, 3 + seed % 12)
        rows = random_trace(seed, 4000, mode, few, trace_bits=64)
        assert wide_differences(rows, spec, mode, filtered=seed % 2 > 0) == {}
