"""docs/notebook.ipynb runs, and shows what it shows; `python -m tests.docpages` mends that."""

import pytest
from docpages.notebook import executed, kept, outputs


@pytest.fixture(scope="module")
def today():
    return executed()


@pytest.mark.long
def test_the_notebook_shows_what_its_cells_give_today(today):
    assert outputs(kept()) == outputs(today)


def test_every_cell_shows_something(today):
    assert all(outputs(today))
