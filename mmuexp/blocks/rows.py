"""Makes rows of runs again."""

import numpy as np

from mmuexp.blocks.runs import OTHER, Runs
from mmuexp.guest import DTYPES, Columns, Op
from mmuexp.native.jitcache import guarded, kept


def rows_of(runs: Runs) -> Columns:
    """Make the rows that these runs are, in arrays that are nobody else's."""
    columns = Columns(*(np.empty(runs.rows, dtype) for dtype in DTYPES))
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
    row = access = other = 0
    pages[:] = 0
    for shape in run:
        if shape == OTHER:
            vaddrs[row], pages[row], sizes[row] = other_vaddr[other], other_page[other], other_size[other]
            insns[row], ops[row], flags[row] = other_insns[other], other_op[other], other_flags[other]
            row, other = row + 1, other + 1
            continue
        if shape_size[shape]:
            vaddrs[row], sizes[row], insns[row] = shape_vaddr[shape], shape_size[shape], shape_insns[shape]
            ops[row], flags[row] = Op.EXEC, shape_flags[shape]
            row += 1
        first = first_site[shape]
        count = first_site[shape + 1] - first
        for k in range(count):
            vaddrs[row + k], sizes[row + k], insns[row + k] = (
                vaddr[access + k],
                site_size[first + k],
                site_insns[first + k],
            )
            ops[row + k], flags[row + k] = site_op[first + k], site_flags[first + k]
        row, access = row + count, access + count
