"""`mmuexp compare` and `mmuexp.compare`: columns, empty fields, windows, references, checks, the bundled trace."""

import csv
import io
import re

import pandas as pd
import pytest
from kit.cli import one_line
from kit.traces import ROWS, write_trace
from truth.schemes import EMPTY

import mmuexp
from mmuexp.analysis.compare import compare
from mmuexp.analysis.experiment import Interrupted
from mmuexp.errors import UsageError
from mmuexp.price.host import load_profile
from mmuexp.render.summary import summaries
from mmuexp.result.table import HALF, TIMES
from mmuexp.strategy.registry import default_strategies

CONTRACT = """
trace strategy
rows accesses loads stores execs guest_insns misaligned page_cross io_accesses flushes page_flushes pages mode_switches
faults faults_unmapped faults_block faults_write faults_code faults_cross faults_io faults_softmmu
tlb_fills slow_misaligned slow_cross slow_io slow_code code_list_walks softmmu_accesses
translations translated_insns smc_stores code_page_data_stores protects maps unmaps host_calls evictions peak_mappings
table_bytes table_lines reserved_bytes
insns insns_per_access cross_insns cross_ns kernel_ns ns
"""
COLUMNS = CONTRACT.split()


def table(text: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(text)))


def test_columns_stand_in_the_order_of_the_contract(cli, trace):
    done = cli("compare", trace, "--format", "csv")
    assert done.code == 0
    header = done.out.splitlines()[0].split(",")
    assert header[: len(COLUMNS)] == COLUMNS
    later = """mmap_calls mprotect_calls munmap_calls cross_kernel_ns hit_insns handler_insns translate_insns
        hit_ns handler_ns retranslate_ns translate_ns access_ns blocks_dropped retranslated_insns
        units8 wide_units8 ram_misaligned_units8 ram_cross_loads ram_cross_store_bytes
        second_half_accesses second_half_ns far_accesses"""
    assert header[len(COLUMNS) :][: len(later.split())] == later.split()


def test_a_row_for_each_scheme(cli, trace):
    rows = table(cli("compare", trace, "--format", "csv").out)
    assert [row["strategy"] for row in rows] == [str(s) for s in default_strategies("user")]
    assert {row["trace"] for row in rows} == {trace}


def test_shape_counts_worked_by_hand(cli, trace):
    for row in table(cli("compare", trace, "--format", "csv").out):
        expected = {"rows": 12, "accesses": 11, "loads": 7, "stores": 4, "execs": 1, "guest_insns": 5, "pages": 4}
        expected |= {"misaligned": 3, "page_cross": 2, "io_accesses": 0, "mode_switches": 0, "translations": 1}
        assert {name: row[name] for name in expected} == {name: str(n) for name, n in expected.items()}


def test_an_event_that_a_scheme_does_not_have_is_empty(cli, trace):
    for row in table(cli("compare", trace, "--format", "csv").out):
        empty = EMPTY[row["strategy"].partition(",")[0]]
        assert {name for name in COLUMNS if row[name] == ""} == {*COLUMNS} & {*empty}


def test_sums(cli, trace):
    for row in table(cli("compare", trace, "--format", "csv").out):
        n = {name: int(value) for name, value in row.items() if value.isdigit()}
        assert n["faults"] == sum(count for name, count in n.items() if name.startswith("faults_"))
        if "host_calls" in n:
            assert n["host_calls"] == n["mmap_calls"] + n["mprotect_calls"] + n["munmap_calls"]
        insns = float(row["insns"])
        assert insns == n["hit_insns"] + n["handler_insns"] + n["translate_insns"]
        assert float(row["insns_per_access"]) == insns / n["accesses"]
        each = {name: float(row[name]) for name in (*TIMES, "ns", "kernel_ns")}
        assert each["access_ns"] == pytest.approx(
            each["hit_ns"] + each["handler_ns"] + each["kernel_ns"] + each["retranslate_ns"]
        )
        assert each["ns"] == pytest.approx(each["access_ns"] + each["translate_ns"])
        assert each["translate_ns"] == pytest.approx(
            load_profile().ns["translate"] * (n["translated_insns"] - n["retranslated_insns"])
        )


def test_crossing_costs(cli, trace):
    rows = {row["strategy"]: row for row in table(cli("compare", trace, "--format", "csv").out)}
    assert rows["map-block"]["cross_insns"] == rows["qemu-fast"]["cross_insns"] == "0"
    assert float(rows["map-block"]["cross_ns"]) == float(rows["qemu-fast"]["cross_ns"]) == 0
    assert rows["byte-lookup"]["faults_cross"] == rows["softmmu"]["slow_cross"] == "2"
    assert float(rows["softmmu"]["cross_insns"]) > 0
    assert float(rows["softmmu"]["cross_kernel_ns"]) == 0
    assert (
        float(rows["byte-lookup"]["cross_kernel_ns"]) == 2 * load_profile().ns["signal"]
    )  # one signal for each, however often


@pytest.mark.parametrize("every", [1, 5, 6, 12, 100])
def test_windows_add_up(trace, every):
    whole = pd.DataFrame(compare(trace).frame).set_index("strategy")
    parts = pd.DataFrame(compare(trace, every=every).frame)
    assert parts["window_index"].max() == -(-len(ROWS) // every) - 1
    assert parts.groupby("strategy")["rows"].max().max() <= every
    summed = parts.drop(columns="trace").groupby("strategy").sum(min_count=1)
    for column in whole.columns.drop(["trace", "insns_per_access", *HALF]):
        for scheme in whole.index:
            total, sums = whole.loc[scheme, column], summed.loc[scheme, column]
            assert (total is sums is pd.NA) or sums == pytest.approx(total)


def test_windows_do_not_depend_on_batches(tmp_path):
    path = write_trace(tmp_path / "long.arrow", repeat=10)
    frame = compare(path, ["map-block"], every=12).frame
    assert list(frame["rows"]) == [12] * 10
    assert list(frame["pages"]) == [4] + [0] * 9


def test_the_windows_of_all_traces_count_together(tmp_path):
    one, two = (write_trace(tmp_path / f"{n}.arrow", rows=n) for n in (3_000, 2_500))
    assert len(compare(one, ["softmmu"], every=1).frame) == 3_000
    with pytest.raises(UsageError, match=r"5,500 for all schemes.*give at least 2,"):
        compare([one, two], ["softmmu"], every=1)


def test_the_notebook_gets_the_same_table(cli, trace):
    frame = mmuexp.compare(trace, ["softmmu", "map-block,map_block_bits=20"])
    cli("compare", trace, "-s", "softmmu", "-s", "map-block,MAP_BLOCK_BITS=20", "--format", "csv")
    assert frame.to_csv(index=False) == cli.out
    assert str(frame["faults_unmapped"].dtype) == "Int64"
    assert frame.attrs["manifest"]["model_version"] >= 1


def test_traces_are_named_either_way(cli, trace, tmp_path):
    other = write_trace(tmp_path / "other.arrow", repeat=2)
    cli("compare", trace, other, "-s", "softmmu", "--format", "csv")
    positional = cli.out
    cli("compare", "--trace", trace, "--trace", other, "-s", "softmmu", "--format", "csv")
    assert positional == cli.out
    assert [row["trace"] for row in table(cli.out)] == [trace, other]


def test_without_a_trace_the_bundled_one_is_replayed_and_said(cli, bundled):
    done = cli("compare", "-s", "softmmu", "--format", "csv")
    assert [row["trace"] for row in table(done.out)] == ["default"]
    assert "bundled trace" in one_line(done.err)


def test_the_reference_is_added_where_it_is_missing(cli, trace):
    rows = table(cli("compare", trace, "-s", "map-block", "--reference", "qemu-fast", "--format", "csv").out)
    assert [row["strategy"] for row in rows] == ["qemu-fast", "map-block"]
    told = cli("compare", trace, "-s", "map-block", "--reference", "qemu-fast").out.split("\n\n")[1]
    assert told.splitlines()[0].split() == ["qemu-fast", "map-block"]


def test_the_table_tells_a_newcomer(cli, trace):
    done = cli("compare", trace)
    assert done.err == ""
    assert "12 rows, 11 memory accesses" in done.words
    for words in (
        "against",
        "instructions/access",
        "hit path",
        "helpers and handlers",
        "kernel time",
        "page crossings",
        "reference",
        "translating guest code",
        "  per 1,000 accesses",
        "a host fault costs",
        "  ahead of softmmu",
        "at the prices of epyc-vm",
    ):
        assert words in done.out + done.words
    assert max(map(len, done.out.split("\n\n")[1].splitlines())) <= 80
    assert re.search(r"reference \*|^ +\*", done.out, re.MULTILINE)  # in a narrow column below it
    assert "wins: " in done.out
    assert "\x1b" not in done.out


def test_what_does_not_fit_side_by_side_stands_in_rows(trace):
    few, many = ([f"map-block,map_block_bits={bits}" for bits in range(12, last)] for last in (15, 20))
    upright, wide = (summaries(compare(trace, specs, reference=specs[0]))[0] for specs in (few, many))
    assert (upright.upright, wide.upright) == (True, False)
    assert upright.width <= 120
    assert not summaries(compare(trace), 60)[0].upright
    assert summaries(compare(trace), 80)[0].upright


@pytest.mark.parametrize("reference", ["softmmu", "map-block,map_block_bits=20,evict=lifo"])
def test_no_label_of_an_upright_table_breaks(trace, reference):
    shown = summaries(compare(trace, reference=reference))[0]
    assert shown.upright
    assert not [row[0] for row in shown.cells if "\n" in row[0]]
    assert any(f"ahead of {reference}: the price" in note for note in shown.notes)


def test_the_prices_come_from_the_host(cli, trace):
    cli("compare", trace, "-s", "byte-lookup", "--format", "csv")
    today = table(cli.out)[0]
    then = table(cli("compare", trace, "-s", "byte-lookup", "--host", "pentium4-2004", "--format", "csv").out)[0]
    assert (today["insns"], today["faults"]) == (then["insns"], then["faults"])
    assert float(then["kernel_ns"]) != float(today["kernel_ns"])


@pytest.mark.parametrize(
    ("check", "code"),
    [
        ("faults>1000", 0),
        ("accesses>10", 3),
        ("accesses>=11", 3),
        ("accesses>11", 0),
        ("softmmu:faults>0", 0),
        ("map-block:faults>0", 3),
        ("map-block : faults > 0", 3),
        ("map-block,evict=fifo:faults>0", 3),
        ("softmmu:maps>=0", 0),  # no such event: never true
        ("rows!=12", 0),
        ("rows==12", 3),
    ],
)
def test_fail_if(cli, trace, check, code):
    done = cli("compare", trace, "-s", "softmmu", "-s", "map-block", "--fail-if", check)
    assert done.code == code
    assert "wins" in done.out  # the table comes all the same
    if code:
        assert check in one_line(done.err)


@pytest.mark.parametrize(
    ("arguments", "options", "says"),
    [
        ([[]], {}, "traces: no trace is named"),
        ([5], {}, "traces: 5 is of type int"),
        ([b"x.arrow"], {}, "traces: b'x.arrow' is of type bytes"),
        ([[3]], {}, "traces: 3 in it is of type int"),
        (["{trace}", []], {}, "no strategy is named"),
        (["{trace}", 5], {}, "strategies: 5 is of type int"),
        (["{trace}", ["softmmu", None]], {}, "strategies: None in it is of type NoneType"),
        (["{trace}"], {"reference": 5}, "reference: 5 is of type int"),
        (["{trace}"], {"reference": ["softmmu", "map-block"]}, "reference: 2 references"),
        (["{trace}"], {"every": "10"}, "every: '10' is of type str"),
        (["{trace}"], {"every": 2.5}, "every: 2.5 is of type float"),
        (["{trace}"], {"every": True}, "every: True is of type bool"),
        (["{trace}"], {"every": 0}, "a window of 0 rows"),
        (["{trace}"], {"host": 3}, "host: 3 is of type int"),
    ],
)
def test_arguments_of_a_wrong_type(trace, arguments, options, says):
    given = [one.format(trace=trace) if isinstance(one, str) else one for one in arguments]
    with pytest.raises(UsageError) as failure:
        mmuexp.compare(*given, **options)
    assert says in str(failure.value)


def test_a_sweep_of_no_trace_is_refused():
    with pytest.raises(UsageError, match="no trace is named"):
        mmuexp.sweep("entries=8", traces=[])


def test_a_check_of_a_window(cli, trace):
    assert cli("compare", trace, "--every", "6", "--fail-if", "window_index>1").code == 0
    assert cli("compare", trace, "--every", "6", "--fail-if", "window>0").code == 3


def test_an_empty_trace(cli, tmp_path):
    path = write_trace(tmp_path / "empty.arrow", repeat=0)
    rows = table(cli("compare", path, "--format", "csv").out)
    assert {row["accesses"] for row in rows} == {"0"}
    assert {row["insns_per_access"] for row in rows} == {""}
    assert cli("compare", path).code == 0


def test_an_interruption_keeps_the_traces_that_were_finished(cli, trace, tmp_path, monkeypatch):
    other = write_trace(tmp_path / "other.arrow")
    out = tmp_path / "kept.csv"

    def interrupt(name, done, rows):
        if name == other:
            raise KeyboardInterrupt

    with pytest.raises(Interrupted) as stopped:
        compare([trace, other], ["softmmu"], progress=interrupt)
    assert list(stopped.value.result.frame["trace"]) == [trace]

    monkeypatch.setattr("mmuexp.cli.output.telling", lambda progress: interrupt)
    done = cli("compare", trace, other, "-s", "softmmu", "-o", out)
    assert done.code == 130
    assert [row["trace"] for row in table(out.read_text())] == [trace]
    assert "interrupted after 1 of 2" in (tmp_path / "kept.csv.manifest.json").read_text()


def test_faults_are_told_for_each_thousand_accesses(trace):
    shown = summaries(compare(trace, ["softmmu", "byte-lookup"]))[0]
    lines = {row[0]: row[1:] for row in shown.cells}
    faults = int(lines["host faults"][1])
    assert faults > 0
    assert lines["  per 1,000 accesses"] == ["0", f"{1000 * faults / 11:.0f}"]  # of 11 accesses
