"""`verify` can fail: planted bugs are found at their row; whatever happens to an engine is one line, exit code 1."""

import gc
import os
import re
import resource
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import pytest
from kit.cli import one_line
from kit.places import TESTS
from kit.recordings import is_running
from kit.replays import SCHEMES, Rows, symbol
from kit.traces import columns_of, load, random_spaces, random_trace, store, write
from truth.rows import micro

from mmuexp.analysis.verify import _counted_as, verify_one
from mmuexp.guest import Columns
from mmuexp.live import build
from mmuexp.live.limits import MAP_COUNT
from mmuexp.live.process import Engine, EngineDied, EngineFailed, Plant, WrongData
from mmuexp.replay.replay import Replay
from mmuexp.replay.survey import Survey
from mmuexp.strategy.registry import parse_spec

BUGS = [  # scheme, bug, mode and seed of a trace that meets it
    ("softmmu", "no-protect", "user", 5), ("softmmu", "stale-entry", "system", 5), ("softmmu", "lost-fill", "user", 5),
    ("softmmu-qemu10", "no-protect", "user", 5), ("softmmu-qemu10", "stale-entry", "system", 5),
    ("softmmu-qemu10", "lost-fill", "user", 5), ("page-table", "no-protect", "user", 5),
    ("page-table,live=5,form=vtlb", "stale-entry", "system", 5), ("page-table,detect=any", "lost-fill", "user", 5),
    ("byte-lookup,entries=5", "wrong-page", "user", 5), ("byte-lookup,entries=5", "no-protect", "system", 5),
    ("byte-lookup,entries=5", "small-pool", "user", 5), ("byte-lookup,entries=5", "stale-entry", "system", 5),
    ("map-block,pool_blocks=4", "wrong-page", "system", 5), ("map-block,pool_blocks=4", "no-protect", "user", 5),
    ("map-block,pool_blocks=4", "small-pool", "system", 5), ("map-block,pool_blocks=4", "stale-entry", "system", 5),
    ("qemu-fast,guest_limit=0x100000000", "wrong-page", "user", 5), ("qemu-fast", "no-protect", "system", 5),
    ("qemu-fast,guest_limit=0x100000000", "stale-entry", "system", 5), ("qemu-fast", "lost-fill", "user", 5),
    ("map-block,code=check", "not-compared", "system", 5),
    ("fastmem,code=check,check_after=0", "not-compared", "user", 5),
    ("fastmem", "forgotten-site", "sites", 5), ("fastmem,how=block", "forgotten-site", "sites", 5),
    ("fastmem,flush=diff", "stale-page", "system", 5), ("views,views=2", "stale-page", "spaces", 5),
    ("fastmem,patch=code,code=block", "no-protect", "user", 5), ("fastmem", "wrong-page", "system", 5),
]  # fmt: skip


# a site is patched; its block is dropped, comes back, and meets the device once more
SITES = "M1000>50 M2000>51 X1000 iL5000@1 S1004@2 X1000 iL5000@1 L2000@1"


def trace_of(kind: str, seed: int) -> Columns:
    if kind == "sites":
        return columns_of(micro(SITES))
    return columns_of(random_spaces(seed) if kind == "spaces" else random_trace(seed, 6000, kind))


def row_by_row(columns: Columns, mode: str, spec: str, plant: Plant) -> int:
    """The first row behind which model and engine differ: found by hand, one row after another."""
    strategy = parse_spec(spec)
    survey, replay = Survey(mode), Replay(strategy, mode, log=64)
    lacks = strategy.lacks()
    counted = {name: _counted_as(name, at) for name, at in strategy.columns().items() if name not in lacks}
    with Engine(strategy, mode, plant=plant) as engine:
        for row in range(len(columns.op)):
            one = Columns(*(column[row : row + 1] for column in columns))
            replay.feed(survey.feed(one))
            try:
                engine.feed(one)
            except WrongData:
                return row
            model, live = replay.counts(), engine.counts()
            both = [(name, live_name) for name, live_name in counted.items() if live_name in live]
            if any(model[name] != live[live_name] for name, live_name in both):
                return row
            theirs, ours = replay.faults(), engine.faults()
            if [*zip(ours["row"], ours["vaddr"])] != [*zip(theirs["row"], theirs["vaddr"])]:  # noqa: B905
                return row
    raise AssertionError("they agree")


@pytest.fixture(scope="module")
def few_objects():
    """What is loaded already is not looked through each time that garbage is collected: 0.2 s."""
    gc.collect()
    gc.freeze()
    yield
    gc.unfreeze()


@pytest.fixture
def nothing_left(tmp_path, monkeypatch, few_objects):
    """No process, no open file and no core file is left by the test."""
    monkeypatch.chdir(tmp_path)

    def mine() -> Counter[str]:
        gc.collect()
        children = Path(f"/proc/self/task/{os.getpid()}/children").read_text().split()
        fds = [os.path.realpath(f"/proc/self/fd/{fd}") for fd in os.listdir("/proc/self/fd")]
        return Counter([*children, *(name for name in fds if "mmuexp-engine" in name or "guest-ram" in name)])

    before = mine()
    yield
    assert not mine() - before  # what a test before this one left may go meanwhile
    assert not list(tmp_path.glob("core*"))


@pytest.mark.long
@pytest.mark.parametrize(("spec", "bug", "mode", "seed"), BUGS)
def test_a_planted_bug_is_found_at_its_first_row(cli, tmp_path, nothing_left, spec, bug, mode, seed):
    columns, mode = trace_of(mode, seed), "user" if mode == "user" else "system"
    trace = write(tmp_path / "t.arrow", columns, mode=mode)
    assert cli("verify", "--trace", trace, "-s", spec, "--plant", bug).code == 3, cli.err
    assert "differ in 1 of 1 runs" in one_line(cli.err)
    assert "DIFFERENT" in cli.out
    said = re.search(r"the first row where they part is ([\d,]+): (.+)", cli.out)
    row = int(said[1].replace(",", ""))
    assert row == row_by_row(columns, mode, spec, Plant[bug.upper().replace("-", "_")])
    assert said[2]
    assert cli("verify", "--trace", trace, "-s", spec).code == 0  # without the bug


def test_the_row_is_one_that_faults_lists(tmp_path):
    """A bug of the pool parts them in a row that faults; it is told with address and cause, as in both lists."""
    columns = trace_of("user", 5)
    found = verify_one(Rows(columns, "user"), parse_spec("map-block,pool_blocks=4"), "t", plant=Plant.SMALL_POOL)
    assert not found.equal
    row, vaddr = found.parting.row, int(columns.vaddr[found.parting.row])
    assert found.parting.model[0] == (vaddr, "faults_block")
    assert found.rows == row - row % len(columns.op)  # whole batches that agreed


def test_what_only_the_end_shows_is_found_at_its_row(monkeypatch):
    """A page mapped to the wrong place that no load reads: the store of row 64 goes astray."""
    rows = [store(0x100000 + 0x2000 * i) for i in range(100)]
    found = verify_one(Rows(rows, "user"), parse_spec("map-block,pool_blocks=100"), "t", plant=Plant.WRONG_PAGE)
    assert found.parting.row == 63
    assert "guest-physical page 0x17e is not what the stores made of it" in found.parting.what


@pytest.mark.long
@pytest.mark.parametrize("spec", SCHEMES)
def test_a_crash_is_one_line(cli, trace, nothing_left, spec):
    assert cli("verify", "--trace", trace, "-s", spec, "--plant", "crash").code == 1
    assert "was ended by SIGSEGV" in one_line(cli.err)
    assert spec in cli.err


def test_a_hang_is_ended(cli, trace, nothing_left):
    begun = time.monotonic()
    assert cli("verify", "--trace", trace, "-s", "softmmu", "--plant", "hang", "--time-limit", "0.5").code == 1
    assert "took more than 0.5 s over rows 0 to 11, and was ended" in one_line(cli.err)
    assert time.monotonic() - begun < 20


@pytest.mark.parametrize("spec", SCHEMES)
@pytest.mark.parametrize("number", [signal.SIGSEGV, signal.SIGKILL, signal.SIGBUS])
def test_a_signal_from_outside_ends_it(spec, number):
    """The handler takes no SIGSEGV that is not its own."""
    with Engine(parse_spec(spec), "user") as engine:
        os.kill(engine._process.pid, number)
        kind = EngineFailed if number == signal.SIGKILL else EngineDied  # the latter may be its own doing
        with pytest.raises(kind, match=f"was ended by {number.name}"):
            engine.feed(columns_of([load(0x1000)]))


def poke(engine: Engine, name: str, value: int, at: int = 0) -> None:
    with open(f"/proc/{engine._process.pid}/mem", "r+b", buffering=0) as memory:
        memory.seek(symbol(engine.program, name) + at)
        memory.write(value.to_bytes(8, "little"))


WILD = [("softmmu", "ram"), ("byte-lookup", "ram")]  # a helper, and the handler: both go through guest RAM
WILD += [("map-block", "block_table"), ("byte-lookup", "byte_base")]


@pytest.mark.parametrize(("spec", "table"), WILD)
@pytest.mark.parametrize("to", [0x10, 0x7000_0000_0000])
def test_a_wild_access_gets_the_default_action(spec, table, to):
    """A pointer of the engine's own is damaged, as a bug would: in a helper, in the handler, in a fast path."""
    with Engine(parse_spec(spec), "user") as engine:
        poke(engine, table, to)
        with pytest.raises(EngineDied, match="was ended by SIGSEGV in rows 0 to 1"):
            engine.feed(columns_of([load(0xFFC, 8), store(0xFFC, 8)]))


def test_too_many_mappings_says_how_many(cli, tmp_path, nothing_left):
    limit = int(MAP_COUNT.read_text())
    pages = limit // 2 + 10
    if 2 * pages >= 1 << 20:
        pytest.fail(f"vm.max_map_count is {limit}: no guest of 4 GiB can need more mappings")
    columns = columns_of([load(0x2000 * i + 0x1000) for i in range(pages)])
    trace = write(tmp_path / "scattered.arrow", columns)
    assert cli("verify", "--trace", trace, "-s", "qemu-fast,guest_limit=0x100000000").code == 1
    need, _, failure = cli.err.partition("\n")
    assert "guest RAM and its reference take 269 MB" in need
    said = one_line(failure)
    assert f"the trace needs {2 * pages + 1:,}, and vm.max_map_count is {limit}" in said
    assert "sysctl vm.max_map_count" in said
    assert cli("compare", "--trace", trace, "-s", "qemu-fast,guest_limit=0x100000000").code == 0
    assert cli("verify", "--trace", trace, "-s", "map-block").code == 0


def mmuexp(*argv, packages: Path | None = None, **options) -> subprocess.CompletedProcess:
    env = options.pop("env", dict(os.environ))
    if packages:
        env["PYTHONPATH"] = os.pathsep.join([str(packages), *filter(None, [env.get("PYTHONPATH")])])
    command = [sys.executable, "-m", "mmuexp", *map(str, argv)]
    return subprocess.run(command, env=env, capture_output=True, text=True, timeout=120, **options)


def failed(done: subprocess.CompletedProcess) -> str:
    assert done.returncode == 1, done.stderr
    return one_line(done.stderr)


@pytest.mark.long
@pytest.mark.parametrize("gib", [3, 5])
def test_no_address_space_is_one_line(trace, gib):
    def small() -> None:
        resource.setrlimit(resource.RLIMIT_AS, (gib << 30, gib << 30))

    done = mmuexp("verify", "--trace", trace, "-s", "qemu-fast", preexec_fn=small)
    assert "no address space" in failed(done)


@pytest.mark.parametrize("mib", [1, 30])
def test_no_memory_for_the_process_itself_is_one_line(monkeypatch, mib):
    """The engine cannot even be started, or not get its chunk of rows."""
    wrapper = ("prlimit", f"--as={mib << 20}")
    with pytest.raises(EngineFailed):
        Engine(parse_spec("qemu-fast"), "user", wrapper=wrapper)


def test_another_architecture_is_one_line(cli, trace, monkeypatch):
    build.engine_of.cache_clear()
    monkeypatch.setattr("platform.machine", lambda: "aarch64")
    assert cli("verify", "--trace", trace).code == 1
    assert "runs on x86-64 Linux, and this is Linux on aarch64" in one_line(cli.err)
    assert cli("compare", "--trace", trace).code == 0


@pytest.mark.long
def test_no_compiler_is_one_line_and_harms_nothing_else(trace, tmp_path):
    env = {**os.environ, "PATH": str(tmp_path), "CC": ""}
    assert mmuexp("compare", "--trace", trace, env=env).returncode == 0
    env["XDG_CACHE_HOME"] = str(tmp_path / "cache")
    assert "no C compiler" in failed(mmuexp("verify", "--trace", trace, "-s", "softmmu", env=env))
    env = {**os.environ, "XDG_CACHE_HOME": str(tmp_path / "cache2"), "CC": "false"}
    assert "does not compile" in failed(mmuexp("verify", "--trace", trace, "-s", "softmmu", env=env))
    env = {**os.environ, "XDG_CACHE_HOME": "/proc/nowhere"}
    assert "set XDG_CACHE_HOME" in failed(mmuexp("verify", "--trace", trace, "-s", "softmmu", env=env))


def test_parameters_without_an_engine_say_so_before_the_work(cli, trace):
    call = "page-table,form=call"
    line = f"mmuexp: {call}: has no live engine: the listing of form=call is a subroutine; leave it out, or set it"
    for command in (("verify", "--trace", trace, "-s", "page-table"), ("compare", trace, "--live")):
        done = cli(*command, "-s", call)
        assert (done.code, done.out) == (1, "")
        assert one_line(done.err).startswith(line)


def test_a_scheme_without_a_c_half_says_so(trace):
    packages = TESTS / "kit" / "third_party"
    said = failed(mmuexp("verify", "--trace", trace, "-s", "softmmu-large", packages=packages))
    assert "softmmu-large: has no live engine: there is no mmuexp_victim.c beside mmuexp_victim.py" in said
    assert "strategies/qemu_fast.c" in said
    assert mmuexp("verify", "--trace", trace, "-s", "softmmu", packages=packages).returncode == 0


@pytest.mark.long
def test_a_c_half_that_does_not_compile_is_one_line(trace, tmp_path):
    packages = tmp_path / "packages"
    shutil.copytree(TESTS / "kit" / "third_party", packages)
    (packages / "mmuexp_victim.c").write_text('#include "engine.h"\nthis is no C\n')
    said = failed(mmuexp("verify", "--trace", trace, "-s", "softmmu-large", packages=packages))
    assert "the live engine of softmmu-large does not compile: mmuexp_victim.c:2" in said
    assert mmuexp("verify", "--trace", trace, "-s", "softmmu", packages=packages).returncode == 0
    assert mmuexp("compare", "--trace", trace, "-s", "softmmu", packages=packages).returncode == 0


def hanging(trace: str) -> tuple[subprocess.Popen, int]:
    """`mmuexp verify` with an engine that hangs, and the engine's process."""
    command = [sys.executable, "-m", "mmuexp", "verify", "--trace", trace, "-s", "softmmu", "--plant", "hang"]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True, start_new_session=True)
    end = time.monotonic() + 60
    while time.monotonic() < end:
        for child in Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split():
            if "engines" in Path(f"/proc/{child}/cmdline").read_text() and Path(f"/proc/{child}/wchan").exists():
                time.sleep(0.3)
                if is_running(int(child)):  # not the one that only says what it counts
                    return process, int(child)
        time.sleep(0.02)
    raise AssertionError("there is no engine")


def ends(pid: int) -> bool:
    end = time.monotonic() + 10
    while is_running(pid) and time.monotonic() < end:
        time.sleep(0.02)
    return not is_running(pid)


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_an_engine_ends_with_its_driver(trace, number):
    process, engine = hanging(trace)
    process.send_signal(number)
    said = process.communicate(timeout=30)[1]
    assert process.returncode in (-number, 128 + number), said
    assert "Traceback" not in said
    assert ends(engine)
