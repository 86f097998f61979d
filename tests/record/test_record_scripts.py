"""`mmuexp record` of what anybody has: this machine's programs by name, and scripts, which stand for an interpreter."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from kit.recordings import build, record, rows_of, workshop

from mmuexp.guest import Op
from mmuexp.record.elf import I386, X86_64
from mmuexp.record.program import find
from mmuexp.trace import digest, open_trace
from mmuexp.trace.verify import FAILED, WARNING, verify


def script(folder: Path, first: str, name: str = "script") -> str:
    path = folder / name
    path.write_text(f"{first}\n")
    path.chmod(0o755)
    return str(path)


def test_a_program_of_this_machine_is_recorded_by_its_name(tmp_path):
    (tmp_path / "a file").touch()
    done = record("--", "ls", "-a", cwd=tmp_path)
    assert (done.code, done.out.splitlines()) == (0, [".", "..", "a file", "ls.arrow.part"]), done.err
    trace = open_trace(tmp_path / "ls.arrow")
    assert (trace.metadata["guest"], trace.complete) == ("x86_64", "yes")
    assert int(rows_of(tmp_path / "ls.arrow").vaddr.max()) >> 32
    assert not [check for check in verify(tmp_path / "ls.arrow") if check.state in (FAILED, WARNING)]


def test_a_script_stands_for_its_interpreter(tmp_path):
    """The words are those that Linux gives it: one option, the script, the user's own."""
    path = script(tmp_path, "#!/bin/sh -f\necho $0 $# $1; echo *; exit 7")
    done = record("-o", "t.arrow", "--", path, "a b", cwd=tmp_path)
    assert (done.code, done.out) == (7, f"{path} 1 a b\n*\n"), done.err
    assert open_trace(tmp_path / "t.arrow").metadata["program.sha256"] == digest("/bin/sh")
    assert open_trace(tmp_path / "t.arrow").metadata["command"] == f"{path} 'a b'"


WORDS = {
    "#!/bin/sh": (),
    "#! /bin/sh": (),
    "#!\t/bin/sh\t-e ": ("-e",),
    "#!/bin/sh -e -u": ("-e -u",),
    "#!/usr/bin/env sh": (),
    "#!/usr/bin/env -S sh -e 'a b'": ("-e", "a b"),
    "#!/usr/bin/env -Ssh -u": ("-u",),
}


@pytest.mark.parametrize("first", WORDS)
def test_the_words_of_a_first_line(tmp_path, first):
    path = script(tmp_path, first)
    found = find(path, None)
    assert os.path.realpath(found.path) == os.path.realpath("/bin/sh")
    assert found.arguments == (*WORDS[first], path)


def test_env_with_options_of_its_own_is_what_runs(tmp_path):
    assert os.path.basename(find(script(tmp_path, "#!/usr/bin/env -i"), None).path) == "env"


def test_a_script_of_a_script_and_the_width_of_what_runs(tmp_path):
    inner = script(tmp_path, f"#!{build('echo')} inner", "inner")
    outer = script(tmp_path, f"#!{inner} outer", "outer")
    found = find(outer, None)
    assert (found.path, found.guest, found.loader) == (build("echo"), I386, None)
    assert found.arguments == ("inner", inner, "outer", outer)
    assert find(build("echo", 64), None).guest == X86_64


def test_python_and_its_threads(tmp_path):
    """Of this machine's Python, what a block does is a row each time, in every thread."""
    code = "import threading; t = [threading.Thread(target=print, args=(n,)) for n in range(3)]"
    code += "; [(one.start(), one.join()) for one in t]"
    done = record("-o", "t.arrow", "--", sys.executable, "-SIc", code, cwd=tmp_path)
    assert (done.code, done.out) == (0, "0\n1\n2\n"), done.err
    assert len(np.unique(rows_of(tmp_path / "t.arrow").vaddr[rows_of(tmp_path / "t.arrow").op == 128])) >= 3


MANY_BLOCKS = """
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>
int main(void)
{
    static const uint8_t code[] = {0xff, 0xc0, 0xc3}; /* incl %eax; ret */
    uint32_t value = 0, blocks = 400000;
    uint8_t *page = mmap(0, 16 * blocks, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    for (uint32_t i = 0; i < blocks; i++)
        memcpy(page + 16 * i, code, sizeof code);
    for (uint32_t i = 0; i < blocks; i++)
        __asm__ volatile("call *%1" : "+a"(value) : "r"(page + 16 * (uintptr_t)i) : "memory", "cc");
    return value != blocks;
}
"""


@pytest.mark.long
def test_more_blocks_than_qemu_keeps(tmp_path):
    """QEMU drops all blocks when its buffer is full; what the plugin knows of them goes with them, and comes again."""
    source, made = workshop() / "many.c", workshop() / "many"
    source.write_text(MANY_BLOCKS)
    subprocess.run(["gcc", "-m64", "-O1", "-static", "-o", made, source], check=True)
    done = record("-o", "t.arrow", "--", made, cwd=tmp_path)
    assert done.code == 0, done.err
    rows = rows_of(tmp_path / "t.arrow")
    blocks = (rows.op == Op.EXEC) & (rows.size == 3) & (rows.insns == 2) & (rows.vaddr % 16 == 0)
    assert len(np.unique(rows.vaddr[blocks])) >= 400_000
