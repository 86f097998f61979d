"""Whatever pages a guest uses: what `trace info` keeps of it stays below 60 MB."""

import subprocess
import sys

from kit.places import TESTS

FEED = """
import numpy as np
from mmuexp.guest import IO, PAGES, Columns, Op
from mmuexp.emulator.state import new_page_table
from mmuexp.trace.guest_info import GuestInfo

def every_page(op, flags):
    zeros = np.zeros(PAGES, "u1")
    vaddr = np.arange(PAGES, dtype="u4") << 12
    four = np.full(PAGES, 4, "u2")
    return Columns(vaddr, zeros.astype("u4"), four, zeros, zeros + np.uint8(op), zeros + np.uint8(flags))

def resident(which):
    return int(next(line.split()[1] for line in open("/proc/self/status") if line.startswith(which))) * 1024 / 1e6

frames = np.arange(PAGES, dtype="i4")
batches = [every_page(op, flags) for op in (Op.MAP, Op.EXEC, Op.STORE, Op.LOAD) for flags in (0, IO if op < 2 else 0)]
step = new_page_table().step
GuestInfo("user").feed(every_page(Op.LOAD, 0), None, step)  # compiled
before, guest = resident("VmRSS"), GuestInfo("system")
for batch in batches:
    guest.feed(batch, frames, step)
told = guest.told()
print(resident("VmHWM") - before, told["device"]["page_count"], told["code"]["physical_pages"])
"""


def test_every_page_used_in_every_way():
    here = TESTS
    done = subprocess.run([sys.executable, "-c", FEED], capture_output=True, text=True, cwd=here)
    assert done.returncode == 0, done.stderr
    peak, devices, code = done.stdout.split()
    assert int(devices) == int(code) == 1 << 20
    assert float(peak) < 60
