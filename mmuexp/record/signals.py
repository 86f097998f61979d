"""Takes the signals that reach the recorder while QEMU runs: it outlives them, to finish the file."""

import contextlib
import os
import signal
import threading
from collections.abc import Callable
from typing import Any

ENDING = (signal.SIGTERM, signal.SIGHUP)  # after one of these QEMU's time is short


class Signals:
    """Takes ^C, TERM and HUP, from `take` to `give_back`. `first` is the one that came first, and `waker` a
    descriptor that can be read when one came: it ends a wait."""

    def __init__(self) -> None:
        self.first: int | None = None
        self.waker = os.eventfd(0, os.EFD_CLOEXEC | os.EFD_NONBLOCK)
        self._handlers: dict[int, Any] = {}

    def take(self, pass_on: Callable[[int], None]) -> None:
        """From here on `pass_on` is given what QEMU does not get by itself: ^C reaches it too, through the terminal."""
        if threading.current_thread() is not threading.main_thread():
            return  # Python gives signals to the main thread alone
        terminal = _has_terminal()

        def came(number: int, _frame: object) -> None:
            self.first = self.first or number
            if not (number == signal.SIGINT and terminal):
                pass_on(number)
            os.eventfd_write(self.waker, 1)

        for number in (signal.SIGINT, *ENDING):
            if signal.getsignal(number) != signal.SIG_IGN:
                self._handlers[number] = signal.signal(number, came)

    def clear(self) -> None:
        """Make `waker` wait for the next one."""
        with contextlib.suppress(BlockingIOError):
            os.eventfd_read(self.waker)

    def give_back(self) -> None:
        for number, handler in self._handlers.items():
            signal.signal(number, handler)
        os.close(self.waker)


def _has_terminal() -> bool:
    """Has this process a terminal, whose keys send signals to all that runs there?"""
    try:
        os.close(os.open("/dev/tty", os.O_RDONLY | os.O_NOCTTY | os.O_CLOEXEC))
    except OSError:
        return False
    return True
