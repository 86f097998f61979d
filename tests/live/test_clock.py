"""With `compare --live` the clock decides: worked out by hand from figures as the engines may measure them."""

import pytest
from kit.traces import write_trace

from mmuexp.analysis.compare import compare
from mmuexp.analysis.live_columns import live_columns
from mmuexp.analysis.passes import Run
from mmuexp.live.measure import TimedRun
from mmuexp.price.host import load_profile
from mmuexp.render.clock import Timed, clock_sentence, first_by_clock, winner_by_clock
from mmuexp.render.summary import summaries
from mmuexp.report.workloads import typical_error
from mmuexp.rerun.measured import live_times
from mmuexp.result.table import LIVE
from mmuexp.strategy.registry import parse_spec

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


def test_beside_what_is_not_measurable_nobody_wins():
    """It took less than the noise, so it may be the fastest."""
    one, two = Timed("one", 1.0, 0.9, 1.1, 0.5), Timed("two", 2.0, 1.9, 2.1, 3.0)
    assert winner_by_clock([one, two]) == one
    assert winner_by_clock([one]) is None
    lost = Timed("lost", 0.0, -0.3, 0.1, 0.2)
    assert winner_by_clock([one, two, lost]) is None
    assert winner_by_clock([one, lost]) is None
    text = clock_sentence([one, two, lost])
    assert "one is the fastest of those that are measurable: 1.00 ns an access; two 2.00; lost: not" in text
    assert "wins" not in text
    assert text.endswith("The model has lost first (0.20 ns).")


def test_one_round_tells_nobody_apart():
    """It has no spread: a difference of any size may be noise."""
    once = [Timed("one", 1.0, 1.0, 1.0, 0.5, 1), Timed("two", 2.0, 2.0, 2.0, 3.0, 1)]
    assert winner_by_clock(once) is None
    text = clock_sentence(once)
    assert "in one round, one takes 1.00 ns and two takes 2.00 ns an access" in text
    assert "--rounds and --time measure more" in text
    assert "wins" not in text
    assert "tie" not in text
    assert "too" not in text
    assert winner_by_clock([one._replace(rounds=2) for one in once]) == once[0]._replace(rounds=2)


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


def test_the_table_says_what_low_and_high_are_and_stars_nobody_after_one_round(tmp_path):
    result = measured(tmp_path, {"softmmu": (5.0, 5.0, 5.0), "map-block": (1.0, 1.0, 1.0)})
    for rounds, star, ends in ((1, None, "least"), (5, "map-block", "least"), (6, "map-block", "one case in 20")):
        result.frame["live_rounds"] = rounds
        (table,) = summaries(result)
        assert (None if table.best is None else table.heads[table.best]) == star
        assert ends in next(note for note in table.notes if note.startswith("measured here"))


def test_a_tie_has_no_star_and_a_lost_figure_no_digits(tmp_path):
    (table,) = summaries(measured(tmp_path, {"softmmu": (1.0, 0.8, 1.2), "map-block": (1.1, 0.9, 1.3)}))
    assert table.best is None
    assert "tie" in table.sentence
    (table,) = summaries(measured(tmp_path, {"softmmu": (-0.57, -1.0, 0.2), "map-block": (1.1, 0.9, 1.3)}))
    assert table.best is None  # what is not measurable may be faster
    assert "not measurable" in next(cells[1].replace("\n", " ") for cells in table.cells if "measured here" in cells[0])


def test_what_is_lost_in_noise_has_no_digits_and_no_error_anywhere(tmp_path):
    """Of a result of today, where the cell is empty, and of one saved when it held the negative number."""
    for lost in (None, -0.57):
        result = measured(tmp_path, {"softmmu": (1.2, 1.0, 1.4), "map-block": (lost, -1.0, 0.2)})
        if lost is None:
            result.frame[LIVE[5]] = [0.8, None]
        (table,) = summaries(result)
        lines = {cells[0].strip(): cells[2] for cells in table.cells}
        assert lines["measured here, ns/access"].replace("\n", " ") == "not measurable"
        assert (lines["low to high"], lines["error"]) == ("-", "-")
        assert "map-block: not measurable on this machine now" in table.sentence
        assert not any(note.startswith("!") and "map-block" in note for note in table.notes)
        one = live_times([result])["t", "map-block"]
        assert (one.ns, one.error) == (None, None)
        assert typical_error(live_times([result]).values()) == pytest.approx(0.8 / 1.2)


def test_without_an_access_there_is_no_time_of_one():
    run = Run(parse_spec("softmmu"), None, {"accesses": 0, "units8": 0})
    assert live_columns({"softmmu": TimedRun(0.5, 0.2, 0.9, 2.0, 0.4, 0.6, 7)}, [run], load_profile()) == {}


def test_an_engine_that_took_less_than_nothing_leaves_the_cell_empty():
    run = Run(parse_spec("softmmu"), None, {"accesses": 10, "units8": 10})
    for ns in (-0.5, 0.0):
        found = live_columns({"softmmu": TimedRun(ns, -1.0, 0.3, 2.0, -0.6, 0.1, 7)}, [run], load_profile())["softmmu"]
        assert (found[LIVE[0]], found[LIVE[5]]) == (None, None)
        assert (found[LIVE[1]], found[LIVE[2]]) == (-1.0, 0.3)
    found = live_columns({"softmmu": TimedRun(0.5, 0.2, 0.9, 2.0, 0.4, 0.6, 7)}, [run], load_profile())["softmmu"]
    assert found[LIVE[5]] == found[LIVE[4]] - 0.5


def test_what_an_engine_leaves_out_of_its_scheme_is_told_in_figures(tmp_path):
    """A measured ratio is one of engines: who compares it with that of memory access time must know."""
    result = measured(tmp_path, {"softmmu": (5.0, 4.9, 5.1), "map-block": (1.0, 0.9, 1.1)})
    frame = result.frame
    frame["access_ns"], frame["retranslate_ns"] = [9.0 * n for n in frame["accesses"]], 1.0 * frame["accesses"]
    for engine, told in (
        (8.0, []),
        (6.96, []),
        (6.95, ["8.00, of its engine 6.95"]),
        (9.5, ["8.00, of its engine 9.50"]),
    ):
        frame[LIVE[4]] = [engine, 8.0]
        (table,) = summaries(result)
        notes = [note for note in table.notes if note.startswith("modelled =")]
        assert [f"ns an access of softmmu {text}." in note for note, text in zip(notes, told, strict=True)] == [
            True
        ] * len(told)
        assert not any("map-block" in note for note in notes)
    frame[LIVE[4]], frame["retranslate_ns"] = [6.0, 6.0], None  # an older result does not tell
    assert not any(note.startswith("modelled =") for note in summaries(result)[0].notes)
