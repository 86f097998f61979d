"""What is measured of whole processes: start, memory, recording; and the sizes of files."""

import os
import pty
import re
import shutil
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

import pyarrow as pa

from mmuexp.trace import open_trace

ROOT = Path(__file__).parents[2]
MMUEXP = [sys.executable, "-m", "mmuexp"]
LACKEY = ["valgrind", "--tool=lackey", "--trace-mem=yes"]


def run(command: list, terminal: bool = False, **environment: str) -> dict:
    """Seconds, CPU seconds and the most memory of one process, and what it wrote to stderr (maybe a terminal)."""
    ours, theirs = pty.openpty() if terminal else os.pipe()
    start = time.perf_counter()
    child = subprocess.Popen(
        command, cwd=ROOT, env=os.environ | environment, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
        stderr=theirs,
    )  # fmt: skip
    os.close(theirs)
    told = b""
    with open(ours, "rb", buffering=0) as file, suppress(OSError):  # a terminal ends with an error
        while piece := file.read(1 << 16):
            told += piece
    _, status, usage = os.wait4(child.pid, 0)
    seconds = time.perf_counter() - start
    child.returncode = os.waitstatus_to_exitcode(status)
    text = told.decode(errors="replace")
    if child.returncode:
        raise RuntimeError(f"{' '.join(map(str, command))}: {text.strip()[-300:]}")
    return {"seconds": seconds, "bytes": usage.ru_maxrss * 1024, "cpu": usage.ru_utime + usage.ru_stime, "told": text}


def start_cases() -> dict:
    script = Path(sys.executable).with_name("mmuexp")
    command = [str(script)] if script.exists() else MMUEXP
    return {
        "python -c pass": lambda: run([sys.executable, "-c", "pass"]),
        "mmuexp --help": lambda: run([*command, "--help"]),
        "mmuexp compare": lambda: run([*command, "compare"]),
    }


def first_start(folder: Path) -> dict:
    """`mmuexp compare` where nothing is compiled yet: all of numba's files in an empty folder."""
    empty = folder / "nothing-compiled"
    try:
        return run([*MMUEXP, "compare"], terminal=True, XDG_CACHE_HOME=str(empty), NUMBA_CACHE_DIR=str(empty / "numba"))
    finally:
        shutil.rmtree(empty, ignore_errors=True)


def has_jobs() -> bool:
    done = subprocess.run([*MMUEXP, "compare", "--help"], capture_output=True, text=True, check=True)
    return re.search(r"^\s+-j\b", done.stdout, re.MULTILINE) is not None


def _accesses(path: Path) -> int:
    with open_trace(path) as trace:
        return sum(int((columns.op < 2).sum()) for columns in trace.batches())


class Recording:
    """One program under the recorder and under lackey, less what each takes for a program that does next to nothing.

    The program is traces/workloads/numeric_sort.c with other counts of numbers: many for the recorder, whose start
    takes longer than the recording of 8,111; few for lackey.
    """

    def __init__(self, folder: Path):
        self.folder = folder
        self.tiny, self.short, self.long = (self._sort(count) for count in (2, 2_000, 200_000))

    def _sort(self, count: int) -> Path:
        place = self.folder / f"sort-{count}"
        place.mkdir()
        for name in ("Makefile", "tiny.h", "numeric_sort.c"):
            text = (ROOT / "traces" / "workloads" / name).read_text()
            (place / name).write_text(re.sub(r"#define COUNT \d+", f"#define COUNT {count}", text))
        subprocess.run(["make", "-s", "-C", place, "build/numeric_sort"], check=True, stdout=subprocess.DEVNULL)
        return place / "build" / "numeric_sort"

    def ours(self, program: Path) -> dict:
        output = self.folder / "recorded.arrow"
        answer = run([*MMUEXP, "record", "-o", output, "--", program])
        answer |= {"accesses": _accesses(output), "size": output.stat().st_size}
        output.unlink()
        return answer

    def lackey(self, program: Path) -> dict:
        """Accesses as the recorder counts them of the same program: a modify of lackey's is a load and a store."""
        output = self.folder / "lackey.txt"
        answer = run([*LACKEY, f"--log-file={output}", program])
        accesses = 0
        with output.open("rb") as lines:
            for line in lines:
                accesses += {b" L": 1, b" S": 1, b" M": 2}.get(line[:2], 0)
        output.unlink()
        if not accesses:
            raise RuntimeError("lackey wrote no accesses: valgrind's i386 parts may be missing")
        return answer | {"accesses": accesses}

    @staticmethod
    def rate(runs: list[dict], start: list[dict]) -> list[float]:
        """Accesses per second, each run less the median start."""
        taken = sorted(one["seconds"] for one in start)[len(start) // 2]
        return [one["accesses"] / max(one["seconds"] - taken, 1e-3) for one in runs]


def bytes_per_row() -> dict[str, float]:
    found = {}
    for path in sorted((ROOT / "traces").glob("*.arrow")) + sorted((ROOT / "results").glob("*/*.arrow")):
        with open_trace(path) as trace:
            found[str(path.relative_to(ROOT))] = trace.size_bytes / trace.file_rows
    return found


def recompressed(trace: Path, folder: Path) -> dict[str, Path]:
    """The same batches under other codecs."""
    found = {}
    for name, level in (("lz4", None), ("zstd", 1), ("zstd", 3), ("zstd", 9), ("zstd", 19)):
        label = f"{name}{'' if level is None else f' level {level}'}"
        found[label] = folder / f"{label.replace(' ', '-')}.arrow"
        codec = pa.Codec(name, compression_level=level) if level else pa.Codec("lz4")
        options = pa.ipc.IpcWriteOptions(compression=codec)
        with pa.ipc.open_file(trace) as reader, pa.ipc.new_file(found[label], reader.schema, options=options) as writer:
            for at in range(reader.num_record_batches):
                batch, custom = reader.get_batch_with_custom_metadata(at)
                writer.write_batch(batch, custom_metadata=custom)
    return found
