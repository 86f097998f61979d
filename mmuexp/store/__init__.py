"""Keeps exact counts between runs, so that the same rows are not replayed twice under the same scheme."""
