"""Machine code that several workers want is compiled by one of them; the others wait for it, and load it.

Where none is kept yet, as in CI, the loop of a scheme takes some seconds, and what surveys a trace as many again. That
of somebody's file is never kept: a test of few rows, for which machine code says nothing, asks for `plain_python`.
"""

import fcntl
import os
from pathlib import Path

import pytest

from kit.places import TESTS

# Of a process that is to compile nothing. As Python, kernels warn where integers wrap round.
PLAIN = {"NUMBA_DISABLE_JIT": "1", "PYTHONWARNINGS": "ignore"}


@pytest.fixture(scope="session", autouse=True)
def compiled_once(request, tmp_path_factory):
    worker = os.environ.get("PYTEST_XDIST_WORKER")
    if worker is None:
        yield
        return
    from mmuexp.native.jitcache import Guarded

    prepare, locks = Guarded._prepare, tmp_path_factory.getbasetemp().parent  # which all workers of a run have

    def prepare_in_turn(self, args):
        function = getattr(self.dispatcher, "py_func", type(self.dispatcher))
        with open(locks / f"{function.__module__}.{function.__qualname__}.lock", "w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            prepare(self, args)

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(Guarded, "_prepare", prepare_in_turn)
        if [Path(arg).name for arg in request.config.args] == [TESTS.name]:
            _share_the_loops(int(worker.removeprefix("gw")))
        yield


@pytest.fixture
def plain_python(monkeypatch):
    """Schemes from files, and the replay loop around them, are not compiled."""
    import numpy as np

    from mmuexp.strategy.bounds import interpreted

    monkeypatch.setattr("mmuexp.replay.compiled.has_passed", lambda _: False)
    wrapping = np.errstate(all="ignore")  # integers are to wrap round, as compiled ones do
    monkeypatch.setattr("mmuexp.replay.compiled.with_bounds", lambda loop, **_: wrapping(interpreted(loop)))


def _share_the_loops(worker: int) -> None:
    """All tests are run: two workers, as many as cores, begin each with other schemes, and compile them all."""
    if worker > 1:
        return
    from truth.schemes import NAMES

    from kit.replays import run
    from kit.traces import random_trace

    for name in (*NAMES[worker::2], *NAMES[1 - worker :: 2]):
        run(random_trace(1, 20, "user"), name, "user")
