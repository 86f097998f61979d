"""Import xdin, the extended text of Dinero IV: an access or an instruction a line, with its size.

r 7ffe10c8 8    r load, w store, i instruction: address and bytes, both in hex; what follows is nothing
v 0 0           drops every translation; v A N those of the pages of A to A + N - 1
m 0 0           m and c have no row
"""

from collections.abc import Callable
from typing import Any

from mmuexp.errors import option
from mmuexp.trace.importers import Options, Told
from mmuexp.trace.importers.din import XDIN
from mmuexp.trace.importers.rows import Rows
from mmuexp.trace.importers.source import Sample
from mmuexp.trace.importers.text import Layout, Refused, Text

OPTIONS = ("size", "skip_foreign")


def looks_like(sample: Sample) -> bool:
    """The first line is one of xdin."""
    return bool(XDIN.match(sample.line))


def read(source: Any, rows_of: Callable[[str], Rows], options: Options) -> Told:
    """Give the lines to rows. Raises TraceError with the line's number."""
    from mmuexp.trace.importers import dinero_scan as scan

    def explain(line: bytes, why: int) -> Refused | None:
        if why == scan.MANY_PAGES:
            return Refused(f"drops more than {scan.MOST_PAGES:,} pages", "'v 0 0' drops all")
        if line[:1].isdigit():
            return Refused("is not a line of xdin, but perhaps of din", f"say so: {option('from_format', 'din')}")
        return None

    layout = Layout(
        lambda *given: scan.parse(*given, True),
        "Dinero xdin",
        "'r|w|i|m|c|v HEX HEXSIZE'",
        explain,
        "write it as Dinero's manual says",
        "records m and c, and ranges of no bytes, left out",
    )
    return Text(source, rows_of("line"), options, layout).read()
