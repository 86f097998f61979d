"""What translation costs on this processor: each scheme's engine beside a loop without translation, over the same rows.

Per batch every engine runs the same rows in turn, the bare loop among them, and its time is subtracted: what is left
is translation, with its helpers, faults and host calls. A run over the trace is a round; the figure is the median of
the rounds, with their spread. Times are processor time, so that what else the machine does is not in them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import ExitStack
from statistics import median
from typing import Any, NamedTuple

from mmuexp.live.engine import Engine
from mmuexp.progress import Progress
from mmuexp.shape import Survey
from mmuexp.strategy import Strategy

ROUNDS = 5


class Measured(NamedTuple):
    """ns an access of one scheme on one trace: the median of the rounds, the least and the most of them."""

    ns: float
    least_ns: float
    most_ns: float
    loop_ns: float  # of the bare loop, which is subtracted

    @property
    def spread_ns(self) -> float:
        return self.most_ns - self.least_ns


def measure(
    trace: Any,
    strategies: Sequence[Strategy],
    label: str = "",
    *,
    rounds: int = ROUNDS,
    progress: Progress | None = None,
    between: Callable[[], None] = lambda: None,
) -> list[Measured]:
    """Measure each strategy over an open trace. `between` is called before each round, and after the last.

    Raises NoEngine, EngineFailed, TraceError.
    """
    times: list[list[float]] = [[] for _ in strategies]
    loops: list[float] = []
    rows, shown = None if trace.rows is None else trace.rows * rounds, f"{label}, for real"
    done = 0
    for turn in range(rounds):
        between()
        survey = Survey(trace.mode, label)
        spent, loop_ns = [0] * len(strategies), 0
        with ExitStack() as stack:
            bare = stack.enter_context(Engine(None, trace.mode, checked=False))
            engines = [stack.enter_context(Engine(strategy, trace.mode, checked=False)) for strategy in strategies]
            for number, columns in enumerate(trace.batches()):
                survey.feed(columns)
                at = (turn + number) % (len(engines) + 1)  # none is always first, or always last
                order = [*engines[at:], bare, *engines[:at]]
                for engine in order:
                    engine.feed(columns)
                loop_ns += bare.cpu_ns
                spent = [ns + engine.cpu_ns for ns, engine in zip(spent, engines, strict=True)]
                done += len(columns.op)
                if progress is not None:
                    progress(shown, done, rows)
        accesses = max(1, survey.counts()["accesses"])
        loops.append(loop_ns / accesses)
        for found, ns in zip(times, spent, strict=True):
            found.append((ns - loop_ns) / accesses)
    between()
    return [Measured(median(found), min(found), max(found), median(loops)) for found in times]
