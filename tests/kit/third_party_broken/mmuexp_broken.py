"""Somebody's strategy whose module fails at import; tests/cli/test_bad_input_cli.py puts this folder on the path."""

raise RuntimeError("this module\nis broken")
