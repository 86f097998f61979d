"""`mmuexp record` and what is there already: an earlier recording, another recorder, what a killed one left, links."""

import os
import shutil
import signal
import time

import pytest
from kit.cli import busy
from kit.recordings import build, finish, qemu_of, record, rows_of, spinning, start, workload

from mmuexp.trace import open_trace


@pytest.fixture
def older(tmp_path):
    """A recording that is there, and its bytes."""
    path = tmp_path / "out.arrow"
    assert record("-o", path, "--", workload("ownpage", 10), cwd=tmp_path).code == 0
    return path, path.read_bytes()


def cut(tmp_path) -> str:
    """A program whose code is missing: QEMU dies of it."""
    path = tmp_path / "cut"
    with open(workload("ownpage", 10), "rb") as whole:
        path.write_bytes(whole.read(4096))
    path.chmod(0o755)
    return str(path)


NO_ROWS = {
    "an option that QEMU refuses": lambda _: ["--system", "--", "-bogus"],
    "a machine that QEMU does not know": lambda _: ["--system", "--", "-machine", "nosuch"],
    "a kernel that is not there": lambda _: ["--system", "--", "-display", "none", "-kernel", "nosuch"],
    "a question to QEMU": lambda _: ["--system", "--", "-version"],
    "a program that is cut": lambda tmp_path: ["--", cut(tmp_path)],
    "no memory for the guest": lambda _: ["--", build("echo")],
    "more skipped than there is": lambda _: ["--skip", 10**9, "--", workload("ownpage", 10)],
}


@pytest.mark.long
@pytest.mark.parametrize("case", NO_ROWS)
def test_without_a_row_an_older_recording_stays(tmp_path, older, case):
    path, before = older
    words = ["--force", "-o", path, *NO_ROWS[case](tmp_path)]
    limit = {"preexec_fn": _little_memory} if "memory" in case else {}
    process = start(*words, cwd=tmp_path, **limit)
    _, err = finish(process)
    assert process.returncode == 1 and "Traceback" not in err and "bug" not in err
    assert path.read_bytes() == before
    assert not list(tmp_path.glob("*.part*"))
    if "skipped" not in case:
        os.remove(path)
        process = start(*words, cwd=tmp_path, **limit)
        finish(process)
        assert process.returncode == 1 and not list(tmp_path.glob("out.arrow*"))


def _little_memory() -> None:
    import resource

    resource.setrlimit(resource.RLIMIT_AS, (1 << 30, 1 << 30))  # the guest's address space is 4 GiB


def test_an_earlier_recording_is_replaced_only_by_force(tmp_path, older):
    path, before = older
    done = record("-o", path, "--", build("echo"), cwd=tmp_path)
    assert (done.code, done.out, len(done.err.splitlines())) == (1, "", 1)  # the program did not run
    assert "is there already; --force overwrites it" in done.err
    assert path.read_bytes() == before and sorted(os.listdir(tmp_path)) == ["out.arrow"]
    assert record("--force", "-o", path, "--", build("echo"), cwd=tmp_path).code == 7
    assert path.read_bytes() != before and sorted(os.listdir(tmp_path)) == ["out.arrow"]


def test_an_empty_file_needs_no_force(tmp_path):
    (tmp_path / "out.arrow").touch()
    assert record("-o", "out.arrow", "--", workload("ownpage", 10), cwd=tmp_path).code == 0
    assert open_trace(tmp_path / "out.arrow").rows


@pytest.mark.long
@pytest.mark.parametrize(("answer", "replaced"), [("y", True), ("n", False), ("", False)])
def test_on_a_terminal_it_asks(tmp_path, older, answer, replaced):
    import pty

    path, before = older
    master, slave = pty.openpty()
    process = start(
        "-o", path, "--", workload("ownpage", 20), cwd=tmp_path, stdin=slave, stdout=slave, stderr=slave, text=False
    )
    os.close(slave)
    told = b""
    while b"overwrite it?" not in told:
        told += os.read(master, 1000)
    os.write(master, f"{answer}\n".encode())
    assert process.wait(60) == (0 if replaced else 1)
    assert (path.read_bytes() != before) == replaced
    os.close(master)


@pytest.mark.long
def test_two_at_once(tmp_path):
    """The second is refused before its program starts, forced or not; the first ends as it would have."""
    first = spinning(tmp_path)
    for words in ([], ["--force"]):
        done = record(*words, "-o", "spin.arrow", "--", build("echo"), cwd=tmp_path)
        assert (done.code, done.out, len(done.err.splitlines())) == (1, "", 1)
        assert "is being recorded by another mmuexp record" in done.err
    first.send_signal(signal.SIGTERM)
    finish(first)
    assert "SIGTERM" in open_trace(tmp_path / "spin.arrow").complete
    assert sorted(os.listdir(tmp_path)) == ["spin.arrow"]


@pytest.mark.long
def test_a_file_that_came_meanwhile_is_not_replaced(tmp_path):
    from mmuexp.cli.main import run

    process = spinning(tmp_path)
    (tmp_path / "spin.arrow").write_text("somebody's")
    os.kill(qemu_of(process), signal.SIGTERM)
    _, err = finish(process)
    assert process.returncode == 1 and "spin.arrow.part -o NEW" in err
    assert (tmp_path / "spin.arrow").read_text() == "somebody's"
    assert run(["trace", "recover", str(tmp_path / "spin.arrow.part"), "-o", str(tmp_path / "new.arrow")]) == 0
    assert len(rows_of(tmp_path / "new.arrow").op) > 1 << 20


def test_what_a_killed_recorder_left_is_kept_and_told(tmp_path, capsys):
    from mmuexp.cli.main import run

    process = spinning(tmp_path)
    process.kill()
    finish(process)
    assert os.listdir(tmp_path) == ["spin.arrow.part"]
    assert run(["trace", "info", str(tmp_path / "spin.arrow")]) == 1  # says where it lies
    assert f"mmuexp trace recover {tmp_path}/spin.arrow.part" in capsys.readouterr().err
    left = (tmp_path / "spin.arrow.part").read_bytes()
    done = record("-o", "spin.arrow", "--", workload("ownpage", 10), cwd=tmp_path)
    assert done.code == 0
    assert f"a recorder that was killed left rows, now in {tmp_path}/spin.arrow.part.1" in done.err
    assert (tmp_path / "spin.arrow.part.1").read_bytes() == left
    assert sorted(os.listdir(tmp_path)) == ["spin.arrow", "spin.arrow.part.1"]


def test_a_killed_recorder_without_a_row_leaves_nothing_for_long(tmp_path):
    process = start("-o", "waits.arrow", "--", build("waits"), cwd=tmp_path)
    process.stdout.readline()
    process.kill()
    finish(process)
    assert os.listdir(tmp_path) == ["waits.arrow.part"]
    assert record("-o", "waits.arrow", "--", workload("ownpage", 10), cwd=tmp_path).code == 0
    assert os.listdir(tmp_path) == ["waits.arrow"]


@pytest.mark.parametrize("stands", ["a link", "a file", "a folder", "a pipe"])
def test_what_stands_where_the_part_would_is_left_alone(tmp_path, stands):
    victim, name = tmp_path / "victim", tmp_path / "out.arrow.part"
    victim.write_text("mine, and longer than what begins a trace")
    {
        "a link": lambda: name.symlink_to(victim),
        "a file": lambda: shutil.copy(victim, name),
        "a folder": name.mkdir,
        "a pipe": lambda: os.mkfifo(name),
    }[stands]()
    before = sorted(os.listdir(tmp_path))
    done = record("-o", "out.arrow", "--", build("echo"), cwd=tmp_path)
    assert (done.code, done.out, len(done.err.splitlines())) == (1, "", 1), done.err
    assert "out.arrow.part" in done.err and "Traceback" not in done.err
    assert victim.read_text().startswith("mine") and sorted(os.listdir(tmp_path)) == before


def test_an_input_of_the_program_or_the_guest_is_not_the_output(tmp_path):
    (tmp_path / "disk.img").write_bytes(bytes(1 << 16))
    os.link(tmp_path / "disk.img", tmp_path / "hard.arrow")
    for output in ("disk.img", "hard.arrow"):
        for words in (["--", build("echo"), "disk.img"], ["--system", "--", "-drive", "file=disk.img,format=raw"]):
            done = record("--force", "-o", output, *words, cwd=tmp_path)
            assert (done.code, done.out, len(done.err.splitlines())) == (2, "", 1)
            assert "is named by the command" in done.err
    assert (tmp_path / "disk.img").read_bytes() == bytes(1 << 16)


def test_a_time_limit_of_a_fast_program(tmp_path):
    """The encoder is always behind: the limit is looked at nevertheless."""
    began = time.monotonic()
    done = record("--time-limit", "0.5", "--", build("spin"), cwd=tmp_path)
    assert done.code == 0 and time.monotonic() - began < 5 * busy()
    trace = open_trace(tmp_path / "spin.arrow")
    assert trace.complete == "the time limit of 0.5 s" and trace.rows == len(rows_of(tmp_path / "spin.arrow").op)


def test_a_program_that_ignores_sigterm(tmp_path):
    process = start("-o", "stays.arrow", "--", build("stays"), cwd=tmp_path)
    assert process.stdout.readline() == "ready\n"
    began = time.monotonic()
    process.send_signal(signal.SIGTERM)
    finish(process)
    assert process.returncode == 128 + signal.SIGTERM and time.monotonic() - began < 5 * busy()
    assert open_trace(tmp_path / "stays.arrow").rows
