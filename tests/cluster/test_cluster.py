"""With real workers, each a process: counts are those of a run here, whatever dies; and the plug may be pulled."""

import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
from pathlib import Path

import pytest
from kit.places import HONEST_FILE, ROOT
from store.conftest import entries

import mmuexp
from mmuexp.errors import MmuexpError, TraceError
from mmuexp.runtime.places import cache_folder

pytestmark = pytest.mark.long

SPECS = ["softmmu", "map-block", "map-block,map_block_bits=20", "byte-lookup", "qemu-fast"]
MADE = ("command", "started", "finished", "from_store")  # of a manifest: what differs from run to run


def kept(store: Path) -> int:
    """How many runs a store holds that another process is writing to."""
    try:
        return entries(store)
    except sqlite3.OperationalError:  # it is being made
        return 0


def told(table) -> dict:
    return {name: value for name, value in table.attrs["manifest"].items() if name not in MADE}


def same(there, here) -> None:
    assert there.equals(here)
    assert told(there) == told(here)


def test_a_comparison_is_the_one_of_a_run_here(workers, corpus):
    how = {"cluster": workers.address}
    same(mmuexp.compare("corpus", **how), mmuexp.compare("corpus"))
    same(mmuexp.compare("corpus", SPECS, every=7, warmup=2, **how), mmuexp.compare("corpus", SPECS, every=7, warmup=2))
    here = mmuexp.compare("corpus/a.arrow", SPECS, thread=0, reference="qemu-fast")
    same(mmuexp.compare("corpus/a.arrow", SPECS, thread=0, reference="qemu-fast", **how), here)


def test_a_sweep_too(workers, corpus):
    how = {"cluster": workers.address}
    ranges = ["map_block_bits=12..15", "pool_blocks=8,64"]
    same(mmuexp.sweep(ranges, "corpus/?.arrow", **how), mmuexp.sweep(ranges, "corpus/?.arrow"))
    seeds = {"load_seed": range(3)}
    same(
        mmuexp.sweep(seeds, "corpus/b.arrow", strategy="softmmu", **how),
        mmuexp.sweep(seeds, "corpus/b.arrow", strategy="softmmu"),
    )


def test_the_recording_that_comes_with_mmuexp_has_to_be_the_same(workers, bundled):
    with pytest.raises(MmuexpError, match=r"worker tcp://.*: the recording that comes with mmuexp is another"):
        mmuexp.compare(None, "softmmu", cluster=workers.address)


def test_one_bad_file_costs_its_row_and_named_by_itself_the_run(workers, corpus, cli):
    done = cli("compare", "corpus", "-s", "softmmu", "--cluster", workers.address, "--format", "csv")
    assert done.code == 1 and done.err.splitlines()[-1].startswith("mmuexp: 1 of 4 recordings could not be replayed")
    assert "corpus/late.arrow: row 1" in done.err and "/cluster" not in done.err
    with pytest.raises(TraceError, match=r"^corpus/late\.arrow: row 1"):
        mmuexp.compare(["corpus/a.arrow", "corpus/late.arrow"], "softmmu", cluster=workers.address)


def test_a_scheme_from_a_file_travels(workers, corpus, monkeypatch):
    """The workers began before there was such a file, and cannot import what it imports."""
    beside = corpus / "beside_mine.py"
    shutil.copy(HONEST_FILE, beside)
    mine = corpus / "mine.py"
    mine.write_text("import beside_mine\nclass Mine(beside_mine.Honest):\n    name = 'mine'\n")
    monkeypatch.setattr(sys, "path", [str(corpus), *sys.path])
    there = mmuexp.compare("corpus/a.arrow", [str(mine), "softmmu"], cluster=workers.address)
    same(there, mmuexp.compare("corpus/a.arrow", [str(mine), "softmmu"]))
    assert "mine.py" in {path.name for path in (cache_folder() / "sent").rglob("*.py")}


def test_what_the_store_has_is_not_sent(workers, corpus, store, monkeypatch):
    how = {"cluster": workers.address}
    here = mmuexp.compare("corpus/?.arrow", SPECS[:2])
    again = mmuexp.compare("corpus/?.arrow", SPECS[:2], **how)
    assert again.equals(here) and sum(len(one["strategies"]) for one in again.attrs["manifest"]["from_store"]) == 6
    more = mmuexp.compare("corpus/?.arrow", SPECS, **how)
    assert sum(len(one["strategies"]) for one in more.attrs["manifest"]["from_store"]) == 6
    assert entries(store) == 15
    monkeypatch.setattr("mmuexp.analysis.experiment.run_passes", lambda *_, **__: pytest.fail("it replays"))
    assert mmuexp.compare("corpus/?.arrow", SPECS).equals(more)


def test_a_worker_that_is_killed_in_mid_trace(cluster, long_trace):
    """Another one, which comes later, does it again."""
    first, seen = cluster.start(), []

    def progress(name: str, done: int, rows: int | None) -> None:
        if name == cluster.address and done and not seen:
            seen.append(done / rows)
            first.kill()
            first.wait()
            cluster.start()

    there = mmuexp.compare(long_trace, SPECS, cluster=cluster.address, progress=progress)
    assert 0 < seen[0] < 1
    same(there, mmuexp.compare(long_trace, SPECS))


DEADLY = """
import os, signal
from mmuexp.strategies.softmmu import Softmmu

class Deadly(Softmmu):
    name = "deadly"
    def state(self):
        {}
        return super().state()
"""
KILLS = "os.kill(os.getpid(), signal.SIGKILL)"
ONCE = f"""try: os.mkdir({{!r}})
        except FileExistsError: pass
        else: {KILLS}"""


def deadly(folder: Path, does: str) -> str:
    (folder / "deadly.py").write_text(DEADLY.format(does))
    return str(folder / "deadly.py")


def test_a_worker_that_is_killed_and_comes_back_under_another_address(corpus, monkeypatch):
    """Dask's nanny starts it again; so it does after a worker took too much memory."""
    monkeypatch.setenv("NUMBA_DISABLE_JIT", "1")  # there: nothing is compiled
    scheme = deadly(corpus, ONCE.format(str(corpus / "killed")))
    there = mmuexp.compare("corpus/?.arrow", [scheme, "softmmu"], cluster="local:1")
    assert (corpus / "killed").is_dir()
    assert set(there["strategy"]) == {"deadly", "softmmu"}
    counts = there.set_index("strategy").drop(columns="trace").select_dtypes("int")
    assert (
        len(counts.columns) > 20
        and counts.loc["deadly"].to_numpy().tolist() == counts.loc["softmmu"].to_numpy().tolist()
    )


def test_what_kills_every_worker_is_one_line_and_keeps_the_rest(corpus, store):
    scheme = deadly(corpus, f"if {os.getpid()} != os.getpid(): {KILLS}")
    with pytest.raises(TraceError, match=r"corpus/a\.arrow: ended each of 3 workers that were at it \(tcp://") as error:
        mmuexp.compare(
            "corpus/a.arrow", [scheme, "softmmu", "map-block", "byte-lookup", "qemu-fast"], cluster="local:2"
        )
    assert len(str(error.value).splitlines()) == 1


def test_a_worker_with_other_sources_is_refused_by_name(cluster, corpus, cli):
    """A copy of mmuexp in which a comment was added to what counts."""
    other = corpus / "other" / "mmuexp"
    shutil.copytree(ROOT / "mmuexp", other, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("strategies", "traces", "results"):
        (other / name).symlink_to(ROOT / name)
    with (other / "guest.py").open("a") as file:
        file.write("# changed\n")
    time.sleep(0.5)  # a process that begins in the moment of a change does not know what it loaded
    cluster.start(PYTHONPATH=str(other.parent))
    assert cli("compare", "corpus/a.arrow", "-s", "softmmu", "--cluster", cluster.address).code == 1
    assert "has no worker of use: tcp://127.0.0.1:" in cli.err and "has other sources of mmuexp (process" in cli.err
    cluster.start()
    from distributed import Client

    with Client(cluster.address, set_as_default=False) as client:
        client.wait_for_workers(2, timeout=60)  # where the refused one is alone, a run does not wait long for another
    there = mmuexp.compare("corpus/?.arrow", SPECS, cluster=cluster.address)
    same(there, mmuexp.compare("corpus/?.arrow", SPECS))


def test_a_scheduler_that_is_killed_is_one_line_and_what_was_counted_is_kept(cluster, long_trace, corpus, store):
    cluster.start()

    def progress(name: str, done: int, rows: int | None) -> None:
        if name == cluster.address and entries(store):
            cluster.processes[0].kill()

    with pytest.raises(MmuexpError, match=r"does not answer any more.*what was counted is kept"):
        mmuexp.compare(["corpus/a.arrow", long_trace], SPECS, cluster=cluster.address, progress=progress)
    before = kept(store)
    assert before
    again = mmuexp.compare(["corpus/a.arrow", long_trace], SPECS)
    assert sum(len(one["strategies"]) for one in again.attrs["manifest"]["from_store"]) == before


def children(session: int) -> list[str]:
    """What of a session lives."""
    found = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            state, _, _, its = stat.read_text().rpartition(")")[2].split()[:4]
        except (OSError, ValueError):
            continue
        if int(its) == session and state not in "ZX":
            found.append(stat.parent.name)
    return found


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_a_signal_keeps_what_is_done_and_leaves_no_worker(number, long_trace, corpus, store):
    command = [sys.executable, "-m", "mmuexp", "compare", "corpus", long_trace, "--cluster", "local:2", "-o", "r.csv"]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True, start_new_session=True)
    until = time.monotonic() + 60
    while not (store.exists() and kept(store)):
        assert time.monotonic() < until and process.poll() is None
        time.sleep(0.02)
    if number == signal.SIGINT:
        os.killpg(process.pid, number)  # as a terminal does: to the workers, too
    else:
        process.send_signal(number)
    _, err = process.communicate(timeout=30)
    if number != signal.SIGKILL:
        assert process.returncode == 128 + number
        assert "Traceback" not in err and err.splitlines()[-1] == "mmuexp: interrupted"
    until = time.monotonic() + 10
    while children(process.pid) and time.monotonic() < until:
        time.sleep(0.05)
    assert children(process.pid) == []
    assert kept(store)
    assert mmuexp.compare("corpus").attrs["manifest"]["from_store"]


def test_interrupted_in_python_it_gives_what_is_done(corpus, store, long_trace):
    from mmuexp.analysis.experiment import Interrupted

    def progress(name: str, done: int, rows: int | None) -> None:
        if name == "local:1" and entries(store):
            raise KeyboardInterrupt

    with pytest.raises(Interrupted) as stopped:
        mmuexp.compare(["corpus/a.arrow", long_trace], SPECS, cluster="local:1", progress=progress)
    result = stopped.value.result
    assert result.manifest["complete"].startswith("interrupted after 1 of ")
    assert set(result.frame["trace"]) == {"corpus/a.arrow"} and entries(store) == len(result.frame)


def test_what_was_cancelled_does_not_go_on(cluster, long_trace):
    cluster.start()

    def progress(name: str, done: int, rows: int | None) -> None:
        if name == cluster.address and done:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        mmuexp.compare(long_trace, SPECS, cluster=cluster.address, progress=progress)
    from distributed import Client

    with Client(cluster.address, set_as_default=False) as client:
        until = time.monotonic() + 5
        while any(client.processing().values()) or any(client.call_stack().values()):
            assert time.monotonic() < until
            time.sleep(0.1)
