"""A scheme that is planted, one file in strategies/ and one in truth/schemes/, is tried like the others."""

import os
import re
import shutil
import subprocess
import sys
from collections import defaultdict

import pytest
from kit.places import ROOT

from mmuexp.strategy.registry import all_strategies
from truth.schemes import NAMES


@pytest.fixture(scope="module")
def planted(tmp_path_factory):
    """A copy of the sources in which byte-lookup stands twice, the second time as `planted`."""
    copy = tmp_path_factory.mktemp("planted")
    skip = shutil.ignore_patterns("__pycache__")
    for source, target in (("mmuexp", "mmuexp"), ("strategies", "mmuexp/strategies"), ("tests", "tests")):
        shutil.copytree(ROOT / source, copy / target, ignore=skip)
    (copy / "strategies").symlink_to("mmuexp/strategies")
    for path in ROOT.iterdir():
        if not path.name.startswith(".") and not (copy / path.name).exists():
            (copy / path.name).symlink_to(path)
    for name in ("strategies/byte_lookup.py", "strategies/byte_lookup.c", "tests/truth/schemes/byte_lookup.py"):
        text = (copy / name).read_text()
        (copy / name.replace("byte_lookup", "planted")).write_text(text.replace("byte-lookup", "planted"))
    return copy


def pytest_of(copy, *words: str) -> str:
    command = [sys.executable, "-m", "pytest", "-o", "addopts=", "-p", "no:cacheprovider", *words]
    env = os.environ | {"NUMBA_DISABLE_JIT": "1"}  # what is tried here is short; to compile it would not be
    done = subprocess.run(command, cwd=copy, env=env, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout[-3000:]
    return done.stdout


def test_its_cases_are_run_by_the_oracle_and_the_kernels(planted):
    files = ["tests/truth/test_handworked_oracle.py", "tests/truth/test_handworked_kernels.py"]
    said = pytest_of(planted, "-v", "-k", "planted", *files)
    assert "test_counts[planted: two windows, round robin] PASSED" in said
    assert "test_case[filtered-planted: two windows, round robin] PASSED" in said
    assert "test_every_column_has_a_case_that_counts_something[planted] PASSED" in said


@pytest.mark.long
def test_whatever_tries_every_scheme_tries_it(planted):
    """Whoever takes all of today's schemes as a parameter takes this one, too."""
    tried = defaultdict(set)
    for line in pytest_of(planted, "--collect-only", "-q").splitlines():
        test, bracket, words = line.partition("[")
        if bracket:
            tried[test] |= {name for name in (*NAMES, "planted") if re.search(rf"(^|-){name}(-|\]|$)", words)}
    every = {test for test, names in tried.items() if names >= {*NAMES}}
    assert len(every) > 15
    assert {test for test in every if "planted" not in tried[test]} == set()


def test_every_scheme_has_its_file_here():
    assert {*NAMES} == {name for name, cls in all_strategies().items() if cls.__module__.startswith("mmuexp.")}
