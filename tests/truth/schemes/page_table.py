"""Hand-worked: page-table. Most traces are of user mode, where a page is its own frame."""

from truth.oracle.page_table import PageTable
from truth.oracle.reserve import CALLS, CAUSES
from truth.rows import Case, micro, zero_but

ORACLE = PageTable
EMPTY = [*CAUSES, "maps", "unmaps", "host_calls", *CALLS, "protects", "peak_mappings", "split_mappings"]
EMPTY += ["reserved_bytes", "softmmu_accesses", "code_list_walks"]
OWN = ["flushed_entries", "scanned_entries"]
ALWAYS_ZERO = ["faults"]

SPECS = [
    "page-table", "page-table,form=vtlb,detect=any,clear=memset", "page-table,tables=1,detect=off",
    "page-table,form=offset,live=2,tables=1", "page-table,form=vtlb,live=4,detect=off",
]  # fmt: skip
TIGHT = ["page-table,live=3,detect=any"]

COUNTED = ["tlb_fills", "slow_misaligned", "slow_cross", "slow_io", "slow_code", "searched_blocks", "evictions"]
COUNTED += ["translations", "smc_stores", "code_page_data_stores", "faults", *OWN]


def _case(name: str, options: str, text: str, why: str, mode: str = "user", **named: int) -> Case:
    expect = zero_but(COUNTED, **named) | dict.fromkeys(EMPTY)
    return Case(name, ",".join(["page-table", *options.split()]), mode, micro(text, mode), expect, why)


_P2 = "L1ffe L1001 S1ffe S1ffe"
_P3 = "S1100 X1000 S1100 S1004 S1004 X1000 L1100"
_P4 = "M1000>50 M2000>51 L1000 S2000 iL5000 F0 M1000>50 L1000 P1000 M1000>50 L1000 F0"

CASES = [
    _case("P1", "", "L1000 L1ffc S1000 S1004 S2000 L2000", "A load, its first store, a store. 2 tables of 8 bytes; all "
          "entries lie in the first line of each.", tlb_fills=3, table_bytes=1 << 24, table_lines=2,
          table_resident_bytes=8192),
    _case("P2 cross", "", _P2, "Two fills for loads, two for stores; misaligned inside the page is a hit.",
          slow_cross=3, tlb_fills=4),
    _case("P2 any", "detect=any", _P2, "The same, and the helper for 0x1001.", slow_cross=3, tlb_fills=4,
          slow_misaligned=1),
    _case("P2 off", "detect=off", _P2, "Page 2 is never looked up.", tlb_fills=2),
    _case("P2 call", "form=call", _P2, "86Box tests the low bits.", slow_cross=3, tlb_fills=4, slow_misaligned=1),
    _case("P3", "", _P3, "One entry is there at each scan; the block goes by the second store.", tlb_fills=1,
          slow_code=2, searched_blocks=2, code_page_data_stores=1, smc_stores=1, translations=2, scanned_entries=2,
          translated_insns=8,
          blocks_dropped=1, retranslated_insns=4),
    _case("P3 one table", "tables=1", _P3, "Nobody sees the store beside the block.", tlb_fills=1, smc_stores=1,
          translations=2, table_bytes=1 << 23, table_lines=1),
    _case("P4", "", _P4, "Entries: read 1 and 2, write 2; then read 1.", "system", tlb_fills=4, slow_io=1,
          flushed_entries=4),
    _case("P4 memset", "clear=memset", _P4, "Two tables twice.", "system", tlb_fills=4, slow_io=1,
          flushed_entries=1 << 22),
    _case("P5", "live=2", "L1000 L2000 L3000 L2000 L1000 S3000", "3 takes 1's place, 1 takes 2's; 3 is in the read "
          "table, and enters the write table.", tlb_fills=5, evictions=2),
    _case("lines", "", "L1000 L7000 L8000 S8000 Lfffe", "Read lines: pages 0 to 7, 8 to 15; one write line. The "
          "crossing row reads page 0xf, then 0x10 by the helper.", tlb_fills=6, slow_cross=1, table_lines=3),
    _case("sizes", "detect=any", "L1001+3 L1002+2 L1002+8 L1001+1", "Only 8 bytes at 2 are misaligned.", tlb_fills=1,
          slow_misaligned=1),
    _case("one table: dirty at the fill", "tables=1", "L1000 S1000 S2000 X1000 S1004 X1000 F0 L1000",
          "A store hits what a load entered. One table is flushed: 2 entries.", tlb_fills=3, smc_stores=1,
          translations=2, flushed_entries=2),
    _case("one table, memset", "tables=1 clear=memset", "X1000 L1000 F0", "No scan.", tlb_fills=1, translations=1,
          flushed_entries=1 << 20),
    _case("a scan without a list", "clear=memset", "X1000 X1100 X2000", "Two fresh pages.", translations=3,
          scanned_entries=1 << 21),
    _case("off: code behind the page's end", "detect=off", "X2000 S1ffe X2000 L2000", "Nobody looks there.",
          tlb_fills=2, translations=1),
    _case("off, one table: code behind the page's end", "detect=off tables=1", "X2000 S1ffe X2000", "As if the bytes "
          "ended with the page.", tlb_fills=1, translations=1),
    _case("a crossing store takes a block in both pages", "", "X1ff8 S1ffe", "Both are looked up first; page 1's "
          "store drops the block, and page 2 is not a code page any more. Nothing to scan.", tlb_fills=2, slow_cross=1,
          slow_code=1, searched_blocks=1, smc_stores=1, translations=1),
    _case("a crossing store beside code in both pages", "", "X1000 X1100 X2100 S1ffe S1ffe", "slow_code for "
          "each, two blocks and one.", tlb_fills=2, slow_cross=2, slow_code=4, searched_blocks=6,
          code_page_data_stores=4, translations=3),
    _case("a slot whose entry went is free", "live=2", "L1000 L2000 P1000 L1000 L3000", "Page 1 enters slot 0 again, "
          "evicts nobody; 3 takes 2's place.", tlb_fills=4, evictions=1),
    _case("a slot whose page entered another one", "live=3", "L1000 L2000 P1000 L1000 L3000 L4000 L1000", "Page 1 is "
          "in slot 2 now, so 3 takes slot 0 from nobody; 4 takes 2's.", tlb_fills=5, evictions=1),
    _case("FLUSH sets the hand to slot 0", "live=2", "L1000 F0 L2000 L3000 L2000 L4000 L3000", "2 and 3 fit; 4 takes "
          "2's place.", tlb_fills=4, flushed_entries=1, evictions=1),
    _case("a ring for each table", "live=2", "S1000 S2000 S3000 X4000", "3 takes 1's place in both; two write entries "
          "are scanned.", tlb_fills=3, evictions=2, translations=1, scanned_entries=2),
    _case("the dirty bit is the frame's", "", "M1000>50 M2000>50 S1000 L2000 S2000", "The load of page 2 enters both.",
          "system", tlb_fills=2),
    _case("user and kernel share the tables", "", "M1000>50 L1000 L1000u", "One fill.", "system", tlb_fills=1),
]  # fmt: skip
