"""What a table says of somebody else's scheme: that nobody checked it, and that its hit path is not measured."""

import json

from kit.places import HONEST_FILE
from kit.traces import write_trace

from mmuexp.strategy.bounds import remember_passed
from mmuexp.strategy.registry import strategies_of_file

EXACT = "; counts are exact"


def test_a_scheme_that_never_passed_the_check_is_told(cli, tmp_path, monkeypatch, plain_python):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)
    (tmp_path / "unchecked.py").write_text(HONEST_FILE.read_text())
    trace = write_trace(tmp_path / "t.arrow", [(0, 0x1000, 4, 1)] * 40)
    compare = ("compare", trace, "-s", "softmmu", "-s", "./unchecked.py", "--no-store", "-o", "t.csv", "-o", "-")
    told = "honest never passed `mmuexp strategy check unchecked.py`: its counts, and what rests on them, may be wrong."
    said = cli(*compare).words
    assert told in said
    assert EXACT not in said
    manifest = json.loads((tmp_path / "t.csv.manifest.json").read_text())
    assert manifest["unchecked"] == [{"scheme": "honest", "check": "unchecked.py"}]
    assert told in cli("export", "t.csv", "--format", "md").words
    (cls,) = strategies_of_file(type(tmp_path)("unchecked.py"))
    remember_passed(cls)
    said = cli(*compare).words
    assert "never passed" not in said
    assert EXACT in said


def test_a_hit_path_that_is_not_measured_beside_one_that_is_is_told(cli, tmp_path, plain_python):
    trace = write_trace(tmp_path / "t.arrow", [(0, 0x1000, 4, 1)] * 40)
    told = (
        "honest: its hit path is not measured on epyc-vm, but put together from 1 instruction; softmmu's is measured."
    )
    assert told in cli("compare", trace, "-s", "softmmu", "-s", HONEST_FILE, "--no-store").words
    for others in (["--host", "pentium4-2004", "-s", "softmmu"], ["-s", "fastmem"]):  # no hit path there is measured
        assert "put together" not in cli("compare", trace, "-s", HONEST_FILE, *others, "--no-store").words
