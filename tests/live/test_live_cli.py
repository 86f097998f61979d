"""`mmuexp verify` as a command: what it prints and writes, and how it refuses."""

import csv
import io
import json
import os
import re
import subprocess
import sys

import pandas as pd
import pytest
from kit.cli import one_line
from kit.replays import DEFAULTS
from kit.traces import SYSTEM, random_trace, write

NAMES = ["trace", "strategy", "event", "model", "live", "equal", "first_row"]
# The trace of kit.traces under map-block: pages 10 20 21 30 (hex); stores to 10, 20/21 (mapped read-only) and 30 (not)
MAP_BLOCK = {"faults_block": 3, "faults_unmapped": 1, "faults_write": 3, "maps": 4, "translations": 1}


def test_a_table_and_a_verdict(cli, trace):
    assert cli("verify", "--trace", trace).code == 0
    assert cli.err == ""
    for scheme in DEFAULTS:
        assert scheme in cli.out
    assert cli.out.count("equal") == len(DEFAULTS)
    assert "DIFFERENT" not in cli.out
    rows = {line.split()[0]: line.split()[1:] for line in cli.out.splitlines() if line[:1].isalpha()}
    assert rows["checked_loads"] == ["7"] * len(DEFAULTS)
    assert rows["checked_stores"] == ["4"] * len(DEFAULTS)
    assert rows["signals"][0] == "0"
    signals = sum(map(int, rows["signals"]))
    runs = len(DEFAULTS)
    assert f"of {runs} runs: {signals} SIGSEGVs were taken where the model says, and {7 * runs} loads" in cli.words


def test_one_scheme_and_the_file_as_an_argument(cli, trace):
    assert cli("verify", trace, "-s", "softmmu").code == 0
    assert "of 1 run:" in cli.out


def counts_of(rows) -> dict[str, int]:
    return {row["event"]: int(row["live"]) for row in rows}


def test_csv_on_stdout(cli, trace):
    assert cli("verify", "--trace", trace, "-s", "map-block", "--format", "csv").code == 0
    rows = list(csv.DictReader(io.StringIO(cli.out)))
    assert list(rows[0]) == NAMES
    assert {row["equal"] for row in rows} == {"True"}
    assert all(row["model"] == row["live"] and row["strategy"] == "map-block" for row in rows)
    assert {name: counts_of(rows)[name] for name in MAP_BLOCK} == MAP_BLOCK


def test_json_on_stdout_has_its_manifest(cli, trace):
    assert cli("verify", "--trace", trace, "-s", "map-block", "--format", "json").code == 0
    document = json.loads(cli.out)
    assert {name: counts_of(document["rows"])[name] for name in MAP_BLOCK} == MAP_BLOCK
    assert document["manifest"]["traces"][0]["rows"] == 12
    assert document["rows"][0]["first_row"] is None


@pytest.mark.parametrize("kind", ["csv", "json", "parquet"])
def test_files(cli, trace, tmp_path, kind):
    path = tmp_path / f"out.{kind}"
    assert cli("verify", "--trace", trace, "-o", path).code == 0
    assert cli.out == ""
    assert cli.err.splitlines() == [f"mmuexp: wrote {path}"]
    if kind == "csv":
        frame = pd.read_csv(path)
    elif kind == "json":
        frame = pd.DataFrame(json.loads(path.read_text())["rows"])
    else:
        frame = pd.read_parquet(path)
    assert list(frame.columns) == NAMES
    assert frame["equal"].all()
    assert set(frame["strategy"]) == set(DEFAULTS)
    assert not list(tmp_path.glob("*.tmp*"))


def test_several_outputs_at_once(cli, trace, tmp_path):
    words = ["-o", tmp_path / "a.csv", "-o", tmp_path / "a.json", "-o", "-", "-s", "softmmu"]
    assert cli("verify", "--trace", trace, *words).code == 0
    assert cli.out == (tmp_path / "a.csv").read_text()
    assert json.loads((tmp_path / "a.json").read_text())["rows"]
    assert cli("verify", "--trace", trace, "-s", "softmmu", "-o", tmp_path / "b.csv", "--format", "table").code == 0
    assert "Model and engine agree" in cli.out


def test_stdout_may_be_named_and_its_format_too(cli, trace):
    assert cli("verify", trace, "-s", "softmmu", "-o", "-", "--format", "table").code == 0, cli.err
    assert "Model and engine agree" in cli.out
    assert json.loads(cli("verify", trace, "-s", "softmmu", "-o", "-", "--format", "json").out)["rows"]


def test_several_traces(cli, trace, tmp_path):
    other = write(tmp_path / "system.arrow", SYSTEM, mode="system")
    assert cli("verify", trace, other, "-s", "qemu-fast", "-s", "softmmu").code == 0
    assert f"{trace}: 12 rows" in cli.out
    assert f"{other}: 12 rows" in cli.out
    assert "of 4 runs" in cli.out


def test_a_difference_is_in_the_files_too(cli, tmp_path):
    from kit.traces import columns_of

    trace = write(tmp_path / "t.arrow", columns_of(random_trace(5, 6000, "user")))
    path = tmp_path / "out.csv"
    words = ["-s", "map-block,pool_blocks=4", "-s", "softmmu", "--plant", "small-pool", "-o", path, "--format", "table"]
    assert cli("verify", "--trace", trace, *words).code == 3
    assert "mmuexp: Model and engine differ in 1 of 2 runs" in cli.err
    frame = pd.read_csv(path)
    wrong = frame[~frame["equal"]]
    assert set(wrong["strategy"]) == {"map-block,pool_blocks=4"}
    assert "evictions" in set(wrong["event"])
    row = int(re.search(r"the first row where they part is ([\d,]+):", cli.out)[1].replace(",", ""))
    assert set(frame[frame["strategy"] != "softmmu"]["first_row"]) == {row}
    assert frame[frame["strategy"] == "softmmu"]["first_row"].isna().all()
    assert "; model faults_block at 0x" in cli.out


def test_without_a_trace_it_says_which(cli, bundled):
    assert cli("verify", "-s", "softmmu").code == 0
    assert "replaying the bundled trace" in one_line(cli.err)


def test_a_layout_that_cannot_serve_a_trace_is_left_out(cli, tmp_path):
    from kit.traces import system_rows

    rows = [(5, 0x60000000, 12, 0, 0, 1), (5, 0x90000000, 12, 0, 0, 2), (0, 0x60000000, 4), (0, 0x90000000, 4)]
    trace = write(tmp_path / "t.arrow", system_rows(*rows), mode="system")
    assert cli("verify", "--trace", trace).code == 0
    assert "qemu-fast,kernel_offset=0x30000000 is left out, it cannot serve this trace" in one_line(cli.err)
    assert "of 7 runs" in cli.out
    assert cli("verify", "--trace", trace, "-s", "qemu-fast,kernel_offset=0x30000000").code == 1
    assert "come to lie at one host page" in one_line(cli.err)


@pytest.mark.parametrize(
    ("words", "code", "says"),
    [
        (["-s", "softmmuu"], 2, "did you mean softmmu?"),
        (["-s", "map-block,map_block_bits=99"], 2, "12..40"),
        (["-s", ""], 2, "strategy"),
        (["--format", "xls"], 2, "xls"),
        (["--format", "md"], 2, "md"),
        (["-o", "{folder}/r.xls"], 2, ".csv .json .parquet"),
        (["-o", "{folder}/none/r.csv"], 1, "cannot be written"),
        (["-o", "{folder}/a.csv", "-o", "{folder}/../{name}/a.csv"], 2, "a.csv"),
        (["--time-limit", "0"], 2, "--time-limit"),
        (["--time-limit", "x"], 2, "--time-limit"),
        (["--plant", "nonsense"], 2, "there are none wrong-page"),
        (["--frobnicate"], 2, "see `mmuexp verify --help`"),
        (["{folder}/none.arrow"], 1, "none.arrow"),
    ],
)
def test_one_line(cli, trace, tmp_path, words, code, says):
    before = sorted(tmp_path.iterdir())
    words = [word.format(folder=tmp_path, name=tmp_path.name) for word in words]
    assert cli("verify", "--trace", trace, *words).code == code
    assert says in one_line(cli.err)
    assert sorted(tmp_path.iterdir()) == before


def test_a_bad_row_is_named_before_the_engine_gets_it(cli, tmp_path):
    from kit.traces import system_rows

    bad = write(tmp_path / "bad.arrow", system_rows((5, 0x1000, 12, 0, 0, 1), (0, 0x2000, 4)), mode="system")
    assert cli("verify", "--trace", bad).code == 1
    assert "row 1: LOAD at 0x00002000 of 4 bytes touches page 0x2" in one_line(cli.err)


def test_a_closed_pipe_is_quiet(trace):
    command = [sys.executable, "-m", "mmuexp", "verify", "--trace", trace, "-s", "softmmu"]
    read, write_end = os.pipe()
    os.close(read)
    done = subprocess.run(command, stdout=write_end, stderr=subprocess.PIPE, text=True)
    os.close(write_end)
    assert "Traceback" not in done.stderr
    assert len(done.stderr.splitlines()) <= 1
