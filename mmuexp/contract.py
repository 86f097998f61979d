"""What every strategy must keep, whoever wrote it: the checks behind `mmuexp strategy check`.

Each check takes a strategy and returns nothing, or raises `Broken`. They replay short random traces that hold every op:
crossings, aliases, code pages, device memory, flushes. None knows what the scheme should count; they find state that
leaks between batches, a wrong SETTLED or LOST, code that means something else when it is compiled.
"""

import inspect
import json
import os
import subprocess
import sys
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np

from mmuexp.errors import MmuexpError
from mmuexp.guest import PAGE_BITS, PAGES, Columns, Op
from mmuexp.plausible import check_counts
from mmuexp.registry import parse_settings, strategies_of_file, strategy_class
from mmuexp.sample import FAR_APART, NEIGHBOURS, calm_trace, joined, rows_of_op, sample_trace
from mmuexp.strategy import Strategy

ROWS = 4000  # of a sample trace
INTERPRETED_ROWS = 800
MODES = ("user", "system")
CALLED_WITH = {"access": "s, e, n, row", "io": "s, e, n, row", "execute": "s, e, n", "protect": "s, e, n, frame"}
CALLED_WITH |= {"flush": "s, e, n", "flush_page": "s, e, n, page"}


class Broken(MmuexpError):
    """A strategy does not keep the contract."""


class Crashed(Broken):
    """Its rows cannot be replayed at all: the checks after it would say the same."""


def variants(cls: type[Strategy]) -> list[Strategy]:
    """The default, and each parameter at the ends of its sweep (the middle of the contract's ground)."""
    found = {str(cls()): cls()}
    for param in cls.params().values():
        for value in {*param.sweep[:1], *param.sweep[-1:]}:
            strategy = cls(**{param.name: value})
            found[str(strategy)] = strategy
    return list(found.values())


def replayed(strategy: Strategy, mode: str, seed: int, *, rows: int = ROWS, chunk: int = ROWS, filtered=True) -> dict:
    """Shape and event counts over a sample trace."""
    return counted_over(strategy, mode, sample_trace(seed, rows, mode), chunk=chunk, filtered=filtered)


def counted_over(strategy: Strategy, mode: str, columns: Columns, *, chunk: int = 1 << 20, filtered=True) -> dict:
    """Shape and event counts over these rows."""
    from mmuexp.replay import Replay
    from mmuexp.shape import Survey

    survey, replay = Survey(mode, "sample"), Replay(strategy, mode, filtered=filtered, where="sample")
    for first in range(0, len(columns.op), chunk):
        part = Columns(*(c[first : first + chunk] for c in columns))
        replay.feed(survey.feed(part))
    return survey.counts() | replay.counts()


def _same(a: dict, b: dict, strategy: Strategy, what: str, todo: str = "") -> None:
    for column in sorted(a.keys() | b.keys()):
        if a.get(column) != b.get(column):
            raise Broken(f"{strategy}: {what}: {column} is {a.get(column)} and {b.get(column)}", todo=todo)


def declares_itself(strategy: Strategy) -> None:
    """Name, docstring, listing, events and prices are there."""
    cls = type(strategy)
    module = sys.modules[cls.__module__]
    if not module.__doc__ and cls.__doc__.startswith(f"{cls.__name__}("):  # dataclass wrote that one
        raise Broken(f"{strategy.name}: no docstring says what the scheme is", todo="begin the file with one")
    if not cls.hit_insns():
        raise Broken(f"{strategy.name}: FAST_PATH lists no instruction", todo="give the hit path, one a line")
    for name, arguments in CALLED_WITH.items():
        function = getattr(cls.kernels, name)
        if not callable(getattr(function, "py_func", None)):
            raise Crashed(f"{strategy.name}: {name} is no kernel", todo="write @kernel above its def")
        if not _takes(function.py_func, len(arguments.split(", "))):
            raise Crashed(f"{strategy.name}: the kernel {name} is not def {function.__name__}({arguments})")
    known = set(cls.columns())
    faults = [c for c in known if c.startswith("faults_")]
    free = [c for c in faults if c not in strategy.price_list()]
    if free:
        raise Broken(
            f"{strategy.name}: {', '.join(sorted(free))} cost nothing", todo="a fault is never free: add a Cost"
        )
    counted = replayed(strategy, "user", 0, rows=0)
    for name, cost in strategy.price_list().items():
        if name not in counted:
            raise Broken(f"{strategy.name}: {name} has a price, but nothing counts it", todo="see Strategy.price_list")
        if name.startswith("faults_") and not (cost.signal and cost.insn):
            raise Broken(f"{strategy.name}: {name} is priced without a signal or without its handler's instructions")


def _takes(function: Callable, count: int) -> bool:
    try:
        inspect.signature(function).bind(*range(count))
    except TypeError:
        return False
    return True


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
        _same(replayed(strategy, mode, 1), replayed(strategy, mode, 1, chunk=97), strategy, "in one batch and in many")


def filter_does_not_matter(strategy: Strategy) -> None:
    """Skipping what was SETTLED counts the same as asking about every row."""
    for seed, mode in enumerate(MODES):
        calm = (calm_trace(mode, pages) for pages in (NEIGHBOURS, FAR_APART))
        for columns in (sample_trace(seed, ROWS, mode), *calm):
            skipping = counted_over(strategy, mode, columns)
            whole = counted_over(strategy, mode, columns, filtered=False)
            what = f"{mode} mode, with and without the filter (a wrong SETTLED or LOST)"
            _same(skipping, whole, strategy, what, "what is taken from other pages is told: unsettle(e, page), or LOST")


def replays_are_apart(strategy: Strategy) -> None:
    """A second replay does not see what the first one left behind."""
    _same(replayed(strategy, "system", 3), replayed(strategy, "system", 3), strategy, "the first and the second time")


def shape_is_the_traces(strategy: Strategy) -> None:
    """A strategy writes to its own state and counters only: shape counts are what the trace alone gives."""
    from mmuexp.shape import Survey

    for mode in MODES:
        survey = Survey(mode, "sample")
        survey.feed(sample_trace(2, ROWS, mode))
        counted = replayed(strategy, mode, 2)
        _same(survey.counts(), {c: counted.get(c) for c in survey.counts()}, strategy, "shape alone and with it")


def counts_add_up(strategy: Strategy) -> None:
    """Nothing is negative, no page is unmapped more often than mapped, no more is counted than can have happened."""
    for mode in MODES:
        check_counts(str(strategy), replayed(strategy, mode, 4))


def faults_are_logged(strategy: Strategy) -> None:
    """Every fault that is counted is logged, and a small log hands out the same faults as a large one."""
    from mmuexp.replay import Replay
    from mmuexp.shape import Survey

    for mode in MODES:
        logs = []
        for log in (1, 4 * ROWS):
            survey, replay = Survey(mode, "sample"), Replay(strategy, mode, where="sample", log=log)
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
            counts = counted_over(strategy, mode, joined(sample, rows_of_op(what, rows)))
            if counts["maps"] != counts["unmaps"]:
                left = counts["maps"] - counts["unmaps"]
                raise Broken(
                    f"{strategy}: {left} pages stay mapped after {what.name}", todo="look at its flush kernels"
                )


def compiled_is_interpreted(strategy: Strategy) -> None:
    """The kernels, run as plain Python (NUMBA_DISABLE_JIT=1, in a process of its own), count the same."""
    cls = type(strategy)
    source = cls.__name__ if cls.__module__.startswith("mmuexp.strategies.") else sys.modules[cls.__module__].__file__
    command = [sys.executable, "-m", "mmuexp.contract", str(source), strategy.name, str(strategy)]
    done = subprocess.run(
        command, env=os.environ | {"NUMBA_DISABLE_JIT": "1"}, capture_output=True, text=True, timeout=60
    )
    if done.returncode:
        raise Crashed(f"{strategy}: as plain Python: {done.stderr.strip().splitlines()[-1]}")
    for mode, counts in json.loads(done.stdout).items():
        _same(replayed(strategy, mode, 5, rows=INTERPRETED_ROWS), counts, strategy, "compiled and as plain Python")


CHECKS: tuple[Callable[[Strategy], None], ...] = (
    declares_itself,
    spec_round_trip,
    compiled_is_interpreted,  # first of all that replays rows: compiled, a wrong index is memory overwritten
    empty_trace,
    chunks_do_not_matter,
    filter_does_not_matter,
    replays_are_apart,
    shape_is_the_traces,
    counts_add_up,
    faults_are_logged,
    flushes_unmap,
)


def _why(error: Exception) -> str:
    """One line: what somebody's code raised and where. numba says what is wrong on lines of their own."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    telling = [
        line for line in lines if line.startswith(("Unknown attribute", "No implementation", "NameError", "File "))
    ]
    at = traceback.extract_tb(error.__traceback__)[-1]
    said = " ".join(telling[:2] or lines[:1])
    return f"{type(error).__name__}: {said}" + ("" if telling else f" ({Path(at.filename).name}:{at.lineno})")


def check(cls: type[Strategy]) -> Iterator[tuple[str, MmuexpError | None]]:
    """Run every check over every variant of a strategy: (what was checked, None or what is wrong)."""
    try:
        strategies = variants(cls)
    except Exception as error:
        yield "its sweeps are in range", Broken(f"{cls.name}: {type(error).__name__}: {error}")
        return
    for one in CHECKS:
        wrong = None
        # interpreting is slow, and its meaning does not hang on the parameters
        for strategy in strategies[:1] if one is compiled_is_interpreted else strategies:
            try:
                one(strategy)
            except MmuexpError as error:
                wrong = error
            except Exception as error:  # somebody's file may do anything
                wrong = Crashed(f"{strategy}: {_why(error)}")
            if wrong:
                break
        yield one.__doc__.partition("\n")[0].rstrip("."), wrong
        if isinstance(wrong, Crashed):
            return


def _interpreted(source: str, name: str, spec: str) -> None:
    cls = next(c for c in strategies_of_file(Path(source)) if c.name == name) if source.endswith(".py") else None
    strategy = parse_settings(cls or strategy_class(name), spec.split(",")[1:], spec)
    try:
        print(json.dumps({mode: replayed(strategy, mode, 5, rows=INTERPRETED_ROWS) for mode in MODES}))
    except Exception as error:  # somebody's kernels may do anything
        sys.exit(_why(error))


if __name__ == "__main__":
    _interpreted(*sys.argv[1:])
