"""Measures what translation costs on this processor: each scheme's engine beside a loop without translation.

Every engine runs the same rows in turn, a batch at a time, the bare loop among them, and its time is subtracted: what
is left is translation, with its helpers, faults and host calls. A run over the trace is a round; the figure is the
median of the rounds. Rounds are added until every two schemes are told apart, or the time that is allowed has passed.

Three things keep the noise of a shared machine out. Times are processor time, so that what else the machine does is not
in them. All engines run on one processor, in turns of some milliseconds, so that a slow moment meets them all; in
shorter ones much of what is measured is how caches fill anew, which other engines used. And schemes are told apart by
the differences between them round by round, in which the bare loop and what all share is not.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from itertools import combinations
from statistics import median
from typing import Any, NamedTuple

import numpy as np

from mmuexp.arguments import positive, whole_number
from mmuexp.errors import UsageError, option
from mmuexp.guest import Columns, Op
from mmuexp.live.process import Engine
from mmuexp.progress import Progress
from mmuexp.replay.survey import Survey
from mmuexp.strategy import Strategy

SECONDS = 10.0  # of one trace, unless the caller says otherwise
LEAST_ROUNDS = 7  # before anything is told apart
UNCERTAIN = 20  # the median lies outside its interval once in so many cases at most


class Budget(NamedTuple):
    """So many `rounds`, or where that is None as many as tell all schemes apart, in about so many `seconds`."""

    rounds: int | None = None
    seconds: float = SECONDS


class TimedRun(NamedTuple):
    """ns an access of one scheme on one trace: the median of the rounds, the least and the most of them."""

    ns: float
    least_ns: float
    most_ns: float
    loop_ns: float  # of the bare loop, which is subtracted
    low_ns: float  # the interval in which the median lies
    high_ns: float
    rounds: int

    @property
    def spread_ns(self) -> float:
        return self.most_ns - self.least_ns


def given_budget(rounds: Any = None, seconds: Any = None, *, live: bool = False) -> Budget | None:
    """How often the engines run; None if they do not. Raises UsageError."""
    rounds = whole_number(rounds, "rounds", "give whole rounds")
    for name, given in (("rounds", rounds), ("seconds", seconds)):
        if given is not None and not live:
            raise UsageError("nothing is measured", where=option(name), todo=f"say {option('live', True)}, too")
    if rounds is not None and seconds is not None:
        todo = f"leave {option('seconds', '')} out, or {option('rounds', '')}"
        raise UsageError(f"{rounds} rounds take as long as they take", where=option("seconds"), todo=todo)
    if rounds is not None and rounds < 1:
        raise UsageError(f"{rounds} rounds", where=option("rounds"), todo="give at least 1")
    if not live:
        return None
    return Budget(rounds, SECONDS if seconds is None else float(positive(seconds, "seconds", "give seconds")))


def measure(
    trace: Any,
    strategies: Sequence[Strategy],
    label: str = "",
    *,
    budget: Budget = Budget(),  # noqa: B008  (it cannot change)
    warmup: int = 0,
    progress: Progress | None = None,
    between: Callable[[], None] = lambda: None,
) -> list[TimedRun]:
    """Measure each strategy over an open trace, of which the first `warmup` rows run and are not timed.

    `between` is called before each round, and after the last; its time is not of the budget. Raises NoEngine,
    EngineFailed, TraceError.
    """
    times: list[list[float]] = [[] for _ in strategies]
    loops: list[float] = []
    spent = 0.0
    while not _enough(times, len(loops), spent, budget):
        between()
        began = time.monotonic()
        loop_ns, found = _round(trace, strategies, label, warmup, len(loops), budget.rounds, progress)
        spent += time.monotonic() - began
        loops.append(loop_ns)
        for mine, ns in zip(times, found, strict=True):
            mine.append(ns)
    between()
    loop_ns = median(loops)
    return [TimedRun(median(mine), min(mine), max(mine), loop_ns, *interval(mine), len(mine)) for mine in times]


def _enough(times: list[list[float]], done: int, spent: float, budget: Budget) -> bool:
    if budget.rounds is not None:
        return done >= budget.rounds
    if not done:
        return False
    if spent * (done + 1) / done > budget.seconds:
        return True
    return done >= LEAST_ROUNDS and all(apart(one, other) for one, other in combinations(times, 2))


def apart(one: Sequence[float], other: Sequence[float]) -> bool:
    """Do the rounds of two schemes, which were taken together, tell which of them is the faster?"""
    low, high = interval([a - b for a, b in zip(one, other, strict=True)])
    return low > 0 or high < 0


def interval(rounds: Sequence[float]) -> tuple[float, float]:
    """Where the median lies, however the rounds are spread: between two of them, but for one case in UNCERTAIN.

    A round lies below the median as often as a coin falls on one side. Fewer than six rounds cannot be as certain:
    theirs is the least and the most.
    """
    ordered, n = sorted(rounds), len(rounds)
    at, outcomes, outside = 0, 1, 1  # of 2**n outcomes, those with exactly, and with at most, `at` rounds below
    while 2 * UNCERTAIN * outside <= 2**n:
        outcomes = outcomes * (n - at) // (at + 1)
        outside += outcomes
        at += 1
    at = max(0, at - 1)
    return ordered[at], ordered[n - 1 - at]


def _round(
    trace: Any,
    strategies: Sequence[Strategy],
    label: str,
    warmup: int,
    turn: int,
    rounds: int | None,
    progress: Progress | None,
) -> tuple[float, list[float]]:
    """(the bare loop, each strategy beyond it), ns an access, of one run over the trace; the warm-up is not timed."""
    survey = Survey(trace.mode, label)
    spent, loop_ns, before = [0] * len(strategies), 0, (trace.rows or 0) * turn
    rows = None if trace.rows is None or rounds is None else trace.rows * rounds
    with ExitStack() as stack:
        cpu = max(os.sched_getaffinity(0))
        how: Any = {"checked": False, "cpu": cpu, "address_bits": trace.address_bits}
        bare = stack.enter_context(Engine(None, trace.mode, **how))
        engines = [stack.enter_context(Engine(one, trace.mode, **how)) for one in strategies]
        first = untimed = 0  # this turn's first row; accesses of the warm-up
        for number, columns in enumerate(_turns(trace, survey, warmup)):
            at = (turn + number) % (len(engines) + 1)  # none is always first, or always last
            for engine in [*engines[at:], bare, *engines[:at]]:
                engine.feed(columns)
            if first < warmup:
                untimed += int(np.count_nonzero(columns.op < Op.EXEC))
            else:
                loop_ns += bare.cpu_ns
                spent = [ns + engine.cpu_ns for ns, engine in zip(spent, engines, strict=True)]
            first += len(columns.op)
            before += len(columns.op)
            if progress is not None:
                progress(f"{label}, for real", before, rows)
    accesses = max(1, survey.counts()["accesses"] - untimed)
    return loop_ns / accesses, [(ns - loop_ns) / accesses for ns in spent]


def _turns(trace: Any, survey: Survey, warmup: int) -> Iterator[Columns]:
    """The rows in turns; one ends where the warm-up does."""
    done = 0
    for columns in trace.batches():
        survey.check(columns)
        rows = len(columns.op)
        cold = min(max(0, warmup - done), rows)
        for first, last in ((0, cold), (cold, rows)):
            if first < last:
                yield Columns(*(column[first:last] for column in columns))
        done += rows
