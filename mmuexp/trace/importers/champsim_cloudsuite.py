"""Import what ChampSim's tracer of CloudSuite writes: records of 96 bytes, an instruction each, with an address space.

Never told by content: its first 64 bytes may be a record of the usual layout.
"""

from collections.abc import Callable
from typing import Any

from mmuexp.trace.importers import Options, Told
from mmuexp.trace.importers.champsim import Layout, records_of
from mmuexp.trace.importers.rows import Rows

OPTIONS = ("size",)
LAYOUT = Layout(12, 3, 4, 7, 4, 11)


def read(source: Any, rows_of: Callable[[str], Rows], options: Options) -> Told:
    """Give the records to rows. Raises TraceError at the first that is not a record, or of another space."""
    return records_of(source, rows_of("record"), options, LAYOUT, "ChampSim CloudSuite")
