"""Output files: the suffix decides, they appear whole, each with its manifest; export reads them back."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest
from kit.cli import one_line
from kit.places import HONEST_FILE

from mmuexp.analysis.compare import compare
from mmuexp.errors import MmuexpError
from mmuexp.result.manifest import command_line
from mmuexp.result.saved import load


def test_every_suffix_in_one_run(cli, trace, tmp_path):
    names = ["r.csv", "r.json", "r.md", "r.parquet", "r.html", "r.svg", "r.png"]
    argv = [word for name in names for word in ("-o", tmp_path / name)]
    done = cli("compare", trace, *argv)
    assert (done.code, done.out) == (0, "")  # files were asked for, not stdout
    assert done.err.splitlines() == [f"mmuexp: wrote {tmp_path / name}" for name in names]
    manifests = {f"{name}.manifest.json" for name in names if name != "r.json"}
    assert {p.name for p in tmp_path.iterdir()} == {*names, *manifests, "small.arrow"}
    assert "| memory access time |" in (tmp_path / "r.md").read_text()
    assert (tmp_path / "r.html").read_text().startswith("<!doctype html>")
    assert (tmp_path / "r.svg").read_text().startswith("<svg")
    assert (tmp_path / "r.png").read_bytes().startswith(b"\x89PNG")


def test_the_manifest_says_how_it_came_about(cli, trace, tmp_path):
    from mmuexp.trace import digest

    files = ["-o", tmp_path / "r.csv", "-o", tmp_path / "r.json"]
    cli("compare", trace, "-s", "softmmu", "-s", "map-block,evict=lifo", *files)
    beside = json.loads((tmp_path / "r.csv.manifest.json").read_text())
    inside = json.loads((tmp_path / "r.json").read_text())["manifest"]
    assert beside == inside
    assert beside["traces"][0]["sha256"] == digest(trace)
    assert beside["model_version"] >= 1
    assert beside["complete"] == "yes"
    assert [s["spec"] for s in beside["strategies"]] == ["softmmu", "map-block,evict=lifo"]
    assert beside["strategies"][1]["parameters"]["map_block_bits"] == 16  # defaults are spelled out
    assert {"mmuexp", "commit", "command", "started", "finished", "machine", "versions"} <= set(beside)
    assert beside["started"].endswith("+00:00")
    for entry in beside["prices"]["host"]["prices"].values():
        assert entry["source"].startswith(("read:", "measured:", "assumed:"))
    for prices in beside["prices"]["strategies"].values():
        assert all(entry["source"] for entry in prices.values())


def test_the_command_line_is_kept_without_the_path_to_the_program():
    for program in ("/somewhere/bin/mmuexp", "/somewhere/mmuexp/__main__.py"):  # the second: python -m mmuexp
        assert command_line([program, "compare", "a b.arrow"]) == "mmuexp compare 'a b.arrow'"


def test_stdout_beside_files(cli, trace, tmp_path):
    done = cli("compare", trace, "-s", "softmmu", "-o", tmp_path / "r.csv", "-o", "-", "--format", "csv")
    assert done.out == (tmp_path / "r.csv").read_text()
    assert cli("compare", trace, "-s", "softmmu", "-o", tmp_path / "r.csv", "--format", "csv").out == done.out


@pytest.mark.parametrize("kind", ["json", "csv", "parquet"])
@pytest.mark.parametrize("command", [["compare", "--every", "5"], ["sweep", "map_block_bits=12..13"]])
def test_export_gives_the_same_table_again(cli, trace, tmp_path, kind, command):
    files = [word for name in (f"r.{kind}", "direct.csv", "direct.md") for word in ("-o", tmp_path / name)]
    cli(*command, "--trace", trace, *files)
    assert cli("export", tmp_path / f"r.{kind}", "-o", tmp_path / "again.csv").code == 0
    assert (tmp_path / "again.csv").read_text() == (tmp_path / "direct.csv").read_text()
    again = json.loads((tmp_path / "again.csv.manifest.json").read_text())
    assert again == json.loads((tmp_path / "direct.csv.manifest.json").read_text())
    assert cli("export", tmp_path / f"r.{kind}", "--format", "md").out == (tmp_path / "direct.md").read_text()
    assert cli("export", tmp_path / f"r.{kind}").code == 0


def test_an_export_without_its_manifest_has_its_table_still(cli, trace, tmp_path):
    cli("compare", trace, "-o", tmp_path / "r.csv")
    os.unlink(tmp_path / "r.csv.manifest.json")
    assert cli("export", tmp_path / "r.csv", "--format", "csv").out == (tmp_path / "r.csv").read_text()
    assert "wins" in cli("export", tmp_path / "r.csv").out


def test_parquet_keeps_whole_numbers_and_gaps(trace, tmp_path, cli):
    cli("compare", trace, "-o", tmp_path / "r.parquet")
    frame = pd.read_parquet(tmp_path / "r.parquet")
    assert str(frame["faults_cross"].dtype) == "Int64"
    assert frame["faults_cross"].isna().sum() == 5


def test_json_has_null_where_there_is_no_such_event(trace, tmp_path, cli):
    cli("compare", trace, "-s", "softmmu", "--format", "json")
    row = json.loads(cli.out)["rows"][0]
    assert row["faults_cross"] is None
    assert row["faults"] == 0


def test_an_existing_file_is_replaced_whole(cli, trace, tmp_path):
    out = tmp_path / "r.csv"
    out.write_text("old")
    link = tmp_path / "link.csv"
    link.symlink_to(out)
    assert cli("compare", trace, "-s", "softmmu", "-o", link).code == 0
    assert link.is_symlink()
    assert out.read_text().startswith("trace,strategy")
    assert oct(out.stat().st_mode & 0o777) == oct(0o666 & ~_umask())


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


@pytest.mark.parametrize(
    ("second", "says"),
    [
        ("c.csv.manifest.json", "is the name of a manifest"),
        ("./c.csv", "is written for -o"),
        ("link.csv", "is written for -o"),
        ("to_manifest.json", "is written for -o"),
    ],
)
def test_outputs_do_not_replace_each_other(cli, trace, tmp_path, monkeypatch, second, says):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "link.csv").symlink_to("c.csv")
    (tmp_path / "to_manifest.json").symlink_to("c.csv.manifest.json")
    before = sorted(os.listdir(tmp_path))
    done = cli("compare", trace, "-s", "softmmu", "-o", "c.csv", "-o", second)
    assert done.code == 2
    assert says in one_line(done.err)
    assert sorted(os.listdir(tmp_path)) == before


@pytest.mark.parametrize("place", ["mmuexp.runtime.partfile.lock", "os.replace", "mmuexp.render.export._claim"])
@pytest.mark.parametrize("failure", [SystemExit(143), KeyboardInterrupt(), OSError(5, "Input/output error")])
def test_no_part_is_left_wherever_it_stops(trace, tmp_path, monkeypatch, place, failure):
    from mmuexp.render import export

    claim, calls = export._claim, []

    def fail(*arguments):
        calls.append(arguments)
        if place.endswith("_claim") and len(calls) == 1:
            return claim(*arguments)
        raise failure

    result = compare(trace, ["softmmu"])
    monkeypatch.setattr(place, fail)
    with pytest.raises((SystemExit, KeyboardInterrupt, MmuexpError)):
        export.Output(str(tmp_path / "r.csv")).save(result)
    assert os.listdir(tmp_path) == ["small.arrow"]


@pytest.mark.parametrize("failure", [KeyboardInterrupt, ZeroDivisionError])
def test_a_failure_leaves_nothing_half_written(cli, trace, tmp_path, monkeypatch, failure):
    (tmp_path / "r.csv").write_text("old")

    def fail(*_, **__):
        raise failure

    monkeypatch.setattr("mmuexp.analysis.experiment.run_passes", fail)
    before = sorted(p.name for p in tmp_path.iterdir())
    done = cli("compare", trace, "-o", tmp_path / "r.csv", "-o", tmp_path / "s.json")
    assert done.code == (130 if failure is KeyboardInterrupt else 1)
    assert sorted(p.name for p in tmp_path.iterdir()) == before
    assert (tmp_path / "r.csv").read_text() == "old"


def test_a_failing_writer_leaves_nothing(cli, trace, tmp_path, monkeypatch):
    def fail(result):
        raise OSError(28, "No space left on device")

    monkeypatch.setitem(__import__("mmuexp.render.export", fromlist=["WRITERS"]).WRITERS, ".csv", fail)
    done = cli("compare", trace, "-s", "softmmu", "-o", tmp_path / "r.csv")
    assert done.code == 1
    assert "no space left" in one_line(done.err)
    assert [p.name for p in tmp_path.iterdir()] == ["small.arrow"]


def test_a_result_is_a_frame_and_reads_back_equal(trace, tmp_path):
    from mmuexp.render.export import Output

    result = compare(trace)
    output = Output(str(tmp_path / "r.json"))
    output.save(result)
    again = load(str(tmp_path / "r.json"))
    assert again.frame.astype(str).equals(result.frame.astype(str))
    assert again.frame.dtypes.equals(result.frame.dtypes)
    assert again.manifest == result.manifest


def on_a_terminal(argv: list[str], **environment: str) -> str:
    """What a terminal of 100 columns, or COLUMNS, gets to see."""
    import pty

    master, slave = pty.openpty()
    env = {**os.environ, "TERM": "xterm", "COLUMNS": "100", **environment}
    process = subprocess.Popen([sys.executable, "-m", "mmuexp", *argv], stdout=slave, stderr=slave, env=env)
    os.close(slave)
    seen = b""
    while True:
        try:
            piece = os.read(master, 65536)
        except OSError:  # the last writer has gone
            break
        if not piece:
            break
        seen += piece
    process.wait()
    os.close(master)
    assert process.returncode == 0, seen
    return seen.decode()


def test_colour_and_progress_belong_to_terminals(trace, tmp_path, cli):
    cli("compare", trace, "-o", tmp_path / "r.json")
    coloured = on_a_terminal(["compare", trace, "-s", "softmmu", "-s", "map-block"], NO_COLOR="")
    assert "\x1b[32m" in coloured
    assert "M rows/s" in coloured
    plain = on_a_terminal(["export", str(tmp_path / "r.json")], NO_COLOR="1")
    assert "\x1b[3" not in plain
    assert "wins" in plain


def test_80_columns_break_no_word(trace, tmp_path, cli):
    cli("compare", trace, "-o", tmp_path / "r.json")
    shown = on_a_terminal(["export", str(tmp_path / "r.json")], NO_COLOR="1", COLUMNS="80").replace("\r", "")
    table = [line.rstrip() for line in re.sub(r"\x1b\[[0-9;]*m", "", shown).split("\n\n")[1].splitlines()]
    plain = [line.rstrip() for line in cli("export", tmp_path / "r.json").out.split("\n\n")[1].splitlines()]
    assert table == plain


def test_80_columns_break_no_word_of_a_table_of_rows(trace, tmp_path, cli):
    specs = [f"map-block,map_block_bits={bits},evict=lifo" for bits in range(12, 18)]
    argv = [word for spec in specs for word in ("-s", spec)]
    cli("compare", trace, *argv, "--reference", "softmmu", "-o", tmp_path / "r.json")
    shown = on_a_terminal(["export", str(tmp_path / "r.json")], NO_COLOR="1", COLUMNS="80").replace("\r", "")
    table = re.sub(r"\x1b\[[0-9;]*m", "", shown).split("\n\n")[1]
    assert max(map(len, table.splitlines())) <= 80
    whole = {"scheme", "instructions", "/access", "access", "evict=lifo", "softmmu", "reference"}
    assert whole <= set(table.replace("*", "").split())


def test_markdown_takes_no_name_for_html(cli, trace, tmp_path):
    odd = tmp_path / "<script>a|b&c.arrow"
    odd.write_bytes(Path(trace).read_bytes())
    assert cli("compare", odd, "-s", "softmmu", "-o", tmp_path / "r.md").code == 0
    text = (tmp_path / "r.md").read_text()
    assert "<script" not in text and "&lt;script>a|b&amp;c.arrow" in text


def test_two_schemes_of_one_name_are_refused(cli, trace, tmp_path):
    mine = tmp_path / "mine.py"
    mine.write_text(HONEST_FILE.read_text().replace('"honest"', '"softmmu"'))
    assert cli("compare", trace, "-s", "softmmu", "-s", mine).code == 2
    assert "strategy softmmu: two schemes have this name" in cli.err
    mine.write_text(mine.read_text().replace('"softmmu"', '"<b>"'))
    other = tmp_path / "other.py"
    mine.rename(other)
    assert cli("compare", trace, "-s", other).code == 1
    assert "has the name '<b>'" in cli.err
