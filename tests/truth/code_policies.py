"""Hand-worked: `code` for the mmap schemes of today. Fastmem's cases try each policy; these, what a scheme adds."""

from truth.oracle.code_pages import CHECKS
from truth.oracle.reserve import CALLS, CAUSES
from truth.rows import Case, micro, zero_but

SPECS = [
    f"{scheme},code={code}"
    for scheme in ("byte-lookup,entries=4", "map-block,map_block_bits=13,pool_blocks=3,map_pages=2", "qemu-fast")
    for code in ("block", "check,check_after=0", "check,check_after=2", "free")
]

EMPTY = {
    "byte-lookup": ["faults_block", "faults_softmmu", "softmmu_accesses"],
    "map-block": ["faults_cross", "faults_softmmu", "softmmu_accesses"],
    "qemu-fast": ["faults_block", "faults_cross", "faults_io"],
}
COUNTED = [*CAUSES, "maps", "unmaps", *CALLS, "protects", "softmmu_accesses", "translations", "smc_stores"]
COUNTED += ["code_page_data_stores", *CHECKS]


def _case(name: str, spec: str, text: str, why: str, **named: int) -> Case:
    empty = EMPTY[spec.split(",")[0]]
    counted = [column for column in COUNTED if column not in CHECKS or "code=page" not in spec]
    return Case(name, spec, "user", micro(text, "user"), zero_but(counted, **named) | dict.fromkeys(empty), why)


_ROUND = "S1100 X1000 S1100 S1004 X1000"
_CHECK = "S1100 X1000 S1100 X1000 S1100 X1000 S1004 X1000"
_LOW = "qemu-fast,guest_limit=0x3000"
_SPELL = "X1000 L3000 S1004 X1000 S1100"
BLOCK = dict(faults_block=1, maps=1, mmap_calls=1)
ONE = dict(faults_unmapped=1, maps=1, mmap_calls=1)

CASES = [
    _case("page is the default", "map-block,code=page", _ROUND, "Each store drops all; the second finds none.",
          **BLOCK, faults_code=1, code_page_data_stores=1, translations=2, protects=2, mprotect_calls=3),
    _case("block", "map-block,code=block", _ROUND, "Data, closed; code, opened; protected again.", **BLOCK,
          faults_code=2, smc_stores=1, code_page_data_stores=1, translations=2, protects=2, mprotect_calls=3),
    _case("block: no guest block yet", "map-block,code=block", "X1000 S1100 S1100", "faults_block maps the code page "
          "read-only.", **BLOCK, faults_code=1, code_page_data_stores=2, translations=1),
    _case("block: the extra page in the same run", "map-block,code=block,map_block_bits=12", "X1000 S1ffe L2000",
          "Page 1 keeps its block; the extra page is mapped with it. Page 2's own block comes by a load.",
          faults_block=2, maps=3, mmap_calls=3, code_page_data_stores=1, translations=1),
    _case("block: the page behind brings its group", "map-block,code=block,map_pages=2", "X1000 X3000 S1ffe",
          "Page 2 in page 1's run, and page 3 in its call.", faults_block=1, maps=3, mmap_calls=2,
          code_page_data_stores=1, translations=2),
    _case("check", "map-block,code=check", _CHECK, "As fastmem's F6.", **BLOCK, faults_code=1, code_page_data_stores=1,
          translations=3, protects=1, mprotect_calls=2, checked_entries=2, checked_bytes=32, checks_failed=1),
    _case("free", "map-block,code=free", _ROUND, "Only the store into the block.", **BLOCK, smc_stores=1,
          translations=2),
    _case("block", "qemu-fast,code=block", _ROUND, "As map-block's.", **ONE, faults_code=2, smc_stores=1,
          code_page_data_stores=1, translations=2, protects=2, mprotect_calls=3),
    _case("a spell on a checked page", _LOW + ",code=check,check_after=0", _SPELL, "The TLB's store says nothing; the "
          "entry does. S1100 is the first that maps.", **ONE, faults_softmmu=1, softmmu_accesses=2, tlb_fills=2,
          slow_code=0, code_list_walks=0, translations=2, checked_entries=1, checked_bytes=16, checks_failed=1),
    _case("a spell, free", _LOW + ",code=free", _SPELL, "No helper, but the block goes.", **ONE, faults_softmmu=1,
          softmmu_accesses=2, tlb_fills=2, slow_code=0, code_list_walks=0, smc_stores=1, translations=2),
    _case("a spell under block", _LOW + ",code=block", _SPELL, "By bytes, as always; the second block is beside the "
          "last store.", **ONE, faults_softmmu=1, softmmu_accesses=2, tlb_fills=2, slow_code=1, code_list_walks=1,
          smc_stores=1, code_page_data_stores=1, translations=2),
    _case("block: a crossing is completed by pages", "byte-lookup,code=block", "X1000 X2100 S1ffe S1100",
          "All blocks of both pages go; then nothing is noticed.", **ONE, faults_cross=1, code_page_data_stores=2,
          translations=2),
    _case("check: a crossing", "byte-lookup,code=check,check_after=0", "X1ff0 S1ffe X1ff0", "Seen at the entry.",
          faults_cross=1, translations=2, checked_entries=1, checked_bytes=16, checks_failed=1),
    _case("free: a crossing", "byte-lookup,code=free", "X1ff0 S1ffe X1ff0", "Dropped at no cost.", faults_cross=1,
          smc_stores=1, translations=2),
]  # fmt: skip
