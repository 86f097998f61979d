"""Bad input: one line that says what, where and what to do; the right exit code; nothing half-written."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from kit.cli import one_line
from kit.places import TESTS
from kit.traces import write_trace

BROKEN = TESTS / "kit" / "third_party_broken"


@pytest.mark.parametrize(
    ("argv", "code", "says"),
    [
        (["comprae"], 2, "did you mean 'compare'?"),
        (["frobnicate"], 2, "there are compare, sweep"),
        (["--frobnicate"], 2, "--frobnicate"),
        (["compare", "--frobnicate"], 2, "see `mmuexp compare --help`"),
        (["compare", "{trace}", "-s", "softmmuu"], 2, "did you mean softmmu?"),
        (["compare", "{trace}", "-s", "map-block,map_block_bit=16"], 2, "did you mean map_block_bits?"),
        (["compare", "{trace}", "-s", "map-block,map_block_bits=99"], 2, "12..40"),
        (["compare", "{trace}", "-s", "map-block,map_block_bits=x"], 2, "12..40"),
        (["compare", "{trace}", "-s", "map-block,evict"], 2, "key=value"),
        (["compare", "{trace}", "-s", ""], 2, "strategy"),
        (["compare", "{trace}", "--reference", "nonsense"], 2, "nonsense"),
        (["compare", "{trace}", "--host", "nonsense"], 2, "pentium4-2004"),
        (["compare", "{trace}", "--host", "{folder}/none.toml"], 2, "none.toml"),
        (["compare", "{trace}", "--host", ""], 2, "'--host': '' is not a host profile"),
        (["compare", "{trace}", "--host", "", "--price", "signal=1"], 2, "'--host': '' is not a host profile"),
        (["compare", "{trace}", "--every", "0"], 2, "--every"),
        (["compare", "{trace}", "--every", "x"], 2, "--every"),
        (["compare", "{long}", "--every", "1", "-s", "softmmu"], 2, "give at least 6,"),
        (["compare", "{trace}", "-j", "257"], 2, "--jobs: is 257, not a whole number from 1 to 256"),
        (["compare", "{trace}", "--format", "xls"], 2, "xls"),
        (["compare", "{trace}", "--fail-if", "faults"], 2, "faults>1000"),
        (["compare", "{trace}", "--fail-if", "fautls>1"], 2, "did you mean faults?"),
        (["compare", "{trace}", "--fail-if", "faults>x"], 2, "not a number"),
        (["compare", "{trace}", "--fail-if", "faults>nan"], 2, "'nan' is not a number"),
        (["compare", "{trace}", "--fail-if", "faults>inf"], 2, "'inf' is not a number"),
        (["compare", "{trace}", "--fail-if", "faults>1e999"], 2, "not a number"),
        (["compare", "{trace}", "--fail-if", "faults>１"], 2, "not a number"),
        (["compare", "{trace}", "--fail-if", "window>1"], 2, "only `compare --every ROWS` makes"),
        (["compare", "{trace}", "--fail-if", "nonsense:faults>1"], 2, "nonsense"),
        (["compare", "{folder}/none.arrow"], 1, "none.arrow"),
        (["compare", "{folder}/folder.csv"], 1, "{folder}/folder.csv: is a folder without a recording"),
        (["compare", ""], 1, "mmuexp: '': cannot be read: no such file"),
        (["compare", "{trace}", "-o", ""], 2, "mmuexp: '': does not say its format"),
        (["faults", "--trace", "", "-s", "map-block"], 1, "mmuexp: '': cannot be read: no such file"),
        (["trace", "slice", "{trace}", "0:3", "-o", ""], 1, "mmuexp: '': cannot be written"),
        (["trace", "export", "{trace}", "-o", ""], 2, "mmuexp: '': has the suffix ''"),
        (["trace", "import", "", "-o", "{folder}/n.arrow"], 1, "mmuexp: '': cannot be read"),
        (["compare", "{trace}", "{text}"], 1, "{text}"),
        (["compare", "{empty}"], 1, "is empty"),
        (["compare", "{cut}"], 1, "trace recover"),
        (["compare", "{trace}", "-o", "{folder}/none/r.csv"], 1, "cannot be written"),
        (["compare", "{trace}", "-o", "/proc/r.csv"], 1, "cannot be written"),
        (["compare", "{trace}", "-o", "{folder}/folder.csv"], 1, "cannot be written"),
        (["compare", "{trace}", "-o", "{folder}/r.xls"], 2, ".csv .json .md .parquet .html .svg .png"),
        (["sweep", "MAP_BLOCK_BITS", "--trace", "{folder}/none.arrow"], 1, "none.arrow"),
        (["trace", "relocate", "{trace}", "--seed", "-1", "-o", "{folder}/n.arrow"], 2, "--seed: -1 is not a seed"),
        (["misses", "{trace}", "--move-bits", "20"], 2, "--move-bits: is 20, not a whole number from 1 to 19"),
        (["misses", "{trace}", "--load-seed", "1", "--join-pages", "0"], 2, "--join-pages: is 0, not a"),
        (["claims", "--only", "99"], 2, "--only: there is no claim 99"),
        (["export", ""], 2, "mmuexp: '': is not a saved result"),
        (["export", "{folder}/none.json"], 1, "none.json"),
        (["export", "{text}"], 2, ".json .csv .parquet"),
        (["export", "{wrong}"], 1, "is not a saved result"),
        (["export", "{wrong_csv}"], 1, "is not a saved result"),
        (["export", "{wrong_parquet}"], 1, "is not a saved result"),
    ],
)
def test_one_line(cli, tmp_path, argv, code, says):
    whole = Path(write_trace(tmp_path / "small.arrow", repeat=50))
    long = write_trace(tmp_path / "long.arrow", rows=30_000)
    files = {"trace": whole, "folder": tmp_path, "long": long}
    for name, content in {
        "text.txt": b"hello\n",
        "empty.arrow": b"",
        "cut.arrow": whole.read_bytes()[:-40],
        "wrong.json": b'{"format": "something"}',
        "wrong_csv.csv": b"a,b\n1,2\n",
        "wrong_parquet.parquet": b"PAR1 no",
    }.items():
        (tmp_path / name).write_bytes(content)
        files[name.split(".")[0]] = tmp_path / name
    (tmp_path / "folder.csv").mkdir()
    before = sorted(p.name for p in tmp_path.iterdir())
    done = cli(*(word.format(**files) for word in argv))
    assert (done.code, done.out) == (code, ""), done.err
    assert says.format(**files) in one_line(done.err)
    assert sorted(p.name for p in tmp_path.iterdir()) == before


@pytest.mark.parametrize("path", ["{folder}/none/r.csv", "{folder}/r.xls"])
def test_outputs_are_checked_before_the_work(cli, trace, tmp_path, monkeypatch, path):
    monkeypatch.setattr("mmuexp.analysis.experiment.run_passes", lambda *_, **__: pytest.fail("work began"))
    assert cli("compare", trace, "-o", path.format(folder=tmp_path)).code in (1, 2)


def test_every_trace_is_opened_before_the_first_is_replayed(cli, trace, tmp_path, monkeypatch):
    monkeypatch.setattr("mmuexp.analysis.experiment.run_passes", lambda *_, **__: pytest.fail("work began"))
    assert cli("compare", trace, tmp_path / "none.arrow").code == 1


def test_a_row_that_is_an_error_stops_the_replay(cli, tmp_path):
    from mmuexp.guest import Op

    path = write_trace(tmp_path / "bad.arrow", [(Op.LOAD, 0, 4, 1), (Op.LOAD, 0, 99, 1)])
    done = cli("compare", path, "-o", tmp_path / "r.csv")
    assert done.code == 1
    assert "row 1" in one_line(done.err)
    assert not (tmp_path / "r.csv").exists()


def test_a_bug_is_one_line_and_a_traceback_only_if_asked_for(cli, trace, monkeypatch):
    def bug(*_, **__):
        raise ZeroDivisionError("a bug\nof two lines")

    monkeypatch.setattr("mmuexp.analysis.experiment.run_passes", bug)
    done = cli("compare", trace)
    assert done.code == 1
    assert "ZeroDivisionError: a bug of two lines" in one_line(done.err)
    for argv in (["-vv", "compare", trace], ["compare", trace, "-vv"], ["-v", "compare", "-v", trace]):
        done = cli(*argv)
        assert done.code == 1
        assert "Traceback" in done.err


def test_an_interruption(cli, trace, monkeypatch):
    def interrupt(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr("mmuexp.analysis.experiment.run_passes", interrupt)
    done = cli("compare", trace)
    assert done.code == 130
    assert "interrupted" in one_line(done.err)


def test_an_interruption_beside_a_scheme_that_imports_what_we_use(cli, trace, tmp_path, monkeypatch):
    own = tmp_path / "with_click.py"
    own.write_text(
        "import click\nfrom mmuexp.strategies.softmmu import Softmmu\n\n\nclass Own(Softmmu):\n    name = 'own'\n"
    )
    assert cli("strategy", "show", own).code == 0  # every command of ours passes through click
    test_an_interruption(cli, trace, monkeypatch)


@pytest.fixture
def broken_third_party(monkeypatch):
    monkeypatch.syspath_prepend(str(BROKEN))


def test_a_broken_third_party_strategy_is_named_when_it_is_used(cli, trace, broken_third_party):
    done = cli("compare", trace, "-s", "broken-scheme")
    assert done.code == 1
    line = one_line(done.err)
    assert "broken-scheme" in line
    assert "RuntimeError: this module is broken" in line


def test_and_does_not_break_the_others(cli, trace, broken_third_party):
    assert cli("compare", trace).code == 0
    assert cli("sweep", "entries=8", "--trace", trace).code == 0
    done = cli("compare", trace, "-s", "softmmu")
    assert (done.code, done.err) == (0, "")


def test_a_full_disk_behind_stdout(trace):
    argv = [sys.executable, "-m", "mmuexp", "compare", trace, "-s", "softmmu", "--format", "csv"]
    with open("/dev/full", "w") as full:
        done = subprocess.run(argv, stdout=full, stderr=subprocess.PIPE, text=True)
    assert done.returncode == 1
    assert "no space left" in one_line(done.stderr)


@pytest.mark.parametrize("format_", ["table", "csv"])
def test_a_closed_pipe_ends_quietly(trace, format_):
    reader, writer = os.pipe()
    os.close(reader)
    argv = [sys.executable, "-m", "mmuexp", "compare", trace, "-s", "softmmu", "--format", format_]
    done = subprocess.run(argv, stdout=writer, stderr=subprocess.PIPE, text=True)
    os.close(writer)
    assert (done.returncode, done.stderr) == (0, "")
