"""Asks the store for what was counted before, and keeps what is counted now."""

import json
import os
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any

from mmuexp.analysis.cuts import Cuts
from mmuexp.analysis.passes import Run
from mmuexp.result import manifest
from mmuexp.store import identity
from mmuexp.store.database import Database, Entry, store_path
from mmuexp.strategy.bounds import is_own
from mmuexp.trace import sha256
from mmuexp.trace.fetch import is_url

RUNS, MISSES = "runs", "misses"  # kinds of what is kept


class Stored:
    """The store as one command sees it. Without a database nothing is known, and nothing kept."""

    def __init__(self, database: Database | None):
        self._database = database
        told = {} if database is None else database.file_digests()
        sha256.tell({_numbers(state): digest for state, digest in told.items()})

    def digested(self, trace: Any, jobs: int | None) -> AbstractContextManager[Callable[[], str]]:
        """As manifest.digested. Where there is a store, the digest comes before the work: the counts' name needs it."""
        if self._database is None:
            return manifest.digested(trace, jobs)
        digest = trace.sha256()
        self._database.keep_file_digests({_text(state): found for state, found in sha256.taken().items()})
        return nullcontext(lambda: digest)

    def known(self, kind: str, trace: Any, strategies: Iterable[Any], how: Mapping[str, Any]) -> dict[str, Any]:
        """What was counted of these on this trace, by spec. `how` is what else decides the counts."""
        if self._database is None:
            return {}
        named = self._identities(kind, trace.sha256(), strategies, how)
        found = self._database.found(named.values())
        return {spec: json.loads(found[one]) for spec, one in named.items() if one in found}

    def keep(
        self, kind: str, trace: Any, digest: str, counted: Sequence[tuple[Any, Any]], how: Mapping[str, Any]
    ) -> None:
        """Keep what was counted, (strategy, value) each, of a trace that had this digest before the work.

        Not if the file, or a source, has changed meanwhile: nobody knows then what was counted.
        """
        self.keep_of(kind, trace.path, digest, counted, how, unchanged=lambda: trace.sha256() == digest)

    def keep_of(
        self,
        kind: str,
        path: str,
        digest: str,
        counted: Sequence[tuple[Any, Any]],
        how: Mapping[str, Any],
        *,
        unchanged: Callable[[], bool],
    ) -> None:
        """The same of a trace that lies at `path`; `unchanged` tells whether its digest is still the one."""
        if self._database is None or not unchanged():
            return
        named = self._identities(kind, digest, [strategy for strategy, _ in counted], how)
        entries = [
            Entry(named[str(strategy)], _origin(path, strategy), json.dumps(value).encode())
            for strategy, value in counted
            if str(strategy) in named
        ]
        self._database.keep(entries)

    def _identities(self, kind: str, digest: str, strategies: Iterable[Any], how: Mapping[str, Any]) -> dict[str, str]:
        ours = identity.sources()
        if ours is None:
            return {}
        schemes: dict[type, str | None] = {}
        named: dict[str, str] = {}
        for strategy in strategies:
            cls = type(strategy)
            if cls not in schemes:
                schemes[cls] = identity.scheme(cls)
            if (of_scheme := schemes[cls]) is not None:
                named[str(strategy)] = identity.identity(kind, digest, str(strategy), of_scheme, ours, dict(how))
        return named


@contextmanager
def opened_store(wanted: bool = True) -> Iterator[Stored]:
    """The user's store; none if it is not `wanted`."""
    path = store_path() if wanted else None
    if path is None:
        yield Stored(None)
        return
    with Database(path) as database:
        yield Stored(database)


def how_cut(cuts: Cuts, thread: int | None, load_seed: int | None) -> dict[str, Any]:
    """What decides the counts of a replay, beside the trace and the scheme."""
    halves = cuts.halves and not cuts.warmup and cuts.every is None
    return {"cuts": [cuts.warmup, cuts.every, halves], "thread": thread, "load_seed": load_seed or 0}


def value_of(runs: Sequence[Run]) -> dict[str, Any]:
    """The windows and the total of one scheme, as they are kept."""
    return {"runs": [[run.window, run.counts, run.second_half] for run in runs]}


def stopped(why: str) -> dict[str, Any]:
    """What is kept of a scheme that cannot serve the trace."""
    return {"stopped": why}


def runs_of(strategy: Any, value: Mapping[str, Any]) -> list[Run]:
    """The same, of what was kept; empty for a scheme that stopped."""
    return [Run(strategy, *each) for each in value.get("runs", [])]


def _origin(path: str, strategy: Any) -> str:
    """Where the recording and the scheme's file lay, for `store verify`."""
    module = sys.modules[type(strategy).__module__]
    found = {
        "path": path if is_url(path) else os.path.abspath(path),
        "scheme": None if is_own(type(strategy)) else module.__file__,
    }
    return json.dumps(found)


def _text(state: Sequence[int]) -> str:
    return ",".join(map(str, state))


def _numbers(state: str) -> tuple[int, ...]:
    return tuple(int(number) for number in state.split(","))
