"""Sets of up to 64 rows in a uint64, a bit each."""

import numba
import numpy as np
from llvmlite import ir
from numba.core import types
from numba.extending import intrinsic

from mmuexp.native.jitcache import inside


@intrinsic  # one instruction, for which neither Python nor NumPy has a word
def _count_trailing_zeros(_, bits):
    def generate(context, builder, signature, args):
        return builder.cttz(args[0], ir.Constant(ir.IntType(1), 1))

    return types.uint64(types.uint64), generate


@intrinsic  # the same
def _count_leading_zeros(_, bits):
    def generate(context, builder, signature, args):
        return builder.ctlz(args[0], ir.Constant(ir.IntType(1), 1))

    return types.uint64(types.uint64), generate


@intrinsic  # the same
def _count_ones(_, bits):
    def generate(context, builder, signature, args):
        return builder.ctpop(args[0])

    return types.uint64(types.uint64), generate


@intrinsic  # two instructions: a loop that counts would look first whether the arrays overlap
def _copy_eight(_, to, at, source, start):
    def generate(context, builder, signature, args):
        eight = ir.VectorType(ir.IntType(32), 8).as_pointer()
        places = []
        for kind, array, index in ((to, args[0], args[1]), (source, args[2], args[3])):
            data = context.make_array(kind)(context, builder, array).data
            places.append(builder.bitcast(builder.gep(data, [index]), eight))
        builder.store(builder.load(places[1], align=4), places[0], align=4)
        return context.get_dummy_value()

    return types.void(to, types.uint64, source, types.uint64), generate


def plain_copy_eight(to: np.ndarray, at: np.uint64, source: np.ndarray, start: np.uint64) -> None:
    """`copy_eight` where nothing is compiled."""
    to[int(at) : int(at) + 8] = source[int(start) : int(start) + 8]


@inside
def _compiled_copy(to, at, source, start):
    _copy_eight(to, at, source, start)


copy_eight = plain_copy_eight if numba.config.DISABLE_JIT else _compiled_copy  # of two uint32 arrays, from these places


def plain_lowest_bit(bits: np.uint64) -> np.uint64:
    """`lowest_bit` where nothing is compiled."""
    return np.uint64((int(bits) & -int(bits)).bit_length() - 1)


@inside
def _compiled(bits):
    return _count_trailing_zeros(bits)


lowest_bit = plain_lowest_bit if numba.config.DISABLE_JIT else _compiled  # of a uint64 other than 0


def plain_highest_bit(bits: np.uint64) -> np.uint64:
    """`highest_bit` where nothing is compiled."""
    return np.uint64(int(bits).bit_length() - 1)


@inside
def _compiled_highest(bits):
    return np.uint64(63) - _count_leading_zeros(bits)


highest_bit = plain_highest_bit if numba.config.DISABLE_JIT else _compiled_highest  # of a uint64 other than 0


@inside
def _compiled_count(bits):
    return _count_ones(bits)


def plain_count_bits(bits: np.uint64) -> np.uint64:
    """`count_bits` where nothing is compiled."""
    return np.uint64(int(bits).bit_count())


count_bits = plain_count_bits if numba.config.DISABLE_JIT else _compiled_count  # of a uint64


@inside
def lowest_bits(count):
    """Set the lowest `count` bits, 1 to 64."""
    return ~np.uint64(0) >> np.uint64(np.uint64(64) - np.uint64(count))
