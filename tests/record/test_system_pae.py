"""A guest with physical address extension, also above 4 GiB (traces/workloads/guest/pae.S): its counts, recorded anew.

The table in pae.S says what each of its phases does; here it stands as formulas in the rounds and the pages up there.
"""

import pytest
from kit.recordings import GUEST_DEVICES, KNOWN_SPECS, found_phases, guest, need, record, tuples
from kit.replays import check_known

from mmuexp.guest import Op
from mmuexp.record.session import Session
from mmuexp.trace import open_trace
from mmuexp.trace.verify import FAILED, WARNING, verify

N = 30
PROCESSOR = ["-cpu", "qemu32,+pse36", "-no-reboot"]  # 36 bits of physical address; a fault of the guest ends it
# the format's numbers: the last GiB of 4 lies above 4 GiB, and is still the RAM's last; a pc-dimm is not in that RAM
LAST_GIB = ["-m", "4096"]
DIMM = ["-m", "128M,slots=1,maxmem=2G", "-object", "memory-backend-ram,id=more,size=1G", "-device"]
DIMM += ["pc-dimm,memdev=more"]
OUTSIDE = 196_608  # pages outside the guest's RAM that the recorder numbers


def record_pae(folder, pages: int, memory: list[str]):
    need("qemu-system-i386", "qemu-system-x86")
    image = guest(f"pae_{pages}", N)
    options = ["--system", "--time-limit", "30", "-o", "pae.arrow"]
    done = record(*options, "--", "-bios", image, *GUEST_DEVICES, *PROCESSOR, *memory, cwd=folder)
    return done, folder / "pae.arrow"


def phases(n: int, pages: int) -> list[dict[str, int]]:
    """What each phase does, as pae.S derives it; what is not named is 0."""
    pieces = -(-pages // 512)
    turns = {"loads": n, "stores": 1, "execs": 2 * n, "maps": 2 * n + 1}
    shows = {"loads": n, "stores": n + 1, "execs": 2 * n, "page_flushes": n - 1, "maps": n + 1}
    return [
        {"loads": 10, "stores": 1, "execs": 8, "flush CR0": 1, "maps": 4, "misaligned": 1},
        {"stores": 1029, "execs": 512, "maps": 3},
        {"stores": 1, "execs": 3, "flush CR4": 1, "flush CR0": 1, "maps": 3},
        turns | {"flush CR3": n},
        turns | {"flush CR4": n},
        turns | {"flush CR0": n},
        shows,
        shows,
        {"loads": pages, "stores": pieces + 2, "execs": 2 * pages + 2 * pieces - 2}
        | {"flush CR3": pieces, "maps": pages + 2 * pieces},
        {"loads": 2 * n, "stores": n + 4, "execs": n + 1, "flush CR3": 1, "maps": 6},
        {},
    ]


def expected(spec: str, n: int, pages: int) -> dict[str, int]:
    """What follows from the table under any scheme, and under each, without running one."""
    pieces = -(-pages // 512)
    counts = {
        "loads": 7 * n + pages + 10,
        "stores": 3 * n + pieces + 1042,
        "execs": 11 * n + 2 * pages + 2 * pieces + 522,
        "flushes": 3 * n + pieces + 4,
        "page_flushes": 2 * n - 2,
        "misaligned": 1,
        "page_cross": 0,
        "io_accesses": 0,
        "smc_stores": 0,
        "code_page_data_stores": 0,
    }
    counts["accesses"] = counts["loads"] + counts["stores"]
    if spec == "page-table":  # what is misaligned within a page is a hit
        return counts | {"slow_io": 0, "slow_code": 0}
    if spec.startswith("softmmu"):
        misaligned = {} if spec.startswith("softmmu-qemu10") else {"slow_misaligned": 1}
        return counts | misaligned | {"slow_io": 0, "slow_code": 0}
    return counts | {"faults_code": 0}


@pytest.fixture(scope="module", params=[(1, LAST_GIB), (512, LAST_GIB), (1100, LAST_GIB), (1100, DIMM)])
def recorded(request, tmp_path_factory):
    """(pages above 4 GiB, what memory lies there, path of the recording)"""
    pages, memory = request.param
    done, path = record_pae(tmp_path_factory.mktemp("pae"), pages, memory)
    assert done.code == 33, done.err  # QEMU's exit code: the guest found every word as it should be
    assert len(done.err.splitlines()) == 1, done.err
    return pages, memory, path


def test_each_phase_makes_the_rows_that_its_source_says(recorded):
    pages, _, path = recorded
    assert found_phases(tuples(path)) == phases(N, pages)
    assert not [check for check in verify(path) if check.state in (FAILED, WARNING)]
    assert open_trace(path).complete == "yes"


def test_pages_are_the_ones_that_the_page_tables_name(recorded):
    pages, memory, path = recorded
    shown = {}
    for op, vaddr, _, _, _, page in tuples(path):
        if op == Op.MAP:
            shown.setdefault(vaddr >> 12, []).append(page)
    assert shown[0x32] == [0x30, 0x31] * (N // 2)  # A, B, A, ...
    assert shown[0x405] == [0x405, 0x605] * (N // 2)  # the large page
    assert set(shown[0x20]) == {0x20}
    first = 0xC0000 if memory is LAST_GIB else max(shown[0xF0]) + 1  # others are numbered in order of appearance
    above = [page for vpage in range(0x200, 0x400) for page in shown.get(vpage, [])]
    assert sorted(above) == sorted([*range(first, first + pages), first])  # the last phase shows the first again
    assert shown[0x600] == [first]
    assert shown[0] == [0]


@pytest.mark.parametrize("spec", KNOWN_SPECS)
def test_every_count_under_every_scheme(recorded, spec):
    pages, _, path = recorded
    check_known(tuples(path), spec, "system", expected(spec, N, pages))


@pytest.mark.long
def test_more_pages_than_are_numbered(tmp_path):
    """One line says so, and the rows before it are a valid trace."""
    done, path = record_pae(tmp_path, 200_000, DIMM)
    assert done.code == 0
    said, summary = done.err.splitlines()
    what = "the guest touched more physical pages than are numbered (2**20, 196,608 of them outside its RAM)"
    assert said == f"mmuexp record: {what}; the recording ends here, the guest ends with it"
    assert what in summary
    assert open_trace(path).complete == what
    assert not [check for check in verify(path) if check.state == FAILED]
    rows = tuples(path)
    assert len({row[5] for row in rows if row[0] == Op.MAP and row[5] >= 0x100000}) == OUTSIDE
    whole = phases(N, OUTSIDE - 2)  # ROM has two
    found = found_phases(rows)
    assert found[:8] == whole[:8]
    assert found[8]["loads"] == OUTSIDE - 2


@pytest.mark.long
def test_a_guest_that_ends_by_itself_before_it_is_ended(tmp_path, cli, monkeypatch):
    """As above, where the recorder comes too late: the exit code does not hang on who was first."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(Session, "_end_what_has_no_end", lambda session: None)
    image = guest("pae_200000", N)
    options = ["--system", "--time-limit", "30", "-o", "pae.arrow"]
    assert cli("record", *options, "--", "-bios", image, *GUEST_DEVICES, *PROCESSOR, *DIMM).code == 0
    assert open_trace("pae.arrow").complete.startswith("the guest touched more physical pages")
