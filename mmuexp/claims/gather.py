"""Where the evidence is from: counts that are committed in results/, counted anew, or of the user's recordings."""

from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from importlib import import_module
from pathlib import Path
from typing import Any

from mmuexp.claims.evidence import COMMITTED, COUNTED, YOURS, CountedRun, Evidence, Source, lacking_of, runs_of
from mmuexp.claims.windows98 import EXPERIMENTS as HABIT
from mmuexp.errors import MmuexpError, option
from mmuexp.guest import ADDRESS_BITS
from mmuexp.price.host import CALIBRATED, Profile, load_profile, user_folder
from mmuexp.rerun.about import LIVE
from mmuexp.rerun.measured import live_results, live_times
from mmuexp.result.saved import load
from mmuexp.result.table import Result

COUNTS = "counts.csv"
DAY = "pentium4-2004"  # the mail's
SWEEPS = {"map-block-bits": "map_block_bits", "pool-size": "pool_blocks"}  # the others are comparisons
GUEST = "habit-guest"  # the recordings that say what one store beside running code costs
Progress = Callable[[str, int, int | None], None]


def results_folder() -> Path:
    """results/ of the package, or of the repository that it runs from. Raises MmuexpError if there is neither."""
    places = []
    with suppress(ModuleNotFoundError):
        places += [Path(place) for place in import_module("mmuexp.results").__path__]
    places.append(Path(__file__).resolve().parents[2] / "results")
    for place in places:
        if place.is_dir():
            return place
    todo = f"test your own recordings: {option('traces', '')}"
    raise MmuexpError("this installation has no results", todo=todo)


def hosts_of(given: Any) -> list[Profile]:
    """The mail's day beside the host that is asked for: a calibrated one if there is one, else the present-day one."""
    if isinstance(given, list | tuple):
        asked = [one if isinstance(one, Profile) else load_profile(one) for one in given]
    else:
        if not isinstance(given, Profile) and (user_folder() / f"{CALIBRATED}.toml").is_file():
            given = CALIBRATED if given is None else f"{CALIBRATED}{given}" if str(given).startswith(",") else given
        asked = [load_profile(DAY), given if isinstance(given, Profile) else load_profile(given)]
    found = {profile.name: profile for profile in asked}
    if not found:
        raise MmuexpError("no host is named", where="host", todo="leave it out, or give a profile")
    return list(found.values())


def evidence_for(
    names: Iterable[str],
    *,
    hosts: Sequence[Profile],
    traces: Sequence[str] = (),
    replay: bool = False,
    store: bool = True,
    progress: Progress | None = None,
) -> Evidence:
    """The runs of these experiments. With `traces` each stands for every experiment of its kind; the measured runs of
    this repository's recordings are then left out, and the mail's day too, where all are guests of 64 bits and another
    host is there. Raises MmuexpError, TraceError."""
    names = list(dict.fromkeys(names))
    tables: dict[str, list[CountedRun]] = {}
    sources: dict[str, Source] = {}
    counted: list[Result] = []
    lacking: dict[str, str] = {}
    if traces:
        yours = _of_traces(traces, {SWEEPS.get(name) for name in names}, store, progress)
        counted = list(yours.values())
        for name in names:
            if result := yours.get(SWEEPS.get(name)):
                tables[name], sources[name] = runs_of(result), Source("", result.manifest["command"], YOURS)
                lacking |= lacking_of(result)
    else:
        folder = results_folder()
        for name in names:
            result, how = _experiment(folder / name, replay, progress, store)
            counted += [result] if result is not None and how == COUNTED else []
            if result is not None:
                tables[name], sources[name] = runs_of(result), Source(name, result.manifest.get("command", ""), how)
                lacking |= lacking_of(result)
    widths = {run.address_bits for one in counted for run in runs_of(one)} if traces else set()
    if widths and ADDRESS_BITS not in widths and len(hosts) > 1:
        hosts = [one for one in hosts if one.name != DAY]  # nobody ran such a guest then
    if set(HABIT) & set(names):
        tables[GUEST] = _guest() if traces else tables.get(HABIT[0], [])
    from_store = tuple(one for result in counted for one in result.manifest.get("from_store", []))
    live = ({}, "") if traces else _live(folder / LIVE)
    return Evidence(tables, hosts, sources, *live, from_store=from_store, lacking=lacking)


def _live(folder: Path) -> tuple[dict[tuple[str, str], float], str]:
    """(what was measured, on which machine) of the committed live runs."""
    results = live_results(folder).values()
    about = [one.manifest.get("prices", {}).get("host", {}).get("about", "") for one in results]
    times = {key: one.ns for key, one in live_times(results).items() if one.ns is not None}
    return times, "; ".join(dict.fromkeys(filter(None, about)))


def _guest() -> list[CountedRun]:
    """Our guest's recordings as committed; none in an installation without results."""
    with suppress(MmuexpError):
        if result := _experiment(results_folder() / HABIT[0], False, None)[0]:
            return runs_of(result)
    return []


def _experiment(folder: Path, replay: bool, progress: Progress | None, store: bool = True) -> tuple[Result | None, str]:
    """(its counts, how they came about). One whose recording is not here is not counted anew."""
    if replay and folder.is_dir():
        from mmuexp.rerun.about import read
        from mmuexp.rerun.command import calls_of, run

        about = read(folder)
        call = next(iter(calls_of(about).values()))
        # a recording of minutes or hours is made, and counted, on its own: `mmuexp rerun`
        if not call.missing and not about.recipe:
            return run(about, call, progress, store), COUNTED
    file = folder / COUNTS
    return load(str(file)) if file.is_file() else None, COMMITTED


def _of_traces(
    traces: Sequence[str], params: set[str | None], store: bool, progress: Progress | None
) -> dict[str | None, Result]:
    """Of the user's recordings: the comparison (None), and the sweeps that are wanted, by parameter."""
    from mmuexp.analysis.compare import compare, sweep

    how: dict[str, Any] = {"store": store, "progress": progress}
    command = ["mmuexp", "compare", *traces]
    found: dict[str | None, Result] = {None: compare(list(traces), **how, command=command)}
    for param in sorted(param for param in params if param):
        command = ["mmuexp", "sweep", param, *(word for trace in traces for word in ("--trace", trace))]
        found[param] = sweep(param, list(traces), strategy="map-block", **how, command=command)
    return found
