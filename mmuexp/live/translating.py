"""Times the translator of QEMU's user mode: what a guest instruction takes that runs for the first time.

Two programs run under qemu-i386, static ELF files written here: blocks of six instructions one behind the other, each
executed once, many of them in one program and few in the other. The slope between both is the translator, with the
block's look-up and its one run; what QEMU takes to start is in both.
"""

import os
import shutil
import struct
import subprocess
import time

from mmuexp.live.process import on_processor

QEMUS = ("qemu-i386", "qemu-i386-static")
BLOCKS = (2_000, 14_000)
# mov eax, [ebx + 4]; add eax, 7; mov [ebx + 8], eax; lea ecx, [eax + edx*2 + 3]; cmp eax, 5; je to what follows anyway
BLOCK = bytes.fromhex("8b4304 83c007 894308 8d4c5003 83f805 7400")
BLOCK_INSNS = 6
EXIT = bytes.fromhex("b801000000 31db cd80")  # mov eax, 1; xor ebx, ebx; int 0x80
CODE, DATA, PAGE = 0x8048000, 0x10000000, 4096
HEADERS = 52 + 2 * 32  # of the file, and of two segments
SECONDS = 60.0


def qemu() -> str | None:
    """The program that is timed, if this machine has it."""
    return next((found for name in QEMUS if (found := shutil.which(name))), None)


def program(blocks: int) -> bytes:
    """A static ELF file for i386: so many blocks, and the end."""
    code = b"\xbb" + struct.pack("<I", DATA) + BLOCK * blocks + EXIT  # mov ebx, DATA
    size = HEADERS + len(code)
    ident = b"\x7fELF\x01\x01\x01" + bytes(9)
    header = ident + struct.pack("<HHIIIIIHHHHHH", 2, 3, 1, CODE + HEADERS, 52, 0, 0, 52, 32, 2, 0, 0, 0)
    text = struct.pack("<8I", 1, 0, CODE, CODE, size, size, 5, PAGE)
    data = struct.pack("<8I", 1, 0, DATA, DATA, 0, PAGE, 6, PAGE)
    return header + text + data + code


def translate_ns(rounds: int) -> list[float]:
    """ns a guest instruction, round by round; none where QEMU is missing or does not run it."""
    found, runner = [], qemu()
    if runner is None:
        return []
    for _ in range(rounds):
        few, many = (_cpu_ns(runner, program(blocks)) for blocks in BLOCKS)
        if few is None or many is None:
            return []
        found.append((many - few) / (BLOCKS[1] - BLOCKS[0]) / BLOCK_INSNS)
    return found


def _cpu_ns(runner: str, content: bytes) -> float | None:
    """Processor time of QEMU from its start to its end over a program; None if it fails or hangs."""
    with open(os.memfd_create("program", os.MFD_CLOEXEC), "wb") as file, on_processor(max(os.sched_getaffinity(0))):
        file.write(content)
        file.flush()
        command = [runner, f"/proc/self/fd/{file.fileno()}"]
        try:
            process = subprocess.Popen(
                command, pass_fds=[file.fileno()], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
            )
        except OSError:
            return None
    ends = time.monotonic() + SECONDS
    try:
        while not (done := os.wait4(process.pid, os.WNOHANG))[0]:
            if time.monotonic() > ends:
                return None
            time.sleep(0.001)
        process.returncode = os.waitstatus_to_exitcode(done[1])
        return None if process.returncode else 1e9 * (done[2].ru_utime + done[2].ru_stime)
    finally:
        if process.returncode is None:
            process.kill()
            process.wait()
