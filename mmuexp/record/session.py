"""Runs QEMU with our plugin in it, whatever it runs: rows come through the ring and go into the file.

The encoder is this process, beside QEMU (its child). It sleeps until the plugin says that a chunk is full or QEMU
ends; whatever ends QEMU, the rows written so far are in the shared memory and go into the file.
"""

import contextlib
import os
import select
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from mmuexp.errors import MmuexpError
from mmuexp.record.console import Console
from mmuexp.record.reasons import CUT, EXEC, STOPPED, cut
from mmuexp.record.ring import TOKEN_FREE, TOKEN_STOP, Ended, Mode, Ring
from mmuexp.record.signals import ENDING, Signals
from mmuexp.trace import TraceWriter

WAIT = 2**64 - 1  # rows to skip: all, until what is waited for comes
NO_ROOM = "free some space or name another disk"
PATIENCE_SECONDS = 1.0  # for QEMU to end after it was told to


class Recording(NamedTuple):
    """Tells what was recorded. `exit_code` is the program's or QEMU's own, 128 + n when signal n ended it."""

    path: str
    rows: int
    size_bytes: int
    seconds: float  # from QEMU's start to the last row's way into the file
    complete: str
    window: tuple[int, int]  # (first, count) in rows of the whole run
    exit_code: int
    failure: MmuexpError | None = None  # the file could not take all rows (a full disk); it holds those before


class Session:
    """Holds one run: its process, the ring, the socket, and how far the file is. `bits` is the width of the guest's
    addresses, `limit` and `skip` count rows, `seconds` is a time limit. A user-mode program runs on when the recording
    ends, a whole guest ends with it."""

    def __init__(
        self,
        writer: TraceWriter,
        mode: Mode,
        bits: int,
        *,
        skip: int = 0,
        limit: int | None = None,
        seconds: float | None = None,
        waits_for: str = "",
        start: str = "",
        note: Callable[[str], None],
    ):
        self.writer, self.skip, self.limit, self.time_limit, self.note = writer, skip, limit, seconds, note
        self.waits_for, self.start_option = waits_for, start
        self.console: Console | None = None
        self.noun = "guest" if mode == Mode.SYSTEM else "program"
        self.ring = Ring(mode, bits)
        self.socket, self.theirs = socket.socketpair()
        self.at_end: Callable[[], dict[str, str]] = dict  # more metadata, asked for when no more rows come
        self.process: Any = None  # QEMU as a Popen, once it runs
        self.failure: MmuexpError | None = None
        self.complete: str | None = None  # known once the file is closed
        self.seconds = 0.0
        self.signals = Signals()
        self.told_to_end = False  # QEMU was, by us
        self.kill_at: float | None = None  # when patience with it ends
        self.killed = False  # it was, when patience had ended

    @property
    def outlives(self) -> str:
        return "the guest ends with it" if self.ring.mode == Mode.SYSTEM else "the program runs on"

    def plugin_option(self, plugin) -> str:
        """Make the value of QEMU's -plugin."""
        skip = WAIT if self.waits_for else self.skip
        option = f"{str(plugin).replace(',', ',,')},ring={self.ring.fd},socket={self.theirs.fileno()},skip={skip}"
        option += self.start_option
        return option if self.limit is None else f"{option},limit={self.limit}"

    def start(self, command: Sequence[str], environment: dict[str, str] | None = None) -> None:
        self.qemu = os.path.basename(command[0])
        self.signals.take(self._pass_on)
        self.began = time.monotonic()
        stdout = self.console.theirs if self.console else None
        passed = [self.ring.fd, self.theirs.fileno()]
        self.process = subprocess.Popen(command, stdout=stdout, pass_fds=passed, env=environment)
        self.theirs.close()
        if self.console:
            self.console.begin()

    def _pass_on(self, number: int) -> None:
        """Pass on a signal. A program may do with INT what it likes; after the others its time is short."""
        if self.process:
            self.process.send_signal(number)
        if number in ENDING and self.kill_at is None:
            self.kill_at = time.monotonic() + PATIENCE_SECONDS

    def watch(self) -> Recording:
        """Write chunks as they fill, until the program has ended."""
        pidfd = os.pidfd_open(self.process.pid)
        try:
            poll = select.poll()
            poll.register(self.socket, select.POLLIN)
            poll.register(pidfd, select.POLLIN)
            poll.register(self.signals.waker, select.POLLIN)
            while True:
                ready = [fd for fd, _ in poll.poll(self._milliseconds_left())]
                self.signals.clear()
                if self.socket.fileno() in ready and not self._read_tokens():
                    poll.unregister(self.socket)
                    if pidfd not in ready and self.ring.in_exec:
                        self._finish(EXEC)
                self._stop_on_output()
                self._write_chunk()
                if self.ring.ended in (Ended.LIMIT, *CUT):
                    self._refuse_an_empty_one()
                    limited = self.ring.ended == Ended.LIMIT
                    self._finish(f"the limit of {self.limit:,} rows" if limited else self._cut(), quiet=limited)
                if pidfd in ready:
                    break
                self._end_what_has_no_end()
        finally:
            os.close(pidfd)
        code = self.process.wait()
        self._refuse_what_did_not_start(code)
        self._finish(self._why(code), quiet=True)
        if count := self.ring.children:
            what = "1 child was" if count == 1 else f"{count:,} children were"
            self.note(f"{what} forked, which {'is' if count == 1 else 'are'} not recorded")
        if self.told_to_end or (self.ring.mode == Mode.SYSTEM and self.ring.ended in (Ended.LIMIT, *CUT)):
            code = 0  # we ended it, or were about to when it ended by itself
        elif self.signals.first and (self.ring.mode == Mode.SYSTEM or self.killed):  # QEMU says 0 then
            code = -self.signals.first
        return Recording(
            path=self.writer.path,
            rows=self.writer.rows,
            size_bytes=os.path.getsize(self.writer.path) if os.path.exists(self.writer.path) else 0,
            seconds=self.seconds,
            complete=self.complete or "",
            window=(self.ring.skipped, max(0, self.writer.rows - self.ring.prefix)),
            exit_code=code if code >= 0 else 128 - code,
            failure=self.failure,
        )

    def _stop_on_output(self) -> None:
        if self.console and self.console.stopped_at is not None and self.complete is None and not self.failure:
            self._send(TOKEN_STOP)
            self._finish(STOPPED, until=self.console.stopped_at, ends=True)

    def _milliseconds_left(self) -> int | None:
        """Say how long to wait until something must be done though nothing happens; None is forever."""
        if self.complete is None and self.failure is None and self.ring.is_full:
            return 0
        ends = []
        if self.time_limit is not None and self.complete is None:
            ends.append(self.began + self.time_limit)
        if self.kill_at is not None and not self.killed:
            ends.append(self.kill_at)
        return max(0, int((min(ends) - time.monotonic()) * 1000) + 1) if ends else None

    def _end_what_has_no_end(self) -> None:
        """Enforce the time limit, and end a guest whose recording is over."""
        now = time.monotonic()
        if self.time_limit is not None and self.complete is None and now >= self.began + self.time_limit:
            self._send(TOKEN_STOP)
            self._end_guest()
            self._finish(f"the time limit of {self.time_limit:g} s", ends=True)
        if self.ring.mode == Mode.SYSTEM and (self.complete is not None or self.failure):
            self._end_guest()
        if self.kill_at is not None and now >= self.kill_at and not self.killed:
            self.killed = True
            self.process.kill()

    def _end_guest(self) -> None:
        if not self.told_to_end:
            self.told_to_end = True
            self.kill_at = time.monotonic() + PATIENCE_SECONDS
            self.process.terminate()

    def _refuse_what_did_not_start(self, code: int) -> None:
        """Raise, and leave no file, if QEMU said no or died while it loaded the program."""
        if self.ring.rows + self.ring.skipped or self.signals.first or self.told_to_end or self.complete is not None:
            return
        if code > 0:
            self.writer.abort()
            raise MmuexpError(f"did not start (exit code {code})", where=self.qemu, todo="its own message stands above")
        if code < 0:
            self.writer.abort()
            how = f"did not start: {signal.Signals(-code).name} ended it before a row"
            raise MmuexpError(how, where=self.qemu, todo=f"the {self.noun} may be cut or damaged")

    def _refuse_an_empty_one(self) -> None:
        """Raise, and leave no file, for a guest that cannot be recorded at all."""
        if self.ring.mode == Mode.SYSTEM and self.ring.ended in CUT and not self.ring.rows + self.ring.skipped:
            self.writer.abort()
            raise MmuexpError(self._cut(), where=self.qemu)

    def _cut(self) -> str:
        return cut(self.ring.ended, self.ring.bits)

    def _why(self, code: int) -> str:
        """Give `mmuexp.complete` of a recording whose program has ended."""
        if self.ring.mode == Mode.SYSTEM and self.signals.first:
            return f"interrupted by {signal.Signals(self.signals.first).name}"
        if self.ring.ended == Ended.EXIT:
            return "yes"
        if self.ring.in_exec:
            return EXEC
        if code < 0:
            return f"the {self.noun} was ended by {signal.Signals(-code).name}"
        return f"{self.qemu} ended without a word (exit code {code})"

    def _read_tokens(self) -> bool:
        """Read what the plugin sent. False at the end: QEMU is gone, or another program is in its place."""
        try:
            return bool(self.socket.recv(4096))
        except ConnectionResetError:
            return False

    def _write_chunk(self, *, partial: bool = False, until: int | None = None) -> bool:
        """Write one chunk, if there is one: a fast program fills the next meanwhile, and signals and the time limit
        must be looked at in between. False when there was none to write."""
        if self.complete is not None or self.failure is not None:
            return False
        columns = self.ring.columns(partial=partial, until=until)
        if columns is None:
            return False
        try:
            self.writer.append(columns)
        except MmuexpError as error:
            self.failure = error
            self.note(f"{error}; the recording ends here, {self.outlives}")
            self._send(TOKEN_STOP)
            return False
        if not self.ring.in_chunk:
            self._send(TOKEN_FREE)
        return True

    def _send(self, token: bytes) -> None:
        with contextlib.suppress(OSError):  # QEMU may have ended; what it wrote is in the ring
            self.socket.send(token)

    def _finish(self, complete: str, *, quiet: bool = False, ends: bool = False, until: int | None = None) -> None:
        """Write the rest and close the file; the program may run on. `ends`: it does not."""
        if self.complete is not None:
            return
        end = self.ring.rows if until is None else until  # the program may run on, and make more
        while self.ring.taken < end and self._write_chunk(partial=True, until=end):
            pass
        if self.failure:
            complete = f"cut short: {self.failure.what}"
        elif complete != "yes" and not quiet:
            what = f"the {self.noun} ends with it" if ends else self.outlives
            todo = "; to record the other one, name it as the program" if complete == EXEC else ""
            self.note(f"{complete}; the recording ends here, {what}{todo}")
        self._close(complete)
        self.complete = complete
        self.seconds = time.monotonic() - self.began

    def _close(self, complete: str) -> None:
        if trouble := self._without_a_row(complete):
            self.writer.abort()
            self.failure = self.failure or trouble
            return
        count = self.writer.rows if self.failure else self.ring.taken
        window = (self.ring.skipped, max(0, count - self.ring.prefix))
        try:
            more = self._counted(count) | self.at_end()
            self.writer.close(complete=complete, window=window if window[0] else None, metadata=more)
        except MmuexpError as error:
            self.failure = error
        if self.writer.rows < self.ring.taken and not self.failure:  # it held rows, and could not write them
            self.failure = MmuexpError("the last rows cannot be written", where=self.writer.path, todo=NO_ROOM)

    def _without_a_row(self, complete: str) -> MmuexpError | None:
        """Say why there is nothing to be kept. A trace without rows, of a run shorter than what was to be skipped, is
        kept, but does not replace another."""
        empty_will_do = self.ring.skipped and not (self.failure or self.waits_for or self.writer.replaces)
        if self.ring.taken or empty_will_do:
            return None
        why = f"{self.ring.skipped:,} rows were skipped, and none came after them" if self.ring.skipped else complete
        why = f"{self.waits_for}, in {self.ring.skipped:,} rows" if self.waits_for else why
        stays = "; what was there stays" if self.writer.replaces else ""
        error = MmuexpError(f"no row was recorded: {why}{stays}", where=self.writer.path)
        if self.signals.first:
            error.exit_code = 128 + self.signals.first
        return error

    def _counted(self, rows: int) -> dict[str, str]:
        """Give what the plugin has counted beside the rows, if all of them are in the file: else nobody knows."""
        if self.failure or rows != self.ring.rows or self.ring.mode != Mode.SYSTEM:
            return {}
        return {"flushes_unsure": str(self.ring.flushes_unsure)}

    def end(self) -> None:
        """End QEMU, whatever happened: it does not outlive the recorder."""
        if self.process and self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        if self.console:
            self.console.end()
        self.signals.give_back()
        self.socket.close()
        self.theirs.close()
        self.ring.close()
