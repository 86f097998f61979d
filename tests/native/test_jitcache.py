"""What numba kept on disk may be damaged, or not fit: that costs a compilation, never a run. SIGTERM leaves nothing."""

import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from kit.places import TRACES

from mmuexp.runtime.places import cache_folder

TRACE = str(TRACES / "crossing.arrow")
COMPARE = [sys.executable, "-m", "mmuexp", "compare", TRACE, "-s", "softmmu", "--format", "csv"]


def compare(cache: Path) -> str:
    done = subprocess.run(COMPARE, env=os.environ | {"XDG_CACHE_HOME": str(cache)}, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout


@pytest.mark.long
@pytest.mark.parametrize(("suffix", "damage"), [("nbi", b""), ("nbc", b"\x80\x04 no pickle")], ids=["index", "code"])
def test_a_damaged_cache_is_made_anew(tmp_path_factory, suffix, damage):
    cache = tmp_path_factory.getbasetemp() / "damaged_cache"
    if (kernels := cache_folder() / "kernels").exists():  # which are not damaged here
        shutil.copytree(kernels, cache / "mmuexp" / "kernels", dirs_exist_ok=True)
    whole = compare(cache)
    kept = list(cache.glob(f"mmuexp/loops/*/__pycache__/*.{suffix}"))
    assert kept
    for path in kept:
        path.write_bytes(damage)
    assert compare(cache) == whole
    assert compare(cache) == whole


@pytest.mark.long
def test_no_place_for_a_cache(tmp_path):
    (tmp_path / "file").write_text("")
    assert "softmmu" in compare(tmp_path / "file")


def test_sigterm_leaves_nothing_half_written(tmp_path):
    command = [sys.executable, "-m", "mmuexp", "sweep", "MAP_BLOCK_BITS", "-o", str(tmp_path / "r.csv")]
    running = subprocess.Popen(command, stderr=subprocess.DEVNULL)
    deadline = time.monotonic() + 60
    while not list(tmp_path.iterdir()) and time.monotonic() < deadline:
        time.sleep(0.02)
    running.send_signal(signal.SIGTERM)
    assert running.wait(60) == 128 + signal.SIGTERM
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("line", ["import sys; sys.exit(0)", "raise KeyboardInterrupt"])
def test_a_file_that_ends_the_program_is_a_broken_file(tmp_path, line):
    (tmp_path / "own.py").write_text(line + "\n")
    command = [sys.executable, "-m", "mmuexp", "strategy", "check", str(tmp_path / "own.py")]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 1
    assert "cannot be imported" in done.stderr and len(done.stderr.splitlines()) == 1
