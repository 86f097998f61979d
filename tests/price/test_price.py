"""Prices, worked by hand: counts x costs, the crossing's share, break-even points, what an assumed price decides."""

from dataclasses import replace
from itertools import chain

import pytest
from kit.places import RESULTS
from kit.prices import NS, USER_NS, Scheme, priced, profile

from mmuexp.price.host import Price, Profile, priced_at, profile_of_dict
from mmuexp.price.priced import PAGE_BLOCKS, is_of_host, price, price_lines
from mmuexp.price.primitives import LEVELS, PRICES, PRIMITIVES
from mmuexp.price.verdict import Line, break_even, clear_winner, turns
from mmuexp.render.sentence import sentence
from mmuexp.render.words import duration, significant, size
from mmuexp.result.saved import load
from mmuexp.strategy import Cost
from mmuexp.strategy.registry import default_strategies, parse_spec

LENGTH = {p.field: p.insns for p in PRIMITIVES}


def test_the_hit_path_is_paid_by_every_access():
    cost = price(Scheme(), {"units8": 1000}, profile())
    assert (cost.insns, cost.kernel_ns, cost.ns) == (4000, 0, 1000 * (4 * 0.25 + 0.5))
    assert (cost.hit_insns, cost.hit_ns) == (4000, cost.access_ns)


def test_a_hit_path_that_was_measured_whole_is_not_put_together_from_instructions():
    lines = [("wide_units8", Cost(hit=2, source="read: x"))]
    counts = {"units8": 1000, "wide_units8": 10}
    cost = price(Scheme(*lines), counts, profile(path={"scheme": 0.75, "other": 9}))
    assert cost.ns == 1000 * 0.75 + 10 * 2 * 0.25
    assert cost.insns == 4000 + 20


def test_far_code_pays_a_hit_path_of_its_own():
    lines = [("wide_units8", Cost(hit=2, source="read: x"))]
    counts = {"units8": 1000, "wide_units8": 10, "far_accesses": 300}
    whole = profile(path={"scheme": 0.75}, far={"scheme": 2.0})
    cost = price(Scheme(*lines), counts, whole)
    assert (cost.ns, cost.insns) == (700 * 0.75 + 300 * 2 + 10 * 2 * 0.25, 4000 + 20)
    line = {"hit_far": priced_at(0.5, "measured: x"), "access_far": priced_at(1.0, "measured: x")}
    cost = price(Scheme(*lines), counts, profile(extra=line))
    assert cost.ns == 700 * (4 * 0.25 + 0.5) + 300 * (4 * 0.5 + 1) + 10 * 2 * 0.25
    older = price(Scheme(*lines), counts, profile(path={"scheme": 0.75}, extra=line))
    assert older == price(Scheme(*lines), {**counts, "far_accesses": None}, profile(path={"scheme": 0.75}))
    assert older.ns == 1000 * 0.75 + 5


def test_cold_code_pays_a_hit_path_of_its_own_and_is_far_where_that_is_not_known():
    counts = {"units8": 1000, "far_accesses": 300, "cold_accesses": 100}
    whole = {"path": {"scheme": 0.75}, "far": {"scheme": 2.0}}
    cost = price(Scheme(), counts, profile(**whole, cold={"scheme": 8.0}))
    assert (cost.ns, cost.insns) == (700 * 0.75 + 200 * 2 + 100 * 8, 4000)
    as_far = price(Scheme(), counts, profile(**whole))
    assert as_far.ns == 700 * 0.75 + 300 * 2
    unknown = {**counts, "cold_accesses": None}  # as of results that were counted before this count was
    assert price(Scheme(), unknown, profile(**whole, cold={"scheme": 8.0})) == as_far
    line = {f"{name}_{tier}": priced_at(ns, "measured: x") for tier, hit, access in (("far", 0.5, 1), ("cold", 2, 0))
            for name, ns in (("hit", hit), ("access", access))}  # fmt: skip
    cost = price(Scheme(), counts, profile(extra=line))
    assert cost.ns == 700 * (4 * 0.25 + 0.5) + 200 * (4 * 0.5 + 1) + 100 * 4 * 2
    nobody_counted = {"units8": 1000, "cold_accesses": None}
    assert price(Scheme(), nobody_counted, profile(extra=line)).ns == 1000 * (
        4 * (2 * 0.25 + 0.5) / 3 + (2 * 0.5 + 1) / 3
    )


@pytest.mark.parametrize("walks", [{"code_list_walks": 5, "slow_code": 9}, {"code_list_walks": None, "slow_code": 5}])
def test_lists_that_nobody_counted_are_as_long_as_a_boots(walks):
    lists = Scheme(("searched_blocks", Cost(insn=3, source="read: x")))
    counted = {"units8": 1000, "searched_blocks": 7} | walks
    assert price(lists, counted, profile()).handler_insns == 7 * 3
    before = counted | {"searched_blocks": None}
    assert price(lists, before, profile()).handler_insns == 5 * PAGE_BLOCKS * 3
    assert price(lists, before | dict.fromkeys(walks), profile()).handler_insns == 0


def test_a_boots_lists_are_as_long_as_prices_say():
    counts = load(str(RESULTS / "linux-boots" / "i386.csv")).frame.set_index("strategy").loc["softmmu-qemu10"]
    assert round(counts["searched_blocks"] / counts["slow_code"]) == PAGE_BLOCKS
    assert PAGE_BLOCKS * parse_spec("softmmu-qemu10").price_list()["searched_blocks"].insn == pytest.approx(
        5480, rel=0.01
    )


def test_a_profile_without_far_code_can_have_cold():
    """Then what is far and not cold is near, as it is without either."""
    counts = {"units8": 1000, "far_accesses": 300, "cold_accesses": 100}
    cost = price(Scheme(), counts, profile(path={"scheme": 0.75}, cold={"scheme": 8.0}))
    assert cost.ns == 900 * 0.75 + 100 * 8


def test_where_far_code_was_not_counted_two_hits_of_three_are_near():
    """As many as in the loops that were measured before the count was: and the range has both ends."""
    near, far = Price(0.75, "measured: x", 0.5, 1.0), Price(1.5, "measured: x", 1.25, 2.0)
    host = replace(profile(), path={"scheme": near}, far={"scheme": far})
    for counts in ({"units8": 1000}, {"units8": 1000, "far_accesses": None}):
        cost = price(Scheme(), counts, host)
        assert (cost.ns, list(cost.moves.values())) == (1000, [(-500, 1000)])
    line = {"hit": near, "hit_far": far, "access_far": priced_at(2.0, "measured: x")}
    cost = price(Scheme(), {"units8": 1000}, profile(extra=line))
    assert cost.ns == 1000 * (4 * 1 + 1)
    assert next(ends for knob, ends in cost.moves.items() if knob.startswith("hit (")) == (-2000, 4000)


def test_near_and_far_code_move_a_time_each_by_its_own_range():
    near, far = Price(0.75, "measured: x", 0.5, 1.0), Price(1.5, "measured: x", 1.25, 2.0)
    counts = {"units8": 1000, "far_accesses": 400}
    whole = price(Scheme(), counts, replace(profile(), path={"scheme": near}, far={"scheme": far}))
    assert whole.moves == {
        "the hit path of scheme (0.5 to 1 ns)": (-150, 150),
        "the hit path of scheme in far code (1.25 to 2 ns)": (-100, 200),
    }
    cold = replace(profile(), path={"scheme": near}, far={"scheme": far}, cold={"scheme": far._replace(high_ns=9.5)})
    moves = price(Scheme(), counts | {"cold_accesses": 100}, cold).moves
    assert moves["the hit path of scheme in far code (1.25 to 2 ns)"] == (-75, 150)
    assert moves["the hit path of scheme in cold code (1.25 to 9.5 ns)"] == (-25, 800)
    line = profile(extra={"hit": near, "hit_far": far, "access_far": priced_at(2.0, "measured: x")})
    moves = price(Scheme(), counts, line).moves
    assert moves["hit_far (1.25 to 2 ns, host test)"] == (-400, 800)
    assert all(is_of_host(knob) for knob in [*whole.moves, *moves])


def test_every_primitive_counts_once():
    calls = {"signal": 1, "mmap": 1, "munmap": 1, "mprotect": 1, "page_in": 2, "page_out": 1}
    own = {"helper": 1, "scan": 3, "drop": 2}
    bundle = Cost(insn=10, walk=2, translate=3, **own, **calls, source="read: x")
    cost = price(Scheme(("event", bundle)), {"event": 5}, profile())
    assert cost.handler_insns == 5 * (
        10 + 2 * LENGTH["walk"] + LENGTH["helper"] + 3 * LENGTH["scan"] + 2 * LENGTH["drop"]
    )
    assert cost.insns == cost.handler_insns + 5 * 3 * LENGTH["translate"]
    assert cost.handler_ns == 5 * (10 * 0.5 + 2 * LEVELS * 11 + 20 + 3 * 2 + 2 * 70)
    assert cost.kernel_ns == 5 * (1000 + 200 + 300 + 400 + 2 * 50 + 60)
    assert cost.retranslate_ns == 5 * 3 * 900
    assert cost.ns == cost.handler_ns + cost.kernel_ns + cost.retranslate_ns


def test_every_primitive_has_a_test_that_prices_it():
    """Whatever is in the list reaches ns, by its own price alone."""
    for p in PRIMITIVES:
        scheme = Scheme(("event", Cost(**{p.field: 2}, source="read: x")))
        given = {**dict.fromkeys(PRICES, 0.0), p.price: 7.0}
        host = Profile("test", "", {name: priced_at(ns, "measured: x") for name, ns in given.items()})
        assert price(scheme, {"event": 3}, host).ns == 3 * 2 * p.times * 7, p.field


def test_translating_for_the_first_time_stands_apart():
    lines = [("translated_insns", Cost(translate=1, source="read: x"))]
    cost = price(Scheme(*lines), {"translated_insns": 50, "retranslated_insns": 20}, profile())
    assert (cost.translate_ns, cost.retranslate_ns) == (30 * 900, 20 * 900)
    assert (cost.access_ns, cost.ns) == (20 * 900, 50 * 900)
    assert cost.translate_insns == 50 * LENGTH["translate"]


def test_a_primitive_of_the_kernel_is_no_instruction():
    cost = price(Scheme(("faults", Cost(signal=1, source="read: x"))), {"faults": 7}, profile())
    assert (cost.insns, cost.kernel_ns) == (0, 7000)


def test_crossing_is_what_events_of_crossing_cost():
    scheme = Scheme(
        ("faults_cross", Cost(signal=1, insn=120, source="read: x")),
        ("faults_unmapped", Cost(signal=1, insn=100, source="read: x")),
    )
    cost = price(scheme, {"units8": 10, "faults_cross": 3, "faults_unmapped": 2}, profile())
    assert (cost.cross_insns, cost.cross_kernel_ns) == (360, 3000)
    assert cost.cross_ns == 360 * 0.5 + 3000
    assert cost.insns == 40 + 360 + 200


def test_instructions_are_split_by_where_they_run():
    lines = [
        ("wide_units8", Cost(hit=20, source="read: x")),
        ("tlb_fills", Cost(insn=300, walk=1, translate=2, source="read: x")),
        ("translated_insns", Cost(translate=1, source="read: x")),
    ]
    counts = {"units8": 10, "wide_units8": 3, "tlb_fills": 2, "translated_insns": 5}
    cost = price(Scheme(*lines), counts, profile())
    assert cost.hit_insns == 10 * 4 + 3 * 20
    assert cost.translate_insns == (2 * 2 + 5) * LENGTH["translate"]
    assert cost.handler_insns == 2 * (300 + LENGTH["walk"])
    assert cost.insns == cost.hit_insns + cost.handler_insns + cost.translate_insns


def test_what_a_scheme_does_not_price_is_free():
    counts = {"units8": 2, "faults": 9, "maps": None}
    scheme = Scheme(("maps", Cost(page_in=1, source="read: x")))
    assert [line[:2] for line in price_lines(scheme.price_list(), counts)] == [("units8", 2)]
    assert price(Scheme(), counts, profile()).ns == 2 * (4 * 0.25 + 0.5)


def test_the_four_schemes_on_one_crossing_load_and_one_crossing_store():
    counts = {"units8": 2, "ram_cross_loads": 1, "ram_cross_stores": 1, "ram_cross_store_bytes": 4, "page_cross": 2}
    softmmu = price(parse_spec("softmmu"), counts | {"slow_cross": 2}, profile())
    helper = LENGTH["helper"] + 10
    assert softmmu.cross_insns == 2 * helper + 1 * 2 * 12 + 4 * 12  # helpers, two lookups, a lookup for each byte
    assert softmmu.insns == 2 * 11 + softmmu.cross_insns
    lookup = price(parse_spec("byte-lookup"), counts | {"faults_cross": 2}, profile())
    assert lookup.cross_kernel_ns == 2 * NS["signal"]
    for free in ("map-block", "qemu-fast"):
        scheme = parse_spec(free)
        cost = price(scheme, counts, profile())
        assert (cost.cross_insns, cost.cross_ns) == (0, 0)
        assert cost.insns == 2 * scheme.hit_insns()
        assert cost.access_ns == cost.hit_ns == 2 * (scheme.hit_insns() * 0.25 + 0.5) + 2 * USER_NS["split"]
        whole = price(scheme, counts, profile(path={free: 0.75}))  # measured in code that crosses nothing
        assert whole.hit_ns == 2 * 0.75 + 2 * USER_NS["split"]
        aside = [row for row in whole.moves if row.startswith("split (")]
        assert not aside  # measured, without a spread
        wide = price(scheme, counts, profile(split=6)).moves
        assert next(ends for row, ends in wide.items() if row.startswith("split (")) == (-6, 12)
    for other in ("softmmu", "byte-lookup", "softmmu-qemu10"):  # a helper or a handler does it, and has its own price
        assert not [name for name, cost in parse_spec(other).price_list().items() if cost.split]


def test_break_even_below():
    # softmmu 10,000 ns of code; the scheme 4,000 ns of code and 2 faults: ahead while one costs less than 3,000 ns
    even = break_even("m", priced(4000, 2000), 2, "softmmu", priced(10_000, 0), 0)
    assert (even.wins, even.fault_ns, even.now_ns, even.of) == ("below", 3000, 1000, "m")


def test_break_even_does_not_depend_on_the_price_of_today():
    dear = break_even("m", priced(4000, 50_000), 2, "softmmu", priced(10_000, 0), 0)
    assert (dear.wins, dear.fault_ns, dear.now_ns) == ("below", 3000, 25_000)


def test_break_even_of_the_scheme_without_faults_is_the_other_way_round():
    even = break_even("softmmu", priced(10_000, 0), 0, "m", priced(4000, 2000), 2)
    assert (even.wins, even.fault_ns, even.of) == ("above", 3000, "m")


def test_break_even_of_two_that_fault_moves_both():
    # 5,000 + 1,000 x against 2,000 + 4,000 x: equal at x = 1; the fault is one of the 8 that take 500 ns each
    even = break_even("a", priced(2000, 4000), 8, "b", priced(5000, 1000), 1)
    assert (even.wins, even.fault_ns, even.now_ns) == ("below", 500, 500)


@pytest.mark.parametrize(
    ("mine", "other", "wins"),
    [
        (priced(2000, 100), priced(1000, 0), "never"),
        (priced(1000, 100), priced(1000, 0), "never"),
        (priced(500, 100), priced(1000, 200), "always"),
        (priced(500, 0), priced(1000, 0), "always"),
        (priced(1000, 0), priced(1000, 0), "never"),
    ],
)
def test_what_no_price_turns(mine, other, wins):
    even = break_even("a", mine, 1 if mine.kernel_ns else 0, "b", other, 1 if other.kernel_ns else 0)
    assert (even.wins, even.fault_ns) == (wins, None)


def test_the_sentence_names_the_winner_and_where_it_turns():
    lines = [Line("softmmu", 10_000, 0, 0), Line("m", 4000, 2000, 2), Line("b", 8000, 1000, 1)]
    winner, dearer, cheaper = turns(lines)  # 4,000 + 2,000 x meets 10,000 at 3 and 8,000 + 1,000 x at 4
    assert (winner.name, dearer.line.name, dearer.x, cheaper) == ("m", "softmmu", 3.0, None)
    told = (
        "m wins: its memory accesses cost 1.67 times less than softmmu's; it stays ahead of softmmu while a host fault"
        " costs less than 3.00 us (1.00 us {}); above that, softmmu wins."
    )
    assert sentence(lines[:2], "softmmu", "p4") == told.format("at the prices of p4")
    assert sentence(lines[:2], "softmmu", "here") == told.format("at the prices measured here")


def test_the_sentence_when_faults_are_too_dear():
    lines = [Line("softmmu", 10_000, 0, 0), Line("m", 4000, 20_000, 2)]
    assert sentence(lines, "softmmu", "p4") == (
        "softmmu wins: its memory accesses cost 10.0 us, m's 24.0 us;"
        " m would win if a host fault cost less than 3.00 us (10.0 us at the prices of p4)."
    )


def test_the_sentence_names_no_host_fault_where_nobody_takes_one():
    lines = [Line("softmmu", 10_000, 0, 0), Line("ten", 4000, 24_000, 0)]  # 4,000 + 24,000 x meets 10,000 at 0.25
    assert sentence(lines, "softmmu", "p4") == (
        "softmmu wins: its memory accesses cost 10.0 us, ten's 28.0 us;"
        " ten would win if the host kernel cost less than 0.25 times what it does at the prices of p4."
    )
    lines = [Line("softmmu", 10_000, 0, 0), Line("ten", 4000, 3000, 0)]  # at 2
    assert sentence(lines, "softmmu", "p4") == (
        "ten wins: its memory accesses cost 1.43 times less than softmmu's; it stays ahead of softmmu while the host"
        " kernel costs less than 2.00 times what it does at the prices of p4; above that, softmmu wins."
    )
    lines = [Line("softmmu", 10_000, 0, 0), Line("ten", 12_000, 3000, 0)]
    assert sentence(lines, "softmmu", "p4") == "softmmu wins: its memory accesses cost 10.0 us, ten's 15.0 us."
    lines.append(Line("m", 12_000, 3000, 1))
    assert sentence(lines, "softmmu", "p4").endswith("; it wins at any price of a host fault.")


def test_the_sentence_does_not_call_a_hair_a_win():
    lines = [Line("a", 10_000, 0, 0), Line("b", 10_050, 0, 0), Line("c", 12_000, 0, 0)]
    assert sentence(lines, "a", "p4") == "a and b are equal within 1 %; c is 1.20x dearer."
    assert sentence(lines[:2], "a", "p4") == "a and b are equal within 1 %."
    far = [
        Line("a", 1e6, 0.0, 0),
        Line("b", 1.00003e6, 0.0, 0),
        Line("c", 888.54e6, 0.0, 0),
        Line("d", 1298.6e6, 0.0, 0),
    ]
    assert sentence(far, "b", "p4") == "a and b are equal within 1 %; c is 889x, d 1,299x dearer."
    assert clear_winner(lines) is None
    assert clear_winner(lines[1:]) == lines[1]


def test_what_costs_nothing_is_equal_to_what_costs_nothing():
    """A trace without an access, where one scheme looks code up."""
    lines = [Line("a", 0, 0, 0), Line("b", 0, 0, 0), Line("c", 600, 0, 0)]
    assert sentence(lines, "a", "p4") == "a and b cost nothing at these prices; c 600 ns."
    assert clear_winner(lines) is None
    assert clear_winner(lines[1:]) == lines[1]


def test_the_sentence_of_a_sweep_contracts_its_values():
    times = {12: 75_000, 13: 15_000, 14: 10_010, 15: 10_000, 16: 10_000, 17: 12_000, 18: 10_000}
    lines = [Line(f"bits={value}", ns, 0, 0) for value, ns in times.items()]
    assert sentence(lines, "bits=16", "p4") == (
        "bits=14..16,18 are equal within 1 %; 17 is 1.20x, 13 1.50x, 12 7.50x dearer."
    )
    other = [Line("softmmu", 30_000, 0, 0), *lines[2:5]]
    assert sentence(other, "softmmu", "p4") == "bits=14..16 are equal within 1 %; softmmu is 3.00x dearer."
    words = [Line(f"evict={value}", 10_000, 0, 0) for value in ("fifo", "lifo", "lru")]
    assert sentence(words, "", "p4") == "evict=fifo,lifo,lru are equal within 1 %."


def test_numbers_have_three_digits():
    assert [significant(n) for n in (1.1, 48, 9.999, 0.0451, 99.96, 1234, 0)] == [
        "1.10", "48.0", "10.0", "0.0451", "100", "1,234", "0"
    ]  # fmt: skip
    assert [duration(ns) for ns in (0, 1.1e6, 999_900, 48_000)] == ["0 ns", "1.10 ms", "1.00 ms", "48.0 us"]
    assert [size(n) for n in (0, 8192, 1 << 20, 3 << 19, 1023 << 10, 1 << 46)] == [
        "0 B", "8 KiB", "1 MiB", "1.50 MiB", "1,023 KiB", "64 TiB"
    ]  # fmt: skip


@pytest.mark.parametrize("mode", ["user", "system"])
def test_every_price_is_of_something_that_is_counted(mode):
    from mmuexp.analysis.passes import run_passes

    class Empty:
        rows, file_rows, address_bits = 0, 0, 32

        def runs(self, *, ahead):
            return iter(())

    trace = Empty()
    trace.mode = mode
    for run in chain.from_iterable(run_passes(trace, default_strategies(mode), label="")):
        assert set(run.strategy.price_list()) <= set(run.counts), run.strategy


@pytest.mark.parametrize("strategy", default_strategies("user"))
def test_an_engine_is_priced_for_what_it_does(strategy):
    """No engine walks a page table. How long its helpers are is counted (test_calibrate.py)."""
    whole, engine = strategy.price_list(), strategy.engine_price_list()
    assert engine.keys() >= whole.keys()
    assert not [name for name, cost in engine.items() if cost.walk]


PATCHING = {"softmmu_accesses": 3, "patches": 2, "compared_tables": 1, "checked_entries": 5, "checked_bytes": 80}


def test_patching_comparing_and_checking_cost_what_was_measured_of_them():
    cost = price(parse_spec("fastmem,code=check"), PATCHING, profile())
    assert cost.handler_ns == 3 * 3 + 2 * 150 + 1 * 90 + 5 * 8 + 80 * 0.0625
    assert cost.handler_insns == 3 * 40 + 2 * 400 + 1 * 900 + 5 * 4 + 80 * 0.5  # which the measured ns do not hang on
    assert price(parse_spec("views"), {"compared_tables": 4}, profile()).handler_ns == 4 * 90


def test_where_nobody_measured_them_they_cost_their_instructions():
    old = {name: {"ns": NS[name], "source": "measured: here"} for name in NS}
    host = profile_of_dict({"prices": old}, "there")
    cost = price(parse_spec("fastmem,code=check"), PATCHING, host)
    assert cost.handler_ns == cost.handler_insns * NS["insn"] == 1880 * 0.5
    assert host.assumed("patched_access")
    assert host.prices["patched_access"][2:4] == (10, 40)  # half and double, which the marks of a table cover
