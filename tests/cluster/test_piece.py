"""What a worker answers, asked in this process: counts as they are kept, refusals, errors as they are told here."""

import json
import shutil
import sys
from pathlib import Path

import pytest
from kit.cli import one_line
from kit.places import HONEST_FILE
from kit.traces import load, write_trace

import mmuexp
from mmuexp.analysis import piece
from mmuexp.analysis.cuts import Cuts
from mmuexp.cluster import travel
from mmuexp.cluster.connect import given_cluster
from mmuexp.errors import MmuexpError, TraceError, UsageError
from mmuexp.strategy.registry import given_strategies
from mmuexp.trace import digest


def asked(path, specs=("softmmu",), do="count", **more) -> dict:
    about = {"path": str(path), "label": "mine.arrow", "sha256": digest(path) if Path(path).is_file() else ""}
    strategies = given_strategies(list(specs))
    request = {"do": do, "worker": "tcp://w:1", "topic": "t", "threads": 1, "jobs": None, "thread": None, "seed": None}
    request |= {
        "trace": about,
        "cuts": list(Cuts()),
        "may_leave_out": [],
        "schemes": travel.Packer().packed(strategies),
    }
    return request | more


def answer(request: dict) -> dict:
    return json.loads(piece.answer(json.dumps(request).encode()))


def test_it_counts(trace):
    found = answer(asked(trace, ["softmmu", "map-block,map_block_bits=20"]))
    table = mmuexp.compare(trace, ["softmmu", "map-block,map_block_bits=20"]).set_index("strategy")
    assert found["sha256"] == digest(trace)
    for spec, value in found["values"].items():
        ((window, counts, _),) = value["runs"]
        assert (
            window is None
            and counts["accesses"] == table["accesses"][spec]
            and counts["faults"] == table["faults"][spec]
        )


def test_it_says_what_a_recording_tells(trace):
    facts = answer(asked(trace, do="look"))["facts"]
    assert (facts["mode"], facts["file_rows"], facts["digest"]) == ("user", 12, digest(trace))
    error = answer(asked("/not/there.arrow", do="look"))["error"]
    assert error["kind"] == "TraceError" and error["where"] == "mine.arrow"


def test_another_version_and_other_sources_are_told(trace):
    schemes = travel.Packer().packed(given_strategies(["softmmu"]))
    greeting = piece.greeting(schemes) | {"worker": "tcp://w:1"}
    assert answer(greeting) == {}
    for name in greeting["ours"]["versions"]:
        versions = greeting["ours"]["versions"] | {name: "0.0"}
        refused = answer(greeting | {"ours": greeting["ours"] | {"versions": versions}})["refused"]
        assert f"has {name} " in refused and "not 0.0" in refused
    assert "has other sources of mmuexp" in answer(greeting | {"ours": greeting["ours"] | {"sources": "0"}})["refused"]
    schemes["classes"][0]["digest"], told = "0", "has other sources of the scheme softmmu, or of what it imports"
    assert answer(greeting | {"schemes": schemes})["refused"] == told
    schemes["classes"][0]["name"] = "nobody"
    assert "cannot load the scheme nobody" in answer(greeting | {"schemes": schemes})["refused"]


def test_a_recording_that_is_not_there_or_another_one(trace, tmp_path):
    request = asked(trace)
    request["trace"]["path"] = "/elsewhere/mine.arrow"
    error = piece.error_of(answer(request)["error"])
    assert str(error).startswith("worker tcp://w:1: /elsewhere/mine.arrow is not there; share its folder")
    assert not isinstance(error, TraceError)  # of a corpus, too, it ends the run
    request["trace"]["path"] = write_trace(tmp_path / "other.arrow", repeat=2)
    assert "other.arrow is another recording there (SHA-256" in answer(request)["error"]["what"]


@pytest.mark.parametrize("rows", [((load(0x1000), load(0x1000, size=65))), ()], ids=["bad row", "no rows"])
def test_errors_are_those_of_a_run_here(rows, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write_trace(tmp_path / "mine.arrow", rows or (load(0x1000),))
    if not rows:
        path = tmp_path / "mine.arrow"
        path.write_bytes(path.read_bytes()[:-40])
    with pytest.raises(TraceError) as here:
        mmuexp.compare("mine.arrow", ["softmmu"])
    there = piece.error_of(answer(asked(tmp_path / "mine.arrow"))["error"])
    assert str(there) == str(here.value) and type(there) is type(here.value)
    assert there.row == here.value.row


def test_out_of_memory_is_no_error_of_the_recording(trace, monkeypatch):
    def run_passes(*_, **__):
        raise MemoryError

    monkeypatch.setattr(piece, "run_passes", run_passes)
    assert answer(asked(trace)) == {"died": "is out of memory"}


def test_what_is_no_error_of_ours_names_the_worker(trace, monkeypatch):
    monkeypatch.setattr(piece, "opened_trace", lambda *_: 1 / 0)
    assert piece.error_of(answer(asked(trace))["error"]).where == "tcp://w:1: mine.arrow"


@pytest.fixture
def own(tmp_path):
    """A scheme that takes from a module beside it, one in a package and one of another folder."""
    for place in ("z/mine", "a/shared/pack"):
        (tmp_path / place).mkdir(parents=True)
    shutil.copy(HONEST_FILE, tmp_path / "z" / "mine" / "helper_of_mine.py")
    (tmp_path / "a" / "shared" / "pack" / "__init__.py").write_text("")
    (tmp_path / "a" / "shared" / "pack" / "names.py").write_text("NAME = 'own'\n")
    file = tmp_path / "z" / "mine" / "own_scheme.py"
    file.write_text(
        "import helper_of_mine\nfrom pack.names import NAME\nclass Own(helper_of_mine.Honest):\n    name = NAME\n"
    )
    return file


def test_a_scheme_travels_with_all_that_it_imports(own, trace, tmp_path, monkeypatch):
    ways = [str(own.parent), str(tmp_path / "a" / "shared")]
    monkeypatch.setattr(sys, "path", [*ways, *sys.path])
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    request = asked(trace, [str(own)])
    names = ("helper_of_mine", "pack.names", "pack")
    assert sorted(place for place, _ in request["schemes"]["classes"][0]["files"]) == [
        "0/mine/helper_of_mine.py", "0/mine/own_scheme.py", "1/shared/pack/__init__.py", "1/shared/pack/names.py"
    ]  # fmt: skip
    for name in names:
        monkeypatch.delitem(sys.modules, name)
    shutil.rmtree(tmp_path / "z")
    shutil.rmtree(tmp_path / "a")
    monkeypatch.setattr(sys, "path", [one for one in sys.path if one not in ways])
    (strategy,) = travel.unpacked(request["schemes"])
    assert str(strategy) == "own" and str(tmp_path / "cache") in sys.modules[type(strategy).__module__].__file__
    assert len(list((tmp_path / "cache" / "mmuexp" / "sent").rglob("*.py"))) == 4
    assert type(travel.unpacked(request["schemes"])[0]) is type(strategy)
    for name in names:
        monkeypatch.delitem(sys.modules, name, raising=False)


def test_what_was_sent_lies_in_its_folder(trace, tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    request = asked(trace, [str(HONEST_FILE)])
    (file,) = request["schemes"]["classes"][0]["files"]
    file[0] = "0/../../../out.py"
    assert "names a place outside of its folder" in answer(request)["refused"]
    assert not list(tmp_path.rglob("out.py"))


def test_a_class_without_a_file_cannot_travel(trace):
    from mmuexp.strategies.softmmu import Softmmu

    class Mine(Softmmu):
        name = "of-a-test"

    with pytest.raises(MmuexpError, match="strategy of-a-test: cannot be sent to a cluster"):
        mmuexp.compare(trace, [Mine()], cluster="local:1")


def test_addresses(cli, trace):
    for good in ("tcp://host:8786", "tls://host:8786", "local:1", "local:64", None):
        assert given_cluster(good) == good
    for bad in ("host", "local:0", "local:", "local:many", "", "http://host", 5):
        with pytest.raises(UsageError, match="is not an address of a cluster"):
            given_cluster(bad)
    assert cli("compare", trace, "--cluster", "here").code == 2 and "give tcp://HOST:PORT" in one_line(cli.err)
    assert cli("compare", trace, "--cluster", "local:1", "--live").code == 2
    assert "leave --cluster out" in one_line(cli.err)


def test_without_dask_it_says_what_to_install(cli, trace, monkeypatch):
    monkeypatch.setitem(sys.modules, "distributed", None)
    assert cli("compare", trace, "--cluster", "local:1").code == 1
    assert one_line(cli.err).endswith("not installed; pip install 'mmuexp[cluster]'")


def test_a_scheduler_that_is_not_there_is_one_line(cli, trace, monkeypatch):
    monkeypatch.setattr("mmuexp.cluster.connect.ANSWER_SECONDS", 0.2)
    assert cli("compare", trace, "--cluster", "tcp://127.0.0.1:9").code == 1
    assert "tcp://127.0.0.1:9: no Dask scheduler answers there" in one_line(cli.err)
