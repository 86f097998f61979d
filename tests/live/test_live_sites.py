"""Patched accesses are really overwritten: the translated code of a running engine, disassembled before and after."""

import re
import subprocess
from pathlib import Path
from typing import NamedTuple

import pytest
from kit.recordings import need
from kit.replays import MNEMONIC, Instruction, run, symbol
from kit.traces import columns_of, random_trace
from truth.rows import micro

from mmuexp.guest import BATCH_ROWS
from mmuexp.live.process import Engine
from mmuexp.strategy.registry import parse_spec

KNOWN = "M1000>50 M2000>51 M3000>52"
RAM = "X1000 L2000@1 L2004@2 S2008@1 L3000+8@3"  # one site is loaded and stored by: two sites
DEVICE = "X1000 iL5000@1 L2004@2 S2008@1 L3000+8@3"
ABOVE = "Mffff888000000000>50 X1000 Lffff888000000000@1 L2004@2 S2008@1 L3000+8@3"  # of a guest of 64 bits
MOVES = "Mffff888000001000>53 X3000 Lffff888000001000@1"  # from here on code reads the moved addresses
AFTER = {"jmp": 5, "call": 5}


class Code(NamedTuple):
    """The engine's translated code: where it lies, and what it holds."""

    at: int
    bytes: bytes
    insns: list[Instruction]

    def accesses(self) -> list[Instruction]:
        """Accesses by the base, and the jumps that are in their places, in the order of the code."""
        begins = [i for i, one in enumerate(self.insns) if "fs" not in one.operands and self._after_address(i)]
        return [self.insns[i] for i in begins]

    def _after_address(self, i: int) -> bool:
        before = self.insns[i - 1]
        return (
            i > 0 and before.name == "mov" and before.operands[0] in ("ecx", "rcx") and "[rbx+0x" in before.operands[1]
        )

    def from_(self, address: int, count: int) -> list[Instruction]:
        """So many instructions from an address on, wherever jumps lead."""
        listed = {one.at: i for i, one in enumerate(self.insns)}
        return self.insns[listed[address] : listed[address] + count]


def code_of(engine: Engine, folder: Path) -> Code:
    need("objdump", "binutils")
    with open(f"/proc/{engine._process.pid}/mem", "rb") as memory:

        def word(name: str) -> int:
            memory.seek(symbol(engine.program, name))
            return int.from_bytes(memory.read(8), "little")

        at, used = word("code"), word("code_used")
        memory.seek(at)
        held = memory.read(used)
    (folder / "code").write_bytes(held)
    command = ["objdump", "-D", "-b", "binary", "-m", "i386:x86-64", "-M", "intel", "--no-show-raw-insn",
               f"--adjust-vma={at}", str(folder / "code")]  # fmt: skip
    text = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    found = [MNEMONIC.match(line) for line in text.splitlines()]
    insns = [Instruction(int(m[1], 16), m[2], tuple(m[3].split(",")) if m[3] else ()) for m in found if m]
    return Code(at, held, insns)


@pytest.fixture
def fed(tmp_path):
    """Feeds rows to a timed engine, piece by piece; its code after each piece."""
    engines = []

    def feed(spec: str, *pieces: str, bits: int = 32) -> list[Code]:
        engine = Engine(parse_spec(spec), "system", checked=False, address_bits=bits)
        engines.append(engine)
        found = []
        for piece in pieces:
            engine.feed(columns_of(micro(piece), bits))
            found.append(code_of(engine, tmp_path))
        feed.counts, feed.engine = engine.counts(), engine
        return found

    yield feed
    for engine in engines:
        engine.close()


def target(one: Instruction) -> int:
    return int(one.operands[0].split()[0], 16)


def names(code: Code) -> list[str]:
    return [one.name for one in code.accesses()]


@pytest.mark.parametrize(
    ("bits", "first", "patching"), [(32, "", DEVICE), (64, "", DEVICE), (64, MOVES, ABOVE)], ids=["32", "64", "above"]
)
def test_the_instruction_is_overwritten_by_a_jump_to_a_stub(fed, bits, first, patching):
    """Before: one instruction with the base. After: a jump; the stub calls the TLB's path, and jumps behind it."""
    _, before, after = fed("fastmem", f"{KNOWN} {first}", RAM, patching, bits=bits)
    assert names(before)[-4:] == ["mov"] * 4
    assert names(after)[-4:] == ["jmp", "mov", "mov", "mov"]
    slow, direct = after.accesses()[-4], before.accesses()[-4]
    assert slow.at == direct.at
    assert "rcx" in direct.operands[1] and "r8" in direct.operands[1]
    call, back = after.from_(target(slow), 2)
    assert (call.name, back.name) == ("call", "jmp")
    following = before.insns[before.insns.index(direct) + 1]
    assert target(back) == following.at
    shared = after.from_(target(call), 40)
    path = shared[: [one.name for one in shared].index("ret") + 1]
    assert [one.name for one in path[:2]] == ["push", "mov"]
    assert [one.name for one in path[-2:]] == ["pop", "ret"]
    assert {"cmp", "je", "call", "and", "shr"} <= {one.name for one in path}
    unchanged = slice(0, direct.at - before.at)
    assert after.bytes[unchanged] == before.bytes[unchanged]
    at = following.at - before.at
    assert after.bytes[at : len(before.bytes)] == before.bytes[at:]  # nothing else of what was there


def test_a_stub_looks_the_guests_own_address_up(fed):
    """Above the limit an address is moved for the direct map; the stub loads it from behind the moved ones."""
    after = fed("fastmem", f"{KNOWN} {RAM}", ABOVE, bits=64)[-1]
    engine = fed.engine
    call = after.from_(target(after.accesses()[0]), 1)[0]
    own = after.from_(target(call), 4)[-1]
    assert own.operands == ("rcx", f"QWORD PTR [rbx+rcx*8+{8 * BATCH_ROWS:#x}]")
    with open(f"/proc/{engine._process.pid}/mem", "rb") as memory:
        memory.seek(symbol(engine.program, "addresses"))
        addresses = int.from_bytes(memory.read(8), "little")
        found = []
        for row in (2, 2 + BATCH_ROWS):
            memory.seek(addresses + 8 * row)
            found.append(int.from_bytes(memory.read(8), "little"))
    assert found == [1 << 46, 0xFFFF_8880_0000_0000]


def test_every_run_of_the_block_is_overwritten_and_a_later_one_is_made_so(fed):
    """A block that leaves early, or goes on, is another run of code with the same sites."""
    short, longer = "X1000 L2000@1", "X1000 L2000@1 L2004@2 S2008@1 L3000+8@3 L2000@4"
    before, after, later = fed("fastmem", f"{KNOWN} {RAM} {short}", DEVICE, longer)
    assert names(before) == ["mov"] * 5
    assert names(after) == ["jmp", "mov", "mov", "mov", "jmp"]
    assert names(later) == [*names(after), "jmp", "mov", "mov", "mov", "mov"]
    assert fed.counts["extra_0"] == 1
    assert fed.counts["softmmu_accesses"] == 2


def test_the_same_address_in_another_space_is_another_block(fed):
    other = "F0 M1000>60 M2000>51 M3000>52"
    before, after = fed("fastmem", f"{KNOWN} {RAM}", f"{DEVICE} {other} {RAM}")
    assert names(before) == ["mov"] * 4
    assert names(after) == ["jmp", "mov", "mov", "mov", "mov", "mov", "mov", "mov"]


def test_a_block_that_forgets_is_direct_again(fed):
    """Its code is dropped by a store, and translated anew with the instruction in place."""
    dropped = "X1000 S1004@4"
    before, patched, after = fed("fastmem,remember=0", f"{KNOWN} {RAM}", DEVICE, f"{dropped} {RAM}")
    assert names(patched) == ["jmp", "mov", "mov", "mov"]
    assert names(after)[:4] == ["mov"] * 4
    access = slice(before.accesses()[0].at - before.at, before.accesses()[1].at - before.at)
    assert after.bytes[access] == before.bytes[access] != patched.bytes[access]


def test_where_patching_is_compiling_again_the_code_changes_with_the_block(fed):
    """The handler does the access; the jump comes with the next entry, which translates."""
    before, patched, after = fed("fastmem,how=block", f"{KNOWN} {RAM}", DEVICE, RAM)
    assert names(before) == names(patched) == ["mov"] * 4
    assert names(after) == ["jmp", "mov", "mov", "mov"]
    assert fed.counts["translations"] == 2


@pytest.mark.parametrize("spec", ["fastmem", "fastmem,patch=always,code=block", "views"])
def test_an_access_has_room_for_a_jump(fed, spec):
    """Five bytes at least, and one instruction."""
    (code,) = fed(spec, f"{KNOWN} X1000 L2000+1@1 L2000+2@2 L2000@3 L2000+8@4 S2000+1@5 S2000+2@6 S2000@7 S2000+8@8")
    listed = code.insns
    for access in code.accesses():
        assert listed[listed.index(access) + 1].at - access.at >= AFTER["jmp"]
    assert len(code.accesses()) == 8


@pytest.mark.parametrize("spec", ["fastmem", "fastmem,flush=diff,code=block,patch=code", "views,views=2"])
@pytest.mark.parametrize("checked", [True, False])
def test_each_fault_is_a_signal_that_the_processor_took(spec, checked):
    rows = random_trace(11, 2000, "system")
    with Engine(parse_spec(spec), "system", checked=checked) as engine:
        engine.feed(columns_of(rows))
        engine.end()
        live = engine.counts()
    faults = sum(count for name, count in live.items() if re.match("faults_", name))
    assert live["signals"] == faults == run(rows, spec, "system")["faults"] > 100


@pytest.mark.parametrize("checked", [True, False])
def test_a_source_that_changed_without_a_store_stops_the_engine(checked):
    """code=check compares the bytes, too: a store that nobody saw would be a hole in the books."""
    rows = columns_of(micro(f"{KNOWN} X1000 L2000 X1000"))
    with Engine(parse_spec("fastmem,code=check,check_after=0"), "system", checked=checked) as engine:
        engine.feed(rows)
        with open(f"/proc/{engine._process.pid}/mem", "r+b", buffering=0) as memory:
            memory.seek(symbol(engine.program, "ram"))
            ram = int.from_bytes(memory.read(8), "little")
            memory.seek(ram + 0x50004)
            memory.write(b"\x90")
        with pytest.raises(Exception, match="the block at physical 0x50000 changed, and no store was seen to do it"):
            engine.feed(columns_of(micro("X1000")))
