"""What is compiled and kept in the cache may be damaged: it is made anew. An engine may say rubbish: one line."""

import os
import shutil
import stat
import subprocess

import pytest

from mmuexp.errors import MmuexpError
from mmuexp.live import process
from mmuexp.live.process import EngineFailed
from mmuexp.native.compiler import compiled

PARTS = {"answer.c": b"int answer(void) { return 42; }\nint main(void) { return answer(); }\n"}
DAMAGE = {
    "cut": lambda path: os.truncate(path, path.stat().st_size // 2),
    "cut at its end": lambda path: os.truncate(path, path.stat().st_size - 1),
    "empty": lambda path: os.truncate(path, 0),
    "text": lambda path: path.write_text("no program"),
    "another program": lambda path: shutil.copy("/bin/true", path),
    "one that sleeps": lambda path: path.write_text("#!/bin/sh\nsleep 1000\n"),
    "one that prints rubbish": lambda path: path.write_text("#!/bin/sh\necho counter\n"),
    "one byte": lambda path: path.write_bytes(path.read_bytes()[:9000] + b"\xff" + path.read_bytes()[9001:]),
    "no right to read or run it": lambda path: path.chmod(0),
}


def made(*flags: str):
    return compiled("answer", PARTS, flags, "the answer", "engines")


@pytest.mark.parametrize("flags", [(), ("-shared", "-fPIC"), ("-r",)], ids=["program", "library", "object"])
@pytest.mark.parametrize("damage", DAMAGE)
def test_a_damaged_file_is_made_anew(damage, flags, tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    target = made(*flags)
    whole, status = target.read_bytes(), target.stat()
    assert made(*flags).stat() == status, "a whole one is taken as it is"
    DAMAGE[damage](target)
    assert made(*flags) == target
    assert target.read_bytes() == whole
    assert list(target.parent.iterdir()) == [target]
    if not flags:
        assert subprocess.run([target]).returncode == 42


def test_a_program_without_the_right_to_run_is_made_anew(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    target = made()
    target.chmod(0o644)
    assert stat.S_IMODE(made().stat().st_mode) & stat.S_IXUSR


def test_a_compiler_that_makes_nothing(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setenv("CC", "true")
    with pytest.raises(MmuexpError, match="true ended well and made nothing; set CC to a C compiler"):
        made()


@pytest.mark.parametrize(
    "body", ["exit 3", "sleep 1000", "echo counter", "echo rubbish and more", "printf '\\377\\n'", ":"]
)
def test_an_engine_that_does_not_say_what_it_counts(body, tmp_path, monkeypatch):
    monkeypatch.setattr(process, "COUNTERS_SECONDS", 0.5)
    program = tmp_path / "engine"
    program.write_text(f"#!/bin/sh\n{body}\n")
    program.chmod(0o755)
    with pytest.raises(EngineFailed, match=r"cannot be started: it .*; mend"):
        process.counters(program)
