"""The kernels give the answers that were worked out by hand: a case for every counter of every scheme."""

import pytest
from kit.replays import differences, run
from kit.traces import columns_of

from mmuexp.errors import TraceError
from truth.handworked import CASES, ERRORS


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case.spec.partition(',')[0]}: {case.name}")
@pytest.mark.parametrize("filtered", [True, False], ids=["filtered", "unfiltered"])
def test_case(case, filtered):
    rows = columns_of(case.rows, case.trace_bits)
    assert differences(rows, case.spec, case.mode, case.expect, filtered=filtered) == {}, case.why


@pytest.mark.parametrize("case", ERRORS, ids=lambda c: c.name)
def test_error_names_its_row(case):
    with pytest.raises(TraceError) as error:
        run(columns_of(case.rows, case.trace_bits), case.spec, case.mode)
    assert error.value.row == case.row
