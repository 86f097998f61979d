"""ROM and the RAM that the chipset shows in its place are two pages: a guest that turns them (guest/shadow.S), and
QEMU's firmware, which does so once, under each QEMU."""

import shutil

import numpy as np
import pytest
from kit.recordings import (
    DETERMINED,
    NAME,
    drops,
    drops_of_a_flush,
    flushes_by_phase,
    guest,
    is_newer,
    record,
    record_guest,
    recorded_guest,
    rows_of,
    tuples,
)

from mmuexp.guest import FlushReason, Op
from mmuexp.trace.rewrite import slice_trace
from mmuexp.trace.verify import FAILED, WARNING, verify

N = 30
DATA, OPTION, CODE = 0xF8, 0xC0, 0xF9  # pages of shadow.S
START, RESET = 0xF0000, 0xFFFFF000  # of alias.S: its first code in protected mode, and in real mode
ROM_PAGE = 0x40000000  # from QEMU 9.1 on: what a page's number has more, while it is ROM
FIRST_OTHER = 0x100000  # before: the first number of a page outside RAM
FLUSHES = {1: 2, 2: 2, 3: 2, 4: 1, 6: 3}  # phase of shadow.S: rows in a round
MOVE_DROPS_AGAIN = 1  # what moves is taken away, then shown
ADDRESS_SPACES = 2  # of a processor, with SMRAM and without: QEMU drops all translations for each


@pytest.fixture(scope="module")
def recorded(tmp_path_factory, env):
    return recorded_guest("shadow", N, tmp_path_factory.mktemp("shadow"), env)


def touches(rows, vpage: int) -> list[tuple[Op, int]]:
    """Each row that touches a virtual page, with the physical page that it shows then."""
    shown, found = None, []
    for op, vaddr, _, _, _, page in rows:
        if op == Op.MAP and vaddr >> 12 == vpage:
            shown = page
        elif op in (Op.LOAD, Op.STORE, Op.EXEC) and vaddr >> 12 == vpage:
            found.append((Op(op), shown))
    return found


def test_rom_is_another_page_than_the_ram_over_it(recorded, env):
    assert not [check for check in verify(recorded) if check.state in (FAILED, WARNING)]
    rows = tuples(recorded)
    newer = is_newer(shutil.which(NAME, path=env["PATH"]))
    for page, in_ram, in_rom in (
        (DATA, [Op.STORE, Op.LOAD], [Op.LOAD]),
        (OPTION, [Op.STORE, Op.LOAD], [Op.LOAD]),
        (CODE, [Op.STORE, Op.STORE, Op.EXEC], [Op.EXEC]),
    ):
        found = touches(rows, page)
        rom = {shown for _, shown in found} - {page}
        assert len(rom) == 1
        assert rom == {ROM_PAGE + page} if newer else min(rom) >= FIRST_OTHER
        assert found == [*((op, page) for op in in_ram), *((op, min(rom)) for op in in_rom)] * N


def test_flush_stands_where_memory_is_rearranged(recorded):
    expected = {phase: {FlushReason.OTHER: rows * N} for phase, rows in FLUSHES.items()}
    assert flushes_by_phase(tuples(recorded)) == expected | {0: {FlushReason.CR0: 1}}


def test_qemu_counts_the_same(env):
    more = drops(guest("shadow", N), "shadow", env) - drops(guest("shadow", 2), "shadow", env)
    assert more == drops_of_a_flush(env) * ADDRESS_SPACES * (N - 2) * (sum(FLUSHES.values()) + MOVE_DROPS_AGAIN)


@pytest.mark.parametrize("skip", [40, 333, 1000])
def test_skipping_gives_what_a_slice_gives(tmp_path, recorded, env, skip):
    words = ["-o", "part.arrow", "--skip", skip, "--limit", 300]
    assert record_guest(*words, image=guest("shadow", N), cwd=tmp_path, env=env).code in (0, 33)
    slice_trace(recorded, skip, skip + 300, str(tmp_path / "slice.arrow"))
    assert tuples(tmp_path / "part.arrow") == tuples(tmp_path / "slice.arrow")


def test_code_runs_where_it_is_called(tmp_path, env):
    """guest/alias.S calls a function at two addresses of one page: QEMU from 8 on translates it once."""
    done = record_guest("-o", "alias.arrow", image=guest("alias", N), cwd=tmp_path, env=env)
    assert done.code == 33, done.err
    assert not [check for check in verify(tmp_path / "alias.arrow") if check.state in (FAILED, WARNING)]
    rows = tuples(tmp_path / "alias.arrow")
    function = [vaddr for op, vaddr, *_ in rows if op == Op.EXEC and vaddr & 0xFFF == 0 and vaddr not in (START, RESET)]
    assert function == [0xF9000, 0xFFFF9000] * N + [0x45000, 0x46000] * N
    assert {shown for _, shown in touches(rows, 0x46)} == {0x45}


def test_the_firmware_stores_its_copy_to_pages_that_held_no_code(tmp_path, env):
    """SeaBIOS runs in ROM, shows RAM there, copies itself to it, and runs there."""
    done = record("--system", "-o", "part.arrow", "--limit", 600_000, "--", *DETERMINED, cwd=tmp_path, env=env)
    assert done.code == 0, done.err
    rows = rows_of(tmp_path / "part.arrow")
    shown, ran, copied = {}, set(), {}
    for i in np.flatnonzero((rows.vaddr >> 17 == 7) & (rows.op != Op.LOAD)):
        op, vpage = rows.op[i], int(rows.vaddr[i] >> 12)
        if op == Op.MAP:
            shown[vpage] = int(rows.page[i])
        elif op == Op.STORE:
            copied[vpage] = shown[vpage]
        elif op == Op.EXEC and shown[vpage] in copied.values():
            break
        elif op == Op.EXEC:
            ran.add(shown[vpage])
    else:
        pytest.fail("the copy never ran")
    assert copied == {page: page for page in range(0xE0, 0x100)}
    assert len(ran) >= 3
    assert not ran & set(copied)
