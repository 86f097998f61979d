"""The survey: hand-worked counts, a NumPy closed form, and a line for every row that is an error."""

import numpy as np
import pytest
from truth.oracle.far import Executions

from mmuexp.blocks.builder import for_kernels
from mmuexp.errors import TraceError
from mmuexp.guest import DTYPES, IO, PAGES, USER, Columns, Op
from mmuexp.replay.survey import SHAPE, Survey

LOAD, STORE, EXEC, FLUSH, FLUSH_PAGE, MAP = Op
BLOCK = 1 << 10  # rows


def rows(*given) -> Columns:
    """Columns from tuples (op, vaddr, size, insns, flags, page); what is left out is 0."""
    full = [tuple(row) + (0,) * (6 - len(row)) for row in given]
    op, vaddr, size, insns, flags, page = zip(*full, strict=True)
    return Columns(*(np.array(c, d) for c, d in zip((vaddr, page, size, insns, op, flags), DTYPES, strict=True)))


def survey(mode: str, *given) -> dict[str, int]:
    one = Survey(mode, "t.arrow")
    one.feed(rows(*given))
    return one.counts()


def test_every_shape_count_by_hand():
    counts = survey(
        "user",
        (EXEC, 0x1000, 10, 3, USER),
        (LOAD, 0x2000, 4, 1, USER),
        (LOAD, 0x2002, 4, 2, USER),  # misaligned, stays in its page
        (STORE, 0x2FFE, 4, 3, USER),  # misaligned, 2 bytes in the next page
        (FLUSH, 0x5000, 1),
        (FLUSH_PAGE, 0x2000),
        (EXEC, 0x1010, 20, 200, USER),
        (STORE, 0x4001, 3, 0, 0),  # 3 is not a power of two: not misaligned. Kernel mode: a switch
        (LOAD, 0x4FF0, 64, 0, USER),  # crosses into 0x5000; a switch back
        (200, 0xFFFFFFFF, 65535, 9, 255, 77),  # an annotation
        (LOAD, 0xFFFFFFFF, 2, 0, USER),  # wraps to page 0
        (LOAD, 0x6000, 8, 0, USER),
    )
    assert counts == {
        "rows": 12,
        "accesses": 7,
        "loads": 5,
        "stores": 2,
        "execs": 2,
        "guest_insns": 203,
        "misaligned": 4,  # 0x2002, 0x2ffe, 0x4ff0 (64 bytes), 0xffffffff
        "page_cross": 3,
        "io_accesses": 0,
        "flushes": 1,
        "page_flushes": 1,
        "pages": 7,  # 2 3 4 5 fffff 0 6
        "mode_switches": 2,
        "ram_accesses": 7,
        "map_rows": 0,
        "ram_loads": 5,
        "ram_stores": 2,
        "ram_misaligned_in_page": 1,
        "ram_cross_loads": 2,
        "ram_cross_stores": 1,
        "ram_cross_store_bytes": 4,
        "units8": 1 + 1 + 1 + 1 + 8 + 1 + 1,
        "wide_units8": 8 + 1,
        "ram_misaligned_units8": 1,
        "far_accesses": 7,  # each block is executed once
        "cold_accesses": 7,
    }


def test_io_counts_in_the_shape_and_not_in_the_prices_sums():
    counts = survey("system", (LOAD, 0xB8FFF, 2, 0, IO), (STORE, 0xB8001, 4, 0, IO | USER))
    assert {name: counts[name] for name in SHAPE} == dict.fromkeys(SHAPE, 0) | {
        "rows": 2, "accesses": 2, "loads": 1, "stores": 1, "misaligned": 2, "page_cross": 1, "io_accesses": 2,
        "mode_switches": 1,
    }  # fmt: skip
    assert not any(counts[name] for name in counts if name not in SHAPE)


def test_the_empty_trace_counts_nothing():
    assert not any(Survey("system").counts().values())


def random_rows(n: int, seed: int) -> Columns:
    r = np.random.default_rng(seed)
    op = r.choice([0, 0, 0, 1, 1, 2, 3, 4, 128, 255], n).astype("u1")
    if seed % 2:
        op[n // 2 :] = r.choice([0, 1, 2], n - n // 2)  # blocks in which nothing is unusual
    access = op < 2
    size = np.where(access, r.integers(1, 65, n), r.integers(1, 4096, n))
    small = r.random(n) < 0.7
    size = np.where(access & small, r.choice([1, 2, 4, 8], n), size)
    vaddr = r.integers(0, 1 << 14, n) + r.choice([0, 0x80000000, 0xFFFFC000], n)
    flags = np.where(r.random(n) < 0.99, USER, r.integers(0, 255, n)) & 0xFE
    columns = (vaddr, np.where(op >= 128, 5, 0), size, r.integers(0, 256, n), op, flags)
    return Columns(*(np.ascontiguousarray(c, d) for c, d in zip(columns, DTYPES, strict=True)))


def closed_form(c: Columns) -> dict[str, int]:
    op, vaddr, size = c.op, c.vaddr.astype(np.int64), c.size.astype(np.int64)
    access, io = op < 2, (op < 2) & (c.flags & IO > 0)
    ram = access & ~io
    cross = access & ((vaddr & 4095) + size > 4096)
    odd = access & (size & (size - 1) == 0) & (vaddr % np.maximum(size, 1) != 0)
    units = (size + 7) // 8
    touched = np.union1d(vaddr[ram] >> 12, ((vaddr + size - 1)[ram] >> 12) % PAGES)
    user = (c.flags & USER)[access].astype(int)
    executions = Executions()
    for row in zip(c.op.tolist(), c.vaddr.tolist(), c.flags.tolist(), strict=True):
        executions.row(*row)
    return {
        "rows": len(op), "accesses": access.sum(), "loads": (op == 0).sum(), "stores": (op == 1).sum(),
        "execs": (op == 2).sum(), "guest_insns": c.insns[op == 2].astype(int).sum(), "misaligned": odd.sum(),
        "page_cross": cross.sum(), "io_accesses": io.sum(), "flushes": (op == 3).sum(),
        "page_flushes": (op == 4).sum(), "pages": len(touched), "mode_switches": np.count_nonzero(np.diff(user)),
        "ram_accesses": ram.sum(), "map_rows": (op == 5).sum(), "ram_loads": (ram & (op == 0)).sum(),
        "ram_stores": (ram & (op == 1)).sum(), "ram_misaligned_in_page": (ram & odd & ~cross).sum(),
        "ram_cross_loads": (ram & cross & (op == 0)).sum(), "ram_cross_stores": (ram & cross & (op == 1)).sum(),
        "ram_cross_store_bytes": size[ram & cross & (op == 1)].sum(), "units8": units[ram].sum(),
        "wide_units8": units[ram & (size > 4)].sum(), "ram_misaligned_units8": units[ram & odd & ~cross].sum(),
        "far_accesses": executions.far(), "cold_accesses": executions.cold(),
    }  # fmt: skip


@pytest.mark.parametrize("seed", range(6))
def test_counts_equal_the_closed_form_however_the_rows_are_cut(seed):
    columns = random_rows(5 * BLOCK + 77, seed)
    cuts = np.sort(np.random.default_rng(seed).integers(0, len(columns.op), seed * 3))
    one = Survey("user")
    for part in zip(*(np.split(column, cuts) for column in columns), strict=True):
        assert one.feed(Columns(*part)).frames is None
    assert one.counts() == closed_form(columns)


def test_system_rows_counted_as_in_user_mode_once_pages_are_told():
    columns = random_rows(4 * BLOCK, 1)
    columns.op[(columns.op == FLUSH) | (columns.op == FLUSH_PAGE)] = LOAD
    columns.size[columns.op < 2] = np.clip(columns.size[columns.op < 2], 1, 64)
    system, user = Survey("system"), Survey("user")
    pages = np.unique(np.append(columns.vaddr >> 12, (columns.vaddr >> 12) + 1)) % PAGES
    told = rows(*((MAP, int(page) << 12, 12, 0, 0, int(page)) for page in np.unique(pages)))
    system.feed(told)
    system.feed(columns)
    user.feed(columns)
    more = {"rows": len(told.op), "map_rows": len(told.op)}
    assert system.counts() == {name: count + more.get(name, 0) for name, count in user.counts().items()}


ERRORS = {
    "reserved op": ("user", [(6, 0)], "op 6 is reserved"),
    "reserved op, the last": ("user", [(127, 0)], "op 127 is reserved"),
    "load of nothing": ("user", [(LOAD, 0x1000, 0)], "LOAD at 0x00001000 of 0 bytes"),
    "store too long": ("user", [(STORE, 0x1000, 65)], "of 65 bytes, expected 1 to 64"),
    "code of nothing": ("user", [(EXEC, 0x1000, 0)], "EXEC at 0x00001000 of 0 bytes"),
    "code in a device": ("system", [(EXEC, 0x1000, 4, 1, IO)], "IO flag; code"),
    "code of three pages": ("user", [(EXEC, 0x1FFF, 4098)], "reaches a third page"),
    "MAP in user mode": ("user", [(MAP, 0x1000, 12, 0, 0, 1)], "in a user-mode trace"),
    "IO in user mode": ("user", [(LOAD, 0x1000, 4, 0, IO)], "IO flag in a user-mode trace"),
    "MAP beside a page": ("system", [(MAP, 0x1004)], "does not begin a page"),
    "MAP against what is known": ("system", [(MAP, 0x1000, 12, 0, 0, 7), (MAP, 0x1000, 12, 0, 0, 8)],
                                  "to physical page 0x8, but its page is known to be 0x7"),
    "load from an unknown page": ("system", [(LOAD, 0x1000, 4)], "touches page 0x1, unknown"),
    "code on an unknown page": ("system", [(EXEC, 0x1000, 4)], "touches page 0x1, unknown"),
    "unknown high page": ("system", [(MAP, 0x1000), (STORE, 0x1FFE, 4)], "touches page 0x2, unknown"),
    "unknown high page of code": ("system", [(MAP, 0x1000), (EXEC, 0x1FFE, 4)], "touches page 0x2, unknown"),
    "unknown page 0 behind the last": ("system", [(MAP, 0xFFFFF000), (LOAD, 0xFFFFFFFF, 2)], "touches page 0x0"),
    "forgotten by FLUSH": ("system", [(MAP, 0x1000), (FLUSH, 0), (LOAD, 0x1000, 1)], "touches page 0x1, unknown"),
    "forgotten by FLUSH_PAGE": ("system", [(MAP, 0x1000), (FLUSH_PAGE, 0x1FFF), (LOAD, 0x1000, 1)], "page 0x1, unk"),
    "IO on a known page": ("system", [(MAP, 0x1000), (LOAD, 0x1000, 4, 0, IO)], "known as RAM"),
    "page in a LOAD": ("user", [(LOAD, 0x1000, 4, 0, 0, 9)], "has 0x9 in column page"),
    "page in a FLUSH": ("user", [(FLUSH, 0x1000, 1, 0, 0, 9)], "has 0x9 in column page"),
}  # fmt: skip


@pytest.mark.parametrize("before", [0, 1, 3 * BLOCK - 1])
@pytest.mark.parametrize("case", ERRORS)
def test_the_first_bad_row_is_named(case, before):
    mode, given, text = ERRORS[case]
    one = Survey(mode, "t.arrow")
    if before:
        one.feed(rows(*[(200, 0)] * before))
    with pytest.raises(TraceError) as caught:
        one.feed(rows(*given, (99, 0)))  # a second bad row is not what is reported
    bad = before + len(given) - 1
    assert caught.value.row == bad
    line = str(caught.value)
    assert line.startswith(f"t.arrow: row {bad:,}: ") and text in line
    assert (f"slice t.arrow 0:{bad} " in line) == (bad > 0)  # a slice of nothing is not a trace
    assert ("record it again" in line) == (bad == 0)
    assert "\n" not in line and len(line) < 220
    assert one.counts()["rows"] == bad


def test_what_is_no_error():
    survey("system", (MAP, 0x1000, 12, 0, 0, 7), (MAP, 0x1000, 22, 0, 0, 7))  # the same again
    survey("system", (MAP, 0x1000), (LOAD, 0xFFE, 4, 0, IO))  # an IO row is judged by its first page
    survey("system", (MAP, 0x1000), (FLUSH_PAGE, 0x1000), (LOAD, 0x1000, 4, 0, IO))
    survey("system", (MAP, 0), (MAP, 0xFFFFF000), (LOAD, 0xFFFFFFFF, 64), (EXEC, 0xFFFFF000, 8192, 255))
    survey("user", (LOAD, 0, 1, 0, 0xFC), (FLUSH, 0x1000, 99), (FLUSH_PAGE, 5), (EXEC, 0, 1), (255, 0, 0, 0, 1, 9))


def test_physical_pages_are_numbered_in_order_of_appearance():
    one = Survey("system")
    assert one.feed(rows((200, 0))).frames is None
    first = one.feed(rows((MAP, 0, 0, 0, 0, 900), (MAP, 0x1000, 0, 0, 0, 5), (LOAD, 0, 4), (MAP, 0x2000, 0, 0, 0, 900)))
    first = first.frames
    assert first.dtype == np.int32 and first.tolist() == [0, 1, 0, 0]
    assert one.feed(rows((LOAD, 0, 4))).frames is None
    assert one.feed(rows((MAP, 0x3000, 0, 0, 0, 2**32 - 1), (MAP, 0x4000, 0, 0, 0, 5))).frames.tolist() == [2, 1]
    assert one.frame_numbers().tolist() == [900, 5, 2**32 - 1]


def test_more_physical_pages_than_replay_holds_are_refused(monkeypatch):
    monkeypatch.setattr("mmuexp.replay.survey.MAX_FRAMES", 3)
    one = Survey("system", "t.arrow")
    given = [(MAP, page << 12, 0, 0, 0, page + 9) for page in (5, 6, 7, 6, 5, 8, 9)]
    with pytest.raises(TraceError, match="row 5: MAP of physical page 0x11") as caught:
        one.feed(rows(*given, (6, 0)))
    assert caught.value.row == 5


def test_flushes_cost_nothing_to_speak_of():
    """Traces have thousands: forgetting a million pages one by one would take a millisecond each."""
    import time

    def seconds(op: Op) -> float:
        columns = rows(*[(MAP, 0x1000), (LOAD, 0x1000, 4), (op, 0x1000)] * 2000)
        one, best = Survey("system"), 1.0
        for _ in range(3):
            start = time.thread_time()  # of this thread alone: the machine has other work
            one.feed(columns)
            best = min(best, time.thread_time() - start)
        return best

    seconds(FLUSH)
    assert seconds(FLUSH) < 10 * seconds(FLUSH_PAGE)


def test_a_read_only_column_is_taken_as_it_is_where_its_owner_would_let_us():
    owned = np.arange(4, dtype=np.uint32)
    shown = owned.view()
    shown.flags.writeable = False
    taken = for_kernels(shown, owned.dtype)
    assert taken.flags.writeable and np.shares_memory(taken, owned) and not shown.flags.writeable
    frozen = np.frombuffer(b"abcd", np.uint8)  # nobody may write to bytes
    copied = for_kernels(frozen, frozen.dtype)
    assert copied.flags.writeable and not np.shares_memory(copied, frozen) and copied.tolist() == list(b"abcd")
