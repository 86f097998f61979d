"""A trace as the blocks that ran: what a block does is told once, and then only where it ran and what changed.

`runs.py` says what runs, shapes and sites are; `builder.py` makes them of rows, `rows.py` makes rows of them again.
"""
