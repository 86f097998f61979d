"""Makes rows of runs again."""

import numpy as np

from mmuexp.blocks.runs import OTHER, Runs
from mmuexp.guest import Columns, Op, bits_of, dtypes_of
from mmuexp.native.jitcache import guarded, kept

U = np.uint64  # what arrays are indexed by: for a signed index numba looks at each whether it is below 0


def rows_of(runs: Runs) -> Columns:
    """Make the rows that these runs are, in arrays that are nobody else's."""
    columns = Columns(*(np.empty(runs.rows, dtype) for dtype in dtypes_of(bits_of(runs.vaddr))))
    _fill(runs.run, runs.vaddr, *runs.others, *runs.shapes, *runs.sites, *columns)
    return columns


@guarded()
@kept
def _fill(
    run: np.ndarray, vaddr: np.ndarray, other_vaddr: np.ndarray, other_page: np.ndarray, other_size: np.ndarray,
    other_insns: np.ndarray, other_op: np.ndarray, other_flags: np.ndarray, shape_vaddr: np.ndarray,
    shape_size: np.ndarray, shape_insns: np.ndarray, shape_flags: np.ndarray, first_site: np.ndarray,
    site_size: np.ndarray, site_insns: np.ndarray, site_op: np.ndarray, site_flags: np.ndarray, vaddrs: np.ndarray,
    pages: np.ndarray, sizes: np.ndarray, insns: np.ndarray, ops: np.ndarray, flags: np.ndarray,
) -> None:  # fmt: skip
    row = access = other = U(0)
    pages[:] = 0
    for shape in run:
        if shape == OTHER:
            vaddrs[row], pages[row], sizes[row] = other_vaddr[other], other_page[other], other_size[other]
            insns[row], ops[row], flags[row] = other_insns[other], other_op[other], other_flags[other]
            row, other = row + U(1), other + U(1)
            continue
        if shape_size[shape]:
            vaddrs[row], sizes[row], insns[row] = shape_vaddr[shape], shape_size[shape], shape_insns[shape]
            ops[row], flags[row] = Op.EXEC, shape_flags[shape]
            row += U(1)
        for site in range(U(first_site[shape]), U(first_site[U(shape) + U(1)])):
            vaddrs[row], sizes[row], insns[row] = vaddr[access], site_size[site], site_insns[site]
            ops[row], flags[row] = site_op[site], site_flags[site]
            row, access = row + U(1), access + U(1)
