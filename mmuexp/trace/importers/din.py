"""Import din, the traditional text of the Dinero simulators: an access or an instruction a line, without sizes.

    0 7ffe10c8      0 load, 1 store, 2 instruction; address in hex; what follows is nothing
    2 401000        3 to 5 have no row

Dinero cuts addresses to words of 4 bytes; here they stay as they stand. Other programs' texts look the same, so only
the suffix .din or `--from din` tells it.
"""

import re
from collections.abc import Callable
from typing import Any

from mmuexp.errors import TraceError, option
from mmuexp.trace.importers import Options, Told
from mmuexp.trace.importers.rows import Rows
from mmuexp.trace.importers.source import Sample
from mmuexp.trace.importers.text import Layout, Refused, Text

OPTIONS = ("size", "skip_foreign")
SUFFIX = re.compile(r"\.din(\.\w+)?$", re.IGNORECASE)
XDIN = re.compile(rb"[ \t]*[rwimcv][ \t]+(0x)?[0-9a-f]+[ \t]+(0x)?[0-9a-f]+(\s|$)", re.IGNORECASE)


def looks_like(sample: Sample) -> bool:
    """The name ends so, and the first line is not xdin's."""
    return bool(SUFFIX.search(sample.name)) and not sample.folder and not XDIN.match(sample.line)


def read(source: Any, rows_of: Callable[[str], Rows], options: Options) -> Told:
    """Give the lines to rows. Raises TraceError with the line's number."""
    from mmuexp.trace.importers import dinero_scan as scan

    if not source.sample.is_text:
        what = "is not text: Dinero's binary form cuts addresses to 32 bits, and is not read"
        raise TraceError(what, where=source.name, todo="write it as din or xdin")
    layout = Layout(
        lambda *given: scan.parse(*given, False),
        "Dinero din",
        "'0|1|2 HEX'",
        _explain,
        "write it as Dinero's manual says",
        "records of kind 3 to 5 left out",
        lengths=False,
    )
    return Text(source, rows_of("line"), options, layout).read()


def _explain(line: bytes, why: int) -> Refused | None:
    return Refused("is a line of xdin", f"say so: {option('from_format', 'xdin')}") if XDIN.match(line) else None
