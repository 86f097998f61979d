"""Keeps what the survey knows of each shape and site of a group, worked out once, when it is first seen."""

from typing import Any, NamedTuple

import numpy as np

from mmuexp.blocks.runs import MOST_SHAPES, MOST_SITES, Runs
from mmuexp.emulator.state import zeros
from mmuexp.errors import TraceError
from mmuexp.guest import IO, MAX_ACCESS_BYTES, PAGE_MASK, USER
from mmuexp.native.jitcache import Number, guarded, inside, kept
from mmuexp.replay.firsts import packed_row

U = np.uint64
UNIT_BYTES = 8
SHAPES = MOST_SHAPES + 1  # places for them: memory that is not used is never touched
MOST_ADDRESSES = 1 << 22  # of code, that a trace may enter; a real guest has some hundred thousand
NO_ACCESS, MIXED = 4, 3  # in place of a shape's mode
MANY_SHAPES = 1 << 13

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


def has_many_shapes(runs: Runs) -> bool:
    """Tell whether what is kept of the shapes so far fills megabytes; a recording has some thousand."""
    return runs.shapes_so_far > MANY_SHAPES


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
            dense = has_many_shapes(runs)
            shape = zeros(SHAPES * PLACES, np.uint32, dense=dense)
            site = zeros(MOST_SHAPES * MOST_SITES, np.uint64, dense=dense)
            self.known, self._shapes = Known(self._counts, shape, site), 0
        before, after = self._shapes, runs.shapes_so_far
        if before == after:
            return
        self._shapes = after
        most = 2 * (self.addresses + after - before)
        if most > len(self._table):
            self._table = zeros(1 << most.bit_length(), np.int32)
            _put(self._table, self._vaddrs, self.addresses)
        self.addresses = _learn(
            *runs.shapes, *runs.sites, *self.known, self._table, self._vaddrs, self.addresses, before + 1, after,
            self._user_mode,
        )  # fmt: skip
        if self.addresses > MOST_ADDRESSES:
            what = f"enters code at more than {MOST_ADDRESSES:,} addresses"
            raise TraceError(what, where=self._where, todo="no real guest has as many; run `mmuexp trace verify`")


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


@inside
def _packed(size: Number, insns: Number, op: Number, flags: Number, user_mode: bool) -> Number:
    """Pack what a site is."""
    packed = packed_row(size, insns, op, flags)
    if flags & U(IO) or size == 0 or size > MAX_ACCESS_BYTES:
        return packed | U(1) << U(ODD_AT)
    less, user = size - U(1), U(USER) if user_mode else flags & U(USER)
    mask = less if size & less == 0 else U(0)
    return packed | U(1) << (op + user) | mask << U(MASK_AT) | less << U(LESS_AT)


@guarded()
@kept
def _learn(
    vaddrs: np.ndarray, sizes: np.ndarray, insns: np.ndarray, flags: np.ndarray, first_site: np.ndarray,
    site_size: np.ndarray, site_insns: np.ndarray, site_op: np.ndarray, site_flags: np.ndarray,
    counts: np.ndarray, shape: np.ndarray, site: np.ndarray, table: np.ndarray, known: np.ndarray, addresses: Number,
    first: Number, last: Number, user_mode: bool,
) -> Number:  # fmt: skip
    """Work out what is known of the shapes from `first` to `last`, and number the address of each block; one that is
    new gets the next. Returns how many addresses there are."""
    for each in range(first, last + 1):
        about, begin, end = each << PLACE_BITS, first_site[each], first_site[each + 1]
        stores = io = ram_stores = units8 = wide_units8 = users = np.int64(0)
        for i in range(U(begin), U(end)):
            size, op, flag = np.int64(site_size[i]), np.int64(site_op[i]), np.int64(site_flags[i])
            site[i] = _packed(U(size), U(site_insns[i]), U(op), U(flag), user_mode)
            ram = np.int64(flag & IO == 0)
            stores, io, ram_stores, users = stores + op, io + 1 - ram, ram_stores + ram * op, users + (flag & USER)
            units = ram * (size + UNIT_BYTES - 1) // UNIT_BYTES
            units8, wide_units8 = units8 + units, wide_units8 + units * (size > 4)
        accesses, block = end - begin, sizes[each] != 0
        counts[each, S_EXECS], counts[each, S_LOADS], counts[each, S_STORES] = block, accesses - stores, stores
        ram_loads = accesses - io - ram_stores
        counts[each, S_IO], counts[each, S_RAM_LOADS], counts[each, S_RAM_STORES] = io, ram_loads, ram_stores
        counts[each, S_UNITS8], counts[each, S_WIDE_UNITS8] = units8, wide_units8
        shape[about | FIRST], shape[about | COUNT], shape[about | HAS_BLOCK] = begin, accesses, block
        shape[about | VADDR], shape[about | SIZE] = vaddrs[each], sizes[each]
        shape[about | INSNS], shape[about | FLAGS], shape[about | RAM] = insns[each], flags[each], accesses - io
        mode = USER if users == accesses * USER else MIXED if users else 0
        shape[about | MODE] = mode if accesses else NO_ACCESS
        if block:
            place = _place_of(table, known, vaddrs[each])
            if table[place] == 0:
                known[addresses] = vaddrs[each]
                addresses += 1
                table[place] = addresses
            shape[about | NUMBER] = table[place] - 1
    return addresses


@guarded()
@kept
def _put(table: np.ndarray, known: np.ndarray, count: Number) -> None:
    """Put the addresses that have a number into an empty table."""
    for i in range(count):
        table[_place_of(table, known, known[i])] = i + 1
