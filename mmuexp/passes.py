"""One pass over one trace: a single decode feeds the survey and every scheme, in bounded memory."""

import mmap
import os
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from importlib import resources
from typing import Any, NamedTuple

from mmuexp.errors import MmuexpError, SchemeStopped, option
from mmuexp.guest import Columns
from mmuexp.progress import Progress, part_of
from mmuexp.result import complete_counts
from mmuexp.threads import Threads

LeaveOut = Callable[[Any, SchemeStopped], bool]  # (strategy, the row that it cannot serve): may the others go on?

SCHEMES_BYTES = 128 << 20  # that the schemes of one pass may take together, beside what the process had before
ASK_SECONDS = 0.001  # between two looks at how much memory there is
DEFAULT_NAME = "default"  # what the bundled trace is called in the column `trace`


class Run(NamedTuple):
    """What one scheme counted in one window (None: the whole trace). `counts` holds what prices need, too."""

    strategy: Any
    window: int | None
    counts: dict[str, int | None]


class _Lane:
    """One scheme of a pass."""

    def __init__(self, strategy: Any, replay: Any):
        self.strategy, self.replay = strategy, replay
        self.windows: list[Run] = []
        self.before: dict[str, int | None] = {}  # the total when the last window ended

    def close_window(self, shape: dict) -> None:
        after = _merge(shape, self.replay.counts())
        self.windows.append(Run(self.strategy, len(self.windows), _difference(after, self.before)))
        self.before = after


def bundled_trace() -> Any:
    """The trace that comes with the package, as a resource."""
    return resources.files("mmuexp.traces") / "luajit.arrow"


@contextmanager
def _trace_path(path: str | os.PathLike | None) -> Iterator[str]:
    """The file behind a trace argument; None is the trace that comes with the package."""
    if path is not None:
        yield os.fspath(path)
        return
    bundled = bundled_trace()
    if not bundled.is_file():
        raise MmuexpError("this installation has no bundled trace", todo=f"name one: {option('traces', '')}")
    with resources.as_file(bundled) as file:
        yield str(file)


@contextmanager
def opened_trace(path: str | os.PathLike | None, thread: int | None = None) -> Iterator[Any]:
    """The trace of a trace argument, open: all of it, or the rows of one thread."""
    from mmuexp.trace import open_trace
    from mmuexp.trace.threads import shown

    with _trace_path(path) as file, open_trace(file) as trace, shown(trace, thread) as rows:
        yield rows


def run_passes(
    trace: Any,
    strategies: Sequence[Any],
    *,
    label: str,
    every: int | None = None,
    jobs: int | None = None,
    progress: Progress | None = None,
    leave_out: LeaveOut = lambda strategy, error: False,
) -> Iterator[list[Run]]:
    """Replay `trace` under all strategies. Gives out what each pass over the trace finished, mostly all in one.

    Runs come strategy by strategy: the windows, then the total. Where the schemes need more than SCHEMES_BYTES
    together, some of them wait for another pass.

    A strategy that cannot serve a row ends the pass with SchemeStopped, unless `leave_out` lets the others go on: then
    it has no run. `jobs` (None: a core each) are the threads that replay; 1 is one thread for all, decoding included.

    A window is `every` rows. What it counts is the total after it less the total before it, whatever the column, so
    the windows of a run add up to its total: `pages` is new pages, `peak_mappings` the rise of the peak, and the
    sizes of tables stand in the first window, where they are set aside.
    """
    left, passes = list(strategies), 0
    while left:
        one = _Pass(trace, left, label, jobs or cores(), leave_out)
        tell = None
        if progress is not None:

            def tell(done: int, one=one, before=passes):
                part_of(progress, before, before + 1 + bool(one.put_off))(label, done, trace.rows)

        yield one.run(every, tell)
        left, passes = one.put_off, passes + 1


class _Pass:
    """One decode, and the schemes that it feeds."""

    def __init__(self, trace: Any, strategies: Sequence[Any], label: str, jobs: int, leave_out: LeaveOut):
        from mmuexp.replay import Replay
        from mmuexp.shape import Survey

        self.trace, self.jobs, self.leave_out = trace, jobs, leave_out
        self.survey = Survey(trace.mode, label)
        self.lanes = [_Lane(strategy, Replay(strategy, trace.mode, where=label)) for strategy in strategies]
        self.put_off: list[Any] = []  # strategies
        self._resident_bytes, self._grown_bytes, self._asked = resident_bytes(), 0, 0.0

    def run(self, every: int | None, tell: Callable[[int], None] | None) -> list[Run]:
        # the kernels hold no lock of Python's, so threads replay one scheme after the other, while the reader's threads
        # decode what comes later, and this one surveys the next batch, and then helps to replay
        done = 0
        if tell:
            tell(0)
        with Threads(self.jobs - 1) if self.jobs > 1 else nullcontext() as pool:
            before: _Fed | None = None
            for columns, ends in _pieces(self.trace, every, ahead=pool is not None):
                try:
                    rows = self.survey.feed(columns)
                except MmuexpError:
                    self._settle(before)  # what a scheme says of an earlier row comes first
                    raise
                shape = self.survey.counts() if ends else None
                self._settle(before)
                if before and tell:
                    tell(done)
                done += len(columns.op)
                before = self._fed(pool, rows, shape)
            self._settle(before)
            if tell:
                tell(done)
        shape = self.survey.counts()
        if every is not None and (not done or done % every):
            self._close_windows(shape)
        runs: list[Run] = []
        for lane in self.lanes:
            runs += [*lane.windows, Run(lane.strategy, None, _merge(shape, lane.replay.counts()))]
        return runs

    def _fed(self, pool: Threads | None, rows: Any, shape: dict | None) -> "_Fed":
        """Have every lane replay the rows: threads of the pool take one after the other, `_settle` what they left."""
        fed = _Fed(list(self.lanes), deque(self.lanes), rows, {}, [], shape)
        if pool is not None:
            fed.threads.extend(pool.submit(self._feed, fed) for _ in range(min(self.jobs - 1, len(self.lanes))))
        return fed

    def _feed(self, fed: "_Fed") -> None:
        while True:
            try:
                lane = fed.left.popleft()  # several threads do so
            except IndexError:
                return
            try:
                fed.came_of[lane] = lane is self.lanes[0] or self._has_room()
                if fed.came_of[lane]:
                    lane.replay.feed(fed.rows)
            except Exception as error:
                fed.came_of[lane] = error

    def _has_room(self) -> bool:
        """May another scheme go on? Asking the system takes as long as a short replay: it is not done each time."""
        now = time.monotonic()
        if now > self._asked + ASK_SECONDS:
            self._asked, self._grown_bytes = now, resident_bytes() - self._resident_bytes
        return self._grown_bytes <= SCHEMES_BYTES

    def _settle(self, fed: "_Fed | None") -> None:
        """Wait for the lanes; drop those that must wait for another pass, and those that are left out."""
        if fed is None:
            return
        try:
            self._feed(fed)  # this thread is one of the jobs
            for thread in fed.threads:
                thread.result()
        except BaseException:  # ^C
            fed.left.clear()
            raise
        for lane in fed.lanes:
            came_of = fed.came_of.pop(lane)  # an error holds on to all that it came through
            if came_of is True:
                continue
            if came_of is False:
                self.put_off.append(lane.strategy)
            elif not isinstance(came_of, SchemeStopped) or not self.leave_out(lane.strategy, came_of):
                raise came_of
            self.lanes.remove(lane)
            lane.replay, self._asked = None, 0.0  # its memory is what the others need
        if fed.shape is not None:
            self._close_windows(fed.shape)

    def _close_windows(self, shape: dict) -> None:
        for lane in self.lanes:
            lane.close_window(shape)


class _Fed(NamedTuple):
    """A batch that is being replayed."""

    lanes: list[_Lane]
    left: deque  # lanes that no thread has taken yet
    rows: Any
    came_of: dict  # by lane: True, False if it was put off, or the error
    threads: list  # futures
    shape: dict | None  # the survey's counts after it, if it ends a window


def cores() -> int:
    """Those that this process may use."""
    return len(os.sched_getaffinity(0))


def resident_bytes() -> int:
    """Memory that this process has now; 0 where the system does not tell."""
    try:
        with open("/proc/self/statm", "rb") as file:
            return int(file.read().split()[1]) * mmap.PAGESIZE
    except OSError:
        return 0


def _pieces(trace: Any, every: int | None, ahead: bool) -> Iterator[tuple[Columns, bool]]:
    """The trace's batches, cut where a window ends; True with the piece that ends one."""
    left = every
    for columns in trace.batches(ahead=ahead):
        if every is None:
            yield columns, False
            continue
        start, rows = 0, len(columns.op)
        while start < rows:
            stop = min(rows, start + left)
            left -= stop - start
            yield Columns(*(column[start:stop] for column in columns)), left == 0
            start, left = stop, left or every


def _merge(shape: dict, events: dict) -> dict[str, int | None]:
    return shape | complete_counts(events)


def _difference(after: dict, before: dict) -> dict[str, int | None]:
    return {name: None if n is None else n - (before.get(name) or 0) for name, n in after.items()}
