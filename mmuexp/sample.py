"""Short random traces that hold every op, for checks: valid as a recorder's are, and the same for the same seed."""

import random

import numpy as np

from mmuexp.guest import DTYPES, IO, PAGE_BITS, PAGE_BYTES, PAGES, USER, Columns, Op

# few pages, so that they meet: neighbours, both sides of a guest block's end, of 2004's limit, and of address 0
PLACES = (0x0, 0x1, 0xF, 0x10, 0x11, 0x110, 0x8000F, 0x80010, 0x90000, 0xA7FFF, 0xA8000, 0xC0000, 0xC0110, 0xFFFFF)
DEVICE = 0xA0
SIZES = (1, 2, 4, 4, 4, 8, 10, 16, 64)


class _Writer:
    """Writes rows, and before them the MAP rows that a system trace owes its reader."""

    def __init__(self, rng: random.Random, mode: str):
        self.rng, self.system, self.rows, self.known = rng, mode == "system", [], {}

    def row(self, op: Op, vaddr: int, size: int, insns: int = 0, flags: int = 0, page: int = 0) -> None:
        self.rows.append((vaddr, page, size, insns, op, flags))

    def touch(self, vaddr: int, size: int) -> None:
        if not self.system:
            return
        first = vaddr >> PAGE_BITS
        for page in {first, (first + (vaddr % PAGE_BYTES + size > PAGE_BYTES)) % PAGES}:
            if page not in self.known:
                self.known[page] = self.rng.randrange(9)  # fewer frames than pages: aliases
                self.row(Op.MAP, page << PAGE_BITS, PAGE_BITS, page=self.known[page])

    def flags(self) -> int:
        return USER if not self.system or self.rng.random() < 0.5 else 0


def rows_of_op(op: Op, vaddrs: np.ndarray) -> Columns:
    """Rows of one op without size, one for each address."""
    rows = len(vaddrs)
    nothing = Columns(*(np.zeros(rows, dtype) for dtype in DTYPES))
    return nothing._replace(vaddr=vaddrs.astype(np.uint32), op=np.full(rows, op, np.uint8))


def joined(first: Columns, second: Columns) -> Columns:
    return Columns(*map(np.concatenate, zip(first, second, strict=True)))


def sample_trace(seed: int, rows: int, mode: str) -> Columns:
    """About `rows` rows (0 gives none) of a trace of this mode."""
    rng = random.Random(f"{seed} {mode}")
    w = _Writer(rng, mode)
    while len(w.rows) < rows:
        page, what = rng.choice(PLACES), rng.random()
        offset = rng.choice((rng.randrange(64), rng.randrange(PAGE_BYTES), PAGE_BYTES - rng.randrange(1, 20)))
        vaddr = page << PAGE_BITS | offset
        if what < 0.75:
            size = rng.choice(SIZES)
            if rng.random() < 0.7 and size & (size - 1) == 0:
                vaddr -= vaddr % size
            w.touch(vaddr, size)
            w.row(Op.LOAD if rng.random() < 0.6 else Op.STORE, vaddr, size, 1, w.flags())
        elif what < 0.95:
            size = rng.randrange(1, 40)
            w.touch(vaddr, size)
            w.row(Op.EXEC, vaddr, size, rng.randrange(1, 12), w.flags())
        elif what < 0.98 and w.system:
            w.row(
                rng.choice((Op.LOAD, Op.STORE)), (DEVICE << PAGE_BITS) + 4 * rng.randrange(1024), 4, 1, IO | w.flags()
            )
        elif what < 0.995:
            w.known.pop(page, None)
            w.row(Op.FLUSH_PAGE, vaddr, 0)
        else:
            w.known.clear()
            w.row(Op.FLUSH, 0, 1)
    table = np.array(w.rows, np.int64).reshape(-1, len(DTYPES))
    return Columns(*(np.ascontiguousarray(table[:, i], dtype) for i, dtype in enumerate(DTYPES)))
