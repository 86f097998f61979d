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
import sys
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from mmuexp.analysis.given import given_traces, label_of, opened_trace
from mmuexp.errors import UsageError
from mmuexp.guest import PAGES
from mmuexp.progress import Progress
from mmuexp.result import manifest
from mmuexp.result.table import IDENTITY, Result
from mmuexp.strategy.registry import given_strategies
from mmuexp.trace.loadseed import checked_seeds
from mmuexp.trace.regions import JOIN_PAGES, MOVE_BITS, Region, offsets_of, regions_of
from mmuexp.trace.threads import checked_thread

KIND = "misses"  # of the Result
KINDS = ("compulsory", "flush", "write_right", "capacity", "conflict")  # MissKind in tlbmisses.py
COLUMNS = ("trace", "strategy", "load_seed", "tlb_fills", *KINDS, "lru_fills", "lookups", "rows", "flushes", "regions")


def misses(
    traces: str | os.PathLike | Iterable | None = None,
    strategies: Any = None,
    *,
    load_seed: int | Iterable[int] = 0,
    join_pages: int = JOIN_PAGES,
    move_bits: int = MOVE_BITS,
    thread: int | str | None = None,
    progress: Progress | None = None,
    command: Sequence[str] | None = None,
) -> Result:
    """What each TLB fill was needed for: a row for each trace, strategy and load seed, see COLUMNS.

    traces      a path or several; None is the trace that comes with the package
    strategies  softmmu specs ("softmmu,tlb_bits=6"); None is softmmu
    load_seed  where the program was loaded (mmuexp.trace.relocate): 0 is as recorded; others for user-mode traces only
    join_pages, move_bits   what a region is, and how far it moves
    thread      as for compare
    progress    called with (trace, rows done, rows in all)

    Counts are whole numbers; `lookups` are those of the TLB: one for each page that an access to RAM touches.
    Raises UsageError for specs and seeds that are wrong, TraceError for traces that are.
    """
    from mmuexp.analysis.tlbmisses import split

    chosen = given_strategies("softmmu" if strategies is None else strategies)
    for strategy in chosen:
        if strategy.name != "softmmu":
            what = f"{strategy} has no direct-mapped TLB whose fills could be told apart"
            raise UsageError(what, where="strategy", todo="give softmmu, or softmmu,tlb_bits=N")
    seeds = checked_seeds(list(dict.fromkeys([load_seed] if isinstance(load_seed, int) else load_seed)))
    started, records, facts, one = manifest.utc_now(), [], [], checked_thread(thread)
    for path in given_traces(traces):
        label = label_of(path)
        with opened_trace(path, one) as trace:
            facts.append(manifest.trace_facts(trace, label))
            moved = any(seeds)
            regions = regions_of(trace, join_pages) if moved else [Region(0, PAGES)]
            offsets = np.array([offsets_of(regions, seed, move_bits) for seed in seeds], np.int64).T
            for strategy in chosen:
                fills, shared = split(trace, strategy.tlb_bits, regions, offsets, label, progress)
                known = shared | {"trace": label, "strategy": str(strategy), "regions": len(regions) if moved else None}
                for seed, counts in zip(seeds, fills.tolist(), strict=True):
                    each = dict(zip(KINDS, counts, strict=True))
                    records.append(known | {"load_seed": seed, "tlb_fills": sum(counts)} | each)
    about: dict[str, Any] = {"strategies": [manifest.expanded(strategy) for strategy in chosen], "traces": facts}
    about |= {"load_seed": seeds, "join_pages": join_pages, "move_bits": move_bits, "parameters": ["load_seed"]}
    said = sys.argv if command is None else command
    whole = manifest.of_run(KIND, said, started, "yes", **about)
    frame = frame_of(records)
    frame.attrs["manifest"] = whole
    return Result(KIND, frame, whole, ("load_seed",))


def frame_of(records: list[dict]) -> Any:
    """Rows, by the names in COLUMNS, as a DataFrame."""
    import pandas as pd

    frame = pd.DataFrame(records, columns=list(COLUMNS))
    return frame.astype({name: "Int64" for name in COLUMNS if name not in IDENTITY})
