"""Why softmmu's TLB fills: compulsory, flush, write right, capacity and conflict. Behind `mmuexp misses`.

A fill of the direct-mapped TLB gets the first of these that fits (Hill's three, and two that this TLB adds):

compulsory   the page was never looked up before in this mode (kernel, user)
flush        it was, but not since FLUSH or FLUSH_PAGE dropped it
write_right  the first store to a page that was entered when clean, and so without the right to write
capacity     a fully associative TLB of as many entries, least recently used out first, fills here too
conflict     it does not: other pages of the same set pushed the page out

The first three are those fills that a TLB without limit makes too. So they do not depend on where the program was
loaded, nor does `lru_fills`, all fills of the fully associative TLB; what remains does. The sum is `tlb_fills` of the
softmmu scheme, exactly. Where LRU is a bad choice, the fully associative TLB fills more often than the direct-mapped
one: tlb_fills - lru_fills, which is Hill's number of conflict misses, may be negative. `conflict` here is not.
"""

import os
from collections.abc import Iterable, Sequence
from functools import cached_property
from typing import Any

import numpy as np

from mmuexp.analysis.given import given_traces, label_of, opened_trace
from mmuexp.analysis.stored import MISSES, Stored, opened_store
from mmuexp.errors import UsageError
from mmuexp.guest import PAGES
from mmuexp.progress import Progress
from mmuexp.result import manifest
from mmuexp.result.misses import KIND, KINDS, frame_of
from mmuexp.result.table import Result
from mmuexp.strategy.registry import given_strategies
from mmuexp.trace.loadseed import checked_seeds
from mmuexp.trace.regions import JOIN_PAGES, MOVE_BITS, Region, offsets_of, regions_of
from mmuexp.trace.threads import checked_thread


def misses(
    traces: str | os.PathLike | Iterable | None = None,
    strategies: Any = None,
    *,
    load_seed: int | Iterable[int] = 0,
    join_pages: int = JOIN_PAGES,
    move_bits: int = MOVE_BITS,
    thread: int | str | None = None,
    store: bool = True,
    progress: Progress | None = None,
    command: Sequence[str] | None = None,
) -> Result:
    """What each TLB fill was needed for: a row for each trace, strategy and load seed, see COLUMNS.

    Arguments are those of `mmuexp.tlb_misses`. `lookups` are those of the TLB: one for each page that an access to RAM
    touches. Raises UsageError for specs and seeds that are wrong, TraceError for traces that are.
    """
    chosen = given_strategies("softmmu" if strategies is None else strategies)
    for strategy in chosen:
        if strategy.name != "softmmu":
            what = f"{strategy} has no direct-mapped TLB whose fills could be told apart"
            raise UsageError(what, where="strategy", todo="give softmmu, or softmmu,tlb_bits=N")
    seeds = checked_seeds(list(dict.fromkeys([load_seed] if isinstance(load_seed, int) else load_seed)))
    started, records, facts, one = manifest.utc_now(), [], [], checked_thread(thread)
    from_store: list[dict[str, Any]] = []
    with opened_store(store) as kept:
        for path in given_traces(traces):
            label = label_of(path)
            with opened_trace(path, one) as trace, kept.digested(trace, None) as digest:
                count = _Count(trace, label, seeds, join_pages, move_bits, one, kept, digest())
                for strategy in chosen:
                    records += count.of(strategy, progress)
                facts.append(manifest.trace_facts(trace, label, digest()))
                if count.from_store:
                    from_store.append({"trace": label, "strategies": count.from_store})
    about: dict[str, Any] = {"strategies": [manifest.expanded(strategy) for strategy in chosen], "traces": facts}
    about |= {"load_seed": seeds, "join_pages": join_pages, "move_bits": move_bits, "parameters": ["load_seed"]}
    about["from_store"] = from_store
    whole = manifest.of_run(KIND, command, started, "yes", **about)
    frame = frame_of(records)
    frame.attrs["manifest"] = whole
    return Result(KIND, frame, whole, ("load_seed",))


class _Count:
    """Counts, or finds in the store, the fills of one open trace at several load addresses."""

    def __init__(self, trace: Any, label: str, seeds: Sequence[int], join_pages: int, move_bits: int, *more: Any):
        self.trace, self.label, self.seeds = trace, label, seeds
        self.join_pages, self.move_bits = join_pages, move_bits
        self.thread, self.store, self.digest = more
        self.from_store: list[str] = []  # specs of which nothing was counted now
        offsets_of([], 0, move_bits)  # refuses what is out of range, also where nothing is counted

    @cached_property
    def regions(self) -> list[Region]:
        return regions_of(self.trace, self.join_pages) if any(self.seeds) else [Region(0, PAGES)]

    def of(self, strategy: Any, progress: Progress | None) -> list[dict[str, Any]]:
        """The records of one scheme, by load seed."""
        found: dict[int, dict[str, Any]] = {}
        for seed in self.seeds:
            known = self.store.known(MISSES, self.trace, [strategy], self._how(seed))
            if known:
                found[seed] = known[str(strategy)]
        left = [seed for seed in self.seeds if seed not in found]
        if left:
            found |= self.counted(strategy, left, progress)
        else:
            self.from_store.append(str(strategy))
            if progress is not None:
                progress(self.label, self.trace.file_rows, self.trace.rows)
        regions = next((one["regions"] for one in found.values() if one["regions"] is not None), None)
        return [self._record(strategy, seed, found[seed], regions) for seed in self.seeds]

    def _how(self, seed: int) -> dict[str, Any]:
        """What decides the counts, beside the trace and the scheme."""
        moved = {"join_pages": self.join_pages, "move_bits": self.move_bits} if seed else {}
        return {"load_seed": seed, "thread": self.thread, **moved}

    def counted(self, strategy: Any, seeds: Sequence[int], progress: Progress | None) -> dict[int, dict[str, Any]]:
        """What is to be kept of each of these load addresses."""
        from mmuexp.analysis.tlbmisses import split

        offsets = np.array(
            [offsets_of(self.regions, seed, self.move_bits, self.trace.address_bits) for seed in seeds], np.int64
        ).T
        fills, shared = split(self.trace, strategy.tlb_bits, self.regions, offsets, self.label, progress)
        found = {}
        for seed, counts in zip(seeds, fills.tolist(), strict=True):
            found[seed] = {"counts": counts, "shared": shared, "regions": len(self.regions) if seed else None}
            self.store.keep(MISSES, self.trace, self.digest, [(strategy, found[seed])], self._how(seed))
        return found

    def _record(self, strategy: Any, seed: int, found: dict[str, Any], regions: int | None) -> dict[str, Any]:
        counts = found["counts"]
        told = {"trace": self.label, "strategy": str(strategy), "load_seed": seed, "tlb_fills": sum(counts)}
        return {**found["shared"], **told, **dict(zip(KINDS, counts, strict=True)), "regions": regions}


def recounted(trace: Any, strategy: Any, what: dict[str, Any], label: str, progress: Progress | None) -> dict[str, Any]:
    """Count again what the store holds of one load address; `what` is its identity."""
    seed = what["load_seed"]
    moved = (what["join_pages"], what["move_bits"]) if seed else (JOIN_PAGES, MOVE_BITS)
    count = _Count(trace, label, [seed], *moved, what["thread"], Stored(None), "")
    return count.counted(strategy, [seed], progress)[seed]
