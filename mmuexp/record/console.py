"""Passes on unchanged what QEMU prints, and finds the texts in it that begin and end a recording.

The guest runs on while its output is on the way here: from a few rows to a million, on a busy machine, lie between the
instruction that printed the last character and the row at which the recording begins or ends. The trace's window says
which row that was.
"""

import contextlib
import os
import threading

from mmuexp.errors import UsageError
from mmuexp.record.ring import Ring

PIECE_BYTES = 1 << 16


def wanted(text: str | None, option: str) -> bytes | None:
    """Encode the text to look for. Raises UsageError if it is empty."""
    if text is None:
        return None
    if not text:
        raise UsageError("is empty: every output holds it", where=option, todo="give a text that the guest prints")
    return os.fsencode(text)


class Console:
    """Reads QEMU's standard output in a thread. After `start` was printed the plugin is told to make rows; `stopped_at`
    is how many there were when `stop` had been printed after that."""

    def __init__(self, ring: Ring, start: bytes | None, stop: bytes | None, waker: int):
        self.ring, self.start, self.stop, self.waker = ring, start, stop, waker
        self.stopped_at: int | None = None
        self._reads, self.theirs = os.pipe2(os.O_CLOEXEC)
        self._held = b""  # the end of what was read, in which a text may begin
        self._thread = threading.Thread(target=self._read, name="console", daemon=True)

    def begin(self) -> None:
        """Begin to pass on what comes: QEMU has its end of the pipe."""
        os.close(self.theirs)
        self._thread.start()

    def _read(self) -> None:
        passes_on = True
        with contextlib.suppress(OSError):
            while data := os.read(self._reads, PIECE_BYTES):
                self._look(data)
                while passes_on and data:
                    try:
                        data = data[os.write(1, data) :]
                    except OSError:  # nobody reads it any more; the guest is not to wait for that
                        passes_on = False

    def _look(self, data: bytes) -> None:
        self._held += data
        if self.start and self._found(self.start):
            self.start = None
            self.ring.begin()
        if not self.start and self.stop and self._found(self.stop):
            self.stopped_at, self.stop = self.ring.rows, None
            os.eventfd_write(self.waker, 1)
        longest = max(len(self.start or b""), len(self.stop or b""))
        self._held = self._held[-(longest - 1) :] if longest > 1 else b""

    def _found(self, text: bytes) -> bool:
        _, found, after = self._held.partition(text)
        if found:
            self._held = after
        return bool(found)

    def end(self) -> None:
        """Pass on what QEMU printed last."""
        if self._thread.ident is not None:
            self._thread.join(1)
        os.close(self._reads)
