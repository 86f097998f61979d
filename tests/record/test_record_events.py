"""Windows that begin or end with an event: a program's instruction, what a guest prints."""

import subprocess

import numpy as np
import pytest
from kit.recordings import record, rows_of, workload, workshop

from mmuexp.guest import Op
from mmuexp.trace import open_trace
from mmuexp.trace.rewrite import slice_trace
from mmuexp.trace.verify import FAILED, verify

SOURCE = """
#include <pthread.h>
#include <stdio.h>
__attribute__((noinline)) int target(int n) { volatile int s = 0; for (int i = 0; i < n; i++) s += i; return s; }
void *other(void *n) { target(*(int *)n); return 0; }
int main(int argc, char **argv)
{
    int n = 10;
    pthread_t thread;
    if (argc > 1) { pthread_create(&thread, 0, other, &n); pthread_join(thread, 0); }
    printf("%d\\n", target(n));
}
"""


@pytest.fixture(scope="module", params=["-no-pie", "-static-pie", "-pie", "-m64 -no-pie", "-m64 -pie"])
def program(request) -> str:
    source, made = workshop() / "target.c", workshop() / f"target{request.param}"
    source.write_text(SOURCE)
    width, kind = ("-m32 " + request.param).split()[-2:]
    flags = {"-no-pie": ["-no-pie", "-static"]}.get(kind, [kind])
    subprocess.run(["gcc", width, "-O1", "-pthread", *flags, "-o", made, source], check=True)
    return str(made)


@pytest.mark.long
def test_rows_begin_at_a_symbol(tmp_path, program):
    assert record("-o", "all.arrow", "--", program, cwd=tmp_path).code == 0
    done = record("-o", "part.arrow", "--start-at-pc", "target", "--", program, cwd=tmp_path)
    assert (done.code, done.out) == (0, "45\n")
    whole, part = rows_of(tmp_path / "all.arrow"), rows_of(tmp_path / "part.arrow")
    first, count = open_trace(tmp_path / "part.arrow").window
    assert first > 0 and first + count == len(whole.op) and count == len(part.op)
    assert all(np.array_equal(w[first:], p) for w, p in zip(whole, part, strict=True))
    start = int(part.vaddr[0])
    assert part.op[0] == Op.EXEC and start not in whole.vaddr[:first][whole.op[:first] == Op.EXEC]
    done = record("-o", "at.arrow", "--start-at-pc", hex(start + 1), "--limit", 20, "--", program, cwd=tmp_path)
    assert done.code == 0 and rows_of(tmp_path / "at.arrow").vaddr[0] == start  # the block that holds it
    assert open_trace(tmp_path / "at.arrow").window == (first, 20)


def test_rows_begin_in_another_thread(tmp_path):
    source, made = workshop() / "threaded.c", workshop() / "threaded"
    source.write_text(SOURCE)
    subprocess.run(["gcc", "-m32", "-O1", "-pthread", "-static", "-no-pie", "-o", made, source], check=True)
    done = record("-o", "part.arrow", "--start-at-pc", "other", "--", made, "x", cwd=tmp_path)
    assert (done.code, done.out) == (0, "45\n")
    rows = rows_of(tmp_path / "part.arrow")
    assert open_trace(tmp_path / "part.arrow").window[0] > 0
    assert list(rows.op[:2]) == [128, Op.EXEC]  # whose rows these are, and the block


def test_what_is_never_reached_makes_no_file(tmp_path):
    program = workload("ownpage", 10)
    for words, says in (
        (["--start-at-pc", "0x10"], "0x10 was never executed, in "),
        (["--start-at-pc", "nowhere"], "has no symbol nowhere"),
    ):
        done = record("-o", "t.arrow", *words, "--", program, cwd=tmp_path)
        assert done.code == 1 and says in done.err and not list(tmp_path.glob("t.arrow*"))
    for words in (["--start-at-pc", "0xz"], ["--start-at-pc", "1", "--skip", "1"], ["--start-on-output", "a"]):
        assert record("-o", "t.arrow", *words, "--", program, cwd=tmp_path).code == 2


BIOS = ["-display", "none", "-vga", "none", "-serial", "stdio", "-net", "none", "-nodefaults", "-m", "16"]


def printing(tmp_path) -> list[str]:
    """A guest whose firmware prints `begin`, then `end`, and goes on for ever."""
    (tmp_path / "print.S").write_text(
        """
        .code16
        .org 0
        start: cli
            mov $0x3f8, %dx
            mov $200000, %ecx
        1:  addr32 loop 1b
            mov $first, %si
            call print
            mov $1000000, %ecx
        1:  push %ax
            pop %ax
            addr32 loop 1b
            mov $second, %si
            call print
        1:  push %ax
            pop %ax
            jmp 1b
        print: lodsb %cs:(%si), %al
            test %al, %al
            jz 1f
            out %al, %dx
            jmp print
        1:  ret
        first: .asciz "the beg\\nin\\n"
        second: .asciz "the end\\n"
        .org 0xfff0
            ljmp $0xf000, $0
        .org 0x10000
        """
    )
    words = ["gcc", "-m32", "-c", "-o", "print.o", "print.S"]
    subprocess.run(words, check=True, cwd=tmp_path)
    subprocess.run(["objcopy", "-O", "binary", "-j", ".text", "print.o", "print.bin"], check=True, cwd=tmp_path)
    return ["-bios", "print.bin", *BIOS]


@pytest.mark.long
def test_a_window_of_what_a_guest_prints(tmp_path):
    words = printing(tmp_path)
    done = record("--system", "-o", "part.arrow", "--start-on-output", "beg\nin", "--stop-on-output", "end", "--",
                  *words, cwd=tmp_path)  # fmt: skip
    assert done.code == 0, done.err
    assert done.out == "the beg\nin\nthe end\n"
    trace = open_trace(tmp_path / "part.arrow")
    assert trace.complete == "the text of --stop-on-output was printed"
    first, count = trace.window
    assert first > 200_000 and count > 0
    assert not [check for check in verify(tmp_path / "part.arrow") if check.state == FAILED]
    part = rows_of(tmp_path / "part.arrow")
    prefix = len(part.op) - count
    assert prefix > 0 and set(part.op[:prefix]) == {Op.MAP}
    words = ["--limit", first + 1000, "--", *words]
    assert record("--system", "-o", "all.arrow", *words, cwd=tmp_path).code == 0
    slice_trace(str(tmp_path / "all.arrow"), first, first + 1000, str(tmp_path / "cut.arrow"))
    cut = rows_of(tmp_path / "cut.arrow")
    assert all(np.array_equal(p[: len(c)], c) for p, c in zip(part, cut, strict=True))


def test_a_text_that_is_never_printed_makes_no_file(tmp_path):
    words = ["--time-limit", "1", "--", *printing(tmp_path)]
    done = record("--system", "-o", "t.arrow", "--start-on-output", "nothing", *words, cwd=tmp_path)
    assert done.code == 1 and "'nothing' was not printed" in done.err
    assert not list(tmp_path.glob("t.arrow*"))
    for options in (["--start-on-output", ""], ["--start-on-output", "a", "--skip", 1], ["--start-at-pc", "1"]):
        assert record("--system", *options, *words, cwd=tmp_path).code == 2
