"""Synthetic rows for calibration: what is measured on them prices what recordings are then predicted to cost.

None is taken from a recording, and none imitates one: a stream holds one kind of event, or hits alone.
"""

import numpy as np

from mmuexp.guest import PAGE_BYTES, USER, Columns, Op

FIRST_PAGE = 0x8000
PAGES = 24  # of most streams: more than the first data cache holds, less than the second
FEW_PAGES = 6  # these and what a scheme looks up of them fit into the first data cache, as most of what programs use
SEED = 20041020  # the mail's date
FIRST_CODE_PAGE, BLOCK_BYTES = 0x20000, 64  # of many blocks, one behind the other
OFTEN = 8  # one access in so many enters a helper, where it does now and then


def _columns(op: np.ndarray, vaddr: np.ndarray, size: np.ndarray) -> Columns:
    rows = len(op)
    return Columns(
        vaddr.astype("u4"), np.zeros(rows, "u4"), size.astype("u2"),
        np.ones(rows, "u1"), op.astype("u1"), np.full(rows, USER, "u1"),
    )  # fmt: skip


def hits(rows: int, loop: int = 64, stores: float = 0.3, pages: int = PAGES) -> Columns:
    """Aligned accesses anywhere in `pages` pages, a share of them stores, mostly of 4 bytes, in an order of ops and
    sizes that repeats every `loop` rows, as in a guest's loop: a long one is in no cache of decoded code."""
    rng = np.random.default_rng(SEED)
    times = -(-rows // loop)
    op = np.tile(rng.random(loop) < stores, times)[:rows]
    size = np.tile(rng.choice([1, 2, 4, 8], loop, p=[0.15, 0.05, 0.75, 0.05]), times)[:rows]
    page = FIRST_PAGE + rng.integers(0, pages, rows)
    return _columns(op, page * PAGE_BYTES + rng.integers(0, PAGE_BYTES // 8, rows) * 8, size)


def in_no_order(rows: int, blocks: int, accesses: int, pages: int = PAGES) -> Columns:
    """At most `rows` of so many blocks of so many accesses, like those of `hits`: each block has an order of ops and
    sizes of its own, and all run once before any runs again, in another order each time."""
    rng, executed = np.random.default_rng(SEED), rows // (1 + accesses)
    block = np.concatenate([rng.permutation(blocks) for _ in range(-(-executed // blocks))])[:executed]
    like = hits(blocks * accesses, blocks * accesses, pages=pages)
    op, size = (column.reshape(blocks, accesses)[block] for column in (like.op, like.size))
    page = FIRST_PAGE + rng.integers(0, pages, op.shape)
    vaddr = page * PAGE_BYTES + rng.integers(0, PAGE_BYTES // 8, op.shape) * 8
    code = FIRST_CODE_PAGE * PAGE_BYTES + BLOCK_BYTES * block
    found = ((Op.EXEC, op), (code, vaddr), (BLOCK_BYTES, size), (accesses, np.ones_like(op)))
    return _others(*(np.column_stack((np.broadcast_to(of_block, executed), rest)).ravel() for of_block, rest in found))


def stores_first() -> Columns:
    """A store to each page: from here on, accesses to them hit under every scheme."""
    page = FIRST_PAGE + np.arange(PAGES)
    return _columns(np.ones(PAGES), page * PAGE_BYTES, np.full(PAGES, 4))


def crossing(rows: int) -> Columns:
    """Loads of 4 bytes that cross the same page: under byte-lookup a signal each, and no host call."""
    return _columns(np.zeros(rows), np.full(rows, (FIRST_PAGE + 1) * PAGE_BYTES - 2), np.full(rows, 4))


def at_page_ends(rows: int, across: bool) -> Columns:
    """Accesses at the ends of PAGES pages, a share of them stores: the last of their page, or half of each beyond it.

    Mostly of 4 bytes, in an order of ops and sizes that repeats as that of `hits` does.
    """
    like = hits(rows)
    size = np.maximum(like.size, 2)
    page = np.minimum(like.vaddr // PAGE_BYTES, FIRST_PAGE + PAGES - 2)  # what lies beyond is of PAGES, too
    return like._replace(vaddr=((page + 1) * PAGE_BYTES - size // (1 + across)).astype("u4"), size=size)


def misaligned(rows: int) -> Columns:
    """Loads of 4 bytes, misaligned in one page: under softmmu a helper call each."""
    return _columns(np.zeros(rows), np.full(rows, FIRST_PAGE * PAGE_BYTES + 2), np.full(rows, 4))


def now_and_then(rows: int, misaligned: bool) -> Columns:
    """Loads of 4 bytes in one page; one in eight, in no order that a processor could guess, is misaligned if asked."""
    offset = np.where(np.random.default_rng(SEED).random(rows) < 1 / OFTEN, 2 * misaligned, 0)
    return _columns(np.zeros(rows), np.full(rows, FIRST_PAGE * PAGE_BYTES) + offset, np.full(rows, 4))


def flushes(rows: int) -> Columns:
    """FLUSH alone: under softmmu every entry of its tables is cleared each time."""
    return _others(np.full(rows, Op.FLUSH), np.zeros(rows), np.zeros(rows), np.zeros(rows))


def dropped(rows: int, blocks: int) -> Columns:
    """So many blocks of 2 bytes, one behind the other, and a store of 64 bytes over them, which drops them all."""
    vaddr = FIRST_PAGE * PAGE_BYTES + 2 * np.arange(blocks + 1) % (2 * blocks)
    op, size = np.append(np.full(blocks, Op.EXEC), Op.STORE), np.append(np.full(blocks, 2), 64)
    found = (op, vaddr, size, np.ones(blocks + 1))
    return _others(*(np.tile(column, rows) for column in found))


def patching(accesses: int) -> Columns:
    """A block whose accesses fault one after the other, each by itself; then all pages are there.

    Under fastmem, patch=memory, each of its sites is patched; a row without a site patches none."""
    like = _of_block(accesses, accesses, 1)
    flush = _others(np.full(accesses, Op.FLUSH), *np.zeros((3, accesses)))
    each = [Columns(*(column[i : i + 1] for column in part)) for i in range(accesses) for part in (flush, BLOCK, like)]
    return _joined(*each, stores_first()._replace(insns=np.zeros(PAGES, "u1")))


def of_block(rows: int, accesses: int, sites: bool) -> Columns:
    """The accesses of that block, again and again, by their sites, or as ones that have none."""
    return _of_block(rows, accesses, int(sites))


def _of_block(rows: int, accesses: int, sites: int) -> Columns:
    like = hits(rows, accesses, pages=FEW_PAGES)
    return like._replace(insns=(sites * (1 + np.arange(rows) % accesses)).astype("u1"))


def entered(rows: int, blocks: int, size: int) -> Columns:
    """So many blocks of `size` bytes, entered by turns, which touch nothing."""
    vaddr = FIRST_PAGE * PAGE_BYTES + np.arange(rows) % blocks * 64
    return _others(np.full(rows, Op.EXEC), vaddr, np.full(rows, size), np.ones(rows))


def code_pages(blocks: int) -> Columns:
    """A page with so many blocks of 16 bytes and one behind it with one block; before, after and between these, in no
    order, as many others as a program translates meanwhile, so that they lie apart in an emulator's memory."""
    at = np.arange(64 * blocks)
    page = np.where(at < blocks, FIRST_PAGE, FIRST_CODE_PAGE + at // blocks)
    order = np.random.default_rng(SEED).permutation(len(at))
    vaddr = np.append((page * PAGE_BYTES + 16 * (at % blocks))[order], (FIRST_PAGE + 1) * PAGE_BYTES)
    return _others(np.full(len(vaddr), Op.EXEC), vaddr, np.full(len(vaddr), 16), np.ones(len(vaddr)))


def beside_code(rows: int, page: int) -> Columns:
    """Stores to the last bytes of the first of these pages (0), which are no block's, or of the page behind it (1)."""
    return _columns(np.ones(rows), np.full(rows, (FIRST_PAGE + page + 1) * PAGE_BYTES - 4), np.full(rows, 4))


def thrashing(rows: int, tlb_bits: int = 8) -> Columns:
    """Loads of two pages of one set by turns: under softmmu a fill each."""
    page = FIRST_PAGE + (np.arange(rows) & 1) * (1 << tlb_bits)
    return _columns(np.zeros(rows), page * PAGE_BYTES, np.full(rows, 4))


def touched_and_flushed(pages: int, times: int) -> Columns:
    """A load of each of `pages` pages, then FLUSH; `times` times."""
    page = FIRST_PAGE + np.arange(pages) * 37 % pages
    vaddr = np.append(page * PAGE_BYTES, 0)
    op = np.append(np.zeros(pages), Op.FLUSH)
    size = np.append(np.full(pages, 4), 0)
    insns = np.append(np.ones(pages), 0)
    return _others(*(np.tile(column, times) for column in (op, vaddr, size, insns)))


def _others(op: np.ndarray, vaddr: np.ndarray, size: np.ndarray, insns: np.ndarray) -> Columns:
    """Rows that are not all accesses."""
    flags = np.where(np.isin(op, [Op.FLUSH, Op.FLUSH_PAGE]), 0, USER)
    return _columns(op, vaddr, size)._replace(insns=insns.astype("u1"), flags=flags.astype("u1"))


def _joined(*parts: Columns) -> Columns:
    return Columns(*(np.concatenate(columns) for columns in zip(*parts, strict=True)))


BLOCK = _others(np.array([Op.EXEC]), np.array([(FIRST_PAGE - 1) * PAGE_BYTES]), np.array([200]), np.array([255]))
