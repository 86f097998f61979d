"""Makes runs of rows: whatever reads rows goes through here, so that replay knows one form alone."""

from collections.abc import Iterable, Iterator
from contextlib import suppress

import numpy as np

from mmuexp.blocks.runs import GROUP_BATCHES, MOST_SHAPES, MOST_SITES, OTHER, Runs, Shapes, Sites
from mmuexp.emulator.state import zeros
from mmuexp.guest import ADDRESS_BITS, Columns, bits_of, dtypes_of
from mmuexp.native.jitcache import Number, guarded, inside, kept

U = np.uint64  # of what arrays are indexed by: for a signed index numba looks at each whether it is below 0
TABLE_BITS = 17  # places for shapes, by a hash of what they are: at most half of them are taken

# what `_find` keeps between rows, and returns beside it
ROW, RUNS, ACCESSES, CHANGES, OTHERS, SHAPES, SITES, LAST, BEFORE = range(9)


class Builder:
    """Makes runs of the rows of one trace; feed it in order. A group has `batches` (None: as many as have room)."""

    def __init__(self, batches: int | None = None, address_bits: int = ADDRESS_BITS) -> None:
        self._group_batches, self._dtypes = batches, dtypes_of(address_bits)
        self._table = np.zeros(1 << TABLE_BITS, np.int32)  # a shape's number, 0 = none
        self._state = np.zeros(BEFORE + 1, np.int64)
        self._begin()

    def _begin(self) -> None:
        """Begin a group. What the one before told stays as it is for whoever still reads it."""
        self._batches = 0
        self._shapes, self._sites = _room_for_shapes(), _room_for_sites()
        self._follower = zeros(MOST_SHAPES + 1, np.int32)  # of each shape: the one that came behind it
        self._site_vaddr = zeros(len(self._sites.op), self._dtypes.vaddr)  # where each was the last time
        self._table[:] = 0
        self._state[:] = 0

    def feed(self, columns: Columns) -> Iterator[Runs]:
        """Yield the next rows, up to 2**20, as runs: in one piece, or in several where there are too many shapes."""
        rows, at = len(columns.op), 0
        columns = Columns(*(for_kernels(c, dtype) for c, dtype in zip(columns, self._dtypes, strict=True)))
        run = np.empty(rows, np.uint16)  # of all pieces, one behind another
        steps = np.empty(rows + 1, self._dtypes.vaddr)  # the same
        while at < rows or not rows:
            if self._batches == self._group_batches:
                self._begin()
            made = self._feed(Columns(*(column[at:] for column in columns)), run[at:], steps[at:])
            if made.rows or not rows:
                yield made
                self._batches += 1
            at += made.rows
            if at < rows:
                self._begin()
            elif not rows:
                return

    def _feed(self, columns: Columns, run: np.ndarray, steps: np.ndarray) -> Runs:
        rows, state = len(columns.op), self._state
        changed, others = np.zeros((rows >> 6) + 2, np.uint64), np.empty(rows, np.int32)
        state[[ROW, RUNS, ACCESSES, CHANGES, OTHERS, LAST]] = 0
        state[BEFORE] = state[SHAPES]
        _find(
            *columns, self._table, self._follower, self._site_vaddr, *self._shapes, *self._sites, state,
            run, steps, changed, others,
        )  # fmt: skip
        row, runs, accesses, changes, other, shapes, sites, _, before = (int(each) for each in state)
        known = Shapes._make(each[: shapes + 1] for each in self._shapes)
        known = known._replace(first_site=self._shapes.first_site[: shapes + 2])
        where = others[:other]
        return Runs(
            row, run[:runs], accesses, changed, steps[: changes + 1], Columns(*(column[where] for column in columns)),
            known, Sites(*(each[:sites] for each in self._sites)), before,
        )  # fmt: skip


def grouped(address_bits: int = ADDRESS_BITS) -> Builder:
    """Make a builder whose groups are those of a file."""
    return Builder(GROUP_BATCHES, address_bits)


def for_kernels(column: np.ndarray, dtype: np.dtype) -> np.ndarray:
    """Give the column the one type that kernels are compiled for: a read-only array has another. None writes to it."""
    if not column.flags.writeable:
        with suppress(ValueError):  # what it shows belongs to nobody who would let us
            column = column.view()
            column.flags.writeable = True
    return np.require(column, dtype, ["C", "W"])


def runs_of(batches: Iterable[Columns]) -> Iterator[Runs]:
    """Yield the rows of one trace as runs."""
    builder = None
    for columns in batches:
        builder = builder or grouped(bits_of(columns.vaddr))
        yield from builder.feed(columns)


def _room_for_shapes() -> Shapes:
    """As many as there can be: memory that is not used is never touched."""
    count = MOST_SHAPES + 1
    return Shapes(*map(zeros, (count, count, count, count, count + 1), ("u8", "u2", "u1", "u1", "i4")))


def _room_for_sites() -> Sites:
    """As many as there can be."""
    return Sites(*(zeros(MOST_SHAPES * MOST_SITES, dtype) for dtype in ("u2", "u1", "u1", "u1")))


@inside
def _is_data(op: Number, page: Number) -> Number:
    return (op <= 1) & (page == 0)


@inside
def _is_block(op: Number, page: Number, size: Number) -> Number:
    return (op == 2) & (page == 0) & (size != 0)


@inside
def _mixed(state: Number, word: Number) -> Number:
    """Go on with a hash: splitmix64's finaliser, a round for each word."""
    state = (state ^ word) * U(0xBF58476D1CE4E5B9)
    return state ^ state >> U(29)


@guarded()
@kept
def _find(
    vaddrs: np.ndarray, pages: np.ndarray, sizes: np.ndarray, insns: np.ndarray, ops: np.ndarray, flags: np.ndarray,
    table: np.ndarray, follower: np.ndarray, site_vaddr: np.ndarray,
    shape_vaddr: np.ndarray, shape_size: np.ndarray, shape_insns: np.ndarray, shape_flags: np.ndarray,
    first_site: np.ndarray, site_size: np.ndarray, site_insns: np.ndarray, site_op: np.ndarray, site_flags: np.ndarray,
    state: np.ndarray, run: np.ndarray, steps: np.ndarray, changed: np.ndarray, others: np.ndarray,
) -> None:  # fmt: skip
    """Cut the rows into runs, up to the one whose shape there is no room for; `state` says how far it came."""
    rows, i, runs, accesses, changes, other, last = U(len(ops)), U(0), U(0), U(0), U(0), U(0), U(0)
    shapes, sites, before = U(state[SHAPES]), U(state[SITES]), site_vaddr.dtype.type(0)
    while i < rows:
        block = _is_block(ops[i], pages[i], sizes[i])
        if not block and not _is_data(ops[i], pages[i]):
            run[runs], others[other] = OTHER, i
            runs, other, i = runs + U(1), other + U(1), i + U(1)
            continue
        data = i + U(block)
        shape = U(follower[last])  # mostly what came behind this one the last time
        count = U(first_site[shape + U(1)] - first_site[shape])
        same = shape != 0 and data + count <= rows and (shape_size[shape] != 0) == block
        if same and block:
            same = (
                shape_vaddr[shape] == vaddrs[i] and shape_size[shape] == sizes[i] and shape_insns[shape] == insns[i]
                and shape_flags[shape] == flags[i]
            )  # fmt: skip
        if same:
            same = _are_its_rows(
                shape, pages, sizes, insns, ops, flags, data, first_site, site_size, site_insns, site_op, site_flags
            )
        new = False
        if not same:
            shape, count, place = _look_up(
                pages, sizes, insns, ops, flags, vaddrs, i, data, table, shape_vaddr, shape_size, shape_insns,
                shape_flags, first_site, site_size, site_insns, site_op, site_flags,
            )  # fmt: skip
            new = shape == 0
            if new:
                if shapes == MOST_SHAPES:
                    break
                shapes += U(1)
                shape = shapes
                table[place] = shape
                if block:
                    shape_vaddr[shape], shape_size[shape] = vaddrs[i], sizes[i]
                    shape_insns[shape], shape_flags[shape] = insns[i], flags[i]
                for k in range(count):
                    site_size[sites + k], site_insns[sites + k] = sizes[data + k], insns[data + k]
                    site_op[sites + k], site_flags[sites + k] = ops[data + k], flags[data + k]
                sites += count
                first_site[shape], first_site[shape + U(1)] = sites - count, sites
            follower[last] = shape
        last = shape
        run[runs] = shape
        runs += U(1)
        first = U(first_site[shape])
        for k in range(count):
            now = vaddrs[data + k]
            then = before if new else site_vaddr[first + k]
            changed[accesses >> U(6)] |= U(now != then) << (accesses & U(63))
            steps[changes] = now - then
            site_vaddr[first + k] = before = now
            accesses, changes = accesses + U(1), changes + U(now != then)
        i = data + count
    state[ROW], state[RUNS], state[ACCESSES], state[CHANGES], state[OTHERS] = i, runs, accesses, changes, other
    state[SHAPES], state[SITES] = shapes, sites


@inside
def _are_its_rows(
    shape: Number, pages: np.ndarray, sizes: np.ndarray, insns: np.ndarray, ops: np.ndarray, flags: np.ndarray,
    data: Number, first_site: np.ndarray, site_size: np.ndarray, site_insns: np.ndarray, site_op: np.ndarray,
    site_flags: np.ndarray,
) -> Number:  # fmt: skip
    """Tell whether the data rows from `data` on, up to the run's end, are those of the shape; there are as many."""
    first = U(first_site[shape])
    count = U(first_site[shape + U(1)]) - first
    for k in range(count):
        i, site = data + k, first + k
        if not (
            (ops[i] == site_op[site]) & (sizes[i] == site_size[site]) & (insns[i] == site_insns[site])
            & (flags[i] == site_flags[site]) & (pages[i] == 0)
        ):  # fmt: skip
            return False
    end = data + count
    return count == MOST_SITES or end == U(len(ops)) or not _is_data(ops[end], pages[end])


@inside
def _look_up(
    pages: np.ndarray, sizes: np.ndarray, insns: np.ndarray, ops: np.ndarray, flags: np.ndarray, vaddrs: np.ndarray,
    i: Number, data: Number, table: np.ndarray, shape_vaddr: np.ndarray, shape_size: np.ndarray,
    shape_insns: np.ndarray, shape_flags: np.ndarray, first_site: np.ndarray, site_size: np.ndarray,
    site_insns: np.ndarray, site_op: np.ndarray, site_flags: np.ndarray,
) -> tuple[Number, Number, Number]:  # fmt: skip
    """Find the shape of the run at row `i`: its number, 0 if it is new; how many data rows it has; its place."""
    hashed, block = U(0x9E3779B97F4A7C15), data > i
    if block:
        hashed = _mixed(hashed, U(vaddrs[i]))
        hashed = _mixed(hashed, U(sizes[i]) | U(insns[i]) << U(16) | U(flags[i]) << U(24))
    end, rows = data, U(len(ops))
    while end < rows and end - data < U(MOST_SITES) and _is_data(ops[end], pages[end]):
        word = U(sizes[end]) | U(insns[end]) << U(16) | U(flags[end]) << U(24) | U(ops[end] + 1) << U(32)
        hashed = _mixed(hashed, word)
        end += U(1)
    place = hashed >> U(64 - TABLE_BITS)
    while table[place]:
        shape = U(table[place])
        same = U(first_site[shape + U(1)] - first_site[shape]) == end - data
        if block:
            same = (
                same and shape_vaddr[shape] == vaddrs[i] and shape_size[shape] == sizes[i]
                and shape_insns[shape] == insns[i] and shape_flags[shape] == flags[i]
            )  # fmt: skip
        else:
            same = same and shape_size[shape] == 0
        if same and _are_its_rows(
            shape, pages, sizes, insns, ops, flags, data, first_site, site_size, site_insns, site_op, site_flags
        ):
            return shape, end - data, place
        place = place + U(1) & U((1 << TABLE_BITS) - 1)
    return U(0), end - data, place
