"""Threads beside the main one, which ^C does not wait for."""

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from mmuexp.runtime import interrupt


class Threads(ThreadPoolExecutor):
    """As a context manager it waits for its threads, unless the work was interrupted: they may be compiling."""

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        interrupted = interrupt.asked() or (kind is not None and issubclass(kind, KeyboardInterrupt))
        self.shutdown(wait=not interrupted, cancel_futures=True)


def apart(function: Callable, *args: Any) -> Any:
    """Call it where no interrupt is raised, and wait for it.

    An exception that comes out of the middle of numba or LLVM leaves locks held and callbacks half done.
    """
    if threading.current_thread() is not threading.main_thread():
        return function(*args)
    with Threads(1, thread_name_prefix="compile") as aside:
        return aside.submit(function, *args).result()
