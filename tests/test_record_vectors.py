"""What one vector instruction does to memory at once is one row, whatever the pieces in which QEMU does it."""

import numpy as np
import pytest
from recording import build, count, record, rows_of

from mmuexp.guest import Op

COPIES = 4096  # of vectorcopy.S


def accesses(path) -> list[tuple[int, int, int]]:
    """(op, vaddr, size) of each load and store."""
    c = rows_of(path)
    data = (c.op == Op.LOAD) | (c.op == Op.STORE)
    return list(zip(c.op[data].tolist(), c.vaddr[data].tolist(), c.size[data].tolist(), strict=True))


def test_a_vector_access_is_one_row_and_crosses_pages(tmp_path):
    done = record("-o", "copy.arrow", "--", build("vectorcopy"), cwd=tmp_path)
    assert done.code == 0, done.err
    counts = count(rows_of(tmp_path / "copy.arrow"))
    assert counts["loads"] == counts["stores"] == counts["misaligned"] == COPIES
    assert counts["page_cross"] == COPIES // 256
    assert {size for _, _, size in accesses(tmp_path / "copy.arrow")} == {16}


@pytest.mark.parametrize("skip", [1, 2, 100, 101])
def test_skipping_counts_the_same_rows(tmp_path, skip):
    for name, options in (("whole", ()), ("rest", ("--skip", skip))):
        done = record("-o", f"{name}.arrow", *options, "--", build("vectorcopy"), cwd=tmp_path)
        assert done.code == 0, done.err
    whole, rest = rows_of(tmp_path / "whole.arrow"), rows_of(tmp_path / "rest.arrow")
    for expected, found in zip(whole, rest, strict=True):
        assert np.array_equal(expected[skip:], found)
