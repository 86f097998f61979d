"""Every result in results/ is what its experiment.toml makes today, digit for digit, and no number there was typed."""

import csv
import re
from pathlib import Path

import pytest
from kit.places import RESULTS
from kit.traces import columns_of, exec_, load, store, write

from mmuexp.analysis.compare import compare
from mmuexp.rerun.about import FILE, PLACE, read
from mmuexp.rerun.command import calls_of
from mmuexp.rerun.index import INDEX, index_text
from mmuexp.rerun.rerun import REPORT, experiments, rerun
from mmuexp.result.table import rows_of

HOME = RESULTS
FOLDERS = experiments(HOME)
SHAPE = ("rows", "pages", "flushes")
MADE = {INDEX, REPORT, "chart.svg"}  # and the table of each command, with its manifest


def bundled(folder: Path) -> bool:
    """Can it be made from what is in the repository?"""
    return not re.search(r"^recipe\b", (folder / FILE).read_text(), re.M)


def marked(folder: Path):
    long = re.search(r"^long = true", (folder / FILE).read_text(), re.M)
    return pytest.param(folder, id=folder.name, marks=[pytest.mark.long] if long else [])


@pytest.fixture
def trusted(monkeypatch):
    """Schemes that keep the contract, as a test below says: no index is looked at."""
    monkeypatch.setattr("mmuexp.replay.compiled.has_passed", lambda _: True)


def test_there_are_results():
    assert len(FOLDERS) >= 9


@pytest.mark.parametrize("folder", [marked(folder) for folder in FOLDERS if bundled(folder)])
def test_made_again_it_is_the_same(folder, trusted):
    outcome = rerun(folder, check=True)
    assert {name: list(found.changes) for name, found in outcome.differences.items()} == {
        n: [] for n in outcome.results
    }
    assert outcome.troubles == ()


# The schemes that results/ bring along for a comparison: cases worked out by hand, in one trace each. They stand here,
# where what is compiled for one test is there for the next.


@pytest.mark.long
def test_without_the_extra_page_a_crossing_at_a_blocks_end_faults(tmp_path, trusted):
    """0x1fffe crosses into the next 64 KiB, 0x2ffe within one; 0x1ffff with 4 bytes, a store, into the same."""
    scheme = str(RESULTS / "extra-page" / "no_extra_page.py")
    rows = [load(0x2FFE), load(0x1FFFE), load(0x1FFFE), store(0x1FFFF), load(0x20000), load(0x1F000)]
    path = write(tmp_path / "t.arrow", columns_of(rows))
    one, small, whole = rows_of(compare(path, [scheme, f"{scheme},map_block_bits=12", "map-block"]).frame)
    # 64 KiB: 0x2ffe takes block 0 and then page 3; three crossings at an end; 0x20000 and 0x1f000 take blocks, and the
    # pages that the store crossed into are dirty
    columns = ("faults_cross", "faults_block", "faults_unmapped", "faults_write", "maps")
    assert [one[c] for c in columns] == [3, 3, 1, 0, 4]
    # 4 KiB: every crossing is at an end
    assert [small[c] for c in ("faults_cross", "faults_block", "faults_unmapped", "maps")] == [4, 2, 0, 2]
    # with the extra page: 0x1f000's block and its extra page are there from the second row on
    assert [whole[c] for c in ("faults_cross", "faults_block", "faults_unmapped", "faults_write")] == [None, 3, 2, 2]
    assert [row["reserved_bytes"] for row in (one, small, whole)] == [64 << 16, 64 << 12, 64 * 17 << 12]


@pytest.mark.long
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


@pytest.mark.long  # a scheme from a file is compiled anew in each run
@pytest.mark.parametrize("file", sorted(RESULTS.glob("*/*.py")), ids=lambda path: path.stem)
def test_they_keep_the_contract(cli, file):
    done = cli("strategy", "check", file)
    assert done.code == 0, done.out


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda folder: folder.name)
def test_the_report_is_what_its_counts_say(folder):
    outcome = rerun(folder, check=True, saved=True)
    assert outcome.troubles == ()


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda folder: folder.name)
def test_no_number_of_an_answer_is_typed(folder):
    about = read(folder)
    text = PLACE.sub("", " ".join(about.answer.split()))
    for quoted in sorted(about.quoted, key=len, reverse=True):
        text = text.replace(quoted, "")
    text = re.sub(r"[A-Za-z_][\w.-]*|\d+-bit", "", text)  # a name may hold digits: pentium4-2004
    assert re.findall(r"\d[\d.,]*", text) == []


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda folder: folder.name)
def test_nothing_but_the_toml_is_there_by_hand(folder):
    tables = [f"{name}.csv{suffix}" for name in read(folder).commands for suffix in ("", ".manifest.json")]
    named = " ".join(word for words in read(folder).commands.values() for word in words)  # recordings, and schemes
    given = {path.name for path in folder.iterdir() if path.suffix in (".arrow", ".py") and path.stem in named}
    there = {path.name for path in folder.iterdir() if path.is_file()} - given
    assert there <= {"experiment.toml", *MADE, *tables}
    assert {"experiment.toml", REPORT, *tables} <= there


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda folder: folder.name)
def test_the_counts_of_a_table_add_up(folder):
    for name, call in calls_of(read(folder)).items():
        if call.kind == "misses":
            continue
        with (folder / f"{name}.csv").open() as file:
            rows = [{k: int(v) if v.isdigit() else v for k, v in row.items() if v} for row in csv.DictReader(file)]
        shapes = {
            (row["trace"], row.get("window_index")): row for row in rows
        }  # rows, pages and flushes are the recording's
        for row in rows:
            assert row["accesses"] == row["loads"] + row["stores"]
            assert row["faults"] == sum(count for column, count in row.items() if column.startswith("faults_"))
            calls = [row[name] for name in ("mmap_calls", "mprotect_calls", "munmap_calls") if name in row]
            assert row.get("host_calls", 0) == sum(calls)
            assert row["translations"] <= row["execs"]
            assert [row[s] for s in SHAPE] == [shapes[row["trace"], row.get("window_index")][s] for s in SHAPE]


def test_the_index_is_made_from_them():
    assert (HOME / INDEX).read_text() == index_text(HOME)


@pytest.mark.parametrize("target", re.findall(r"\]\(([^)#]+)\)", (HOME / INDEX).read_text()))
def test_links_of_the_index_lead_somewhere(target):
    assert (HOME / target).exists()
