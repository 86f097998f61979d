"""The ranges of prices, by hand: which one turns an order, whether all together do, and what a ratio can be."""

from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st
from kit.prices import NS, USER_NS, Scheme, priced, profile

from mmuexp.price.host import Price, priced_at
from mmuexp.price.priced import DEPENDENCE, price
from mmuexp.price.verdict import decided_by, is_sure, ratio_range
from mmuexp.strategy import Cost


def test_a_price_decides_when_an_end_of_its_range_turns_the_order():
    base = priced(10_000, 0)
    assert decided_by(priced(9000, 0, walk=2000), base) == ["walk"]  # at most 11,000
    assert decided_by(priced(9000, 0, walk=900), base) == []  # at most 9,900
    assert decided_by(priced(9000, 0, walk=1000), base) == ["walk"]  # a tie is not a win
    assert decided_by(priced(10_900, 0, walk=(-1000, 0)), base) == ["walk"]  # at least 9,900
    assert decided_by(priced(11_000, 0, walk=(-900, 2000)), base) == []


def test_a_price_that_both_pay_moves_both():
    assert decided_by(priced(9000, 0, walk=5000), priced(10_000, 0, walk=5000)) == []
    assert decided_by(priced(9000, 0, walk=5000), priced(10_000, 0, walk=3000)) == ["walk"]


def test_sure_is_what_no_combination_of_prices_turns():
    base = priced(10_000, 0)
    together = priced(9000, 0, walk=600, signal=600)  # each alone 9,600; both 10,200
    assert decided_by(together, base) == []
    assert not is_sure(together, base)
    assert is_sure(priced(9000, 0, walk=400, signal=500), base)
    assert is_sure(base, priced(9000, 0, walk=400, signal=500))
    assert not is_sure(base, base)
    assert is_sure(priced(9000, 0, walk=5000), priced(10_000, 0, walk=5000))  # what both pay cancels


def test_the_range_of_a_ratio_by_hand():
    # (1,000 + a + b) / (2,000 + b), a 0 to 500, b -200 to 400: least at b = -200: 800 / 1,800; most at 1,900 / 2,400
    run, base = priced(1000, 0, a=500, b=(-200, 400)), priced(2000, 0, b=(-200, 400))
    assert ratio_range(run, base) == (800 / 1800, 1900 / 2400)
    assert ratio_range(base, base) == (1, 1)
    assert ratio_range(priced(10, 0), priced(20, 0)) == (0.5, 0.5)


@given(st.lists(st.tuples(*[st.floats(-20, 0), st.floats(0, 50)] * 2), max_size=5))
def test_the_range_of_a_ratio_is_that_of_every_corner(ends):
    moves = [{f"p{at}": each[i : i + 2] for at, each in enumerate(ends)} for i in (0, 2)]
    run, base = priced(1000, 0, **moves[0]), priced(2000, 0, **moves[1])
    corners = [
        (1000 + sum(e[0][c] for e, c in zip(pairs, way, strict=True)))
        / (2000 + sum(e[1][c] for e, c in zip(pairs, way, strict=True)))
        for pairs in [[((0.0, *each[:2]), (0.0, *each[2:])) for each in ends]]
        for way in product(range(3), repeat=len(ends))
    ]
    assert ratio_range(run, base) == pytest.approx((min(corners), max(corners)))


def test_the_ranges_of_a_price_are_those_of_its_parts():
    lines = [
        ("guessed", Cost(insn=100, signal=1, source="assumed: x")),
        ("bounded", Cost(insn=100, walk=1, source="assumed: y", least=90, most=130)),
        ("known", Cost(insn=100, source="read: y")),
    ]
    counts = {"units8": 10, "guessed": 2, "bounded": 3, "known": 4}
    wide = Price(0.5, "measured: x", 0.4, 0.7)
    moves = price(Scheme(*lines), counts, profile(signal=1000, extra={"insn": wide})).moves
    by_word = {
        word: next(ends for name, ends in moves.items() if word in name) for word in ("guessed", "bounded", "signal")
    }
    assert by_word["guessed"] == (2 * -50 * 0.5, 2 * 100 * 0.5)  # half and double
    assert by_word["bounded"] == (3 * -10 * 0.5, 3 * 30 * 0.5)
    assert by_word["signal"] == (2 * -500, 2 * 1000)
    insns = 2 * 100 + 3 * 100 + 4 * 100
    assert moves["insn (0.4 to 0.7 ns, host test)"] == pytest.approx((-0.1 * insns, 0.2 * insns))
    assert len(moves) == 4


def test_a_length_and_what_each_of_it_takes_move_together():
    """100 instructions, 50 to 200, of 0.5 ns, 0.4 to 1: 50 ns, 100 by either alone, 200 by both."""
    guessed = Scheme(("e", Cost(insn=100, source="assumed: x")))
    one = price(guessed, {"e": 1}, profile(extra={"insn": Price(0.5, "measured: x", 0.4, 1.0)}))
    between, beyond = priced(170, 0), priced(201, 0)
    assert decided_by(one, between) == []
    assert not is_sure(one, between)
    assert is_sure(one, beyond)
    assert not is_sure(one.times(2), priced(399, 0))
    assert ratio_range(one, between) == (50 * 0.4 / 170, 200 / 170)
    assert ratio_range(between, one) == (170 / 200, 170 / (50 * 0.4))


def test_the_range_of_a_ratio_is_that_of_all_prices_and_lengths():
    """Of two schemes that share an instruction's price, against every corner priced by itself."""
    insn, hit = Price(0.5, "measured: x", 0.4, 1.0), Price(0.25, "measured: x", 0.125, 0.5)
    slow = {"hit_dependent": priced_at(1.0, "measured: x"), "access_dependent": priced_at(0.0, "measured: x")}
    bundles = [("e", 100, 50, 200), ("f", 120, 90, 130)]
    ratios, schemes = [], [Scheme((n, Cost(insn=i, source="assumed: x", least=a, most=b))) for n, i, a, b in bundles]
    counts = {"units8": 100, "e": 3, "f": 2}
    host = profile(extra={"insn": insn, "hit": hit})
    for each, path, *lengths in product((0.4, 1.0), (0.125, 0.5), *(one[2:] for one in bundles)):
        at = profile(extra={"insn": priced_at(each, "given: x"), "hit": priced_at(path, "given: x")})
        ns = [
            price(Scheme((n, Cost(insn=length, source="read: x"))), counts, at).access_ns
            for (n, *_), length in zip(bundles, lengths, strict=True)
        ]
        ratios.append(ns[0] / ns[1])
    assert ratio_range(*(price(one, counts, host) for one in schemes)) == pytest.approx((min(ratios), max(ratios)))
    guessed = Scheme(("units8", Cost(hit=4, source="assumed: x")))  # at most 8 of 1 ns, where they wait
    waiting = price(guessed, {"units8": 10}, profile(extra=slow))
    assert ratio_range(waiting, priced(10, 0))[1] == pytest.approx(8)


def test_a_length_that_is_known_or_costs_nothing_yet_has_a_range_like_others():
    slow = {"hit_dependent": priced_at(1.0, "measured: x"), "access_dependent": priced_at(3.0, "measured: x")}
    waiting = price(Scheme(), {"units8": 8}, profile(extra=slow))  # its hit path is read: 4 instructions
    assert ratio_range(waiting, priced(12, 0)) == (1, 8 * 7 / 12)
    free = profile(extra={"insn": Price(0.0, "measured: x", 0.0, 1.0)})
    one = price(Scheme(("e", Cost(insn=100, source="assumed: x"))), {"e": 1}, free)  # at most 200 of 1 ns
    assert ratio_range(one, priced(100, 0)) == (0, 2)
    assert not is_sure(one, priced(150, 0))


def test_accesses_that_wait_for_each_other_move_all_schemes_together():
    host = profile(path={"scheme": 0.75}, dependent={"scheme": 2.0})
    assert price(Scheme(), {"units8": 8}, host).moves == {DEPENDENCE: (0.0, 8 * 1.25)}
    slow = {"hit_dependent": priced_at(1.0, "measured: x"), "access_dependent": priced_at(3.0, "measured: x")}
    assert price(Scheme(), {"units8": 8}, profile(extra=slow)).moves == {DEPENDENCE: (0.0, 8 * (7.0 - 1.5))}


def test_an_end_of_a_range_is_the_price_at_that_end():
    scheme = Scheme(("e", Cost(insn=10, walk=1, signal=2, source="read: x")))
    counts = {"units8": 7, "e": 5}
    for name in ("insn", "signal", "walk_level", "hit"):
        once = price(scheme, counts, profile(**{name: {**NS, **USER_NS}[name]}))
        twice = price(scheme, counts, profile(**{name: 2 * {**NS, **USER_NS}[name]}))
        ends = next(ends for knob, ends in once.moves.items() if knob.startswith(f"{name} ("))
        assert twice.access_ns - once.access_ns == pytest.approx(ends[1])
