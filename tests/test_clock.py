"""With `compare --live` the clock decides: worked out by hand from figures as the engines may measure them."""

import pytest
from cli_cases import write_trace

from mmuexp.experiment import compare
from mmuexp.render.clock import Timed, clock_sentence, first_by_clock
from mmuexp.render.summary import summaries
from mmuexp.result import LIVE

# name, median, least, most, model (ns an access): the verdict of the model on PyPy that no clock ever confirmed
PYPY = [
    Timed("softmmu", 2.95, 2.90, 3.00, 18.5),
    Timed("byte-lookup", 2.45, 2.40, 2.50, 46.6),
    Timed("map-block", 2.15, 2.10, 2.20, 43.1),
    Timed("softmmu-qemu10", 2.17, 2.15, 2.25, 15.8),
]


def test_a_difference_within_the_spread_is_a_tie():
    assert [one.name for one in first_by_clock(PYPY)] == ["map-block", "softmmu-qemu10"]  # 0.02 <= 0.05 + 0.05
    text = clock_sentence(PYPY)
    assert "map-block and softmmu-qemu10 tie: 2.15 and 2.17 ns" in text
    assert "byte-lookup 2.45, softmmu 2.95" in text
    assert "softmmu-qemu10 first, too (15.80 ns, +13.63 off)" in text


@pytest.mark.parametrize(("apart", "ties"), [(0.09, True), (0.12, False)])
def test_what_lies_further_apart_than_both_spreads_is_told_apart(apart, ties):
    two = [Timed("one", 1.0, 0.95, 1.05, 1.0), Timed("two", 1.0 + apart, 0.95 + apart, 1.05 + apart, 1.0)]
    assert (len(first_by_clock(two)) == 2) == ties


def test_a_model_that_the_clock_contradicts_is_told_as_wrong():
    two = [Timed("one", 1.0, 0.9, 1.1, 3.0), Timed("two", 2.0, 1.9, 2.1, 0.5)]
    text = clock_sentence(two)
    assert text.startswith("Measured here, one wins: 1.00 ns an access; two 2.00.")
    assert text.endswith("The model has two first (0.50 ns, -1.50 off): it is wrong here, believe the clock.")


def test_a_negative_time_is_not_a_time():
    lost = Timed("lost", -0.57, -1.0, 0.2, 0.1)
    assert lost not in first_by_clock([lost, PYPY[0]])
    assert "lost: not measurable on this machine now" in clock_sentence([lost, PYPY[0]])
    assert clock_sentence([lost]).startswith("Nothing is measurable on this machine now")


def measured(tmp_path, figures):
    """A comparison with the live columns that `figures` say: spec -> (median, least, most)."""
    result = compare(write_trace(tmp_path / "t.arrow"), list(figures))
    for place, column in enumerate(LIVE[:3]):
        result.frame[column] = [values[place] for values in figures.values()]
    result.frame[LIVE[3]], result.frame[LIVE[4]] = 1.0, [2.0] * len(figures)
    result.frame[LIVE[5]] = result.frame[LIVE[4]] - result.frame[LIVE[0]]
    return result


def test_the_winner_of_the_table_is_the_clocks(tmp_path):
    """Whatever the model says: the same counts, once with each of two schemes measured as the faster."""
    for slow, fast in (("softmmu", "map-block"), ("map-block", "softmmu")):
        result = measured(tmp_path, {slow: (5.0, 4.9, 5.1), fast: (1.0, 0.9, 1.1)})
        (table,) = summaries(result)
        assert table.heads[table.best] == fast
        assert f"{fast} wins: 1.00 ns an access; {slow} 5.00" in table.sentence
        assert table.notes[0].startswith("By the model")
        measured_line = next(cells for cells in table.cells if cells[0] == "measured here, ns/access")
        assert measured_line[1:] == ["5.00", "1.00"]


def test_a_tie_has_no_star_and_a_lost_figure_no_digits(tmp_path):
    (table,) = summaries(measured(tmp_path, {"softmmu": (1.0, 0.8, 1.2), "map-block": (1.1, 0.9, 1.3)}))
    assert table.best is None
    assert "tie" in table.sentence
    (table,) = summaries(measured(tmp_path, {"softmmu": (-0.57, -1.0, 0.2), "map-block": (1.1, 0.9, 1.3)}))
    assert "not measurable" in next(cells[1].replace("\n", " ") for cells in table.cells if "measured here" in cells[0])
