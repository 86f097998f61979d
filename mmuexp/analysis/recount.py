"""Counts again what the store holds, and says whether it is the same: behind `mmuexp store verify`."""

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from mmuexp.analysis.cuts import Cuts
from mmuexp.analysis.given import opened_trace
from mmuexp.analysis.misses import recounted
from mmuexp.analysis.passes import run_passes
from mmuexp.analysis.stored import MISSES, stopped, value_of
from mmuexp.errors import MmuexpError, SchemeStopped
from mmuexp.progress import Progress
from mmuexp.store import identity
from mmuexp.store.database import Entry
from mmuexp.strategy.registry import parse_spec
from mmuexp.trace.relocate import at_load_seeds

EQUAL, DIFFERS, CANNOT = "equal", "differs", "cannot be counted again"


@dataclass(frozen=True)
class Recounted:
    """What came of an entry: `outcome` is EQUAL, DIFFERS or CANNOT, and then `why` says why."""

    path: str
    spec: str
    outcome: str
    why: str
    entry: Entry


def recount(entries: Iterable[Entry], progress: Progress | None = None) -> Iterator[Recounted]:
    """Count each entry again from its recording. One whose recording or sources are others by now cannot be."""
    for entry in entries:
        what, origin = json.loads(entry.identity), json.loads(entry.origin)
        why = ""
        try:
            value = _value(what, origin, progress)
            outcome = EQUAL if value == json.loads(entry.value) else DIFFERS
        except MmuexpError as error:
            outcome, why = CANNOT, str(error)
        yield Recounted(origin["path"], what["spec"], outcome, why, entry)


def _value(what: dict[str, Any], origin: dict[str, Any], progress: Progress | None) -> Any:
    """What is counted now. Raises MmuexpError where it would be counted of something else."""
    path, (name, *settings) = origin["path"], what["spec"].split(",")
    strategy = parse_spec(",".join([origin["scheme"] or name, *settings]))
    with opened_trace(path, what["thread"]) as trace:
        digest, of_scheme, ours = trace.sha256(), identity.scheme(type(strategy)), identity.sources()
        if digest != what["trace"]:
            raise MmuexpError("is another recording by now", where=path)
        how = {name: value for name, value in what.items() if name not in identity.NAMES}
        again = identity.identity(what["kind"], digest, str(strategy), of_scheme or "", ours or "", how)
        if json.loads(again) != what:
            raise MmuexpError("its sources, or mmuexp's, are others by now", where=what["spec"])
        if what["kind"] == MISSES:
            return recounted(trace, strategy, what, path, progress)
        return _of_runs(trace, strategy, what, path, progress)


def _of_runs(trace: Any, strategy: Any, what: dict[str, Any], path: str, progress: Progress | None) -> Any:
    stops: list[str] = []

    def leave_out(_strategy: Any, error: SchemeStopped) -> bool:
        stops.append(error.what)
        return True

    _, moved = next(iter(at_load_seeds(trace, [what["load_seed"]] if what["load_seed"] else None)))
    options: dict[str, Any] = {"cuts": Cuts(*what["cuts"]), "progress": progress, "leave_out": leave_out}
    runs = [run for some in run_passes(moved, [strategy], label=path, **options) for run in some]
    return json.loads(json.dumps(stopped(stops[0]) if stops else value_of(runs)))
