"""`mmuexp record --system`: the guest whose counts are known by construction (traces/workloads/guest/known.S).

Each phase is checked on rows recorded anew, and the sums under every scheme, by the oracle and by the kernels.
"""

from collections import Counter

import numpy as np
import pytest
from kit.recordings import (
    DETERMINED,
    GUEST_DEVICES,
    KNOWN_SPECS,
    environment,
    found_phases,
    guest,
    here,
    known_counts,
    known_phases,
    need,
    record,
    record_guest,
    rows_of,
    tuples,
)
from kit.recordings import KNOWN_ROUNDS as N
from kit.replays import differences
from truth.oracle import run

from mmuexp.guest import IO, Op
from mmuexp.record.session import Session
from mmuexp.record.system import record_system
from mmuexp.trace import open_trace
from mmuexp.trace.rewrite import slice_trace
from mmuexp.trace.verify import FAILED, WARNING, verify

DEVICES = [(Op.STORE, 0xB8000, 1), (Op.LOAD, 0xA0000, 4), (Op.LOAD, 0xFEE00030, 4)]
DEVICES += [(Op.LOAD, 0x49000, 4), (Op.STORE, 0x4AFFE, 4)]


@pytest.fixture(scope="module")
def recorded(tmp_path_factory):
    folder = tmp_path_factory.mktemp("known")
    done = record_guest("-o", "known.arrow", image=guest("known", N), cwd=folder)
    assert done.code == 33, done.err  # QEMU's exit code: the guest found every word as it should be
    assert len(done.err.splitlines()) == 1, done.err
    return folder / "known.arrow"


def test_each_phase_makes_the_rows_that_its_source_says(recorded):
    assert found_phases(tuples(recorded)) == known_phases(N)


def test_the_trace_is_valid_and_says_where_it_comes_from(recorded):
    assert not [check for check in verify(recorded) if check.state in (FAILED, WARNING)]
    trace = open_trace(recorded)
    assert (trace.mode, trace.complete, trace.window) == ("system", "yes", (0, trace.rows))
    assert trace.metadata["guest"] == "i386"
    assert trace.metadata["command"].startswith("qemu-system-i386 -bios ")
    assert "QEMU emulator version" in trace.metadata["recorder"]


def test_pages_are_the_ones_that_the_page_tables_name(recorded):
    rows = tuples(recorded)
    shown = {}
    for op, vaddr, _, _, _, page in rows:
        if op == Op.MAP:
            shown.setdefault(vaddr >> 12, []).append(page)
    assert shown[0x32] == [0x30, 0x31] * (N // 2)  # A, B, A, ...
    assert (shown[0x40], shown[0x41]) == ([0x40], [0x50])  # the second page of a crossing access
    assert (shown[0x42], shown[0x43]) == ([0x42], [0x60])  # the second page of a crossing instruction
    assert {page for vpage in (0x7, 0x9, 0x10, 0x20, 0x44, 0x46) for page in shown[vpage]} == {
        0x7, 0x9, 0x10, 0x20, 0x44, 0x46,
    }  # fmt: skip
    rom = {vpage: set(pages) for vpage, pages in shown.items() if vpage >= 0xF0}
    assert rom.keys() == {0xF0, 0xF1, 0xFFFFF}
    assert all(len(pages) == 1 and min(pages) >= 0x100000 for pages in rom.values())
    assert len(set.union(*rom.values())) == 3


def test_device_rows_are_the_devices(recorded):
    io = Counter((op, vaddr, size) for op, vaddr, size, _, flags, _ in tuples(recorded) if flags & IO)
    assert io == dict.fromkeys(DEVICES, N)


@pytest.mark.parametrize("spec", KNOWN_SPECS)
def test_every_count_under_every_scheme(recorded, spec):
    rows = tuples(recorded)
    counts = run(rows, spec, "system")
    known = known_counts(spec, N)
    assert {name: counts[name] for name in known} == known
    assert not differences(rows, spec, "system", counts)
    assert not differences(rows, spec, "system", counts, filtered=False)


@pytest.mark.parametrize("rounds", [3, 3000])
def test_other_numbers_of_rounds(tmp_path, rounds):
    done = record_guest("-o", "known.arrow", image=guest("known", rounds), cwd=tmp_path)
    assert done.code == 33
    assert found_phases(tuples(tmp_path / "known.arrow")) == known_phases(rounds)


def test_the_same_guest_makes_the_same_rows(tmp_path, recorded):
    assert record_guest("-o", "again.arrow", image=guest("known", N), cwd=tmp_path).code == 33
    one, other = rows_of(recorded), rows_of(tmp_path / "again.arrow")
    assert all(np.array_equal(x, y) for x, y in zip(one, other, strict=True))


@pytest.mark.long
@pytest.mark.parametrize("skip", [1, 5, 2100, 2101, 2102, 2103, 2104, 2105, 2106, 3333])
def test_skipping_gives_what_a_slice_gives(tmp_path, recorded, skip):
    """The MAP rows of what is known, then the rows themselves; wherever skipping ends, before a MAP row too."""
    limit = 300
    done = record_guest("-o", "part.arrow", "--skip", skip, "--limit", limit, image=guest("known", N), cwd=tmp_path)
    assert done.code == 0, done.err
    slice_trace(recorded, skip, skip + limit, str(tmp_path / "slice.arrow"))
    part, cut = open_trace(tmp_path / "part.arrow"), open_trace(tmp_path / "slice.arrow")
    assert part.window == cut.window == (skip, limit)
    assert tuples(tmp_path / "part.arrow") == tuples(tmp_path / "slice.arrow")


@pytest.mark.parametrize("which", here())
def test_time_by_instructions_makes_the_same_rows_again(tmp_path, which):
    """The firmware is interrupted by a timer, and waits for it: by the host's clock no two recordings are equal."""
    words = ["--skip", 2_000_000, "--limit", 500_000, "--", "-icount", "shift=0,sleep=off", *DETERMINED[:4]]
    for name in ("one", "other"):
        done = record("--system", "-o", f"{name}.arrow", *words, cwd=tmp_path, env=environment(which))
        assert done.code == 0, done.err
    one, other = rows_of(tmp_path / "one.arrow"), rows_of(tmp_path / "other.arrow")
    assert all(np.array_equal(x, y) for x, y in zip(one, other, strict=True))


@pytest.fixture(scope="module")
def firmware(tmp_path_factory):
    """The first rows of QEMU's own firmware, which shadows ROM by RAM, enters SMM and plays with A20."""
    need("qemu-system-i386", "qemu-system-x86")
    folder = tmp_path_factory.mktemp("firmware")
    done = record("--system", "-o", "all.arrow", "--limit", 3_000_000, "--", *DETERMINED, cwd=folder)
    assert done.code == 0, done.err
    return folder / "all.arrow"


@pytest.mark.long
@pytest.mark.parametrize("skip", [100_000, 1_000_000, 1_700_000, 2_500_000])
def test_skipping_firmware_gives_what_a_slice_gives(tmp_path, firmware, skip):
    """Skipping asks QEMU about a page only where it may have moved: it must count every MAP and FLUSH_PAGE row."""
    words = ["-o", "part.arrow", "--skip", skip, "--limit", 100_000]
    done = record("--system", *words, "--", *DETERMINED, cwd=tmp_path)
    assert done.code == 0, done.err
    slice_trace(firmware, skip, skip + 100_000, str(tmp_path / "slice.arrow"))
    part, cut = rows_of(tmp_path / "part.arrow"), rows_of(tmp_path / "slice.arrow")
    assert all(np.array_equal(x, y) for x, y in zip(part, cut, strict=True))


def test_a_guest_that_ends_before_the_limit_ended_it(tmp_path, recorded, monkeypatch):
    """Which of the two comes first is a race, and not to be seen in the exit code: here the guest always wins it."""
    monkeypatch.setattr(Session, "_end_what_has_no_end", lambda self: None)
    arguments = ["-bios", guest("known", N), *GUEST_DEVICES]
    rows = open_trace(recorded).rows
    done = record_system(arguments, str(tmp_path / "part.arrow"), limit=rows - 40)
    limited = f"the limit of {rows - 40:,} rows"
    assert (done.exit_code, done.complete, done.rows) == (0, limited, rows - 40)
    assert record_system(arguments, str(tmp_path / "all.arrow"), limit=rows + 1).exit_code == 33


def test_skipping_everything_leaves_an_empty_trace(tmp_path, recorded):
    done = record_guest("-o", "none.arrow", "--skip", 10**9, image=guest("known", N), cwd=tmp_path)
    assert done.code == 33
    trace = open_trace(tmp_path / "none.arrow")
    assert (trace.rows, trace.complete) == (0, "yes")
    assert trace.window == (open_trace(recorded).rows, 0)
