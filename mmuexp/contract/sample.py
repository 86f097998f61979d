"""Short random traces that hold every op, for checks: valid as a recorder's are, and the same for the same seed."""

import random
from functools import lru_cache
from typing import Any

import numpy as np

from mmuexp.guest import DTYPES, IO, PAGE_BITS, PAGE_BYTES, PAGES, USER, Columns, Op

# few pages, so that they meet: neighbours, both sides of a guest block's end, of 2004's limit, and of address 0
PLACES = (0x0, 0x1, 0xF, 0x10, 0x11, 0x110, 0x8000F, 0x80010, 0x90000, 0xA7FFF, 0xA8000, 0xC0000, 0xC0110, 0xFFFFF)
DEVICE = 0xA0
SIZES = (1, 2, 4, 4, 4, 8, 10, 16, 64)


class _Writer:
    """Writes rows, and before them the MAP rows that a system trace owes its reader."""

    def __init__(self, rng: random.Random, mode: str):
        self.rng, self.system = rng, mode == "system"
        self.rows: list[tuple[int, ...]] = []
        self.known: dict[int, int] = {}

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


def joined(*parts: Columns) -> Columns:
    return Columns(*map(np.concatenate, zip(*parts, strict=True)))


@lru_cache(maxsize=32)  # `strategy check` replays the same ones under each variant
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
            op, vaddr = rng.choice((Op.LOAD, Op.STORE)), (DEVICE << PAGE_BITS) + 4 * rng.randrange(1024)
            w.row(op, vaddr, 4, 1, IO | w.flags())
        elif what < 0.995:
            w.known.pop(page, None)
            w.row(Op.FLUSH_PAGE, vaddr, 0)
        else:
            w.known.clear()
            w.row(Op.FLUSH, 0, 1)
    table = np.array(w.rows, np.int64).reshape(-1, len(DTYPES))
    return Columns(*(np.ascontiguousarray(table[:, i], dtype) for i, dtype in enumerate(DTYPES)))


CALM_PAGES = 0x8000  # neither by a limit of 2004 nor by the device
FAR_PAGES = 0x30000
NEIGHBOURS = CALM_PAGES + np.arange(64)
FAR_APART = CALM_PAGES + np.ravel(np.add.outer((0, 1, 2, 3), np.add.outer((0, 16, 64, 80), (0, 256, 1024, 1 << 17))))

QUIET_PAGES = tuple({*map(int, NEIGHBOURS[:3]), *map(int, FAR_APART[::16])})


def touch_of(op: Op, page: int, frame: int, mode: str) -> Columns:
    """One aligned access of 4 bytes to the page; a system trace says before it which frame backs the page."""
    of = rows_of_op(op, np.array([page << PAGE_BITS | 0x800]))
    access = of._replace(size=np.full_like(of.size, 4), insns=np.full_like(of.insns, 1))
    if mode == "user":
        return access._replace(flags=np.full_like(of.flags, USER))
    known = rows_of_op(Op.MAP, np.array([page << PAGE_BITS]))
    known = known._replace(size=np.full_like(known.size, PAGE_BITS), page=np.full_like(known.page, frame))
    return joined(known, access)


def calm_trace(mode: str, pages: np.ndarray) -> Columns:
    """Loads and stores of all `pages`, again and again; between them, one thing that may take a translation away.

    Each page in turn becomes a code page; then there is a crossing (in a system trace: an access to the device), then
    another page's first touch. In `sample_trace` so much else happens that what one of them takes away may not show.
    """
    user = USER if mode == "user" else 0

    def rows(op: Op, pages: Any, offset: int, size: int, insns: int = 1, flags: int = user) -> Columns:
        of = rows_of_op(op, np.asarray(pages) * PAGE_BYTES + offset)
        given = {"size": size, "insns": insns, "flags": flags}
        return of._replace(**{name: np.full_like(getattr(of, name), value) for name, value in given.items()})

    far = FAR_PAGES + np.arange(len(pages))
    look = joined(rows(Op.LOAD, pages, 0x800, 4), rows(Op.STORE, pages, 0x800, 4))
    parts = []
    if mode == "system":
        maps = rows(Op.MAP, np.concatenate([pages, far]), 0, PAGE_BITS, 0)
        parts = [maps._replace(page=np.tile(np.arange(len(pages), dtype=np.uint32), 2))]  # far ones are aliases
    for page, other in zip(pages, far, strict=True):
        between = (
            rows(Op.EXEC, [page], 0x100, 16, 4),
            rows(Op.LOAD, [page], PAGE_BYTES - 2, 4) if user else rows(Op.LOAD, [DEVICE], 0, 4, 1, IO),
            rows(Op.LOAD, [other], 0, 4),
        )
        parts += [part for one in between for part in (one, look)]
    return joined(*parts)
