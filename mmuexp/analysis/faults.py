"""Every host fault of a run, one by one, and their sums by cause, page and block. Behind `mmuexp faults`.

The log is streamed: a replay hands out the faults of a batch, and they are written or added up before the next one.
A fault is a record of FAULT (mmuexp/emulator/faults.py): row, vaddr, cause. `columns_of` says it in words.
"""

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from mmuexp.analysis.given import label_of, opened_trace
from mmuexp.emulator.faults import FAULT
from mmuexp.events import FAULTS
from mmuexp.guest import PAGE_BITS, PAGES
from mmuexp.progress import Progress
from mmuexp.result import manifest
from mmuexp.result.declared import ALL_KNOWN, Declared, declared_of
from mmuexp.strategy.mistakes import blocks_of
from mmuexp.strategy.registry import given_strategy
from mmuexp.trace.threads import OfThread, checked_thread

COLUMNS = ("row", "vaddr", "cause", "block", "page")
LOG = 1 << 16  # faults that the emulator holds before it hands them out


def takes_faults(strategy: Any) -> bool:
    """Has the scheme any column of faults? softmmu has none."""
    return bool(causes_of(strategy))


def causes_of(strategy: Any) -> list[int]:
    """The causes that a scheme declares, in the order of their columns."""
    return sorted(int(event) for event in FAULTS if event in strategy.events)


def fault_batches(
    trace: Any, strategy: Any, *, label: str = "", progress: Progress | None = None, log: int = LOG
) -> Iterator[np.ndarray]:
    """Replay an open trace under one scheme; the faults of each batch, in order: FAULT[faults], perhaps none.

    Raises TraceError for a bad row, and MmuexpError at the end if the scheme counts a fault that it does not log.
    """
    from mmuexp.replay.replay import Replay
    from mmuexp.replay.survey import Survey

    if progress is not None:
        progress(label, 0, trace.rows)
    survey, replay = Survey(trace.mode, label), Replay(strategy, trace.mode, where=label, log=log)
    for columns in trace.batches():
        replay.feed(survey.feed(columns))
        found = replay.faults()
        if len(found) and isinstance(trace, OfThread):
            found["row"] = trace.in_file(found["row"])
        yield found
        if progress is not None:
            progress(label, replay.rows, trace.rows)
    replay.check_log()


def columns_of(records: np.ndarray, strategy: Any) -> dict[str, np.ndarray | None]:
    """Records as COLUMNS, an array each: row uint64, vaddr page uint32, cause uint8 (an Event, or an event of the
    scheme's own: `strategy.column_of` names it), block uint32; None where the scheme has no blocks."""
    vaddr = np.ascontiguousarray(records["vaddr"])
    block = blocks_of(strategy, vaddr)
    return {
        "row": np.ascontiguousarray(records["row"]),
        "vaddr": vaddr,
        "cause": np.ascontiguousarray(records["cause"]),
        "block": None if block is None else block.astype(np.uint32),
        "page": vaddr >> np.uint32(PAGE_BITS),
    }


class Sums:
    """How many faults each page took, by cause; exact, in memory that does not grow with the run."""

    def __init__(self, strategy: Any):
        self.strategy = strategy
        self._pages = {cause: np.zeros(PAGES, np.int64) for cause in causes_of(strategy)}

    def add(self, records: np.ndarray) -> None:
        """Count FAULT[faults] more."""
        causes, pages = records["cause"], records["vaddr"] >> np.uint32(PAGE_BITS)
        for cause in np.flatnonzero(np.bincount(causes)).tolist():
            counts = self._pages.setdefault(cause, np.zeros(PAGES, np.int64))
            np.add.at(counts, pages[causes == cause], 1)

    @property
    def causes(self) -> list[int]:
        """What the columns of `by_page` and `by_block` are."""
        return sorted(self._pages)

    @property
    def total(self) -> int:
        return sum(self.by_cause().values())

    def by_cause(self) -> dict[str, int]:
        """Faults by the name of their column."""
        return {self.strategy.column_of(cause): int(self._pages[cause].sum()) for cause in self.causes}

    def by_page(self) -> tuple[np.ndarray, np.ndarray]:
        """The pages with faults, int64[pages], and their faults by cause, int64[pages, causes]; most faults first."""
        counts = np.array([self._pages[cause] for cause in self.causes], np.int64).reshape(-1, PAGES)
        pages = np.flatnonzero(counts.any(axis=0))
        return _most_first(pages, counts[:, pages].T)

    def by_block(self) -> tuple[np.ndarray, np.ndarray] | None:
        """As `by_page`, by the scheme's blocks (which are whole pages); None if it has none."""
        pages, counts = self.by_page()
        of_page = blocks_of(self.strategy, (pages << PAGE_BITS).astype(np.uint32))
        if of_page is None:
            return None
        blocks, at = np.unique(of_page, return_inverse=True)
        found = np.zeros((len(blocks), counts.shape[1]), np.int64)
        np.add.at(found, at, counts)
        return _most_first(blocks.astype(np.int64), found)


def _most_first(numbers: np.ndarray, counts: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    order = np.lexsort((numbers, -counts.sum(axis=1)))
    return numbers[order], counts[order]


@dataclass(frozen=True)
class Listed:
    """What a run's faults add up to, and what made them."""

    label: str
    rows: int
    sums: Sums
    manifest: dict[str, Any]
    declared: Declared = ALL_KNOWN


def list_faults(
    trace: str | os.PathLike | None,
    strategy: Any,
    writers: Sequence[Any] = (),
    *,
    thread: int | str | None = None,
    progress: Progress | None = None,
    command: Sequence[str] | None = None,
) -> Listed:
    """Replay the trace at this path (None: the bundled one) under one scheme, and `append(records)` each batch's faults
    to the writers. `thread` is as for compare; rows keep their numbers in the file. Raises UsageError for a wrong spec,
    TraceError for a wrong trace, MmuexpError as `fault_batches`."""
    strategy, label = given_strategy(strategy), label_of(trace)
    started, sums = manifest.utc_now(), Sums(strategy)
    with opened_trace(trace, checked_thread(thread)) as opened:
        facts, declared = manifest.trace_facts(opened, label), declared_of(opened)
        for records in fault_batches(opened, strategy, label=label, progress=progress):
            sums.add(records)
            for writer in writers:
                writer.append(records)
        rows = opened.file_rows
    unknown = declared.unknown_to(strategy)
    counted = {name: None if name in unknown else count for name, count in sums.by_cause().items()}
    about = {"strategies": [manifest.expanded(strategy)], "traces": [facts], "faults": counted}
    return Listed(label, rows, sums, manifest.of_run("faults", command, started, "yes", **about), declared)


def faults(
    trace: Any, strategy: Any, *, thread: int | str | None = None, progress: Progress | None = None
) -> pd.DataFrame:
    """Every host fault of a run, a row each: row vaddr cause block page, see `mmuexp.faults`."""
    strategy, batches = given_strategy(strategy), [np.zeros(0, FAULT)]
    listed = list_faults(trace, strategy, [batches], thread=thread, progress=progress)
    columns: Any = columns_of(np.concatenate(batches), strategy)
    used = sorted({*causes_of(strategy), *np.unique(columns["cause"]).tolist()})
    codes = np.searchsorted(used, columns["cause"])
    columns["cause"] = pd.Categorical.from_codes(codes, [strategy.column_of(at) for at in used])
    blocks = [pd.NA] * len(codes) if columns["block"] is None else columns["block"]
    columns["block"] = pd.array(blocks, dtype="UInt32")
    frame = pd.DataFrame(columns, columns=list(COLUMNS))
    frame.attrs["manifest"] = listed.manifest
    return frame
