"""What runs is what is counted: the compiled fast paths are the listings, instruction by instruction.

The compiled code is held against `Strategy.FAST_PATH`, which `strategy show` prints and the model prices. Where they
may differ: registers and tables of a 64-bit host (an entry has 8 bytes instead of 4, a base beside the guest address),
the immediate that is a parameter, and the order of operands of a store.
"""

import re
from bisect import bisect_left

import pytest
from kit.replays import (
    SCHEMES,
    FastPath,
    Instruction,
    between,
    code,
    hit_path,
    patches,
    paths,
    sections,
    symbol,
    templates,
)

from mmuexp.live.build import engine_for, engine_of
from mmuexp.live.process import Engine
from mmuexp.strategy import is_instruction
from mmuexp.strategy.registry import parse_spec

SLOW = ("qemu-fast", "fastmem", "views")  # what is not direct runs on softmmu's paths
LOOPS = dict.fromkeys(SCHEMES, 1) | {"qemu-fast": 2}  # loops over rows: direct, and with moved data
JUMPS = ("je", "jne", "js")
SHAPES = [(store, size) for store in (0, 1) for size in (1, 2, 4, 8)]
WIDE = 8  # bytes; softmmu's listing is one of a 32-bit host, which does two accesses for them
FAMILY = {f"{x}{half}": f"r{x}x" for x in "abcd" for half in "lhx"}
FAMILY |= {f"{e}{x}x": f"r{x}x" for e in "er" for x in "abcd"}
FAMILY |= {f"{e}{x}": f"r{x}" for e in ("e", "r", "") for x in ("si", "di", "bp")}
FAMILY |= {f"{x}l": f"r{x}" for x in ("si", "di", "bp")}
FAMILY |= {f"r{n}{half}": f"r{n}" for n in range(8, 16) for half in ("", "d", "w", "b")}


def program_of(scheme: str):
    return engine_for(parse_spec(scheme))


def listing_of(scheme: str, path: FastPath | None = None) -> list[tuple[str, list[str]]]:
    """(mnemonic, operands) of each instruction of the listing: for this path, for one byte is never misaligned."""
    found = []
    for line in parse_spec(scheme).fast_path().splitlines():
        if is_instruction(line):
            name, _, operands = line.partition(";")[0].strip().partition(" ")
            found.append((name, [word.strip() for word in operands.split(",")]))
    return found[2:] if path and path.bytes == 1 and found[0] == ("test", ["vaddr", "size-1"]) else found


def paths_of(scheme: str) -> list[FastPath]:
    """Those that run under the scheme's own listing, also as translated code; without spells and slow sites."""
    found = paths(program_of(scheme)) + templates(program_of(scheme))
    return [path for path in found if path.gap == path.resume] if scheme in SLOW else found


def spells(scheme: str) -> list[FastPath]:
    return [path for path in paths(program_of(scheme)) if path.gap != path.resume]


FORMS = [
    f"page-table,form={form},detect={detect}"
    for form in ("absolute", "offset", "vtlb")
    for detect in ("cross", "any", "off")
]
CASES = [(scheme, scheme) for scheme in (*SCHEMES, *FORMS[1:])] + [(scheme, "softmmu") for scheme in SLOW]


def chosen(runs: str, listing: str) -> list[FastPath]:
    return paths_of(runs) if runs == listing else spells(runs)


def kind(operand: str) -> str:
    """memory, immediate or register; of the listing or of objdump."""
    if "[" in operand:
        return "memory"
    return (
        "register"
        if FAMILY.get(operand) or operand in ("reg", "off", "last", "adr", "tmp", "data", "vaddr")
        else "immediate"
    )


def mnemonic(instruction: Instruction, listed: str) -> str:
    """A load of 1 or 2 bytes is a movzx: the listing's access says `mov`."""
    access = instruction.name == "movzx" and listed == "mov"
    return "mov" if access else instruction.name


def registers(operand: str) -> list[str]:
    return [FAMILY[word] for word in re.findall(r"[a-z]\w*", operand) if word in FAMILY]


def wide_insns(listing: str, path: FastPath) -> int:
    """Instructions that 8 bytes take more, as priced."""
    price = parse_spec(listing).price_list().get("wide_units8")
    return int(price.hit) if price and path.bytes == WIDE else 0


@pytest.mark.long
@pytest.mark.parametrize("scheme", SCHEMES)
def test_each_size_has_a_path_in_each_loop(scheme):
    copied = templates(program_of(scheme))
    assert sorted((path.store, path.bytes) for path in copied) == SHAPES
    found = [path for path in paths_of(scheme) if path not in copied]
    for store, size in SHAPES:
        extra = 1 if scheme == "byte-lookup" and size == 2 else 0  # the two bytes around a page's border
        mine = [path for path in found if (path.store, path.bytes) == (store, size)]
        # plain and checked, and in pieces; the compiler may make one function of two equal ones for pieces
        assert 2 * LOOPS[scheme] + 1 + extra <= len(mine) <= 3 * LOOPS[scheme] + extra, (store, size)


def test_the_loop_without_translation_has_empty_paths():
    """The same rows, blocks and runs of translated code, in which an access is not an instruction."""
    bare = engine_of(None)
    assert sorted((path.store, path.bytes) for path in templates(bare)) == SHAPES
    assert paths(bare)
    assert all(path.begin == path.end for path in paths(bare) + templates(bare))


@pytest.mark.parametrize("scheme", SLOW)
def test_a_spell_has_the_paths_of_softmmu(scheme):
    for store, size in SHAPES:
        assert len([path for path in spells(scheme) if (path.store, path.bytes) == (store, size)]) == 3


@pytest.mark.long
@pytest.mark.parametrize(("runs", "listing"), CASES)
def test_instructions_are_those_of_the_listing(runs, listing):
    """In number, order and kind, and no memory is touched that the listing does not touch."""
    program = program_of(runs)
    assert len(listing_of(listing)) == parse_spec(listing).hit_insns()
    for path in chosen(runs, listing):
        wanted = listing_of(listing, path)
        compiled = hit_path(program, path)
        more = wide_insns(listing, path)
        assert len(compiled) == len(wanted) + more, path
        for access in compiled[len(wanted) - 1 :]:
            assert access.name == ("movzx" if path.bytes < 4 and not path.store else "mov")
        for instruction, (name, operands) in zip(compiled, wanted, strict=False):
            assert mnemonic(instruction, name) == name, (path, instruction)
            if name == "je" and path.gap != path.resume:
                assert int(instruction.operands[0].split()[0], 16) == path.resume
                continue
            if name in JUMPS:  # test_the_helper_is_called_out_of_line
                continue
            kinds = [kind(operand) for operand in operands]
            if path.store and operands[0] == "data":
                kinds.reverse()
            if operands[1].startswith("~4095") and kind(instruction.operands[1]) == "register":
                kinds[1] = "register"  # of a row in pieces: the mask depends on its size
            assert [kind(operand) for operand in instruction.operands] == kinds, (path, instruction)


NAMES = {*FAMILY, "reg", "off", "last", "adr", "tmp", "vaddr"}


def names_in(operand: str) -> list[str]:
    return [word for word in re.findall(r"[a-z]\w*", operand) if word in NAMES]


@pytest.mark.parametrize(("runs", "listing"), CASES)
def test_registers_carry_what_the_listing_names(runs, listing):
    """Each name of the listing is one register, and no two names are the same one. `vaddr` may be in several."""
    for path in chosen(runs, listing):
        bound: dict[str, set[str]] = {}
        compiled = hit_path(program_of(runs), path)
        (data,) = {*compiled[-1].operands} - {operand for operand in compiled[-1].operands if "[" in operand}
        assert FAMILY[data] == "rdx"  # where the handler and the helper look for it
        for instruction, (name, operands) in zip(compiled, listing_of(listing, path), strict=False):
            theirs = operands[::-1] if path.store and operands[0] == "data" else operands
            pairs = () if name in JUMPS else zip(theirs, instruction.operands, strict=True)
            for theirs, ours in pairs:
                if theirs in ("[vaddr]", "[base + vaddr]"):
                    assert len(registers(ours)) == 2  # and the reserve: page 0 of a process cannot be mapped
                elif theirs in ("[mask]", "[table]"):  # of the mode, side by side
                    assert len(registers(ours)) == 1
                    bound.setdefault("mode", set()).update(registers(ours))
                    assert ("+0x8]" in ours) == (theirs == "[table]")
                elif theirs == "[tlb + edx + ebp]":
                    (table,) = {*registers(ours)} - bound["edx"]
                    bound["ebp"] = {table}
                elif theirs != "data" and kind(theirs) != "immediate":
                    assert len(registers(ours)) == len(names_in(theirs)), (path, instruction)
                    for word, register in zip(names_in(theirs), registers(ours), strict=True):
                        bound.setdefault(word, set()).add(register)
        vaddr = bound.pop("vaddr", set())
        assert all(len(used) == 1 and not used & vaddr for used in bound.values()), (path, bound)
        assert len(set().union(*bound.values())) == len(bound)


@pytest.mark.parametrize(("runs", "listing"), CASES)
def test_constants_are_those_of_the_listing(runs, listing):
    program = program_of(runs)
    patched = {patch.end for patch in patches(program)}
    for path in chosen(runs, listing):
        compiled = hit_path(program, path)
        behind = [instruction.at for instruction in compiled[1:]] + [path.end]
        for instruction, end, (name, operands) in zip(compiled, behind, listing_of(listing, path), strict=False):
            theirs, ours = operands[-1], instruction.operands[-1]
            if name in JUMPS or kind(theirs) != "immediate" or kind(ours) != "immediate":
                assert end not in patched
            elif theirs in ("MAP_BLOCK_BITS", "0x7f8"):
                assert end in patched
            else:
                assert end not in patched
                value = eval(theirs, {"size": path.bytes})
                if (name, theirs) == ("shr", "9"):
                    value = 12 - 4  # page number, times 16 bytes an entry
                assert int(ours, 16) == value & 0xFFFFFFFF, (path, instruction)
    assert bool(patched) == (listing in ("softmmu", "map-block") or runs in SLOW)


@pytest.mark.parametrize("scheme", ["byte-lookup", "map-block", *FORMS])
def test_tables_are_addressed_in_the_instruction(scheme):
    """`[table + reg*4]` of the listing, with entries of 8 bytes: no instruction computes a table's address."""
    for path in paths_of(scheme):
        tables = [i.operands[1] for i in hit_path(program_of(scheme), path) if "*8" in i.operands[-1]]
        assert len(tables) == 1
        assert re.fullmatch(r"QWORD PTR \[rax\*8\+0x[0-9a-f]+\]", tables[0])


@pytest.mark.parametrize(("runs", "listing"), CASES)
def test_only_the_access_can_fault(runs, listing):
    """The `fault` label is the access, and in the mmap schemes the last instruction."""
    for path in chosen(runs, listing):
        compiled = hit_path(program_of(runs), path)
        place = [instruction.at for instruction in compiled].index(path.fault)
        assert place == len(listing_of(listing, path)) - 1
        if listing != "softmmu":
            assert place == len(compiled) - 1
        assert "[" in compiled[place].operands[0 if path.store else 1]
        size = {1: "BYTE", 2: "WORD", 4: "DWORD", 8: "DWORD" if listing == "softmmu" else "QWORD"}[path.bytes]
        assert f"{size} PTR" in compiled[place].operands[0 if path.store else 1]


@pytest.mark.parametrize("scheme", ["softmmu", *SLOW])
def test_the_helper_is_called_between_compare_and_hit(scheme):
    program = program_of(scheme)
    vector = symbol(program, "tlb_slow_vector")
    begin, constants = sections(program)[".rodata"]
    assert int.from_bytes(constants[vector - begin :][:8], "little") == symbol(program, "tlb_slow_path")
    for path in paths(program) + templates(program):
        if path.gap != path.resume:
            call, jump = between(program, path.gap, path.resume)
            assert call.name == "call"  # through a fixed address, since the code may be copied
            assert int(re.fullmatch(r"QWORD PTR (?:ds:)?(0x[0-9a-f]+)", call.operands[0])[1], 16) == vector
            assert (jump.name, int(jump.operands[0].split()[0], 16)) == ("jmp", path.end)


@pytest.mark.parametrize("spec", ["softmmu-qemu10", *FORMS])
def test_the_helper_is_called_out_of_line(spec):
    """Where each jump out of the path leads: a call, and the way back to the end of the path."""
    program = program_of(spec)
    vector, found = symbol(program, "tlb_slow_vector"), paths(program) + templates(program)
    ordered = sorted(code(program))
    for path in found:
        jumps = [one for one in hit_path(program, path) if one.name in JUMPS]
        assert len(jumps) == sum(name in JUMPS for name, _ in listing_of(spec, path)) > 0
        for jump in jumps:
            there = int(jump.operands[0].split()[0], 16)
            assert not any(path.begin <= there < path.end for path in found)
            call, back = (code(program)[at] for at in ordered[bisect_left(ordered, there) :][:2])
            assert (call.name, back.name) == ("call", "jmp")
            assert int(re.fullmatch(r"QWORD PTR (?:ds:)?(0x[0-9a-f]+)", call.operands[0])[1], 16) == vector
            assert int(back.operands[0].split()[0], 16) == path.end


@pytest.mark.parametrize("spec", FORMS)
def test_loads_and_stores_have_a_table_each(spec):
    """The table for stores lies behind that for loads."""
    program = program_of(spec)
    begin, side = symbol(program, "page_table"), 8 << 20
    for path in paths(program) + templates(program):
        (table,) = [i.operands[1] for i in hit_path(program, path) if "*8" in i.operands[-1]]
        assert int(table.partition("+")[2].rstrip("]"), 16) == begin + side * path.store


def test_the_sides_of_an_entry_and_its_addend():
    """addr_read, addr_write, addr_code, addend: 8 bytes each."""
    program = program_of("softmmu-qemu10")
    for path in paths(program) + templates(program):
        compiled = hit_path(program, path)
        assert compiled[6].operands[1] == ("DWORD PTR [rax+0x8]" if path.store else "DWORD PTR [rax]")
        assert compiled[8].operands[1] == "QWORD PTR [rax+0x18]"


RUNNING = [("softmmu-qemu10,first_bits=9", None), ("softmmu-qemu10", None)]
RUNNING += [(f"map-block,map_block_bits={bits}", bits) for bits in (12, 13, 16, 22)]
RUNNING += [(f"softmmu,tlb_bits={bits}", ((1 << bits) - 1) << 4) for bits in (0, 1, 8, 16)]
RUNNING += [(spec, None) for spec in FORMS]
RUNNING += [("qemu-fast", 255 << 4), ("byte-lookup,entries=7", None)]


@pytest.mark.parametrize(("spec", "value"), RUNNING)
def test_a_running_engine_has_its_parameters_in_its_instructions_and_nothing_else_changed(spec, value):
    """The text that was disassembled is the text that runs, but for the immediates."""
    program = program_of(spec)
    begin, text = sections(program)[".text"]
    wanted = bytearray(text)
    for patch in patches(program):
        at = patch.end - patch.bytes - begin
        wanted[at : at + patch.bytes] = value.to_bytes(patch.bytes, "little")
    with Engine(parse_spec(spec), "user") as engine, open(f"/proc/{engine._process.pid}/mem", "rb") as memory:
        memory.seek(begin)
        assert memory.read(len(text)) == wanted
    assert all(end in code(program) for end in (patch.end for patch in patches(program)))
