"""Write a trace as text that simulators of caches read: Dinero's din and xdin, and lackey's.

    din      2 8049360      0 load, 1 store, 2 instruction; address in hex
    xdin     i 8049360 2    r, w, i; v drops a page's translation (v 0 0 all); address and bytes in hex
    lackey   I  08049360,2  as `valgrind --tool=lackey --trace-mem=yes` prints it

An EXEC row does not tell where the instructions inside its block begin: they share its bytes evenly.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from mmuexp.errors import UsageError
from mmuexp.guest import IO, THREAD, Columns, Op
from mmuexp.trace.format import empty

if TYPE_CHECKING:
    from mmuexp.trace import Trace

OUT_BYTES = 1 << 20


def write_text(style: str, trace: Trace, file) -> dict[str, int]:
    """Write every row that the format has a word for. Returns what it has none for, each with its count."""
    from mmuexp.trace import export_scan as scan

    if style != "din" and trace.metadata.get("sizes") == "unknown":
        what = f"does not know the sizes of its accesses, which {style} states"
        raise UsageError(what, where=trace.path, todo="export it as din, which has none")
    out, state = np.empty(OUT_BYTES, np.uint8), np.zeros(scan.PLACES, np.int64)
    left, devices, threads = np.zeros(scan.OPS + 1, np.int64), 0, 0
    code = {"din": scan.DIN, "xdin": scan.XDIN, "lackey": scan.LACKEY}[style]

    def feed(rows: Columns, final: bool) -> None:
        columns = (rows.vaddr, rows.size, rows.insns, rows.op)
        start, written = 0, len(out)
        while start < len(rows.op) or written > len(out) // 2:
            start, written = scan.write_lines(code, *columns, start, final, state, left, out)
            file.write(out[:written].data)

    for columns in trace.batches():
        feed(columns, final=False)
        devices += int(np.count_nonzero((columns.flags & IO != 0) & (columns.op <= Op.STORE)))
        threads += int(np.count_nonzero(columns.op == THREAD))
    feed(empty(0, trace.address_bits), final=True)
    told = {f"{Op(op).name} rows": int(left[op]) for op in (Op.FLUSH, Op.FLUSH_PAGE, Op.MAP)}
    told |= {"THREAD rows": threads, "other annotations": int(left[scan.OPS]) - threads}
    told["accesses of devices, written as those of memory"] = devices
    return {what: count for what, count in told.items() if count}
