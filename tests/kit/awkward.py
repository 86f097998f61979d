"""Traces for which it is of no use, or of much, that a program is its blocks."""

import numpy as np

from mmuexp.guest import DTYPES, USER, Columns, Op


def awkward(rows: int, user: bool = False) -> dict[str, Columns]:
    """Traces of so many rows by name, always the same ones, for their size; with `user`, those of right user traces."""
    n, top, draw = np.arange(rows), 1 << 32, np.random.default_rng(14).integers
    load, block, noted = np.full(rows, Op.LOAD), np.full(rows, Op.EXEC), np.full(rows, 130)
    odd, third, long, fourth = (np.where(n % every, load, block) for every in (2, 3, 5000, 4))
    sizes = 1 << draw(0, 4, rows)
    walked, taken = 0x10000 + 4 * (n % 5000), np.where(n // 4 % 2, 0x10000, 0x20000) + n % 4 * 8
    found = {
        "data only": _rows(draw(0, 2, rows), 0x1000000 + draw(0, 1 << 20, rows), sizes),
        "one site": _rows(odd, np.where(n % 2, 0x10000, 0x40000)),
        "a new shape at each run": _rows(third, draw(0, top, rows), draw(1, 60, rows)),
        "blocks alone": _rows(block, draw(0, top, rows), draw(1, 64, rows), draw(1, 256, rows)),
        "runs of thousands of rows": _rows(long, np.where(n % 5000, walked, 0x40000)),
        "alternating sites": _rows(np.where(n % 4, n % 2, fourth), np.where(n % 4, taken, 0x40000)),
        "random addresses": _rows(load, draw(0, top, rows), 1),
        "random accesses": _rows(draw(0, 2, rows), draw(0, top, rows), 1),
        "mappings": _rows(np.full(rows, Op.MAP), draw(0, 1 << 20, rows) << 12, 12, page=draw(0, 1 << 18, rows)),
        "annotations": _rows(noted, draw(0, top, rows), draw(0, 1 << 16, rows), page=draw(0, top, rows)),
    }
    return {name: columns for name, columns in found.items() if not user or not (columns.op == Op.MAP).any()}


def _rows(op, vaddr, size=4, insns=1, page=0) -> Columns:
    values = (vaddr, page, size, insns, op, USER)
    return Columns(*(np.ascontiguousarray(np.broadcast_to(v, len(op)), d) for v, d in zip(values, DTYPES, strict=True)))
