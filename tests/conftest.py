"""Fixtures that several files use."""

import gc
import os
import signal

import pytest
from kit.cli import bundled, cli, folder, trace
from kit.compiling import compiled_once, plain_python

__all__ = ["bundled", "cli", "compiled_once", "folder", "plain_python", "trace"]

gc.disable()  # until all is loaded, of which nothing goes away


# What takes minutes begins first: at the end all workers are to have something to do.
LONGEST = ("rerun/test_results.py", "live/test_live_verify.py", "house/test_install.py", "live/test_live_error.py")
LONGEST += ("truth/test_truth_recordings.py",)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    items.sort(key=lambda item: not str(item.path).endswith(LONGEST))


def pytest_collection_finish() -> None:
    """What is loaded is no garbage: it need not be looked through again and again."""
    gc.freeze()
    gc.enable()


# Whoever runs the tests may have a terminal of any width, and COLUMNS tells it to every program that they start.
os.environ.pop("COLUMNS", None)

# What the assertions of tests are rewritten to is kept: half of the time that each worker takes to load all tests.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)

# A test that replays must not be answered by what somebody counted before; those of the store name one of their own.
os.environ["MMUEXP_STORE"] = ""

# A shell's background job ignores ^C, and so would every program that the tests start and interrupt.
if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)
