"""`mmuexp claims` as users run it: formats, options, errors; and no verdict stands in a file of data."""

import csv
import io
import json
import re
import shlex
from pathlib import Path

import pytest
from kit.cli import one_line
from kit.places import ROOT
from kit.traces import columns_of, inner, random_trace, widened, write, write_trace

import mmuexp
from mmuexp.claims import REGISTRY
from mmuexp.claims.gather import CALIBRATED, results_folder
from mmuexp.claims.model import FAILS, HOLDS, UNTESTED, WHEN
from mmuexp.claims.report import COLUMNS, claims
from mmuexp.cli.claims import command
from mmuexp.render.claims import with_condition

VERDICTS = {HOLDS, WHEN, FAILS, UNTESTED}
HOSTS = ["pentium4-2004", "epyc-vm"]


@pytest.fixture(autouse=True)
def no_hosts_of_the_user(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))


@pytest.fixture(scope="module")
def report():
    return claims(host="epyc-vm")


def test_the_terminal_tells_each_claim_verdict_first(cli):
    done = cli("claims")
    assert done.code == 0
    assert done.err == ""
    heads = re.findall(r"^(\d+)\. (\S.*?)  \S", done.out, re.MULTILINE)
    assert [int(number) for number, _ in heads] == list(REGISTRY)
    assert {verdict for _, verdict in heads} <= VERDICTS
    for name in HOSTS:
        assert name in done.out
    assert max(map(len, done.out.splitlines())) < 400
    assert not re.search(r"[ ]{60,}\n", done.out)


@pytest.mark.parametrize("example", re.findall(r"^\s+(mmuexp .*)$", command.help, re.MULTILINE))
def test_examples_of_the_help(cli, example):
    assert cli(*shlex.split(example)[1:]).code == 0


def test_the_table_is_tidy_and_comes_back(tmp_path, cli, report):
    import pandas as pd

    done = cli("claims", "-o", tmp_path / "c.csv", "--host", "epyc-vm")
    assert (done.code, done.out) == (0, "")
    back = pd.read_csv(tmp_path / "c.csv", dtype={"text": object, "value": "float64"}, keep_default_na=False,
                       na_values={"value": ""})  # fmt: skip
    assert list(back.columns) == list(COLUMNS)
    pd.testing.assert_frame_equal(back, report.frame, check_dtype=False)
    manifest = json.loads((tmp_path / "c.csv.manifest.json").read_text())
    assert [host["name"] for host in manifest["hosts"]] == HOSTS
    assert {one["experiment"] for one in manifest["experiments"]} >= {"linux-boot", "pool-size"}


def test_each_claim_is_in_the_table_with_its_verdict(report):
    rows = [dict(zip(COLUMNS, row, strict=True)) for row in report.rows()]
    for finding in report.findings:
        mine = [row for row in rows if row["claim"] == finding.claim.number]
        assert mine[0]["quantity"] == "verdict"
        assert mine[0]["text"] == finding.verdict
        parts = {row["part"] for row in mine} - {""}
        assert parts == {part.meaning for part in finding.parts}
        assert all(isinstance(row["value"], int | float) for row in mine if row["unit"])


def test_figures_name_every_host_where_the_answer_depends_on_it(report):
    for finding in report.findings:
        for part in finding.parts:
            if part.hosts != [""]:
                assert part.hosts == HOSTS
                priced = {one.host for one in part.figures}
                assert priced >= set(HOSTS), part.meaning


def test_json_md_and_html(tmp_path, cli):
    paths = [str(tmp_path / f"c{suffix}") for suffix in (".json", ".md", ".html")]
    assert cli("claims", *(word for path in paths for word in ("-o", path))).code == 0
    document = json.loads(Path(paths[0]).read_text())
    assert [claim["number"] for claim in document["claims"]] == list(REGISTRY)
    boot = next(c for c in document["claims"] if c["number"] == 6)
    assert boot["verdicts"].keys() == set(HOSTS)
    assert boot["verdicts"] == {"pentium4-2004": WHEN, "epyc-vm": FAILS}
    told = boot["parts"][0]
    assert "boot" not in told["holds_on"] + told["does_not_hold_on"]  # it hangs on the host
    assert all("on boot" in condition for condition in told["conditions"].values())
    assert "Linux 6.1" in boot["stand_in"]
    md, html = (Path(path).read_text() for path in paths[1:])
    for claim in REGISTRY.values():
        assert claim.says in md
    assert html.count("<h3") >= len(REGISTRY)
    assert "<script src" not in html
    assert "http-equiv" in html


def test_only_some(cli):
    done = cli("claims", "--only", 5, "--only", 2, "--format", "csv")
    assert {row["claim"] for row in csv.DictReader(io.StringIO(done.out))} == {"2", "5"}
    done = cli("claims", "--only", "11")
    assert done.code == 2
    assert "there are 1 to 10" in one_line(done.err)


def test_one_host_and_a_calibrated_one(cli, tmp_path):
    done = cli("claims", "--only", "6", "--host", "pentium4-2004")
    assert "epyc-vm" not in done.out
    folder = tmp_path / "config" / "mmuexp" / "hosts"
    folder.mkdir(parents=True)
    mine = (ROOT / "mmuexp/price/profiles/epyc-vm.toml").read_text()
    (folder / f"{CALIBRATED}.toml").write_text(mine)
    done = cli("claims", "--only", "6")
    assert re.search(rf"pentium4-2004 +{CALIBRATED}\b", done.out)


def test_a_recording_of_the_users_own(cli, tmp_path):
    mine = write_trace(tmp_path / "mine.arrow", repeat=50)
    done = cli("claims", mine, "--only", "1", "--only", "3", "--only", "7", "--only", "10", "--format", "json")
    assert done.code == 0, done.err
    found = {claim["number"]: claim for claim in json.loads(done.out)["claims"]}
    assert found[1]["parts"][0]["holds_on"] == ["the listing", "mine"]
    assert found[3]["parts"][0]["holds_on"] == ["mine"]
    assert found[7]["verdict"] == UNTESTED  # it stores to no code page
    assert "Windows" not in found[7]["stand_in"]
    assert found[10]["parts"][1]["holds_on"] + found[10]["parts"][1]["does_not_hold_on"] == ["mine"]


def test_a_guest_of_64_bits_is_not_priced_where_nobody_had_one(cli, tmp_path):
    """A machine of 2004 stays where it is asked for, or where a guest of 32 bits is there, too; and that is said."""
    wide = write(tmp_path / "wide.arrow", widened(inner(columns_of(random_trace(7, 300, "user"))), 1 << 42))
    alone = cli("claims", wide, "--only", 2).out
    told = "Guests of 64 bits, where the mail's had 32: wide;"
    assert f"{told} pentium4-2004 is left out, where nobody ran such a guest." in " ".join(alone.split())
    with_mine = cli("claims", wide, write_trace(tmp_path / "mine.arrow"), "--only", 3).out
    assert f"{told} nobody ran such a guest on pentium4-2004" in " ".join(with_mine.split())
    verdicts = [
        json.loads(cli("claims", wide, "--only", 3, "--format", "json", *more).out)["claims"][0]["verdicts"]
        for more in ([], ["--host", "pentium4-2004"])
    ]
    assert [list(one) for one in verdicts] == [["epyc-vm"], ["pentium4-2004"]]


def test_its_sweeps_are_counted_too(cli, tmp_path):
    mine = write_trace(tmp_path / "mine.arrow", repeat=5)
    found = json.loads(cli("claims", "--trace", mine, "--only", "4", "--only", "9", "--format", "json").out)["claims"]
    assert [claim["number"] for claim in found] == [4, 9]
    assert {len(claim["parts"][0]["holds_on"] + claim["parts"][0]["does_not_hold_on"]) for claim in found} == {1, 2}


def test_counted_anew_it_is_the_same(cli):
    saved, anew = (cli("claims", "--only", "5", "--format", "csv", *more).out for more in ([], ["--replay"]))
    assert saved == anew


def test_wrong_use(cli, tmp_path):
    mine = write_trace(tmp_path / "mine.arrow")
    assert "leave --replay out" in one_line(cli("claims", mine, "--replay").err)
    assert cli("claims", tmp_path / "none.arrow").code == 1
    assert cli("claims", "--host", "nobody").code == 2
    done = cli("claims", "-o", tmp_path / "c.xlsx")
    assert done.code == 2
    assert ".html" in one_line(done.err)
    assert sorted(tmp_path.glob("c*")) == []


def test_the_notebook():
    table = mmuexp.claims(only=2)
    assert set(table["claim"]) == {2}
    assert table.attrs["manifest"]["kind"] == "claims"


def test_no_verdict_stands_in_a_file():
    """Claims, their rules and all data are free of verdicts: those are the words of model.py alone."""
    words = re.compile(rf"\b({HOLDS}|{FAILS})\b")
    for path in (ROOT / "mmuexp/claims").glob("*.py"):
        if path.stem not in ("model",):
            texts = re.findall(r'"(?:[^"\\]|\\.)*"', re.sub(r'"""[\s\S]*?"""', "", path.read_text()))
            assert not [text for text in texts if text.strip('"') in VERDICTS], path
    for path in results_folder().glob("*/*.csv"):
        assert not words.search(path.read_text()), path


@pytest.mark.parametrize("rows", [0, 1, 2])
def test_a_recording_of_next_to_nothing(cli, tmp_path, rows):
    """No rows, or one block, or one load: figures that would divide by nothing are left out."""
    done = cli("claims", write_trace(tmp_path / "little.arrow", rows=rows), "--format", "json")
    assert done.code == 0, done.err
    text = done.out
    assert "Infinity" not in text
    assert "NaN" not in text
    assert len(json.loads(text)["claims"]) == len(REGISTRY)


def test_the_summary_carries_the_condition(report):
    """Claim 5 holds in a range of instructions; claim 1 holds, and has none."""
    one, five = (next(f for f in report.findings if f.claim.number == number) for number in (1, 5))
    for host in report.hosts:
        part = five.parts[0]
        assert with_condition(five, host) == f"holds when {part.conditions[host]}"
        assert with_condition(one, host) == "holds"
