"""Import what `valgrind --tool=lackey --trace-mem=yes PROGRAM` prints: one line for each instruction and access.

    I  04001234,3      an instruction: address in hex, bytes
     L 1ffeffe7,8      a load; S a store, M both

Lackey knows no blocks: an EXEC row is the longest run of consecutive instructions, as rows_scan.py makes them. It does
not say which machine it ran on.
"""

import re
from collections.abc import Callable
from typing import Any

from mmuexp.errors import option
from mmuexp.trace.importers import Options, Told
from mmuexp.trace.importers.rows import Rows
from mmuexp.trace.importers.source import Sample, mostly
from mmuexp.trace.importers.text import Layout, Refused, Text

OPTIONS = ("skip_foreign",)
NOTHING = "was valgrind run with --trace-mem=yes?"
BANNER_BYTES = 4096
OWN = re.compile(rb"(==|--|\*\*)[\d:. ]*\d\1|(I |SB| [LSM]) [0-9a-fA-F]+|[ ]?[ILSM] [0-9a-fA-F]{3,16}[ \t]*$")
RECORD = "record with valgrind --tool=lackey --trace-mem=yes --log-file=FILE"
SHAPE = "'I  ADDR,SIZE' or ' L|S|M ADDR,SIZE'"
KEYS = {
    "command": re.compile(rb"^==[^\n]*\d== Command: (.*?)\r?$", re.MULTILINE),
    "recorder_version": re.compile(rb"Using (Valgrind-[^ ;]+)"),
}


def looks_like(sample: Sample) -> bool:
    """The first line is lackey's, or more than half of the first ones are: a program may have printed before."""
    return mostly(sample.lines, OWN.match)


def read(source: Any, rows_of: Callable[[str], Rows], options: Options) -> Told:
    """Give lackey's lines to rows. Raises TraceError with the line's number."""
    from mmuexp.trace.importers import lackey_scan as scan
    from mmuexp.trace.importers.text_scan import ENDED

    def explain(line: bytes, why: int) -> Refused | None:
        if why == scan.THIRD_COLUMN:
            todo = "cut it off, as `cut -d' ' -f1-3` or an editor does"
            return Refused(f"has a third column: expected {SHAPE}", todo)
        if why == scan.TWO_PROCESSES:
            todo = "give each process a log of its own: valgrind --log-file=lackey.%p"
            return Refused(f"is of a second process; the first one was {text.state[scan.PID]}", todo)
        if why == scan.PAGES:
            todo = f"{RECORD}, or read it as a list of addresses: {option('columns', 'oa')}"
            return Refused("has no size: the file holds pages, not accesses", todo)
        return None

    layout = Layout(scan.parse, "valgrind lackey", SHAPE, explain, f"{RECORD} (the program's output stays out)")
    text = Text(source, rows_of("line"), options, layout)
    told, banner = text.read(), source.sample.head[:BANNER_BYTES]
    found = {key: match[1] for key, pattern in KEYS.items() if (match := pattern.search(banner))}
    keys = {key: value.decode("utf-8", "replace") for key, value in found.items()}
    complete = "yes" if text.state[ENDED] else "the log has no end" if text.state[scan.BANNERS] else None
    return told._replace(complete=complete, metadata=told.metadata | keys)
