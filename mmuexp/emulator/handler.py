"""Does with one page what the SIGSEGV handler of an mmap scheme does: one fault, one handler run (MODEL.md, section 2).

The handler knows the guest access. A store is therefore served at once: the page's translated blocks are dropped if it
is a code page, it is dirty from here on, and it is mapped writable. A load maps read-only what is clean or a code page,
so that the first store, or a store over code, is noticed.
"""

from typing import Any

import numpy as np

from mmuexp.emulator.code import is_code_page, store_drops_page
from mmuexp.emulator.faults import fault
from mmuexp.emulator.kernel import kernel
from mmuexp.emulator.reserve import Reserve, map_window, protect_frame, set_writable
from mmuexp.emulator.state import Emulator, Row, address_of
from mmuexp.events import Event


@kernel
def note_store(e: Emulator, n: np.ndarray, frame: int, first: int, last: int) -> None:
    """Note that the handler sees a store to bytes first..last of the frame."""
    if is_code_page(e, frame):
        store_drops_page(e, n, frame, first, last)
    e.frame[frame].dirty = 1


@kernel
def map_page(r: Reserve, e: Emulator, n: np.ndarray, w: int, frame: int, store: int, first: int, last: int) -> None:
    """Map `frame` in the inaccessible window w, with the rights that the access asks for."""
    if store:
        note_store(e, n, frame, first, last)
        writable = 1
    else:
        writable = 1 if e.frame[frame].dirty and not is_code_page(e, frame) else 0
    map_window(r, e, n, w, frame, writable)


@kernel
def allow_store(r: Reserve, e: Emulator, n: np.ndarray, w: int, page: int, frame: int, first: int, last: int) -> None:
    """A store to virtual page `page` faulted on the read-only window w: find the cause, and make the window writable
    by one mprotect."""
    vaddr = address_of(e, page, first)
    if is_code_page(e, frame):
        fault(e, n, Event.FAULTS_CODE, vaddr)
    else:
        fault(e, n, Event.FAULTS_WRITE, vaddr)
    n[Event.MPROTECT_CALLS] += 1
    note_store(e, n, frame, first, last)
    set_writable(r, e, w, 1)


@kernel
def io_fault(s: Any, e: Emulator, n: np.ndarray, row: Row) -> int:
    """Serve as `io` of a scheme that never maps device memory: each access faults, and the handler completes it."""
    fault(e, n, Event.FAULTS_IO, row.vaddr)
    return 0


@kernel
def protect_windows(s: Any, e: Emulator, n: np.ndarray, frame: int) -> None:
    """Serve as `protect` of a scheme whose state has a reserve."""
    protect_frame(s.reserve, e, n, frame)
