"""How sure a model's winner is: what prices within their ranges turn, worked out by hand, and what is said of it."""

from dataclasses import replace

import pytest
from kit.prices import made_host
from kit.traces import write_trace

from mmuexp.analysis.compare import compare, sweep
from mmuexp.price.host import Price
from mmuexp.price.priced import DEPENDENCE, is_of_host, price
from mmuexp.render.export import Output
from mmuexp.render.sentence import certainty_sentence
from mmuexp.render.summary import summaries
from mmuexp.result.saved import load
from mmuexp.result.table import LIVE as LIVE_COLUMNS
from mmuexp.strategy.registry import parse_spec

CALIBRATE, LIVE = "`mmuexp calibrate` measures the prices of this host", "--live measures what the schemes take"


def ranged(host, **ends):
    """The same host, of which some prices lie in a range: name -> (low, high)."""
    return replace(
        host, prices={**host.prices, **{n: Price(host.ns[n], "measured: x", *low_high) for n, low_high in ends.items()}}
    )


def pair(result) -> dict:
    (entry,) = result.manifest["certainty"]
    return entry


@pytest.fixture
def trace(tmp_path):
    """12 rows: byte-lookup and map-block take the same but 2 cross faults and 3 hit instructions a row of 11."""
    return write_trace(tmp_path / "t.arrow", repeat=50)


def test_what_no_price_turns_is_sure(trace):
    result = compare(trace, ["softmmu", "qemu-fast"], host=made_host())  # every price is known
    assert pair(result) == {
        "trace": trace, "best": "qemu-fast", "scheme": "softmmu", "decided_by": [], "sure": True,
    }  # fmt: skip
    (table,) = summaries(result)
    assert "No prices within their ranges put another first." in table.sentence


def test_one_price_that_turns_the_order_is_named_with_what_would_decide(trace):
    """At 0 ns a signal the direct map wins; at 1 ms the scheme without a fault does."""
    result = compare(trace, ["softmmu", "qemu-fast"], host=ranged(made_host(), signal=(0.0, 1e6)))
    entry = pair(result)
    assert (entry["best"], entry["sure"]) == ("qemu-fast", False)
    assert entry["decided_by"] == ["signal (0 to 1,000,000 ns, host plain)"]
    (table,) = summaries(result)
    told = "Not sure: one of these alone, within its range, puts softmmu before qemu-fast: "
    assert f"{told}signal (0 to 1,000,000 ns, host plain)." in table.sentence
    assert CALIBRATE in table.sentence
    assert "[1] this decides: signal (0 to 1,000,000 ns, host plain); within that range the order turns." in table.notes


def test_several_prices_that_only_together_turn_the_order(trace):
    soft, fast = (parse_spec(spec) for spec in ("softmmu", "qemu-fast"))
    counts = compare(trace, [soft, fast], host=made_host()).frame.set_index("strategy")
    lead = float(counts["access_ns"]["softmmu"] - counts["access_ns"]["qemu-fast"])
    happened = {
        name: int(counts[column]["qemu-fast"]) for name, column in (("signal", "faults"), ("mmap", "mmap_calls"))
    }
    # either alone makes qemu-fast dearer by six tenths of its lead, both by more than it has
    host = ranged(made_host(), **{name: (0.0, 0.6 * lead / n) for name, n in happened.items()})
    result = compare(trace, [soft, fast], host=host)
    assert (pair(result)["decided_by"], pair(result)["sure"]) == ([], False)
    (table,) = summaries(result)
    assert "several prices at once, each within its range, put softmmu before qemu-fast" in table.sentence


def test_each_table_of_a_sweep_has_a_winner_of_its_own(trace):
    result = sweep("map_block_bits=12,16", trace, reference="softmmu", host=made_host())
    by_best = {}
    for entry in result.manifest["certainty"]:
        by_best.setdefault(entry["best"], []).append(entry["scheme"])
    assert len(by_best) == 2  # a pool of 64 blocks, one of 64 MiB
    assert all(len(schemes) == 2 and "softmmu" in schemes for schemes in by_best.values())
    for table in summaries(result):
        assert "No prices within their ranges put another first." in table.sentence


def test_a_saved_result_says_the_same(trace, tmp_path):
    result = compare(trace, ["softmmu", "qemu-fast", "map-block"], host="pentium4-2004")
    for suffix in ("json", "csv", "parquet"):
        file = Output(str(tmp_path / f"r.{suffix}"))
        file.save(result)
        again = load(str(tmp_path / f"r.{suffix}"))
        assert [table.sentence for table in summaries(again)] == [table.sentence for table in summaries(result)]


def test_what_an_older_version_saved_says_nothing_of_it(trace):
    result = compare(trace, ["softmmu", "qemu-fast"], host=made_host())
    del result.manifest["certainty"]
    (table,) = summaries(result)
    assert "range" not in table.sentence


def entry(scheme: str, *knobs: str, sure: bool = False) -> dict:
    return {"scheme": scheme, "decided_by": list(knobs), "sure": sure}


def test_the_sentence_by_hand():
    names = {"a": "A", "b": "B", "c": "C"}
    one = [entry("a", "hit (1 to 2 ns, host h)"), entry("b"), entry("c", sure=True)]
    told = certainty_sentence("W", one, names, "h")
    assert "puts A before W: hit (1 to 2 ns, host h); several prices at once" in told
    assert "put B before W" in told
    assert " C" not in told
    assert certainty_sentence("W", one, {**names, "d": "D"}, "h") == ""  # nobody knows of D
    assert certainty_sentence("W", [], {}, "h") == ""
    many = [entry("a", *"pqrst")]
    assert "puts A before W: p, q, r or 2 more." in certainty_sentence("W", many, {"a": "A"}, "h")


def test_what_would_decide_is_what_can_be_measured():
    of_host, of_scheme = "hit (1 to 2 ns, host h)", "instructions of tlb_fills in softmmu (140 to 280)"
    assert is_of_host(of_host)
    assert not is_of_host(of_scheme)
    assert not is_of_host(DEPENDENCE)
    assert CALIBRATE in certainty_sentence("W", [entry("a", of_host)], {"a": "A"}, "h")
    assert CALIBRATE not in certainty_sentence("W", [entry("a", of_host)], {"a": "A"}, "here")  # that was measured here
    for knob in (of_scheme, DEPENDENCE):
        told = certainty_sentence("W", [entry("a", knob)], {"a": "A"}, "h")
        assert "calibrate" not in told
        assert LIVE in told


def test_every_move_is_of_the_host_or_of_the_scheme(trace):
    """Whatever price() names, the advice knows what it is."""
    host = replace(
        ranged(made_host(), **{name: (0.5 * ns, 2 * ns + 1) for name, ns in made_host().ns.items()}),
        path={"softmmu": Price(1.0, "measured: x", 0.5, 2.0)},
        dependent={"map-block": Price(99.0, "measured: x", 99.0, 99.0)},
    )
    for spec in ("softmmu", "byte-lookup", "map-block", "qemu-fast"):
        row = compare(trace, [spec], host=host).frame.iloc[0].to_dict()
        counts = {name: value for name, value in row.items() if isinstance(value, int)}
        for knob in price(parse_spec(spec), counts, host).moves:
            assert is_of_host(knob) or knob == DEPENDENCE or knob.startswith("instructions of "), knob


def test_a_note_on_accesses_that_wait_says_so(trace):
    host = replace(made_host(), dependent={"map-block": Price(1e6, "measured: x", 1e6, 1e6)})
    (table,) = summaries(compare(trace, ["softmmu", "map-block"], host=host))
    assert f"[1] this decides: {DEPENDENCE}; where they do the order turns." in table.notes


def lines_of(result) -> dict[str, list[str]]:
    (table,) = summaries(result)
    return {cells[0].strip(): [" ".join(cell.split()) for cell in cells[1:]] for cells in table.cells}


def test_a_ratio_stands_with_its_range(trace):
    """In percent of the reference's time, above ten times of it as a multiple; a range of one figure is one."""
    result = compare(trace, ["softmmu", "qemu-fast", "map-block", "byte-lookup"], host=made_host())
    by_scheme = {verdict["scheme"]: verdict for verdict in result.manifest["verdicts"]}
    by_scheme["qemu-fast"] |= {"ratio_low": 0.104, "ratio_high": 0.896}
    by_scheme["map-block"] |= {"ratio_low": 9.6, "ratio_high": 1234.5}
    by_scheme["byte-lookup"] |= {"ratio_low": 0.501, "ratio_high": 0.502}
    assert lines_of(result)["of softmmu's time"] == ["-", "10 to 90 %", "10 to 1,234x", "50 %"]
    for verdict in result.manifest["verdicts"]:
        del verdict["ratio_low"]  # as an older version saved it
    assert "of softmmu's time" not in lines_of(result)


def test_a_ratio_stands_with_what_was_measured(trace):
    result = compare(trace, ["softmmu", "qemu-fast", "map-block", "byte-lookup"], host=made_host())
    measured = {"softmmu": (4.0, 3.9, 4.1), "qemu-fast": (1.0, 0.9, 1.1), "map-block": (3.9, 3.8, 4.2)}
    figures = [measured.get(spec, (None, -1.0, 0.1)) for spec in result.frame["strategy"]]
    for column, values in zip(LIVE_COLUMNS[:3], zip(*figures, strict=True), strict=True):
        result.frame[column] = list(values)
    for column in LIVE_COLUMNS[3:6]:
        result.frame[column] = [1.0] * len(result.frame)
    lines = [(cells[0].strip(), cells[1:]) for cells in summaries(result)[0].cells]
    at = next(at for at, (name, _) in enumerate(lines) if name.startswith("measured here"))
    against = next(cells for name, cells in lines[at:] if name == "against softmmu")
    assert [" ".join(cell.split()) for cell in against] == ["reference", "4.00x faster", "tie", "-"]


@pytest.mark.parametrize("end", ["ratio_low", "ratio_high"])
def test_a_range_that_is_none_is_refused(cli, trace, tmp_path, end):
    result = compare(trace, ["softmmu", "map-block"])
    result.manifest["verdicts"][1][end] = "much"
    Output(str(tmp_path / "r.json")).save(result)
    assert cli("export", tmp_path / "r.json").code == 1
    assert f"{end} of verdicts is not a number" in cli.err
