"""One pass over one trace: a single decode feeds the survey and every scheme, in bounded memory."""

import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from importlib import resources
from typing import Any, NamedTuple

from mmuexp.errors import MmuexpError, SchemeStopped
from mmuexp.guest import Columns
from mmuexp.result import complete_counts

Progress = Callable[[str, int, int | None], None]  # (trace, rows done, rows in all if declared)
LeaveOut = Callable[[Any, SchemeStopped], bool]  # (strategy, the row that it cannot serve): may the others go on?

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
def trace_path(path: str | os.PathLike | None) -> Iterator[str]:
    """The file behind a trace argument; None is the trace that comes with the package."""
    if path is not None:
        yield os.fspath(path)
        return
    bundled = bundled_trace()
    if not bundled.is_file():
        raise MmuexpError("this installation has no bundled trace", todo="name one: --trace FILE")
    with resources.as_file(bundled) as file:
        yield str(file)


def run_pass(
    trace: Any,
    strategies: Sequence[Any],
    *,
    label: str,
    every: int | None = None,
    progress: Progress | None = None,
    leave_out: LeaveOut = lambda strategy, error: False,
) -> list[Run]:
    """Replay `trace` under all strategies at once. Runs come strategy by strategy: the windows, then the total.

    A strategy that cannot serve a row ends the pass with SchemeStopped, unless `leave_out` lets the others go on: then
    it has no run.

    A window is `every` rows. What it counts is the total after it less the total before it, whatever the column, so
    the windows of a run add up to its total: `pages` is new pages, `peak_mappings` the rise of the peak, and the
    sizes of tables stand in the first window, where they are set aside.
    """
    from mmuexp.keys import keys_of
    from mmuexp.replay import Replay
    from mmuexp.shape import Survey

    if progress is not None:
        progress(label, 0, trace.rows)
    survey = Survey(trace.mode, label)
    lanes = [_Lane(strategy, Replay(strategy, trace.mode, where=label)) for strategy in strategies]

    def close_window() -> None:
        shape = survey.counts()
        for lane in lanes:
            lane.close_window(shape)

    done, keys = 0, None
    # the kernels hold no lock of Python's, so each core replays a scheme of its own
    with ThreadPoolExecutor(max_workers=max(1, min(len(lanes), os.cpu_count() or 1))) as pool:
        for columns, ends in _pieces(trace, every):
            frame = survey.feed(columns)
            numbers = survey.frame_numbers() if trace.mode == "system" else None
            keys = keys_of(columns, trace.mode, keys)
            batch = (columns, frame, numbers, keys)
            fed = [(lane, pool.submit(lane.replay.feed, *batch)) for lane in lanes]
            for lane, future in fed:
                try:
                    future.result()
                except SchemeStopped as error:
                    if not leave_out(lane.strategy, error):
                        raise
                    lanes.remove(lane)
            done += len(columns.op)
            if ends:
                close_window()
            if progress is not None:
                progress(label, done, trace.rows)
    if every is not None and (not done or done % every):
        close_window()
    shape = survey.counts()
    runs: list[Run] = []
    for lane in lanes:
        runs += [*lane.windows, Run(lane.strategy, None, _merge(shape, lane.replay.counts()))]
    return runs


def _pieces(trace: Any, every: int | None) -> Iterator[tuple[Columns, bool]]:
    """The trace's batches, cut where a window ends; True with the piece that ends one."""
    left = every
    for columns in trace.batches():
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
