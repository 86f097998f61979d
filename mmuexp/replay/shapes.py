"""Keeps what the survey knows of each shape and site of a group, worked out once, when it is first seen."""

from typing import Any, NamedTuple

import numpy as np

from mmuexp.blocks.runs import MOST_SHAPES, MOST_SITES, Runs, Shapes, Sites
from mmuexp.emulator.state import zeros
from mmuexp.errors import TraceError
from mmuexp.guest import IO, MAX_ACCESS_BYTES, PAGE_MASK, USER, Op
from mmuexp.native.jitcache import Number, guarded, inside, kept
from mmuexp.replay.firsts import FLAGS_AT, INSNS_AT, OP_AT, SIZE_AT

UNIT_BYTES = 8
SHAPES = MOST_SHAPES + 1  # places for them: memory that is not used is never touched
MOST_ADDRESSES = 1 << 22  # of code, that a trace may enter; a real guest has some hundred thousand
NO_ACCESS, MIXED = 4, 3  # in place of a shape's mode

# What an execution of a shape counts, whatever its addresses are, by its place in a row of `counts`
S_EXECS, S_LOADS, S_STORES, S_IO, S_RAM_LOADS, S_RAM_STORES, S_UNITS8, S_WIDE_UNITS8 = range(8)

# Of a site, packed: the bit of its kind where it is aligned; a mask of the address's bits that say whether it is; its
# size less one; 1 where no address makes it a plain access; and its columns as firsts.py has them
MASK_AT, LESS_AT, ODD_AT = 8, 16, 23


# Of a shape, by its place among the PLACES that are kept of it side by side: its first site, and how many it has; 1
# where it has an EXEC row, the number of that row's address, and its columns; RAM accesses; USER or 0 where
# all accesses are so, else NO_ACCESS or MIXED; the last era in which all of its rows were seen, and none was always a
# first; executions that are not counted yet
FIRST, COUNT, HAS_BLOCK, NUMBER, VADDR, SIZE, INSNS, FLAGS, RAM, MODE, CLEAN, EXECUTIONS = range(12)
PLACE_BITS = 4
PLACES = 1 << PLACE_BITS


class Known(NamedTuple):
    """What is known of the shapes of a group by number, and of its sites; room for as many as there can be."""

    counts: np.ndarray  # int32[shapes, 8]
    shape: np.ndarray  # uint32[shapes * PLACES]: what an execution needs is in one line of the cache
    site: np.ndarray  # uint64[sites], packed as above


class ShapeBook:
    """Knows the shapes of the group at hand, and numbers the addresses of code of the whole trace from 0 on."""

    def __init__(self, user_mode: bool, where: str) -> None:
        self._user_mode, self._where = user_mode, where
        self.addresses = 0
        self._vaddrs = zeros(MOST_ADDRESSES + SHAPES, np.uint64)  # each address that has a number, by that
        self._table = np.zeros(1 << 12, np.int32)  # their numbers and one, by a hash; at most half are taken
        self._shapes = 0
        self._counts = zeros(SHAPES * (S_WIDE_UNITS8 + 1), np.int32).reshape(SHAPES, -1)
        self.known: Any = None

    def learn(self, runs: Runs) -> None:
        """Take the new shapes of some rows. Raises TraceError where a trace has more code than replay holds."""
        if self.known is None or runs.before == 0:
            # what a group counts was counted when the next begins; the rest may still be read: the rows are made of it
            shape, site = zeros(SHAPES * PLACES, np.uint32), zeros(MOST_SHAPES * MOST_SITES, np.uint64)
            self.known, self._shapes = Known(self._counts, shape, site), 0
        before, after = self._shapes, runs.shapes_so_far
        if before == after:
            return
        self._shapes = after
        new = slice(before + 1, after + 1)
        first, end = int(runs.shapes.first_site[before + 1]), int(runs.shapes.first_site[after + 1])
        sites = Sites(*(column[first:end] for column in runs.sites))
        self.known.site[first:end] = self._packed(sites)
        about = self.known.shape.reshape(-1, PLACES)[new]
        about[:, FIRST] = runs.shapes.first_site[new]
        about[:, COUNT] = np.diff(runs.shapes.first_site[before + 1 : after + 2])
        about[:, HAS_BLOCK] = runs.shapes.size[new] != 0
        for place, column in zip((VADDR, SIZE, INSNS, FLAGS), runs.shapes, strict=False):
            about[:, place] = column[new]
        self._count(about, runs.shapes, sites, new, first)
        self._number(about, runs.shapes, new)

    def _packed(self, sites: Sites) -> np.ndarray:
        size, insns, op, flags = (column.astype(np.uint64) for column in sites)
        one, less = np.uint64(1), size - np.uint64(1)
        mask = np.where(size & less == 0, less, np.uint64(0))
        user = np.uint64(2) if self._user_mode else flags & np.uint64(USER)
        odd = (flags & np.uint64(IO) != 0) | (size == 0) | (size > MAX_ACCESS_BYTES)
        kind = one << (op + user) | mask << np.uint64(MASK_AT) | less << np.uint64(LESS_AT)
        packed = np.where(odd, one << np.uint64(ODD_AT), kind)
        return packed | size << SIZE_AT | insns << INSNS_AT | op << OP_AT | flags << FLAGS_AT

    def _count(self, about: np.ndarray, shapes: Shapes, sites: Sites, new: slice, first: int) -> None:
        ends = shapes.first_site[new.start : new.stop + 1].astype(np.int64) - first
        ram, store = sites.flags & IO == 0, sites.op == Op.STORE
        units8 = (sites.size.astype(np.int64) + UNIT_BYTES - 1) // UNIT_BYTES
        user = sites.flags & USER != 0
        of_site = (~store, store, ~ram, ram & ~store, ram & store, ram * units8, (ram & (sites.size > 4)) * units8)
        counts = self.known.counts
        counts[new, S_EXECS] = shapes.size[new] != 0
        for at, each in enumerate(of_site, S_LOADS):
            counts[new, at] = _sums(each, ends)
        about[:, RAM] = counts[new, S_RAM_LOADS] + counts[new, S_RAM_STORES]
        users, accesses = _sums(user, ends), np.diff(ends)
        mode = np.where(users == accesses, USER, np.where(users == 0, 0, MIXED))
        about[:, MODE] = np.where(accesses == 0, NO_ACCESS, mode)

    def _number(self, about: np.ndarray, shapes: Shapes, new: slice) -> None:
        most = 2 * (self.addresses + new.stop - new.start)
        if most > len(self._table):
            self._table = zeros(1 << most.bit_length(), np.int32)
            _put(self._table, self._vaddrs, self.addresses)
        self.addresses = _look_up(self._table, self._vaddrs, shapes.vaddr[new], shapes.size[new], about, self.addresses)
        if self.addresses > MOST_ADDRESSES:
            what = f"enters code at more than {MOST_ADDRESSES:,} addresses"
            raise TraceError(what, where=self._where, todo="no real guest has as many; run `mmuexp trace verify`")


def _sums(of_site: np.ndarray, ends: np.ndarray) -> np.ndarray:
    """Add up what sites have, between each two of `ends`."""
    return np.diff(np.concatenate(([0], np.cumsum(of_site, dtype=np.int64)))[ends])


@inside
def alignment_of(packed: Number, vaddr: Number) -> tuple[Number, Number]:
    """Tell whether an access of this site to this address is not plain (keys.py), and whether it is misaligned."""
    u4, u8 = np.uint32, np.uint64
    offset = u4(vaddr) & u4(PAGE_MASK)
    crosses = offset + u4(packed >> u8(LESS_AT) & u8(63)) > u4(PAGE_MASK)
    odd = (packed >> u8(ODD_AT) & u8(1) != u8(0)) | crosses
    return odd, offset & u4(packed >> u8(MASK_AT) & u8(63)) != u4(0)


@inside
def kind_of(packed: Number) -> Number:
    """Take the bit of the kind that an access of this site is where it is plain and aligned."""
    return np.uint32(packed & np.uint64((1 << MASK_AT) - 1))


@inside
def _place_of(table: np.ndarray, known: np.ndarray, vaddr: Number) -> Number:
    """Find where an address stands in the table, or would; a place is taken where it is not 0."""
    place = np.int64(vaddr * np.uint64(0x9E3779B97F4A7C15) >> np.uint64(20)) & len(table) - 1
    while table[place] and known[table[place] - 1] != vaddr:
        place = place + 1 & len(table) - 1
    return place


@guarded()
@kept
def _look_up(
    table: np.ndarray, known: np.ndarray, vaddrs: np.ndarray, sizes: np.ndarray, about: np.ndarray, count: Number
) -> Number:
    """Write the number of each address of a block; one that is new gets the next. Returns how many there are."""
    for i in range(len(vaddrs)):
        if sizes[i] == 0:
            continue
        place = _place_of(table, known, vaddrs[i])
        if table[place] == 0:
            known[count] = vaddrs[i]
            count += 1
            table[place] = count
        about[i, NUMBER] = table[place] - 1
    return count


@guarded()
@kept
def _put(table: np.ndarray, known: np.ndarray, count: Number) -> None:
    """Put the addresses that have a number into an empty table."""
    for i in range(count):
        table[_place_of(table, known, known[i])] = i + 1
