"""Kernels and oracle, written apart from the same page, agree on every integer of every scheme."""

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from kit.replays import differences
from kit.traces import any_traces, columns_of, random_trace

from truth import oracle
from truth.schemes import SPECS


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
