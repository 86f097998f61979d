"""Synthetic rows for calibration: what is measured on them prices what recordings are then predicted to cost.

None is taken from a recording, and none imitates one: a stream holds one kind of event, or hits alone.
"""

import numpy as np

from mmuexp.guest import PAGE_BYTES, USER, Columns, Op

FIRST_PAGE = 0x8000
PAGES = 24  # of a stream of hits: more than the first data cache holds, less than the second
SEED = 20041020  # the mail's date


def _columns(op: np.ndarray, vaddr: np.ndarray, size: np.ndarray) -> Columns:
    rows = len(op)
    return Columns(
        vaddr.astype("u4"), np.zeros(rows, "u4"), size.astype("u2"),
        np.ones(rows, "u1"), op.astype("u1"), np.full(rows, USER, "u1"),
    )  # fmt: skip


def hits(rows: int, pages: int = PAGES) -> Columns:
    """Aligned accesses anywhere in `pages` pages, 7 loads to 3 stores, mostly of 4 bytes, in an order of ops and sizes
    that repeats every 64 rows, as in a guest's loop."""
    rng = np.random.default_rng(SEED)
    times = -(-rows // 64)
    op = np.tile(rng.random(64) < 0.3, times)[:rows]
    size = np.tile(rng.choice([1, 2, 4, 8], 64, p=[0.15, 0.05, 0.75, 0.05]), times)[:rows]
    page = FIRST_PAGE + rng.integers(0, pages, rows)
    return _columns(op, page * PAGE_BYTES + rng.integers(0, PAGE_BYTES // 8, rows) * 8, size)


def stores_first(pages: int = PAGES) -> Columns:
    """A store to each page: from here on, accesses to them hit under every scheme."""
    page = FIRST_PAGE + np.arange(pages)
    return _columns(np.ones(pages), page * PAGE_BYTES, np.full(pages, 4))


def crossing(rows: int) -> Columns:
    """Loads of 4 bytes that cross the same page: under byte-lookup a signal each, and no host call."""
    return _columns(np.zeros(rows), np.full(rows, (FIRST_PAGE + 1) * PAGE_BYTES - 2), np.full(rows, 4))


def misaligned(rows: int) -> Columns:
    """Loads of 4 bytes, misaligned in one page: under softmmu a helper call each."""
    return _columns(np.zeros(rows), np.full(rows, FIRST_PAGE * PAGE_BYTES + 2), np.full(rows, 4))


def thrashing(rows: int, tlb_bits: int = 8) -> Columns:
    """Loads of two pages of one set by turns: under softmmu a fill each."""
    page = FIRST_PAGE + (np.arange(rows) & 1) * (1 << tlb_bits)
    return _columns(np.zeros(rows), page * PAGE_BYTES, np.full(rows, 4))


def touched_and_flushed(pages: int, times: int) -> Columns:
    """A load of each of `pages` pages, then FLUSH; `times` times."""
    page = FIRST_PAGE + np.arange(pages) * 37 % pages
    vaddr = np.append(page * PAGE_BYTES, 0)
    op = np.append(np.zeros(pages), Op.FLUSH)
    size = np.append(np.full(pages, 4), 0)
    return _columns(np.tile(op, times), np.tile(vaddr, times), np.tile(size, times))._replace(
        insns=np.tile(np.append(np.ones(pages), 0), times).astype("u1"),
        flags=np.tile(np.append(np.full(pages, USER), 0), times).astype("u1"),
    )
