"""Schemes whose counts are known before they are built. A file has the shape of one in truth/schemes/.

A scheme that gets its file in strategies/ moves there with `git mv`. code_pages.py is none: it has the cases of
the parameter `code` for the mmap schemes of today, whose CASES and SPECS take them over when their kernels have it.

The micro traces are written in the words of their page (`truth.rows.micro`), and what a case does not name is 0.
"""

from importlib import import_module

NAMES = ["fastmem", "views"]
FILES = {name: import_module(f"{__name__}.{name.replace('-', '_')}") for name in NAMES}
