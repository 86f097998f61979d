"""Hand-worked: the shape counts, the same under every scheme (MODEL.md 1), and what is an error."""

from dataclasses import dataclass

from truth.oracle.guest import IO, USER
from truth.rows import Case, Row, exec_, flush, flush_page, io_load, io_store, load, map_, note, store
from truth.schemes import EMPTY, NAMES

_SHAPE = [
    note(),
    map_(0x1000, 0x50),
    map_(0x2000, 0x51),
    exec_(0x1000, 16, 5),
    load(0x1100, 4, USER),
    store(0x1102, 4, 0),
    load(0x1FFE, 4, 0),
    load(0x1101, 3, USER),
    io_load(0x9FFE, 4, 0),
    io_store(0x9000, 4, USER),
    exec_(0x1000, 16, 7, 0),
    load(0x1100, 4, USER),
    flush_page(0x2ABC),
    flush(),
    map_(0x1000, 0x50),
    load(0x1000, 64),
    store(0x1020, 64),
]
_SHAPE_COUNTS = dict(
    rows=17, accesses=9, loads=6, stores=3, execs=2, guest_insns=12, misaligned=4, page_cross=2, io_accesses=2,
    flushes=1, page_flushes=1, pages=2, mode_switches=4, far_accesses=4,
    cold_accesses=4,
)  # fmt: skip
_SHAPE_WHY = """rows: all, the annotation and the MAPs too. Misaligned: 0x1102, 0x1ffe, IO 0x9ffe, and 0x1020 for 64
bytes; 0x1101 has 3 bytes, no power of two. Crossing: 0x1ffe and IO 0x9ffe. Pages: 1 and 2, IO page 9 is none.
Privilege U K K U K(IO) U(IO) U U U: 4 changes, the EXEC row in ring 0 is no access. Instructions: 5 + 7.
Far, and cold: the 4 RAM accesses of the block's first execution; at its second it is near.
Stores at 0x1102 and 0x1020 lie on a code page, beside the block of 16 bytes: """

_KEPT = (
    dict(translations=1, translated_insns=5, code_page_data_stores=2),
    "a TLB drops nothing: 1 translation.",
)
_DROPPED = (
    dict(translations=2, translated_insns=12, code_page_data_stores=2),
    "the handler drops the block at the first, so the second EXEC (7 instructions) translates it again.",
)

_WRAP_WHY = "0xfffffffe + 4 bytes: the pages are 0xfffff and 0, for addresses wrap; the load of page 0 adds none."

CASES = [
    Case(f"shape under {spec}", spec, "system", _SHAPE, _SHAPE_COUNTS | extra, _SHAPE_WHY + why)
    for spec in NAMES
    for extra, why in [_KEPT if "protects" in EMPTY[spec] else _DROPPED]
] + [
    case
    for spec in NAMES
    for case in (
        Case(
            f"page 0 follows page 0xfffff, {spec}", spec, "user", [load(0xFFFFFFFE), load(0x10)],
            dict(accesses=2, pages=2, page_cross=1, misaligned=1), _WRAP_WHY,
        ),
        Case(
            f"annotations and EXEC touch no data, {spec}", spec, "user",
            [note(128), note(255), exec_(0x1FF8, 16, 6), note(), exec_(0x1FF8, 16, 6)],
            dict(rows=5, accesses=0, pages=0, execs=2, guest_insns=12, translations=1, translated_insns=6, faults=0,
                 smc_stores=0, code_page_data_stores=0, mode_switches=0, table_lines=0),
            "Executing needs no data mapping, a crossing block is translated once; annotations count as rows only.",
        ),
        Case(
            f"the same block through two virtual pages, {spec}", spec, "system",
            [map_(0x1000, 0x50), map_(0x2000, 0x50), exec_(0x1010), exec_(0x2010), exec_(0x2010, 17), exec_(0x2011)],
            dict(translations=3, translated_insns=12, execs=4),
            "A block is its physical first byte and its size: rows 2 and 3 are one block; a size of 17, or another "
            "first byte, is another block.",
        ),
        Case(
            f"a crossing block is another block when its second page moves, {spec}", spec, "system",
            [map_(0x1000, 0x50), map_(0x2000, 0x51), exec_(0x1FF8), flush_page(0x2000), map_(0x2000, 0x52),
             exec_(0x1FF8), flush_page(0x2000), map_(0x2000, 0x51), exec_(0x1FF8)],
            dict(translations=2, page_flushes=2),
            "The second physical page is part of the key: 0x51, 0x52, then 0x51 again, which is still translated.",
        ),
    )
]  # fmt: skip


@dataclass(frozen=True)
class Error:
    """A trace that stops at `row`."""

    name: str
    mode: str
    rows: list[Row]
    row: int
    spec: str = "softmmu"
    trace_bits: int = 32


_KNOWN = [map_(0x1000, 0x50), map_(0x2000, 0x51)]
_MOVED = "qemu-fast,guest_limit=0x100000000,kernel_offset=0x30000000"

ERRORS = [
    Error("a reserved op", "user", [load(0), (6, 0, 0, 0, 0, 0)], 1),
    Error("the last reserved op", "user", [(127, 0, 0, 0, 0, 0)], 0),
    Error("a load of no bytes", "user", [load(0, 0)], 0),
    Error("a store of 65 bytes", "user", [store(0, 64), store(0, 65)], 1),
    Error("IO of no bytes", "system", [io_load(0, 0)], 0),
    Error("EXEC of no bytes", "user", [exec_(0x1000, 0)], 0),
    Error("EXEC with the IO flag", "system", [*_KNOWN, exec_(0x1000, flags=IO)], 2),
    Error("EXEC of three pages", "user", [exec_(0x1FFF, 4097), exec_(0x1FFF, 4098)], 1),
    Error("MAP in a user-mode trace", "user", [map_(0x1000, 1)], 0),
    Error("IO in a user-mode trace", "user", [note(), io_load(0x1000)], 1),
    Error("MAP of no page's first byte", "system", [map_(0x1004, 1)], 0),
    Error("a MAP that contradicts", "system", [*_KNOWN, map_(0x1000, 0x50), map_(0x1000, 0x51)], 3),
    Error("a load of an unknown page", "system", [*_KNOWN, load(0x1000), load(0x3000)], 3),
    Error("a store whose second page is unknown", "system", [*_KNOWN, store(0x1FFE), store(0x2FFE)], 3),
    Error("EXEC on an unknown page", "system", [exec_(0x1000)], 0),
    Error("EXEC whose second page is unknown", "system", [*_KNOWN, exec_(0x2FF8)], 2),
    Error("IO on a known page", "system", [*_KNOWN, io_load(0x3000), io_load(0x2000)], 3),
    Error("IO is judged by its first page", "system", [*_KNOWN, io_load(0xFFE), io_load(0x1FFE)], 3),
    Error("FLUSH makes all pages unknown", "system", [*_KNOWN, flush(), load(0x1000)], 3),
    Error("FLUSH_PAGE makes one unknown", "system", [*_KNOWN, flush_page(0x1FFF), load(0x2000), load(0x1000)], 4),
    Error("two pages at one host page", "user", [load(0x60000000), load(0x90000000)], 1, _MOVED),
    Error("the other way round", "user", [load(0x90000000), load(0x60000000)], 1, _MOVED),
    Error("the page after 0x8ffff", "user", [load(0x8FFFFFFE), load(0x90000000), load(0xC0000000)], 2, _MOVED),
    Error(
        "not while they take turns", "user",
        [load(0x60000000), flush_page(0x60000000), load(0x90000000), load(0xFFFFFFFF, 1), load(0x60000000, 4),
         flush(), load(0x60000000), load(0x90000000)],
        4, _MOVED,
    ),
    Error(
        "a spell looks at no host page", "system",
        [map_(0x60000000, 1), map_(0x90000000, 2), load(0x60000000), io_load(0xF0000000), load(0x90000000),
         exec_(0x60000000), load(0x90000000)],
        6, _MOVED,
    ),
    Error("a physical page of more than 40 bits", "system", [map_(0, 1 << 40), map_(0x1000, (1 << 40) + 1)], 1,
          trace_bits=64),
    Error("64 bits: an unknown page", "system", [map_(0x1000, 1), load(0x1000), load(0x1_0000_1000)], 2,
          trace_bits=64),
    Error("64 bits: the page behind the last one is unknown", "system", [map_((1 << 64) - 4096, 1),
          load((1 << 64) - 4), load((1 << 64) - 2)], 2, trace_bits=64),
    Error("64 bits: what is known contradicts", "system", [map_(0x1000, 5), map_(0x1000, (1 << 32) + 5)], 1,
          trace_bits=64),
]  # fmt: skip
