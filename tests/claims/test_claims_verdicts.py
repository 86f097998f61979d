"""Change a count or a price, and the verdict changes: for every claim."""

import pytest
from kit.prices import changed, committed, dearer, evidence, finding, host, run

from mmuexp.claims.evidence import WIDE
from mmuexp.claims.listings import that_can_fault
from mmuexp.claims.model import FAILS, HOLDS, UNTESTED, WHEN
from mmuexp.claims.windows98 import MUCH
from mmuexp.events import Event
from mmuexp.strategy import Cost
from mmuexp.strategy.registry import strategy_class

BLOCK, SOFT, BYTE, FAST = "map-block", "softmmu", "byte-lookup", "qemu-fast"


def parts(number: int, found) -> list[str]:
    """The verdict of each part, at the first host."""
    return [part.verdict(part.hosts[0]) for part in finding(number, found).parts]


def test_claim_1_is_the_listings(monkeypatch):
    found = evidence(programs=[run("a", BLOCK)])
    assert parts(1, found) == [HOLDS, HOLDS]
    listing = strategy_class(BLOCK).FAST_PATH
    monkeypatch.setattr(strategy_class(BLOCK), "FAST_PATH", listing + "    nop\n")
    assert parts(1, found) == [WHEN, FAILS]  # the recording was counted at 4; and what can fault is not the last
    longer = evidence(programs=[run("a", BLOCK, hit_insns=5000)])
    assert parts(1, longer) == [FAILS, FAILS]
    early = listing.replace("[table + reg*4]", "[reg]")
    assert that_can_fault(early) == [2, 3]


def test_claim_2_is_the_listings_and_the_tables():
    mib = 1 << 20
    assert parts(2, evidence(programs=[run("a", BYTE, table_bytes=mib + 1024)])) == [HOLDS, HOLDS]
    assert parts(2, evidence(programs=[run("a", BYTE, table_bytes=2 * mib)])) == [HOLDS, FAILS]
    assert parts(2, evidence(programs=[run("a", BYTE, table_bytes=mib, hit_insns=9000)])) == [WHEN, HOLDS]
    two = [run("a", BYTE, table_bytes=mib), run("b", BYTE, table_bytes=mib - 1)]
    assert parts(2, evidence(programs=two))[1] == WHEN


def crossing(name: str, cross: int, signals: int, io: int = 0) -> list:
    return [run(name, BYTE, page_cross=cross, faults_cross=signals, faults_io=io), run(name, BLOCK, page_cross=cross)]


def test_claim_3_is_a_signal_for_each(monkeypatch):
    assert parts(3, evidence(programs=crossing("a", 9, 9))) == [HOLDS, HOLDS]
    assert parts(3, evidence(programs=crossing("a", 9, 8))) == [FAILS, HOLDS]
    assert parts(3, evidence(programs=crossing("a", 9, 8, io=1)))[0] == HOLDS  # one crossed in device memory
    assert parts(3, evidence(programs=[*crossing("a", 9, 9), *crossing("b", 9, 8)]))[0] == WHEN
    assert parts(3, evidence(programs=crossing("a", 0, 0))) == [UNTESTED, UNTESTED]
    cls = strategy_class(BLOCK)
    monkeypatch.setattr(cls, "costs", {**cls.costs, "page_cross": Cost(insn=3, source="assumed: a test")})
    assert parts(3, evidence(programs=crossing("a", 9, 9))) == [HOLDS, FAILS]


def bits(values: dict[int, tuple[int, int, int]], pool: str = "") -> list:
    """bits -> (bytes of the table, mappings, faults)"""
    return [
        run("a", f"{BLOCK},map_block_bits={b}{pool}", table_bytes=t, peak_mappings=m, faults_block=f)
        for b, (t, m, f) in values.items()
    ]


def test_claim_4_is_that_12_is_the_worst():
    worst = bits({12: (64, 9, 5), 16: (4, 3, 1), 20: (2, 4, 1)})
    assert parts(4, evidence(map_block_bits=worst)) == [HOLDS, HOLDS, HOLDS]
    fewer = bits({12: (64, 3, 5), 16: (4, 9, 1)}, ",pool_mib=64")
    assert parts(4, evidence(map_block_bits=fewer)) == [HOLDS, FAILS, HOLDS]
    both = finding(4, evidence(map_block_bits=[*worst, *fewer]))
    assert [part.verdict(part.hosts[0]) for part in both.parts] == [HOLDS, WHEN, HOLDS]
    assert both.verdict == WHEN
    assert both.parts[1].conditions[""] == "the pool is of 64 blocks"
    best = bits({12: (4, 3, 1), 16: (4, 3, 2)})
    assert parts(4, evidence(map_block_bits=best)) == [FAILS, FAILS, FAILS]
    assert parts(4, evidence(map_block_bits=bits({14: (4, 3, 1), 16: (4, 3, 2)})))[:2] == [UNTESTED, UNTESTED]


def kernel(soft: int, block: int) -> list:
    """Two runs of 1,000 guest instructions that take so many ns: TLB fills of 450 each, and accesses of 4."""
    return [
        run("a", SOFT, units8=0, tlb_fills=soft // 450, mode="user"),
        run("a", BLOCK, units8=block // 4, mode="user"),
    ]


def factors(found) -> list[float]:
    told = {one.quantity: one.value for one in found.parts[0].figures if not one.recording}
    return [told[f"f {side} it holds, the mean"] for side in ("from which", "up to which")]


def test_claim_5_is_where_the_factor_lies(monkeypatch):
    # 1,000 ns for each unit of f: (f + 3.6) / (f + 2) is 1.3 at (3.6 - 2.6) / 0.3, 1.2 at (3.6 - 2.4) / 0.2
    some = finding(5, evidence(ten_kernels=kernel(3600, 2000)))
    assert factors(some) == pytest.approx([10 / 3, 6])
    assert some.verdict == WHEN
    assert finding(5, evidence(ten_kernels=kernel(450, 400))).verdict == FAILS  # nowhere 20 % better
    assert finding(5, evidence(ten_kernels=kernel(9000, 2000))).verdict == FAILS  # more than 30 % up to f = 21
    monkeypatch.setattr("mmuexp.claims.words.SOURCED", (4.0, 5.0))
    assert finding(5, evidence(ten_kernels=kernel(3600, 2000))).verdict == HOLDS


def test_claim_5_changes_with_a_count_and_with_a_price():
    here = committed("xeon-2.6-vm")
    assert finding(5, here).verdict == WHEN
    slow = here
    for name in here.recordings("ten-kernels"):
        slow = changed(slow, name, BLOCK, faults_unmapped=lambda n: n + 10_000)
    assert finding(5, slow).verdict == FAILS
    dear = evidence(dearer(here.hosts[0], 1000), **{"ten_kernels": here.tables["ten-kernels"]})
    assert finding(5, dear).parts[0].figures != finding(5, here).parts[0].figures


def linux(name: str, faults: int, **counts) -> list:
    return [run(name, SOFT, **counts), run(name, BLOCK, faults_unmapped=faults, faults=faults, **counts)]


def test_claim_6_is_who_is_faster():
    # 1,000 accesses: 11,000 against 4,000 ns, so 5 faults of 1,250 (signal, walk, handler) are too few and 6 too many
    assert finding(6, evidence(linux_boot=linux("boot", 5))).verdict == HOLDS
    assert finding(6, evidence(linux_boot=linux("boot", 6))).verdict == FAILS
    both = evidence(linux_boot=linux("boot", 5, loads=9), linux_windows=linux("early", 6))
    assert finding(6, both).verdict == WHEN
    assert finding(6, both).parts[0].recordings(True) == ["boot"]
    assert finding(6, evidence(host(signal=900), linux_boot=linux("boot", 6))).verdict == HOLDS
    assert finding(6, evidence(host(signal=9000), linux_boot=linux("boot", 5))).verdict == FAILS
    assert finding(6, evidence(linux_boot=[])).verdict == UNTESTED


def test_claim_6_tells_the_price_of_a_fault():
    # 7,000 ns ahead, 5 faults whose walk and handler take 250 each: 5,750 ns for 5 signals
    found = finding(6, evidence(linux_boot=linux("boot", 5)))
    assert found.parts[0].conditions["plain"] == "a host fault costs less than 1.15 us on boot (here 1.00 us)"


def test_claim_6_on_two_hosts_that_disagree():
    found = finding(6, evidence(host(), host("slow", signal=9000), linux_boot=linux("boot", 5)))
    assert [found.verdict_at(name) for name in found.hosts] == [HOLDS, FAILS]
    assert found.verdict == WHEN
    assert found.parts[0].undecided() == ["boot"]


def habit(name: str, stores: int, **block) -> list:
    return [run(name, SOFT, slow_code=stores), run(name, BLOCK, faults_code=stores, faults=stores, **block)]


def test_claim_7_is_the_stores_and_their_rate():
    guest = [*habit("habit_10", 20), *habit("habit_100", 2)]

    def verdict(*recordings, **prices):
        return finding(7, evidence(host(**prices), windows_habit=[*recordings], habit_guest=guest))

    # a store costs map-block 1,200 ns and softmmu 50: twice 11,000 + 50 n is 4,000 + 1,200 n at n = 16.4
    assert verdict(*habit("a", 17)).verdict == HOLDS
    assert verdict(*habit("a", 16)).verdict == FAILS
    assert verdict(*habit("a", 17), *habit("b", 16)).verdict == WHEN
    assert verdict(*habit("a", 17), signal=500).verdict == FAILS
    # much slower, but for another reason
    assert verdict(*habit("a", 1, faults_unmapped=100)).verdict == FAILS
    assert verdict(*habit("a", 0)).verdict == UNTESTED
    much = next(f.value for f in verdict(*habit("a", 1)).parts[0].figures if f"{MUCH:g} times slower" in f.quantity)
    assert much == pytest.approx(1000 * (18_000 / 1_100) / (1000 + 18_000 / 1_100 - 2), rel=0.01)


def direct(name: str, faults: int, spec: str = FAST, mode: str = "user", **counts) -> list:
    return [run(name, SOFT, mode), run(name, spec, mode, faults_unmapped=faults, faults=faults, **counts)]


def test_claim_8_is_much_faster_by_half():
    # 11,000 against 1,000 and 1,240 for each fault: half of it is left to 3 faults and not to 4
    assert parts(8, evidence(programs=direct("a", 3)))[0] == HOLDS
    assert parts(8, evidence(programs=direct("a", 4)))[0] == FAILS
    assert parts(8, evidence(programs=[*direct("a", 3), *direct("b", 4)]))[0] == WHEN
    assert parts(8, evidence(host(signal=100), programs=direct("a", 4)))[0] == HOLDS
    condition = finding(8, evidence(programs=direct("a", 3))).parts[0].conditions["plain"]
    assert condition == "a host fault costs less than 1.26 us on a (here 1.00 us)"  # (5,500 - 1,720) / 3


def test_claim_8_about_two_times_is_a_range(monkeypatch):
    # (f + 11) / (f + 1): 2.5 at 8.5 / 1.5, 1.5 at 9.5 / 0.5
    found = finding(8, evidence(programs=direct("a", 0))).parts[1]
    told = {one.quantity: one.value for one in found.figures if one.recording == ""}
    assert told["f from which it is about two, the mean"] == pytest.approx(8.5 / 1.5)
    assert told["f up to which it is about two, the mean"] == pytest.approx(19)
    assert found.verdict("plain") == WHEN
    monkeypatch.setattr("mmuexp.claims.words.SOURCED", (6, 10))
    assert parts(8, evidence(programs=direct("a", 0)))[1] == HOLDS
    assert parts(8, evidence(programs=direct("a", 9)))[1] == FAILS


def test_claim_8_is_not_portable_while_the_layout_hurts():
    def verdict(unpatched: int, wide: int = 0) -> str:
        runs = direct("boot", wide, WIDE, "system") + direct("boot", unpatched, FAST, "system")[1:]
        return parts(8, evidence(linux_boot=runs))[2]

    assert verdict(100) == HOLDS
    assert verdict(1) == FAILS  # unpatched costs less than softmmu
    assert verdict(100, 101) == FAILS  # and no more than on a 64-bit host


def pool(name: str, faults: dict[int, int]) -> list:
    return [
        run(name, f"{BLOCK},pool_blocks={n}", faults_block=f, reserved_bytes=n * 17 * 4096, evictions=f - 1)
        for n, f in faults.items()
    ]


def test_claim_9_is_what_a_pool_costs():
    enough = finding(9, evidence(pool_size=pool("a", {8: 99, 64: 1, 512: 1})))
    assert enough.verdict == HOLDS
    assert enough.parts[0].conditions["plain"].startswith("the pool has 64 blocks, 4.25 MiB")
    needs_all = pool("a", {8: 99, 64: 50, 1 << 13: 1})  # 544 MiB, more than a tenth of 4 GiB
    assert finding(9, evidence(pool_size=needs_all)).verdict == FAILS
    assert finding(9, evidence(pool_size=[*needs_all, *pool("b", {8: 1, 512: 1})])).verdict == WHEN
    free = host(insn=1.0, signal=0.0)  # where a fault costs next to nothing, any pool is enough
    assert finding(9, evidence(free, pool_size=pool("a", {8: 2, 1 << 13: 1}))).verdict == HOLDS


def test_a_guest_of_64_bits_is_named_and_judged_by_its_own_address_space():
    table = finding(2, evidence(programs=[run("a", BYTE, table_bytes=1 << 36, walk_levels=4)]))
    assert [part.verdict(part.hosts[0]) for part in table.parts] == [HOLDS, UNTESTED] and table.wide == ("a",)
    assert [one.value for one in table.parts[1].figures] == [1 << 36]
    both = [run("a", BYTE, table_bytes=1 << 36, walk_levels=4), run("b", BYTE, table_bytes=1 << 20)]
    assert parts(2, evidence(programs=both)) == [HOLDS, HOLDS] and finding(2, evidence(programs=both)).wide == ("a",)
    runs = pool("a", {8: 99, 64: 50, 1 << 13: 1})  # as above too much of 4 GiB
    for one in runs:
        one.counts["walk_levels"] = 4
    assert finding(9, evidence(pool_size=runs)).verdict == HOLDS


def devices(name: str, signals: int, **counts) -> list:
    return [run(name, SOFT, io_accesses=9, slow_io=9), run(name, BYTE, io_accesses=9, faults_io=signals, **counts)]


def test_claim_10_is_a_signal_for_each_device_access():
    assert parts(10, evidence(linux_boot=devices("a", 9)))[0] == HOLDS
    assert parts(10, evidence(linux_boot=devices("a", 8)))[0] == FAILS
    assert parts(10, evidence(linux_boot=[*devices("a", 9), *devices("b", 8)]))[0] == WHEN
    dear = evidence(host(insn=1.0, signal=0.0), linux_boot=devices("a", 9))
    assert parts(10, dear)[0] == HOLDS  # the handler alone is 270 instructions against 40


def test_claim_10_a_cheap_handler_would_undo_it(monkeypatch):
    cls = strategy_class(BYTE)
    monkeypatch.setattr(cls, "costs", {**cls.costs, Event.FAULTS_IO: Cost(insn=70, source="assumed: a test")})
    assert parts(10, evidence(linux_boot=devices("a", 9)))[0] == FAILS


def test_claim_10_user_mode_is_who_is_faster():
    def verdict(*faults: int) -> str:
        runs = [
            r
            for at, n in enumerate(faults)
            for r in (run(f"p{at}", SOFT, "user"), run(f"p{at}", BYTE, "user", faults_unmapped=n, faults=n))
        ]
        return parts(10, evidence(programs=runs))[1]

    # 4,000 ns ahead; a fault takes 1,000 + 150 + 120
    assert [verdict(3), verdict(4), verdict(3, 4), verdict()] == [HOLDS, FAILS, WHEN, UNTESTED]


@pytest.mark.parametrize(
    ("number", "recording", "spec", "counts"),
    [
        (1, "boot", BLOCK, {"hit_insns": lambda n: n + 1}),
        (2, "boot", BYTE, {"table_bytes": 4096}),
        (3, "boot", BYTE, {"faults_cross": lambda n: n - 1}),
        (10, "boot", BYTE, {"faults_io": lambda n: n - 1}),
    ],
)
def test_one_count_of_the_whole_boot_turns_what_holds(number, recording, spec, counts):
    both = committed(), changed(committed(), recording, spec, **counts)
    before, after = ([{part.verdict(host) for host in part.hosts} for part in finding(number, of).parts] for of in both)
    assert ({HOLDS}, {WHEN}) in list(zip(before, after, strict=True))
