"""Hand-worked: fastmem. Traces are `micro`: blocks are 16 bytes of 4 instructions, so 0x1100 lies beside them."""

from truth.oracle.code_pages import CHECKS
from truth.oracle.direct import Fastmem
from truth.oracle.reserve import CALLS
from truth.oracle.softmmu import COLUMNS as TLB
from truth.rows import Case, micro, zero_but

ORACLE = Fastmem
EMPTY = ["faults_block", "evictions"]
OWN = ["patches", "kept_pages", "stale_pages", "compared_tables", *CHECKS]
ALWAYS_ZERO = ["table_bytes", "table_lines", "table_resident_bytes"]

SPECS = [
    "fastmem", "fastmem,flush=diff,code=block,patch=code",
    "fastmem,patch=memory,remember=0,map=accessed,flush=diff", "fastmem,map=known,dirty=none,patch=never",
]  # fmt: skip
LIMIT = 0x80C8000  # in the middle of the pages that random traces touch
TIGHT = [
    "fastmem,code=block,patch=always,remember=0",
    f"fastmem,code=block,patch=always,how=block,flush=diff,guest_limit={LIMIT:#x}",
    "fastmem,code=check,check_after=2,patch=memory,dirty=none", "fastmem,code=check,check_after=0,map=known,flush=diff",
    f"fastmem,code=free,flush=diff,map=accessed,guest_limit={LIMIT:#x}",
]  # fmt: skip

COUNTED = ["faults_unmapped", "faults_write", "faults_code", "faults_cross", "faults_io", "maps", "unmaps", *CALLS]
COUNTED += ["protects", *TLB, "softmmu_accesses", "translations", "smc_stores", "code_page_data_stores", *OWN]
ONE = dict(faults_unmapped=1, maps=1, mmap_calls=1)
TWO = dict(faults_unmapped=2, maps=2, mmap_calls=2)


def _case(
    name: str, options: str, text: str, why: str, mode: str = "system", bits: int = 32, limited: bool = False,
    **named: int,
) -> Case:  # fmt: skip
    above = [] if limited or bits == 64 else ["faults_softmmu"]
    expect = zero_but(COUNTED, **named) | dict.fromkeys([*EMPTY, *above])
    return Case(name, ",".join(["fastmem", *options.split()]), mode, micro(text, mode), expect, why, bits)


def _wide(*about: str, **named: int) -> Case:
    return _case(*about, bits=64, **named)


_F1 = "M1000>50 M2000>51 X1000 iL5000@2 iL5004@2 iS5000@3 L2000@2 L2004@4 X1000 iL5008@2"
_F2 = "M1000>50 M2000>51 X1000 iL5000@1 S1004@2 iL5000@1 X1000 iL5000@1"
_F3 = "M1000>50 S1100 X1000 S1100@2 S1104@2 X1000 S1108@2 S1004@3 X1000"
_F4 = "M1000>50 M2000>51 S1000 L2000 F0 M1000>50 M2000>60 L1000 L2000 P1000 M1000>50 S1004"
_WORK = "M1000>50 M2000>51 X1000"
_GONE = "M1000>50 X1000 S1004@1 iL5000@2 iL5000@2 X1000 iL5000@2"

SITES = [
    _case("F1", "", _F1, "Two sites; L2000@2 is RAM through a slow site: a fill; L2004@4 is direct and maps.", **ONE,
          faults_io=2, patches=2, softmmu_accesses=5, slow_io=4, tlb_fills=1, translations=1),
    _case("F1 never", "patch=never", _F1, "Page 2 is mapped by L2000@2.", **ONE, faults_io=4, translations=1),
    _case("F2", "", _F2, "The store drops the block; back under its key, it finds its site slow.", **ONE, faults_io=1,
          patches=1, softmmu_accesses=3, slow_io=3, smc_stores=1, translations=2, protects=1, mprotect_calls=1),
    _case("F2 forgets", "remember=0", _F2, "The dropped block runs to its end with its slow site; then it is new.",
          **ONE, faults_io=2, patches=2, softmmu_accesses=3, slow_io=3, smc_stores=1, translations=2, protects=1,
          mprotect_calls=1),
    _case("F2 how=block", "how=block", _F2, "The block went with the patch, so the store meets no code; the second iL, "
          "in the same run, faults again.", **ONE, faults_io=2, patches=1, softmmu_accesses=3, slow_io=3,
          translations=2, protects=1, mprotect_calls=1),
    _case("F5", "patch=memory", "M1000>50 M2000>51 M3000>52 X3000 L1000@1 L2000@1 L2000@2 S1000@3 S1004@4 L1ffe@5",
          "@1 maps page 1 and is slow; page 2 by it, a fill; @2 maps page 2, hit; @3 opens page 1, the TLB's entry had "
          "no write right: third fill; @4 and @5 are direct.", **TWO, faults_write=1, patches=3, mprotect_calls=1,
          softmmu_accesses=4, tlb_fills=3, translations=1),
    _case("all that a slow site does", "", f"{_WORK} iL5000@1 L1001@1 L1ffe@1 S1004@1 iS5000@1 S1004@1",
          "The load's site: IO; misaligned, fill 1; crossing, page 1 hits, fill 2. The store at the same position is "
          "another site: direct, maps page 1, drops the block. IO makes it slow; fill 3, for page 1 came in clean. "
          "VMAs: page 0, 1w, the rest.",
          **ONE, faults=3, faults_io=2, patches=2, softmmu_accesses=5, slow_io=2, slow_misaligned=1, slow_cross=1,
          tlb_fills=3, smc_stores=1, translations=1, translated_insns=4, blocks_dropped=1, retranslated_insns=0,
          host_calls=1, peak_mappings=3, reserved_bytes=1 << 32, table_bytes=0, table_lines=0),
    _case("accesses without a site", "", "M1000>50 iL5000@1 X1000 iL5000 iL5000 iL5000@255 iL5004@255",
          "Before the first EXEC row, and at position 0 twice, nothing is patched; all of position 255 is one site.",
          faults_io=4, patches=1, softmmu_accesses=2, slow_io=2, translations=1),
    _case("FLUSH and FLUSH_PAGE reach the TLB", "",
          f"{_WORK} iL5000@1 L1000@1 L2000@1 P1000 M1000>50 L1000@1 L2000@1 F0 M2000>51 L2000@1",
          "Fills for 1 and 2; again for 1 after FLUSH_PAGE; again for 2 after FLUSH. Nothing is mapped.",
          faults_io=1, patches=1, softmmu_accesses=6, slow_io=1, tlb_fills=4, translations=1),
    _case("a site of a block that is gone", "", _GONE, "The store drops its own block; the site is patched all the "
          "same: slow at once, and after the block came back.", **ONE, faults_io=1, patches=1, softmmu_accesses=3,
          slow_io=3, smc_stores=1, translations=2, protects=1, mprotect_calls=1),
    _case("a site of a block that is gone, forgotten", "remember=0", _GONE, "Translated again, it faults again.", **ONE,
          faults_io=2, patches=2, softmmu_accesses=3, slow_io=3, smc_stores=1, translations=2, protects=1,
          mprotect_calls=1),
    _case("how=block: the drop comes before the store", "code=block patch=code how=block",
          "M1000>50 S1100 X1000 S1004@1 S1004@1 X1000 S1004@1",
          "faults_code; the block goes with the patch, so the TLB's store, fill 1, meets no code. Again in the same "
          "run: read-only still, no code page: faults_write, no patch for that. X protects; then the site is slow: "
          "a hit, slow_code, the block goes.",
          **ONE, faults=3, faults_code=1, faults_write=1, patches=1, softmmu_accesses=2, tlb_fills=1, slow_code=1,
          code_list_walks=1, searched_blocks=1, smc_stores=1, translations=2, retranslated_insns=4, blocks_dropped=2,
          protects=2,
          mprotect_calls=3),
    _case("how=block: direct until the next EXEC", "patch=memory how=block",
          f"{_WORK} L2000@1 L2000@1 X1000 L2000@1", "The second load hits the page that the first one mapped.", **ONE,
          patches=1, softmmu_accesses=2, tlb_fills=1, translations=2),
    _case("the page behind a patch is not looked at", "patch=memory", f"{_WORK} L1ffe@1",
          "Page 1 is mapped, then the TLB does the row: both pages filled; page 2 stays unmapped.", **ONE, patches=1,
          softmmu_accesses=1, slow_cross=1, tlb_fills=2, translations=1),
    _case("ends above: never patched", "code=block patch=always",
          "M1000>50 Mfffff000>51 M0>52 X1000 Lfffffffe@1 Lfffffffe@1 iL5000@1 Lfffffffe@1",
          "Completed twice; once IO made the site slow, the TLB does it, whatever its address: 2 fills.",
          faults_cross=2, faults_io=1, patches=1, softmmu_accesses=2, slow_io=1, slow_cross=1, tlb_fills=2,
          translations=1),
    _case("F8", "", "Sfffffffe Lfffffffc", "The first ends above 2**32, the second at it.", "user", **ONE,
          faults_cross=1),
]  # fmt: skip

POLICIES = [
    _case("F3 page", "code=page", _F3, "Two stores open the page; each X after it translates and protects again.",
          **ONE, faults_code=2, code_page_data_stores=2, translations=3, protects=3, mprotect_calls=5),
    _case("F3 block", "code=block", _F3, "Each store faults; the last one takes the only block and opens the page.",
          **ONE, faults_code=4, code_page_data_stores=3, smc_stores=1, translations=2, protects=2, mprotect_calls=3),
    _case("F3 patched", "code=block patch=code", _F3, "@2 and @3 fault once each; the window never opens again.", **ONE,
          faults_code=2, patches=2, softmmu_accesses=4, tlb_fills=1, slow_code=4, code_list_walks=4, searched_blocks=4,
          code_page_data_stores=3, smc_stores=1, translations=2, protects=1, mprotect_calls=1),
    _case("F3 free", "code=free", _F3, "Only the store into the block says anything.", **ONE, smc_stores=1,
          translations=2),
    _case("F6", "code=check", "M1000>50 S1100 X1000 S1100 X1000 S1100 X1000 S1004 X1000",
          "After one faults_code the block compares itself: unchanged, then changed.", **ONE, faults_code=1,
          code_page_data_stores=1, translations=3, protects=1, mprotect_calls=2, checked_entries=2, checked_bytes=32,
          checks_failed=1, blocks_dropped=2, retranslated_insns=8),
    _case("F7", "code=block", f"{_WORK} X2000 S1ffe S2100 S1ffe", "Page 1 is mapped and keeps its block, so page 2 is "
          "mapped in the same run, its block gone, hence writable. Then page 1 again; page 2 is open.",
          faults_unmapped=1, faults_code=1, maps=2, mmap_calls=2, translations=2, code_page_data_stores=2,
          smc_stores=1),
    _case("F9", "code=block patch=always", "M1000>50 X1000 S1004@1 X1000 S1100@1 S1100@2",
          "Mapped read-only and patched, the TLB's store drops the block; it comes back with @1 slow; @2 faults once.",
          **ONE, faults_code=1, patches=2, softmmu_accesses=3, tlb_fills=1, slow_code=3, code_list_walks=3,
          searched_blocks=3,
          smc_stores=1, code_page_data_stores=2, translations=2),
    _case("block: the page behind is opened in the same run", "code=block", f"{_WORK} L2000 S1ffe S2004",
          "Page 1 keeps its block; page 2, read-only and without one, is opened without a fault of its own.", **TWO,
          mprotect_calls=1, code_page_data_stores=1, translations=1),
    _case("block: both pages stay closed", "code=block", f"{_WORK} X2100 S1ffe S1ffe",
          "One fault for each row, two pages noticed in each.", faults_unmapped=1, faults_code=1, maps=2, mmap_calls=2,
          code_page_data_stores=4, translations=2),
    _case("block: the low page loses its last block", "code=block", "M1000>50 M2000>51 X1ff8 S1ffe",
          "The block in both pages goes; page 1 is open, and page 2 has a fault of its own.", **TWO, smc_stores=1,
          translations=1),
    _case("block: only the high page stays closed", "code=block", f"{_WORK} L1100 X2100 S1004 S1ffe S1ffe",
          "L maps page 1 read-only. S1004: faults_code, no block left, opened. S1ffe: page 1 is open; page 2 is mapped "
          "read-only; then faults_code.", **TWO, faults_code=2, smc_stores=1, code_page_data_stores=2,
          mprotect_calls=1, translations=2),
    _case("block: an unmapped code page is not a cause of patch=code", "code=block patch=code",
          "M1000>50 X1000 S1100@1 S1004@1 S1100@1", "Mapped read-only, done by the handler; then faults_code patches, "
          "the TLB's store drops the block; then a hit beside no code.", **ONE, faults_code=1, patches=1,
          softmmu_accesses=2, tlb_fills=1, slow_code=1, code_list_walks=1, searched_blocks=1, smc_stores=1,
          code_page_data_stores=1,
          translations=1),
    _case("block: patch=memory leaves faults_code alone", "code=block patch=memory", "M1000>50 X1000 S1100@1 S1100@2",
          "@1 maps the page read-only and is slow; @2 faults, the handler does the store.", **ONE, faults_code=1,
          patches=1, softmmu_accesses=1, tlb_fills=1, slow_code=1, code_list_walks=1, searched_blocks=1,
          code_page_data_stores=2,
          translations=1),
    _case("block: the high page patches", "code=block patch=always",
          "M1000>50 M2000>51 M3000>52 S1100 S2100 X2100 X3000 S1ffe@1", "Page 1 is open; page 2 faults, and the TLB "
          "does the whole row: 2 fills, code in page 2.", **TWO, faults_code=1, patches=1, softmmu_accesses=1,
          slow_cross=1, tlb_fills=2, slow_code=1, code_list_walks=1, searched_blocks=1, code_page_data_stores=1,
          translations=2,
          protects=1, mprotect_calls=1),
    _case("page: the handler drops, then the TLB stores", "patch=memory", "M1000>50 X1000 S1100@1 S1100@1",
          "The unmapped code page loses its block, is mapped writable, and the site is slow.", **ONE, patches=1,
          softmmu_accesses=2, tlb_fills=1, code_page_data_stores=1, translations=1, blocks_dropped=1),
    _case("ends above: all blocks of both pages go", "code=block",
          "Mfffff000>50 M0>51 Xfffff000 X0 Sfffffffe Sfffff004 L0 S0", "A handler that sees pages: data in the last "
          "page, code in page 0. Both are dirty, so L0 maps writable.", **TWO, faults_cross=1, smc_stores=1,
          code_page_data_stores=1, translations=2, blocks_dropped=2),
    _case("ends above, free", "code=free", "Mfffff000>50 M0>51 X0 Sfffffffe X0", "Page 0 is hit.", faults_cross=1,
          smc_stores=1, translations=2),
    _case("ends above, checked", "code=check check_after=0", "Mfffff000>50 M0>51 X0 Sfffffffe X0",
          "No drop, but the next entry sees it.", faults_cross=1, translations=2, checked_entries=1, checked_bytes=16,
          checks_failed=1),
    _case("check_after=2", "code=check check_after=2", "M1000>50 S1100 X1000 S1100 X1000 S1100 X1000 S1004 X1000",
          "Two rounds as under code=page, then it is checked.", **ONE, faults_code=2, code_page_data_stores=2,
          translations=4, protects=2, mprotect_calls=4, checked_entries=1, checked_bytes=16, checks_failed=1),
    _case("check: faults_unmapped brings nothing nearer", "code=check", "M1000>50 X1000 S1100 X1000 X1000",
          "The unmapped code page is opened and its block dropped; X protects it again: it is not checked.", **ONE,
          code_page_data_stores=1, translations=2, protects=1, mprotect_calls=1),
    _case("check: a block in a checked page and another", "code=check",
          "M1000>50 M2000>51 S1100 X1000 S1100 S2100 X1ff8 S2100 X1ff8 S2004 X1ff8", "Frame 0x50 is checked; X1ff8 "
          "protects page 2 alone. S2100 drops it, 0x51 is checked too. S2004 passes, and the next entry sees it.",
          **TWO, faults_code=2, code_page_data_stores=2, translations=4, protects=2, mprotect_calls=4,
          checked_entries=1, checked_bytes=16, checks_failed=1, blocks_dropped=3),
    _case("check: the TLB says nothing either", "code=check check_after=0",
          "M1000>50 X1000 iS5000@1 S1004@1 X1000 S1008@1 L1000", "A slow store into the block: a fill, no slow_code. "
          "The entry fails; then L maps the dirty page.", **ONE, faults_io=1, patches=1, softmmu_accesses=3, slow_io=1,
          tlb_fills=1, translations=2, checked_entries=1, checked_bytes=16, checks_failed=1),
    _case("check: a window that was closed before", "code=check",
          "M1000>50 M2000>50 S1100 L2000 X1000 S1100 X1000 S2100", "Both windows were protected; the frame is checked "
          "by the first one's fault, so the other one's is faults_write.", **TWO, faults_code=1, faults_write=1,
          code_page_data_stores=1, translations=2, protects=2, mprotect_calls=4),
    _case("free: slow sites, and a block in two pages", "code=free",
          "M1000>50 M2000>51 X1ff8 S1ffe X1ff8 iS5000@1 S2000@1 X1ff8", "The first store hits it in page 1, and page 2 "
          "has nothing left; the slow one in page 2.", **TWO, faults_io=1, patches=1, softmmu_accesses=2, slow_io=1,
          tlb_fills=1, smc_stores=2, translations=3),
    _case("dirty=none", "dirty=none", "M1000>50 L1000 S1000 X1000 S1100 L1000", "L maps writable; code is still "
          "protected.", **ONE, faults_code=1, code_page_data_stores=1, translations=1, protects=1, mprotect_calls=2),
    _case("dirty=none: a code page is mapped read-only", "dirty=none", "M1000>50 X1000 L1100 S1100",
          "And opened by its faults_code.", **ONE, faults_code=1, code_page_data_stores=1, translations=1,
          mprotect_calls=1),
    _case("dirty=none: but not a checked one", "dirty=none code=check check_after=0",
          "M1000>50 X1000 L1100 S1004 X1000", "Writable at once.", **ONE, translations=2,
          checked_entries=1, checked_bytes=16, checks_failed=1),
]  # fmt: skip

MAPPING = [
    _case("F4", "", _F4, "FLUSH unmaps two, FLUSH_PAGE one.", faults_unmapped=5, maps=5, mmap_calls=5, unmaps=3,
          munmap_calls=2),
    _case("F4 diff", "flush=diff", _F4, "Both pages lie in one table: 2 compared. Page 1 is kept, page 2 stale.",
          faults_unmapped=4, maps=4, mmap_calls=4, unmaps=2, munmap_calls=2, compared_tables=2, kept_pages=1,
          stale_pages=1),
    _case("F4 diff, known", "flush=diff map=known", _F4, "No mapping fault; page 1 takes its first store.",
          faults_write=1, mprotect_calls=1, maps=4, mmap_calls=4, unmaps=2, munmap_calls=2, compared_tables=2,
          kept_pages=1, stale_pages=1),
    _case("F4 accessed", "map=accessed", _F4, "Frame 0x50 is known after FLUSH and FLUSH_PAGE, 0x60 is not.",
          faults_unmapped=3, maps=5, mmap_calls=5, unmaps=3, munmap_calls=2),
    _case("known, in user mode", "map=known", "L1000 S1000 L2ffe S1000 F0 S1000", "Each page just before its access, "
          "as by a load; after FLUSH page 1 again, dirty now.", "user", faults_write=1, mprotect_calls=1, maps=4,
          mmap_calls=4, unmaps=3, munmap_calls=1),
    _case("known, in user mode: both pages before the row", "map=known dirty=none", "L1000 X1ff8 S1ffe L3000",
          "Page 2 is mapped while the block lies in it, read-only; page 1 loses the block; then page 2 is "
          "faults_write. 1r 2r are one mapping, 1w 2r are two, 1w 2w one.", "user", faults_code=1, faults_write=1,
          maps=3, mmap_calls=3, protects=1, mprotect_calls=3, split_mappings=2,
          smc_stores=1, translations=1),
    _case("accessed by data only", "map=accessed",
          f"{_WORK} iL5000@1 L2000@1 F0 M1000>50 M2000>51 L1000 L2000", "0x51 was read, by a slow site; 0x50 was only "
          "executed, and faults.", faults_unmapped=1, maps=2, mmap_calls=2, faults_io=1, patches=1, softmmu_accesses=2,
          slow_io=1, tlb_fills=1, translations=1),
    _case("diff: tables", "flush=diff", "F0 M1000>50 M2000>51 M400000>52 L1000 L2000 L400000 F0 F0 P400000 F0",
          "Nothing; two tables and the directory, twice; FLUSH_PAGE reaches what the view still shows; one table.",
          faults_unmapped=3, maps=3, mmap_calls=3, unmaps=1, munmap_calls=1, compared_tables=8),
    _case("diff: MAP rows that tell nothing new", "flush=diff", "M1000>50 M1000>50 L1000 M1000>50 F0 M1000>50 M1000>50",
          "One outcome of one comparison.", **ONE, compared_tables=2, kept_pages=1),
    _case("diff: a device where a page was", "flush=diff", "M1000>50 L1000 F0 iL1000 iS1004 F0 M1000>50 L1000",
          "IO touches no window; the page is still there.", **ONE, faults_io=2, compared_tables=4, kept_pages=1),
    _case("diff: code under a window nobody asked for yet", "flush=diff",
          "M1000>50 S1000 F0 M2000>50 X2100 M1000>50 S1000", "The kept window is protected, too.", **ONE, faults_code=1,
          compared_tables=2, kept_pages=1, code_page_data_stores=1, translations=1, protects=1, mprotect_calls=2),
]  # fmt: skip

_ABOVE = "M400000>50 M7fff00000000>51 X400000 L400100@1 L7fff00000ffc@2 L7fff00000ff8@2 S7fff00000000@3 L400104@2"
LIMITS = [
    _case("below the limit, over it, above", "guest_limit=0x2000",
          "M1000>50 M2000>51 X1000 L1ffc@1 L1ffe@1 L2000@1 L1ffc@1", "Ends at it: mapped. Ends above: completed, and "
          "no site is patched. Begins there: patched, fill 1; then page 1 by the TLB, too: fill 2.", limited=True,
          **ONE, faults_cross=1, faults_softmmu=1, patches=1, softmmu_accesses=2, tlb_fills=2, translations=1,
          faults=3, peak_mappings=2, reserved_bytes=0x2000),
    _case("above, and no site", "guest_limit=0x1000", "M1000>50 S1000@1 X1000 S1100 X1000 P1000 M1000>50 S1004@1",
          "Completed twice, by a handler that sees pages: the block goes. P finds no window. Patched: fill 1, "
          "helper.", limited=True, faults_softmmu=3, patches=1, softmmu_accesses=1, tlb_fills=1, slow_code=1,
          code_list_walks=1, searched_blocks=1, code_page_data_stores=1, smc_stores=1, translations=2,
          blocks_dropped=2),
    _wide("64 bits: above the limit", "", _ABOVE, "@2 is patched, fill 1; a hit; @3 is another site, fill 2 for it "
          "stores; page 0x400 by @2: fill 3.", **ONE, faults_softmmu=2, patches=2, softmmu_accesses=4, tlb_fills=3,
          translations=1, reserved_bytes=1 << 46),
    _wide("64 bits: above, never patched", "patch=never", _ABOVE, "Three faults, each completed; page 0x400 is a hit.",
          **ONE, faults_softmmu=3, translations=1),
    _wide("64 bits: over the limit", "", "M3ffffffff000>50 M400000000000>51 X3ffffffff000 S3ffffffffffe@1 "
          "S3ffffffffffe@1 S400000000000@1 S3ffffffffffe@1", "Completed twice, the first drops the block beside it; "
          "above, @1 is patched: fill 1; then by the TLB: the low page is fill 2.", faults_cross=2, faults_softmmu=1,
          patches=1, softmmu_accesses=2, slow_cross=1, tlb_fills=2, translations=1, code_page_data_stores=1),
    _wide("64 bits: a kernel in the upper half", "code=block patch=code", "Mffffffff81000000>50 Xffffffff81000000 "
          "Sffffffff81000004@1 Xffffffff81000000 Sffffffff81000104@2 iLffffc90000000000@3 Xffffffff81000000",
          "Into the block: fill 1, helper, dropped. Beside it: a hit, helper. A device faults as such wherever it is.",
          faults_softmmu=2, faults_io=1, patches=3, softmmu_accesses=3, slow_io=1, tlb_fills=1, slow_code=2,
          code_list_walks=2, searched_blocks=2, smc_stores=1, code_page_data_stores=1, translations=2),
    _wide("64 bits: nothing is mapped above, not even ahead", "map=known patch=never",
          "M1000>50 M7fff00000000>51 L1000 L7fff00000000 F0 M7fff00000000>51", "One page, unmapped by F.",
          faults_softmmu=1, maps=1, mmap_calls=1, unmaps=1, munmap_calls=1),
    _wide("64 bits: a program with its stack above", "map=known dirty=none patch=never",
          "X401000 L401ff8@1 S7fffffffeff8@2 S7fffffffeff0@2", "Page 0x401 just before its access.", "user",
          faults_softmmu=2, maps=1, mmap_calls=1, translations=1),
    _wide("64 bits: tables of four levels", "flush=diff", "M1000>50 M200000>51 M40000000>52 M8000000000>53 "
          "L1000 L200000 L40000000 L8000000000 F0 P8000000000 F0", "4 tables, 3 directories, 2 of these, the root: 10. "
          "Without the last page: 3, 2, 1, 1.", faults_unmapped=4, maps=4, mmap_calls=4, unmaps=1, munmap_calls=1,
          compared_tables=17),
    _wide("64 bits: the TLB knows pages of 52 bits", "", "M400000>50 Mffff888000400000>51 X400000 iL5000@1 "
          "L400000@1 Lffff888000400000@1 Pffff888000400000 L400000@1 F0 M400000>50 L400000@1", "Fills 1 and 2 in one "
          "set; FLUSH_PAGE takes the second, the first is fill 3; FLUSH: fill 4.", faults_io=1, patches=1,
          softmmu_accesses=5, slow_io=1, tlb_fills=4, translations=1),
    _wide("64 bits: the reserve's ends", "", "M0>50 M3ffffffff000>51 L0 L3ffffffff000", "Page 0, nothing, the last.",
          **TWO, peak_mappings=3),
]  # fmt: skip

CASES = [*SITES, *POLICIES, *MAPPING, *LIMITS]
