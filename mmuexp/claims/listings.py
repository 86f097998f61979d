"""Claims 1 and 2: how long the fast paths are, what in them can fault, how large byte-lookup's table is.

The listing of a strategy is what the model prices and what the live engine runs (tests/live/test_live_paths.py holds
its compiled code against it). A memory operand that names no table of the emulator's is the guest's, and can fault.
"""

import re
from collections.abc import Callable, Iterator

from mmuexp.claims.evidence import BYTE_LOOKUP, MAP_BLOCK, QEMU_10, QEMU_FAST, SOFTMMU, Evidence
from mmuexp.claims.model import BYTES, COUNT, INSNS, Claim, Part
from mmuexp.claims.words import live_figures
from mmuexp.guest import ADDRESS_BITS
from mmuexp.strategy import is_instruction
from mmuexp.strategy.registry import all_strategies, strategy_class

TABLES = ("table", "lookup", "base", "tlb")  # names of the emulator's tables in listings
FOUR, SEVEN, AROUND, MIB = 4, 7, 1, 1 << 20
SLACK = 100  # 1 MiB, to one part in so many: the 256 bases stand beside the bytes
LISTING = "the listing"
EVERYWHERE = ("ten-kernels", "programs", "page-crossing", "linux-windows", "linux-boot", "windows-habit")


def instructions(listing: str) -> list[str]:
    """The instructions of a listing, without comments."""
    return [line.partition(";")[0].strip() for line in listing.splitlines() if is_instruction(line)]


def that_can_fault(listing: str) -> list[int]:
    """Places (from 0) of the instructions whose memory operand is the guest's."""
    operands = [re.search(r"\[(.*?)\]", line) for line in instructions(listing)]
    return [at for at, found in enumerate(operands) if found and not set(re.findall(r"\w+", found[1])) & set(TABLES)]


def _hit_path(evidence: Evidence, spec: str, right: Callable[[float], bool]) -> Part:
    """Has the listing the right length, and each recording's hit path for 8 bytes, as it was counted?"""
    part = Part(f"an access is {FOUR if spec == MAP_BLOCK else f'around {SEVEN}'} instructions")
    part.case(LISTING, right(strategy_class(spec)().hit_insns()))
    for name, (run,) in evidence.pairs(*EVERYWHERE, of=[spec]):
        if run.counts["units8"]:
            part.case(name, right(run.counts["hit_insns"] / run.counts["units8"]))
    return part


def judge_map_block(evidence: Evidence) -> Iterator[Part]:
    part = _hit_path(evidence, MAP_BLOCK, lambda insns: insns == FOUR)
    for name, cls in all_strategies().items():
        if name in (SOFTMMU, BYTE_LOOKUP, MAP_BLOCK, QEMU_FAST, QEMU_10):
            part.figure(f"hit path of {name}", cls().hit_insns(), INSNS, key=True)
    part.figures += live_figures(evidence, evidence.pairs(*EVERYWHERE, of=[SOFTMMU, MAP_BLOCK]), key=False)
    yield part
    part, listing = Part("only the last can fault"), strategy_class(MAP_BLOCK).FAST_PATH
    faulting = that_can_fault(listing)
    part.case(LISTING, faulting == [len(instructions(listing)) - 1])
    part.figure("instructions that access memory of the guest", len(faulting), COUNT, key=True)
    for at in faulting:
        part.figure("of them, place in the listing", at + 1, COUNT, key=True)
    yield part


def judge_byte_lookup(evidence: Evidence) -> Iterator[Part]:
    part = _hit_path(evidence, BYTE_LOOKUP, lambda insns: abs(insns - SEVEN) <= AROUND)
    part.figure("hit path of byte-lookup", strategy_class(BYTE_LOOKUP)().hit_insns(), INSNS, key=True)
    yield part
    part, tables = Part("its table takes 1 MiB"), set()
    for name, (run,) in evidence.pairs(*EVERYWHERE, of=[BYTE_LOOKUP]):
        tables.add((run.address_bits, run.counts["table_bytes"]))
        if run.address_bits == ADDRESS_BITS:  # a byte for each page: of other guests nothing was claimed
            part.case(name, 0 <= run.counts["table_bytes"] - MIB <= MIB // SLACK)
    for bits, size in sorted(tables):
        part.figure("lookup tables" + f", {bits} bits of addresses" * (bits != ADDRESS_BITS), size, BYTES, key=True)
    yield part


CLAIMS = (
    Claim(
        1, "Piotras", "An access through the indirection table is 4 x86 instructions, of which only the last can fail.",
        "MODEL.md section 8, claim 1",
        "the listing has 4 instructions, and each recording was priced at 4 for 8 bytes; of its memory operands only"
        " the last instruction's is the guest's",
        EVERYWHERE, judge_map_block,
    ),
    Claim(
        2, "Magnus Damm", "The byte lookup is around 7 x86 instructions, and its table takes 1 MiB.",
        "MODEL.md section 8, claim 2",
        f"7 instructions, give or take {AROUND}; 1 MiB, and not 1/{SLACK} more",
        EVERYWHERE, judge_byte_lookup,
    ),
)  # fmt: skip
