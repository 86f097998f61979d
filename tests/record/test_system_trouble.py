"""`mmuexp record --system` when things end badly or have no end, and what cannot be recorded at all."""

import os
import resource
import shutil
import signal
import time

import pytest
from kit.recordings import GUEST_DEVICES, finish, guest, kill_qemu, record, record_guest, rows_of, start

from mmuexp.guest import Op
from mmuexp.trace import open_trace
from mmuexp.trace.verify import FAILED, verify

ENDLESS = 1_000_000_000  # rounds: far longer than any test waits


def endless(tmp_path, *options):
    """A guest in its loop of CR3 writes, after a chunk of rows or two."""
    words = ["--system", "-o", "guest.arrow", *options, "--", "-bios", guest("known", ENDLESS), *GUEST_DEVICES]
    process = start(*words, cwd=tmp_path)
    end = time.monotonic() + 30
    path = tmp_path / "guest.arrow.part"
    while time.monotonic() < end and (not path.exists() or path.stat().st_size < 6_000):
        time.sleep(0.05)
    return process


def check_rows(path, complete: str) -> None:
    trace = open_trace(path)
    assert complete in trace.complete
    assert not [check for check in verify(path) if check.state == FAILED]
    tail = rows_of(path).op[-10_000:]
    assert (tail == Op.FLUSH).sum() == pytest.approx(10_000 / 6, abs=2)  # EXEC FLUSH MAP EXEC MAP LOAD


def test_a_limit_ends_a_guest_that_never_would(tmp_path):
    done = record_guest("-o", "g.arrow", "--limit", 50_000, image=guest("known", ENDLESS), cwd=tmp_path)
    assert done.code == 0
    trace = open_trace(tmp_path / "g.arrow")
    assert (trace.rows, trace.complete) == (50_000, "the limit of 50,000 rows")
    check_rows(tmp_path / "g.arrow", "the limit of 50,000 rows")


def test_a_time_limit(tmp_path):
    began = time.monotonic()
    done = record_guest("-o", "g.arrow", "--time-limit", "1.5", image=guest("known", ENDLESS), cwd=tmp_path)
    assert 1.5 < time.monotonic() - began < 20
    assert done.code == 0
    assert "the time limit of 1.5 s; the recording ends here, the guest ends with it" in done.err
    check_rows(tmp_path / "g.arrow", "the time limit of 1.5 s")


@pytest.mark.long
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_interrupted(tmp_path, number):
    process = endless(tmp_path)
    os.killpg(process.pid, number)
    _, err = finish(process)
    assert process.returncode == 128 + number
    assert "Traceback" not in err
    check_rows(tmp_path / "guest.arrow", f"interrupted by {number.name}")


def test_qemu_dies(tmp_path):
    kill_qemu(endless(tmp_path))
    check_rows(tmp_path / "guest.arrow", "the guest was ended by SIGKILL")


def test_a_full_disk_ends_the_guest(tmp_path):
    """QEMU's own firmware, whose first two chunks take 36 and 30 kB."""
    process = start("--system", "-o", "guest.arrow", "--", "-display", "none", "-net", "none", cwd=tmp_path)
    path, end = tmp_path / "guest.arrow.part", time.monotonic() + 30
    while not path.exists() or path.stat().st_size < 20_000:
        assert time.monotonic() < end
        time.sleep(0.002)
    process.send_signal(signal.SIGSTOP)  # it must not write more before it has its limit
    os.waitpid(process.pid, os.WUNTRACED)
    most_bytes = path.stat().st_size + 10_000  # no room for one more chunk, but for the end
    resource.prlimit(process.pid, resource.RLIMIT_FSIZE, (most_bytes, most_bytes))  # of the recorder alone
    process.send_signal(signal.SIGCONT)
    _, err = finish(process)
    assert process.returncode == 1
    assert "Traceback" not in err
    assert err.count("the recording ends here, the guest ends with it") == 1
    trace = open_trace(tmp_path / "guest.arrow")
    assert "cut short" in trace.complete
    assert trace.rows > 0 and trace.rows % (1 << 20) == 0
    assert not [check for check in verify(tmp_path / "guest.arrow") if check.state == FAILED]


REFUSED = {
    "a program": (["/bin/true"], "/bin/true: is a program, not a disk"),
    "two processors": (["-smp", "2"], "more than one processor: their accesses have no one order"),
    "two by topology": (["-smp", "sockets=1,cores=2"], "more than one processor"),
    "KVM": (["-enable-kvm"], "nothing to record"),
    "an accelerator": (["-accel", "kvm"], "-accel tcg,thread=single"),
    "a machine's accelerator": (["-machine", "pc,accel=kvm"], "-accel tcg,thread=single"),
    "too much RAM": (["-m", "5G"], "4096 MiB"),
    "no size": (["-m", "much"], "is not a size"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_cannot_be_recorded(tmp_path, case):
    words, expected = REFUSED[case]
    done = record("--system", "-o", "g.arrow", "--", "-display", "none", *words, cwd=tmp_path)
    assert (done.code, done.out) == (2, "")
    assert expected in done.err
    assert len(done.err.splitlines()) == 1
    assert not (tmp_path / "g.arrow").exists()


def test_ram_of_the_users_own_that_is_not_shared(tmp_path):
    words = ["-object", "memory-backend-ram,id=own,size=128M", "-machine", "memory-backend=own"]
    done = record("--system", "-o", "g.arrow", "--", *words, "-bios", guest("known", 3), *GUEST_DEVICES, cwd=tmp_path)
    assert done.code == 1
    assert "the guest's RAM is not shared memory" in done.err and "share=on" in done.err
    assert not (tmp_path / "g.arrow").exists()


def test_ram_of_the_users_own_that_is_shared(tmp_path):
    file = tmp_path / "ram"
    words = ["-object", f"memory-backend-file,id=own,size=64M,share=on,mem-path={file}", "-m", "64"]
    words += ["-machine", "memory-backend=own"]
    done = record("--system", "-o", "g.arrow", "--", *words, "-bios", guest("known", 3), *GUEST_DEVICES, cwd=tmp_path)
    assert done.code == 33, done.err
    rows = rows_of(tmp_path / "g.arrow")
    assert 0x50 in rows.page[rows.op == Op.MAP]


def test_an_argument_that_qemu_refuses(tmp_path):
    done = record("--system", "-o", "g.arrow", "--", "-nonsense", cwd=tmp_path)
    assert done.code == 1
    assert "did not start" in done.err
    assert not (tmp_path / "g.arrow").exists()


def test_no_qemu(tmp_path):
    folder = tmp_path / "bin"
    folder.mkdir()
    (folder / "cc").symlink_to(shutil.which("cc"))
    done = record("--system", "--", "-bios", "none", cwd=tmp_path, env={"PATH": str(folder)})
    assert done.code == 1
    assert "no qemu-system-i386 in PATH; install it (Debian: apt-get install qemu-system-x86" in done.err
    assert len(done.err.splitlines()) == 1
