"""The kernels give the answers that were worked out by hand: a case for every counter of every scheme."""

import pytest
from kit.replays import differences, run

from mmuexp.errors import TraceError
from truth.handworked import CASES, ERRORS


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case.spec.partition(',')[0]}: {case.name}")
@pytest.mark.parametrize("filtered", [True, False], ids=["filtered", "unfiltered"])
def test_case(case, filtered):
    assert differences(case.rows, case.spec, case.mode, case.expect, filtered=filtered) == {}, case.why


@pytest.mark.parametrize("case", ERRORS, ids=lambda c: c.name)
def test_error_names_its_row(case):
    with pytest.raises(TraceError) as error:
        run(case.rows, case.spec, case.mode)
    assert error.value.row == case.row
