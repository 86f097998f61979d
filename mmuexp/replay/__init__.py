"""Rows in, exact counts out: the survey of a trace, and the one loop that drives kernels over it. Knows no files."""
