"""One file, one scheme, one spec sheet: what it is, its events, costs, state, kernels, and its parameters."""
