"""`mmuexp record --system --guest x86_64`: a guest in long mode whose counts are known (traces/workloads/guest/long.S).

The table in long.S says what each of its phases does; here it stands as formulas in the number of rounds.
"""

import numpy as np
import pytest
from kit.recordings import DETERMINED, GUEST_DEVICES, found_phases, guest, record, rows_of, tuples

from mmuexp.guest import IO, FlushReason, Op
from mmuexp.trace import open_trace
from mmuexp.trace.rewrite import slice_trace
from mmuexp.trace.verify import FAILED, WARNING, verify

N = 40
HIGH, DIRECT = 0xFFFFFFFF80000000, 0xFFFF800000000000  # where the first MiB are shown beside 0
LAST = 0xFFFFFFFFFFFFF000
INVLPG = [0xFFFF900000001000, 0xFFFFA00000002000, 0x00007F0000003000, HIGH + 0x4000, HIGH + 0xF5000]
INVLPG += [0x6000, 0x7000, 0x8000, 0xFFFFB00000009000]


def record_long(*options, image: str, cwd, env):
    return record("--system", "--guest", "x86_64", *options, "--", "-bios", image, *GUEST_DEVICES, cwd=cwd, env=env)


@pytest.fixture(scope="module")
def recorded(env, tmp_path_factory):
    """(the recording, the environment that has the QEMU that made it)"""
    folder = tmp_path_factory.mktemp("long")
    done = record_long("-o", "long.arrow", image=guest("long", N), cwd=folder, env=env)
    assert done.code == 33, done.err  # QEMU's exit code: the guest found every word as it should be
    assert len(done.err.splitlines()) == 1, done.err
    return folder / "long.arrow", env


def is_newer(path) -> bool:
    return "version 7" not in open_trace(path).metadata["recorder"]


def phases(n: int, newer: bool) -> list[dict[str, int]]:
    """What each phase does, as long.S derives it; what is not named is 0."""
    shows = {"loads": n, "stores": n + 1, "execs": 2 * n, "page_flushes": n - 1, "maps": n + 1}
    crosses = {"misaligned": 2 * n, "crossing": 2 * n}
    expected = [
        {"loads": 10, "stores": 1, "execs": 7, "flush CR0": 1, "maps": 4, "misaligned": 1},
        {"stores": 1040, "execs": 513, "maps": 9},
        {"loads": 2, "stores": 1, "execs": 9, "flush CR4": 1, "flush CR0": 1, "maps": 4},
        {"loads": n, "stores": 1, "execs": 2 * n, "flush CR3": n, "maps": 2 * n + 1},
        dict(shows),
        dict(shows),
        {"loads": 2 * n, "stores": n + 1, "execs": n, "io": 3 * n},
        crosses | {"loads": n, "stores": n + 2, "execs": n + 1, "maps": 2},
        crosses | {"loads": 2 * n, "stores": 2 * n + 1, "execs": n, "maps": 1},
        {"loads": n, "stores": 2 * n + 3, "execs": 3 * n, "maps": 2, "misaligned": n},
        {"loads": n, "stores": n + 1, "execs": 2 * n + 2, "maps": 2, "user data": 2 * n, "user execs": 2 * n + 1},
        crosses | {"loads": n, "stores": n + 1, "execs": n, "maps": 2},
        {"loads": 2 * n, "stores": 2 * n + 1, "execs": 3 * n, "maps": n, "page_flushes": n, "io": n},
        {"stores": 1, "execs": 10 * n + 1},
        {},
    ]
    if newer:  # each INVLPG is a row, and a device access ends its block
        for phase in expected:
            if "io" in phase:
                phase["execs"] += phase["io"]
        for phase, flushed in {4: n, 5: n, 7: 1, 12: 2 * n, 13: 9 * n}.items():
            expected[phase]["page_flushes"] = flushed
    return expected


def test_each_phase_makes_the_rows_that_its_source_says(recorded):
    path, _ = recorded
    *before, last = found_phases(tuples(path))
    assert before == phases(N, is_newer(path))[:-1]
    assert last in ({}, {"execs": 1})  # the debug exit asks for a shutdown, and what is left of its block may run first


def test_the_trace_is_valid_and_says_where_it_comes_from(recorded):
    path, _ = recorded
    assert not [check for check in verify(path) if check.state in (FAILED, WARNING)]
    trace = open_trace(path)
    assert (trace.mode, trace.complete, trace.metadata["guest"]) == ("system", "yes", "x86_64")
    assert trace.metadata["command"].startswith("qemu-system-x86_64 -bios ")
    assert trace.metadata["flushes_unsure"] == "0"


def test_pages_are_the_ones_that_the_page_tables_name(recorded):
    path, _ = recorded
    shown: dict[int, list[int]] = {}
    for op, vaddr, _, _, _, page in tuples(path):
        if op == Op.MAP:
            shown.setdefault(vaddr, []).append(page)
    assert shown[HIGH + 0x32000] == [0x30, 0x31] * (N // 2)  # A, B, A, ...
    assert shown[DIRECT + 0x405000] == [0x405, 0x605] * (N // 2)  # the large page
    assert (shown[HIGH + 0x40000], shown[HIGH + 0x41000]) == ([0x40], [0x50])  # of a crossing access
    assert (shown[LAST], shown[0]) == ([0x19], [0])
    assert set(shown[0x9000]) == {0x9} and set(shown[HIGH + 0x20000]) == {0x20}
    assert set(shown[HIGH + 0xF0000]) == set(shown[0xF0000])  # the same ROM at two places
    ram = {page for pages in shown.values() for page in pages if page < 0x8000}
    assert not ram & set(shown[0xF0000] + shown[0xF1000] + shown[0xFFFFF000])


def test_rows_of_devices_and_sizes(recorded):
    rows = tuples(recorded[0])
    io = {(op, vaddr, size) for op, vaddr, size, _, flags, _ in rows if flags & IO}
    assert io == {
        (Op.STORE, HIGH + 0xB8000, 1),
        (Op.LOAD, HIGH + 0xA0000, 4),
        (Op.LOAD, 0xFEE00030, 4),
        (Op.LOAD, HIGH + 0x49000, 4),
    }
    wide = [(op, vaddr) for op, vaddr, size, *_ in rows if op in (Op.LOAD, Op.STORE) and size == 16]
    assert wide == [
        (Op.STORE, HIGH + 0x40FF8), (Op.LOAD, HIGH + 0x40FF8), (Op.LOAD, HIGH + 0x42000), (Op.STORE, HIGH + 0x42000)
    ] * N  # fmt: skip


def test_what_flushes_say_where_qemu_shows_registers(recorded):
    path, _ = recorded
    rows = tuples(path)
    flushes = [(size, vaddr) for op, vaddr, size, *_ in rows if op == Op.FLUSH]
    newer = is_newer(path)
    assert flushes[:3] == [(FlushReason.CR0, 0), (FlushReason.CR4, 0), (FlushReason.CR0, 0)]
    assert flushes[3:] == [(FlushReason.CR3, (0x11000, 0x10000)[i % 2] * newer) for i in range(N)]
    if newer:
        dropped = [vaddr for op, vaddr, *_ in rows if op == Op.FLUSH_PAGE]
        assert dropped[-9 * N :] == INVLPG * N


@pytest.mark.parametrize("skip", [1, 1573, 2103, 3333])
def test_skipping_gives_what_a_slice_gives(tmp_path, recorded, skip):
    path, env = recorded
    done = record_long(
        "-o", "part.arrow", "--skip", skip, "--limit", 300, image=guest("long", N), cwd=tmp_path, env=env
    )
    assert done.code == 0, done.err
    slice_trace(path, skip, skip + 300, str(tmp_path / "slice.arrow"))
    assert open_trace(tmp_path / "part.arrow").window == (skip, 300)
    assert tuples(tmp_path / "part.arrow") == tuples(tmp_path / "slice.arrow")


def test_firmware_is_the_same_under_either_qemu_of_a_version(tmp_path, env):
    """A PC that stays in 32-bit code does the same as a 32-bit one, but for what the firmware asks of the processor."""
    words = ["--limit", 200_000, "--", *DETERMINED]
    for name, which in (("long", ["--guest", "x86_64"]), ("short", [])):
        done = record("--system", *which, "-o", f"{name}.arrow", *words, "-cpu", "qemu32", cwd=tmp_path, env=env)
        assert done.code == 0, done.err
    one, other = rows_of(tmp_path / "long.arrow"), rows_of(tmp_path / "short.arrow")
    same = ["vaddr", "size", "insns", "op", "flags"]
    assert all(np.array_equal(getattr(one, column), getattr(other, column)) for column in same)


def test_the_option_is_for_guests(tmp_path):
    for words in (["--guest", "x86_64", "--", "ls"], ["--system", "--guest", "arm", "--", "-bios", "x"]):
        done = record("-o", "t.arrow", *words, cwd=tmp_path)
        assert done.code == 2 and "--guest" in done.err and len(done.err.splitlines()) == 1
    done = record("--system", "--guest", "x86_64", "-o", "t.arrow", "--", "-m", "2T", cwd=tmp_path)
    assert done.code == 2 and "2097152 MiB of RAM: the format numbers 2**28 physical pages, 1048576 MiB" in done.err
