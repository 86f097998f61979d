"""The live engine: schemes run for real, with mmap and SIGSEGV, and held against the model.

`engine/` is the C that all schemes share, strategies/NAME.c what a scheme adds; `build` compiles them, `engine` drives
the process, `check` compares what it counted with what the model counted.
"""
