"""Hand-worked: guests of 64 bits (MODEL.md 10). Every trace here has addresses of 64 bits, those of user mode too."""

from truth.rows import Case, exec_, flush, flush_page, io_load, load, map_, note, store
from truth.schemes import NAMES

WORD = 1 << 64
LOWER_END = 1 << 47  # of 48 bits: what lies behind it is not canonical
UPPER = WORD - LOWER_END
SPECS = [
    *NAMES, "softmmu,tlb_bits=9", "softmmu-qemu10,window_insns=3000,min_bits=1,first_bits=2,max_bits=4",
    "byte-lookup,entries=3", "byte-lookup,entries=9,code=block", "map-block,map_block_bits=40,pool_blocks=3",
    "map-block,map_block_bits=13,pool_blocks=3,evict=random,map_pages=2", "map-block,map_block_bits=12,pool_blocks=2",
    "map-block,map_block_bits=30,pool_blocks=2,evict=lifo,code=check", "map-block,map_block_bits=32,map_pages=1024",
    "page-table,live=3,detect=any,clear=memset", "page-table,tables=1,detect=off", "qemu-fast,code=free",
    "qemu-fast,guest_limit=0x800000000000", "qemu-fast,guest_limit=0x100000000,code=block",
    "fastmem,code=block,patch=always,how=block,flush=diff", "fastmem,patch=memory,remember=0,map=accessed,flush=diff",
    "fastmem,guest_limit=0x100001000,patch=never,map=known,code=check", "fastmem,guest_limit=0x80c8000,code=free",
    "views,views=2,drop_maps=3", "views,views=3,kernel=softmmu,guest_limit=0x10000000000",
]  # fmt: skip


def _case(name: str, spec: str, rows: list, why: str, mode: str = "user", **expect: int) -> Case:
    return Case(name, spec, mode, rows, expect, why, trace_bits=64)


def _bits(name: str, bits: int, rows: list, why: str, mode: str = "user") -> Case:
    """How many bits a trace shows, by the table of bytes that has one for each page."""
    return _case(f"{bits} bits: {name}", "byte-lookup", rows, why, mode, table_bytes=(1 << bits - 12) + 2048)


_X = exec_(WORD - 8, 16, 4)
_TWINS = [exec_(0x1000), load(0x2000), exec_(0x1000 + (1 << 40)), load(0x2000)]
_DATA_BESIDE = [note(), exec_(0x1000), store(0x1100)]

CASES = [
    case
    for spec in NAMES
    for case in (
        _case("64 bits: page 0 follows the last page", spec, [load(WORD - 2), load(0x10)], "The pages are 2**52 - 1 "
              "and 0; the load of page 0 adds none.", accesses=2, pages=2, page_cross=1, misaligned=1),
        _case("64 bits: a block that goes round the end", spec, [_X, store(0x4, 1), _X], "Bytes 0 to 7 of page 0 are "
              "the block's second half. The store drops it.", execs=2, translations=2, smc_stores=1,
              code_page_data_stores=0, blocks_dropped=1, retranslated_insns=4),
        _case("64 bits: a store that goes round the end", spec, [exec_(0x0), store(WORD - 2), exec_(0x0)], "Its last "
              "two bytes are the first two of page 0.", translations=2, smc_stores=1, page_cross=1, pages=2),
        _case("64 bits: pages whose low 32 bits are alike", spec, [load(0x5000), load(0x1_0000_5000),
              load(UPPER + 0x5000)], "Three pages.", pages=3),
        _case("64 bits: blocks whose low 32 bits are alike", spec, _TWINS, "Two blocks, each executed for the first "
              "time.", translations=2, far_accesses=2, cold_accesses=2),
    )
] + [
    _bits("the last page of the lower half", 48, [load(LOWER_END - 4), store(UPPER), load(WORD - 4)], "Bits 63 to 47 "
          "are alike: of the first 0, of the others 1."),
    _bits("an access runs over its end", 57, [load(LOWER_END - 2)], "Its second page has bit 47 alone."),
    _bits("below the upper half", 57, [load(UPPER - 1, 1)], "Bit 47 is 0, those above are 1."),
    _bits("the last page of 57", 57, [load((1 << 56) - 4), load(WORD - (1 << 56))], "Bits 63 to 56 are alike."),
    _bits("no processor has them", 64, [load((1 << 56) - 2)], "Its second page has bit 56 alone."),
    _bits("the sign alone", 64, [load(1 << 63)], "Bit 63 is 1, bit 62 is 0."),
    _bits("code", 57, [exec_(LOWER_END - 8)], "Executing touches a page, too; the block crosses."),
    _bits("FLUSH_PAGE", 57, [flush_page(LOWER_END)], "It touches a page."),
    _bits("MAP", 57, [map_(LOWER_END, 1)], "It touches a page.", "system"),
    _bits("a device", 57, [io_load(LOWER_END)], "So does a row of device memory.", "system"),
    _bits("what is no address", 48, [flush(1, 1 << 60), note()], "CR3 and an annotation's value are none.", "system"),
    _case("64 bits: an entry has 16 bytes", "softmmu", [load(0x1000), load(UPPER + 0x1000), load(0x1000), load(0x4000)],
          "Pages 1 and 2**52 - 2**35 + 1 meet in set 1, as the guest's own page decides. Sets 1 and 4 lie in lines 0 "
          "and 1 of the read table. A fill touches read and write side: a page of 256 entries each.",
          tlb_fills=4, table_bytes=4 * 256 * 16, table_lines=2, table_resident_bytes=8192),
    _case("64 bits: tables of more than a page", "softmmu,tlb_bits=9", [load(0x1000), load(0x101000), store(0x101000)],
          "Entries 1 and 257, at bytes 16 and 4112: two pages of each side.", tlb_fills=3, table_bytes=4 * 512 * 16,
          table_lines=3, table_resident_bytes=4 * 4096),
    _case("64 bits: an entry is as it was", "softmmu-qemu10", [load(UPPER + 0x1000), load(0x1000), load(0x81000)],
          "Pages of sets 1, 1 and 0x81; 32 bytes an entry, 128 in a page, 2 in a line. The second of set 1 pushes the "
          "first out.", tlb_fills=3, table_bytes=2 * 256 * 32, table_lines=2, table_resident_bytes=8192),
    _case("64 bits: a place of the jump cache", "softmmu-qemu10", [exec_(0x1000), exec_(0x1000 + (1 << 40)),
          exec_(0x1000)], "Bits 0 to 23 of an address choose the place, so the second block took the first one's. Both "
          "pages lie in set 1, and the last fetch finds a victim.", code_fetches=3, code_fills=2, victim_hits=1),
    _case("64 bits: another place", "softmmu-qemu10", [exec_(0x1000), exec_(0x2000 + (1 << 40)), exec_(0x1000)],
          "The last one is known.", code_fetches=2, code_fills=2),
    _case("64 bits: the page before page 0", "softmmu-qemu10", [exec_(WORD - 4096), exec_(0x5000), flush_page(0),
          exec_(WORD - 4096)], "FLUSH_PAGE of 0 empties the places of the last page, which was entered: the block "
          "before lay elsewhere, so it is looked up, and found.", code_fetches=3, code_fills=2),
    _case("64 bits: a byte for each page", "byte-lookup", [load(0xFFF000), load(0x1000000), load(UPPER)],
          "Bytes 0xfff and 0x1000 lie in two pages, the upper half's in a third, the bases in a fourth; three lines of "
          "bytes, one of bases 0 to 3.", faults_unmapped=3, table_bytes=(1 << 36) + 2048, table_lines=4,
          table_resident_bytes=4 * 4096),
    _case("64 bits: bases of 8 bytes", "byte-lookup", [load(page << 12) for page in range(1, 9)], "Windows 1 to 8: "
          "base 8 begins a second line.", table_lines=3, table_resident_bytes=8192),
    _case("64 bits: a window that gives way", "byte-lookup,entries=1", [load(0x1000), load(UPPER), load(0x1000)],
          "Each evicts the one before.", faults_unmapped=3, evictions=2, table_resident_bytes=3 * 4096),
    _case("64 bits: entries of 8 bytes", "map-block,pointer_bytes=4", [load(0x70000), load(0x80000)],
          "Entries 7 and 8: bytes 56 and 64.", faults_block=2, table_bytes=8 << 32, table_lines=2,
          table_resident_bytes=4096),
    _case("64 bits: which pages of the table", "map-block", [load(0x1FF0000), load(0x2000000), load(WORD - 4)],
          "Entries 511 and 512 of 8 bytes, and the last one of all.", table_lines=3, table_resident_bytes=3 * 4096),
    _case("64 bits: blocks of a terabyte", "map-block,map_block_bits=40", [load((1 << 40) - 2), load(1 << 40),
          flush_page(1 << 40)], "Block 0 with its extra page, which is the first of block 1; that page is unmapped "
          "twice. VMAs: rest, pages 2**28 - 1 and 2**28, then, in the next slot, page 2**28 again, rest.",
          faults_block=2, faults_unmapped=1, maps=3, unmaps=2, table_bytes=8 << 8, table_lines=1,
          table_resident_bytes=4096, reserved_bytes=64 * ((1 << 40) + 4096), peak_mappings=4),
    _case("64 bits: the block before block 0", "map-block", [load(WORD - 2), load(0), flush_page(0)], "It is the last "
          "one of 64 bits, whose extra page is page 0.", faults_block=2, faults_unmapped=1, maps=3, unmaps=2),
    _case("64 bits: frames are neighbours by their whole number", "map-block", [map_(0x10000, 0xFFFFFFFF),
          map_(0x11000, 1 << 32), map_(0x12000, 1), load(0x10000), load(0x11000), load(0x12000)], "0xffffffff and "
          "0x100000000 share a VMA, 1 has its own. VMAs: two pages, one, rest.", "system", peak_mappings=3, maps=3),
    _case("64 bits: the largest frame", "qemu-fast", [map_(0x1000, 1 << 40), map_(0x2000, 1 << 40), store(0x1000),
          load(0x2000)], "Two pages of one frame, dirty by the first: both writable, two VMAs, and the rest.", "system",
          faults_unmapped=2, faults_write=0, peak_mappings=4),
    _case("64 bits: guest_limit", "qemu-fast", [load(0), load((1 << 46) - 4), load((1 << 46) - 2), load(0x1000),
          exec_(0x5000), load(UPPER), load(UPPER)], "The first two are direct: the ends of the guest's space are no "
          "borders, so page, rest, page. The third ends above the limit, fills for two pages of the TLB, and the next "
          "one is in its spell. The upper half begins another.", faults=4, faults_unmapped=2, faults_softmmu=2,
          softmmu_accesses=4, tlb_fills=4, slow_cross=1, peak_mappings=3, reserved_bytes=1 << 46, table_bytes=0,
          table_resident_bytes=0),
    _case("64 bits: a limit of one's own", "qemu-fast,guest_limit=0x800000000000", [load(LOWER_END - 4), load(UPPER)],
          "All of the lower half.", faults_unmapped=1, faults_softmmu=1, reserved_bytes=1 << 47, peak_mappings=2),
    _case("64 bits: an entry for each page", "page-table", [load(0x1FF000), load(0x200000), store(UPPER), flush()],
          "Entries 511 and 512 lie in two pages, the upper half's in a third, and it is entered in both tables: four. "
          "Lines: three of the hit path, of them one in the write table.", tlb_fills=3, table_lines=3,
          table_bytes=2 * 8 << 36, table_resident_bytes=4 * 4096, flushed_entries=4),
    _case("64 bits: memset clears whole tables", "page-table,clear=memset", [*_DATA_BESIDE, flush(), flush()],
          "Two tables twice; the code page's scan goes through one.", flushed_entries=4 << 36,
          scanned_entries=1 << 36, slow_code=1),
    _case("64 bits: of 57", "page-table,clear=memset,tables=1", [flush(), load(LOWER_END)], "The table is as large as "
          "the trace shows, before it does so, too.", flushed_entries=1 << 45, table_bytes=8 << 45),
]  # fmt: skip
