"""Export to din, xdin and lackey text: lines by hand, the way back, and somebody else's cache that counts fills."""

import re

import numpy as np
import pytest
from cachesim import Cache, CacheSimulator, MainMemory
from kit.places import TRACES
from kit.traces import columns_of, read, same, system_rows, write

from mmuexp import compare
from mmuexp.guest import IO, THREAD, Columns, Op
from mmuexp.trace import export_text, open_trace
from mmuexp.trace.export import TEXT, export
from mmuexp.trace.importers.work import import_trace

ROWS = columns_of([
    (Op.LOAD, 0x2000, 4, 0),  # before any block
    (Op.EXEC, 0x1000, 7, 3),
    (Op.LOAD, 0xBE000000, 16, 2),
    (Op.STORE, 0xBE000008, 4, 2),
    (Op.STORE, 0x10, 1, 3),
    (Op.EXEC, 0xFFFFFFFF, 2, 1),
    (Op.EXEC, 0x1000, 7, 3),
])  # fmt: skip
WRITTEN = {
    "lackey": " L 00002000,4\nI  00001000,2\nI  00001002,2\n L be000000,16\n S be000008,4\nI  00001004,3\n"
    " S 00000010,1\nI  ffffffff,2\nI  00001000,2\nI  00001002,2\nI  00001004,3\n",
    "xdin": "r 2000 4\ni 1000 2\ni 1002 2\nr be000000 10\nw be000008 4\ni 1004 3\n"
    "w 10 1\ni ffffffff 2\ni 1000 2\ni 1002 2\ni 1004 3\n",
    "din": "0 2000\n2 1000\n2 1002\n0 be000000\n1 be000008\n2 1004\n1 10\n2 ffffffff\n2 1000\n2 1002\n2 1004\n",
}


@pytest.mark.parametrize("style", TEXT)
@pytest.mark.parametrize("room", [1 << 20, 96])
def test_lines_by_hand(tmp_path, cli, monkeypatch, style, room):
    monkeypatch.setattr(export_text, "OUT_BYTES", room)  # the smallest: a line at a time
    path = write(tmp_path / "t.arrow", ROWS)
    assert cli("trace", "export", path, "-o", tmp_path / f"t.{style}").code == 0
    assert (tmp_path / f"t.{style}").read_text() == WRITTEN[style]
    done = cli("trace", "export", path, "--to", style, "-o", tmp_path / "t.txt")
    assert (done.out, done.err) == ("", f"mmuexp: wrote {tmp_path / 't.txt'}: 7 rows\n")
    assert (tmp_path / "t.txt").read_text() == WRITTEN[style]


def test_what_a_format_has_no_word_for_is_told(tmp_path, cli):
    rows = system_rows(
        (Op.MAP, 0x1000, 12, 0, 0, 0x101),
        (Op.EXEC, 0x1000, 8, 2, 0),
        (Op.LOAD, 0xFEC00000, 4, 1, IO),
        (Op.FLUSH, 0x5000, 1),
        (Op.FLUSH_PAGE, 0x1234),
    )
    path = write(tmp_path / "t.arrow", rows, "system")
    assert export(path, str(tmp_path / "t.xdin")).left == {
        "MAP rows": 1,
        "accesses of devices, written as those of memory": 1,
    }
    assert (tmp_path / "t.xdin").read_text() == "i 1000 4\nr fec00000 4\nv 0 0\nv 1000 1000\ni 1004 4\n"
    done = cli("trace", "export", path, "-o", tmp_path / "t.lackey")
    assert "lackey has no word for 1 FLUSH_PAGE rows" in done.err and "1 MAP rows" in done.err
    notes = columns_of([(THREAD, 1, 0, 0), (200, 0, 0, 0), (Op.LOAD, 0x1000, 4, 0)])
    left = export(write(tmp_path / "n.arrow", notes), str(tmp_path / "n.din")).left
    assert left == {"THREAD rows": 1, "other annotations": 1}


def test_a_piece_of_an_instruction_is_a_line_and_nothing_is_shorter_than_a_byte(tmp_path):
    path = write(tmp_path / "t.arrow", columns_of([(Op.EXEC, 0x1000, 5, 0), (Op.EXEC, 0x2000, 2, 3)]))
    export(path, str(tmp_path / "t.xdin"))
    assert (tmp_path / "t.xdin").read_text() == "i 1000 5\ni 2000 1\ni 2001 1\n"


def test_sizes_that_are_not_known_are_not_stated(tmp_path, cli):
    path = write(tmp_path / "t.arrow", ROWS, sizes="unknown")
    for style in ("xdin", "lackey"):
        done = cli("trace", "export", path, "-o", tmp_path / f"t.{style}")
        assert (done.code, done.err.count("\n")) == (2, 1) and "export it as din" in done.err
        assert not (tmp_path / f"t.{style}").exists()
    assert cli("trace", "export", path, "-o", tmp_path / "t.din").code == 0


def test_lackeys_text_comes_back_as_it_was(tmp_path):
    """What was imported is the same after an export. A recording's blocks grow together where one follows another."""
    first, again = tmp_path / "first.arrow", tmp_path / "again.arrow"
    export(str(TRACES / "bit_field.arrow"), str(tmp_path / "t.lackey"))
    import_trace(str(tmp_path / "t.lackey"), str(first))
    export(str(first), str(tmp_path / "u.lackey"))
    import_trace(str(tmp_path / "u.lackey"), str(again))
    imported = read(open_trace(first))
    assert same(imported, read(open_trace(again)))
    recorded = read(open_trace(TRACES / "bit_field.arrow"))
    ours, theirs = (Columns(*(c[rows.op <= Op.STORE] for c in rows)) for rows in (recorded, imported))
    assert all(np.array_equal(getattr(ours, n), getattr(theirs, n)) for n in ("op", "vaddr", "size"))
    for column in ("size", "insns"):  # no byte and no instruction of code is lost
        sums = [int(getattr(rows, column)[rows.op == Op.EXEC].sum(dtype=np.int64)) for rows in (recorded, imported)]
        assert sums[0] == sums[1]


LINE = re.compile(r" ([LS]) ([0-9a-f]{8,}),(\d+)")


@pytest.mark.parametrize(("name", "bits"), [("crossing", 8), ("bit_field", 8), ("bit_field", 4), ("lu", 4)])
def test_a_cache_of_pages_misses_where_softmmu_fills(tmp_path, name, bits):
    """pycachesim counts, on lackey text, the misses of a direct-mapped cache with lines of a page.

    softmmu fills once more for each page whose first store finds an entry that a load made: it enters a clean page
    without the right to write, so that the first store can set the guest's dirty bit. Nothing else differs.
    """
    path, lines = TRACES / f"{name}.arrow", tmp_path / "t.lackey"
    export(str(path), str(lines))
    memory, tlb = MainMemory(), Cache("TLB", 1 << bits, 1, 4096, "LRU")
    memory.load_to(tlb)
    memory.store_from(tlb)
    peer = CacheSimulator(tlb, memory)
    stored, dirty_fills = set(), 0
    for kind, address, size in LINE.findall(lines.read_text()):
        at, size = int(address, 16), int(size)
        if kind == "L":
            peer.load(at, length=size)
            continue
        for page in range(at >> 12, (at + size - 1 >> 12) + 1):
            before = tlb.backend.MISS_count
            first = max(at, page << 12)
            peer.store(first, length=min(at + size, (page + 1) << 12) - first)
            dirty_fills += page not in stored and tlb.backend.MISS_count == before
            stored.add(page)
    counted = compare(path, strategies=[f"softmmu,tlb_bits={bits}"])
    assert tlb.backend.MISS_count + dirty_fills == counted["tlb_fills"].iloc[0]
    assert dirty_fills > 0 or name == "crossing"
