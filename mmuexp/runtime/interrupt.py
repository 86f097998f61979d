"""^C, SIGTERM and SIGHUP: the command unwinds once, and has ended two seconds later whatever it was doing.

The first signal raises KeyboardInterrupt in the main thread, so that what was finished is saved and the rest is taken
away. The same signal wakes a thread. Where the main thread cannot be reached (it is inside a compiler, in a kernel
without end, or writes to a pipe that nobody reads), this thread removes temporary files and child processes, and ends
the process.
"""

import _thread
import atexit
import os
import select
import shutil
import signal
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, NoReturn

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
PATIENCE_SECONDS = 1.5  # to unwind; the promise is two seconds

temporaries: set[str] = set()  # files and folders that do not outlive the process


class _State:
    asked = 0  # the first signal that asked us to end
    raised = False  # KeyboardInterrupt, for it
    lost = False  # it came to nothing
    held = 0  # blocks of `whole` that the main thread is in
    over = False  # all output is written; only Python's own end is left


def asked() -> int:
    """The signal that asked the command to end; 0 if none has."""
    return _State.asked


def install() -> None:
    """Take the signals that end a program, except those that the caller has us ignore (`nohup`, a background job)."""
    ours = (signal.SIG_DFL, signal.default_int_handler)
    taken = [number for number in SIGNALS if signal.getsignal(number) in ours]
    reads, writes = os.pipe()
    os.set_blocking(writes, False)
    signal.set_wakeup_fd(writes, warn_on_full_buffer=False)
    with suppress(RuntimeError):  # no more threads are allowed: the signals unwind all the same
        threading.Thread(target=_watch, args=(reads,), name="interrupt", daemon=True).start()
    hook = sys.unraisablehook
    sys.unraisablehook = lambda lost: _ignored(lost, hook)
    atexit.register(_ignore)  # registered first, it runs last
    for number in taken:
        signal.signal(number, _ask)


def _ask(number: int, _frame: Any) -> None:
    _State.asked = _State.asked or number
    if _State.over:
        end(number)
    if not _State.held:
        _raise()


def _raise() -> None:
    """Once: a second signal must not stop the cleaning up after the first."""
    if not _State.raised:
        _State.raised = True
        raise KeyboardInterrupt


def _ignored(lost: Any, hook: Any) -> None:
    """Python prints and forgets what is raised in a destructor or a callback: an interrupt is raised again."""
    if not _State.asked:
        hook(lost)
    elif issubclass(lost.exc_type, KeyboardInterrupt):
        _State.lost = True  # raised here, it would be lost in this function


def _watch(reads: int) -> None:
    while True:
        number = os.read(reads, 1)[0]
        if number in SIGNALS and signal.getsignal(number) is _ask:  # the recorder answers signals itself
            break
    ends = time.monotonic() + PATIENCE_SECONDS
    while time.monotonic() < ends:
        time.sleep(0.02)
        if _State.lost:
            _State.lost = _State.raised = False
            _thread.interrupt_main(signal.Signals(_State.asked))
    end(number, "interrupted")


@contextmanager
def whole() -> Iterator[None]:
    """What is inside is done as a whole: an interrupt waits for its end. For some milliseconds, not for work."""
    if threading.current_thread() is not threading.main_thread():
        yield  # signals interrupt the main thread alone
        return
    _State.held += 1
    try:
        yield
    finally:
        _State.held -= 1
    if _State.asked and not _State.held:
        _raise()


def raise_if_asked() -> None:
    """For code that caught everything that somebody else's code may raise: an interrupt is none of it."""
    if _State.asked:
        raise KeyboardInterrupt


def over() -> None:
    """All output is written: from here on a signal ends the process where it stands."""
    _State.over = True


def _ignore() -> None:
    for number in SIGNALS:  # Python ends now: it would let the signal kill it
        signal.signal(number, signal.SIG_IGN)


def end(number: int, line: str = "") -> NoReturn:
    """End this process, and all that it started, as one that signal `number` interrupted."""
    for pid in _descendants():
        with suppress(OSError):
            os.kill(pid, signal.SIGKILL)
    for path in list(temporaries):
        with suppress(OSError):
            shutil.rmtree(path) if os.path.isdir(path) and not os.path.islink(path) else os.unlink(path)
    if line and select.select([], [2], [], 0)[1]:
        with suppress(OSError):
            os.write(2, f"mmuexp: {line}\n".encode())
    os._exit(128 + number)


def _descendants() -> list[int]:
    children: dict[int, list[int]] = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError, ValueError, IndexError):
            parent = int(stat.read_bytes().rpartition(b")")[2].split()[1])
            children.setdefault(parent, []).append(int(stat.parent.name))
    found = [os.getpid()]
    for pid in found:
        found += children.get(pid, [])
    return found[1:]
