"""Temporary files: no link is followed, nothing of others is touched, what a killed run left is taken away."""

import os
import signal
import subprocess
import sys

import pytest
from kit.cli import one_line
from kit.traces import program_rows

from mmuexp.render.export import Output
from mmuexp.runtime import partfile
from mmuexp.trace import TraceWriter

KILLED = """
import os, signal, sys
from mmuexp.render.export import Output
from mmuexp.trace import TraceWriter
here = [Output("r.csv"), TraceWriter("t.arrow", mode="user")]
print(os.getpid(), flush=True)
os.kill(os.getpid(), signal.SIGKILL)
"""


def write(name: str) -> None:
    with TraceWriter(name, mode="user") as writer:
        writer.append(program_rows(10))


@pytest.fixture
def killed(tmp_path, monkeypatch) -> int:
    """The number of a process that was killed while it wrote two files, into the folder where we are now."""
    monkeypatch.chdir(tmp_path)
    done = subprocess.run([sys.executable, "-c", KILLED], capture_output=True, text=True)
    assert done.returncode == -signal.SIGKILL
    return int(done.stdout)


def test_what_a_killed_run_left_is_swept(killed):
    left = [f"{name}.{killed}.part" for name in ("r.csv", "r.csv.manifest.json", "t.arrow")]
    assert sorted(os.listdir()) == left
    write("other.arrow")  # another target
    assert sorted(os.listdir()) == ["other.arrow", *left]
    write("t.arrow")
    Output("r.csv").discard()
    assert sorted(os.listdir()) == ["other.arrow", "t.arrow"]


def test_what_is_not_of_a_killed_run_stays(killed):
    for name in os.listdir():
        os.unlink(name)
    stays = [f"t.arrow.{os.getppid()}.part", "t.arrow.x.part", "t.arrow.part.1", f"t.arrow.{killed}.part2"]
    for name in stays:
        open(name, "w").close()
    os.symlink(stays[0], f"t.arrow.{killed}.part")
    os.mkdir(f"t.arrow.{killed}-1.part")
    locked = partfile.open_new(f"t.arrow.{killed}-2.part")  # by a process of another container, say
    assert partfile.lock(locked)
    before = sorted(os.listdir())
    write("t.arrow")
    assert sorted(os.listdir()) == sorted([*before, "t.arrow"])


@pytest.mark.parametrize("target", ["t.arrow", "r.csv"])
def test_a_planted_link_is_not_followed(tmp_path, monkeypatch, target):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "victim").write_text("mine")
    for number in range(3):
        os.symlink("victim", f"{target}.{os.getpid()}{f'-{number}' if number else ''}.part")
    if target == "r.csv":
        file = Output(target)
        file._data_file().write_bytes(b"a")
        file._finish({})
    else:
        write(target)
    assert (tmp_path / "victim").read_text() == "mine"
    assert not (tmp_path / target).is_symlink() and (tmp_path / target).stat().st_size


def test_the_rights_of_a_new_file(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    old = os.umask(0o027)
    try:
        write("t.arrow")
        Output("r.csv")._finish({})
    finally:
        os.umask(old)
    assert {oct(os.stat(name).st_mode & 0o777) for name in ("t.arrow", "r.csv", "r.csv.manifest.json")} == {"0o640"}


def test_a_killed_compile_is_swept(tmp_path, monkeypatch):
    from mmuexp.native.compiler import compiled

    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    dead = subprocess.Popen(["true"])
    dead.wait()
    place = tmp_path / "mmuexp"
    for name in (f"build-{dead.pid}-abc", f"build-{os.getpid()}-abc", "build-mine"):
        (place / name).mkdir(parents=True)
        (place / name / "a.c").touch()
    made = compiled("nothing", {"a.c": b"int a;"}, ("-shared", "-fPIC"), "nothing")
    assert sorted(os.listdir(place)) == sorted([f"build-{os.getpid()}-abc", "build-mine", made.name])


OVERWRITES = {
    "compare": "compare t.csv -s softmmu -o t.csv",
    "compare, two": "compare traces/lu.arrow t.csv -s softmmu -o t.csv",
    "compare, --trace": "compare --trace t.csv -s softmmu -o t.csv",
    "compare, --trace=": "compare --trace=t.csv -s softmmu -o t.csv",
    "a hard link": "compare t.csv -s softmmu -o hard.csv",
    "a link": "compare link.csv -s softmmu -o t.csv",
    "a link as output": "compare t.csv -s softmmu -o link.csv",
    "a descriptor": "compare /dev/fd/{fd} -s softmmu -o t.csv",
    "its manifest": "compare t.csv.manifest.json -s softmmu -o t.csv",
    "sweep": "sweep map_block_bits=12..13 --trace t.csv -o t.csv",
    "misses": "misses t.csv -o t.csv",
    "faults": "faults t.csv -s map-block -o t.csv",
    "verify": "verify --trace d.html -s softmmu -o d.html",
    "claims": "claims d.html -o d.html",
    "diff": "diff t.csv t.csv -o t.csv",
    "export": "export t.csv -o t.csv",
    "a host profile": "compare t.csv -s softmmu --host h.csv -o h.csv",
    "a scheme": "compare t.csv -s ./s.csv,key=1 -o s.csv",
    "report": "report --host d.html -o d.html",
    "trace slice": "trace slice t.csv 0:1 -o t.csv",
    "trace export": "trace export t.csv -o t.csv",
    "trace import": "trace import l.log -o l.log",
    "trace recover": "trace recover t.csv -o hard.csv",
}


@pytest.mark.parametrize("case", OVERWRITES)
def test_the_output_is_never_the_input(cli, tmp_path, monkeypatch, case):
    monkeypatch.chdir(tmp_path)
    write("t.csv")
    os.link("t.csv", "hard.csv")
    os.symlink("t.csv", "link.csv")
    for name in ("d.html", "t.csv.manifest.json", "h.csv", "s.csv", "l.log"):
        os.link("t.csv", name) if name == "t.csv.manifest.json" else write(name)
    before = {path: path.read_bytes() for path in tmp_path.iterdir()}
    with open("t.csv") as opened:
        done = cli(*OVERWRITES[case].format(fd=opened.fileno()).split())
    assert done.code in (1, 2) and not done.out
    one_line(done.err)
    assert {path: path.read_bytes() for path in tmp_path.iterdir()} == before
