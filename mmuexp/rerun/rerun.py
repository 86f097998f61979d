"""`rerun`: an experiment's folder made again from its experiment.toml, or checked against what is there.

counts.csv (a table for each command) and its manifest, report.md, chart.svg. Everything is claimed before the work and
appears whole. A check writes nothing; it compares integers exactly, and floats, which are counts times prices, to a
part in 10**9 (another library may round a last digit elsewhere).
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from mmuexp.analysis import misses
from mmuexp.analysis.reprice import reprice as anew
from mmuexp.errors import MmuexpError, UsageError, did_you_mean, reason_of, refuse_itself
from mmuexp.price.host import profile_of_dict
from mmuexp.render.export import Output
from mmuexp.rerun.about import FILE, About, read
from mmuexp.rerun.command import Call, calls_of, run
from mmuexp.rerun.report import CHART, ExperimentReport
from mmuexp.result.difference import Difference, diff
from mmuexp.result.saved import load
from mmuexp.result.table import LIVE, Result

REPORT = "report.md"
HOME = "results"  # where experiments are looked for by their bare names
TOLERANCE = 1e-9
Progress = Callable[[str, int, "int | None"], None]


@dataclass(frozen=True)
class Outcome:
    """Of one folder. `differences`: name of a command -> what a check found changed (empty: equal).

    `troubles` are lines on what is wrong apart from that: an answer that does not hold, a stale report. `written` are
    the files.
    """

    name: str
    results: Mapping[str, Result]
    differences: Mapping[str, Difference] = field(default_factory=dict)
    troubles: tuple[str, ...] = ()
    written: tuple[str, ...] = ()

    @property
    def failed(self) -> bool:
        return bool(self.troubles) or any(self.differences.values())


def made_file(path: Path) -> Output:
    """Claim a text or a picture, which has no manifest of its own."""
    return Output(str(path), {".md": bytes, ".svg": bytes}, beside=False)


def find(name: str) -> Path:
    """The folder of an experiment: a path, or its name in results/. Raises UsageError."""
    for path in (Path(name), Path(HOME) / name):
        if path.is_dir():
            return path.resolve()
    otherwise = "give the path of one that holds an experiment.toml"
    hint = did_you_mean(name, [path.name for path in experiments(Path(HOME))], otherwise)
    raise UsageError("is not a folder", where=name, todo=hint)


def experiments(home: Path) -> list[Path]:
    """The folders in `home` that hold an experiment, by name."""
    return [path.parent.resolve() for path in sorted(home.glob(f"*/{FILE}"))]


def rerun(
    folder: str | os.PathLike[str],
    *,
    check: bool = False,
    saved: bool = False,
    reprice: bool = False,
    store: bool = True,
    progress: Progress | None = None,
) -> Outcome:
    """Make an experiment's folder again; arguments are those of `mmuexp.rerun`.

    Raises MmuexpError for an experiment.toml that is not valid, and a recording that is not here.
    """
    if saved and reprice:
        raise UsageError("saved and reprice exclude each other", where="rerun", todo="give one of them")
    about = read(Path(folder).resolve())
    calls = calls_of(about)

    def counted(name: str, call: Call) -> Result:
        if not (saved or reprice):
            done = run(about, call, progress, store)
            done.manifest.pop("unchecked", None)  # tests check what is published; a report is the same on every machine
            return done
        found = _saved(about, name)
        return _repriced(about, name, call, found) if reprice else found

    if check:
        return _check(about, calls, None if saved else counted, replayed=not reprice)
    with _claimed(about, {} if saved else calls) as files:
        results = {name: counted(name, call) for name, call in calls.items()}
        report = ExperimentReport(about, results)
        contents = {REPORT: report.text().encode(), CHART: report.chart()}
        for name in () if saved else calls:
            files[f"{name}.csv"].save(results[name])
        for name in [name for name in contents if name in files]:
            files[name].save(contents[name], {})
        written = tuple(file.path for file in files.values())
    return Outcome(about.name, results, {}, tuple(report.broken), written)


@contextlib.contextmanager
def _claimed(about: About, tables: Mapping[str, Call]) -> Iterator[dict[str, Output]]:
    names = [f"{name}.csv" for name in tables] + [REPORT] + ([CHART] if about.chart else [])
    files: dict[str, Output] = {}
    try:
        for name in names:
            for recording in [file for call in tables.values() for file in call.traces.values() if file]:
                refuse_itself(recording, about.folder / name, "is a recording that the experiment reads")
            path = about.folder / name
            files[name] = Output(str(path)) if path.suffix == ".csv" else made_file(path)
        yield files
    finally:
        for file in files.values():
            file.discard()


def _repriced(about: About, name: str, call: Call, found: Result) -> Result:
    """The saved counts at the prices of the command's host; what was priced while it was measured stays at those."""
    if call.kind == misses.KIND:  # it holds no prices
        return found
    host = call.options.get("host")
    if host is None and call.live:
        host = profile_of_dict(found.manifest.get("prices", {}).get("host", {}), f"{about.name}, {name}.csv")
    return anew(found, host, strategies=call.strategies or None)


def _saved(about: About, name: str) -> Result:
    path = about.folder / f"{name}.csv"
    if not path.is_file():
        raise MmuexpError(f"has no {path.name} yet", where=about.name, todo="make it: `mmuexp rerun` without an option")
    return load(str(path))


def _check(
    about: About, calls: Mapping[str, Call], counted: Callable[[str, Call], Result] | None, *, replayed: bool
) -> Outcome:
    """Compare what is saved with what is `counted` now, if anything is."""
    before = {name: _saved(about, name) for name in calls}  # fails before the work
    measured = {name for name, call in calls.items() if call.live and counted and replayed}
    results = {name: counted(name, call) for name, call in calls.items()} if counted else before
    found = {name: _difference(before[name], results[name], name in measured) for name in calls} if counted else {}
    report = ExperimentReport(about, results)
    troubles = list(report.broken)
    if not any(found.values()) and not measured and _text(about.folder / REPORT) != report.text():
        troubles.append(f"{REPORT} is not what its experiment.toml and its counts say; `mmuexp rerun` writes it anew")
    if about.chart is not None and not (about.folder / CHART).is_file():
        troubles.append(f"{CHART} is not there; `mmuexp rerun` draws it")
    return Outcome(about.name, results, found, tuple(troubles))


def _difference(before: Result, after: Result, measured: bool) -> Difference:
    """Measured figures differ from run to run, and with them every price: of those integers alone are compared."""
    if not measured:
        return diff(before, after, tolerance=TOLERANCE)
    kinds = after.frame.dtypes
    whole = [name for name in after.frame.columns if kinds[name].kind in "iu" and name not in LIVE]
    return diff(before, after, columns=whole)


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8", errors="replace")
    except OSError as error:
        what = f"cannot be read: {reason_of(error)}"
        raise MmuexpError(what, where=str(path), todo="make it: mmuexp rerun") from None
