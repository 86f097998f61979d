"""Import what QEMU's mem plugin prints with print-accesses=true: one line for each access, no instructions.

    insn_vaddr,insn_symbol,mem_vaddr,mem_hwaddr,access_size,access_type,mem_value
    0x401000,main,0x7ffe10c8,0x0,32,load,0x00000001

The size is in bits. The physical address is 0 in user mode. Of a whole guest the virtual addresses alone are taken.
"""

from collections.abc import Callable
from typing import Any

from mmuexp.trace.importers import Options, Told
from mmuexp.trace.importers.rows import Rows
from mmuexp.trace.importers.source import Sample
from mmuexp.trace.importers.text import Layout, Refused, Text

OPTIONS = ("skip_foreign",)
HEADER = b"insn_vaddr,insn_symbol,mem_vaddr,mem_hwaddr,access_size,access_type,mem_value"
WHOLE_GUEST = "physical addresses, devices and flushes of the guest are not in it: mmuexp record --system records them"


def looks_like(sample: Sample) -> bool:
    """The plugin's first line stands there, whatever was printed before it."""
    return any(line.strip() == HEADER for line in sample.lines)


def read(source: Any, rows_of: Callable[[str], Rows], options: Options) -> Told:
    """Give the plugin's lines to rows. Raises TraceError with the line's number."""
    from mmuexp.trace.importers import memplugin_scan as scan

    def explain(line: bytes, why: int) -> Refused | None:
        if why == scan.NO_BYTES:
            return Refused("has an access_size that is not a number of bytes: it is in bits", "record it again")
        return None

    layout = Layout(
        scan.parse,
        "QEMU mem plugin",
        "'insn_vaddr,insn_symbol,mem_vaddr,mem_hwaddr,access_size,load|store,mem_value'",
        explain,
        "record with qemu-i386 -plugin libmem.so,print-accesses=true -d plugin -D FILE PROGRAM",
    )
    text = Text(source, rows_of("line"), options, layout)
    told = text.read()
    if not text.state[scan.PHYSICAL]:
        return told
    metadata = told.metadata | {"left_out_physical": str(text.state[scan.PHYSICAL])}
    return told._replace(metadata=metadata, remarks=(*told.remarks, WHOLE_GUEST))
