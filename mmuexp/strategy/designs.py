"""Emulators as their users call them, each with the spec that is its model here."""

from typing import NamedTuple


class Design(NamedTuple):
    """One emulator's way to guest memory. `differs`: what it does otherwise than the spec says, "" if nothing known."""

    name: str
    guest: str
    spec: str  # in canonical form
    differs: str = ""


AS_GUESTS_SAY = "its guest names the code that it changes (`code=free` is the bound); an x86 guest does not"

DESIGNS = (
    Design("Dolphin", "GameCube, Wii", "fastmem,patch=memory,remember=0,map=accessed,flush=diff", AS_GUESTS_SAY),
    Design("PCSX2", "PlayStation 2", "fastmem,patch=memory,code=check", "maps at the TLB write (map=known)"),
    Design("PCSX2 before 2022 (vtlb)", "PlayStation 2", "page-table,form=vtlb,detect=off,tables=1", AS_GUESTS_SAY),
    Design("dynarmic's fastmem (yuzu, eden)", "Switch", "fastmem,how=block,map=known", AS_GUESTS_SAY),
    Design("dynarmic's page table (yuzu)", "Switch", "page-table", AS_GUESTS_SAY),
    Design("azahar, Citra", "3DS", "page-table,form=offset,detect=off,tables=1", "a table for each process"),
    Design("RPCS3", "PlayStation 3", "fastmem,patch=never,map=known", AS_GUESTS_SAY),
    Design("dosemu2's JIT", "DOS", "fastmem,patch=code,code=block"),
    Design("86Box, PCem", "x86 PCs", "page-table,detect=any,live=256", "its look-up is a call (form=call)"),
    Design("v86", "x86 PCs", "page-table,live=10000", "WebAssembly; one table with flags; keeps global pages"),
    Design("QEMU, system mode", "whole machines", "softmmu-qemu10"),
    Design("QEMU, user mode", "programs", "fastmem,patch=never,map=known,dirty=none"),
    Design("FEX, SMCChecks=mtrack", "x86 programs", "fastmem,patch=never,map=known,dirty=none"),
    Design(
        "FEX, SMCChecks=full", "x86 programs", "fastmem,patch=never,map=known,code=check,check_after=0,dirty=none",
        "checks each instruction",
    ),
    Design(
        "box64", "x86 programs", "fastmem,patch=never,map=known,code=check,check_after=2,dirty=none",
        "interprets a page that is written often",
    ),
    Design("LAT, code first", "x86 programs", "fastmem,patch=never,map=known,code=block,dirty=none"),
    Design("HSPT", "ARM programs and systems", "views,kernel=softmmu", "trusts its guest's ASIDs; drop_maps=3000"),
    Design("QEMU of October 2004", "whole machines", "softmmu"),
    Design("Magnus Damm's table of bytes", "whole machines", "byte-lookup"),
    Design("Piotras's host blocks", "whole machines", "map-block"),
    Design("QEMU's qemu-fast, until 2005", "x86 PCs", "qemu-fast"),
)  # fmt: skip


def designs_of(scheme: str) -> list[Design]:
    """The designs that a scheme, by its name, is the model of."""
    return [one for one in DESIGNS if one.spec.partition(",")[0] == scheme]


def names_of(spec: str) -> list[str]:
    """The usual names of a spec in canonical form."""
    return [one.name for one in DESIGNS if one.spec == spec]
