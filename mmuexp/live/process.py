"""One live engine: a process of its own that replays rows for real, and what it counted.

It is handed rows through shared memory, and the scheme's parameters; nothing that the model computed. Whatever happens
to it (a crash, a hang, a limit of the host) is one MmuexpError here, and no harm to anything else.
"""

import contextlib
import mmap
import os
import select
import signal
import subprocess
import time
from collections.abc import Iterator
from enum import IntEnum
from functools import cache
from pathlib import Path
from typing import Any, NoReturn

import numpy as np

from mmuexp.emulator.faults import fault_type  # here the cause is its place among `counters`
from mmuexp.errors import MmuexpError, option
from mmuexp.guest import ADDRESS_BITS, BATCH_ROWS, Columns, dtypes_of
from mmuexp.live.build import engine_for
from mmuexp.replay.pages import FEWEST_WIDE_BITS
from mmuexp.strategy import Strategy

HEADER_BYTES, MESSAGE_BYTES = 4096, 512  # engine.h
LOG_RECORDS = 2 * BATCH_ROWS
COUNTERS_SECONDS = 10.0  # to start and to say what it counts takes some milliseconds
TIME_LIMIT_SECONDS = 120.0  # of one chunk: 2**20 rows that all fault take some ten


class Plant(IntEnum):
    """Bugs that tests plant, to see that they are found (`enum plant`)."""

    NONE = 0
    WRONG_PAGE = 1
    NO_PROTECT = 2
    SMALL_POOL = 3
    STALE_ENTRY = 4
    LOST_FILL = 5
    CRASH = 6
    HANG = 7
    FORGOTTEN_SITE = 8
    STALE_PAGE = 9
    NOT_COMPARED = 10


class EngineFailed(MmuexpError):
    """The engine could not go on. `row` is the row of the trace at which, if it said."""

    def __init__(self, what: str, *, where: str = "", todo: str = "", row: int | None = None):
        self.row = row
        super().__init__(what, where=where, todo=todo)


class WrongData(EngineFailed):
    """It ran, and what came out is not what must: data, mappings, a fault that its handler does not cure."""


class NoMappings(EngineFailed):
    """The host allows no more mappings (vm.max_map_count)."""


class EngineDied(EngineFailed):
    """A signal ended it: its own tables are damaged, or a fault was none that it knows."""


ITS_OWN = {signal.SIGSEGV, signal.SIGBUS, signal.SIGILL, signal.SIGFPE, signal.SIGABRT, signal.SIGTRAP}
ADVICE = {  # what a message holds -> what to do next
    "no address space": "raise `ulimit -v`, or leave this scheme out",
    "bits, and the tables of a live engine": "`mmuexp compare` counts it, without --live",
    "no more mappings": "raise it with `sysctl vm.max_map_count=N`, or leave this scheme out",
    "took more than": "give more by {time_limit}",
}
FAILURES = (EngineFailed, WrongData, NoMappings)  # enum failure


@cache
def counters(program: Path) -> tuple[str, ...]:
    """Names of what an engine counts, in its order: columns of the CSV."""
    try:
        done = subprocess.run([str(program)], capture_output=True, timeout=COUNTERS_SECONDS)
        lines = [line.split() for line in done.stdout.decode(errors="replace").splitlines()]
        why = f"it ended with code {done.returncode}" if done.returncode else None
        if why is None and not (lines and all(len(line) == 2 and line[0] == "counter" for line in lines)):
            why = "it does not list its counters"
    except subprocess.TimeoutExpired:
        why = f"it took more than {COUNTERS_SECONDS:g} s to list its counters"
    except OSError as error:
        why = error.strerror
    if why is not None:
        todo = "mend the scheme's C half; if it has none of its own, remove this file, and it is compiled anew"
        raise EngineFailed(f"cannot be started: {why}", where=str(program), todo=todo)
    return tuple(line[1] for line in lines)


class Engine:
    """A scheme (None: no translation, the bare loop) at work on one trace of `mode` "user" or "system".

    `checked`: every store writes a value that names its row, every load is compared with a reference memory. `cpu`: the
    processor that it runs on; None is where it happens to start. `address_bits` are the trace's. `extra`: more flags to
    compile it with; `wrapper`, for tests: a program that runs it. Raises NoEngine, EngineFailed, UsageError.
    """

    def __init__(
        self,
        strategy: Strategy | None,
        mode: str,
        *,
        checked: bool = True,
        plant: Plant = Plant.NONE,
        time_limit: float = TIME_LIMIT_SECONDS,
        cpu: int | None = None,
        wrapper: tuple[str, ...] = (),
        extra: tuple[str, ...] = (),
        address_bits: int = ADDRESS_BITS,
    ):
        if strategy is not None and address_bits != ADDRESS_BITS:
            strategy = strategy.of_guest(FEWEST_WIDE_BITS)  # it refuses addresses that take more
        self.strategy, self.time_limit, self.address_bits = strategy, time_limit, address_bits
        self.name = "no translation" if strategy is None else str(strategy)
        self.program = engine_for(strategy, extra, address_bits)
        self.counters = counters(self.program)
        self.rows = 0
        command = [*wrapper, str(self.program), "{fd}", mode, str(int(checked)), str(int(plant)), *settings(strategy)]
        try:
            with on_processor(cpu):
                self._start(command)
        except OSError as error:
            what = f"cannot be started: {error.strerror}"
            raise EngineFailed(what, where=f"live engine of {self.name}") from None
        self._answer("start")

    def _start(self, command: list[str]) -> None:
        fault, dtypes = fault_type(self.address_bits), dtypes_of(self.address_bits)
        log_bytes = -(-LOG_RECORDS * fault.itemsize // 64) * 64
        size = HEADER_BYTES + log_bytes + BATCH_ROWS * sum(dtype.itemsize for dtype in dtypes)
        fd = os.memfd_create("mmuexp-engine", os.MFD_CLOEXEC)
        try:
            os.ftruncate(fd, size)
            memory = mmap.mmap(fd, size, mmap.MAP_SHARED)
            self._header = np.frombuffer(memory, "u8", len(self.counters) + 4)
            self._message = np.frombuffer(memory, "u1", MESSAGE_BYTES, self._header.nbytes)
            self._log = np.frombuffer(memory, fault, LOG_RECORDS, HEADER_BYTES)
            at, columns = HEADER_BYTES + log_bytes, []
            for dtype in dtypes:
                columns.append(np.frombuffer(memory, dtype, BATCH_ROWS, at))
                at += columns[-1].nbytes
            self._columns = Columns(*columns)
            self._process: Any = subprocess.Popen(
                [str(fd) if word == "{fd}" else word for word in command],
                stdin=subprocess.PIPE, stdout=subprocess.PIPE, pass_fds=[fd], bufsize=0,
            )  # fmt: skip
        finally:
            os.close(fd)

    def feed(self, columns: Columns) -> None:
        """Replay the next rows, which the survey accepted."""
        for first in range(0, len(columns.op), BATCH_ROWS):
            rows = min(BATCH_ROWS, len(columns.op) - first)
            for mine, theirs in zip(self._columns, columns, strict=True):
                mine[:rows] = theirs[first : first + rows]
            self._say(f"rows {rows}")
            self.rows += rows

    def end(self) -> None:
        """After the last row: guest RAM equals the reference, the kernel's mappings are those that were made."""
        self._say("end")

    def counts(self) -> dict[str, int]:
        return {name: int(count) for name, count in zip(self.counters, self._header, strict=False)}

    @property
    def cpu_ns(self) -> int:
        """Processor time of the rows of the last `feed` (at most BATCH_ROWS of them), the kernel's part included."""
        return int(self._header[len(self.counters)])

    def faults(self) -> np.ndarray:
        """Records (fault_type) of the rows of the last `feed`, as the host reported them; rows from 0 of the trace."""
        return self._log[: int(self._header[len(self.counters) + 1])].copy()

    def close(self) -> None:
        if self._process.poll() is None:
            self._process.kill()
        self._process.wait()
        for pipe in (self._process.stdin, self._process.stdout):
            pipe.close()

    def __enter__(self) -> "Engine":
        return self

    def __exit__(self, *_) -> None:
        self.close()

    def _say(self, line: str) -> None:
        with contextlib.suppress(BrokenPipeError):  # its answer says why
            self._process.stdin.write(line.encode() + b"\n")
        self._answer(line)

    def _answer(self, command: str) -> None:
        ends = time.monotonic() + self.time_limit
        while not select.select([self._process.stdout], [], [], max(0, ends - time.monotonic()))[0]:
            if time.monotonic() >= ends:
                self._process.kill()
                self._fail(f"took more than {self.time_limit:g} s over {self._place(command)}, and was ended")
        answer = self._process.stdout.read(1)
        if answer == b".":
            return
        code = self._process.wait()
        if answer == b"!":
            message = self._message.tobytes().split(b"\0")[0].decode(errors="replace")
            row = int(self._header[len(self.counters) + 2])
            kind = FAILURES[min(int(self._header[len(self.counters) + 3]), len(FAILURES) - 1)]
            self._fail(message, row if command.startswith("rows") else None, kind)
        if code < 0:
            kind = EngineDied if -code in ITS_OWN else EngineFailed
            self._fail(f"was ended by {signal.Signals(-code).name} in {self._place(command)}", kind=kind)
        self._fail(f"ended with exit code {code} in {self._place(command)}")

    def _place(self, command: str) -> str:
        if not command.startswith("rows"):
            return f"its {command}"
        rows = int(command.split()[1])
        return f"row {self.rows}" if rows == 1 else f"rows {self.rows} to {self.rows + rows - 1}"

    def _fail(self, what: str, row: int | None = None, kind: type[EngineFailed] = EngineFailed) -> NoReturn:
        self.close()
        where = f"live engine of {self.name}" + ("" if row is None else f", row {row}")
        todo = next((advice for words, advice in ADVICE.items() if words in what), "")
        todo = todo.format(time_limit=option("time_limit", ""))
        raise kind(what, where=where, row=row, todo=todo)


@contextlib.contextmanager
def on_processor(cpu: int | None) -> Iterator[None]:
    """Whatever this thread starts meanwhile begins on that processor, and stays there."""
    before = os.sched_getaffinity(0)
    if cpu is not None:
        os.sched_setaffinity(0, {cpu})
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


def settings(strategy: Strategy | None) -> list[str]:
    """Every parameter as KEY=NUMBER; a word is its place among the choices."""
    if strategy is None:
        return []
    found = []
    for name, param in strategy.params().items():
        value = getattr(strategy, name)
        found.append(f"{name}={param.choices.index(value) if param.choices else int(value)}")
    return found
