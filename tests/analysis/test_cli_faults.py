"""`mmuexp faults`: the list as CSV and Parquet, the sums as a table, and how it fails."""

import csv
import json

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest
from kit.cli import one_line
from kit.traces import write_trace

import mmuexp
from mmuexp.guest import Op
from mmuexp.render import faultfile

HEAD = "row,vaddr,cause,block,page\n"


def test_the_list_of_the_small_trace(cli, trace):
    done = cli("faults", "--trace", trace, "-s", "map-block", "-o", "-")
    assert (done.code, done.err) == (0, "")
    # rows 1 4 6 9 touch pages first; rows 3 and 7 are first stores, the crossing one to both pages
    assert done.out == HEAD + "".join(
        f"{row},{vaddr},faults_{cause},{vaddr >> 16},{vaddr >> 12}\n"
        for row, vaddr, cause in [
            (1, 0x10000, "block"), (3, 0x10008, "write"), (4, 0x20000, "block"), (6, 0x21000, "unmapped"),
            (7, 0x20FFE, "write"), (7, 0x21000, "write"), (9, 0x30000, "block"),
        ]
    )  # fmt: skip
    assert cli("faults", trace, "-s", "map-block", "--format", "csv").out == done.out


def test_csv_and_parquet_read_back_the_same(cli, trace, tmp_path, monkeypatch):
    monkeypatch.setattr(faultfile, "PIECE", 2)  # several pieces, the last one not full
    names = [tmp_path / "f.csv", tmp_path / "f.parquet"]
    for spec in ("map-block", "byte-lookup", "qemu-fast", "softmmu"):
        done = cli("faults", "--trace", trace, "-s", spec, "-o", names[0], "-o", names[1])
        assert (done.code, done.out) == (0, "")
        assert [f"mmuexp: wrote {name}" for name in names] == done.err.splitlines()[:2]
        frame = mmuexp.faults(trace, spec)
        rows = frame.astype(object).where(frame.notna(), None).to_dict("records")
        assert pq.read_table(names[1]).to_pylist() == rows
        with names[0].open() as file:
            read = [{k: v or None for k, v in row.items()} for row in csv.DictReader(file)]
        assert read == [{k: None if v is None else str(v) for k, v in row.items()} for row in rows]
        for name in names:
            about = json.loads((tmp_path / f"{name.name}.manifest.json").read_text())
            assert about["kind"] == "faults"
            assert about["complete"] == "yes"
            assert about["strategies"][0]["spec"] == spec
            assert about["traces"][0]["trace"] == trace
            assert sum(about["faults"].values()) == len(rows)
    assert {p.name for p in tmp_path.iterdir()} >= {"f.csv", "f.csv.manifest.json", "f.parquet"}
    assert not list(tmp_path.glob(".*"))


def test_the_types_of_parquet(cli, trace, tmp_path):
    cli("faults", trace, "-s", "map-block", "-o", tmp_path / "f.parquet")
    kinds = {field.name: str(field.type) for field in pq.read_schema(tmp_path / "f.parquet")}
    assert kinds == {"row": "uint64", "vaddr": "uint32", "cause": "string", "block": "uint32", "page": "uint32"}
    assert pd.read_parquet(tmp_path / "f.parquet")["block"].tolist() == [1, 1, 2, 2, 2, 2, 3]


def test_the_table_sums_by_cause_page_and_block(cli, trace):
    done = cli("faults", trace, "-s", "map-block", "--top", "2")
    assert (done.code, done.err) == (0, "")
    lines = done.out.splitlines()
    assert "map-block: 7 host faults, on 4 pages of 3 blocks cause faults share" in done.words
    table = {line.split()[0]: line.split()[1:] for line in lines[1:] if line}
    assert table["write"] == ["3", "42.9", "%"]
    assert table["all"] == ["7"]
    assert "The 2 pages with most faults, 57.1 % of all:" in lines
    assert table["0x00010"] == ["2", "28.6", "%", "0", "1", "1", "0", "0"]  # as many as page 0x20, 0x21: lowest first
    assert "0x00030" not in table
    assert "The 2 blocks with most faults, 85.7 % of all:" in lines
    assert table["0x2"] == ["4", "57.1", "%", "1", "1", "2", "0", "0"]


def test_a_file_and_the_table(cli, trace, tmp_path):
    whole = cli("faults", trace, "-s", "map-block").out
    assert "By page:" in whole
    for more in (["--top", "10"], ["--format", "table"], ["-o", "-", "--format", "table"]):
        assert cli("faults", trace, "-s", "map-block", "-o", tmp_path / "f.csv", *more).out == whole
    done = cli("faults", trace, "-s", "map-block", "-o", tmp_path / "f.csv", "-o", "-")
    assert done.out == (tmp_path / "f.csv").read_text()


def test_softmmu_takes_none(cli, trace, tmp_path):
    done = cli("faults", trace, "-s", "softmmu")
    assert done.code == 0
    assert done.words.endswith("no host faults; the scheme has none, every access is checked in code")
    done = cli("faults", trace, "-s", "softmmu", "-o", tmp_path / "f.csv")
    assert done.code == 0
    assert "softmmu takes no host faults: the list is empty" in done.err
    assert (tmp_path / "f.csv").read_text() == HEAD


def test_without_faults_there_are_no_tables(cli, tmp_path):
    trace = write_trace(tmp_path / "exec.arrow", [(Op.EXEC, 0x40000, 20, 5)])
    done = cli("faults", trace, "-s", "map-block")
    assert (done.code, done.out) == (0, f"{trace}: 1 rows, map-block: no host faults\n")


def test_the_bundled_trace_is_named(cli, bundled):
    done = cli("faults", "-s", "map-block", "--format", "csv")
    assert done.code == 0
    assert "no --trace given; replaying the bundled trace" in one_line(done.err)
    assert done.out.count("\n") == 8


@pytest.mark.parametrize(
    ("argv", "code", "says"),
    [
        ([], 2, "Missing option '-s'"),
        (["-s", "mapblok"], 2, "did you mean map-block"),
        (["-s", "map-block", "-o", "f.json"], 2, "known: .csv .parquet"),
        (["-s", "map-block", "-o", "f.csv", "-o", "./f.csv"], 2, "is written for -o f.csv already"),
        (["-s", "map-block", "-o", "-", "--top", "3"], 2, "cannot hold both"),
        (["-s", "map-block", "--top", "0"], 2, "x>=1"),
        (["-s", "map-block", "--format", "json"], 2, "is not one of"),
        (["-s", "map-block", "--trace", "other.arrow"], 2, "both name a trace"),
        (["-s", "map-block", "-o", "nowhere/f.csv"], 1, "nowhere/f.csv: cannot be written"),
    ],
)
def test_wrong_usage_is_one_line(cli, trace, tmp_path, monkeypatch, argv, code, says):
    monkeypatch.chdir(tmp_path)
    done = cli("faults", trace, *argv)
    assert (done.code, done.out) == (code, "")
    assert says in one_line(done.err)
    assert not list(tmp_path.glob("*f.csv*"))


def test_a_bad_trace_leaves_no_file(cli, tmp_path):
    trace = write_trace(tmp_path / "bad.arrow", [(Op.LOAD, 0x1000, 4, 1), (Op.LOAD, 0x1000, 99, 1)])
    done = cli("faults", trace, "-s", "map-block", "-o", tmp_path / "f.csv")
    assert done.code == 1
    assert "row 1" in one_line(done.err)
    assert [p.name for p in tmp_path.iterdir()] == ["bad.arrow"]
    assert cli("faults", tmp_path / "none.arrow", "-s", "map-block").code == 1


def test_a_full_disk_is_one_line(cli, trace, tmp_path):
    (tmp_path / "full.csv").symlink_to("/dev/full")
    done = cli("faults", trace, "-s", "map-block", "-o", tmp_path / "full.csv")
    assert (done.code, done.out) == (1, "")
    assert "could not be written: no space left" in one_line(done.err)


def test_many_faults_are_written_in_bounded_pieces(cli, tmp_path):
    pages = [(Op.LOAD, at << 12, 4, 1) for at in range(300)]
    trace = write_trace(tmp_path / "long.arrow", pages, rows=400_000)
    done = cli("faults", trace, "-s", "byte-lookup", "-o", tmp_path / "f.parquet", "--top", "1")
    assert done.code == 0
    file = pq.ParquetFile(tmp_path / "f.parquet")
    assert file.num_row_groups == -(-400_000 // faultfile.PIECE)
    table = file.read()
    assert np.array_equal(table["row"].to_numpy(), np.arange(400_000))  # 300 pages in turn, 255 windows: all fault
    assert "400,000 host faults, on 300 pages" in done.words
