"""Read this first: one access under map-block, worked on paper, by the oracle, by the kernel and by the live engine.

A count says what a scheme does while a program's memory accesses are replayed. No count here is believed because one
program says so: four witnesses, each made by different reasoning, are compared with ==.
"""

import pytest
from kit.replays import outcome, run

from truth import oracle
from truth.rows import load

SPEC, MODE = "map-block", "user"

# A trace is a list of rows. In this one the guest loads 4 bytes. Pages have 0x1000 bytes, so it takes the last 2 bytes
# of page 0x12 and the first 2 of page 0x13.
ROWS = [load(0x12FFE, 4)]

# On paper, from MODEL.md 5. The guest's memory is cut into blocks of 0x10000 bytes, and both pages lie in block 1.
#   The load runs:   block 1 has no host block. SIGSEGV; the handler takes one and maps page 0x12   faults_block 1
#   It runs again:   the host block is there, and page 0x13 is not mapped in it. SIGSEGV, one mmap  faults_unmapped 1
#   It runs again:   the host's MMU finds both pages. Nothing of ours has looked at the address.
PAPER = {"faults_block": 1, "faults_unmapped": 1, "faults_write": 0, "mmap_calls": 2, "maps": 2, "evictions": 0}

WITNESSES = {
    # tests/truth/oracle: dictionaries and sets, written from MODEL.md, imports nothing of the package
    "oracle": lambda: oracle.run(ROWS, SPEC, MODE),
    # strategies/map_block.py in the replay loop: what `mmuexp compare` counts
    "kernel": lambda: run(ROWS, SPEC, MODE),
    # strategies/map_block.c: the load as a machine instruction, real mmap calls, real SIGSEGVs; `mmuexp verify`
    "live engine": lambda: outcome(ROWS, MODE, SPEC).live,
}


@pytest.mark.parametrize("witness", WITNESSES)
def test_every_witness_counts_what_paper_says(witness):
    counts = WITNESSES[witness]()
    assert {name: counts[name] for name in PAPER} == PAPER


def test_the_live_engine_took_real_signals():
    found = outcome(ROWS, MODE, SPEC)
    assert (found.signals, found.checked_loads, found.equal) == (2, 1, True)
