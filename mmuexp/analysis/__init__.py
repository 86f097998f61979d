"""The questions that one asks of traces: compare, sweep, misses, faults, verify. Each answers with a table."""
