"""FLUSH rows stand where QEMU drops all translations, and nowhere else: a guest that writes control registers, switches
tasks and turns A20 (traces/workloads/guest/flushes.S), under each QEMU. The witness is QEMU's own counter."""

import shutil

import pytest
from kit.recordings import (
    NAME,
    drops,
    drops_of_a_flush,
    flushes_by_phase,
    guest,
    is_newer,
    record_guest,
    recorded_guest,
    tuples,
)

from mmuexp.guest import FlushReason
from mmuexp.trace import open_trace
from mmuexp.trace.info import info, lines
from mmuexp.trace.recover import recover
from mmuexp.trace.rewrite import compress_trace, slice_trace
from mmuexp.trace.verify import FAILED, WARNING, verify

N = 30
MARKER = 0x9000
CR0, CR3, CR4, OTHER = FlushReason.CR0, FlushReason.CR3, FlushReason.CR4, FlushReason.OTHER
FLUSHES = {2: (CR0, 2), 7: (CR0, 1), 11: (CR4, 1), 12: (CR3, 1), 13: (CR3, 1), 14: (CR3, 2), 15: (CR3, 2)}
FLUSHES |= {16: (CR3, 2), 18: (OTHER, 2), 19: (OTHER, 2), 21: (OTHER, 2)}  # phase: reason, rows in a round
PER_ROUND = sum(rows for _, rows in FLUSHES.values())
RSM_DROPS_AGAIN = 1  # it loads CR0, then CR3


@pytest.fixture(scope="module")
def recorded(tmp_path_factory, env):
    return recorded_guest("flushes", N, tmp_path_factory.mktemp("flushes"), env)


def test_each_phase_makes_the_flushes_that_its_source_says(recorded):
    expected = {phase: {reason: rows * N} for phase, (reason, rows) in FLUSHES.items()} | {0: {CR0: 1}}
    expected[2] = {CR0: 2 * N + 1}
    assert flushes_by_phase(tuples(recorded)) == expected
    assert not [check for check in verify(recorded) if check.state in (FAILED, WARNING)]
    assert open_trace(recorded).metadata["flushes_unsure"] == "0"


def test_qemu_counts_the_same(env):
    """`info jit`, between a run of N rounds and one of none."""
    per_flush = drops_of_a_flush(env)
    more = drops(guest("flushes", N), "flushes", env) - drops(guest("flushes", 0), "flushes", env)
    assert more == per_flush * N * (PER_ROUND + RSM_DROPS_AGAIN)


def test_flushes_that_qemu_does_not_tell_are_counted(tmp_path, env):
    done = record_guest("-o", "untold.arrow", image=guest("flushes_untold", N), cwd=tmp_path, env=env)
    assert done.code == 33, done.err
    unsure = 0 if is_newer(shutil.which(NAME, path=env["PATH"])) else N
    assert flushes_by_phase(tuples(tmp_path / "untold.arrow"))[2] == {CR0: 2 * N + 1 + unsure}
    assert open_trace(tmp_path / "untold.arrow").metadata["flushes_unsure"] == str(unsure)
    hint = f"mmuexp record: of {unsure} FLUSH rows this QEMU did not tell whether it dropped anything; QEMU from 9.1 on"
    *notes, _ = done.err.splitlines()
    assert [note.startswith(hint) for note in notes] == [True] * bool(unsure)


@pytest.mark.parametrize("skip", [2500, 3000, 9000])
def test_skipping_gives_what_a_slice_gives(tmp_path, recorded, env, skip):
    words = ["-o", "part.arrow", "--skip", skip, "--limit", 2000]
    assert record_guest(*words, image=guest("flushes", N), cwd=tmp_path, env=env).code in (0, 33)
    slice_trace(recorded, skip, skip + 2000, str(tmp_path / "slice.arrow"))
    assert tuples(tmp_path / "part.arrow") == tuples(tmp_path / "slice.arrow")


def test_what_is_counted_goes_with_all_rows(tmp_path, recorded):
    for name in ("slice", "compressed", "recovered"):
        path = str(tmp_path / f"{name}.arrow")
        if name == "slice":
            slice_trace(recorded, 0, 100, path)
        else:
            (compress_trace if name == "compressed" else recover)(recorded, path)
        assert open_trace(path).metadata["flushes_unsure"] == "0"  # 0 goes with a part, too


def test_info_says_how_many_flushes_are_not_sure(recorded):
    assert any(line.split() == ["flushes_unsure", "0"] for line in lines(info(recorded)))
