"""One pass over one trace: a single decode feeds the survey and every scheme, in bounded memory."""

import mmap
import os
import time
from collections import deque
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import nullcontext
from typing import Any, NamedTuple

from mmuexp.analysis.cuts import Cuts
from mmuexp.blocks.runs import Runs
from mmuexp.errors import MmuexpError, SchemeStopped
from mmuexp.events import WALK_LEVELS
from mmuexp.progress import Progress, part_of
from mmuexp.result.declared import CODE_PAGE_STORES, NONE, UNKNOWN, Declared
from mmuexp.result.table import RESIDENT, SIZES, complete_counts
from mmuexp.runtime.memory import give_back_what_is_free, tune_malloc
from mmuexp.runtime.threads import Threads

LeaveOut = Callable[[Any, SchemeStopped], bool]  # (strategy, the row that it cannot serve): may the others go on?

SCHEMES_BYTES = 128 << 20  # that the schemes of one pass may take together, beside what the process had before
ASK_SECONDS = 0.001  # between two looks at how much memory there is
WHOLE = Cuts()
# what is there, not what happened: a warm-up takes nothing from it
TOTALS = {*SIZES, RESIDENT, WALK_LEVELS, "peak_mappings"}


class Run(NamedTuple):
    """What one scheme counted in one window (None: all that is counted). `counts` holds what prices need, too.

    `second_half` is what it counted in the second half of the rows, where the trace was cut there. `unknown` are the
    columns of which the trace does not tell enough: their counts are None.
    """

    strategy: Any
    window: int | None
    counts: dict[str, int | None]
    second_half: dict[str, int | None] | None = None
    unknown: frozenset[str] = frozenset()

    def declared(self, what: Declared) -> "Run":
        """The same as far as the trace tells it."""
        unknown = what.unknown_to(self.strategy)
        if not unknown:
            return self
        counts = _without(self.counts, unknown)
        smc, beside = (self.counts.get(name) for name in ("smc_stores", "code_page_data_stores"))
        if what.sizes == UNKNOWN and what.code != NONE and smc is not None and beside is not None:
            counts[CODE_PAGE_STORES] = smc + beside
        half = None if self.second_half is None else _without(self.second_half, unknown)
        return self._replace(counts=counts, second_half=half, unknown=unknown)


class _Lane:
    """One scheme of a pass."""

    def __init__(self, strategy: Any, replay: Any):
        self.strategy, self.replay = strategy, replay
        self.windows: list[Run] = []
        self.took_seconds = 0.0  # to replay the last batch
        # the total when the warm-up ended, in the middle, and when the last window ended
        self.start: dict[str, int | None] = {}
        self.middle: dict[str, int | None] | None = None
        self.before: dict[str, int | None] = {}

    def cut(self, shape: dict, row: int, cuts: Cuts) -> None:
        """`row` rows are replayed: what ends here?"""
        after = shape | complete_counts(self.replay.counts())
        if 0 < row == cuts.warmup:
            self.start = self.before = {name: n for name, n in after.items() if name not in TOTALS}
        elif cuts.every is None:
            self.middle = after
        else:
            self.windows.append(Run(self.strategy, len(self.windows), _difference(after, self.before)))
            self.before = after

    def runs(self, shape: dict) -> list[Run]:
        """The windows, then the total."""
        after = shape | complete_counts(self.replay.counts())
        second_half = None if self.middle is None else _difference(after, self.middle)
        return [*self.windows, Run(self.strategy, None, _difference(after, self.start), second_half)]


def run_passes(
    trace: Any,
    strategies: Sequence[Any],
    *,
    label: str,
    cuts: Cuts = WHOLE,
    jobs: int | None = None,
    progress: Progress | None = None,
    leave_out: LeaveOut = lambda strategy, error: False,
) -> Iterator[list[Run]]:
    """Replay `trace` under all strategies. Gives out what each pass over the trace finished, mostly all in one.

    Runs come strategy by strategy: the windows, then the total. Where the schemes need more than SCHEMES_BYTES
    together, some of them wait for another pass.

    A strategy that cannot serve a row ends the pass with SchemeStopped, unless `leave_out` lets the others go on: then
    it has no run. `jobs` (None: a core each) are the threads that replay; 1 is one thread for all, decoding included.

    A window is `cuts.every` rows. What it counts is the total after it less the total before it, whatever the column,
    so the windows of a run add up to its total: `pages` is new pages, `peak_mappings` the rise of the peak, and the
    sizes of tables stand in the first window, where they are set aside. A warm-up is taken off in the same way, but for
    TOTALS: they are those of the whole trace.
    """
    tune_malloc()  # the command did, who calls the Python interface did not
    left, passes = list(strategies), 0
    while left:
        one = _Pass(trace, left, label, jobs or cores(), leave_out)

        def tell(done: int, one: _Pass = one, before: int = passes) -> None:
            if report := part_of(progress, before, before + 1 + bool(one.put_off)):
                report(label, done, trace.rows)

        yield one.run(cuts, tell)
        left, passes = one.put_off, passes + 1


class _Pass:
    """One decode, and the schemes that it feeds."""

    def __init__(self, trace: Any, strategies: Sequence[Any], label: str, jobs: int, leave_out: LeaveOut):
        from mmuexp.replay.replay import Replay
        from mmuexp.replay.survey import Survey

        self.trace, self.jobs, self.leave_out = trace, jobs, leave_out
        self.survey = Survey(trace.mode, label)
        how: Any = {"where": label, "address_bits": trace.address_bits}
        self.lanes = [_Lane(strategy, Replay(strategy, trace.mode, **how)) for strategy in strategies]
        self.put_off: list[Any] = []  # strategies
        self._resident_bytes: int | None = None  # of the process, beside what its schemes take
        self._grown_bytes, self._asked = 0, 0.0
        self._makes_rows = False  # ahead of the schemes: for the batch before, they asked for most

    def run(self, cuts: Cuts, tell: Callable[[int], None]) -> list[Run]:
        # the kernels hold no lock of Python's, so threads replay one scheme after the other, while the reader's threads
        # decode what comes later, and this one surveys the next batch, and then helps to replay
        done = 0
        tell(0)
        with Threads(self.jobs - 1) if self.jobs > 1 else nullcontext() as pool:
            before: _Fed | None = None
            for runs, stop, is_cut in _pieces(self.trace, cuts, ahead=pool is not None):
                try:
                    rows = self.survey.feed(runs, stop)
                except MmuexpError:
                    self._settle(before)  # what a scheme says of an earlier row comes first
                    raise
                shape = self._shape() if is_cut else None
                self._settle(before)
                if before:
                    tell(done)
                done = self.survey.rows
                before = self._fed(pool, rows, None if shape is None else (shape, done, cuts))
            self._settle(before)
            tell(done)
        shape = self._shape()
        if cuts.every is not None and (not done or (done - cuts.warmup) % cuts.every):
            self._cut(shape, done, cuts)
        return [run for lane in self.lanes for run in lane.runs(shape)]

    def _shape(self) -> dict[str, Any]:
        """What the rows so far tell under any scheme."""
        return self.survey.counts() | {WALK_LEVELS: self.survey.walk_levels}

    def _fed(self, pool: Threads | None, rows: Any, cut: tuple | None) -> "_Fed":
        """Have every lane replay the rows: threads of the pool take one after the other, `_settle` what they left."""
        fed = _Fed(list(self.lanes), deque(), rows, {}, [], cut)
        if self._resident_bytes is None:
            # one of each class goes first: that kernels are loaded, or compiled, takes memory which is no scheme's
            self._begin(fed, pool, {type(lane.strategy): lane for lane in reversed(self.lanes)}.values())
            self._wait(fed)
            self._resident_bytes = resident_bytes()
        self._begin(fed, pool, [lane for lane in self.lanes if lane not in fed.came_of])
        return fed

    def _begin(self, fed: "_Fed", pool: Threads | None, lanes: Collection[_Lane]) -> None:
        # what took longest goes first: at the end no thread waits for long
        fed.left.extend(sorted(lanes, key=lambda lane: -lane.took_seconds))
        if pool is not None:
            fed.threads.extend(pool.submit(self._feed, fed) for _ in range(min(self.jobs - 1, len(lanes))))

    def _feed(self, fed: "_Fed") -> None:
        while True:
            try:
                lane = fed.left.popleft()  # several threads do so
            except IndexError:
                return
            try:
                fed.came_of[lane] = lane is self.lanes[0] or self._has_room()
                if fed.came_of[lane]:
                    began = time.monotonic()
                    lane.replay.feed(fed.rows)
                    lane.took_seconds = time.monotonic() - began
            except Exception as error:
                fed.came_of[lane] = error

    def _has_room(self) -> bool:
        """May another scheme go on? Asking the system takes as long as a short replay: it is not done each time."""
        if self._resident_bytes is None:
            return True
        now = time.monotonic()
        if now > self._asked + ASK_SECONDS:
            self._asked, self._grown_bytes = now, resident_bytes() - self._resident_bytes
            if self._grown_bytes > SCHEMES_BYTES:  # a scheme that waits loses all that it did
                give_back_what_is_free()
                self._grown_bytes = resident_bytes() - self._resident_bytes
        return self._grown_bytes <= SCHEMES_BYTES

    def _wait(self, fed: "_Fed") -> None:
        try:
            if self._makes_rows and fed.threads:
                for part in fed.rows.parts:
                    part.make_all_rows()
            self._feed(fed)  # this thread is one of the jobs
            while fed.threads:
                fed.threads.pop().result()
        except BaseException:  # ^C
            fed.left.clear()
            raise

    def _settle(self, fed: "_Fed | None") -> None:
        """Wait for the lanes; drop those that must wait for another pass, and those that are left out."""
        if fed is None:
            return
        self._wait(fed)
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
        self._makes_rows = all(part.most_were_made() for part in fed.rows.parts)
        if fed.cut is not None:
            self._cut(*fed.cut)

    def _cut(self, shape: dict, row: int, cuts: Cuts) -> None:
        for lane in self.lanes:
            lane.cut(shape, row, cuts)


class _Fed(NamedTuple):
    """A batch that is being replayed."""

    lanes: list[_Lane]
    left: deque  # lanes that no thread has taken yet
    rows: Any
    came_of: dict  # by lane: True, False if it was put off, or the error
    threads: list  # futures
    cut: tuple[dict, int, Cuts] | None  # if the trace is cut after it: the survey's counts, the rows so far, the cuts


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


def _pieces(trace: Any, cuts: Cuts, ahead: bool) -> Iterator[tuple[Runs, int, bool]]:
    """Runs, and the row of theirs up to which they are fed now: where `cuts` say (True), or all of them."""
    ends = cuts.rows(trace.file_rows)
    first, end = 0, next(ends, None)  # rows before the batch; before the next cut
    for runs in trace.runs(ahead=ahead):
        stop = 0
        while end is not None and end - first <= runs.rows:
            stop = end - first
            yield runs, stop, True
            end = next(ends, None)
        if stop < runs.rows:
            yield runs, runs.rows, False
        first += runs.rows


def _without(counts: dict[str, int | None], unknown: frozenset[str]) -> dict[str, int | None]:
    return {name: None if name in unknown else n for name, n in counts.items()}


def _difference(after: dict, before: dict) -> dict[str, int | None]:
    found = {name: None if n is None else n - (before.get(name) or 0) for name, n in after.items()}
    return found | {WALK_LEVELS: after.get(WALK_LEVELS)}  # which prices need of each part
