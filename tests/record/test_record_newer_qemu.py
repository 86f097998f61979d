"""`mmuexp record --system` under QEMU from 9.1 on, whose interface for plugins is another one than Debian 12's.

What needs no such QEMU (qemus.py finds one) is tested anyhow: that the plugins compile for its interface, and ask for
nothing that it does not have.
"""

import itertools
import re
import subprocess
from pathlib import Path

import numpy as np
import pytest
from kit.recordings import (
    DETERMINED,
    GUEST_DEVICES,
    NAME,
    environment,
    found_phases,
    guest,
    known_phases,
    need,
    newer_ones,
    record,
    record_guest,
    rows_of,
    tuples,
)
from kit.recordings import KNOWN_ROUNDS as N

from mmuexp.errors import MmuexpError
from mmuexp.guest import FlushReason, Op
from mmuexp.record import build, qemu
from mmuexp.trace.rewrite import slice_trace
from mmuexp.trace.verify import FAILED, WARNING, verify

# what the interface has, and GLib and libc beside it
INTERFACE = re.compile(r"^(qemu_plugin_\w+|g_byte_array_\w+|\w+@GLIBC_[\d.]+|__\w+|_ITM_\w+)$")
SINCE_VERSION_1 = {"qemu_plugin_get_registers", "qemu_plugin_read_register"}
ROM = 0x40000000
PAGES_1, PAGES_2 = 0x10000, 0x12000  # known.S: its two page directories


@pytest.fixture(params=newer_ones())
def newer(request):
    """The environment in which qemu-system-i386 is a newer one."""
    return environment(request.param)


def record_known(cwd, env, *options):
    return record("--system", *options, "--", "-bios", guest("known", N), *GUEST_DEVICES, cwd=cwd, env=env)


def phases_of_newer(n: int) -> list[dict[str, int]]:
    """A device access ends its block, and what is left of the block is one more. Each INVLPG is a row, beside one for
    each page that turns into a device's without it: the last phase's, by its crossing stores."""
    expected = known_phases(n)
    for phase in expected:
        if "io" in phase:
            phase["execs"] += phase["io"]
    for phase, flushed in {4: n, 7: 1, 8: 1, 12: 2 * n, 13: n - 1 + 1}.items():
        expected[phase]["page_flushes"] = flushed
    return expected


def test_each_phase_makes_the_rows_that_its_source_says(tmp_path, newer):
    done = record_known(tmp_path, newer, "-o", "known.arrow")
    assert done.code == 33, done.err
    assert len(done.err.splitlines()) == 1, done.err
    assert not [check for check in verify(tmp_path / "known.arrow") if check.state in (FAILED, WARNING)]
    rows = tuples(tmp_path / "known.arrow")
    *before, last = found_phases(rows)
    assert before == phases_of_newer(N)[:-1]
    assert last in ({}, {"execs": 1})  # the debug exit asks for a shutdown, and what is left of its block may run first

    flushes = [(FlushReason(size), vaddr) for op, vaddr, size, *_ in rows if op == Op.FLUSH]
    turns = [(FlushReason.CR3, (PAGES_2, PAGES_1)[i % 2]) for i in range(N)]
    assert flushes == [(FlushReason.CR0, 0), (FlushReason.CR0, 0), *turns]

    shown = {}
    for op, vaddr, _, _, _, page in rows:
        if op == Op.MAP:
            shown.setdefault(vaddr >> 12, []).append(page)
    assert shown[0x32] == [0x30, 0x31] * (N // 2)
    assert (shown[0x41], shown[0x43]) == ([0x50], [0x60])
    rom = {vpage: set(pages) for vpage, pages in shown.items() if vpage >= 0xF0}
    # ROM has guest-physical numbers, too, and where RAM may replace it one that no RAM has
    assert rom == {0xF0: {ROM + 0xF0}, 0xF1: {ROM + 0xF1}, 0xFFFFF: {0xFFFFF}}


def test_each_invlpg_is_a_row_with_its_operands_page(tmp_path, newer):
    done = record_guest("-o", "invlpg.arrow", image=guest("invlpg", N), cwd=tmp_path, env=newer)
    assert done.code == 33, done.err
    assert not [check for check in verify(tmp_path / "invlpg.arrow") if check.state in (FAILED, WARNING)]
    rows = tuples(tmp_path / "invlpg.arrow")
    flushed = [vaddr >> 12 for op, vaddr, *_ in rows if op == Op.FLUSH_PAGE]
    assert flushed == [*range(1, 9)] * N + [*range(9, 19), 3] * N
    # it ends its block: what follows is the next, or the MAP row of that one's page
    after = {other[0] for (op, *_), other in itertools.pairwise(rows) if op == Op.FLUSH_PAGE}
    assert after == {Op.EXEC}


@pytest.mark.parametrize("skip", [1, 2103, 3333])
def test_skipping_gives_what_a_slice_gives(tmp_path, newer, skip):
    assert record_known(tmp_path, newer, "-o", "known.arrow").code == 33
    assert record_known(tmp_path, newer, "-o", "part.arrow", "--skip", skip, "--limit", 300).code == 0
    slice_trace(tmp_path / "known.arrow", skip, skip + 300, str(tmp_path / "slice.arrow"))
    assert tuples(tmp_path / "part.arrow") == tuples(tmp_path / "slice.arrow")


def test_skipping_firmware_gives_what_a_slice_gives(tmp_path, newer):
    for words in (
        ["-o", "all.arrow", "--limit", 1_600_000],
        ["-o", "part.arrow", "--skip", 1_500_000, "--limit", 10**5],
    ):
        done = record("--system", *words, "--", *DETERMINED, cwd=tmp_path, env=newer)
        assert done.code == 0, done.err
    slice_trace(tmp_path / "all.arrow", 1_500_000, 1_600_000, str(tmp_path / "slice.arrow"))
    part, cut = rows_of(tmp_path / "part.arrow"), rows_of(tmp_path / "slice.arrow")
    assert all(np.array_equal(x, y) for x, y in zip(part, cut, strict=True))


@pytest.mark.parametrize("api", build.APIS)
@pytest.mark.parametrize("name", [build.USER, build.SYSTEM])
def test_plugins_compile_for_each_interface(tmp_path, monkeypatch, name, api):
    monkeypatch.setattr(build, "CFLAGS", (*build.CFLAGS, "-Wextra", "-Werror"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    library = build.plugin(name, api)
    need("nm", "binutils")
    done = subprocess.run(["nm", "-D", "--undefined-only", library], capture_output=True, text=True, check=True)
    asked = {line.split()[-1] for line in done.stdout.splitlines()}
    assert not [symbol for symbol in asked if not INTERFACE.match(symbol)]
    assert bool(asked & SINCE_VERSION_1) == (name == build.SYSTEM and api > 1)
    assert Path(library).stat().st_size < 1 << 20  # no table lies in it as zeros


@pytest.mark.parametrize(
    ("version", "known", "api"),
    [
        ("7.2.22", (1, 3), 1),
        ("8.2.0", (1, 3), 1),
        ("9.0.4", (1, 3), None),
        ("9.1.0", (1, 3), 3),
        ("10.0.2", (1, 3), 3),
        ("7.2.22", (1,), 1),
        ("10.0.2", (1,), None),
    ],
)
def test_which_interface_a_qemu_has(tmp_path, monkeypatch, version, known, api):
    path = tmp_path / NAME
    path.write_text(f"#!/bin/sh\necho 'QEMU emulator version {version} (Debian)'\n")
    path.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    if api:
        assert qemu.find_qemu(NAME, "", known)[2] == api
    else:
        with pytest.raises(MmuexpError, match=f"QEMU {version[:-2]} does not have version .* of the plugin interface"):
            qemu.find_qemu(NAME, "", known)
