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
from mmuexp.guest import PAGE_BITS
from mmuexp.progress import Progress
from mmuexp.result import manifest
from mmuexp.result.declared import ALL_KNOWN, Declared, declared_of
from mmuexp.strategy.mistakes import blocks_of
from mmuexp.strategy.registry import given_strategy
from mmuexp.trace.threads import OfThread, checked_thread

COLUMNS = ("row", "vaddr", "cause", "block", "page")
NO_PAGES = np.zeros(0, np.int64), np.zeros(0, np.int64)  # with faults, and how many each
LOG = 1 << 16  # faults that the emulator holds before it hands them out


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
    survey = Survey(trace.mode, label)
    replay = Replay(strategy, trace.mode, where=label, log=log, address_bits=trace.address_bits)
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
    scheme's own: `strategy.column_of` names it), block uint32; None where the scheme has no blocks. In a trace of 64
    bits what is uint32 is uint64."""
    vaddr = np.ascontiguousarray(records["vaddr"])
    block = blocks_of(strategy, vaddr)
    return {
        "row": np.ascontiguousarray(records["row"]),
        "vaddr": vaddr,
        "cause": np.ascontiguousarray(records["cause"]),
        "block": None if block is None else block.astype(vaddr.dtype),
        "page": vaddr >> vaddr.dtype.type(PAGE_BITS),
    }


class Sums:
    """How many faults each page took, by cause; exact, in memory that grows with the pages that take some alone."""

    def __init__(self, strategy: Any):
        self.strategy, self._vaddr = strategy, FAULT["vaddr"]
        lacks = strategy.lacks()
        possible = [int(event) for event in FAULTS if event in strategy.events and event.column not in lacks]
        self._pages = dict.fromkeys(possible, NO_PAGES)

    def add(self, records: np.ndarray) -> None:
        """Count FAULT[faults] more."""
        self._vaddr = records.dtype["vaddr"]
        causes, pages = records["cause"], (records["vaddr"] >> self._vaddr.type(PAGE_BITS)).astype(np.int64)
        for cause in np.flatnonzero(np.bincount(causes)).tolist():
            had, counts = self._pages.get(cause, NO_PAGES)
            mine = pages[causes == cause]
            found, at = np.unique(np.concatenate([had, mine]), return_inverse=True)
            summed = np.zeros(len(found), np.int64)
            np.add.at(summed, at, np.concatenate([counts, np.ones(len(mine), np.int64)]))
            self._pages[cause] = found, summed

    @property
    def causes(self) -> list[int]:
        """What the columns of `by_page` and `by_block` are: the causes that the scheme declares and its parameters
        leave possible, and what it took besides. softmmu has none."""
        return sorted(self._pages)

    @property
    def total(self) -> int:
        return sum(self.by_cause().values())

    def by_cause(self) -> dict[str, int]:
        """Faults by the name of their column."""
        return {self.strategy.column_of(cause): int(self._pages[cause][1].sum()) for cause in self.causes}

    def by_page(self) -> tuple[np.ndarray, np.ndarray]:
        """The pages with faults, int64[pages], and their faults by cause, int64[pages, causes]; most faults first."""
        pages = np.unique(np.concatenate([NO_PAGES[0], *(pages for pages, _ in self._pages.values())]))
        counts = np.zeros((len(pages), len(self._pages)), np.int64)
        for column, cause in enumerate(self.causes):
            found, faults = self._pages[cause]
            counts[np.searchsorted(pages, found), column] = faults
        return _most_first(pages, counts)

    def by_block(self) -> tuple[np.ndarray, np.ndarray] | None:
        """As `by_page`, by the scheme's blocks (which are whole pages); None if it has none."""
        pages, counts = self.by_page()
        of_page = blocks_of(self.strategy, pages.astype(self._vaddr) << self._vaddr.type(PAGE_BITS))
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
    started = manifest.utc_now()
    with opened_trace(trace, checked_thread(thread)) as opened:
        facts, declared = manifest.trace_facts(opened, label), declared_of(opened)
        sums = Sums(strategy.of_guest(opened.address_bits))
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
    batches = list[np.ndarray]()
    listed = list_faults(trace, strategy, [batches], thread=thread, progress=progress)
    strategy, used = listed.sums.strategy, listed.sums.causes
    columns: Any = columns_of(np.concatenate(batches or [np.zeros(0, FAULT)]), strategy)
    codes = np.searchsorted(used, columns["cause"])
    columns["cause"] = pd.Categorical.from_codes(codes, [strategy.column_of(at) for at in used])
    blocks = [pd.NA] * len(codes) if columns["block"] is None else columns["block"]
    columns["block"] = pd.array(blocks, dtype="UInt32" if columns["vaddr"].itemsize == 4 else "UInt64")
    frame = pd.DataFrame(columns, columns=list(COLUMNS))
    frame.attrs["manifest"] = listed.manifest
    return frame
