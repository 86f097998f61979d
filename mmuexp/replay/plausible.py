"""Counts that contradict themselves: a scheme that makes them has a mistake, and no price of them means anything."""

from collections.abc import Mapping

from mmuexp.errors import MmuexpError
from mmuexp.guest import PAGES

MOST_PER_ROW = 2 * PAGES  # one row, a FLUSH, can unmap every page; nothing happens more often in one
NOT_MORE = (("unmaps", "maps"), ("translations", "execs"), ("translated_insns", "guest_insns"))  # than the second


def check_counts(spec: str, counts: Mapping[str, int | None], *, part: bool = False) -> None:
    """Raises MmuexpError, naming scheme and counter, where counts of a whole trace (or a `part` of it) cannot be.

    `counts` are those of the trace's shape and of the scheme's events.
    """
    for column, count in counts.items():
        if count is not None and count < 0:
            raise _wrong(spec, f"counts {count:,} {column}, less than nothing")
    if part:  # a page may be unmapped in a later one, and sizes of tables stand in the first
        return
    rows = counts["rows"] or 0
    sizes = {"table_bytes", "table_lines", "reserved_bytes", "table_resident_bytes", "walk_levels"}
    for column, count in counts.items():
        if column not in sizes and (count or 0) > 1 + MOST_PER_ROW * rows:
            raise _wrong(spec, f"counts {count:,} {column} in {counts['rows']:,} rows")
    for fewer, more in NOT_MORE:
        a, b = counts.get(fewer), counts.get(more)
        if a is not None and b is not None and a > b:
            raise _wrong(spec, f"counts {a:,} {fewer}, and {b:,} {more}")


def _wrong(spec: str, what: str) -> MmuexpError:
    return MmuexpError(what, where=spec, todo="its kernels miscount: leave it out, or see `mmuexp strategy check`")
