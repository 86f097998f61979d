"""The schemes that results/ bring along for a comparison: cases worked out by hand, in one trace each."""

import pytest
from kit.places import RESULTS
from kit.traces import columns_of, exec_, load, store, write, write_trace

from mmuexp.analysis.compare import compare
from mmuexp.result.table import rows_of

pytestmark = pytest.mark.long  # a scheme from a file is compiled anew in each run


@pytest.fixture
def trusted(monkeypatch):
    """Schemes that keep the contract, as the last test says: no index is looked at."""
    monkeypatch.setattr("mmuexp.replay.compiled.has_passed", lambda _: True)


def test_without_the_extra_page_a_crossing_at_a_blocks_end_faults(tmp_path, trusted):
    """0x1fffe crosses into the next 64 KiB, 0x2ffe within one; 0x1ffff with 4 bytes, a store, into the same."""
    scheme = str(RESULTS / "extra-page" / "no_extra_page.py")
    rows = [load(0x2FFE), load(0x1FFFE), load(0x1FFFE), store(0x1FFFF), load(0x20000), load(0x1F000)]
    path = write(tmp_path / "t.arrow", columns_of(rows))
    one, small, whole = rows_of(compare(path, [scheme, f"{scheme},map_block_bits=12", "map-block"]).frame)
    # 64 KiB: 0x2ffe takes block 0 and then page 3; three crossings at an end; 0x20000 and 0x1f000 take blocks, and the
    # pages that the store crossed into are dirty
    assert [one[c] for c in ("faults_cross", "faults_block", "faults_unmapped", "faults_write", "maps")] == [
        3,
        3,
        1,
        0,
        4,
    ]
    # 4 KiB: every crossing is at an end
    assert [small[c] for c in ("faults_cross", "faults_block", "faults_unmapped", "maps")] == [4, 2, 0, 2]
    # with the extra page: 0x1f000's block and its extra page are there from the second row on
    assert [whole[c] for c in ("faults_cross", "faults_block", "faults_unmapped", "faults_write")] == [None, 3, 2, 2]
    assert [row["reserved_bytes"] for row in (one, small, whole)] == [64 << 16, 64 << 12, 64 * 17 << 12]


def test_dropping_pages_drops_what_the_bitmap_keeps(tmp_path, trusted):
    """Two blocks of one page. Data beside them, then the blocks again; then a store over the first one."""
    scheme = str(RESULTS / "code-bitmap" / "page_drop.py")
    first, second, data, over = exec_(0x1000, 16, 4), exec_(0x1020, 16, 4), store(0x1100), store(0x1004)
    path = write(tmp_path / "t.arrow", columns_of([first, second, data, data, first, second, over, first, second]))
    pages, bytes_ = rows_of(compare(path, [scheme, "softmmu"]).frame)
    columns = ("translations", "translated_insns", "smc_stores", "code_page_data_stores", "slow_code", "tlb_fills")
    # page-drop: 2, dropped by the first data store (the second finds no code), 2 again, dropped by the last, 2 again
    assert [pages[c] for c in columns] == [6, 24, 1, 1, 2, 1]
    # softmmu: 2, kept by both data stores, and only the first is dropped by the last store
    assert [bytes_[c] for c in columns] == [3, 12, 1, 2, 3, 1]


@pytest.mark.parametrize("file", sorted(RESULTS.glob("*/*.py")), ids=lambda path: path.stem)
def test_they_keep_the_contract(cli, file, tmp_path):
    write_trace(tmp_path / "t.arrow")
    done = cli("strategy", "check", file)
    assert done.code == 0, done.out
