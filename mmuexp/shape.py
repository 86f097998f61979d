"""The survey: one pass over the rows, before any scheme sees them.

It refuses the rows that are errors (model.md section 1) and takes the *shape counts*, which depend on the trace
alone. What it adds to the page: a LOAD or STORE of size 0 or above 64, an EXEC that reaches a third page, a MAP that
does not begin a page, and a `page` other than 0 outside MAP and annotations are errors; MAP of what is known already,
unchanged, is none; an IO row is judged by its first page alone; IO means something on LOAD, STORE and EXEC only.
"""

import numba
import numpy as np

from mmuexp.errors import TraceError
from mmuexp.guest import DTYPES, MAX_ACCESS_BYTES, PAGES, Columns, Op

MAX_FRAMES = 1 << 20  # physical pages that a trace may name: 4 GiB of them, so state stays bounded

SHAPE = (
    "rows accesses loads stores execs guest_insns misaligned page_cross io_accesses flushes page_flushes pages mode_switches"
).split()

# What the kernel counts, by its place in `sums`. From RAM_LOADS on of accesses that are not IO: `units8` sums
# ceil(size / 8), `wide_units8` does so over accesses of more than 4 bytes.
_COUNTED = (
    "rows loads stores misaligned page_cross io_accesses mode_switches execs guest_insns flushes page_flushes maps "
    "ram_loads ram_stores ram_misaligned_in_page ram_cross_loads ram_cross_stores ram_cross_store_bytes "
    "units8 wide_units8"
).split()
ROWS, LOADS, STORES, MISALIGNED, PAGE_CROSS, IO_ACCESSES, MODE_SWITCHES, EXECS, GUEST_INSNS = range(9)
FLUSHES, PAGE_FLUSHES, MAPS, RAM_LOADS, RAM_STORES, RAM_MISALIGNED_IN_PAGE, RAM_CROSS_LOADS = range(9, 16)
RAM_CROSS_STORES, RAM_CROSS_STORE_BYTES, UNITS8, WIDE_UNITS8 = range(16, 20)
_EPOCH, _MODE = 20, 21  # state that follows the sums: the present epoch, the USER flag of the last access or -1

# Why a row is refused: codes of the kernel.
_OP, _SIZE, _EXEC_EMPTY, _EXEC_IO, _EXEC_LONG, _MAP_USER, _IO_USER, _MAP_ODD, _MAP_OTHER, _UNKNOWN, _IO_KNOWN, _PAGE = (
    range(1, 13)
)


class Survey:
    """Validates the rows of one trace, batch by batch, and counts its shape.

    `mode` is the trace's; `where` names it in errors. Memory is 13 MiB, however long the trace.
    """

    def __init__(self, mode: str, where: str = ""):
        self.mode, self.where = mode, where
        self._system = mode == "system"
        self._sums = np.zeros(len(_COUNTED) + 2, np.int64)
        self._sums[_EPOCH] = 1
        self._sums[_MODE] = -1
        self._touched = np.zeros(PAGES, np.uint8)
        # a page is known while its stamp is the present epoch: FLUSH, of which traces have thousands, starts a new one
        self._stamp = np.zeros(PAGES if self._system else 1, np.int64)
        self._page_of = np.zeros(PAGES if self._system else 1, np.uint32)
        self._frames: dict[int, int] = {}

    @property
    def rows(self) -> int:
        """Rows fed so far."""
        return int(self._sums[ROWS])

    def feed(self, columns: Columns) -> np.ndarray | None:
        """Take the next rows. Raises TraceError, with `row` counted from the trace's first, on the first bad one.

        Returns int32[rows] that holds in MAP rows the physical page's number in order of first appearance (see
        `frame_numbers`), 0 elsewhere; None when there is no MAP row.
        """
        rows = len(columns.op)
        if not rows:
            return None
        columns = Columns(*(np.require(c, dtype, ["C", "W"]) for c, dtype in zip(columns, DTYPES, strict=True)))
        first, maps = self.rows, self._sums[MAPS]
        bad, code = _scan(*columns, self._sums, self._touched, self._stamp, self._page_of, self._system)
        stop = rows if code == 0 else bad
        frame = self._number(columns, stop, first) if self._sums[MAPS] != maps else None
        if code:
            raise self._refusal(first + bad, code, Columns(*(int(column[bad]) for column in columns)))
        return frame

    def counts(self) -> dict[str, int]:
        """Every shape column of the contract, and the sums over accesses other than IO that prices need."""
        n = {name: int(self._sums[index]) for index, name in enumerate(_COUNTED)}
        n["accesses"] = n["loads"] + n["stores"]
        n["ram_accesses"] = n["ram_loads"] + n["ram_stores"]
        n["pages"] = int(np.count_nonzero(self._touched))
        return {name: n[name] for name in [*SHAPE, "ram_accesses", *_COUNTED[MAPS:]]}

    def frame_numbers(self) -> np.ndarray:
        """int64[frames]: the guest-physical page number of each dense number that `feed` gave out."""
        return np.fromiter(self._frames, np.int64, len(self._frames))

    def touched_pages(self) -> np.ndarray:
        """int64: numbers of the virtual pages that accesses other than IO touched, ascending."""
        return np.flatnonzero(self._touched)

    def _number(self, columns: Columns, stop: int, first: int) -> np.ndarray:
        where = np.flatnonzero(columns.op[:stop] == Op.MAP)
        pages, appears, inverse = np.unique(columns.page[where], return_index=True, return_inverse=True)
        dense = np.zeros(len(pages), np.int32)
        for index in np.argsort(appears):
            dense[index] = self._frames.setdefault(int(pages[index]), len(self._frames))
            if len(self._frames) > MAX_FRAMES:
                row = first + int(where[appears[index]])
                what = f"row {row:,}: MAP of physical page {pages[index]:#x}, the trace's {len(self._frames):,}th"
                raise TraceError(what, where=self.where, todo=f"replay holds {MAX_FRAMES:,}; slice it", row=row)
        frame = np.zeros(len(columns.op), np.int32)
        frame[where] = dense[inverse]
        return frame

    def _refusal(self, row: int, code: int, at: Columns) -> TraceError:
        name = Op(at.op).name if at.op in Op.__members__.values() else f"op {at.op}"
        page, here = at.vaddr >> 12, f"{name} at {at.vaddr:#010x}"
        if code == _UNKNOWN and self._stamp[page] == self._sums[_EPOCH]:
            page = (page + 1) % PAGES
        why = {
            _OP: f"op {at.op} is reserved (ops are 0 to 5, annotations 128 to 255)",
            _SIZE: f"{here} of {at.size} bytes, expected 1 to {MAX_ACCESS_BYTES}",
            _EXEC_EMPTY: f"{here} of 0 bytes",
            _EXEC_IO: f"{here} has the IO flag; code in device memory cannot be translated",
            _EXEC_LONG: f"{here} of {at.size} bytes reaches a third page",
            _MAP_USER: f"{here} in a user-mode trace, whose physical pages are its virtual ones",
            _IO_USER: f"{here} has the IO flag in a user-mode trace",
            _MAP_ODD: f"{here} does not begin a page",
            _MAP_OTHER: f"{here} to physical page {at.page:#x}, but page {page:#x} is known to be"
            f" {int(self._page_of[page if self._system else 0]):#x} and no FLUSH or FLUSH_PAGE came between",
            _UNKNOWN: f"{here} of {at.size} bytes touches page {page:#x}, which no MAP row has told since the last flush",
            _IO_KNOWN: f"{here} has the IO flag on page {page:#x}, which is known as RAM; FLUSH_PAGE must come first",
            _PAGE: f"{here} has {at.page:#x} in column page, which belongs to MAP rows",
        }[code]
        todo = f"keep the rows before it: mmuexp trace slice {self.where or 'FILE'} 0:{row} -o NEW.arrow"
        return TraceError(f"row {row:,}: {why}", where=self.where, todo=todo, row=row)


def _compiled(function):
    """Compiled and kept on disk, where there is a place to keep it."""
    try:
        return numba.njit(cache=True, nogil=True, error_model="numpy")(function)
    except RuntimeError:  # neither the package's folder nor the user's cache can be written
        return numba.njit(nogil=True, error_model="numpy")(function)


@_compiled
def _seldom(op, flag, vaddr, size, frame, insns, sums, touched, stamp, page_of, system):
    """Count one row of any kind, but for mode switches. Returns why it is refused, 0 if it is not."""
    page, high = vaddr >> 12, ((vaddr >> 12) + 1) & (PAGES - 1)
    epoch = sums[_EPOCH]
    crosses = (vaddr & 4095) + size > 4096
    if 5 < op < 128:
        return _OP
    if op >= 128:
        return 0
    if frame != 0 and op != 5:
        return _PAGE
    if op < 2:
        if size == 0 or size > MAX_ACCESS_BYTES:
            return _SIZE
        odd = (vaddr & (size - 1)) != 0 and (size & (size - 1)) == 0
        if flag & 1:
            if not system:
                return _IO_USER
            if stamp[page] == epoch:
                return _IO_KNOWN
            sums[IO_ACCESSES] += 1
        else:
            if system and (stamp[page] != epoch or (crosses and stamp[high] != epoch)):
                return _UNKNOWN
            touched[page] = 1
            units = (size + 7) >> 3
            sums[RAM_LOADS + op] += 1
            sums[UNITS8] += units
            if size > 4:
                sums[WIDE_UNITS8] += units
            if crosses:
                touched[high] = 1
                sums[RAM_CROSS_LOADS + op] += 1
                sums[RAM_CROSS_STORE_BYTES] += op * size
            elif odd:
                sums[RAM_MISALIGNED_IN_PAGE] += 1
        sums[LOADS + op] += 1
        sums[MISALIGNED] += odd
        sums[PAGE_CROSS] += crosses
    elif op == 2:
        if size == 0:
            return _EXEC_EMPTY
        if flag & 1:
            return _EXEC_IO
        if (vaddr & 4095) + size > 8192:
            return _EXEC_LONG
        if system and (stamp[page] != epoch or (crosses and stamp[high] != epoch)):
            return _UNKNOWN
        sums[EXECS] += 1
        sums[GUEST_INSNS] += insns
    elif op == 3:
        sums[_EPOCH] += 1
        sums[FLUSHES] += 1
    elif op == 4:
        if system:
            stamp[page] = 0
        sums[PAGE_FLUSHES] += 1
    else:
        if not system:
            return _MAP_USER
        if vaddr & 4095:
            return _MAP_ODD
        if stamp[page] == epoch and page_of[page] != frame:
            return _MAP_OTHER
        stamp[page] = epoch
        page_of[page] = frame
        sums[MAPS] += 1
    return 0


@_compiled
def _scan(vaddrs, pages, sizes, insns, ops, flags, sums, touched, stamp, page_of, system):
    """Count the rows up to the first bad one into `sums`. Returns (its index, why), or (rows, 0).

    The loop serves what nearly all rows are, RAM accesses of up to 8 bytes within a known page and blocks of code
    within one, with few sums; `_seldom` has the rest, and every reason to refuse a row.
    """
    rows = len(ops)
    plain = stores = misaligned = wide = switches = execs = guest_insns = 0
    mode = sums[_MODE]
    code, stop = 0, rows
    for i in range(rows):
        op, flag, vaddr, size = np.int64(ops[i]), np.int64(flags[i]), np.int64(vaddrs[i]), np.int64(sizes[i])
        page = vaddr >> 12
        inside = (vaddr & 4095) + size <= 4096 and pages[i] == 0 and not flag & 1
        if inside and op < 2 and size - 1 < 8 and size > 0 and (not system or stamp[page] == sums[_EPOCH]):
            touched[page] = 1
            plain += 1
            stores += op
            wide += (size + 3) >> 3
            misaligned += np.int64((vaddr & (size - 1)) != 0) & np.int64((size & (size - 1)) == 0)
            user = flag & 2
            switches += user != mode
            mode = user
        elif inside and op == 2 and size > 0 and (not system or stamp[page] == sums[_EPOCH]):
            execs += 1
            guest_insns += np.int64(insns[i])
        else:
            code = _seldom(op, flag, vaddr, size, np.int64(pages[i]), insns[i], sums, touched, stamp, page_of, system)
            if code:
                stop = i
                break
            if op < 2:
                user = flag & 2
                switches += user != mode
                mode = user
    if sums[_MODE] < 0 and mode >= 0:
        switches -= 1  # the first access has none before it
    sums[_MODE] = mode
    sums[ROWS] += stop
    sums[LOADS] += plain - stores
    sums[STORES] += stores
    sums[MISALIGNED] += misaligned
    sums[MODE_SWITCHES] += switches
    sums[EXECS] += execs
    sums[GUEST_INSNS] += guest_insns
    sums[RAM_LOADS] += plain - stores
    sums[RAM_STORES] += stores
    sums[RAM_MISALIGNED_IN_PAGE] += misaligned
    sums[UNITS8] += plain
    sums[WIDE_UNITS8] += wide
    return stop, code
