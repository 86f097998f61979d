"""Compulsory, flush, write right, capacity and conflict: by hand, by the oracle, and by what must hold."""

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from kit.cli import one_line
from kit.replays import Rows, run
from kit.traces import (
    any_traces,
    columns_of,
    flush,
    flush_page,
    io_store,
    load,
    map_,
    random_trace,
    store,
    traces,
    write,
)
from truth.oracle import misses as oracle_misses
from truth.oracle.guest import USER

import mmuexp
from mmuexp.analysis.misses import KINDS, misses
from mmuexp.analysis.tlbmisses import MissKind, split
from mmuexp.errors import UsageError
from mmuexp.guest import PAGES, Columns
from mmuexp.trace import open_trace
from mmuexp.trace.regions import Region

EVERYWHERE = [Region(0, PAGES)]
HERE = np.zeros((1, 1), np.int64)


def counted(rows, mode="user", bits=8, chunk=1 << 20, regions=EVERYWHERE, offsets=HERE):
    """By name, of the first load address."""
    fills, shared = split(Rows(rows, mode, chunk), bits, regions, offsets)
    return dict(zip(KINDS, fills[0].tolist(), strict=True)) | {"lru_fills": shared["lru_fills"]}


def kinds(**counts):
    return dict.fromkeys((*KINDS, "lru_fills"), 0) | counts


COPY = [row for at in range(0, 40, 4) for row in (load(0x1000 + at), store(0x101000 + at))]

CASES = {
    "a copy between two pages of one set misses every time": (
        COPY,
        8,
        # 20 accesses, 20 fills: the first of each page is compulsory; 256 entries would hold both pages
        kinds(compulsory=2, conflict=18, lru_fills=2),
    ),
    "the same copy with 512 sets": (COPY, 9, kinds(compulsory=2, lru_fills=2)),
    "the same copy with one entry is not a conflict: nothing holds two pages": (
        COPY,
        0,
        kinds(compulsory=2, capacity=18, lru_fills=20),
    ),
    "load, then first store": (
        [load(0x1000), store(0x1004), load(0x1000)],
        8,
        kinds(compulsory=1, write_right=1, lru_fills=2),
    ),
    "a store first": ([store(0x1000), load(0x1004)], 8, kinds(compulsory=1, lru_fills=1)),
    "a first store to a page that a conflict pushed out is a write right all the same": (
        # 1 enters, 0x101 pushes it out, the store to 1 would fill without limit too; then 0x101 comes back: conflict
        [load(0x1000), load(0x101000), store(0x1000), load(0x101000)],
        8,
        kinds(compulsory=2, write_right=1, conflict=1, lru_fills=3),
    ),
    "three pages round two entries: LRU always throws out the one that comes next": (
        # sets: 0, 1, 0. Pages 2 and 4 (set 0) push each other out; 3 (set 1) stays, which LRU would throw out
        [load(0x2000), load(0x3000), load(0x4000)] * 3,
        1,
        kinds(compulsory=3, capacity=4, lru_fills=9),
    ),
    "a crossing looks up two pages, low first": (
        [load(0x1FFE), load(0x1000), load(0x2000)],
        0,
        # 1 and 2 enter, 2 stays; 1 again: LRU of one entry fills, too; 2 likewise
        kinds(compulsory=2, capacity=2, lru_fills=4),
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_by_hand(name):
    rows, bits, expect = CASES[name]
    assert counted(rows, bits=bits) == expect


def test_flushes_by_hand():
    """FLUSH and FLUSH_PAGE drop what comes back; another mode has entries of its own; devices are not looked up."""
    kernel = 0
    rows = [
        map_(0x1000, 0x101), load(0x1000), load(0x1000, flags=kernel),  # compulsory in each mode
        flush(), map_(0x1000, 0x102), load(0x1000),  # flush
        flush_page(0x1000), map_(0x1000, 0x102), store(0x1000),  # flush, and with the right at once
        load(0x1004), store(0x1008), io_store(0xB8000),
        load(0x1000, flags=kernel),  # flush: the FLUSH dropped it, and page 0x102 is dirty
        store(0x1000, flags=kernel),
    ]  # fmt: skip
    assert counted(rows, "system") == kinds(compulsory=2, flush=3, lru_fills=5)


@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(trace=any_traces(), bits=st.integers(0, 9), chunk=st.sampled_from([7, 1 << 20]))
def test_the_oracle_agrees(trace, bits, chunk):
    mode, rows = trace
    assert counted(rows, mode, bits, chunk) == oracle_misses.kinds(rows, mode, bits)


@pytest.mark.parametrize("mode", ["user", "system"])
@pytest.mark.parametrize("bits", [2, 4])
def test_the_oracle_agrees_of_a_longer_trace(mode, bits):
    rows = random_trace(seed=8, n=2_500, mode=mode)
    found = counted(rows, mode, bits, chunk=997)
    assert found == oracle_misses.kinds(rows, mode, bits)
    assert min(found.values()) > 0


@settings(max_examples=30, deadline=None, suppress_health_check=list(HealthCheck))
@given(rows=traces("user"), bits=st.integers(0, 9), offset=st.integers(-300, 300))
def test_the_oracle_agrees_of_a_region_that_moved(rows, bits, offset):
    regions, offsets = [Region(0, 0x8000), Region(0x8000, PAGES - 0x8000)], np.array([[0, offset], [0, 0]])
    fills, shared = split(Rows(rows, "user"), bits, regions, offsets)
    for column, moved in enumerate((0, offset)):
        want = oracle_misses.kinds(rows, "user", bits, lambda page, by=moved: page + (by if page < 0x8000 else 0))
        assert dict(zip(KINDS, fills[column].tolist(), strict=True)) | {"lru_fills": shared["lru_fills"]} == want


@pytest.mark.parametrize("mode", ["user", "system"])
@pytest.mark.parametrize("bits", [0, 2, 5, 8])
def test_they_sum_to_what_softmmu_counts(mode, bits):
    """Kernels of another file, that know nothing of kinds."""
    rows = random_trace(seed=bits, n=20_000, mode=mode)
    found = counted(rows, mode, bits)
    assert sum(found[kind] for kind in KINDS) == run(rows, f"softmmu,tlb_bits={bits}", mode)["tlb_fills"]
    if bits == 0:  # a TLB of one entry has no sets to quarrel in
        assert found["conflict"] == 0
        assert found["lru_fills"] == sum(found[kind] for kind in KINDS)
    else:
        assert found["conflict"] > 100 < found["compulsory"]


def test_without_limit_only_three_kinds_are_left():
    """As many entries as a program has pages, of which no two share a set."""
    rows = [row for row in random_trace(seed=1, n=5_000, mode="user") if 0x8000 <= row[1] >> 12 < 0x8200]
    found = counted(rows, bits=10)
    assert found["capacity"] == found["conflict"] == 0
    assert found["compulsory"] > 100 < found["lru_fills"]


@pytest.mark.parametrize("name", ["gzip", "linux_user"])
def test_they_sum_in_recordings(name):
    with open_trace(f"traces/{name}.arrow") as trace:
        first = Columns(*(column[:300_000] for column in next(trace.batches())))
        mode = trace.mode
    found = counted(first, mode)
    assert sum(found[kind] for kind in KINDS) == run(first, "softmmu", mode)["tlb_fills"]


@pytest.mark.long
@pytest.mark.parametrize("name", ["gzip", "bzip2", "luajit", "linux_user", "linux_patching", "linux_firmware"])
def test_they_sum_in_whole_recordings(name):
    from mmuexp.analysis.compare import compare

    path = f"traces/{name}.arrow"
    for bits in (4, 8):
        spec = f"softmmu,tlb_bits={bits}"
        row = misses(path, spec).frame.iloc[0]
        assert row["tlb_fills"] == row[list(KINDS)].sum() == compare(path, spec).frame.iloc[0]["tlb_fills"]


@pytest.fixture
def copy(tmp_path):
    return write(tmp_path / "copy.arrow", columns_of(COPY))


def test_the_frame_of_two_sizes_and_two_seeds(copy):
    found = misses(copy, ["softmmu", "softmmu,tlb_bits=9"], load_seed=[0, 1], join_pages=16)
    frame = found.frame
    assert list(frame["strategy"]) == ["softmmu", "softmmu", "softmmu,tlb_bits=9", "softmmu,tlb_bits=9"]
    assert list(frame["load_seed"]) == [0, 1, 0, 1]
    assert list(frame["tlb_fills"]) == [20, 2, 2, 2]  # moved apart, they no longer meet
    assert set(frame["regions"]) == {2}
    assert set(frame["lookups"]) == set(frame["rows"]) == {len(COPY)}
    assert set(frame["flushes"]) == {0}
    assert found.manifest["load_seed"] == [0, 1]
    assert mmuexp.tlb_misses(copy, load_seed=[0, 1], join_pages=16).equals(frame[:2])
    assert found.manifest["join_pages"] == 16


def test_groups_of_load_addresses_change_nothing(copy, monkeypatch):
    whole = misses(copy, load_seed=range(5), join_pages=16).frame
    monkeypatch.setattr("mmuexp.analysis.tlbmisses.TOGETHER", 512)  # two load addresses a pass
    assert misses(copy, load_seed=range(5), join_pages=16).frame.equals(whole)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"strategies": "map-block"}, "no direct-mapped TLB"),
        ({"load_seed": []}, "no seed"),
        ({"load_seed": [1, -1]}, "load_seed"),
        ({"load_seed": [True]}, "load_seed"),
        ({"load_seed": range(2000)}, "2,000 seeds"),
        ({"load_seed": 1, "move_bits": 20}, "move_bits"),
        ({"load_seed": 1, "join_pages": 0}, "join_pages"),
    ],
)
def test_wrong_usage_is_told(copy, options, said):
    with pytest.raises(UsageError, match=said):
        misses(copy, **options)


def test_the_command(cli, copy, tmp_path, monkeypatch):
    monkeypatch.setenv("COLUMNS", "400")  # the path of a temporary file is long
    done = cli("misses", copy, "--load-seed", "0..2", "--join-pages", 16, "-o", tmp_path / "m.csv", "-o", "-")
    assert done.code == 0, done.err
    lines = done.out.splitlines()
    assert "2 regions, 3 load addresses" in lines[0]
    assert lines[1].split() == ["least", "median", "most", "as", "recorded"]
    assert lines[2].split() == ["TLB", "fills", "2", "2", "20", "20"]
    assert lines[7].split()[:5] == ["conflict", "0", "0", "18", "18"]
    table = (tmp_path / "m.csv").read_text().splitlines()
    assert table[0].startswith("trace,strategy,load_seed,tlb_fills,compulsory,flush,write_right,capacity,conflict,")
    assert [line.split(",")[3] for line in table[1:]] == ["20", "2", "2"]
    assert (tmp_path / "m.csv.manifest.json").is_file()
    assert cli("misses", copy, "--format", "csv").out.splitlines()[1].split(",")[3] == "20"
    assert "| TLB fills | 20 |" in cli("misses", copy, "--format", "md").out


def test_a_saved_result_is_read_back(cli, copy, tmp_path):
    names = [str(tmp_path / f"m{suffix}") for suffix in (".json", ".csv", ".parquet", ".html", ".svg")]
    done = cli("misses", copy, "--load-seed", "0,1", "--join-pages", 16, *[word for n in names for word in ("-o", n)])
    assert done.code == 0, done.err
    table = (tmp_path / "m.csv").read_text()
    for name in names[:3]:
        assert cli("export", name, "--format", "csv").out == table
        assert "2 regions, 2 load addresses" in cli("export", name, "--format", "table").words
    assert "with LRU and no sets" in (tmp_path / "m.html").read_text()
    assert cli("misses", copy, "--fail-if", "conflict > 17").code == 3
    assert cli("misses", copy, "--fail-if", "conflict > 18").code == 0
    for wrong in (
        table.replace(",conflict", ",conflicts"),
        table.replace(",18,", ",-18,"),
        table.replace(",18,", ",,"),
    ):
        assert wrong != table
        (tmp_path / "m.csv").write_text(wrong)
        assert "is not a saved result" in one_line(cli("export", tmp_path / "m.csv", "--format", "csv").err)


@pytest.mark.parametrize(
    ("argv", "code", "said"),
    [
        (["--load-seed", "a..b"], 2, "not a range"),
        (["--load-seed", "fifo"], 2, "names no whole numbers"),
        (["-s", "qemu-fast"], 2, "no direct-mapped TLB"),
        (["-o", "x.txt"], 2, "suffix"),
    ],
)
def test_wrong_words_are_one_line(cli, copy, argv, code, said):
    done = cli("misses", copy, *argv)
    assert done.code == code
    assert said in one_line(done.err)


def test_a_whole_guest_has_no_other_load_address(cli, tmp_path):
    rows = [map_(0x1000, 0x101), load(0x1000, flags=USER)]
    path = write(tmp_path / "system.arrow", columns_of(rows), mode="system")
    assert cli("misses", path).code == 0
    done = cli("misses", path, "--load-seed", "1")
    assert done.code == 1
    assert "whole guest" in one_line(done.err)


def test_the_kernel_and_the_table_name_the_same_kinds():
    assert tuple(kind.name.lower() for kind in MissKind) == KINDS
