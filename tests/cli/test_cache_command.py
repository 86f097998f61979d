"""`mmuexp cache`: says what lies in the user's folders, and removes what mmuexp made there, nothing else."""

import json
import os
import signal
from pathlib import Path

import pytest
from kit.places import HONEST_FILE

from mmuexp.errors import MmuexpError
from mmuexp.replay import loop
from mmuexp.replay.compiled import _cached_copy
from mmuexp.runtime import places
from mmuexp.strategy.bounds import remember_passed
from mmuexp.strategy.registry import strategies_of_file, strategy_class

OURS = {
    "loops": [
        "loops/0123456789abcdef/map_block_MapBlock.py",
        "loops/0123456789abcdef/.map_block_MapBlock.py.4711",
        "loops/0123456789abcdef/__pycache__/map_block_MapBlock.loop-9.py311.1.nbc",
    ],
    "kernels": ["kernels/mmuexp_" + 40 * "0" + "/keys.fill-9.py311.nbi"],
    "engines": ["engines/softmmu-0123456789abcdef", "engines/shared-0123456789abcdef.o", "engines/build-x1/engine.c"],
    "vega": ["vega/1.7.0.js"],
    "imports": [
        "imports/" + 64 * "0" + ".arrow",
        "imports/" + 64 * "0" + ".used",
        "imports/" + 64 * "0" + ".arrow.7.part",
    ],
    "fetched": ["fetched/" + 64 * "0" + ".arrow", "fetched/" + 64 * "0" + ".used"],
    "sent": ["sent/" + 64 * "0" + "/0/mine/own.py", "sent/" + 64 * "0" + "/0/mine/__pycache__/own.cpython-311.pyc"],
    "store": ["store/counts-1.sqlite", "store/counts-1.sqlite-wal", "store/counts-1.sqlite.broken-17"],
    "passed": ["passed/" + 64 * "0"],
    "plugins": ["mmuexp_plugin-0123456789abcdef.so", "build-x2/output"],
}
OTHERS = ["notes.txt", "loops/notes.txt", "passed/mine", "engines/mine", "other/map_block.py"]


@pytest.fixture
def home(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    return tmp_path


def fill(home, paths):
    for path in paths:
        target = home / "cache" / "mmuexp" / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(bytes(10))


def everything():
    return [path for paths in OURS.values() for path in paths]


def test_info_says_how_much_of_what(home, cli):
    fill(home, [*everything(), *OTHERS])
    told = json.loads(cli("cache", "info", "--format", "json").out)
    assert told["cache"] == str(home / "cache" / "mmuexp")
    assert {one["kind"]: (one["files"], one["size_bytes"]) for one in told["kinds"]} == {
        **{kind: (len(paths), 10 * len(paths)) for kind, paths in OURS.items()},
        "other": (len(OTHERS), 10 * len(OTHERS)),
    }
    table = cli("cache", "info").out
    assert all(kind in table for kind in OURS)
    assert str(home / "config" / "mmuexp") in table


@pytest.mark.parametrize("given", ["", "relative", "./here"])
def test_a_relative_folder_is_none(home, monkeypatch, given):
    """Else each folder that mmuexp is run in would get a cache of its own, which `cache clear` does not find."""
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.setenv("XDG_CACHE_HOME", given)
    monkeypatch.setenv("XDG_CONFIG_HOME", given)
    assert places.cache_folder() == home / ".cache" / "mmuexp"
    assert places.settings_folder() == home / ".config" / "mmuexp"


def test_info_of_nothing(home, cli):
    assert cli("cache", "info").code == 0
    assert {one.files for one in places.cached()} == {0}
    assert cli("cache", "clear").code == 0
    assert "removed 0 files" in cli.err


def test_clear_removes_all_that_is_ours_and_the_folder(home, cli):
    fill(home, everything())
    (home / "config" / "mmuexp" / "hosts").mkdir(parents=True)
    (home / "config" / "mmuexp" / "hosts" / "here.toml").write_text("mine")
    done = cli("cache", "clear")
    assert (done.code, done.out) == (0, "")
    assert f"removed {len(everything())} files" in done.err
    assert list((home / "cache").iterdir()) == []
    assert (home / "config" / "mmuexp" / "hosts" / "here.toml").read_text() == "mine"


def test_clear_leaves_what_others_made_and_what_links_lead_to(home, cli):
    outside = home / "outside"
    outside.mkdir()
    (outside / "a-0123456789abcdef.so").write_text("")
    fill(home, [*everything(), *OTHERS])
    root = home / "cache" / "mmuexp"
    (root / "vega" / "link").symlink_to(outside)
    (root / "b-0123456789abcdef.so").symlink_to(outside / "a-0123456789abcdef.so")
    done = cli("cache", "clear")
    assert done.err.rstrip().endswith(f"left {len(OTHERS) + 2} that mmuexp did not make")
    left = {path.relative_to(root).as_posix() for path in root.rglob("*") if path.is_symlink() or path.is_file()}
    assert left == {*OTHERS, "vega/link", "b-0123456789abcdef.so"}
    assert (outside / "a-0123456789abcdef.so").exists()


def test_what_cannot_be_removed_is_one_line(home, monkeypatch):
    fill(home, everything())

    def refuse(self, *_, **__):
        raise PermissionError(13, "Permission denied", str(self))

    monkeypatch.setattr("pathlib.Path.unlink", refuse)
    with pytest.raises(MmuexpError, match="cannot be removed: permission denied"):
        places.clear()


@pytest.mark.long
def test_all_that_is_made_is_known(home, cli, trace, monkeypatch):
    """Whatever a run puts into the cache, or leaves there when it is killed, `clear` takes out of it."""
    from mmuexp.native.jitcache import kept
    from mmuexp.render.chart.bundle import vega

    def double(x):
        return 2 * x

    monkeypatch.setattr("mmuexp.replay.compiled.shutil.copy2", lambda *_: os.kill(os.getpid(), signal.SIGKILL))
    if not (child := os.fork()):
        _cached_copy(Path(loop.__file__), strategy_class("softmmu"))
    assert os.waitpid(child, 0)[1] == signal.SIGKILL
    assert [path.suffix for path in (home / "cache/mmuexp/loops").glob("*/*")] == [".part"]
    monkeypatch.undo()
    monkeypatch.setenv("XDG_CACHE_HOME", str(home / "cache"))
    remember_passed(strategies_of_file(HONEST_FILE)[0])
    assert kept(double)(2) == 4
    vega.__wrapped__()
    cli("compare", trace, "-s", "softmmu")  # which compiles soonest
    kinds = {one.kind: one.files for one in places.cached()}
    assert kinds["kernels"] >= 2 and kinds["vega"] == kinds["passed"] == 1 and kinds["other"] == 0
    places.clear()
    assert list((home / "cache").iterdir()) == []
