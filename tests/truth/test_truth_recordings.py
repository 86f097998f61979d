"""Kernels and oracle agree on slices of every recording, and the kernels agree with themselves as plain Python."""

import functools
import os
import subprocess
import sys
from pathlib import Path

import pytest
from kit.places import ROOT, TRACES
from kit.replays import differences
from kit.traces import slice_of

from mmuexp.guest import ADDRESS_BITS, Columns, bits_of
from mmuexp.strategy.registry import parse_spec
from mmuexp.trace import open_trace
from truth import oracle, wide_guests
from truth.schemes import NAMES, TIGHT

FILES = sorted(TRACES.glob("*.arrow"))
BLOCKS_OF_A_GIB = "map-block,map_block_bits=30,pool_blocks=2,evict=lifo,code=check"


@functools.lru_cache(maxsize=1)
def part_of(path: Path, first: int, count: int) -> tuple[Columns, list[tuple[int, ...]], str]:
    """Rows of a recording as kernels and as the oracle take them, and its mode."""
    columns, mode = slice_of(path, first, count)
    names = ("op", "vaddr", "size", "insns", "flags", "page")
    return columns, list(zip(*(getattr(columns, name).tolist() for name in names), strict=True)), mode


def agree(path: Path, first: int, count: int, spec: str) -> None:
    columns, rows, mode = part_of(path, first, count)
    bits = bits_of(columns.vaddr)
    if bits == ADDRESS_BITS or not parse_spec(spec).only_32_bits():
        assert differences(columns, spec, mode, oracle.run(rows, spec, mode, bits), chunk=2_003) == {}


@pytest.mark.parametrize("path", FILES, ids=lambda p: p.stem)
def test_slices_agree(path):
    with open_trace(path) as trace:  # a system trace cut in the middle would lack its MAP rows
        first = trace.rows // 2 if trace.mode == "user" else 0
    for spec in NAMES:
        agree(path, first, 3_000, spec)


@pytest.mark.parametrize("path", FILES, ids=lambda p: p.stem)
def test_tables_that_overflow_agree(path):
    for spec in TIGHT:
        agree(path, 0, 2_000, spec)


@pytest.mark.long
@pytest.mark.parametrize("spec", [*NAMES, *TIGHT])
@pytest.mark.parametrize("path", FILES, ids=lambda p: p.stem)
def test_long_slices_agree(path, spec):
    agree(path, 0, 15_000, spec)


@pytest.mark.long
def test_kernels_as_plain_python():
    env = os.environ | {"NUMBA_DISABLE_JIT": "1"}
    files = ["tests/truth/test_handworked_kernels.py", "tests/truth/test_truth.py"]
    words = [sys.executable, "-m", "pytest", *files, "-k", "not test_long_random_trace"]
    words += ["--deselect", f"{files[1]}::test_guests_of_64_bits[{BLOCKS_OF_A_GIB}]"]  # goes over their pages: a minute
    done = subprocess.run(words, cwd=ROOT, env=env, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout[-2000:]
    assert " passed" in done.stdout and BLOCKS_OF_A_GIB in wide_guests.SPECS
