"""An experiment whose counting is done by a cluster; opening, keeping, pricing and errors are as in any other.

Before the traces are gone through here, all that the store does not have is sent out in pieces (spread.py). What comes
back is kept in the store at once, and taken where another experiment would replay.
"""

import os
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack, nullcontext
from dataclasses import dataclass
from functools import partial
from importlib import import_module
from threading import Thread
from typing import Any

from mmuexp.analysis.experiment import Experiment
from mmuexp.analysis.given import label_of
from mmuexp.analysis.ledger import Replayed
from mmuexp.analysis.spread import Facts, Spread, Task, spread_over
from mmuexp.analysis.stored import RUNS, how_cut
from mmuexp.errors import TraceError
from mmuexp.progress import Progress
from mmuexp.strategy.registry import possible_schemes
from mmuexp.trace.fetch import is_url

Part = tuple[str | None, int | None]  # a trace at a load address


@dataclass(kw_only=True)
class Elsewhere(Experiment):
    """An experiment that is counted by the cluster at an address."""

    REPLAYS_HERE = False

    cluster: str

    def _open_all(self, kept: ExitStack) -> tuple[dict[str | None, tuple[ExitStack, Any]], list[Any]]:
        self._from_store: dict[Part, Mapping[str, Any]] = {}
        self._counted: dict[Part, dict[str, Any]] = {}
        self._trouble: dict[str | None, Exception] = {}
        self._connection = kept.enter_context(ExitStack())
        schemes = possible_schemes(self.strategies, self.reference)
        how: dict[str, Any] = {"cuts": list(self.cuts), "thread": self.thread, "jobs": self.jobs}
        self._spread: Spread = self._connection.enter_context(spread_over(self.cluster, schemes, **how))
        # this machine need not have what only a URL tells
        urls = [path for path in self.traces if path is not None and is_url(path)]
        self._looked = self._spread.look(urls, label_of) if urls else {}
        return super()._open_all(kept)

    def _open(self, path: str | None) -> tuple[ExitStack, Any]:
        found = self._looked.get(path) if path is not None else None
        if found is None:
            return super()._open(path)
        if isinstance(found, Exception):
            raise found
        return ExitStack(), found

    def _count_elsewhere(self, opened: Mapping[str | None, tuple[ExitStack, Any]], schemes: Sequence[Any]) -> str:
        tasks: list[Task] = []
        try:
            for path in self.traces:
                if path not in self._failed:
                    with self._may_fail(path):
                        stack, trace = (nullcontext(), opened[path][1]) if path in opened else self._open(path)
                        with stack:
                            tasks += self._tasks(path, trace)
            if self.progress is not None and None in self.traces:  # a remark hangs on it
                self.progress(label_of(None), 0, None)
            import_module("pandas")  # in half a second, which ^C would not wait for
            self._spread.count(tasks, self.progress)
        except KeyboardInterrupt:
            if not any(self._counted.values()) and not any(self._from_store.values()):
                raise
            # what is done is saved meanwhile
            Thread(target=self._connection.pop_all().close, name="cluster", daemon=True).start()
            return f"interrupted after {self._spread.done:,} of {self._spread.pieces:,} pieces"
        self._connection.close()
        return ""

    def _tasks(self, path: str | None, trace: Any) -> list[Task]:
        """What of a trace is not in the store, at each load address."""
        chosen, _ = self._schemes_for(trace)
        place = trace.worker if isinstance(trace, Facts) else ""
        found = []
        for seed in [None] if self.seeds is None else self.seeds:
            part = path, seed
            known = self._from_store[part] = super()._known(path, trace, chosen, seed)
            self._counted[part] = {}
            left = [strategy for strategy in chosen if str(strategy) not in known]
            if left:
                there = path if path is None or is_url(path) else os.path.abspath(path)
                digest, failed = trace.sha256(), partial(self._note, path)
                may = [str(one) for one in left if self._may_leave_out(str(one))]
                keep = partial(self._keep, part, trace.path, digest, {str(one): one for one in left})
                found.append(Task(label_of(path), there, digest, trace.file_rows, place, left, may, seed, keep, failed))
        return found

    def _keep(
        self, part: Part, path: str, sha256: str, schemes: Mapping[str, Any], values: Mapping[str, Any], after: str
    ) -> None:
        """Take what a worker counted of a trace that had this digest before, and keep it if it has it still."""
        self._counted[part] |= values
        counted = [(schemes[spec], value) for spec, value in values.items()]
        how = how_cut(self.cuts, self.thread, part[1])
        self._store.keep_of(RUNS, path, sha256, counted, how, unchanged=lambda: after == sha256)

    def _note(self, path: str | None, error: Exception) -> None:
        """A piece failed: with a recording of a corpus it costs that one's row, else it ends the run."""
        if not (isinstance(error, TraceError) and self.traces[path]):
            raise error
        self._trouble.setdefault(path, error)

    def _known(self, path: str | None, trace: Any, schemes: Sequence[Any], seed: int | None) -> Mapping[str, Any]:
        if path in self._trouble:
            raise self._trouble[path]
        return self._from_store.get((path, seed), {})

    def _replay(
        self,
        path: str | None,
        trace: Any,
        schemes: Sequence[Any],
        done: Replayed,
        progress: Progress | None,
        digest: Callable[[], str],
    ) -> None:
        self._take(self._counted.get((path, done.load_seed), {}), schemes, done, counted=True)
