"""Measure who bounds a recording, QEMU or the encoder beside it: `python -m tests.bench.recorder [PROGRAM ARGS...]`.

CPU time of a row: in QEMU with nothing beside it, in QEMU while it is recorded, and in the encoder; then what the
encoder's stages take where the same rows are written once more. Without a program it is the sort of the bench. With
`--system GUEST` the words are arguments of QEMU, and its first 60 million rows are recorded.
"""

import argparse
import os
import resource
import subprocess
import tempfile
import time
from functools import partial
from pathlib import Path

from mmuexp.blocks.builder import grouped
from mmuexp.record.program import find
from mmuexp.record.qemu import record
from mmuexp.record.system import record_system
from mmuexp.trace import TraceWriter, open_trace
from mmuexp.trace.format import crc32
from mmuexp.trace.streams import packed

from .processes import Recording

SYSTEM_ROWS = 60_000_000


def cpu_seconds(who: int) -> float:
    used = resource.getrusage(who)
    return used.ru_utime + used.ru_stime


def seconds_of_qemu(call) -> float:
    """CPU seconds of what `call` starts and waits for."""
    before = cpu_seconds(resource.RUSAGE_CHILDREN)
    call()
    return cpu_seconds(resource.RUSAGE_CHILDREN) - before


def stages(path: Path, folder: Path) -> dict[str, float]:
    """CPU seconds of the encoder's stages, of all rows of a recording, which are decoded before they count."""
    found = dict.fromkeys(("finding shapes", "making streams", "CRC of the rows", "all of it"), 0.0)
    with open_trace(path) as trace:
        how = {"mode": trace.mode, "metadata": {}, "address_bits": trace.address_bits}
        builder = grouped(trace.address_bits)
        with TraceWriter(str(folder / "again.arrow"), **how) as writer:
            for columns in trace.batches(ahead=False):
                marks = [time.process_time()]
                made = list(builder.feed(columns))
                marks.append(time.process_time())
                for runs in made:
                    packed(runs)
                marks.append(time.process_time())
                crc32(columns)
                marks.append(time.process_time())
                writer.append(columns)
                marks.append(time.process_time())
                for stage, before, after in zip(found, marks, marks[1:], strict=False):
                    found[stage] += after - before
    found["ZSTD, and the rest"] = 2 * found["all of it"] - sum(found.values())
    return found


def measured(command: list[str], guest: str | None, folder: Path) -> dict[str, float]:
    """CPU nanoseconds a row of each part of recording a program, or a whole guest."""
    path, parts = folder / "recorded.arrow", {}
    if guest:
        recording = partial(record_system, command, str(path), guest=guest, limit=SYSTEM_ROWS, force=True)
    else:
        recording, program = partial(record, command, str(path), force=True), find(command[0], None)
        words = [f"qemu-{program.guest.name}", program.path, *program.arguments, *command[1:]]
        parts["QEMU alone"] = seconds_of_qemu(lambda: subprocess.run(words, check=True))
    own = cpu_seconds(resource.RUSAGE_SELF)
    parts["QEMU, recorded"] = seconds_of_qemu(recording)
    parts["encoder"] = cpu_seconds(resource.RUSAGE_SELF) - own
    with open_trace(path) as trace:
        rows = trace.rows
    return {name: seconds / rows * 1e9 for name, seconds in (parts | stages(path, folder)).items()} | {"rows": rows}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--system", metavar="GUEST", help="i386 or x86_64")
    parser.add_argument("command", nargs=argparse.REMAINDER)
    given = parser.parse_args()
    words = given.command[given.command[:1] == ["--"] :]
    with tempfile.TemporaryDirectory() as name:
        command = words or [str(Recording(Path(name)).long)]
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)  # the program's own output; ours goes to stderr
        measured(command, given.system, Path(name))  # what is compiled is kept
        found = measured(command, given.system, Path(name))
    rows = found.pop("rows")
    lines = [f"{name:20} {value:7.2f} ns/row" for name, value in found.items()]
    os.write(2, "\n".join([f"{rows:,.0f} rows, CPU time:", *lines, ""]).encode())


if __name__ == "__main__":
    main()
