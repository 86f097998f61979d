"""Host faults: counted by cause, and told one by one to whoever keeps a log of them (`Replay(..., log=...)`).

`vaddr` of a fault is the first byte that the access touches in the page that faults: the row's own address in its
first page, the first byte of the second page of a crossing access. That is what si_addr shows on a real CPU. Where the
handler takes the access as a whole (faults_cross, faults_io, faults_softmmu) it is the row's address.

A kernel leaves what it has to tell in `Emulator.control`; the loop, which knows the row, takes it from there.
"""

import numpy as np

from mmuexp.emulator.kernel import kernel
from mmuexp.emulator.state import FIRST_FAULT, ROW_FAULTS, TOLD

FAULT = np.dtype([("row", "u8"), ("vaddr", "u4"), ("cause", "u1")])  # row of the trace, from 0; cause: an Event


@kernel
def fault(e, n, cause, vaddr):
    """The access faults at guest address `vaddr`: one SIGSEGV, counted as n[cause] (an Event, or an extra one)."""
    n[cause] += 1
    told = e.control[TOLD]
    e.control[FIRST_FAULT + (told & (ROW_FAULTS - 1))] = vaddr << 8 | cause
    e.control[TOLD] = told + 1


@kernel
def log_faults(e, log, logged, row):
    """Move what the kernels told of this row to the log, if there is one. Returns how many faults it holds."""
    told = e.control[TOLD]
    e.control[TOLD] = 0
    if log.size == 0:
        return logged
    for i in range(min(told, ROW_FAULTS)):
        log[logged].row = row
        log[logged].vaddr = e.control[FIRST_FAULT + i] >> 8
        log[logged].cause = e.control[FIRST_FAULT + i] & 0xFF
        logged += 1
    return logged
