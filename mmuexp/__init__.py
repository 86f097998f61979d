"""The notebook's interface: the commands of `mmuexp` as functions; the command line adds nothing to them.

    >>> import mmuexp
    >>> table = mmuexp.compare("gzip.arrow", ["softmmu", "map-block,map_block_bits=20"])

A trace is given by its path, a scheme by its spec ("map-block,evict=lifo") or as a Strategy object; of both there may
be one or several. Tables are pandas DataFrames; times in them are nanoseconds where the name ends in `_ns` or is `ns`,
sizes are bytes, counts are whole numbers, and what is unknown is missing. `.attrs["manifest"]` says how one was made.
Errors are `mmuexp.errors.MmuexpError`: UsageError for arguments that are wrong, TraceError for traces that are.

Everything else is imported when it is first used (PEP 562 for `open_trace`): importing mmuexp costs nothing.
"""

from __future__ import annotations

TYPE_CHECKING = False  # as of typing, which takes milliseconds to import; type checkers take it as true
if TYPE_CHECKING:
    import os
    from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
    from typing import Any, TypeAlias

    import pandas as pd

    from mmuexp.analysis.verify import Verified
    from mmuexp.live.calibrate import Calibration
    from mmuexp.price.host import Profile
    from mmuexp.record.session import Recording
    from mmuexp.report.build import Overview
    from mmuexp.rerun.rerun import Outcome
    from mmuexp.strategy import Strategy
    from mmuexp.trace import open_trace as open_trace

    __version__: str
    Path: TypeAlias = str | os.PathLike[str]
    Traces: TypeAlias = Path | Iterable[Path | None] | None
    Scheme: TypeAlias = str | Strategy
    Schemes: TypeAlias = Scheme | Iterable[Scheme] | None
    Host: TypeAlias = Path | Profile
    Progress: TypeAlias = Callable[[str, int, int | None], None]

__all__ = [
    "__version__",
    "calibrate",
    "claims",
    "compare",
    "diff",
    "faults",
    "open_trace",
    "record",
    "report",
    "reprice",
    "rerun",
    "sweep",
    "tlb_misses",
    "verify",
]


def compare(
    traces: Traces = None,
    strategies: Schemes = None,
    *,
    reference: Scheme | None = None,
    host: Host | None = None,
    every: int | None = None,
    warmup: int | None = None,
    live: bool = False,
    rounds: int | None = None,
    seconds: float | None = None,
    thread: int | str | None = None,
    jobs: int | None = None,
    store: bool = True,
    cluster: str | None = None,
    progress: Progress | None = None,
) -> pd.DataFrame:
    """Replay traces under schemes: a tidy DataFrame, a row each trace and scheme (and window).

    traces      None is the bundled trace; a path may be a folder, a list (.txt) or a pattern: of these, one that cannot
                be replayed is told in the manifest's `failed`, and the others go on
    strategies  None is all schemes, less those that cannot serve the trace (`left_out` in the manifest)
    reference   the scheme that others are measured against; None is softmmu, else the first
    host        the profile whose prices are taken: a name, a path or a Profile; None is the present-day one
    every       cut each trace in windows of that many rows (column `window_index`, from 0)
    warmup      count from that row on, with all that the rows before it left behind; windows begin there
    live        also run each scheme for real, and append what translation takes on this host
    rounds      how often it is run for real; None is until schemes are told apart, or `seconds` are over
    seconds     about as long as that may take for each trace; None is 10
    thread      the number of the thread whose rows are replayed; None, or "all", is all of them
    jobs        threads that replay; None is one a core
    store       take what was counted before of the same rows, and keep what is counted now
    cluster     the address of a Dask scheduler ("tcp://host:8786") whose workers count, or "local:N"; None counts here
    progress    called with (trace, rows done, rows in all or None)

    Raises UsageError, TraceError.
    """
    from mmuexp.analysis import compare as made

    more: dict[str, Any] = {"warmup": warmup, "live": live, "rounds": rounds, "seconds": seconds}
    more |= {"thread": thread, "jobs": jobs, "store": store, "cluster": cluster, "progress": progress}
    return made.compare(traces, strategies, reference=reference, host=host, every=every, **more).frame


def sweep(
    params: str | Iterable[str] | Mapping[str, Iterable[object]],
    traces: Traces = None,
    *,
    strategy: str | None = None,
    reference: Scheme | None = None,
    host: Host | None = None,
    warmup: int | None = None,
    thread: int | str | None = None,
    jobs: int | None = None,
    store: bool = True,
    cluster: str | None = None,
    progress: Progress | None = None,
) -> pd.DataFrame:
    """Replay traces over parameter values: as `compare`, a row each combination, with a column for each parameter.

    params     "map_block_bits", "map_block_bits=12..22:2", several such, or a mapping to values; without values the
               range that the scheme declares; load_seed is where a program was loaded
    strategy   the scheme whose parameters they are, as a spec that may fix others; None finds the only one
    The rest is as for `compare`. Raises UsageError, TraceError.
    """
    from mmuexp.analysis import compare as made

    more: dict[str, Any] = {"warmup": warmup, "thread": thread, "jobs": jobs, "store": store}
    more |= {"cluster": cluster, "progress": progress}
    return made.sweep(params, traces, strategy=strategy, reference=reference, host=host, **more).frame


def faults(
    trace: Path | None, strategy: Scheme, *, thread: int | str | None = None, progress: Progress | None = None
) -> pd.DataFrame:
    """List every host fault of one trace (None is the bundled one) under a scheme: a DataFrame, a row each.

    Columns: row vaddr cause block page; block is missing where the scheme has none. It is held in memory, some 50
    bytes a fault; `mmuexp faults` of the command line streams it to a file. Raises UsageError, TraceError.
    """
    from mmuexp.analysis import faults as listed

    return listed.faults(trace, strategy, thread=thread, progress=progress)


def tlb_misses(
    traces: Traces = None,
    strategies: Schemes = None,
    *,
    load_seed: int | Iterable[int] = 0,
    join_pages: int = 256,
    move_bits: int = 8,
    thread: int | str | None = None,
    store: bool = True,
    progress: Progress | None = None,
) -> pd.DataFrame:
    """Tell why softmmu's TLB fills (compulsory, flush, write right, capacity, conflict): a DataFrame of counts.

    A row each trace, softmmu spec (None is softmmu) and load seed. Raises UsageError, TraceError.

    load_seed   where a user-mode program was loaded; 0 is as recorded
    join_pages  pages that lie at most so far apart move together
    move_bits   a region moves by one of 2**move_bits offsets, in pages
    store       as for `compare`
    """
    from mmuexp.analysis.misses import misses

    moved: dict[str, Any] = {"load_seed": load_seed, "join_pages": join_pages, "move_bits": move_bits}
    return misses(traces, strategies, **moved, thread=thread, store=store, progress=progress).frame


def record(
    command: Sequence[str],
    output: Path,
    *,
    system: bool = False,
    guest: str | None = None,
    skip: int = 0,
    limit: int | None = None,
    time_limit: float | None = None,
    start_at_pc: str | None = None,
    start_on_output: str | None = None,
    stop_on_output: str | None = None,
    root: Path | None = None,
    force: bool = False,
    licence: str | None = None,
    note: Callable[[str], None] | None = None,
) -> Recording:
    """Record an x86 Linux program, of 32 bits or 64, or a whole guest, under QEMU, and write its trace to `output`.

    command          the program and its arguments; with `system` the arguments of qemu-system-i386
    guest            with `system` which QEMU that is, "i386" (None) or "x86_64"; a program's file tells
    skip, limit      leave so many rows out; record at most so many
    time_limit       end it after so many seconds
    start_at_pc      begin when the program executes an address ("0x8049000") or a symbol
    start_on_output  begin when a guest has printed this text
    stop_on_output   end when a guest has printed this text
    root             the folder where a program's loader and libraries are looked up first
    force            overwrite an earlier recording of that name
    licence          what the trace may be used under, written into it
    note             called with each remark, a line; None drops them

    Returns a Recording: path rows size_bytes seconds complete window exit_code, the last one being the program's own.
    Raises MmuexpError for what cannot be run, recorded or written.
    """
    from mmuexp.record.call import called

    only = {"root": root, "start_at_pc": start_at_pc}
    only |= {"guest": guest, "start_on_output": start_on_output, "stop_on_output": stop_on_output}
    how = {"skip": skip, "limit": limit, "seconds": time_limit, "force": force, "licence": licence, "note": note}
    return called(command, output, system=system, only=only, how=how)


def verify(
    traces: Traces = None,
    strategies: Schemes = None,
    *,
    thread: int | str | None = None,
    time_limit: float | None = None,
    memory_mb: int | None = None,
    progress: Progress | None = None,
    note: Callable[[str], None] | None = None,
) -> Verified:
    """Run schemes for real, with mmap and SIGSEGV on this processor, and compare with the model.

    time_limit  end an engine that takes so many seconds over 2**20 rows; None is 120
    memory_mb   refuse a trace whose guest RAM, and the reference beside it, take more megabytes; None is 2000
    note        called with a line for each scheme that is left out; None drops them

    Returns what was found: `.equal`, `.frame` (a row each trace, scheme and event), `.outcomes`, `.manifest`.
    Raises UsageError, TraceError, and MmuexpError for a scheme without an engine, or an engine that fails.
    """
    from mmuexp.analysis import verify as check

    limits = {"time_limit": time_limit, "memory_mb": memory_mb, "note": note}
    given: dict[str, Any] = {name: value for name, value in limits.items() if value is not None}
    return check.verify(traces, strategies, thread=thread, progress=progress, **given)


def calibrate(*, rounds: int = 15, progress: Progress | None = None) -> Calibration:
    """Measure what this host takes for a signal, a map, a fault, an instruction; some 10 s.

    rounds  how often everything is measured, 3 to 10,000; figures are medians

    Returns a Calibration: `.prices` and `.also` map names to figures in ns, with their spread; `.profile()` is the host
    for `compare(host=...)`. Raises UsageError, and MmuexpError where all is noise or no C compiler is there.
    """
    from mmuexp.live import calibrate as live

    return live.calibrate(rounds=rounds, progress=progress)


def claims(
    traces: Traces = None,
    *,
    only: int | Iterable[int] | None = None,
    host: Host | Sequence[Host] | None = None,
    replay: bool = False,
    store: bool = True,
    progress: Progress | None = None,
) -> pd.DataFrame:
    """Test the mail's claims: a DataFrame, a row a figure, case, condition or verdict.

    traces  None takes the counts of results/; paths are recordings of yours
    only    numbers of claims; None is all
    host    a profile, priced beside that of 2004 (unless all of yours are guests of 64 bits); a list is taken as it is;
            None is a calibrated one, if there is one
    replay  count anew what results/ has from recordings that are here
    store   as for `compare`

    `mmuexp.claims.report.claims` gives the findings as objects. Raises UsageError, TraceError.
    """
    from mmuexp.claims import report

    return report.claims(traces, only=only, host=host, replay=replay, store=store, progress=progress).frame


def report(results: Path | None = None, *, host: Host | Sequence[Host] | None = None) -> Overview:
    """Build the page of `mmuexp report`: `.html()` is its text, `.manifest` what it was made of.

    results  a folder of experiments, else MmuexpError is raised; None is that of mmuexp
    host     a profile, beside that of 2004; a list is taken as it is
    """
    from mmuexp.report import build

    return build.report(results, host=host)


def diff(
    a: Path | pd.DataFrame, b: Path | pd.DataFrame, *, columns: Collection[str] | None = None, tolerance: float = 0.0
) -> pd.DataFrame:
    """Say what changed between two results (paths, or what compare and sweep return): a DataFrame, a row a change.

    columns    compare these alone
    tolerance  relative; numbers that are not whole may differ by so much

    Columns: change trace strategy window_index column a b difference ratio. Raises UsageError, MmuexpError.
    """
    from mmuexp.render import difffile

    return difffile.diff_of(a, b, columns=columns, tolerance=tolerance).frame


def reprice(result: Path | pd.DataFrame, host: Host | None = None, *, strategies: Schemes = None) -> pd.DataFrame:
    """Price a saved result, or what compare and sweep returned, at another host, without a replay.

    host        the profile whose prices are taken: a name, a path or a Profile; None is the present-day one
    strategies  schemes of files of your own ("mine.py") that the result holds

    Raises UsageError, and MmuexpError for a result without the counts that prices need.
    """
    from mmuexp.analysis import reprice as anew
    from mmuexp.render.difffile import given_result

    return anew.reprice(given_result(result, "reprice"), host, strategies=strategies).frame


def rerun(
    folder: Path,
    *,
    check: bool = False,
    saved: bool = False,
    reprice: bool = False,
    store: bool = True,
    progress: Progress | None = None,
) -> Outcome:
    """Make an experiment's folder again from its experiment.toml.

    check    write nothing, and say what would change
    saved    do not replay: take the tables that are there, and make the report and the chart alone
    reprice  do not replay: price the counts that are there anew, and make all again
    store    as for `compare`

    Returns `results` (name of a command -> DataFrame in `.frame`), `differences`, `troubles`, `written`.
    Raises MmuexpError for an experiment.toml that is not valid, and a recording that is not here.
    """
    from mmuexp.rerun import rerun as folders

    return folders.rerun(folder, check=check, saved=saved, reprice=reprice, store=store, progress=progress)


if not TYPE_CHECKING:  # a type checker that saw it would take any name for one of ours

    def __getattr__(name: str) -> object:
        from importlib import import_module

        if name == "__version__":
            return import_module("mmuexp.version").version()
        if name == "open_trace":
            return import_module("mmuexp.trace").open_trace
        raise AttributeError(f"module 'mmuexp' has no attribute {name!r}")


def __dir__() -> list[str]:
    return __all__
