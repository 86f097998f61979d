"""The live engine: schemes run for real, with mmap and SIGSEGV.

`engine/` is the C that all schemes share, strategies/NAME.c what a scheme adds. `build` compiles them, `process` drives
one of them over rows, `measure` times what translation takes on a trace, and `calibrate` what each primitive takes.
"""
