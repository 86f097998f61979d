"""Traces for tests: rows by hand, files of them, files that others wrote, and random traces that are valid.

A random trace begins as a list of wishes ("a store of 4 bytes at byte 0xffe of page 7"). `record` plays the recorder of
MODEL.md section 1: it puts MAP rows before the first touch of an unknown page and FLUSH_PAGE where a page becomes
device memory or gets another frame. So every list of wishes is a valid trace, and so is every part of one.
"""

import random
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import pyarrow as pa
from hypothesis import strategies as st
from truth.oracle.guest import EXEC, FLUSH, FLUSH_PAGE, IO, LOAD, MAP, PAGE, PAGES, STORE, USER
from truth.rows import Case, Row, exec_, flush, flush_page, io_load, io_store, load, map_, note, store  # noqa: F401

from mmuexp.guest import DTYPES, Columns, Op, bits_of, dtypes_of
from mmuexp.trace import TraceWriter, open_trace


def columns_of(rows, trace_bits: int = 32) -> Columns:
    """The rows as columns; a row of four values is one of user mode."""
    table = np.array([tuple(row) + (USER, 0)[len(row) - 4 :] for row in rows], np.uint64).reshape(-1, 6)
    op, vaddr, size, insns, flags, page = table.T
    values = Columns(vaddr, page, size, insns, op, flags)
    return Columns(*(np.ascontiguousarray(v, dtype) for v, dtype in zip(values, dtypes_of(trace_bits), strict=True)))


def widened(columns: Columns, by: int = 0) -> Columns:
    """The rows as those of a trace of 64 bits; what touches pages lies `by` bytes further up."""
    moves = np.isin(columns.op, (LOAD, STORE, EXEC, FLUSH_PAGE, MAP))
    vaddr = columns.vaddr.astype("u8") + moves * np.uint64(by % 2**64)
    return columns._replace(vaddr=vaddr, page=columns.page.astype("u8"))


def inner(rows: Columns) -> Columns:
    """The rows that touch neither the first nor the last page of 32 bits, beside which there is nothing."""
    first = rows.vaddr.astype("i8")
    last = first + np.maximum(rows.size, 1) * (rows.op <= Op.EXEC)
    places = np.isin(rows.op, (Op.LOAD, Op.STORE, Op.EXEC, Op.FLUSH_PAGE, Op.MAP))
    kept = ~places | (first >= 4096) & (last < PAGES - 1 << 12)
    return Columns(*(column[kept] for column in rows))


def concat(parts: list[Columns]) -> Columns:
    """One piece of several."""
    return Columns(*map(np.concatenate, zip(*parts, strict=True)))


# 12 rows: one block; 7 loads of 4 pages, of which 1 crosses, 1 is misaligned inside its page; 4 stores, 1 crosses
ROWS = [
    (Op.EXEC, 0x40000, 20, 5),
    (Op.LOAD, 0x10000, 4, 1),
    (Op.LOAD, 0x10004, 4, 2),
    (Op.STORE, 0x10008, 4, 3),
    (Op.LOAD, 0x20000, 4, 1),
    (Op.LOAD, 0x20001, 4, 1),
    (Op.LOAD, 0x20FFE, 4, 1),
    (Op.STORE, 0x20FFE, 4, 1),
    (Op.LOAD, 0x10000, 4, 1),
    (Op.STORE, 0x30000, 4, 1),
    (Op.STORE, 0x30004, 1, 1),
    (Op.LOAD, 0x10000, 2, 1),
]


def write_trace(path: Path, cycle=tuple(ROWS), *, repeat: int = 1, rows: int | None = None) -> str:
    """A user-mode trace of `cycle` again and again, `repeat` times or `rows` rows of it; returns its path."""
    columns, rows = columns_of(cycle), len(cycle) * repeat if rows is None else rows
    with TraceWriter(str(path), mode="user", metadata={"guest": "i386"}) as writer:
        writer.append(Columns(*(np.resize(column, rows) for column in columns)))
        writer.close()
    return str(path)


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
        assert tuple(column.dtype for column in part) == dtypes_of(trace.address_bits)
        assert all(column.flags.c_contiguous and 1 <= len(column) <= 1 << 20 for column in part)
    return concat(parts) if parts else Columns(*(np.zeros(0, dtype) for dtype in DTYPES))


def write(path, columns: Columns, mode: str = "user", **metadata) -> str:
    with TraceWriter(str(path), mode=mode, metadata=metadata, address_bits=bits_of(columns.vaddr)) as writer:
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


def slice_of(path: Path, first: int, count: int) -> tuple[Columns, str]:
    """Rows first to first + count as columns, and the trace's mode."""
    parts, at = [], 0
    with open_trace(path) as trace:
        for batch in trace.batches():
            start, stop = max(first - at, 0), min(first + count - at, len(batch.op))
            if start < stop:
                parts.append(Columns(*(column[start:stop].copy() for column in batch)))
            at += len(batch.op)
            if at >= first + count:
                break
        return concat(parts), trace.mode


def system_rows(*given) -> Columns:
    """Rows of tuples (op, vaddr, size, insns, flags, page); what is left out at their ends is 0."""
    return columns_of([tuple(row) + (0,) * (6 - len(row)) for row in given])


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


# Few virtual pages, so that they meet in TLB sets, guest blocks and windows. What each is for:
# 0xfffff and 0 are neighbours; 0xf/0x10 and 0x3ff/0x400 lie at block ends of MAP_BLOCK_BITS 16 and 22 (and of the
# smaller ones); 0x110 meets 0x10 in a TLB set; 0x8ffff/0x90000 is where kernel_offset begins, 0xa7fff/0xa8000 the
# guest_limit of 2004, and 0xd7fff/0xd8000 the same limit for an address that moved by 0x30000000.
PAGES_APART = [0x0, 0x1, 0xF, 0x10, 0x11, 0x110, 0x3FF, 0x400, 0x8048, 0x8FFFF, 0x90000, 0x90001]
PAGES_APART += [0xA7FFF, 0xA8000, 0xD7FFF, 0xD8000, 0xFFFFE, 0xFFFFF]
# With kernel_offset=0x30000000 these lie where 0x90000 (moved; and unmoved, crossed into from 0x8ffff) lies.
PAGES_COLLIDING = [*PAGES_APART, 0x60000, 0xC0000]

# Of a guest of 64 bits, the same for its own borders: the last page and page 0, block ends of MAP_BLOCK_BITS 40 and 32,
# the ends of 2**32 and of guest_limit 2**46, of the lower half (behind which 48 bits are not enough) and of the upper,
# and 2**35 + 0x10, which meets 0x10 in any TLB set.
WIDE_PAGES_APART = [0x0, 0x1, 0xF, 0x10, 0x110, 0x1FF, 0x200, 0xFFFFF, 0x100000, (1 << 28) - 1, 1 << 28]
UPPER = (1 << 52) - (1 << 35)
WIDE_PAGES_APART += [(1 << 34) - 1, 1 << 34, (1 << 35) - 2, (1 << 35) - 1, UPPER, UPPER + 1, UPPER + 0x10]
WIDE_PAGES_APART += [(1 << 52) - (1 << 19), (1 << 52) - 2, (1 << 52) - 1]
NOT_CANONICAL = [1 << 35, (1 << 35) + 0x10, (1 << 44) - 1, 1 << 44, 1 << 51, UPPER - 1]
WIDE_FRAMES = [*range(0x100, 0x104), 0xFFFFFFFE, 0xFFFFFFFF, 1 << 32, (1 << 32) + 0x100, (1 << 40) - 2]

FRAMES = [*range(0x100, 0x108), 0xFFFFF, 0x100000]  # few: two virtual pages often share one; neighbours join VMAs
OFFSETS = [0, 1, 4, 8, 0x10, 0x18, 0x40, 0xFC0, 0xFE0, 0xFF8, 0xFFC, 0xFFE, 0xFFF]
SIZES = [1, 1, 2, 4, 4, 4, 8, 3, 5, 10, 16, 32, 63, 64]
CODE_SIZES = [1, 5, 16, 16, 40, 200, PAGE, PAGE + 1]

# What a wish asks for, as often as it stands here.
KINDS = ["load"] * 6 + ["store"] * 8 + ["exec"] * 5 + ["io load", "io store", "flush page", "flush page", "alias"]
KINDS += ["flush", "move", "note"]
USER_KINDS = [kind for kind in KINDS if kind not in ("io load", "io store", "alias", "move")]

Wish = tuple[str, int, int, int, int, bool, int]  # kind, page, offset, pick of a size, insns, user, pick of a frame


class Recorder:
    """Turns wishes into rows, and remembers what a recorder knows: the frame of each page."""

    def __init__(self, mode: str, pages: int = PAGES):
        self.system, self.pages = mode == "system", pages
        self.rows: list[Row] = []
        self.frame_of: dict[int, int] = {}

    def forget(self, page: int) -> None:
        """A known page is about to become device memory, or to move."""
        if self.frame_of.pop(page, None) is not None:
            self.rows.append((FLUSH_PAGE, page * PAGE, 0, 0, 0, 0))

    def learn(self, page: int, frame: int) -> None:
        """MAP a page that is not known."""
        if self.system and page not in self.frame_of:
            self.frame_of[page] = frame
            self.rows.append((MAP, page * PAGE, 12, 0, 0, frame))

    def touch(self, op: int, vaddr: int, size: int, insns: int, flags: int, frame: int) -> None:
        """A row that touches one page or two."""
        page = vaddr // PAGE
        self.learn(page, frame)
        if vaddr % PAGE + size > PAGE:
            self.learn((page + 1) % self.pages, frame + (insns & 1))  # the next frame, or the same one
        self.rows.append((op, vaddr, size, insns, flags, 0))

    def grant(self, wish: Wish) -> None:
        """Write the rows of one wish."""
        kind, page, offset, pick, insns, user, frame = wish
        vaddr, flags = page * PAGE + offset, USER if user or not self.system else 0
        size = SIZES[pick % len(SIZES)]
        if kind == "load" or kind == "store":
            self.touch(LOAD if kind == "load" else STORE, vaddr, size, insns, flags, frame)
        elif kind == "exec":
            self.touch(EXEC, vaddr, CODE_SIZES[pick % len(CODE_SIZES)], insns, flags, frame)
        elif kind == "io load" or kind == "io store":
            self.forget(page)
            self.rows.append((LOAD if kind == "io load" else STORE, vaddr, size, insns, flags | IO, 0))
        elif kind == "flush":
            self.frame_of.clear()
            self.rows.append((FLUSH, offset * PAGE, pick % 5, 0, 0, 0))
        elif kind == "flush page":
            self.frame_of.pop(page, None)
            self.rows.append((FLUSH_PAGE, vaddr, 0, 0, 0, 0))
        elif kind == "move":  # to another frame, known before it is touched
            self.forget(page)
            self.learn(page, frame)
        elif kind == "alias":  # a frame that another page has
            self.forget(page)
            self.learn(page, next(iter(self.frame_of.values()), frame))
        else:
            self.rows.append((128 + frame % 128, vaddr, size, insns, flags, frame))


def record(wishes: Iterable[Wish], mode: str, pages: int = PAGES) -> list[Row]:
    """The trace that grants these wishes in their order, of a guest of so many pages."""
    recorder = Recorder(mode, pages)
    for wish in wishes:
        recorder.grant(wish)
    return recorder.rows


def wishes(mode: str, pages: list[int] = PAGES_APART) -> st.SearchStrategy[Wish]:
    """One wish. Bursts of equal wishes are worth a draw of their own: see `traces`."""
    return st.tuples(
        st.sampled_from(KINDS if mode == "system" else USER_KINDS),
        st.sampled_from(pages),
        st.sampled_from(OFFSETS),
        st.integers(0, 27),
        st.integers(0, 255),
        st.booleans(),
        st.sampled_from(FRAMES),
    )


def traces(mode: str, pages: list[int] = PAGES_APART, max_wishes: int = 60) -> st.SearchStrategy[list[Row]]:
    """Traces of one mode, on a few of the pages. Some wishes are granted up to 12 times: bitmaps need 10 stores."""

    def on(few: list[int]) -> st.SearchStrategy[list[Row]]:
        burst = st.tuples(wishes(mode, few), st.sampled_from([1, 1, 1, 1, 2, 12]))
        return st.lists(burst, max_size=max_wishes).map(
            lambda bursts: record([wish for wish, times in bursts for _ in range(times)], mode)
        )

    return st.lists(st.sampled_from(pages), min_size=1, max_size=6, unique=True).flatmap(on)


def any_traces(pages: list[int] = PAGES_APART, max_wishes: int = 60) -> st.SearchStrategy[tuple[str, list[Row]]]:
    """A mode, and a trace of it."""
    return st.sampled_from(["user", "system"]).flatmap(
        lambda mode: st.tuples(st.just(mode), traces(mode, pages, max_wishes))
    )


def random_trace(seed: int, n: int, mode: str, pages: list[int] = PAGES_APART, *, trace_bits: int = 32) -> list[Row]:
    """A trace of exactly n rows, always the same for the same arguments; about 0.3 M rows/s.

    Half of the wishes stay near the one before (its page, bytes beside it), as programs do, some are granted 12
    times over. FLUSH is rare, and beside the odd pages there are 400 ordinary ones, so that every pool and table
    comes under pressure.
    """
    rng = random.Random(seed)
    kinds = KINDS if mode == "system" else USER_KINDS
    kinds = [kind for kind in kinds for _ in range(1 if kind == "flush" else 40)]
    recorder, frames = Recorder(mode, 1 << trace_bits - 12), FRAMES if trace_bits == 32 else WIDE_FRAMES
    page, offset = pages[0], 0
    while len(recorder.rows) < n:
        if rng.random() < 0.5:
            page = rng.choice(pages) if rng.random() < 0.6 else 0x8000 + rng.randrange(400)
            offset = rng.choice(OFFSETS) if rng.random() < 0.7 else rng.randrange(PAGE)
        else:
            offset = (offset + rng.choice([-8, -1, 0, 4, 8, 64])) % PAGE
        frame = rng.choice(frames) if rng.random() < 0.5 else 0x2000 + page % (1 << 39)
        wish = (rng.choice(kinds), page, offset, rng.randrange(28), rng.randrange(256), rng.random() < 0.5, frame)
        for _ in range(12 if rng.random() < 0.03 else 1):
            recorder.grant(wish)
    return recorder.rows[:n]


def random_spaces(seed: int, pieces: int = 40) -> list[Row]:
    """Short random traces one behind the other, each in one of four address spaces: nearly all FLUSH rows write CR3."""
    rng, rows = random.Random(seed), list[Row]()
    pages = rng.sample(PAGES_COLLIDING, 4)
    for piece in range(pieces):
        rows.append(flush(1 if rng.random() < 0.9 else 2, rng.choice([0, 0xA000, 0xB000, 0xC000])))
        rows += random_trace(1000 * seed + piece, 60, "system", pages)
    return rows
