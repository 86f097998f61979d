"""A fifth scheme: somebody's file, checked; somebody's package, registered; neither costs the others anything."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from kit.compiling import PLAIN
from kit.places import ROOT, TESTS

from mmuexp.contract.rules import Broken, check, counts_are_declared, filter_does_not_matter, flushes_unmap
from mmuexp.strategy.registry import all_strategies, parse_spec, strategies_of_file

FILES = TESTS / "kit" / "strategy_files"
AT_FIRST = {"softmmu", "map-block"}  # the one that flushes a TLB, and one that maps and unmaps


def run_cli(*arguments, packages: str | None = None) -> subprocess.CompletedProcess:
    """With somebody's packages; their schemes as plain Python, for each process would compile them anew."""
    env = os.environ | ({"PYTHONPATH": str(TESTS / "kit" / packages), **PLAIN} if packages else {})
    return subprocess.run([sys.executable, "-m", "mmuexp", *arguments], env=env, capture_output=True, text=True)


def schemes() -> list:
    """Ours; two that leave nothing of the contract out are enough at first."""
    classes = all_strategies().values()
    return [pytest.param(c, id=c.name, marks=() if c.name in AT_FIRST else pytest.mark.long) for c in classes]


@pytest.mark.parametrize("cls", schemes())
def test_every_scheme_keeps_the_contract(cls):
    assert [(what, str(wrong)) for what, wrong in check(cls) if wrong] == []


@pytest.mark.long
def test_a_file_of_ones_own_is_checked():
    done = run_cli("strategy", "check", str(FILES / "honest.py"))
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.count("honest: ok") == 13


def test_an_event_that_is_counted_and_not_declared_is_found(monkeypatch):
    softmmu = all_strategies()["softmmu"]
    monkeypatch.setattr(softmmu, "events", {e: text for e, text in softmmu.events.items() if e.column != "tlb_fills"})
    with pytest.raises(Broken, match="softmmu: tlb_fills is counted, and not declared"):
        counts_are_declared(softmmu())


@pytest.mark.long
def test_a_wrong_settled_is_found():
    done = run_cli("strategy", "check", str(FILES / "wrong_settled.py"))
    assert done.returncode == 3
    failed = [line for line in done.stdout.splitlines() if "FAILED" in line]
    assert len(failed) == 1
    assert "Skipping what was SETTLED" in failed[0]
    assert "tlb_fills" in done.stdout
    assert "Traceback" not in done.stdout + done.stderr


def test_a_protect_that_takes_a_neighbour_away_is_found(plain_python):
    (cls,) = strategies_of_file(FILES / "wrong_protect.py")
    with pytest.raises(Broken, match=r"user mode.*wrong SETTLED or LOST.*tlb_fills is.*unsettle\(e, page\)"):
        filter_does_not_matter(cls())


def test_a_flush_that_unmaps_nothing_is_found(tmp_path, plain_python):
    text = (ROOT / "strategies" / "map_block.py").read_text()
    begin, end = text.index("    unmap_all(s.reserve, e, n)\n"), text.index("    s.control[USED] = 0\n")
    (tmp_path / "leaky.py").write_text(text[:begin] + text[end:].replace('name = "map-block"', 'name = "leaky"'))
    (cls,) = strategies_of_file(tmp_path / "leaky.py")
    with pytest.raises(Broken, match="pages stay mapped after FLUSH"):
        flushes_unmap(cls())


def test_a_file_is_a_scheme_for_compare(cli, trace, plain_python):
    done = cli("compare", trace, "-s", FILES / "honest.py", "-s", "map-block", "--format", "csv")
    assert [line.split(",")[1] for line in done.out.splitlines()] == ["strategy", "honest", "map-block"]
    assert cli("strategy", "show", FILES / "honest.py").code == 0


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("x = 1\n", "holds no subclass of Strategy"),
        ("raise RuntimeError('no')\n", "RuntimeError: no"),
        ("def f(:\n", "SyntaxError"),
        ("from mmuexp.strategy import Kernels\nKernels(access=None)\n", "missing 5 required"),
        ("from mmuexp.strategy import Strategy\nclass S(Strategy):\n    name = 's'\n", "lacks FAST_PATH, events"),
    ],
)
def test_a_file_that_is_no_strategy_is_one_line(cli, tmp_path, text, said):
    file = tmp_path / "own.py"
    file.write_text(text)
    done = cli("strategy", "check", file)
    assert done.code == 1
    assert said in done.err
    assert str(file) in done.err
    assert len(done.err.splitlines()) == 1


def test_a_missing_file_is_one_line(cli):
    done = cli("strategy", "check", "nowhere/own.py")
    assert (done.code, done.err.count("\n")) == (1, 1)


@pytest.mark.long
def test_a_registered_scheme_is_one_of_all(trace):
    listed = run_cli("strategy", "list", "--format", "json", packages="third_party")
    names = [one["name"] for one in json.loads(listed.stdout)]
    assert names == [*all_strategies(), "softmmu-large"]

    done = run_cli("compare", trace, "-s", "softmmu-large,associativity=2", "--format", "csv", packages="third_party")
    assert done.returncode == 0, done.stderr
    header, *lines = done.stdout.splitlines()
    rows = [dict(zip(header.split(","), line.replace('"', "").split(","), strict=False)) for line in lines]
    assert len(rows) == 1
    assert "pages_entered" in header.split(",")
    assert "softmmu-large,associativity=2" in done.stdout

    swept = run_cli("sweep", "associativity", "--trace", trace, "--format", "csv", packages="third_party")
    assert swept.returncode == 0, swept.stderr
    assert len(swept.stdout.splitlines()) == 3


def test_a_registered_scheme_counts_what_it_says(plain_python):
    (cls,) = strategies_of_file(TESTS / "kit" / "third_party" / "mmuexp_victim.py")
    from kit.traces import columns_of, exec_, flush_page, load, store

    from mmuexp.replay.replay import Replay
    from mmuexp.replay.survey import Survey

    rows = [exec_(0x5000), load(0x1000), load(0x1004), store(0x1FFE), flush_page(0x1000), load(0x1000)]
    columns = columns_of(rows)
    replay = Replay(cls(), "user")
    replay.feed(Survey("user").feed(columns))
    # pages 1 and 2 (the store crosses), then page 1 again: 3 entries made; one block translated
    assert replay.counts()["tlb_fills"] == replay.counts()["pages_entered"] == 3
    assert replay.counts()["translations"] == 1
    assert replay.counts()["faults"] == 0
    assert "maps" not in replay.counts()


def test_a_broken_package_costs_the_others_nothing():
    done = run_cli("strategy", "list", packages="third_party_broken")
    assert done.returncode == 0
    assert "map-block" in done.stdout
    assert len(done.stderr.splitlines()) == 1


def test_show_says_all_that_the_file_says(cli):
    done = cli("strategy", "show", "map-block")
    assert done.code == 0
    said_of_it = ["shr  reg, MAP_BLOCK_BITS", "4 instructions on a hit", "map_block_bits=16  (12..40", "faults_block"]
    for said in [*said_of_it, "assumed: handler", "evict=fifo  (fifo | lifo | random)", "last-recently allocated"]:
        assert said in done.out
    about = json.loads(cli("strategy", "show", "softmmu,tlb_bits=10", "--format", "json").out)
    assert about["hit_insns"] == 11
    assert about["parameters"]["tlb_bits"]["value"] == "10"


@pytest.mark.parametrize("spec", ["map-block,map_block_bits=20,evict=lifo", "qemu-fast,guest_limit=0x100000000"])
def test_spec_is_canonical(spec):
    assert str(parse_spec(spec)) == spec
    assert str(parse_spec(spec.upper())) == spec


@pytest.mark.parametrize("words", [("compare", "-s"), ("verify", "-s"), ("strategy", "show"), ("strategy", "check")])
@pytest.mark.parametrize("name", ["./nosuch.py", "none/own.py", "link.py"])
def test_a_file_that_is_not_there_is_said_to_be_missing(cli, tmp_path, monkeypatch, words, name):
    monkeypatch.chdir(tmp_path)
    Path("link.py").symlink_to("gone.py")
    done = cli(*words, name)
    told = "no such file or directory; name the .py file that holds the strategy"
    assert (done.code, done.err) == (1, f"mmuexp: {Path(name)}: {told}\n")


def test_a_folder_is_no_python_file(cli, tmp_path):
    (tmp_path / "own.py").mkdir()
    assert "is not a Python file" in cli("strategy", "show", str(tmp_path / "own.py")).err
