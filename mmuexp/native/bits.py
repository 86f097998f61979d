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
def _count_ones(_, bits):
    def generate(context, builder, signature, args):
        return builder.ctpop(args[0])

    return types.uint64(types.uint64), generate


def plain_lowest_bit(bits: np.uint64) -> np.uint64:
    """`lowest_bit` where nothing is compiled."""
    return np.uint64((int(bits) & -int(bits)).bit_length() - 1)


@inside
def _compiled(bits):
    return _count_trailing_zeros(bits)


lowest_bit = plain_lowest_bit if numba.config.DISABLE_JIT else _compiled  # of a uint64 other than 0


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
