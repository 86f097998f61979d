"""Makes rows of runs again."""

import numpy as np

from mmuexp.blocks.runs import MOST_SHAPES, MOST_SITES, OTHER, Runs
from mmuexp.emulator.state import zeros
from mmuexp.guest import Columns, Op, bits_of, dtypes_of
from mmuexp.native.jitcache import guarded, kept

U = np.uint64  # what arrays are indexed by: for a signed index numba looks at each whether it is below 0


class RowMaker:
    """Makes rows of the runs of one trace; give it all of them in order, from one that begins a group on."""

    def __init__(self) -> None:
        self._site_vaddr = np.zeros(0, np.uint32)  # where each site of the group was the last time

    def rows(self, runs: Runs) -> Columns:
        """Make the rows that the next runs are, in arrays that are nobody else's."""
        columns = Columns(*(np.empty(runs.rows, dtype) for dtype in dtypes_of(bits_of(runs.steps))))
        if runs.before == 0:
            self._site_vaddr = zeros(MOST_SHAPES * MOST_SITES, runs.steps.dtype)
        _fill(
            runs.run, runs.changed, runs.steps, *runs.others, *runs.shapes, *runs.sites, runs.before, self._site_vaddr,
            *columns,
        )  # fmt: skip
        return columns


@guarded()
@kept
def _fill(
    run: np.ndarray, changed: np.ndarray, steps: np.ndarray, other_vaddr: np.ndarray, other_page: np.ndarray,
    other_size: np.ndarray, other_insns: np.ndarray, other_op: np.ndarray, other_flags: np.ndarray,
    shape_vaddr: np.ndarray, shape_size: np.ndarray, shape_insns: np.ndarray, shape_flags: np.ndarray,
    first_site: np.ndarray, site_size: np.ndarray, site_insns: np.ndarray, site_op: np.ndarray, site_flags: np.ndarray,
    before: int, site_vaddr: np.ndarray, vaddrs: np.ndarray, pages: np.ndarray, sizes: np.ndarray, insns: np.ndarray,
    ops: np.ndarray, flags: np.ndarray,
) -> None:  # fmt: skip
    row, access, change, other, known, last = U(0), U(0), U(0), U(0), U(before), vaddrs.dtype.type(0)
    pages[:] = 0
    for shape in run:
        if shape == OTHER:
            vaddrs[row], pages[row], sizes[row] = other_vaddr[other], other_page[other], other_size[other]
            insns[row], ops[row], flags[row] = other_insns[other], other_op[other], other_flags[other]
            row, other = row + U(1), other + U(1)
            continue
        new = shape > known
        known += U(new)
        if shape_size[shape]:
            vaddrs[row], sizes[row], insns[row] = shape_vaddr[shape], shape_size[shape], shape_insns[shape]
            ops[row], flags[row] = Op.EXEC, shape_flags[shape]
            row += U(1)
        for site in range(U(first_site[shape]), U(first_site[U(shape) + U(1)])):
            base, bit = last if new else site_vaddr[site], changed[access >> U(6)] >> (access & U(63)) & U(1)
            last = vaddrs.dtype.type(base + steps[change] * vaddrs.dtype.type(bit))
            site_vaddr[site] = vaddrs[row] = last
            sizes[row], insns[row], ops[row], flags[row] = (
                site_size[site], site_insns[site], site_op[site], site_flags[site]
            )  # fmt: skip
            row, access, change = row + U(1), access + U(1), change + bit
