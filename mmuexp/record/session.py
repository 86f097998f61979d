"""One run of QEMU with our plugin in it, whatever it runs: rows come through the ring and go into the file.

The encoder is this process, beside QEMU (its child). It sleeps until the plugin says that a chunk is full or QEMU
ends; whatever ends QEMU, the rows written so far are in the shared memory and go into the file.
"""

import contextlib
import os
import select
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Sequence
from typing import NamedTuple

from mmuexp.errors import MmuexpError
from mmuexp.record.ring import TOKEN_FREE, TOKEN_STOP, Ended, Mode, Ring
from mmuexp.trace import TraceWriter

# what `mmuexp.complete` says, and the line on stderr, when rows end before the program does
CUT = {
    Ended.THREADS: "the program has more threads at a time than are numbered (65,536)",
    Ended.SOCKET: "the program closed the recorder's socket",
    Ended.VCPUS: "the guest has more than one processor: their accesses have no one order",
    Ended.QEMU: "this QEMU tells addresses in a way that is not known here (known: QEMU 5.2 to 8.0, and from 9.1 on)",
    Ended.RAM: "the guest's RAM is not shared memory (memory-backend-file or -memfd with share=on)",
    Ended.PAGES: "the guest touched more physical pages than are numbered (2**20, 196,608 of them outside its RAM)",
}
EXEC = "the program executed another program"
NO_ROOM = "free some space or name another disk"
PATIENCE_SECONDS = 5.0  # for QEMU to end after it was told to


class Recording(NamedTuple):
    """What was recorded. `exit_code` is the program's or QEMU's own, 128 + n when signal n ended it."""

    path: str
    rows: int
    size_bytes: int
    seconds: float  # from QEMU's start to the last row's way into the file
    complete: str
    window: tuple[int, int]  # (first, count) in rows of the whole run
    exit_code: int
    failure: MmuexpError | None = None  # the file could not take all rows (a full disk); it holds those before


class Session:
    """Its process, the ring, the socket, and how far the file is. `limit` and `skip` count rows, `seconds` is a time
    limit. A user-mode program runs on when the recording ends, a whole guest ends with it."""

    def __init__(
        self,
        writer: TraceWriter,
        mode: Mode,
        *,
        skip: int = 0,
        limit: int | None = None,
        seconds: float | None = None,
        note: Callable[[str], None],
    ):
        self.writer, self.skip, self.limit, self.time_limit, self.note = writer, skip, limit, seconds, note
        self.noun = "guest" if mode == Mode.SYSTEM else "program"
        self.ring = Ring(mode)
        self.socket, self.theirs = socket.socketpair()
        self.process: subprocess.Popen | None = None
        self.failure: MmuexpError | None = None
        self.complete: str | None = None  # known once the file is closed
        self.seconds = 0.0
        self.handlers: dict[int, object] = {}
        self.signal: int | None = None  # that asked us to end
        self.told_to_end: float | None = None  # when QEMU was

    @property
    def outlives(self) -> str:
        return "the guest ends with it" if self.ring.mode == Mode.SYSTEM else "the program runs on"

    def plugin_option(self, plugin) -> str:
        """The value of QEMU's -plugin."""
        option = f"{str(plugin).replace(',', ',,')},ring={self.ring.fd},socket={self.theirs.fileno()},skip={self.skip}"
        return option if self.limit is None else f"{option},limit={self.limit}"

    def start(self, command: Sequence[str]) -> None:
        self.qemu = os.path.basename(command[0])
        self._take_signals()
        self.began = time.monotonic()
        self.process = subprocess.Popen(command, pass_fds=[self.ring.fd, self.theirs.fileno()])
        self.theirs.close()

    def _take_signals(self) -> None:
        """^C reaches QEMU too, through the terminal: the recorder outlives it. TERM and HUP are passed on."""

        if threading.current_thread() is not threading.main_thread():
            return  # Python gives signals to the main thread alone

        def pass_on(number, _frame):
            self.signal = self.signal or number
            if self.process and number != signal.SIGINT:
                self.process.send_signal(number)

        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            if signal.getsignal(number) != signal.SIG_IGN:
                self.handlers[number] = signal.signal(number, pass_on)

    def watch(self) -> Recording:
        """Write chunks as they fill, until the program has ended."""
        pidfd = os.pidfd_open(self.process.pid)
        try:
            poll = select.poll()
            poll.register(self.socket, select.POLLIN)
            poll.register(pidfd, select.POLLIN)
            while True:
                ready = [fd for fd, _ in poll.poll(self._milliseconds_left())]
                if self.socket.fileno() in ready and not self._read_tokens():
                    poll.unregister(self.socket)
                    if pidfd not in ready and self.ring.in_exec:
                        self._finish(EXEC)
                self._write_full_chunks()
                if self.ring.ended in (Ended.LIMIT, *CUT):
                    self._refuse_an_empty_one()
                    self._finish(CUT.get(self.ring.ended, "yes"))
                if pidfd in ready:
                    break
                self._end_what_has_no_end()
        finally:
            os.close(pidfd)
        code = self.process.wait()
        self._refuse_what_did_not_start(code)
        self._finish(self._why(code), quiet=True)
        if self.told_to_end is not None or (self.ring.mode == Mode.SYSTEM and self.ring.ended == Ended.LIMIT):
            code = 0  # we ended it, or were about to when it ended by itself
        elif self.ring.mode == Mode.SYSTEM and self.signal:  # QEMU says 0 then
            code = -self.signal
        return Recording(
            path=self.writer.path,
            rows=self.writer.rows,
            size_bytes=os.path.getsize(self.writer.path) if os.path.exists(self.writer.path) else 0,
            seconds=self.seconds,
            complete=self.complete,
            window=(self.ring.skipped, max(0, self.writer.rows - self.ring.prefix)),
            exit_code=code if code >= 0 else 128 - code,
            failure=self.failure,
        )

    def _milliseconds_left(self) -> int | None:
        """Until something must be done though nothing happens."""
        ends = []
        if self.time_limit is not None and self.complete is None:
            ends.append(self.began + self.time_limit)
        if self.told_to_end is not None:
            ends.append(self.told_to_end + PATIENCE_SECONDS)
        return max(0, int((min(ends) - time.monotonic()) * 1000) + 1) if ends else None

    def _end_what_has_no_end(self) -> None:
        """The time limit; and a guest does not outlive its recording."""
        now = time.monotonic()
        if self.time_limit is not None and self.complete is None and now >= self.began + self.time_limit:
            self._send(TOKEN_STOP)
            self._end_guest()
            self._finish(f"the time limit of {self.time_limit:g} s", ends=True)
        if self.ring.mode == Mode.SYSTEM and (self.complete is not None or self.failure):
            self._end_guest()
        if self.told_to_end is not None and now >= self.told_to_end + PATIENCE_SECONDS:
            self.process.kill()

    def _end_guest(self) -> None:
        if self.told_to_end is None:
            self.told_to_end = time.monotonic()
            self.process.terminate()

    def _refuse_what_did_not_start(self, code: int) -> None:
        """QEMU said no, or died while it loaded the program: no file. What we or the user ended is kept."""
        if self.ring.ended != Ended.NOT or self.ring.rows + self.ring.skipped:
            return
        if code > 0:
            self.writer.abort()
            raise MmuexpError(f"did not start (exit code {code})", where=self.qemu, todo="its own message stands above")
        if code < 0 and self.signal is None and self.told_to_end is None and self.complete is None:
            self.writer.abort()
            how = f"did not start: {signal.Signals(-code).name} ended it before a row"
            raise MmuexpError(how, where=self.qemu, todo=f"the {self.noun} may be cut or damaged")

    def _refuse_an_empty_one(self) -> None:
        """A guest that cannot be recorded at all: no file."""
        if self.ring.mode == Mode.SYSTEM and self.ring.ended in CUT and not self.ring.rows + self.ring.skipped:
            self.writer.abort()
            raise MmuexpError(CUT[self.ring.ended], where=self.qemu)

    def _why(self, code: int) -> str:
        """`mmuexp.complete` of a recording whose program has ended."""
        if self.ring.mode == Mode.SYSTEM and self.signal:
            return f"interrupted by {signal.Signals(self.signal).name}"
        if self.ring.ended == Ended.EXIT:
            return "yes"
        if self.ring.in_exec:
            return EXEC
        if code < 0:
            return f"the {self.noun} was ended by {signal.Signals(-code).name}"
        return f"{self.qemu} ended without a word (exit code {code})"

    def _read_tokens(self) -> bool:
        """False at the end of the stream: QEMU is gone, or another program is in its place."""
        try:
            return bool(self.socket.recv(4096))
        except ConnectionResetError:
            return False

    def _write_full_chunks(self, *, partial: bool = False) -> None:
        while self.complete is None and self.failure is None:
            columns = self.ring.columns(partial=partial)
            if columns is None:
                return
            try:
                self.writer.append(columns)
            except MmuexpError as error:
                self.failure = error
                self.note(f"{error}; the recording ends here, {self.outlives}")
                self._send(TOKEN_STOP)
                return
            if not self.ring.in_chunk:
                self._send(TOKEN_FREE)

    def _send(self, token: bytes) -> None:
        with contextlib.suppress(OSError):  # QEMU may have ended; what it wrote is in the ring
            self.socket.send(token)

    def _finish(self, complete: str, *, quiet: bool = False, ends: bool = False) -> None:
        """Write the rest and close the file; the program may run on. `ends`: it does not."""
        if self.complete is not None:
            return
        self._write_full_chunks(partial=True)
        if self.failure:
            complete = f"cut short: {self.failure.what}"
        elif complete != "yes" and not quiet:
            self.note(
                f"{complete}; the recording ends here, {f'the {self.noun} ends with it' if ends else self.outlives}"
            )
        self._close(complete)
        self.complete = complete
        self.seconds = time.monotonic() - self.began

    def _close(self, complete: str) -> None:
        count = self.writer.rows if self.failure else self.ring.taken
        window = (self.ring.skipped, max(0, count - self.ring.prefix))
        try:
            self.writer.close(complete=complete, window=window if window[0] else None, metadata=self._counted(count))
        except MmuexpError as error:
            self.failure = error
        if self.writer.rows < self.ring.taken and not self.failure:  # it held rows, and could not write them
            self.failure = MmuexpError("the last rows cannot be written", where=self.writer.path, todo=NO_ROOM)
        if self.failure and not self.writer.rows:  # not one row: no file either
            self.writer.remove()

    def _counted(self, rows: int) -> dict[str, str]:
        """What the plugin has counted beside the rows, where all of them are in the file: else nobody knows."""
        if self.failure or rows != self.ring.rows or self.ring.mode != Mode.SYSTEM:
            return {}
        return {"flushes_unsure": str(self.ring.flushes_unsure)}

    def end(self) -> None:
        """Whatever happened: QEMU does not outlive the recorder."""
        for number, handler in self.handlers.items():
            signal.signal(number, handler)
        self.socket.close()
        self.theirs.close()
        self.ring.close()
        if self.process and self.process.poll() is None:
            self.process.kill()
            self.process.wait()
