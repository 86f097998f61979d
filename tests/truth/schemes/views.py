"""Hand-worked: views. FA writes 0xa to CR3; at first space 0 is at work."""

from truth.oracle.direct import Views
from truth.oracle.guest import PAGE
from truth.oracle.reserve import CALLS
from truth.oracle.softmmu import COLUMNS as TLB
from truth.rows import Case, micro, zero_but

ORACLE = Views
EMPTY = ["faults_block"]
DIRECT_EMPTY = ["softmmu_accesses", *TLB]  # with kernel=direct
OWN = ["kept_pages", "stale_pages", "compared_tables", "view_switches"]
ALWAYS_ZERO = ["table_bytes", "table_lines", "table_resident_bytes"]

SPECS = ["views", "views,kernel=softmmu"]
TIGHT = [
    "views,views=2,drop_maps=3,guest_limit=0x80c8000", "views,views=1,kernel=softmmu",
    "views,views=3,drop_maps=1,kernel=softmmu",
]  # fmt: skip

COUNTED = ["faults_unmapped", "faults_write", "faults_code", "faults_cross", "faults_io", "maps", "unmaps", *CALLS]
COUNTED += ["protects", "evictions", *DIRECT_EMPTY, "translations", "smc_stores", "code_page_data_stores", *OWN]
ONE = dict(faults_unmapped=1, maps=1, mmap_calls=1)
SPACE = (1 << 32) + PAGE


def _case(
    name: str, options: str, text: str, why: str, mode: str = "system", bits: int = 32, limited: bool = False,
    **named: int,
) -> Case:  # fmt: skip
    empty = EMPTY if "kernel=softmmu" in options else EMPTY + DIRECT_EMPTY
    above = [] if limited or bits == 64 else ["faults_softmmu"]
    expect = zero_but(COUNTED, **named) | dict.fromkeys([*empty, *above])
    return Case(name, ",".join(["views", *options.split()]), mode, micro(text, mode), expect, why, bits)


def _wide(*about: str, **named: int) -> Case:
    return _case(*about, bits=64, **named)


_KERNEL = "M400000>50 Mffffffff81000000>51 L400000u Xffffffff81000000 Lffffffff81000100 Sffffffff81000004 S400000u"


CASES = [
    _case("V1", "", "FA M1000>50 S1000 FB M1000>60 L1000 FA M1000>50 L1000 FA M1000>51 L1000",
          "A's page is kept, then stale; the last FLUSH is not a switch.", faults_unmapped=3, maps=3, mmap_calls=3,
          unmaps=1, munmap_calls=1, view_switches=3, compared_tables=4, kept_pages=1, stale_pages=1),
    _case("V2", "", "M1000>50 M2000>51 L1000 L2000 F0 M1000>50 M2000>60 L1000 L2000 F0r M1000>50 L1000",
          "Without CR3 values one view is compared; another reason empties it.", faults_unmapped=4, maps=4,
          mmap_calls=4, unmaps=3, munmap_calls=2, compared_tables=2, kept_pages=1, stale_pages=1),
    _case("V3", "views=2", "FA M1000>50 L1000 FB M1000>60 L1000 FA M1000>50 L1000 FC M1000>70 L1000 FB M1000>60 L1000",
          "B empties space 0's view, which showed nothing; C takes B's, B takes A's.", faults_unmapped=4, maps=4,
          mmap_calls=4, evictions=3, unmaps=2, munmap_calls=2, compared_tables=2, kept_pages=1, view_switches=5),
    _case("V4", "", "FA M1000>50 S1000 FB M8000>50 S8000 X8f00 S8000 FA M1000>50 S1000",
          "Both views' windows are protected; the store opens B's and drops the block, so A's is faults_write.",
          faults_unmapped=2, faults_code=1, faults_write=1, code_page_data_stores=1, translations=1, protects=2,
          mprotect_calls=4, maps=2, mmap_calls=2, compared_tables=2, kept_pages=1, view_switches=3,
          faults=4, host_calls=6, blocks_dropped=1, translated_insns=4),
    _case("V4 amid a mapping", "", "M1000>50 M2000>51 S1000 S2000 X1000 S1000", "1w 2w are one mapping, until page 1 "
          "is protected, and when it is opened again.", faults_unmapped=2, faults_code=1, smc_stores=1, translations=1,
          protects=1, mprotect_calls=2, maps=2, mmap_calls=2, split_mappings=2),
    _case("V5", "drop_maps=1 kernel=softmmu", "M1000>50 M2000>51 L1000u L2000 iL5000 L2000u S2000 S2004u",
          "The kernel's rows go by the TLB; the second page of the view empties it.", faults_unmapped=2,
          faults_write=1, softmmu_accesses=3, tlb_fills=2, slow_io=1, evictions=1, unmaps=1, munmap_calls=1, maps=2,
          mmap_calls=2, mprotect_calls=1),
    _case("ends above", "", "Mfffff000>50 M0>51 X0 Sfffffffe S0", "Completed; page 0 loses its block.", **ONE,
          faults_cross=1, smc_stores=1, translations=1, reserved_bytes=32 * SPACE),
    _case("IO", "", "iL5000 iS5ffeu", "Each faults, whoever asks.", faults_io=2),
    _case("IO of the kernel", "kernel=softmmu", "iL5000u iL5000", "The user's faults.", faults_io=1,
          softmmu_accesses=1, slow_io=1),
    _case("the kernel's TLB", "kernel=softmmu", "M1000>50 M2000>51 X1000 S1004 L1001 L1ffe F0 M1000>50 L1000 X1000",
          "A store into the block: fill 1, helper. Misaligned, a hit; crossing, fill 2; FLUSH empties it: fill 3. "
          "Nothing is mapped, so nothing is compared.", softmmu_accesses=4, tlb_fills=3, slow_code=1,
          code_list_walks=1, searched_blocks=1, smc_stores=1, slow_misaligned=1, slow_cross=1, translations=2,
          retranslated_insns=4),
    _case("FLUSH_PAGE reaches the kernel's TLB", "kernel=softmmu", "M1000>50 L1000 P1000 M1000>50 L1000", "2 fills.",
          softmmu_accesses=2, tlb_fills=2),
    _case("user mode is never slow", "kernel=softmmu", "L1000 S1000", "Its first store opens the page.", "user", **ONE,
          faults_write=1, mprotect_calls=1),
    _case("one view", "views=1", "FA M1000>50 L1000 FB M1000>50 L1000 FA", "Each takes the view over; the first finds "
          "it empty.", faults_unmapped=2, maps=2, mmap_calls=2, evictions=3, unmaps=2, munmap_calls=2,
          view_switches=3),
    _case("the least recently used view", "views=2", "M1000>50 L1000 FA F0 M1000>50 FB F0 M1000>50",
          "Space 0 was at work until B came, so B takes A's view.", **ONE, evictions=1, kept_pages=2,
          compared_tables=4, view_switches=4),
    _case("a crossing row in a view of one page", "drop_maps=1", "M1000>50 M2000>51 L1ffe L1000",
          "Page 2 empties the view of page 1, and the row goes on; page 1 empties it of page 2.", faults_unmapped=3,
          maps=3, mmap_calls=3, evictions=2, unmaps=2, munmap_calls=2),
    _case("drop_maps is for each view", "drop_maps=1", "M1000>50 L1000 FA M1000>50 L1000 F0 M1000>50 L1000",
          "Neither gets a second page.", faults_unmapped=2, maps=2, mmap_calls=2, compared_tables=2, kept_pages=1,
          view_switches=2),
    _case("FLUSH_PAGE is for the view at work", "", "M1000>50 L1000 FA P1000 F0 M1000>50 L1000 P1000", "A shows "
          "nothing there; space 0's page is kept, then goes.", **ONE, compared_tables=2, kept_pages=1,
          view_switches=2, unmaps=1, munmap_calls=1),
    _case("any other reason empties every view", "",
          "M1000>50 L1000 FA M1000>50 L1000 F5r M1000>50 L1000 F0 M1000>50 L1000 FA M1000>50",
          "One call for each view. A is still at work, whatever the row's value, and shows its page again; space 0 "
          "shows nothing, so nothing is compared; A's page is kept.", faults_unmapped=4, maps=4, mmap_calls=4,
          unmaps=2, munmap_calls=2, view_switches=3, compared_tables=2, kept_pages=1),
    _case("peak_mappings: a guard behind each view", "views=2", "Mfffff000>50 Lfffff000 FA M0>51 L0",
          "0.., fffff, guard, page 0 of view 1, the rest: frames that follow one another do not join over it.",
          faults_unmapped=2, maps=2, mmap_calls=2, view_switches=1, peak_mappings=5, reserved_bytes=2 * SPACE),
    _case("a limit below 4 GiB", "guest_limit=0x2000 views=2",
          "M1000>50 M2000>51 L1ffc L1ffe S2000 FA M1000>50 M2000>51 M3000>52 S1000 P2000 M2000>51 P3000 X2000 S2004 "
          "S1ffe F0",
          "One fault for the last word; completed over the limit, and above it. A shows page 1, the rest is completed, "
          "twice: the first takes the block. Space 0's page has one table.", limited=True, faults_unmapped=2, maps=2,
          mmap_calls=2, faults_cross=2, faults_softmmu=2, translations=1, smc_stores=1, view_switches=2,
          compared_tables=2, reserved_bytes=2 * 0x3000),
    _wide("64 bits: the kernel above faults", "", _KERNEL, "Mapped; two completed, the second takes the block; opened.",
          **ONE, faults_softmmu=2, faults_write=1, mprotect_calls=1, smc_stores=1, translations=1,
          reserved_bytes=32 * ((1 << 38) + PAGE)),
    _wide("64 bits: the kernel above, by its TLB", "kernel=softmmu", _KERNEL, "A load and the first store: 2 fills; "
          "the helper takes the block.", **ONE, softmmu_accesses=2, tlb_fills=2, slow_code=1, code_list_walks=1,
          searched_blocks=1,
          smc_stores=1, faults_write=1, mprotect_calls=1, translations=1),
    _wide("64 bits: spaces by all bits of CR3, tables of four levels", "",
          "FA M1000>50 M40000000>51 L1000 L40000000 F10000000a M1000>50 L1000 FA", "The second space shows nothing "
          "yet: no tables. A's pages: 2 tables, 2 directories, 1 above, the root.", faults_unmapped=3, maps=3,
          mmap_calls=3, view_switches=3, compared_tables=6),
    _wide("64 bits: a guard behind each view", "views=2 guest_limit=0x10000000000", "Mfffffff000>50 Lfffffff000 FA "
          "M0>51 L0 Mfffffff000>52 Lfffffff000 M10000000000>53 L10000000000", "In view 0 nothing, a page, nothing, its "
          "guard; view 1: page 0, nothing, the last page, the guard. What begins behind it is completed.",
          faults_unmapped=3, maps=3, mmap_calls=3, faults_softmmu=1, view_switches=1, peak_mappings=7),
]  # fmt: skip
