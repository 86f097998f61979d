"""What every strategy must keep, whoever wrote it: the checks behind `mmuexp strategy check`.

Each check takes a strategy and returns nothing, or raises `Broken`. They replay short random traces that hold every op:
crossings, aliases, code pages, device memory, flushes. None knows what the scheme should count; they find state that
leaks between batches, a wrong SETTLED or LOST, code that means something else when it is compiled.
"""

import json
import os
import subprocess
import sys
import traceback
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from mmuexp.contract.sample import (
    FAR_APART,
    NEIGHBOURS,
    QUIET_PAGES,
    calm_trace,
    joined,
    rows_of_op,
    sample_trace,
    touch_of,
)
from mmuexp.contract.trial import MODES, ROWS, Broken, Crashed, counted_over, pair, replayed, same
from mmuexp.errors import MmuexpError, SchemeStopped, TraceError
from mmuexp.events import CODE, Event
from mmuexp.guest import PAGE_BITS, PAGES, Columns, Op
from mmuexp.replay.plausible import check_counts
from mmuexp.runtime import interrupt
from mmuexp.strategy import Strategy
from mmuexp.strategy.bounds import is_own, remember_passed
from mmuexp.strategy.mistakes import Mistake, declared, place_of, scheme_files, what_of
from mmuexp.strategy.registry import parse_settings, strategies_of_file, strategy_class

INTERPRETED_ROWS = 800
COUNTED_FOR_ALL = {Event.PEAK_MAPPINGS, *CODE}  # by the replay, whatever a scheme has
LOG = 1 << 16  # faults of a recording that are held at once


def variants(cls: type[Strategy]) -> list[Strategy]:
    """The default, and each parameter at the ends of its sweep, as a sweep of it alone sets the others."""
    found = {str(cls()): cls()}
    for param in cls.params().values():
        for value in {*param.sweep[:1], *param.sweep[-1:]}:
            others = next(iter(param.companions.values()), {})
            strategy = cls(**{**others, param.name: value})
            found[str(strategy)] = strategy
    return list(found.values())


def declares_itself(strategy: Strategy) -> None:
    """Name, docstring, listing, events and prices are there."""
    cls = type(strategy)
    module = sys.modules[cls.__module__]
    try:
        declared(cls)
    except MmuexpError as error:
        raise Crashed(error.what, where=error.where, todo=error.todo) from None
    if not module.__doc__ and (cls.__doc__ or "").startswith(f"{cls.__name__}("):  # dataclass wrote that one
        raise Broken(f"{strategy.name}: no docstring says what the scheme is", todo="begin the file with one")
    if not strategy.hit_insns():
        raise Broken(f"{strategy.name}: FAST_PATH lists no instruction", todo="give the hit path, one a line")
    known = set(cls.columns())
    faults = [c for c in known if c.startswith("faults_")]
    free = [c for c in faults if c not in strategy.price_list()]
    if free:
        what = f"{strategy.name}: {', '.join(sorted(free))} cost nothing"
        raise Broken(what, todo="a fault is never free: add a Cost")
    counted = replayed(strategy, "user", 0, rows=0)
    for name, cost in strategy.price_list().items():
        if name not in counted and name not in strategy.lacks():
            raise Broken(f"{strategy.name}: {name} has a price, but nothing counts it", todo="see Strategy.price_list")
        if name.startswith("faults_") and not (cost.signal and cost.insn):
            raise Broken(f"{strategy.name}: {name} is priced without a signal or without its handler's instructions")


def spec_round_trip(strategy: Strategy) -> None:
    """str() of a strategy, parsed, is the same strategy."""
    name, *settings = str(strategy).split(",")
    again = parse_settings(type(strategy), settings, str(strategy))
    if name != strategy.name or again != strategy or str(again) != str(strategy):
        raise Broken(f"{strategy} comes back from its spec as {again}")


def empty_trace(strategy: Strategy) -> None:
    """Nothing happened, so nothing is counted; the untouched reserve is one mapping."""
    sizes = {"table_bytes", "reserved_bytes"}
    for mode in MODES:
        for column, count in replayed(strategy, mode, 0, rows=0).items():
            if column not in sizes and count != (1 if column == "peak_mappings" else 0):
                raise Broken(f"{strategy}: {column} is {count} for an empty trace")


def chunks_do_not_matter(strategy: Strategy) -> None:
    """The same rows in one batch and in small ones count the same."""
    for mode in MODES:
        same(replayed(strategy, mode, 1), replayed(strategy, mode, 1, chunk=97), strategy, "in one batch and in many")


def filter_does_not_matter(strategy: Strategy) -> None:
    """Skipping what was SETTLED counts the same as asking about every row."""
    for seed, mode in enumerate(MODES):
        calm = (calm_trace(mode, pages) for pages in (NEIGHBOURS, FAR_APART))
        for columns in (sample_trace(seed, ROWS, mode), *calm):
            skipping = counted_over(strategy, mode, columns)
            whole = counted_over(strategy, mode, columns, filtered=False)
            what = f"{mode} mode, with and without the filter (a wrong SETTLED or LOST)"
            same(skipping, whole, strategy, what, "what is taken from other pages is told: unsettle(e, page), or LOST")


def replays_are_apart(strategy: Strategy) -> None:
    """A second replay does not see what the first one left behind."""
    same(replayed(strategy, "system", 3), replayed(strategy, "system", 3), strategy, "the first and the second time")


def shape_is_the_traces(strategy: Strategy) -> None:
    """A strategy writes to its own state and counters only: shape counts are what the trace alone gives."""
    from mmuexp.replay.survey import Survey

    for mode in MODES:
        survey = Survey(mode, "sample")
        survey.feed(sample_trace(2, ROWS, mode))
        counted = replayed(strategy, mode, 2)
        same(survey.counts(), {c: counted.get(c) for c in survey.counts()}, strategy, "shape alone and with it")


def counts_are_declared(strategy: Strategy) -> None:
    """What is counted is declared in `events`, or no table would show it and it would cost nothing."""
    columns = strategy.columns().values()
    for mode in MODES:
        survey, replay = pair(strategy, mode)
        replay.feed(survey.feed(sample_trace(1, ROWS, mode)))
        for at in np.flatnonzero(replay.counters).tolist():
            if at not in columns and at not in COUNTED_FOR_ALL:
                todo = f"add Event.{Event(at).name} to events, with what it means here"
                raise Broken(f"{strategy}: {Event(at).column} is counted, and not declared", todo=todo)


def counts_add_up(strategy: Strategy) -> None:
    """Nothing is negative, no page is unmapped more often than mapped, no more is counted than can have happened."""
    for mode in MODES:
        check_counts(str(strategy), replayed(strategy, mode, 4))


def faults_are_logged(strategy: Strategy) -> None:
    """Every fault that is counted is logged, and a small log hands out the same faults as a large one."""
    for mode in MODES:
        logs = []
        for log in (1, 4 * ROWS):
            survey, replay = pair(strategy, mode, log=log)
            sample = sample_trace(7, ROWS, mode)
            replay.feed(survey.feed(sample))
            logs.append(replay.faults())
            replay.check_log()
        if not np.array_equal(*logs):
            raise Broken(f"{strategy}: a small log of its faults is not the same as a large one")


def flushes_unmap(strategy: Strategy) -> None:
    """FLUSH unmaps everything, and FLUSH_PAGE of every page does, too."""
    if "maps" not in strategy.columns():
        return
    for mode in MODES:
        sample = sample_trace(6, ROWS, mode)
        pages = np.unique(np.concatenate([sample.vaddr >> PAGE_BITS, ((sample.vaddr >> PAGE_BITS) + 1) % PAGES]))
        for what, rows in ((Op.FLUSH, np.zeros(1, np.uint32)), (Op.FLUSH_PAGE, pages << PAGE_BITS)):
            if what == Op.FLUSH and strategy.keeps_over_flush():
                continue
            counts = counted_over(strategy, mode, joined(sample, rows_of_op(what, rows)))
            if counts["maps"] != counts["unmaps"]:
                left = counts["maps"] - counts["unmaps"]
                told = f"{strategy}: {left} pages stay mapped after {what.name}"
                raise Broken(told, todo="look at its flush kernels")


def flushes_drop(strategy: Strategy) -> None:
    """After FLUSH or FLUSH_PAGE the next touch of a page counts something again, if its first touch did."""
    for mode in MODES:
        for op in (Op.LOAD, Op.STORE):
            for what in (Op.FLUSH_PAGE,) if strategy.keeps_over_flush() else (Op.FLUSH, Op.FLUSH_PAGE):
                survey, replay = pair(strategy, mode)
                for number, page in enumerate(QUIET_PAGES):
                    touch = touch_of(op, page, number, mode)
                    counted = [_counted(survey, replay, touch) for _ in range(4)]
                    drop = rows_of_op(what, np.array([page << PAGE_BITS if what == Op.FLUSH_PAGE else 0]))
                    _counted(survey, replay, drop)
                    again = _counted(survey, replay, touch)
                    if counted[0] != counted[-1] == again:
                        of_page = "of the page " if what == Op.FLUSH_PAGE else ""
                        told = f"a {op.name} of page {page:#x} after {what.name} counts nothing"
                        todo = f"look at its kernel {what.name.lower()}: every translation {of_page}is dropped"
                        raise Broken(f"{strategy}: {mode} mode, {told}", todo=todo)


def _counted(survey: Any, replay: Any, rows: Columns) -> dict[str, int]:
    """What the scheme counts of these rows."""
    before = replay.counts()
    replay.feed(survey.feed(rows))
    after = replay.counts()
    return {column: after[column] - before[column] for column in replay.strategy.columns() if column in after}


def compiled_is_interpreted(strategy: Strategy) -> None:
    """The kernels, run as plain Python (NUMBA_DISABLE_JIT=1, in a process of its own), count the same."""
    cls = type(strategy)
    source = cls.__name__ if cls.__module__.startswith("mmuexp.strategies.") else sys.modules[cls.__module__].__file__
    command = [sys.executable, "-m", "mmuexp.contract.rules", str(source), strategy.name, str(strategy)]
    done = subprocess.run(
        command, env=os.environ | {"NUMBA_DISABLE_JIT": "1"}, capture_output=True, text=True, timeout=60
    )
    if done.returncode:
        raise Crashed(f"{strategy}: as plain Python: {done.stderr.strip().splitlines()[-1]}")
    for mode, counts in json.loads(done.stdout).items():
        same(replayed(strategy, mode, 5, rows=INTERPRETED_ROWS), counts, strategy, "compiled and as plain Python")


CHECKS: tuple[Callable[[Strategy], None], ...] = (
    declares_itself,
    spec_round_trip,
    compiled_is_interpreted,  # first of all that replays rows: compiled, a wrong index is memory overwritten
    empty_trace,
    chunks_do_not_matter,
    filter_does_not_matter,
    replays_are_apart,
    shape_is_the_traces,
    counts_are_declared,
    counts_add_up,
    faults_are_logged,
    flushes_unmap,
    flushes_drop,
)


def _why(error: BaseException, cls: type[Strategy]) -> str:
    """One line: what somebody's code raised and where."""
    place = place_of(error, scheme_files(cls))
    if not place and (stack := traceback.extract_tb(error.__traceback__)):
        place = f"{stack[-1].filename}:{stack[-1].lineno}"
    return f"{what_of(error)} ({Path(place).name})" if place else what_of(error)


def check(cls: type[Strategy], traces: Sequence[str] = ()) -> Iterator[tuple[str, MmuexpError | None]]:
    """Run every check over every variant of a strategy: (what was checked, None or what is wrong). `traces`: on these
    recordings, too. A source that passes is remembered: it needs no bounds checks from then on."""
    try:
        strategies = variants(cls)
    except BaseException as error:
        interrupt.raise_if_asked()
        yield "its sweeps are in range", Broken(f"{cls.name}: {_why(error, cls)}")
        return
    passed = True
    checks: list[Any] = [*CHECKS, *(partial(keeps_it_on, path) for path in traces)]
    for one in checks:
        # interpreting is slow, and its meaning does not hang on the parameters
        wrong = _wrong(one, strategies[:1] if one is compiled_is_interpreted else strategies)
        if isinstance(one, partial):
            yield f"{one.args[0]}: with and without the filter, sums, the log of faults", wrong
        else:
            yield (one.__doc__ or "").partition("\n")[0].rstrip("."), wrong
        passed = passed and wrong is None
        if isinstance(wrong, Crashed):
            return
    if passed and not is_own(cls):
        remember_passed(cls)


def _wrong(one: Callable[[Strategy], None], strategies: list[Strategy]) -> MmuexpError | None:
    for strategy in strategies:
        try:
            one(strategy)
        except SchemeStopped as error:
            return error
        except Mistake as error:
            return Crashed(error.what, where=error.where)
        except TraceError:
            raise  # no scheme can be checked on it
        except MmuexpError as error:
            return error
        except BaseException as error:  # somebody's file may do anything
            interrupt.raise_if_asked()
            return Crashed(f"{strategy}: {_why(error, type(strategy))}")
    return None


def keeps_it_on(path: str, strategy: Strategy) -> None:
    """On a recording: the filter does not matter, sums and the log of faults are right."""
    from mmuexp.trace import open_trace

    with open_trace(path) as trace:
        survey, skipping = pair(strategy, trace.mode, log=LOG)
        _, whole = pair(strategy, trace.mode, filtered=False)
        stopped: dict[Any, SchemeStopped] = {}
        for columns in trace.batches():
            rows = survey.feed(columns)
            for replay in (skipping, whole):
                try:
                    replay.feed(rows)
                    replay.faults()
                except SchemeStopped as error:
                    stopped[replay] = error
            if stopped:
                break
    if len({error.row for error in stopped.values()}) + len(stopped) not in (0, 3):
        raise Broken(f"{strategy}: {path}: stops with the filter, or without it, and not with both")
    if not stopped:
        what = f"{path}, with and without the filter (a wrong SETTLED or LOST)"
        same(skipping.counts(), whole.counts(), strategy, what)
        skipping.check_log()
        check_counts(str(strategy), survey.counts() | skipping.counts())


def _interpreted(source: str, name: str, spec: str) -> None:
    cls = next(c for c in strategies_of_file(Path(source)) if c.name == name) if source.endswith(".py") else None
    strategy = parse_settings(cls or strategy_class(name), spec.split(",")[1:], spec)
    try:
        print(json.dumps({mode: replayed(strategy, mode, 5, rows=INTERPRETED_ROWS) for mode in MODES}))
    except MmuexpError as error:
        sys.exit(f"{error.what} ({Path(error.where).name})" if error.where else error.what)
    except BaseException as error:  # somebody's kernels may do anything
        interrupt.raise_if_asked()
        sys.exit(_why(error, type(strategy)))


if __name__ == "__main__":
    _interpreted(*sys.argv[1:])
