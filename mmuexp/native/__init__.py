"""Machine code made at first use: numba's kernels and C that mmuexp brings along, kept in the user's cache folder."""
