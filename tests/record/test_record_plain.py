"""What a recording says of itself must be all that made its rows: QEMU's options in the environment are kept from it;
and how many instructions the processor executes, where a rep makes many entries."""

import pytest
from kit.recordings import build, environment, guest, here, record, record_guest, rows_of, tuples

from mmuexp.guest import Columns, Op
from mmuexp.replay.survey import Survey
from mmuexp.trace import mix_scan
from mmuexp.trace.info import _Own, info, lines

OPTIONS = {"QEMU_SINGLESTEP": "1", "QEMU_GDB": "12345", "QEMU_STRACE": "1", "QEMU_SET_ENV": "A=1", "QEMU_LOG": "cpu"}


def test_options_of_qemu_in_the_environment_are_left_out(tmp_path):
    assert record("-o", "plain.arrow", "--", build("repeat"), cwd=tmp_path).code == 0
    done = record("-o", "options.arrow", "--", build("repeat"), cwd=tmp_path, env=OPTIONS)
    assert done.code == 0
    said, _ = done.err.splitlines()
    names = ", ".join(sorted(OPTIONS))
    assert said == f"mmuexp record: {names}: left out of the environment, because QEMU takes it for an option"
    assert tuples(tmp_path / "plain.arrow") == tuples(tmp_path / "options.arrow")


def test_nothing_is_said_of_the_folder_that_qemu_is_told(tmp_path):
    done = record("-o", "plain.arrow", "--", build("repeat"), cwd=tmp_path, env={"QEMU_LD_PREFIX": str(tmp_path)})
    assert (done.code, len(done.err.splitlines())) == (0, 1)


def test_a_rep_is_one_instruction_of_the_processor(tmp_path):
    assert record("-o", "repeat.arrow", "--", build("repeat"), cwd=tmp_path).code == 0
    told = info(tmp_path / "repeat.arrow")
    entries = 50 + 3 + 1
    assert (told["counts"]["guest_insns"], told["repeated_insns"]) == (21 + entries, entries)
    assert f"{21 + entries} (21 if a rep is one, {entries} repeat it)" in "\n".join(lines(told))


@pytest.mark.parametrize("rows", [1, 3, 1000])
def test_batches_do_not_matter(tmp_path, rows):
    assert record("-o", "repeat.arrow", "--", build("repeat"), cwd=tmp_path).code == 0
    assert info_in_batches(tmp_path / "repeat.arrow", rows) == info(tmp_path / "repeat.arrow")["repeated_insns"]


def info_in_batches(path, rows: int) -> int:
    own, whole, step = _Own(), rows_of(path), Survey("user").step
    for at in range(0, len(whole.op), rows):
        own.feed(Columns(*(column[at : at + rows] for column in whole)), step)
    return own[mix_scan.REPEATED]


@pytest.mark.parametrize("which", here())
def test_a_guest_executes_as_many_under_each_qemu(tmp_path, which):
    """flushes.S copies its 40 bytes of descriptors by a rep: newer QEMUs do some iterations in one block. It ends by
    `movb; movb; outb; hlt`, 7, 2, 2 and 1 bytes: the outb makes QEMU 7.2 end behind that block, and newer ones end
    from another thread, which lets the hlt run as a block of its own, or does not."""
    env = environment(which)
    assert record_guest("-o", "guest.arrow", image=guest("flushes", 0), cwd=tmp_path, env=env).code == 33
    told = info(tmp_path / "guest.arrow")
    rows = rows_of(tmp_path / "guest.arrow")
    last = int(rows.size[rows.op == Op.EXEC][-1])
    filling_the_page_table, what_stands_once = 5 * 1024, 125
    the_hlt = {12: 1, 1: 1, 11: 0}[last]
    executed = told["counts"]["guest_insns"] - told["repeated_insns"]
    assert executed == filling_the_page_table + what_stands_once + the_hlt
