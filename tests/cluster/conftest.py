"""A Dask scheduler with workers as users start them: processes of their own, on this machine."""

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest
from kit.traces import ROWS, load, program_rows, write_trace
from store.conftest import store

from mmuexp.trace import TraceWriter

__all__ = ["store"]


class Cluster:
    """`address` is the scheduler's. `start` adds a worker, and gives its process."""

    def __init__(self, folder: Path):
        self.folder, self.processes = folder, []
        file = folder / "scheduler.json"
        self.process("scheduler", "--port", "0", "--host", "127.0.0.1", "--scheduler-file", file)
        self.address = json.loads(_appears(file))["address"]

    def process(self, *words, **environment: str) -> subprocess.Popen:
        command = [sys.executable, "-m", "distributed.cli.dask_" + words[0], *map(str, words[1:]), "--no-dashboard"]
        log = (self.folder / "log").open("ab")
        own = {"XDG_CACHE_HOME": os.environ.get("XDG_CACHE_HOME", ""), "MMUEXP_STORE": str(self.folder / "no")}
        env = {name: value for name, value in (os.environ | own | environment).items() if value}
        self.processes.append(subprocess.Popen(command, stdout=log, stderr=log, env=env, cwd=self.folder))
        return self.processes[-1]

    def start(self, *words, **environment: str) -> subprocess.Popen:
        return self.process("worker", self.address, "--nthreads", "1", *(words or ["--no-nanny"]), **environment)

    def log(self) -> str:
        return (self.folder / "log").read_text(errors="replace")

    def end(self) -> None:
        for process in reversed(self.processes):
            process.kill()
            process.wait()


def _appears(file: Path) -> str:
    until = time.monotonic() + 60
    while time.monotonic() < until:
        if file.exists() and (text := file.read_text()).rstrip().endswith("}"):
            return text
        time.sleep(0.05)
    raise AssertionError(f"{file} does not appear")


@pytest.fixture
def cluster(tmp_path):
    """A scheduler without workers."""
    (tmp_path / "cluster").mkdir()
    one = Cluster(tmp_path / "cluster")
    yield one
    one.end()


@pytest.fixture(scope="module")
def workers(tmp_path_factory):
    """A scheduler with two workers, for tests that do not kill them; kernels are plain Python there."""
    one = Cluster(tmp_path_factory.mktemp("cluster"))
    for _ in range(2):
        one.start(NUMBA_DISABLE_JIT="1")
    yield one
    one.end()


@pytest.fixture
def corpus(tmp_path, monkeypatch) -> Path:
    """Three recordings that differ, and one that has a bad row behind a good one."""
    monkeypatch.chdir(tmp_path)
    folder = tmp_path / "corpus"
    folder.mkdir()
    for number, name in enumerate("abc", start=1):
        write_trace(folder / f"{name}.arrow", (*ROWS, *(load(0x5000 * page) for page in range(1, 9 * number))))
    write_trace(folder / "late.arrow", (load(0x1000), load(0x1000, size=65)))
    return folder


@pytest.fixture(scope="session")
def long_trace(tmp_path_factory) -> str:
    """Rows for some seconds under several schemes."""
    path = str(tmp_path_factory.mktemp("long") / "long.arrow")
    with TraceWriter(path, mode="user", metadata={"guest": "i386"}) as writer:
        for seed in range(8):
            writer.append(program_rows(1 << 20, seed))
        writer.close()
    return path
