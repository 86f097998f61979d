"""The peers that install from PyPI, in a virtual environment of their own, and the access stream in their formats."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np

from mmuexp.trace import open_trace

from .worker import Worker

PACKAGES = ("pycachesim", "libcachesim")
INSTALLED = "installed"  # a file in an environment that is whole
CASES = {  # the fastest settings of each, and the fairest: 256 x 1 x 4 KiB is direct-mapped, as softmmu's TLB
    "pycachesim 256 x 1": {"case": "pycachesim", "ways": 1, "policy": "LRU"},
    "libcachesim FIFO, 256": {"case": "libcachesim", "policy": "FIFO"},
    "libcachesim LRU, 256": {"case": "libcachesim", "policy": "LRU"},
}


def cache_folder() -> Path:
    """Where the bench keeps the peers and the traces that it makes."""
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base) / "mmuexp-bench"


def environment(folder: Path, *packages: str) -> Path:
    """The interpreter of a virtual environment in which these are installed, made at the first run."""
    python = folder / "bin" / "python"
    if not (folder / INSTALLED).exists():
        print(f"installing {' '.join(packages)} into {folder} (once)", file=sys.stderr)
        subprocess.run([sys.executable, "-m", "venv", "--clear", folder], check=True)
        quiet = ["-q", "--disable-pip-version-check"]
        subprocess.run([python, "-m", "pip", "install", *quiet, *packages], check=True, stderr=subprocess.DEVNULL)
        (folder / INSTALLED).touch()
    return python


def install() -> Path:
    """The interpreter of the peers' environment."""
    return environment(cache_folder() / "peers", *PACKAGES)


def versions(python: Path) -> dict[str, str]:
    script = "import importlib.metadata as m, json, sys; print(json.dumps({p: m.version(p) for p in sys.argv[1:]}))"
    done = subprocess.run([python, "-c", script, *PACKAGES], capture_output=True, text=True, check=True)
    return json.loads(done.stdout)


def write_stream(trace: str, folder: Path) -> tuple[Path, Path]:
    """The loads and stores of a trace: addresses for pycachesim, oracleGeneral requests by page for libcachesim."""
    addresses, requests = folder / "addresses.u32", folder / "requests.oracleGeneral"
    record = np.dtype([("time", "<u4"), ("id", "<u8"), ("size", "<u4"), ("next", "<i8")])
    with open_trace(trace) as opened, addresses.open("wb") as first, requests.open("wb") as second:
        for columns in opened.batches():
            vaddrs = columns.vaddr[columns.op < 2]
            vaddrs.tofile(first)
            rows = np.zeros(len(vaddrs), record)
            rows["id"], rows["size"], rows["next"] = vaddrs >> 12, 1, -2
            rows.tofile(second)
    return addresses, requests


def worker(python: Path, trace: str, folder: Path) -> Worker:
    script = Path(__file__).with_name("peer.py")
    return Worker([str(python), str(script), *map(str, write_stream(trace, folder))], cores=1)
