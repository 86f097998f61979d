"""Processes of `mmuexp` that need not load it: forks of one that has.

To load what records takes Python five times as long as a recording of some rows does. So one process loads it, and is
forked where a test wants a process: of its own number and session, a child of the test's, with the same `main` to run.
What cannot be had so (a function to call before, a variable that is read while a program loads) is started anew.
"""

import atexit
import ctypes
import functools
import importlib
import json
import os
import pkgutil
import socket
import subprocess
import sys
import threading
from contextlib import suppress
from pathlib import Path

TESTS = Path(__file__).resolve().parents[1]
LATE = {"PATH", "TERM", "COLUMNS", "MMUEXP_STORE"}  # variables that are read when they are needed; with QEMU's own
PR_SET_CHILD_SUBREAPER = 36


class Forked(subprocess.Popen):
    """`mmuexp WORDS` as subprocess.Popen makes it, in a session of its own."""

    def _execute_child(
        self, words, executable, preexec_fn, close_fds, pass_fds, cwd, env, startupinfo, creationflags, shell,
        p2cread, p2cwrite, c2pread, c2pwrite, errread, errwrite, *_,
    ):  # fmt: skip
        told = json.dumps({"words": words, "cwd": str(cwd), "env": env}).encode()
        theirs = [n if fd == -1 else fd for n, fd in enumerate((p2cread, c2pwrite, errwrite))]
        link = _server(_early(env))
        socket.send_fds(link, [told], theirs)
        self.pid, self._child_created = int(link.recv(100)), True
        self._close_pipe_fds(p2cread, p2cwrite, c2pread, c2pwrite, errread, errwrite)


def start(words: list[str], *, cwd, env: dict[str, str], preexec_fn=None, **options) -> subprocess.Popen:
    """Start `mmuexp WORDS` in a session of its own."""
    if preexec_fn is None and all(name in os.environ or name in LOADED or _is_late(name) for name in env):
        return Forked(words, cwd=cwd, env=env, **options)
    command = [sys.executable, "-m", "mmuexp", *words]
    return subprocess.Popen(command, cwd=cwd, env=env, preexec_fn=preexec_fn, start_new_session=True, **options)


LOADED = {"XDG_CACHE_HOME", "NUMBA_CACHE_DIR"}  # variables that another server is started for


def _is_late(name: str) -> bool:
    return name in LATE or name.startswith(("QEMU_", "PYTEST_"))  # the last say which test it is


def _early(env: dict[str, str]) -> tuple[tuple[str, str], ...]:
    return tuple(sorted((name, text) for name, text in env.items() if not _is_late(name)))


@functools.lru_cache(maxsize=4)
def _server(env: tuple[tuple[str, str], ...]) -> socket.socket:
    """Start the process that is forked, for one environment; it ends with us, or when four others are wanted."""
    ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)  # its forks' children are ours, once it lets them go
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    environment = {**dict(env), "PYTHONPATH": str(TESTS), "PATH": os.environ["PATH"], "OPENBLAS_NUM_THREADS": "1"}
    subprocess.Popen(
        [sys.executable, "-m", "kit.forked", str(theirs.fileno())], env=environment, pass_fds=[theirs.fileno()],
        stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, start_new_session=True,
    )  # fmt: skip
    theirs.close()
    return ours


def _load() -> None:
    """Load what a recording takes, machine code too."""
    import numpy as np

    import mmuexp.cli
    from mmuexp.blocks.builder import grouped
    from mmuexp.guest import DTYPES, Columns
    from mmuexp.trace.streams import packed

    for module in pkgutil.iter_modules(mmuexp.cli.__path__):
        importlib.import_module(f"mmuexp.cli.{module.name}")
    for name in ("pyarrow", "mmuexp.record.qemu", "mmuexp.record.system", "mmuexp.trace.reader"):
        importlib.import_module(name)
    for runs in grouped().feed(Columns(*(np.ones(2, dtype) for dtype in DTYPES))):
        packed(runs)
    assert threading.active_count() == 1, "a fork has no other thread than the one that forked"


def _serve(link: socket.socket) -> None:
    """Fork for each request. Returns in the forked process, with the request done but for `main`."""
    while True:
        told, fds, *_ = socket.recv_fds(link, 1 << 20, 3)
        if not told:
            sys.exit(0)
        reads, writes = os.pipe()
        if not (between := os.fork()):
            if number := os.fork():
                os.write(writes, str(number).encode())
                os._exit(0)  # its child is now the test's
            _become(fds, **json.loads(told))
            return
        os.waitpid(between, 0)
        link.send(os.read(reads, 100))
        for fd in (reads, writes, *fds):
            os.close(fd)


def _become(fds: list[int], words: list[str], cwd: str, env: dict[str, str]) -> None:
    os.setsid()
    for number, fd in enumerate(fds):
        os.dup2(fd, number)
    os.closerange(3, 100)
    os.chdir(cwd)
    os.environ.clear()
    os.environ.update(env)
    sys.stdin, sys.stdout = open(0), open(1, "w")  # noqa: SIM115  (for the life of the process)
    sys.stderr = open(2, "w", buffering=1, errors="backslashreplace")  # noqa: SIM115
    sys.argv = ["mmuexp", *words]


if __name__ == "__main__":
    _load()
    _serve(socket.socket(fileno=int(sys.argv[1])))
    from mmuexp.__main__ import main

    try:
        main()
    except SystemExit as ended:
        atexit._run_exitfuncs()
        for stream in (sys.stdout, sys.stderr):
            with suppress(OSError, ValueError):
                stream.flush()
        os._exit(ended.code or 0)  # to take apart all that was loaded takes Python longer than a recording
