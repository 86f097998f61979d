"""Measure how fast each format is imported, and write results/speed/imports.md: `python -m tests.bench.imports`.

The files hold what the bundled recording did, written as each tool writes it; each format is imported in turn, round by
round, in one process that has done all of them before.
"""

import argparse
import lzma
import os
import sys
import tempfile
import time
from collections.abc import Callable, Iterable
from itertools import pairwise
from pathlib import Path
from statistics import median
from typing import Any, NamedTuple

import numpy as np

from mmuexp.analysis.given import bundled_trace
from mmuexp.guest import Op
from mmuexp.render.words import markdown_table
from mmuexp.result import manifest
from mmuexp.trace import open_trace
from mmuexp.trace.importers import Options
from mmuexp.trace.importers.work import import_trace

RESULT = Path(__file__).parents[2] / "results" / "speed" / "imports.md"
EVENTS, REPEATED = 500_000, 8
MEM_HEAD = "insn_vaddr,insn_symbol,mem_vaddr,mem_hwaddr,access_size,access_type,mem_value\n"


class Event(NamedTuple):
    """What happened, at which instruction."""

    kind: str  # I, L or S
    address: int
    size: int
    at: int


def events() -> list[Event]:
    """What the bundled recording begins with: the instructions of each block, then its accesses."""
    found: list[Event] = []
    code = 0
    with open_trace(str(bundled_trace())) as trace:
        for columns in trace.batches():
            wanted = (columns.op, columns.vaddr, columns.size, columns.insns)
            for op, vaddr, size, insns in zip(*(column.tolist() for column in wanted), strict=True):
                if op == Op.EXEC:
                    each, code = size // insns, vaddr
                    ends = [vaddr + each * n for n in range(insns)] + [vaddr + size]
                    found += [Event("I", a, b - a, a) for a, b in pairwise(ends)]
                elif op <= Op.STORE:
                    found.append(Event("LS"[op], vaddr, size, code))
                if len(found) >= EVENTS:
                    return found
    return found


def text(lines: Iterable[str], head: str = "") -> bytes:
    return head.encode() + "".join(lines).encode() * REPEATED


def execlog(found: list[Event]) -> Iterable[str]:
    rest: list[str] = []
    for one in reversed(found):
        if one.kind == "I":
            yield f'0, 0x{one.address:x}, 0x8b45fc, "movl 8(%ebp), %eax"{"".join(rest)}\n'
            rest = []
        else:
            rest.append(f", {'load' if one.kind == 'L' else 'store'}, 0x{one.address:08x}")


def drmemtrace(found: list[Event]) -> bytes:
    records = np.zeros(len(found), [("type", "<u2"), ("size", "<u2"), ("address", "<u8")])
    records["type"] = [{"I": 10, "L": 0, "S": 1}[one.kind] for one in found]
    records["size"], records["address"] = [one.size for one in found], [one.address for one in found]
    head = np.array([(25, 0, 6), (28, 12, 6), (22, 4, 7), (24, 4, 5)], records.dtype)
    return head.tobytes() + records.tobytes() * REPEATED + np.array([(26, 0, 0)], records.dtype).tobytes()


def champsim(found: list[Event]) -> bytes:
    code = [at for at, one in enumerate(found) if one.kind == "I"]
    words = np.zeros((len(code), 8), "<u8")
    words[:, 0] = [found[at].address or 1 for at in code]
    for row, (at, end) in enumerate(zip(code, [*code[1:], len(found)], strict=True)):
        data = found[at + 1 : end]
        for place, one in enumerate([one for one in data if one.kind == "S"][:2]):
            words[row, 2 + place] = one.address
        for place, one in enumerate([one for one in data if one.kind == "L"][:4]):
            words[row, 4 + place] = one.address
    return words.tobytes() * REPEATED


def lines_of(line: str, accesses: bool = False, head: str = "") -> Callable[[list[Event]], bytes]:
    """A line for each event, or each access: LINE with the fields of Event, R for r, w or i, N for 0, 1 or 2."""

    def write(found: list[Event]) -> bytes:
        told = [one for one in found if one.kind != "I"] if accesses else found
        return text((line.format(e=one, bits=8 * one.size, **WORDS[one.kind]) for one in told), head)

    return write


WORDS = {
    "I": {"lackey": "I ", "r": "i", "R": "I", "n": 2, "word": "fetch"},
    "L": {"lackey": " L", "r": "r", "R": "R", "n": 0, "word": "load"},
    "S": {"lackey": " S", "r": "w", "R": "W", "n": 1, "word": "store"},
}
# name -> (format, options, what writes its file)
CASES: dict[str, tuple[str, dict[str, Any], Callable[[list[Event]], bytes]]] = {
    "drmemtrace": ("drmemtrace", {}, drmemtrace),
    "ChampSim": ("champsim", {}, champsim),
    "ChampSim, xz": ("champsim", {}, lambda found: lzma.compress(champsim(found), preset=1)),
    "lackey": ("lackey", {}, lines_of("{lackey} {e.address:08x},{e.size}\n")),
    "pinatrace": ("pinatrace", {}, lines_of("0x{e.at:x}: {R} 0x{e.address:x}\n", accesses=True)),
    "address list": ("addresses", {"columns": "oa"}, lines_of("{r} {e.address:08x}\n", accesses=True)),
    "xdin": ("xdin", {}, lines_of("{r} {e.address:x} {e.size:x}\n")),
    "din": ("din", {}, lines_of("{n} {e.address:x}\n")),
    "QEMU mem": (
        "memplugin", {}, lines_of("0x{e.at:x},main,0x{e.address:x},0x0,{bits},{word},0x0\n", True, MEM_HEAD)
    ),
    "QEMU execlog": ("execlog", {}, lambda found: text(list(execlog(found))[::-1])),
}  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(prog="tests.bench.imports", description=__doc__)
    parser.add_argument("--rounds", type=int, default=5, help="how often each format is imported [5]")
    parser.add_argument(
        "-o", "--output", type=Path, default=RESULT, help="the file to write [results/speed/imports.md]"
    )
    given = parser.parse_args()
    load = os.getloadavg()[0]
    found, times = events(), dict[str, list[list[float]]]()
    with tempfile.TemporaryDirectory() as folder:
        files = {name: Path(folder) / str(at) for at, name in enumerate(CASES)}
        for name, (_, _, write) in CASES.items():
            files[name].write_bytes(write(found))
        for round_ in range(given.rounds + 1):
            for name, (form, options, _) in CASES.items():
                start, worked = time.perf_counter(), time.process_time()
                done = import_trace(str(files[name]), f"{folder}/t.arrow", from_format=form, options=Options(**options))
                if round_:  # what is compiled in the first is none of the work
                    took = time.perf_counter() - start, time.process_time() - worked
                    times.setdefault(name, []).append([done.units / seconds / 1e6 for seconds in took])
                print(f"{name}: {done.units:,} {done.unit}s", file=sys.stderr)
        sizes = {name: path.stat().st_size / 1e6 for name, path in files.items()}
    rows = []
    for name, each in times.items():
        real, worked = zip(*each, strict=True)
        unit = "records" if CASES[name][0] in ("drmemtrace", "champsim") else "lines"
        spread = f"{min(real):.1f} to {max(real):.1f}"
        rows.append([name, unit, f"{sizes[name]:.0f}", f"{median(real):.1f}", spread, f"{median(worked):.1f}"])
    heads = ["format", "of", "MB", "million a second", "least to most", "a second of processor time"]
    about = manifest.machine()
    parts = [
        "# How fast recordings of other tools are imported",
        f"What the bundled recording did, {REPEATED} times over, as each tool writes it; from a file to a finished"
        f" trace, median of {given.rounds}. The goals are 20 million records and 5 million lines a second."
        f" {about['processor']}, {about['cores']} cores, load {load:.1f} before: others work on the same machine, so"
        " that the processor time that a second of work took says more than the clock.",
        "\n".join(markdown_table(heads, rows, left=(0, 1))),
        "`python -m tests.bench.imports` writes this.",
    ]
    given.output.write_text("\n\n".join(parts) + "\n")


if __name__ == "__main__":
    main()
