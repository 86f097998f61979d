"""The store does no harm: whatever is the matter with its file, the counts are those of a replay."""

import os
import random
import resource
import signal
import sqlite3
import subprocess
import sys
import zlib
from pathlib import Path

import pytest
from kit.traces import write_trace
from store.conftest import entries

import mmuexp
from mmuexp.store import database
from mmuexp.store.database import Database, Entry, key_of

SPECS = ["softmmu", "map-block"]


@pytest.fixture
def filled(store, trace) -> Path:
    mmuexp.compare(trace, SPECS)
    assert entries(store) == 2
    return store


def replayed(trace):
    return mmuexp.compare(trace, SPECS, store=False)


DAMAGE = {
    "text": lambda data: b"these are no counts\n" * 500,
    "cut": lambda data: data[: len(data) // 2],
    "empty": lambda data: b"",
    "zeros behind the head": lambda data: data[:100] + bytes(len(data) - 100),
    "other pages": lambda data: data[:4096] + data[8192:] + data[4096:8192],
}


@pytest.mark.parametrize("how", DAMAGE)
def test_a_damaged_file_is_put_aside_with_one_line(filled, trace, how, cli):
    for beside in filled.parent.glob("*-*"):
        beside.unlink()
    filled.write_bytes(DAMAGE[how](filled.read_bytes()))
    words = ["compare", trace, "-s", "softmmu", "-s", "map-block", "--format", "csv"]
    out = cli(*words, "--no-store").out
    assert cli(*words).out == out and cli.code == 0
    assert cli.err.count("\n") == cli.err.count("put aside") <= 1
    aside = list(filled.parent.glob("*.broken-*"))
    assert len(aside) == cli.err.count("put aside") == (how != "empty")
    assert cli(*words).out == out and "2 runs are from the store" in cli.err


@pytest.mark.parametrize("seed", range(12))
def test_flipped_bits_never_change_a_count(filled, trace, seed):
    draw, data = random.Random(seed), bytearray(filled.read_bytes())
    for _ in range(40):
        data[draw.randrange(100, len(data))] ^= 1 << draw.randrange(8)
    filled.write_bytes(data)
    assert mmuexp.compare(trace, SPECS).equals(replayed(trace))
    assert mmuexp.compare(trace, SPECS).equals(replayed(trace))


def test_a_value_that_is_not_what_was_kept_is_not_given_out(filled, trace):
    with sqlite3.connect(filled) as connection:
        other = zlib.compress(b'{"runs": []}')
        connection.execute("UPDATE counts SET value = ?", [other])
    found = mmuexp.compare(trace, SPECS)
    assert found.equals(replayed(trace)) and not found.attrs["manifest"]["from_store"]


def test_verify_finds_a_count_that_is_not_what_a_replay_counts(filled, trace, cli):
    with Database(filled) as kept:
        wrong = next(one for one in kept.sample(2) if '"spec": "softmmu"' in one.identity)
        kept.keep([wrong._replace(value=wrong.value.replace(b'"loads": ', b'"loads": 1'))])
    assert cli("store", "verify", "--sample", "9").code == 3
    assert "differs    softmmu" in cli.out and "equal      map-block" in cli.out
    assert entries(filled) == 1
    assert mmuexp.compare(trace, SPECS).equals(replayed(trace))


def test_a_database_of_something_else_is_put_aside(store, trace):
    store.parent.mkdir()
    with sqlite3.connect(store) as connection:
        connection.execute("CREATE TABLE counts (mine TEXT)")
    assert mmuexp.compare(trace, SPECS).equals(replayed(trace))
    assert entries(store) == 2 and len(list(store.parent.glob("*.broken-*"))) == 1


@pytest.mark.parametrize("place", ["file/below/it", "folder", "/proc/none/counts.sqlite", "nul\udcff/x"])
def test_without_a_place_it_works(tmp_path, trace, monkeypatch, cli, place):
    (tmp_path / "file").write_text("")
    (tmp_path / "folder").mkdir()
    monkeypatch.setenv("MMUEXP_STORE", str(tmp_path / place))
    assert cli("compare", trace, "-s", "softmmu").code == 0 and cli.err == ""
    assert cli("store", "info").code == 0 and cli("store", "verify").code == 0


def test_what_can_be_read_and_not_written(filled, trace, monkeypatch):
    real = sqlite3.connect
    monkeypatch.setattr(sqlite3, "connect", lambda path, **how: real(f"file:{path}?mode=ro", uri=True, **how))
    other = mmuexp.compare(trace, [*SPECS, "byte-lookup"])
    assert other.attrs["manifest"]["from_store"][0]["strategies"] == SPECS
    monkeypatch.undo()
    assert entries(filled) == 2


FULL = """
import resource, sys, mmuexp
mmuexp.compare(sys.argv[1], "softmmu")
resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[3]), resource.RLIM_INFINITY))
for name in sys.argv[1:3]:
    print(len(mmuexp.compare(name, ["softmmu", "map-block"], every=1).attrs["manifest"]["from_store"]))
resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
print(len(mmuexp.compare(sys.argv[1], "softmmu").attrs["manifest"]["from_store"]))
"""


def test_a_full_disk_costs_nothing_that_was_kept(store, trace, tmp_path):
    other = write_trace(tmp_path / "other.arrow", repeat=9)
    size = resource.getpagesize()
    done = subprocess.run([sys.executable, "-c", FULL, trace, other, str(8 * size)], capture_output=True, text=True)
    assert (done.returncode, done.stdout.split()[-1]) == (0, "1"), done.stderr
    assert mmuexp.compare(other, SPECS, every=1).equals(mmuexp.compare(other, SPECS, every=1, store=False))


KILLED = """
import os, signal, sys, mmuexp
from mmuexp.analysis import experiment
real, calls = experiment.run_passes, []
def some(*words, **how):
    calls.append(how["label"])
    if len(calls) == 2:
        os.kill(os.getpid(), int(sys.argv[1]))
    return real(*words, **how)
experiment.run_passes = some
mmuexp.compare(sys.argv[2:], ["softmmu", "map-block"])
"""


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGINT])
def test_what_was_finished_before_the_end_is_kept(store, trace, tmp_path, number):
    other = write_trace(tmp_path / "other.arrow", repeat=2)
    done = subprocess.run([sys.executable, "-c", KILLED, str(int(number)), trace, other], capture_output=True)
    assert done.returncode not in (0, 1) or number == signal.SIGINT
    found = mmuexp.compare([trace, other], SPECS)
    assert [part["trace"] for part in found.attrs["manifest"]["from_store"]] == [trace]
    assert found.equals(mmuexp.compare([trace, other], SPECS, store=False))


WRITES = """
import sys
from mmuexp.store.database import Database, Entry
from pathlib import Path
with Database(Path(sys.argv[1])) as one:
    for number in range(100):
        name = f'{{"writer": {sys.argv[2]}, "number": {number}}}'
        one.keep([Entry(name, "{}", name.encode())])
        assert one.found([name]) == {name: name.encode()}
"""


def test_several_processes_write_at_once(store):
    started = [subprocess.Popen([sys.executable, "-c", WRITES, store, str(one)]) for one in range(4)]
    started[0].send_signal(0)
    assert [one.wait(60) for one in started] == [0] * 4
    assert entries(store) == 400


def test_a_writer_that_is_killed_leaves_whole_entries(store):
    for number in range(5):
        one = subprocess.Popen([sys.executable, "-c", WRITES.replace("range(100)", "range(10**6)"), store, str(number)])
        while not store.exists() or entries_or_none(store) < 20 * (number + 1):
            assert one.poll() is None
        one.kill()
        one.wait()
    with Database(store) as kept:
        assert len(kept.sample(10**6)) == entries(store) >= 100
    assert not list(store.parent.glob("*.broken-*"))


def entries_or_none(store) -> int:
    try:
        return entries(store)
    except sqlite3.Error:
        return 0


def test_what_was_used_longest_ago_goes_first(store, monkeypatch):
    monkeypatch.setattr(database, "LIMIT_BYTES", 400_000)
    with Database(store) as kept:
        for number in range(200):
            kept.keep([Entry(f"{number}", "{}", os.urandom(4000))])
            assert kept.found(["0"])
        last = [number for number in range(200) if kept.found([str(number)])]
        assert last[0] == 0 and last[1:] == list(range(last[1], 200)) and 60 < len(last) < 110
        assert store.stat().st_size < 600_000
        kept.keep([Entry("large", "{}", os.urandom(2_000_000))])  # larger than all that may be
        assert kept.held().entries == 0
        kept.clear()
    assert kept.held().size_bytes < 200_000


def test_two_identities_never_share_a_key():
    assert key_of("a") != key_of("b") and len(key_of("a")) == 32
