"""Traces written for the bench alone: long ones, and ones on which translation is lost all the time. No recordings.

Loops of a few instructions over arrays, as programs have them: 30 % of the rows are blocks of code, a quarter of the
accesses stores. They are the same on every machine.
"""

import hashlib
import os
from pathlib import Path

import numpy as np

from mmuexp.guest import DTYPES, USER, Columns
from mmuexp.trace import TraceWriter
from mmuexp.trace.export import export

from ..kit.awkward import awkward

PIECE = 1 << 20
BODY = np.array([2, 0, 1, 0, 2, 0, 0, 2, 1, 0])  # ops: EXEC, LOAD and STORE


def version() -> str:
    """Names the folder of what this file writes."""
    return f"traces-{hashlib.sha256(Path(__file__).read_bytes()).hexdigest()[:12]}"


def _write(path: Path, pieces) -> Path:
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        part = path.with_name(f"{os.getpid()}-{path.name}")
        with TraceWriter(str(part), mode="user", metadata={"program": "synthetic, of tests/bench"}) as writer:
            for columns in pieces:
                writer.append(columns)
        part.replace(path)
    return path


def _columns(op: np.ndarray, vaddr: np.ndarray) -> Columns:
    rows = len(op)
    code = op == 2
    at = (np.cumsum(code) * 16 % 4096).astype(np.uint32)
    vaddr = np.where(code, np.uint32(0x08048000) + at, vaddr)
    columns = (vaddr, np.zeros(rows), np.where(code, 12, 4), np.where(code, 4, 1), op, np.full(rows, USER))
    return Columns(*(np.ascontiguousarray(c, d) for c, d in zip(columns, DTYPES, strict=True)))


def long_trace(folder: Path, pieces: int) -> Path:
    """`pieces` times 2**20 rows that walk through 16 MiB of arrays."""

    def made():
        op = np.resize(BODY, PIECE)
        for number in range(pieces):
            step = (np.arange(PIECE, dtype=np.uint32) // 10 + number * PIECE // 10) * 4 % (1 << 22)
            array = np.resize(np.arange(10, dtype=np.uint32), PIECE) % 4
            yield _columns(op, np.uint32(0x10000000) + (array << np.uint32(22)) + step)

    return _write(folder / f"long-{pieces}.arrow", made())


def thrashing(folder: Path, pieces: int = 4) -> Path:
    """60 % of the accesses go to another of 2,048 pages, one in each 2 MiB; the others stay where the last one was."""

    def made():
        random = np.random.default_rng(5)
        op = np.resize(BODY, PIECE)
        for _ in range(pieces):
            page = random.integers(0, 2048, PIECE, dtype=np.uint32)
            jumps = (random.random(PIECE) < 0.6) & (op != 2)
            last = np.maximum.accumulate(np.where(jumps, np.arange(PIECE), 0))
            yield _columns(op, (page[last] << np.uint32(21)) + np.uint32(1 << 20) + (last % 1024 * 4).astype(np.uint32))

    return _write(folder / f"thrash-{pieces}.arrow", made())


def awkward_files(folder: Path, rows: int = PIECE) -> dict[str, tuple[Path, Path]]:
    """Each of the awkward traces by name: as the recorder would write it, and as rows."""
    found = {}
    for name, columns in awkward(rows, user=True).items():
        blocks = _write(folder / f"{name.replace(' ', '-')}.arrow", [columns])
        as_rows = blocks.with_suffix(".rows.arrow")
        if not as_rows.exists():
            export(blocks, str(as_rows))
        found[name] = blocks, as_rows
    return found


def every_page(folder: Path, passes: int = 2) -> Path:
    """The worst that a trace can do: each row is an access, each to another of all 2**20 pages."""

    def made():
        page = (np.arange(PIECE, dtype=np.uint64) * np.uint64(0x9E375) % np.uint64(PIECE)).astype(np.uint32)
        for _ in range(passes):
            yield _columns((np.arange(PIECE) % 4 == 0).astype(int), page << np.uint32(12))

    return _write(folder / f"pages-{passes}.arrow", made())
