"""Connects to a cluster: a Dask scheduler that the user runs, or workers on this machine that end with this process."""

import logging
import re
import signal
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing import resource_tracker
from typing import Any

from mmuexp.errors import MmuexpError, UsageError, one_line, option
from mmuexp.runtime.threads import Threads

EXTRA = "pip install 'mmuexp[cluster]'"
LOCAL = re.compile(r"local:([1-9][0-9]{0,3})")
SCHEDULER = re.compile(r"(tcp|tls|ucx|ws|wss)://\S+")  # what Dask's own client takes
ANSWER_SECONDS = 10  # that a scheduler has for its first answer
CLOSE_SECONDS = 1  # within the two that ^C may take


def given_cluster(address: Any) -> str | None:
    """Check the address of a cluster. Raises UsageError."""
    if address is None:
        return None
    text = str(address).strip()
    if not (LOCAL.fullmatch(text) or SCHEDULER.fullmatch(text)):
        todo = "give tcp://HOST:PORT, where a Dask scheduler listens, or local:N for N workers on this machine"
        raise UsageError(f"{text!r} is not an address of a cluster", where=option("cluster"), todo=todo)
    return text


@contextmanager
def connected(address: str) -> Iterator[Any]:
    """Give Dask's client of a cluster. Raises MmuexpError where Dask is not installed, or no scheduler answers."""
    try:
        import distributed
    except ImportError:
        what = "needs Dask's package distributed, which is not installed"
        raise MmuexpError(what, where=option("cluster"), todo=EXTRA) from None
    local = LOCAL.fullmatch(address)
    with _quiet():
        cluster = _workers_here(distributed, int(local[1])) if local else None
        try:
            client = _client(distributed, address, cluster)
            try:
                yield client
            finally:
                client.close(timeout=CLOSE_SECONDS)
        finally:
            if cluster is not None:
                _close(cluster)


@contextmanager
def _quiet() -> Iterator[None]:
    """Have Dask say nothing of workers that come and go, nor of versions that differ: we say it, in a line."""
    loggers = [logging.getLogger(name) for name in ("distributed", "asyncio")]
    before = [logger.level for logger in loggers]
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", module="distributed")
        for logger in loggers:
            logger.setLevel(logging.CRITICAL)
        try:
            yield
        finally:
            for logger, level in zip(loggers, before, strict=True):
                logger.setLevel(level)


def _client(distributed: Any, address: str, cluster: Any) -> Any:
    try:
        return distributed.Client(cluster or address, timeout=ANSWER_SECONDS, set_as_default=False)
    except (OSError, ValueError, RuntimeError) as error:  # a TimeoutError is an OSError
        what = f"no Dask scheduler answers there: {one_line(str(error)) or type(error).__name__}"
        raise MmuexpError(what, where=address, todo="start one with `dask scheduler`, or say local:N") from None


def _workers_here(distributed: Any, workers: int) -> Any:
    """Start processes that work for us. They end with this process, however that ends."""

    def start() -> Any:
        # threads and processes inherit it: a ^C of the terminal is for this process, which ends them
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT, signal.SIGHUP})
        return distributed.LocalCluster(
            n_workers=workers,
            threads_per_worker=1,
            processes=True,
            host="127.0.0.1",
            dashboard_address="127.0.0.1:0",
            silence_logs=logging.CRITICAL,
        )

    resource_tracker.ensure_running()  # else the first child starts it, and lets ^C through again
    try:
        with Threads(1, thread_name_prefix="cluster") as aside:
            starting = aside.submit(start)
            try:
                return starting.result()
            except KeyboardInterrupt:
                starting.add_done_callback(_close_started)
                raise
    except (OSError, RuntimeError) as error:
        what = f"{workers:,} workers cannot be started: {one_line(str(error)) or type(error).__name__}"
        raise MmuexpError(what, where=f"local:{workers}", todo="give fewer") from None


def _close_started(starting: Any) -> None:
    if not starting.exception():
        _close(starting.result())


def _close(cluster: Any) -> None:
    """End the workers: asked first, then killed."""
    children = [nanny.process.process for nanny in cluster.workers.values() if getattr(nanny, "process", None)]
    try:
        cluster.close(timeout=CLOSE_SECONDS)
    except (TimeoutError, OSError):
        for child in children:
            if child._process is not None:  # else it ended while it was waited for
                child._process.kill()
