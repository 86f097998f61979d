"""Import what QEMU's execlog plugin prints of a program: one line for each instruction, with its accesses.

    0, 0x401000, 0x458b, "movl 8(%ebp), %eax", load, 0x407ffe10c8
    0, 0x401003, 0xc3, "retl ", load, 0x407ffe10cc, esp -> 0x407ffe10d0

It tells no sizes. An instruction's length is how far the next one is from it, up to 15 bytes.
"""

import re
from collections.abc import Callable
from typing import Any

from mmuexp.trace.importers import Options, Told
from mmuexp.trace.importers.rows import Rows
from mmuexp.trace.importers.source import Sample, mostly
from mmuexp.trace.importers.text import Layout, Refused, Text

OPTIONS = ("thread", "interleave", "size", "skip_foreign")
LINE = re.compile(rb'[ \t]*\d+, *0x[0-9a-f]+, *0x[0-9a-f]+, *"')


def looks_like(sample: Sample) -> bool:
    """The first line is the plugin's, or more than half of the first ones are: a program may have printed before."""
    return mostly(sample.lines, LINE.match)


def read(source: Any, rows_of: Callable[[str], Rows], options: Options) -> Told:
    """Give the plugin's lines to rows. Raises TraceError with the line's number."""
    from mmuexp.trace.importers import execlog_scan as scan

    def explain(line: bytes, why: int) -> Refused | None:
        if why == scan.PHYSICAL:
            todo = "use the mem plugin's print-accesses, or mmuexp record --system"
            return Refused("names a device: whole-system execlog has physical addresses only", todo)
        return None

    layout = Layout(
        scan.parse,
        "QEMU execlog plugin",
        "'VCPU, 0xPC, 0xOPCODE, \"DISASSEMBLY\", load|store, 0xADDR'",
        explain,
        "record with qemu-i386 -plugin libexeclog.so -d plugin -D FILE PROGRAM",
        lengths=False,
    )
    return Text(source, rows_of("line"), options, layout).read()
