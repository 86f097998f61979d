"""What it costs to have a cluster count: figures for docs/cluster.md, by `python -m tests.bench.farm`.

The workers are processes of this machine (`local:N`); a network adds its own times. What this process does is told in
seconds of a processor, which other work on the machine does not lengthen much. Counting is told beside it, on one core,
so that a corpus can be reckoned on paper. Machine code is compiled before anything is timed.
"""

import json
import os
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np

import mmuexp
from mmuexp.analysis.piece import ENTRY, greeting
from mmuexp.cluster.connect import connected
from mmuexp.cluster.farm import Farm, Piece
from mmuexp.cluster.travel import Packer
from mmuexp.guest import DTYPES, USER, Columns, Op
from mmuexp.strategy.registry import given_strategies
from mmuexp.trace import TraceWriter, digest

RECORDING = Path(__file__).parents[2] / "traces" / "gzip.arrow"
PIECES, ROUNDS = 200, 5
SPECS = [f"map-block,map_block_bits={bits},pool_blocks={blocks}" for bits in range(12, 23) for blocks in (8, 64)]


class Seconds(NamedTuple):
    """What some work took: by the clock, and of this process's processor time."""

    clock: float
    processor: float


def median_seconds(work: Callable[[], object], rounds: int = ROUNDS) -> Seconds:
    """How long it takes, the medians of some rounds."""
    found = []
    for _ in range(rounds):
        began, worked = time.perf_counter(), time.process_time()
        work()
        found.append((time.perf_counter() - began, time.process_time() - worked))
    return Seconds(*np.median(found, axis=0).tolist())


def tiny(path: Path) -> str:
    """A trace of two rows: nothing is to be counted."""
    values = [(0x1000, 0x2000), (0, 0), (4, 4), (1, 1), (Op.LOAD, Op.LOAD), (USER, USER)]
    with TraceWriter(str(path), mode="user", metadata={"guest": "i386"}) as writer:
        writer.append(Columns(*(np.array(one, dtype) for one, dtype in zip(values, DTYPES, strict=True))))
        writer.close()
    return str(path)


def counted(path: str, specs: list[str]) -> None:
    """Count on one core, with no store."""
    mmuexp.compare(path, specs, reference=specs[0], jobs=1, store=False)


def pieces_of(path: str, specs: list[str], packer: Packer) -> list[Piece]:
    """The same request again and again."""
    trace = {"path": path, "label": path, "sha256": digest(path)}
    request = {"do": "count", "trace": trace, "schemes": packer.packed(given_strategies(specs)), "seed": None}
    request |= {"may_leave_out": [], "cuts": [0, None, True], "thread": None, "jobs": 1}
    return [Piece(request, 2, path) for _ in range(PIECES)]


def at_workers(workers: int, path: str) -> tuple[float, Seconds, float]:
    """Seconds until the workers agreed to count, those of all pieces of nothing, and the bytes of an answer."""
    packer, began = Packer(), time.perf_counter()
    greet = greeting(packer.packed(given_strategies(["softmmu"])))
    with connected(f"local:{workers}") as client:
        farm = Farm(client, f"local:{workers}", ENTRY, greet)
        some = pieces_of(path, ["softmmu"], packer)
        farm.run(some[: 4 * workers], lambda *_: None)
        ready = time.perf_counter() - began
        sizes: list[int] = []
        each = median_seconds(lambda: farm.run(some, lambda _p, _w, answer: sizes.append(len(json.dumps(answer)))), 3)
    return ready, each, float(np.median(sizes))


def main() -> None:
    """Measure, and print a line for each figure."""
    with tempfile.TemporaryDirectory() as folder:
        small = tiny(Path(folder) / "tiny.arrow")
        for specs in (["softmmu"], SPECS):
            counted(small, specs)
        rows = mmuexp.open_trace(RECORDING).file_rows
        here = median_seconds(lambda: counted(small, ["softmmu"]))
        found = {workers: at_workers(workers, small) for workers in (1, 2)}
        one, many = (median_seconds(lambda specs=specs: counted(str(RECORDING), specs)) for specs in (SPECS[:1], SPECS))
        store = Path(folder) / "counts.sqlite"
        os.environ["MMUEXP_STORE"] = str(store)
        mmuexp.compare(str(RECORDING), SPECS)
        known = median_seconds(lambda: mmuexp.compare(str(RECORDING), SPECS))
    for workers, (ready, each, size) in found.items():
        clock, processor = (1e3 * seconds / PIECES for seconds in each)
        print(f"local:{workers}: workers ready after {ready:.1f} s; a piece of nothing {clock:.1f} ms by the clock,")
        print(f"         {processor:.1f} ms of a processor here; its answer has {size:,.0f} bytes")
    print(f"the same piece here, opened and priced: {1e3 * here.processor:.1f} ms of a processor")
    further = (many.processor - one.processor) / (len(SPECS) - 1)
    print(
        f"{RECORDING.name}, {rows:,} rows, processor: first scheme {one.processor:.2f} s, a further one {further:.3f} s"
    )
    print(f"a row of a table whose counts are known: {1e3 * known.processor / len(SPECS):.2f} ms of a processor")


if __name__ == "__main__":
    sys.exit(main())
