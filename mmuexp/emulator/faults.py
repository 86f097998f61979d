"""Host faults: counted by cause, and told one by one to whoever keeps a log of them (`Replay(..., log=...)`).

`vaddr` of a fault is the first byte that the access touches in the page that faults: the row's own address in its
first page, the first byte of the second page of a crossing access. That is what si_addr shows on a real CPU. Where the
handler takes the access as a whole (faults_cross, faults_io, faults_softmmu) it is the row's address.

A kernel leaves what it has to tell in `Emulator.control`; the loop, which knows the row, takes it from there.
"""

from typing import Any

import numpy as np

from mmuexp.emulator.kernel import kernel
from mmuexp.emulator.state import FIRST_FAULT, ROW_FAULTS, TOLD, Emulator
from mmuexp.guest import ADDRESS_BITS

FAULT = np.dtype([("row", "u8"), ("vaddr", "u4"), ("cause", "u1")])  # row of the trace, from 0; cause: an Event
WIDE_FAULT = np.dtype([("row", "u8"), ("vaddr", "u8"), ("cause", "u1")])  # of a trace of 64 bits, and in the log


def fault_type(address_bits: int) -> np.dtype:
    """Give the type of the records of a trace of so many bits."""
    return FAULT if address_bits == ADDRESS_BITS else WIDE_FAULT


@kernel
def fault(e: Emulator, n: np.ndarray, cause: int, vaddr: int) -> None:
    """Count a fault of the access at guest address `vaddr`: one SIGSEGV, as n[cause] (an Event, or an extra one).

    The address is `Row.vaddr`, or `address_of` (state.py) of a byte of a page.
    """
    n[cause] += 1
    told = e.control[TOLD]
    at = FIRST_FAULT + 2 * (told & (ROW_FAULTS - 1))
    e.control[at] = vaddr
    e.control[at + 1] = cause
    e.control[TOLD] = told + 1


@kernel
def log_faults(control: np.ndarray, log: np.ndarray, cursor: Any, i: int) -> bool:
    """Write to the log what the kernels told of row `i` of the batch; `cursor` is the loop's.

    Returns whether the log must be emptied now.
    """
    logged = cursor.logged
    for told in range(min(control[TOLD], ROW_FAULTS)):
        log[logged].row = cursor.first_row + i
        log[logged].vaddr = control[FIRST_FAULT + 2 * told]
        log[logged].cause = control[FIRST_FAULT + 2 * told + 1]
        logged += 1
    cursor.logged = logged
    return logged + ROW_FAULTS > log.size
