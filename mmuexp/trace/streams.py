"""Makes the streams of a batch of runs, and runs of the streams again (docs/trace-format.md, "Streams").

What a file says is checked here before it is used, but for its CRC: everything raises `Broken` for what no writer of
ours made. A difference of addresses is one modulo 2**32, or 2**64. A small one takes 1 to 3 bytes of `near`; of
another, `near` says 0, and `far` has it: random addresses then cost what they do in a column of them. That the same
difference comes again, or its negative, is worth a code of its own: programs walk over several arrays at once, their
calls move a whole frame, and ZSTD's quick levels see little in what alternates.
"""

from typing import NamedTuple

import numpy as np

from mmuexp.blocks.runs import MOST_SITES, OTHER, Runs, Shapes, Sites, no_shapes
from mmuexp.guest import ADDRESS_BITS, Columns, Op, dtypes_of
from mmuexp.native.jitcache import Number, guarded, kept
from mmuexp.trace.flatbuffer import Broken

U = np.uint64
FAR, SAME, NEGATED, PLAIN = range(4)  # what a value of `near` says of a difference
NEAR_BITS = 21  # of what is told in `near`, 7 of them in a byte


class Streams(NamedTuple):
    """The columns of a batch, each the bytes of one stream."""

    run: np.ndarray  # uint16 of each run: 0 for OTHER, 1 for the next new shape, else 1 more than the shape's number
    changed: np.ndarray  # a bit of each data row, from the lowest on
    near: np.ndarray  # small differences, of shapes, others and data rows, in this order
    far: np.ndarray  # each difference that is not small: uint32, uint64 in a trace of 64 bits
    new: np.ndarray  # what new shapes, their sites and others are but for addresses, column by column


def most_bytes(rows: int, address_bits: int = ADDRESS_BITS) -> tuple[int, ...]:
    """Bound what the streams of a batch of so many rows take: a row has at most two differences, and is told once."""
    return tuple(count * rows for count in (2, 1, 2 * (NEAR_BITS // 7), 2 * (address_bits // 8), 10))


def packed(runs: Runs) -> Streams:
    """Make the streams of runs."""
    shapes, sites, others, before = runs.shapes, runs.sites, runs.others, runs.before + 1
    known = np.maximum.accumulate(np.maximum(np.concatenate([[np.uint16(runs.before)], runs.run]), runs.before))[:-1]
    run = np.where(runs.run > known, np.uint16(1), runs.run + (runs.run != OTHER)).astype(np.uint16)
    block = before + np.flatnonzero(shapes.size[before:])
    start, size = shapes.vaddr[block].astype(runs.steps.dtype), shapes.size[block]
    numbers = [_steps(start, size), _steps(others.vaddr, 0), _steps(others.page, 0), runs.steps[:-1]]
    told = [
        *(column[before:] for column in (shapes.size, shapes.insns, shapes.flags)),
        np.diff(shapes.first_site[before:]).astype(np.uint8),
        *(column[shapes.first_site[before] :] for column in sites),
        *others[2:],
    ]
    changed = runs.changed.view(np.uint8)[: runs.accesses + 7 >> 3]
    return Streams(run, changed, *_packed(np.concatenate(numbers)), np.concatenate([*map(_bytes, told)]))


class Unpacker:
    """Makes runs of the streams of one trace; take them in order, from one that begins a group on."""

    def __init__(self, address_bits: int = ADDRESS_BITS) -> None:
        self._dtype = dtypes_of(address_bits).vaddr
        self._told = -1  # shapes of the group so far, -1: nobody knows
        self._shapes, self._sites = no_shapes()

    def unpack(self, streams: Streams, rows: int, before: int, new: int) -> Runs:
        """Make the runs that the next batch holds: so many rows, with `new` shapes after the `before` of the group."""
        if before == 0:
            self._shapes, self._sites = no_shapes()
        elif before != self._told:
            raise Broken("a batch does not go on where the one before it ended")
        self._told = -1
        run, changed, near, far, definitions = streams
        if len(run) % 2 or len(far) % self._dtype.itemsize or (len(near) and near[-1] > 127):
            raise Broken("a stream ends within a value")
        run, far = run.view("<u2"), far.view(self._dtype)
        numbers = np.empty(len(near) + 1, self._dtype)
        count = _unpacked(near, far, numbers)
        if count < 0:
            raise Broken("the differences of addresses make no sense")
        definition = _Definitions(definitions, new, len(run) - int(np.count_nonzero(run)))
        others, steps = definition.others(numbers[: count + 1])  # the last says nothing
        shapes = self._shapes = definition.added_to(self._shapes)
        self._sites = Sites(*map(np.concatenate, zip(self._sites, definition.sites, strict=True)))
        counts = np.diff(shapes.first_site).astype(np.uint64)
        counts |= counts + np.uint64(1) * (shapes.size != 0) << np.uint64(32)
        shape, bits = np.empty(len(run), np.uint16), np.zeros((rows >> 6) + 2, np.uint64)
        counted = _numbered(run, before, counts, shape)
        accesses = counted & 0xFFFFFFFF
        if counted < 0 or counted >> 32 != rows - len(others.op):
            raise Broken("the runs of a batch and its shapes contradict each other")
        if len(changed) != accesses + 7 >> 3 or (accesses % 8 and changed[-1] >> accesses % 8):
            raise Broken("a batch has not a bit for each access")
        bits.view(np.uint8)[: len(changed)] = changed
        if np.bitwise_count(bits).sum(dtype=np.int64) != len(steps) - 1:
            raise Broken("the addresses that changed in a batch and its differences contradict each other")
        self._told = before + new
        return Runs(rows, shape, accesses, bits, steps, others, shapes, self._sites, before)


class _Definitions:
    """What a batch tells of new shapes, their sites, and the rows of no shape, checked."""

    def __init__(self, data: np.ndarray, shapes: int, others: int):
        self._data, self._at = data, 0
        self._size, self._insns, self._flags, self._count = self._take(shapes, 4)
        sites = int(self._count.sum(dtype=np.int64))
        size, insns, op, flags = self._take(sites, 4)
        self.sites = Sites(size, insns, op, flags)
        self._others = self._take(others, 4)
        if self._at != len(data):
            raise Broken("a batch tells more than its shapes and rows")
        block = self._size != 0
        if (self._count > MOST_SITES).any() or (self._count + block == 0).any():
            raise Broken(f"a shape has no row, or more than {MOST_SITES} sites")
        if (self._insns[~block] | self._flags[~block]).any() or (op > Op.STORE).any():
            raise Broken("a shape has a row that is not EXEC, LOAD or STORE")
        self._block = block

    def _take(self, count: int, columns: int) -> list[np.ndarray]:
        """Take the next values: a column of uint16, and others of uint8."""
        end = self._at + (columns + 1) * count
        if end > len(self._data):
            raise Broken("a batch does not tell all of its shapes and rows")
        size = self._data[self._at : self._at + 2 * count].copy().view("<u2")
        rest = self._data[self._at + 2 * count : end].reshape(columns - 1, count)
        self._at = end
        return [size, *rest]

    def others(self, numbers: np.ndarray) -> tuple[Columns, np.ndarray]:
        """Take the addresses of shapes and others from the differences. Returns the others, and the rest of these."""
        size, insns, op, flags = self._others
        blocks, count = np.count_nonzero(self._block), len(op)
        if len(numbers) <= blocks + 2 * count:
            raise Broken("a batch has fewer differences of addresses than rows that need one")
        steps, vaddr, page, rest = np.split(numbers, [blocks, blocks + count, blocks + 2 * count])
        dtype = numbers.dtype
        ends = np.concatenate([[0], self._size[self._block]])[:blocks].astype(dtype)
        self._vaddr = np.cumsum(steps + ends, dtype=dtype)
        vaddr, page = np.cumsum(vaddr, dtype=dtype), np.cumsum(page, dtype=dtype)
        odd = np.flatnonzero(op <= Op.EXEC)
        if ((page[odd] == 0) & ((op[odd] != Op.EXEC) | (size[odd] != 0))).any():
            raise Broken("a row of a block stands beside the blocks")
        return Columns(vaddr, page, size, *map(np.array, (insns, op, flags))), rest  # to write to, as a builder's are

    def added_to(self, known: Shapes) -> Shapes:
        vaddr = np.zeros(len(self._size), np.uint64)
        vaddr[self._block] = self._vaddr
        first_site = known.first_site[-1] + np.cumsum(self._count, dtype=np.int32)
        added = (vaddr, self._size, self._insns, self._flags, first_site.astype(np.int32))
        return Shapes(*map(np.concatenate, zip(known, added, strict=True)))


def _steps(values: np.ndarray, size: np.ndarray | int) -> np.ndarray:
    """From the end of each to the next one, modulo 2 to the power of its bits, first from 0."""
    ends = values + np.asarray(size, values.dtype)
    return values - np.concatenate([np.zeros(1, values.dtype), ends])[: len(values)]


def _bytes(column: np.ndarray) -> np.ndarray:
    return np.ascontiguousarray(column).view(np.uint8)


def _packed(numbers: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    near, far = np.empty(NEAR_BITS // 7 * len(numbers), np.uint8), np.empty_like(numbers)
    length, count = _pack(numbers.view(f"i{numbers.itemsize}"), near, far)
    return near[:length], far[:count]


# In these loops what an array is indexed by is of type U: for a signed index numba looks at each whether it is below 0.


@guarded()
@kept
def _pack(numbers: np.ndarray, near: np.ndarray, far: np.ndarray) -> tuple[Number, Number]:
    """Write signed differences as LEB128: FAR for one that goes to `far`, SAME as the one before, NEGATED, or PLAIN
    more than the zigzag of a small one."""
    n = f = U(0)
    before = np.int64(0)
    for i in range(U(len(numbers))):
        number = np.int64(numbers[i])
        zigzag = U(number) << U(1) ^ U(number >> 63)
        told = zigzag + U(PLAIN)
        if number == before:
            zigzag = told = U(SAME)
        elif number == -before:
            zigzag = told = U(NEGATED)
        before = number
        if (zigzag | told) >> np.uint64(NEAR_BITS):  # the sum may have run over
            near[n], far[f] = FAR, number
            n, f = n + U(1), f + U(1)
            continue
        while told >= 128:
            near[n] = told & np.uint64(127) | np.uint64(128)
            n, told = n + U(1), told >> np.uint64(7)
        near[n] = told
        n += U(1)
    return n, f


@guarded()
@kept
def _unpacked(near: np.ndarray, far: np.ndarray, numbers: np.ndarray) -> Number:
    """Read the differences, each of which ends with a byte below 128, as the last byte is. Returns how many there are,
    -1 where they make no sense."""
    at, k, f, end, most, before = U(0), U(0), U(0), U(len(near)), U(len(far)), U(0)
    while at < end:
        told = U(near[at])
        at += U(1)
        if told >= 128:
            byte = U(near[at])
            at += U(1)
            told = told & U(127) | (byte & U(127)) << U(7)
            if byte >= 128:
                byte = U(near[at])
                at += U(1)
                if byte >= 128:
                    return np.int64(-1)
                told |= byte << U(14)
        if told >= PLAIN:
            told -= U(PLAIN)
            before = told >> U(1) ^ U(0) - (told & U(1))
        elif told == NEGATED:
            before = U(0) - before
        elif told == FAR:
            if f == most:
                return np.int64(-1)
            before = U(far[f])
            f += U(1)
        numbers[k] = before
        k += U(1)
    return np.int64(k) if f == most else np.int64(-1)


@guarded()
@kept
def _numbered(run: np.ndarray, before: int, counts: np.ndarray, shapes: np.ndarray) -> Number:
    """Write each run's shape, and add up what `counts` has of them; -1 unless each is known, and all are told."""
    known, told, sum = U(before), U(len(counts) - 1), U(0)
    for i in range(U(len(run))):
        shape = U(run[i])
        if shape == 1:
            known += U(1)
            shape = known
        else:
            shape -= U(shape != OTHER)
        if (shape > known) | (known > told):
            return np.int64(-1)
        shapes[i] = shape
        sum += counts[shape]
    return np.int64(sum) if known == told else np.int64(-1)
