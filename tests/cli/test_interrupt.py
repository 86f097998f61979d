"""^C and SIGTERM end a command within two seconds, wherever it is; `make torture` sends more of them."""

import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from kit.cli import busy
from kit.places import ROOT
from kit.traces import write_trace

PROMISE_SECONDS = 2.0
# what a command may be at when the signal comes, and whether it unwinds by itself
MOMENTS = {
    "in C, without end": "import hashlib; hashlib.pbkdf2_hmac('sha256', b'', b'', 2 * 10**9)",
    "swallowed": "import time\ntry: time.sleep(60)\nexcept BaseException: time.sleep(60)",
    "in a destructor": "import time\nclass D:\n def __del__(s): time.sleep(60)\nd = D(); del d; time.sleep(60)",
    "in a write that nobody reads": "import os; r, w = os.pipe(); os.write(w, bytes(10**7))",
    "waiting for a thread": "from mmuexp.runtime.threads import apart; import hashlib\n"
    "apart(hashlib.pbkdf2_hmac, 'sha256', b'', b'', 2 * 10**9)",
    "in a whole": "import time\nwith interrupt.whole(): time.sleep(0.3); print('whole', flush=True)\ntime.sleep(60)",
    "after all output": "import time; interrupt.over(); time.sleep(60)",
}
SCRIPT = """
import subprocess, sys
from mmuexp import __main__; from mmuexp.runtime import interrupt, partfile
def run():
    child = subprocess.Popen(["sh", "-c", "sleep 60 & wait"], stdout=-3, stderr=-3)
    _, part = partfile.create(sys.argv[1] + '/file')
    print(child.pid, flush=True)
{}
import mmuexp.cli.main
mmuexp.cli.main.run = run
__main__.main()
"""


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("moment", MOMENTS)
def test_it_ends_wherever_it_is(moment, number, tmp_path):
    body = "\n".join(f"    {line}" for line in MOMENTS[moment].split("\n"))
    command = [sys.executable, "-c", SCRIPT.format(body), str(tmp_path)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=ROOT)
    child = int(process.stdout.readline())
    time.sleep(0.1)
    began = time.monotonic()
    process.send_signal(number)
    out, err = process.communicate(timeout=30)
    assert process.returncode == 128 + number
    assert time.monotonic() - began < PROMISE_SECONDS * busy()
    assert err in ("", "mmuexp: interrupted\n")
    assert out == ("whole\n" if moment == "in a whole" else "")
    assert list(tmp_path.iterdir()) == []
    assert _state(child) in "ZX"


def _state(pid: int) -> str:
    time.sleep(0.05)
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return "X"


def test_a_signal_that_the_caller_ignores_is_ignored():
    code = (
        "from signal import *; from mmuexp.runtime.interrupt import install; install(); print(getsignal(2) == SIG_IGN)"
    )
    ignoring = f"trap '' INT; exec {sys.executable} -c '{code}'"
    done = subprocess.run(["sh", "-c", ignoring], capture_output=True, text=True, cwd=ROOT)
    assert done.stdout == "True\n", done.stderr


KEEPS = """
import os
from contextlib import contextmanager
from mmuexp import __main__; from mmuexp.runtime import interrupt
from mmuexp.cli import output
@contextmanager
def progress_bar():
    yield lambda name, done, rows: name.endswith("second.arrow") and done and os.kill(os.getpid(), {number})
output.progress_bar = progress_bar
interrupt.PATIENCE_SECONDS = 60  # a busy machine needs longer for the drawing
__main__.main()
"""


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_what_was_finished_is_kept(number, tmp_path):
    first, second = (write_trace(tmp_path / f"{name}.arrow", repeat=3) for name in ("first", "second"))
    files = [str(tmp_path / name) for name in ("c.svg", "c.csv")]
    command = [sys.executable, "-c", KEEPS.format(number=int(number)), "compare", first, second, "-s", "softmmu"]
    command += ["-o", files[0], "-o", files[1]]
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT)
    assert done.returncode == 128 + number, done.stderr
    wrote = [f"mmuexp: wrote {name}" for name in reversed(files)]
    assert done.stderr.splitlines() == [*wrote, "mmuexp: interrupted"]
    assert len(Path(files[1]).read_text().splitlines()) == 2
    assert "interrupted after 1 of 2 traces" in Path(files[1] + ".manifest.json").read_text()


@pytest.mark.long
def test_signals_at_random_moments():
    command = [sys.executable, "-m", "tests.torture", "signals", "--seed", "19", "--count", "40", "--busy"]
    for name in ("compare", "faults", "verify", "record", "export", "trace slice"):
        command += ["--only", name]
    done = subprocess.run([*command, "--seconds", "60"], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
