"""`record(...)`: runs a program under qemu-i386 and writes what it does as a trace.

The encoder is this process, beside QEMU (its child). It sleeps until the plugin says that a chunk is full or QEMU
ends; whatever ends QEMU, the rows written so far are in the shared memory and go into the file.
"""

import contextlib
import hashlib
import os
import re
import select
import shlex
import shutil
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

from mmuexp.errors import MmuexpError
from mmuexp.record import build, program
from mmuexp.record.ring import TOKEN_FREE, TOKEN_STOP, Ended, Mode, Ring
from mmuexp.trace import TraceWriter

QEMU = "qemu-i386"
PLUGIN_API_LAST_QEMU = 8  # QEMU 9 dropped version 1 of the plugin interface
SEED = "1"  # AT_RANDOM and the like: the same program makes the same rows each time

# what `mmuexp.complete` says, and the line on stderr, when rows end before the program does
CUT = {
    Ended.THREAD: "the program started a second thread",
    Ended.SOCKET: "the program closed the recorder's socket",
}
EXEC = "the program executed another program"
NO_ROOM = "free some space or name another disk"


class Recording(NamedTuple):
    """What was recorded. `exit_code` is the program's own, 128 + n when signal n ended it."""

    path: str
    rows: int
    size_bytes: int
    seconds: float  # from QEMU's start to the last row's way into the file
    complete: str
    window: tuple[int, int]  # (first, count) in rows of the whole run
    exit_code: int
    failure: MmuexpError | None = None  # the file could not take all rows (a full disk); it holds those before


def record(
    command: Sequence[str],
    output: str,
    *,
    skip: int = 0,
    limit: int | None = None,
    root: str | None = None,
    licence: str | None = None,
    note: Callable[[str], None] = lambda line: None,
) -> Recording:
    """Run `command` (a 32-bit x86 Linux program and its arguments) and write its rows to `output`.

    The first `skip` rows are left out, and at most `limit` are recorded; the program always runs to its end, with our
    standard input, output and error. `root` is the folder where its loader and libraries are looked up first (QEMU's
    -L). `licence` goes into the file. `note` gets a line when the recording ends before the program.

    Raises `MmuexpError` before the program starts: what cannot be run or recorded, no QEMU, no compiler, an output
    that cannot be written.
    """
    if output == "-":
        raise MmuexpError("a recording cannot go to stdout, which is the program's", todo="say -o FILE.arrow")
    path = program.find(command[0], root)
    qemu, version = find_qemu()
    plugin = build.plugin()
    if os.path.exists(output) and os.path.samefile(output, path):
        raise MmuexpError("is the program that is to be recorded", where=output, todo="say -o FILE.arrow")
    metadata = {
        "guest": "i386",
        "recorder": f"{recorder_name()}; {version}",
        "command": shlex.join(command).encode(errors="backslashreplace").decode(),
        "date": datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        "program.sha256": _sha256(path),
    }
    if licence:
        metadata["licence"] = licence
    if skip:
        metadata["skip"] = str(skip)  # `trace recover` knows the window by it, should we be killed
    with TraceWriter(output, mode="user", metadata=metadata, in_place=True) as writer:
        session = _Session(writer, skip, limit, note)
        try:
            session.start(qemu, plugin, root, path, command[0], command[1:])
            return session.watch()
        except OSError as error:  # the system refused a process or a descriptor: nothing ran
            writer.abort()
            raise MmuexpError(f"cannot start: {error.strerror}", where=qemu) from None
        finally:
            session.end()


def find_qemu() -> tuple[str, str]:
    """Path and version line of qemu-i386. Raises `MmuexpError` when it is missing or has no plugin interface."""
    path = shutil.which(QEMU)
    if path is None:
        todo = "install it (Debian: apt-get install qemu-user; the static build has no plugins)"
        raise MmuexpError(f"no {QEMU} in PATH", todo=todo)
    done = subprocess.run([path, "--version"], capture_output=True, text=True)
    line = (done.stdout.splitlines() or [""])[0].strip()
    found = re.search(r"version (\d+)\.", line)
    if done.returncode or not found:
        raise MmuexpError("does not answer to --version as QEMU does", where=path)
    if int(found[1]) > PLUGIN_API_LAST_QEMU:
        raise MmuexpError(
            f"QEMU {found[1]} has no version 1 of the plugin interface", where=path, todo="QEMU 5.2 to 8.2 have it"
        )
    return path, line


def recorder_name() -> str:
    from mmuexp.version import version

    return f"mmuexp {version()} (plugin {build.source_hash()})"


def _sha256(path: str) -> str:
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


class _Session:
    """One run of QEMU: its process, the ring, the socket, and how far the file is."""

    def __init__(self, writer: TraceWriter, skip: int, limit: int | None, note: Callable[[str], None]):
        self.writer, self.skip, self.limit, self.note = writer, skip, limit, note
        self.ring = Ring(Mode.USER)
        self.socket, self.theirs = socket.socketpair()
        self.process: subprocess.Popen | None = None
        self.failure: MmuexpError | None = None
        self.complete: str | None = None  # known once the file is closed
        self.seconds = 0.0
        self.handlers: dict[int, object] = {}

    def start(self, qemu: str, plugin, root: str | None, path: str, name: str, arguments: Sequence[str]) -> None:
        """`name` is the program's argv[0]."""
        options = f"{str(plugin).replace(',', ',,')},ring={self.ring.fd},socket={self.theirs.fileno()},skip={self.skip}"
        if self.limit is not None:
            options += f",limit={self.limit}"
        settings = [*(["-L", root] if root else []), "-seed", SEED, "-0", name, "-plugin", options]
        command = [qemu, *settings, path, *arguments]
        self._take_signals()
        self.began = time.monotonic()
        self.process = subprocess.Popen(command, pass_fds=[self.ring.fd, self.theirs.fileno()])
        self.theirs.close()

    def _take_signals(self) -> None:
        """^C reaches QEMU too, through the terminal: the recorder outlives it. TERM and HUP are passed on."""

        if threading.current_thread() is not threading.main_thread():
            return  # Python gives signals to the main thread alone

        def pass_on(number, _frame):
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
                ready = [fd for fd, _ in poll.poll()]
                if self.socket.fileno() in ready and not self._read_tokens():
                    poll.unregister(self.socket)
                    if pidfd not in ready and self.ring.in_exec:
                        self._finish(EXEC)
                self._write_full_chunks()
                if self.ring.ended in (Ended.LIMIT, *CUT):
                    self._finish(CUT.get(self.ring.ended, "yes"))
                if pidfd in ready:
                    break
        finally:
            os.close(pidfd)
        code = self.process.wait()
        if code > 0 and self.ring.ended == Ended.NOT and not self.ring.rows + self.ring.skipped:
            self.writer.abort()
            raise MmuexpError(f"did not start (exit code {code})", where=QEMU, todo="its own message stands above")
        self._finish(self._why(code), quiet=True)
        return Recording(
            path=self.writer.path,
            rows=self.writer.rows,
            size_bytes=os.path.getsize(self.writer.path) if os.path.exists(self.writer.path) else 0,
            seconds=self.seconds,
            complete=self.complete,
            window=(self.ring.skipped, self.writer.rows),
            exit_code=code if code >= 0 else 128 - code,
            failure=self.failure,
        )

    def _why(self, code: int) -> str:
        """`mmuexp.complete` of a recording whose program has ended."""
        if self.ring.ended == Ended.EXIT:
            return "yes"
        if self.ring.in_exec:
            return EXEC
        if code < 0:
            return f"the program was ended by {signal.Signals(-code).name}"
        return f"{QEMU} ended without a word (exit code {code})"

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
                self.note(f"{error}; the recording ends here, the program runs on")
                self._send(TOKEN_STOP)
                return
            self._send(TOKEN_FREE)

    def _send(self, token: bytes) -> None:
        with contextlib.suppress(OSError):  # QEMU may have ended; what it wrote is in the ring
            self.socket.send(token)

    def _finish(self, complete: str, *, quiet: bool = False) -> None:
        """Write the rest and close the file; the program may run on."""
        if self.complete is not None:
            return
        self._write_full_chunks(partial=True)
        if self.failure:
            complete = f"cut short: {self.failure.what}"
        elif complete != "yes" and not quiet:
            self.note(f"{complete}; the recording ends here, the program runs on")
        self._close(complete)
        self.complete = complete
        self.seconds = time.monotonic() - self.began

    def _close(self, complete: str) -> None:
        window = (self.ring.skipped, self.writer.rows if self.failure else self.ring.taken)
        try:
            self.writer.close(complete=complete, window=window if window[0] else None)
        except MmuexpError as error:
            self.failure = error
        if self.writer.rows < self.ring.taken and not self.failure:  # it held rows, and could not write them
            self.failure = MmuexpError("the last rows cannot be written", where=self.writer.path, todo=NO_ROOM)
        if self.failure and not self.writer.rows:  # not one row: no file either
            Path(self.writer.path).unlink(missing_ok=True)

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
