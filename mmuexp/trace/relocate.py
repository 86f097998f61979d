"""Shows a user-mode recording as if the kernel had put its program elsewhere: a load seed moves its regions."""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from mmuexp.blocks.builder import runs_of
from mmuexp.blocks.runs import Runs
from mmuexp.guest import PAGE_BITS, PAGES, WIDE_BITS, Columns, Op
from mmuexp.trace.regions import JOIN_PAGES, MOVE_BITS, Region, offsets_of, regions_of


class Relocated:
    """Moves the regions of an open trace by `offsets` (in pages); it is read as the trace itself is."""

    def __init__(self, trace, regions: list[Region], offsets: list[int]):
        self.trace, self.regions, self.offsets = trace, regions, offsets
        self.path, self.mode, self.rows, self.file_rows = trace.path, trace.mode, trace.rows, trace.file_rows
        self.metadata, self.complete, self.window = trace.metadata, trace.complete, trace.window
        self.size_bytes, self.address_bits = trace.size_bytes, trace.address_bits
        if self.address_bits == WIDE_BITS:
            grown = [(offset << PAGE_BITS) & (1 << WIDE_BITS) - 1 for offset in offsets]
            # what an address grows by, modulo 2**64: before all regions, and in each
            self._bytes = np.array([0, *grown], np.uint64)
            self._first = np.array([region.first for region in regions], np.uint64)
            return
        self._bytes = np.zeros(PAGES, np.uint32)  # what an address of that page grows by, modulo 2**32
        for region, offset in zip(regions, offsets, strict=True):
            self._bytes[region.first : region.first + region.pages] = (offset << PAGE_BITS) & 0xFFFFFFFF

    def batches(self, *, ahead: bool = True) -> Iterator[Columns]:
        """As `Trace.batches`."""
        return map(self.moved, self.trace.batches(ahead=ahead))

    def sha256(self) -> str:
        """Of the file, as recorded."""
        return self.trace.sha256()

    def runs(self, *, ahead: bool = True) -> Iterator[Runs]:
        """As `Trace.runs`: what moves has other shapes."""
        return runs_of(self.batches(ahead=ahead))

    def moved(self, columns: Columns) -> Columns:
        """Move these rows of the trace. FLUSH rows (a value of CR3) and annotations stay as they are."""
        places = (columns.op <= Op.EXEC) | (columns.op == Op.FLUSH_PAGE)
        which = columns.vaddr >> columns.vaddr.dtype.type(PAGE_BITS)
        if self.address_bits == WIDE_BITS:  # each page that is touched is in the last region that begins before it
            which = np.searchsorted(self._first, which, "right")
        grown = columns.vaddr + self._bytes[which]
        return columns._replace(vaddr=np.where(places, grown, columns.vaddr))


def relocated(trace, seed: int, *, join_pages: int = JOIN_PAGES, move_bits: int = MOVE_BITS) -> Relocated:
    """Show an open trace at another load address. Raises TraceError, UsageError."""
    regions = regions_of(trace, join_pages)
    return Relocated(trace, regions, offsets_of(regions, seed, move_bits, trace.address_bits))


def at_load_seeds(trace: Any, seeds: Sequence[int] | None) -> Iterator[tuple[int | None, Any]]:
    """Yield (seed, the open trace at that load address) for each; (None, the trace) where there are no seeds."""
    if seeds is None:
        yield None, trace
        return
    regions = regions_of(trace) if any(seeds) else []
    for seed in seeds:
        offsets = offsets_of(regions, seed, address_bits=trace.address_bits)
        yield seed, Relocated(trace, regions, offsets) if seed else trace
