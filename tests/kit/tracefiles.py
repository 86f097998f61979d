"""What the tests of trace files share: rows like a program's, foreign writers, and files with a byte changed."""

import numpy as np
import pyarrow as pa

from kit.cli_cases import columns_of
from mmuexp.guest import DTYPES, IO, USER, Columns, Op
from mmuexp.trace import TraceWriter
from mmuexp.trace.format import concat


def program_rows(rows: int, seed: int = 0) -> Columns:
    """User-mode rows of loops over arrays, some of them indexed at random."""
    r = np.random.default_rng(seed)
    loops, have = [], 0
    while have < rows:
        body, times = int(r.integers(4, 24)), int(r.integers(50, 5000))
        op = r.choice([0, 0, 0, 1], body)
        op[0] = 2
        stride = np.where(op == 2, 0, r.choice([0, 1, 4, 4, 8], body))
        vaddr = 0x08048000 + r.integers(0, 1 << 22, body) + stride * np.arange(times)[:, None]
        hashed = np.flatnonzero((r.random(body) < 0.12) & (op != 2))
        vaddr[:, hashed] += r.integers(0, 1 << 15, (times, len(hashed)))
        size = np.where(op == 2, r.integers(3, 30, body), r.choice([1, 2, 4, 4, 4], body))
        tiled = (np.tile(column, times) for column in (size, r.integers(1, 9, body), op, np.full(body, USER)))
        columns = (vaddr.ravel(), np.zeros(body * times), *tiled)
        loops.append(Columns(*(np.ascontiguousarray(c, d) for c, d in zip(columns, DTYPES, strict=True))))
        have += body * times
    return Columns(*(column[:rows].copy() for column in concat(loops)))


def dense_rows(rows: int, seed: int = 0) -> Columns:
    """User-mode loads that do not compress: 4 bytes a row."""
    vaddr = np.random.default_rng(seed).integers(0, 1 << 32, rows).astype("u4")
    ones = np.ones(rows, "u1")
    return Columns(vaddr, np.zeros(rows, "u4"), ones.astype("u2"), ones, 0 * ones, USER * ones)


def same(one: Columns, other: Columns) -> bool:
    return all(np.array_equal(a, b) for a, b in zip(one, other, strict=True))


def read(trace) -> Columns:
    """All rows; the types and sizes of the pieces are checked on the way."""
    parts = list(trace.batches())
    for part in parts:
        assert tuple(column.dtype for column in part) == DTYPES
        assert all(column.flags.c_contiguous and 1 <= len(column) <= 1 << 20 for column in part)
    return concat(parts) if parts else Columns(*(np.zeros(0, dtype) for dtype in DTYPES))


def write(path, columns: Columns, mode: str = "user", **metadata) -> str:
    with TraceWriter(str(path), mode=mode, metadata=metadata) as writer:
        writer.append(columns)
    return str(path)


def write_foreign(path, arrays: dict, metadata=None, *, batch=None, compression=None, tail=None) -> str:
    """An Arrow file of any columns, as somebody else's program writes one."""
    metadata = {"mmuexp.format": "1", "mmuexp.mode": "user"} if metadata is None else metadata
    table = pa.table(arrays).replace_schema_metadata(metadata)
    options = pa.ipc.IpcWriteOptions(compression=compression)
    with pa.OSFile(str(path), "wb") as file, pa.ipc.new_file(file, table.schema, options=options) as writer:
        for part in table.combine_chunks().to_batches(max_chunksize=batch):
            writer.write_batch(part)
        if tail is not None:
            writer.write_batch(pa.RecordBatch.from_pylist([], schema=table.schema), custom_metadata=tail)
    return str(path)


def system_rows(*given) -> Columns:
    """Rows from tuples (op, vaddr, size, insns, flags, page)."""
    full = [tuple(row) + (0,) * (6 - len(row)) for row in given]
    columns = columns_of([row[:4] for row in full])
    columns.flags[:], columns.page[:] = zip(*(row[4:] for row in full), strict=True)
    return columns


SYSTEM = system_rows(
    (Op.MAP, 0x1000, 12, 0, 0, 0x101),
    (Op.MAP, 0x2000, 12, 0, 0, 0x102),
    (Op.EXEC, 0x1000, 8, 2, USER),
    (Op.LOAD, 0x2000, 4, 1, USER),
    (Op.LOAD, 0xB8000, 4, 1, IO),
    (Op.FLUSH_PAGE, 0x2000),
    (Op.MAP, 0x2000, 12, 0, 0, 0x103),
    (Op.STORE, 0x2001, 4, 1, USER),
    (200, 0, 0),
    (Op.FLUSH, 0x5000, 1),
    (Op.MAP, 0x7000, 12, 0, 0, 0x101),
    (Op.LOAD, 0x7FFF, 1),
)
