"""The documentation held against what the commands do today; `python -m tests.docpages` writes that into it."""
