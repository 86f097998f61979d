"""`mmuexp.native.bits`: sets of rows in a word, compiled and as plain Python."""

import numba
import numpy as np
import pytest

from mmuexp.native import bits

compiled_lowest = numba.njit(lambda word: bits.lowest_bit(word))
compiled_highest = numba.njit(lambda word: bits.highest_bit(word))
compiled_count = numba.njit(lambda word: bits.count_bits(word))
compiled_lowest_bits = numba.njit(lambda count: bits.lowest_bits(count))


@pytest.mark.parametrize(
    ("word", "number"), [(1, 0), (0b1010, 1), (1 << 63, 63), (2**64 - 1, 0), (0b11 << 40, 40), (2**64 - 2**33, 33)]
)
def test_the_lowest_bit_by_hand(word, number):
    assert compiled_lowest(np.uint64(word)) == number
    assert bits.plain_lowest_bit(np.uint64(word)) == number


@pytest.mark.parametrize(
    ("word", "number"), [(1, 0), (0b1010, 3), (1 << 63, 63), (2**64 - 1, 63), (0b11 << 40, 41), (2**33 - 1, 32)]
)
def test_the_highest_bit_by_hand(word, number):
    assert compiled_highest(np.uint64(word)) == number
    assert bits.plain_highest_bit(np.uint64(word)) == number


@pytest.mark.parametrize(("word", "count"), [(0, 0), (1, 1), (0b1010, 2), (1 << 63, 1), (2**64 - 1, 64)])
def test_how_many_bits(word, count):
    assert compiled_count(np.uint64(word)) == count
    assert bits.plain_count_bits(np.uint64(word)) == count


@pytest.mark.parametrize("count", [1, 2, 31, 32, 33, 63, 64])
def test_so_many_of_the_lowest_bits(count):
    assert compiled_lowest_bits(count) == 2**count - 1
    assert bits.lowest_bits.py_func(count) == 2**count - 1
