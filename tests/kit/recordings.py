"""Recordings for tests: programs built for the guest, `mmuexp record` as a user runs it, rows read back, other QEMUs.

Nothing here is skipped: where QEMU or a 32-bit compiler is missing, tests fail and name the package. Guests are
recorded under the QEMU in PATH, and under one from 9.1 on, which shows registers to plugins. That is looked for in the
folder that MMUEXP_NEWER_QEMU names, then in PATH; `make check` fetches Debian's backport (10.0, 14 MB) where neither
has it.
"""

import atexit
import functools
import os
import re
import shutil
import signal
import subprocess
import tempfile
import time
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from truth import schemes

from kit import forked
from kit.places import TESTS, TRACES
from mmuexp.guest import IO, USER, Columns, FlushReason, Op
from mmuexp.runtime.places import cache_folder
from mmuexp.trace import open_trace

WORKLOADS = TRACES / "workloads"


@functools.cache
def workshop() -> Path:
    """A folder for built programs and the compiled plugin, gone when the tests are."""
    folder = Path(tempfile.mkdtemp(prefix="mmuexp-test-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return folder


def need(tool: str, package: str) -> None:
    if shutil.which(tool) is None:
        pytest.fail(f"{tool} is missing: apt-get install {package}")


def _compile(bits: int, *words: str) -> None:
    need("gcc", "gcc gcc-multilib")
    done = subprocess.run(["gcc", f"-m{bits}", *words], capture_output=True, text=True)
    if done.returncode:
        pytest.fail(f"no {bits}-bit program could be built (apt-get install gcc-multilib): {done.stderr}")


@functools.cache
def build(name: str, bits: int = 32) -> str:
    """The program tests/kit/record_programs/NAME.c or .S, static, for that width."""
    source = TESTS / "kit" / "record_programs" / f"{name}.c"
    target = workshop() / f"{bits}" / name
    target.parent.mkdir(exist_ok=True)
    if source.exists():
        _compile(bits, "-O1", "-static", "-pthread", "-o", str(target), str(source))
    else:
        _compile(bits, "-nostdlib", "-static", "-no-pie", "-o", str(target), str(source.with_suffix(".S")))
    return str(target)


@functools.cache
def workload(name: str, rounds: int | None = None, bits: int = 32) -> str:
    """The program traces/workloads/NAME, with ROUNDS rounds where its counts are formulas in it."""
    need("gcc", "gcc gcc-multilib")
    need("make", "make")
    folder = workshop() / f"workloads-{rounds or 'full'}-{bits}"
    settings = [f"BUILD={folder}", f"ROUNDS={rounds or ''}", f"BITS={bits}"]
    command = ["make", "-s", "-C", str(WORKLOADS), *settings, f"{folder}/{name}"]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        pytest.fail(f"{name} could not be built (apt-get install gcc-multilib): {done.stderr}")
    return str(folder / name)


DETERMINED = ["-display", "none", "-net", "none", "-icount", "shift=0,sleep=off", "-rtc", "base=2020-01-01,clock=vm"]
GUEST_DEVICES = ["-display", "none", "-net", "none", "-device", "isa-debug-exit,iobase=0xf4,iosize=4"]


@functools.cache
def guest(name: str, rounds: int) -> str:
    """The firmware image of traces/workloads/guest/NAME.S with ROUNDS rounds."""
    need("gcc", "gcc gcc-multilib")
    need("objcopy", "binutils")
    need("make", "make")
    folder = workshop() / f"guest-{rounds}"
    command = ["make", "-s", "-C", str(WORKLOADS / "guest"), f"BUILD={folder}", f"ROUNDS={rounds}", f"{folder}/{name}"]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        pytest.fail(f"{name} could not be built (apt-get install gcc-multilib binutils): {done.stderr}")
    return str(folder / name)


def record_guest(*options, image: str, cwd, env=None):
    """`mmuexp record --system OPTIONS -- -bios IMAGE` and the devices that our guests use."""
    need("qemu-system-i386", "qemu-system-x86")
    return record("--system", *options, "--", "-bios", image, *GUEST_DEVICES, cwd=cwd, env=env)


def recorded_guest(name: str, rounds: int, folder: Path, env: dict | None = None) -> Path:
    """The recording of a guest that checks what it reads; it ends QEMU with 33 if every word is as it should be."""
    done = record_guest("-o", f"{name}.arrow", image=guest(name, rounds), cwd=folder, env=env)
    assert done.code == 33, done.err
    return folder / f"{name}.arrow"


def _environment(**extra: str) -> dict[str, str]:
    """Ours, but for the cache: the plugin is compiled anew. Machine code stays where it is, numba's variable says."""
    ours = {"NUMBA_CACHE_DIR": str(cache_folder() / "kernels"), "XDG_CACHE_HOME": str(workshop() / "cache")}
    return {**os.environ, **ours, **extra}


def start(*words, cwd, env=None, **options) -> subprocess.Popen:
    """`mmuexp record WORDS`, in a process group of its own."""
    need("qemu-i386", "qemu-user")
    pipes = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    return forked.start(["record", *map(str, words)], cwd=cwd, env=_environment(**(env or {})), **(pipes | options))


def record(*words, cwd, stdin: str = "", env=None):
    """`mmuexp record WORDS` to its end: `.code .out .err`."""
    process = start(*words, cwd=cwd, env=env, stdin=subprocess.PIPE)
    out, err = finish(process, stdin)
    return Done(process.returncode, out, err)


class Done:
    def __init__(self, code: int, out: str, err: str):
        self.code, self.out, self.err = code, out, err


def finish(process: subprocess.Popen, stdin: str | None = None, seconds: float = 60) -> tuple[str, str]:
    try:
        return process.communicate(stdin, timeout=seconds)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        out, err = process.communicate()
        pytest.fail(f"the recorder hangs; it has written {out!r} {err!r}")


def spinning(tmp_path, bits: int = 32) -> subprocess.Popen:
    """A recording in the middle of its work: `spin` has said "ready" and has made some chunks of rows."""
    process = start("-o", "spin.arrow", "--", build("spin", bits), cwd=tmp_path)
    assert process.stdout.readline() == "ready\n"
    end = time.monotonic() + 30
    size = 0
    while size < 40_000 and time.monotonic() < end:  # the first batch takes 28 kB, those after it 2 kB each
        time.sleep(0.05)
        size = os.path.getsize(tmp_path / "spin.arrow.part")
    return process


def qemu_of(process: subprocess.Popen) -> int:
    """The process id of the recorder's QEMU."""
    return int(Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()[0])


def is_running(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] not in "ZX"
    except FileNotFoundError:
        return False


def rows_of(path) -> Columns:
    """All rows of a trace, as whole columns."""
    batches = list(open_trace(path).batches())
    return Columns(*(np.concatenate([batch[i] for batch in batches]) for i in range(6)))


def tuples(path) -> list[tuple[int, ...]]:
    """All rows as the oracle takes them: (op, vaddr, size, insns, flags, page)."""
    c = rows_of(path)
    return list(zip(*(column.tolist() for column in (c.op, c.vaddr, c.size, c.insns, c.flags, c.page)), strict=True))


def count(rows: Columns) -> dict[str, int]:
    """Shape counts, from the rows themselves."""
    data = (rows.op == Op.LOAD) | (rows.op == Op.STORE)
    vaddr, size = rows.vaddr[data].astype(np.int64), rows.size[data].astype(np.int64)
    power = size & (size - 1) == 0
    return {
        "rows": len(rows.op),
        "loads": int((rows.op == Op.LOAD).sum()),
        "stores": int((rows.op == Op.STORE).sum()),
        "execs": int((rows.op == Op.EXEC).sum()),
        "misaligned": int((power & (vaddr % size != 0)).sum()),
        "page_cross": int((vaddr % 4096 + size > 4096).sum()),
    }


NAME = "qemu-system-i386"
FETCH = TRACES / "recipes" / "fetch_qemu"
IN_PATH, FETCHED = "in PATH", "fetched"


def is_newer(path: str | None) -> bool:
    line = subprocess.run([path, "--version"], capture_output=True, text=True).stdout if path else ""
    found = re.search(r"version (\d+)\.(\d+)", line)
    return bool(found) and (int(found[1]), int(found[2])) >= (9, 1)


def there() -> str | None:
    """The folder of a newer QEMU on this machine."""
    named = os.environ.get("MMUEXP_NEWER_QEMU")
    path = f"{named}/{NAME}" if named else shutil.which(NAME)
    return str(Path(path).parent) if is_newer(path) else None


@functools.cache
def fetched() -> str:
    folder = workshop() / "newer-qemu"
    done = subprocess.run(["sh", str(FETCH), str(folder)], capture_output=True, text=True)
    if done.returncode or not is_newer(f"{folder}/{NAME}"):
        no = pytest.fail if os.environ.get("CI") else pytest.skip  # a machine without network may do without it
        no(f"no {NAME} from 9.1 on is here (MMUEXP_NEWER_QEMU=FOLDER), and none could be fetched: {done.stderr[:200]}")
    return str(folder)


def newer_ones() -> list:
    """What a fixture's parameters are, for a newer QEMU."""
    return [there()] if there() else [pytest.param(FETCHED, marks=pytest.mark.long)]


def here() -> list:
    """The same for the QEMU in PATH and a newer one."""
    return [IN_PATH, *(newer_ones() if not is_newer(shutil.which(NAME)) else [])]


def environment(which: str) -> dict[str, str]:
    """What must be in the environment, for that QEMU."""
    folder = "" if which == IN_PATH else f"{fetched() if which == FETCHED else which}:"
    return {"PATH": folder + os.environ["PATH"]}


# The guest whose counts are known by construction (traces/workloads/guest/known.S). The table in known.S says what each
# of its phases does; here it stands as formulas in the number of rounds.
KNOWN_ROUNDS = 40
MARKER = 0x9000
_COLUMNS = {Op.LOAD: "loads", Op.STORE: "stores", Op.EXEC: "execs", Op.FLUSH_PAGE: "page_flushes", Op.MAP: "maps"}
KNOWN_SPECS = [*schemes.NAMES, "softmmu,tlb_bits=4", "byte-lookup,entries=4"]
KNOWN_SPECS += ["map-block,map_block_bits=13,pool_blocks=3", "map-block,map_pages=4"]
KNOWN_SPECS += ["qemu-fast,guest_limit=0x100000000"]


def known_phases(n: int) -> list[dict[str, int]]:
    """What each phase does, as known.S derives it; what is not named is 0."""
    return [
        {"loads": 10, "stores": 1, "execs": 11, "flush CR0": 1, "maps": 4, "misaligned": 1},
        {"stores": 1030, "execs": 1024, "maps": 4},
        {"stores": 1, "execs": 2, "flush CR0": 1, "maps": 2},
        {"loads": n, "stores": 1, "execs": 2 * n, "flush CR3": n, "maps": 2 * n + 1},
        {"loads": n, "stores": n + 1, "execs": 2 * n, "page_flushes": n - 1, "maps": n + 1},
        {"loads": 2 * n, "stores": n + 1, "execs": n, "io": 3 * n},
        {"loads": n, "stores": 1, "execs": n},
        {"loads": n, "stores": n + 2, "execs": n + 1, "maps": 2, "misaligned": 2 * n, "crossing": 2 * n},
        {
            "loads": n,
            "stores": n + 4,
            "execs": 4 * n + 1,
            "maps": 3,
            "misaligned": 2,
            "crossing": 1,
            "crossing code": n,
        },
        {"loads": 4, "stores": n + 5, "execs": n + 2, "maps": 1},
        {"loads": n, "stores": 2 * n + 3, "execs": 3 * n, "maps": 1, "misaligned": n},
        {"loads": n, "stores": n + 1, "execs": 2 * n + 2, "maps": 2, "user data": 2 * n, "user execs": 2 * n + 1},
        {"loads": 2 * n, "stores": 2 * n + 1, "execs": 3 * n, "maps": n, "page_flushes": n, "io": n},
        {"loads": n, "stores": n + 2, "execs": n + 1, "maps": n, "page_flushes": n - 1}
        | {"io": n, "misaligned": n, "crossing": n},
        {},
    ]


def found_phases(rows) -> list[dict[str, int]]:
    found = [Counter()]
    for op, vaddr, size, _, flags, _ in rows:
        n, data = found[-1], op in (Op.LOAD, Op.STORE)
        n[_COLUMNS[op] if op != Op.FLUSH else f"flush {FlushReason(size).name}"] += 1
        n["io"] += bool(flags & IO)
        n["user data"] += data and bool(flags & USER)
        n["user execs"] += op == Op.EXEC and bool(flags & USER)
        n["misaligned"] += data and vaddr % size != 0
        n["crossing"] += data and vaddr % 4096 + size > 4096
        n["crossing code"] += op == Op.EXEC and vaddr % 4096 + size > 4096
        if op == Op.STORE and vaddr == MARKER:
            found.append(Counter())
    return [{name: number for name, number in n.items() if number} for n in found]


def known_counts(spec: str, n: int) -> dict[str, int]:
    """What follows from the table under a scheme, without running one."""
    counts = {
        "loads": 12 * n + 14,
        "stores": 11 * n + 1054,
        "execs": 21 * n + 1044,
        "io_accesses": 5 * n,
        "flushes": n + 2,
        "page_flushes": 3 * n - 2,
        "misaligned": 4 * n + 3,
        "page_cross": 3 * n + 1,
        "mode_switches": 2,
        "smc_stores": n - 1,
        "code_page_data_stores": n,
    }
    counts["accesses"] = counts["loads"] + counts["stores"]
    name = spec.split(",")[0]
    if name == "softmmu":
        return counts | {"slow_io": 5 * n, "slow_cross": 2 * n + 1, "slow_code": 2 * n - 1, "slow_misaligned": n + 2}
    if name in ("softmmu-qemu10", "page-table"):
        return counts | {"slow_io": 5 * n, "slow_cross": 2 * n + 1, "slow_code": 2 * n - 1}
    if name == "byte-lookup":
        return counts | {"faults_io": 5 * n, "faults_cross": 2 * n + 1}
    if name in ("map-block", "views"):
        return counts | {"faults_io": 5 * n}
    if name == "fastmem":  # the first access of each site faults, and is slow like those that follow
        return counts | {"slow_io": 5 * n}
    if name != "qemu-fast":
        return counts
    above = 0 if "guest_limit" in spec else 1  # lgdt reads near 4 GiB
    return counts | {"faults_softmmu": 3 * n + above, "softmmu_accesses": 6 * n + 2 * above}


LAST = {"flushes": 22, "known": 14, "shadow": 7}  # phases


def flushes_by_phase(rows) -> dict[int, Counter]:
    phases = [Counter()]
    for op, vaddr, size, *_ in rows:
        if op == Op.STORE and vaddr == MARKER:
            phases.append(Counter())
        if op == Op.FLUSH:
            phases[-1][FlushReason(size)] += 1
    return {number: counts for number, counts in enumerate(phases) if counts}


def drops(image: str, name: str, env) -> int:
    """How often QEMU drops the translations of one MMU index, until the guest has come to its last phase."""
    command = ["qemu-system-i386", "-accel", "tcg,thread=single", "-bios", image]
    command += ["-display", "none", "-net", "none", "-monitor", "stdio"]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True, "env": env}
    with subprocess.Popen(command, **pipes) as qemu:
        end, line = time.monotonic() + 30, ""
        while not re.match(f"0*{MARKER:x}: 0x{LAST[name]:02x}", line):
            assert time.monotonic() < end
            time.sleep(0.01)
            qemu.stdin.write(f"xp /1bx {MARKER}\n")
            qemu.stdin.flush()
            line = next(line for line in qemu.stdout if re.match(f"0*{MARKER:x}: ", line))
        out = qemu.communicate("info jit\nquit\n")[0]
    told = {name: int(number) for name, number in re.findall(r"TLB (\w+) flushes +(\d+)", out)}
    assert told["full"] == 0  # those are not counted by MMU index
    return told["partial"] + told["elided"]


def drops_of_a_flush(env) -> int:
    """How many MMU indexes one flush drops, as known.S tells."""
    many, few = (drops(guest("known", rounds), "known", env) for rounds in (30, 2))
    per_flush, rest = divmod(many - few, 30 - 2)
    assert rest == 0
    return per_flush


def kill_qemu(process) -> None:
    """Kill the QEMU of a recorder, which says so by its exit code and ends in peace."""
    os.kill(qemu_of(process), signal.SIGKILL)
    _, err = finish(process)
    assert process.returncode == 128 + signal.SIGKILL
    assert "Traceback" not in err
