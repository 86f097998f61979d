"""The oracle against the answers worked out by hand; and: is every column of every scheme worked out somewhere?"""

import pytest

from truth import oracle, schemes
from truth.handworked import CASES, ERRORS, Case, Error


def scheme(case: Case) -> str:
    """The scheme's name, without parameters."""
    return case.spec.split(",")[0]


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{scheme(case)}: {case.name}")
def test_counts(case: Case):
    counts = oracle.run(case.rows, case.spec, case.mode, case.trace_bits)
    assert {column: counts[column] for column in case.expect} == case.expect, case.why


@pytest.mark.parametrize("error", ERRORS, ids=lambda error: error.name)
def test_errors_name_their_row(error: Error):
    oracle.run(error.rows[: error.row], error.spec, error.mode, error.trace_bits)
    with pytest.raises(oracle.TraceError) as caught:
        oracle.run(error.rows, error.spec, error.mode, error.trace_bits)
    assert caught.value.row_index == error.row


@pytest.mark.parametrize("name", schemes.NAMES)
def test_every_column_has_a_case_that_counts_something(name: str):
    cases = [case for case in CASES if scheme(case) == name]
    empty = schemes.EMPTY[name]
    shown = {column for case in cases for column, value in case.expect.items() if value or column in empty}
    assert {*oracle.columns(name)} - shown == {*schemes.ALWAYS_ZERO[name]}
    assert all(case.expect.get(column) is None for case in cases for column in empty)


def test_names_are_unique():
    names = [(scheme(case), case.name) for case in CASES]
    assert len(set(names)) == len(names)
