"""Kernels and oracle agree on slices of every recording, and the kernels agree with themselves as plain Python."""

import os
import subprocess
import sys

import pytest
from kit.places import ROOT, TRACES
from kit.replays import differences
from kit.traces import slice_of

from mmuexp.guest import Columns
from mmuexp.trace import open_trace
from truth import oracle
from truth.schemes import NAMES, TIGHT

FILES = sorted(path for path in TRACES.glob("*.arrow") if "64" not in path.stem)  # the oracle's guests have 32 bits


def agree(columns: Columns, mode: str, spec: str) -> None:
    names = ("op", "vaddr", "size", "insns", "flags", "page")
    rows = list(zip(*(getattr(columns, name).tolist() for name in names), strict=True))
    assert differences(columns, spec, mode, oracle.run(rows, spec, mode), chunk=2_003) == {}


@pytest.mark.parametrize("count", [5_000, pytest.param(15_000, marks=pytest.mark.long)])
@pytest.mark.parametrize("path", FILES, ids=lambda p: p.stem)
def test_slices_agree(path, count):
    with open_trace(path) as trace:
        total, mode = trace.rows, trace.mode
    if mode == "user":  # a system trace cut in the middle would lack its MAP rows; `trace slice` writes them
        middle, _ = slice_of(path, total // 2, count)
        for spec in NAMES:
            agree(middle, mode, spec)
    begin, _ = slice_of(path, 0, count)
    for spec in TIGHT:
        agree(begin, mode, spec)


@pytest.mark.long
@pytest.mark.parametrize("path", FILES, ids=lambda p: p.stem)
@pytest.mark.parametrize("spec", [*NAMES, *TIGHT])
def test_long_slices_agree(path, spec):
    columns, mode = slice_of(path, 0, 30_000)
    agree(columns, mode, spec)


@pytest.mark.long
def test_kernels_as_plain_python():
    env = os.environ | {"NUMBA_DISABLE_JIT": "1"}
    files = ["tests/truth/test_handworked_kernels.py", "tests/truth/test_truth.py"]
    words = [sys.executable, "-m", "pytest", *files, "-k", "not test_long_random_trace"]
    done = subprocess.run(words, cwd=ROOT, env=env, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout[-2000:]
    assert " passed" in done.stdout
