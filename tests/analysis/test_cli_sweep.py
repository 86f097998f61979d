"""`mmuexp sweep` and `mmuexp.sweep`: parameter columns, both tables of MAP_BLOCK_BITS, whose parameter it is."""

import csv
import io

import pytest
from kit.cli import one_line
from rich.console import Console

import mmuexp
from mmuexp.analysis import passes
from mmuexp.analysis.compare import compare
from mmuexp.analysis.compare import sweep as result_of_sweep
from mmuexp.errors import UsageError
from mmuexp.render.terminal.result import print_result


def table(text: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(text)))


def test_map_block_bits_as_it_stands(cli, bundled):
    done = cli("sweep", "MAP_BLOCK_BITS")
    assert done.code == 0
    assert "bundled trace" in one_line(done.err)
    assert "a pool of 64 blocks" in done.out
    assert "a pool of 64 MiB" in done.out
    assert "█" not in done.out  # bars are for a terminal


def test_one_csv_holds_both_tables(cli, bundled):
    rows = table(cli("sweep", "MAP_BLOCK_BITS", "--format", "csv").out)
    assert [(row["map_block_bits"], row["pool_mib"]) for row in rows] == [
        (str(bits), pool) for pool in ("0", "64") for bits in range(12, 23)
    ]
    assert list(rows[0])[-3:] == ["map_block_bits", "pool_blocks", "pool_mib"]
    assert len({row["strategy"] for row in rows}) == 22


def test_a_sweep_counts_what_compare_counts(trace):
    swept = mmuexp.sweep("map_block_bits=12..14", trace, strategy="map-block,pool_blocks=2")
    plain = compare(trace, list(swept["strategy"])).frame
    assert list(swept["map_block_bits"]) == [12, 13, 14]
    assert swept[plain.columns].astype(str).equals(plain.astype(str))


def test_two_parameters_are_two_columns(cli, trace):
    rows = table(cli("sweep", "entries=8,16", "--trace", trace, "--format", "csv").out)
    assert [row["entries"] for row in rows] == ["8", "16"]
    rows = table(cli("sweep", "EVICT=fifo,lifo", "pool_blocks=1..2", "--trace", trace, "--format", "csv").out)
    assert [(row["evict"], row["pool_blocks"]) for row in rows] == [
        ("fifo", "1"), ("fifo", "2"), ("lifo", "1"), ("lifo", "2")
    ]  # fmt: skip


def test_a_reference_of_another_scheme_has_no_parameters(cli, trace):
    done = cli("sweep", "entries=8,16", "--trace", trace, "--reference", "softmmu", "--format", "csv")
    rows = table(done.out)
    assert [(row["strategy"], row["entries"]) for row in rows] == [
        ("softmmu", ""), ("byte-lookup,entries=8", "8"), ("byte-lookup,entries=16", "16")
    ]  # fmt: skip
    assert "softmmu" in cli("sweep", "entries=8,16", "--trace", trace, "--reference", "softmmu").out


def test_a_sweep_is_measured_against_the_defaults(cli, trace):
    cli("sweep", "tlb_bits", "--trace", trace)
    assert any(line.split()[:1] == ["8"] and "reference" in line for line in cli.out.splitlines())


def test_a_parameter_of_several_schemes_asks_which(cli, trace, monkeypatch):
    from mmuexp.strategy import registry

    classes = registry.all_strategies()
    ours = classes["map-block"]  # not a scheme of this file: what this file raises would be called its mistake
    twin = type("Twin", (ours,), {"name": "twin", "__module__": ours.__module__})
    monkeypatch.setattr(registry, "all_strategies", lambda: {**classes, "twin": twin})
    done = cli("sweep", "map_pages=1,2", "--trace", trace)
    assert done.code == 2
    assert "-s map-block or -s twin" in one_line(done.err)
    assert cli("sweep", "map_pages=1,2", "-s", "map-block", "--trace", trace).code == 0


def test_an_interrupted_sweep_keeps_what_was_finished(cli, trace, tmp_path, monkeypatch):
    growing = iter(range(0, 1 << 40, passes.SCHEMES_BYTES + 1))  # each scheme needs a pass of its own
    monkeypatch.setattr(passes, "resident_bytes", lambda: next(growing))
    calls = []

    def interrupt(name, done, rows):
        calls.append(done)
        if len(calls) == 7:  # three for each pass, as a trace is cut in its middle: the third begins
            raise KeyboardInterrupt

    monkeypatch.setattr("mmuexp.cli.output.telling", lambda progress: interrupt)
    done = cli("sweep", "entries=8..14", "--trace", trace, "-o", tmp_path / "r.csv", "-o", "-")
    assert done.code == 130, done.err
    assert [row["entries"] for row in table((tmp_path / "r.csv").read_text())] == ["8", "9"]
    assert "interrupted after 0 of 1 traces and 2 of 7 schemes" in done.out


def test_a_check_may_name_a_parameter(cli, trace, tmp_path):
    sweep = ["sweep", "MAP_BLOCK_BITS", "--trace", trace, "-o", tmp_path / "r.json", "--fail-if"]
    assert cli(*sweep, "map_block_bits>22").code == 0
    assert cli(*sweep, "pool_mib<0").code == 0
    assert cli(*sweep, "map_block_bits>12").code == 3
    assert "has map_block_bits 13" in cli.err
    assert cli("export", tmp_path / "r.json", "--fail-if", "map_block_bits>12").code == 3


@pytest.mark.parametrize("params", [5, None, [None], ["entries", 3], {3: [1]}, b"entries", [], "", {"entries": "１６"}])
def test_params_of_a_wrong_type(trace, params):
    with pytest.raises(UsageError):
        mmuexp.sweep(params, trace)


@pytest.mark.parametrize("strategy", ["", " ", 5, ["byte-lookup"]])
def test_a_strategy_that_is_none(trace, strategy):
    with pytest.raises(UsageError, match="strategy"):
        mmuexp.sweep("entries=8", trace, strategy=strategy)


def test_wrong_usage(cli, trace):
    for argv, says in [
        (["sweep"], "PARAM"),
        (["sweep", "entries", "-s", ""], "no strategy is named"),
        (["sweep", "tlb_bits", "-s", "softmmu", "-s", "map-block"], "a sweep varies one scheme"),
        (["sweep", "entries=１６"], "write digits 0..9"),
        (["sweep", "entries=１..９"], "write digits 0..9"),
        (["sweep", "entries", "--fail-if", "tlb_bits>1"], "there is no column 'tlb_bits'"),
        (["sweep", "evict", "--fail-if", "evict>1"], "there is no column 'evict' of numbers"),
        (["sweep", "entrys"], "did you mean entries?"),
        (["sweep", "entries=0..9", "--trace", trace], "out of range"),
        (["sweep", "entries=9..1", "--trace", trace], "write 1..9"),
        (["sweep", "entries", "-s", "map-block", "--trace", trace], "has no parameter entries"),
    ]:
        done = cli(*argv)
        assert done.code == 2, argv
        assert says in one_line(done.err)
        assert done.out == ""


def test_bars_are_drawn_on_a_terminal_alone(trace):
    found = result_of_sweep("pool_blocks=1,2", trace)
    for terminal in (True, False):
        console = Console(file=io.StringIO(), force_terminal=terminal, no_color=True, width=120)
        print_result(found, console)
        assert console.file.getvalue().count(" host kernel") == terminal
