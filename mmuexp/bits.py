"""The number of the lowest bit that is set: one instruction, for which neither Python nor NumPy has a word."""

import numba
import numpy as np
from llvmlite import ir
from numba.core import types
from numba.extending import intrinsic

from mmuexp.jitcache import inside


@intrinsic
def _count_trailing_zeros(_, bits):
    def generate(context, builder, signature, args):
        return builder.cttz(args[0], ir.Constant(ir.IntType(1), 1))

    return types.uint64(types.uint64), generate


def _plain(bits: np.uint64) -> np.uint64:
    return np.uint64((int(bits) & -int(bits)).bit_length() - 1)


@inside
def _compiled(bits):
    return _count_trailing_zeros(bits)


lowest_bit = _plain if numba.config.DISABLE_JIT else _compiled  # of a uint64 other than 0
