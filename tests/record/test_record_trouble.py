"""`mmuexp record` when things end badly: what was recorded is kept and says so, what cannot work fails at once."""

import os
import resource
import shutil
import signal
import struct
import time
from pathlib import Path

import numpy as np
import pytest
from kit.recordings import build, finish, is_running, kill_qemu, qemu_of, record, rows_of, spinning, start, workload

from mmuexp.errors import MmuexpError
from mmuexp.guest import Op
from mmuexp.trace import open_trace


def check_spin(path, complete: str) -> None:
    """spin.c stores to one cell for ever: whatever cut the recording, its last rows are whole and in order."""
    trace = open_trace(path)
    assert complete in trace.complete
    rows = rows_of(path)
    assert trace.rows == len(rows.op) > 1 << 20
    tail = rows.op[-100_000:]
    assert not np.any(tail[3:] != tail[:-3])  # EXEC LOAD STORE, again and again
    assert set(tail[:3].tolist()) == {Op.EXEC, Op.LOAD, Op.STORE}
    assert len(np.unique(rows.vaddr[-100_000:][tail == Op.STORE])) == 1


@pytest.mark.long
def test_interrupt_from_the_keyboard(tmp_path, bits):
    """^C reaches the program and the recorder: the program dies of it, the recorder finishes the file."""
    process = spinning(tmp_path, bits)
    os.killpg(process.pid, signal.SIGINT)
    _, err = finish(process)
    assert process.returncode == 128 + signal.SIGINT
    assert "cut short: the program was ended by SIGINT" in err
    assert "Traceback" not in err
    check_spin(tmp_path / "spin.arrow", "ended by SIGINT")


def test_a_time_limit(tmp_path):
    done = record("--time-limit", "1.5", "--", build("spin"), cwd=tmp_path)
    assert done.code == 0
    assert "the time limit of 1.5 s" in done.err and "Traceback" not in done.err
    assert open_trace(tmp_path / "spin.arrow").complete == "the time limit of 1.5 s"


@pytest.mark.long
def test_a_program_outruns_the_limit_whichever_row_it_ends_at(tmp_path):
    """QEMU frees the callbacks of a recording that is over. What it frees is overwritten here at once."""
    for limit in range(100_000, 100_005):  # an iteration of the loop is 5 rows
        done = record("--force", "--limit", limit, "--", build("outruns"), cwd=tmp_path, env={"MALLOC_PERTURB_": "165"})
        assert (done.code, done.out) == (9, "499500\n"), done.err
        assert open_trace(tmp_path / "outruns.arrow").rows == limit


def test_terminating_the_recorder_ends_the_program(tmp_path):
    process = spinning(tmp_path)
    process.send_signal(signal.SIGTERM)
    finish(process)
    assert process.returncode == 128 + signal.SIGTERM
    check_spin(tmp_path / "spin.arrow", "ended by SIGTERM")


def test_killing_qemu(tmp_path):
    kill_qemu(spinning(tmp_path))
    check_spin(tmp_path / "spin.arrow", "ended by SIGKILL")


def test_killing_qemu_keeps_the_rows_of_the_unfinished_chunk(tmp_path):
    process = start("-o", "waits.arrow", "--", build("waits"), cwd=tmp_path)
    cell = int(process.stdout.readline())
    os.kill(qemu_of(process), signal.SIGKILL)
    finish(process)
    rows = rows_of(tmp_path / "waits.arrow")
    assert len(rows.op) < 1 << 20
    assert ((rows.op == Op.STORE) & (rows.vaddr == cell)).sum() == 1000


def test_killing_the_recorder(tmp_path):
    """QEMU does not outlive the recorder, and `trace recover` makes a trace of what it left."""
    process = spinning(tmp_path)
    qemu = qemu_of(process)
    process.kill()
    finish(process)
    end = time.monotonic() + 10
    while is_running(qemu) and time.monotonic() < end:
        time.sleep(0.05)
    assert not is_running(qemu)
    with pytest.raises(MmuexpError, match="recover"):
        open_trace(tmp_path / "spin.arrow")
    from mmuexp.cli.main import run

    assert run(["trace", "recover", str(tmp_path / "spin.arrow.part"), "-o", str(tmp_path / "mended.arrow")]) == 0
    assert open_trace(tmp_path / "mended.arrow").complete != "yes"
    rows = rows_of(tmp_path / "mended.arrow")
    assert len(rows.op) >= 1 << 20
    assert len(rows.op) % (1 << 20) == 0


def test_a_full_disk(tmp_path):
    """The recording ends with one line, the program runs to its end, and the file is whole."""
    process = start("-o", "full.arrow", "--", build("scatter"), 6, cwd=tmp_path)
    assert process.stdout.readline() == "ready\n"
    most_bytes = 6_000_000  # a chunk takes about 2 MB here, all of it about 20
    resource.prlimit(process.pid, resource.RLIMIT_FSIZE, (most_bytes, most_bytes))  # of the recorder alone
    out, err = finish(process)
    assert (out, process.returncode) == ("end\n", 1)
    assert "Traceback" not in err
    assert err.count("the recording ends here, the program runs on") == 1
    assert os.path.getsize(tmp_path / "full.arrow") <= most_bytes
    trace = open_trace(tmp_path / "full.arrow")
    assert "cut short" in trace.complete
    assert trace.window == (0, trace.rows)
    rows = rows_of(tmp_path / "full.arrow")
    assert len(rows.op) == trace.rows > 0
    assert trace.rows % (1 << 20) == 0  # chunks are written whole or not at all


def test_a_disk_without_room_for_one_row_is_left_as_it_was(tmp_path):
    process = start("-o", "spin.arrow", "--", build("spin"), 5, cwd=tmp_path)
    assert process.stdout.readline() == "ready\n"
    resource.prlimit(process.pid, resource.RLIMIT_FSIZE, (1000, 1000))
    out, err = finish(process)
    assert (out, process.returncode) == ("end\n", 1)
    assert "Traceback" not in err
    assert not (tmp_path / "spin.arrow").exists()


def test_a_disk_that_is_full_when_the_program_ends(tmp_path):
    """A short program's rows are written at its end: the exit code says that they are not there."""
    process = start("-o", "waits.arrow", "--", build("waits"), cwd=tmp_path)
    assert process.stdout.readline()
    resource.prlimit(process.pid, resource.RLIMIT_FSIZE, (1000, 1000))
    os.kill(qemu_of(process), signal.SIGTERM)
    _, err = finish(process)
    assert process.returncode == 1
    assert "cannot be written" in err and "Traceback" not in err
    assert not (tmp_path / "waits.arrow").exists()


@pytest.mark.parametrize("most_bytes", [1000, 1 << 20])
def test_a_limit_below_the_recorders_own_memory(tmp_path, most_bytes):
    """`ulimit -f` counts shared memory, too: nothing ran, so nothing is left."""
    assert record("-o", "first.arrow", "--", build("echo"), cwd=tmp_path).code == 7  # the plugin is compiled by now
    os.remove(tmp_path / "first.arrow")
    limits = (most_bytes, most_bytes)
    process = start(
        "-o", "echo.arrow", "--", build("echo"), cwd=tmp_path,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, limits),
    )  # fmt: skip
    out, err = finish(process)
    assert (process.returncode, out, err.count("\n")) == (1, "", 1)
    assert "MiB of shared memory cannot be had: file too large; see `ulimit -f`" in err
    assert os.listdir(tmp_path) == []


def test_a_program_that_crashes(tmp_path):
    done = record("--", build("crash"), cwd=tmp_path)
    assert done.code == 128 + signal.SIGSEGV
    assert "the program was ended by SIGSEGV" in open_trace(tmp_path / "crash.arrow").complete


def elf(path, *, machine=3, kind=2, bits=1, interpreter=b"", cut=None) -> str:
    """A file that begins as an ELF program does. `bits` 1 are 32, 2 are 64."""
    ident = b"\x7fELF" + bytes([bits, 1, 1]) + bytes(9)
    size, count = len(interpreter), bool(interpreter)
    if bits == 2:
        header = struct.pack("<HHIQQQIHHHHHH", kind, machine, 1, 0, 64, 0, 0, 64, 56, count, 0, 0, 0)
        segment = struct.pack("<IIQQQQQQ", 3, 4, 120, 0, 0, size, size, 1) if interpreter else b""
    else:
        header = struct.pack("<HHIIIIIHHHHHH", kind, machine, 1, 0, 52, 0, 0, 52, 32, count, 0, 0, 0)
        segment = struct.pack("<8I", 3, 84, 0, 0, size, size, 4, 1) if interpreter else b""
    path.write_bytes((ident + header + segment + interpreter)[:cut])
    path.chmod(0o755)
    return str(path)


def test_a_program_cut_within_its_segments(tmp_path):
    """QEMU dies of SIGBUS or SIGSEGV while it loads it: nothing was recorded, and no file says that it was."""
    whole = Path(workload("ownpage", 10)).read_bytes()
    (tmp_path / "cut").write_bytes(whole[:4096])  # its code begins there
    (tmp_path / "cut").chmod(0o755)
    done = record("--", "./cut", cwd=tmp_path)
    assert done.code == 1 and "did not start" in done.err.splitlines()[-1]
    assert "Traceback" not in done.err and not (tmp_path / "cut.arrow").exists()


def test_an_output_that_is_a_device_or_a_pipe_stays(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "null").symlink_to("/dev/null")
    for name in ("pipe", "null"):
        done = record("-o", name, "--", build("echo"), cwd=tmp_path, stdin="not read")
        assert (done.code, done.out, len(done.err.splitlines())) == (1, "", 1)
        assert "is not a regular file" in done.err
    assert (tmp_path / "pipe").is_fifo() and (tmp_path / "null").is_char_device()


def script(path, first: str) -> str:
    path.write_text(f"{first}\necho no\n")
    path.chmod(0o755)
    return str(path)


def plain(path) -> str:
    path.write_text("a text, and a long one: longer than an ELF header by some bytes, to be sure\n")
    path.chmod(0o755)
    return str(path)


def unexecutable(path) -> str:
    shutil.copy(workload("ownpage", 10), path)
    path.chmod(0o644)
    return str(path)


REFUSED = {
    "not found in PATH": (lambda path: "no-such-program-here", "no such program in PATH"),
    "not found": (str, "no such program"),
    "a folder": (lambda path: str(path.parent), "not a file"),
    "not executable": (unexecutable, "not executable"),
    "a script of nobody": (
        lambda path: script(path, "#!/nonexistent/sh"),
        "its interpreter /nonexistent/sh cannot be run: no such program",
    ),
    "a script without a name": (lambda path: script(path, "#!"), "a script that names no interpreter"),
    "a script of itself": (lambda path: script(path, f"#!{path}"), "a script whose interpreter is a script"),
    "a text": (plain, "not an ELF program"),
    "another machine": (lambda path: elf(path, machine=40), "a 32-bit program for another machine"),
    "another machine of 64 bits": (lambda path: elf(path, machine=183, bits=2), "a 64-bit program for another machine"),
    "x32": (lambda path: elf(path, machine=62), "a 32-bit program for another machine"),
    "of no width": (lambda path: elf(path, bits=3), "a truncated ELF file"),
    "cut in its header": (lambda path: elf(path, bits=2, machine=62, cut=60), "a truncated ELF file"),
    "cut in its segments": (lambda path: elf(path, interpreter=b"/lib/ld", cut=80), "a truncated ELF file"),
    "an object file": (lambda path: elf(path, kind=1), "not a program"),
    "no loader": (lambda path: elf(path, interpreter=b"/lib/ld-none.so\0"), "loader /lib/ld-none.so is neither below"),
    "no loader of 64 bits": (
        lambda path: elf(path, bits=2, machine=62, interpreter=b"/lib/ld-none.so\0"),
        "libc6:amd64",
    ),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_cannot_be_recorded(tmp_path, case):
    make, expected = REFUSED[case]
    program = make(tmp_path / "program")
    (tmp_path / "root").mkdir(exist_ok=True)
    done = record("-o", "out.arrow", "-L", "root", "--", program, cwd=tmp_path)
    assert (done.code, done.out) == (1, "")
    assert expected in done.err
    assert program in done.err
    assert len(done.err.splitlines()) == 1
    assert not (tmp_path / "out.arrow").exists()


def test_an_output_without_a_name_is_none(tmp_path):
    done = record("-o", "", "--", "true", cwd=tmp_path)
    assert (done.code, done.err[:29]) == (1, "mmuexp: '': cannot be written")
    assert not any(tmp_path.iterdir())


@pytest.mark.parametrize(("root", "shown"), [("nowhere", "nowhere"), ("", "''")])
def test_a_root_that_is_not_there(tmp_path, root, shown):
    done = record("-o", "out.arrow", "-L", root, "--", "ls", cwd=tmp_path)
    assert (done.code, done.out, len(done.err.splitlines())) == (1, "", 1)
    assert f"-L {shown}: no such folder" in done.err
    assert not (tmp_path / "out.arrow").exists()


def folder_with(tmp_path, *tools: str) -> str:
    """A PATH that holds these tools and no others."""
    folder = tmp_path / "bin"
    folder.mkdir()
    for tool in tools:
        (folder / tool).symlink_to(shutil.which(tool))
    return str(folder)


def test_no_qemu(tmp_path, bits):
    env = {"PATH": folder_with(tmp_path, "cc")}
    done = record("--", build("echo", bits), cwd=tmp_path, env=env)
    assert done.code == 1
    assert (
        f"no qemu-{'i386' if bits == 32 else 'x86_64'} in PATH; install it (Debian: apt-get install qemu-user"
        in done.err
    )
    assert len(done.err.splitlines()) == 1
    assert not (tmp_path / "echo.arrow").exists()


def test_no_compiler(tmp_path):
    env = {"PATH": folder_with(tmp_path, "qemu-i386"), "XDG_CACHE_HOME": str(tmp_path / "cache")}
    done = record("--", build("echo"), cwd=tmp_path, env=env)
    assert done.code == 1
    assert "no C compiler" in done.err and "apt-get install" in done.err
    assert len(done.err.splitlines()) == 1
    assert not (tmp_path / "echo.arrow").exists()


def test_a_compiled_plugin_needs_no_compiler(tmp_path):
    env = {"XDG_CACHE_HOME": str(tmp_path / "cache, with a comma")}
    assert record("--", workload("ownpage", 10), cwd=tmp_path, env=env).code == 0
    env["PATH"] = folder_with(tmp_path, "qemu-i386")
    assert record("--force", "--", workload("ownpage", 10), cwd=tmp_path, env=env).code == 0
    kept = {path.name for path in (tmp_path / "cache, with a comma" / "mmuexp").iterdir()}
    assert len(kept - {"kernels"}) == 1  # beside what numba makes for the encoder


@pytest.mark.parametrize("output", ["missing/out.arrow", ".", "-"])
def test_an_output_that_cannot_be_written(tmp_path, output):
    done = record("-o", output, "--", build("echo"), cwd=tmp_path, stdin="not read")
    assert (done.code, done.out) == (1, "")
    assert len(done.err.splitlines()) == 1


def test_the_program_itself_is_not_overwritten(tmp_path):
    shutil.copy(build("echo"), tmp_path / "echo")
    before = (tmp_path / "echo").read_bytes()
    assert record("-o", "echo", "--", "./echo", cwd=tmp_path).code == 1
    assert (tmp_path / "echo").read_bytes() == before


def test_wrong_usage(tmp_path):
    for words in (["--"], ["--limit", "0", "--", "x"], ["--skip", "some", "--", "x"], ["--unknown", "--", "x"]):
        done = record(*words, cwd=tmp_path)
        assert done.code == 2, words
        assert len(done.err.splitlines()) == 1
