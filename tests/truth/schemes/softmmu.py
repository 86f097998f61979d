"""Hand-worked: softmmu (MODEL.md 3). The default TLB has 256 sets: pages 1 and 0x101 meet in set 1."""

from truth.oracle.guest import USER
from truth.oracle.reserve import COLUMNS as HOST_COLUMNS
from truth.oracle.softmmu import Softmmu
from truth.rows import Case, exec_, flush, flush_page, io_load, io_store, load, map_, store

ORACLE = Softmmu
EMPTY = [*HOST_COLUMNS, "softmmu_accesses"]
ALWAYS_ZERO = ["faults"]

SPECS = ["softmmu", "softmmu,tlb_bits=0"]
TIGHT = ["softmmu,tlb_bits=2"]

_COPY = [load(0x1000), store(0x101000), load(0x1004), store(0x101004), load(0x1008)]
_DATA = store(0x1100)  # beside the block 0x1000..0x100f

CASES = [
    Case(
        "load, then first store: two fills", "softmmu", "user",
        [load(0x1000), load(0x1004), store(0x1008), store(0x100C), load(0x1000)],
        dict(tlb_fills=2, faults=0, slow_misaligned=0, slow_cross=0, slow_io=0, slow_code=0, code_list_walks=0,
             translations=0, table_bytes=8192, table_lines=2, table_resident_bytes=8192,
             faults_unmapped=None, faults_block=None, faults_write=None, faults_code=None, faults_cross=None,
             faults_io=None, faults_softmmu=None, maps=None, unmaps=None, host_calls=None, protects=None,
             evictions=None, peak_mappings=None, reserved_bytes=None, softmmu_accesses=None,
             mmap_calls=None, mprotect_calls=None, munmap_calls=None,
             split_mappings=None),
        "The load misses (1): the page is clean, so only the read side is entered. The store misses (2), makes the "
        "page dirty, enters both. 4 tables * 256 * 8 bytes. Lines: set 1 in the read and in the write table; "
        "so do pages, for each table begins with one.",
    ),
    Case(
        "copy between two pages of one set", "softmmu", "user", _COPY, dict(tlb_fills=5),
        "Load 1: fill. Store 0x101: fill, enters both sides. Load 1: the read side holds 0x101: fill, and, as page 1 "
        "is clean, the write side becomes invalid. Store 0x101: fill. Load: fill. Every access misses.",
    ),
    Case(
        "the same copy with 512 sets", "softmmu,tlb_bits=9", "user", _COPY,
        dict(tlb_fills=2, table_bytes=16384, table_lines=2),
        "Sets 1 and 0x101: the first load and the first store miss. Lines: read 1 * 8 / 64 = 0, write 257 / 8 = 32.",
    ),
    Case(
        "one entry, one crossing load", "softmmu,TLB_BITS=0x0", "user", [load(0x1FFE), load(0x1000), load(0x1004)],
        dict(tlb_fills=3, slow_cross=1, table_bytes=32, table_lines=1),
        "The crossing load looks up page 1 (fill), then 2 (fill, evicts 1). Load 1: fill. Load 1: hit.",
    ),
    Case(
        "a load enters the write side of a dirty page", "softmmu", "user",
        [store(0x1000), flush(), load(0x1000), store(0x1000)], dict(tlb_fills=2, flushes=1),
        "Store: fill, dirty for ever. FLUSH empties the TLB. Load: fill, both sides as the page is dirty. Store: hit.",
    ),
    Case(
        "misaligned within a page", "softmmu", "user",
        [load(0x1000), load(0x1002), load(0x1001, 3), load(0x1004, 8), store(0x1001, 2), load(0x1020, 64)],
        dict(slow_misaligned=4, misaligned=4, slow_cross=0, tlb_fills=2),
        "0x1002 by 4, 0x1004 by 8, 0x1001 by 2 and 0x1020 by 64; 3 bytes are no power of two. They add up with the "
        "fills: the first load and the first store.",
    ),
    Case(
        "crossing: one lookup for each page", "softmmu", "user", [load(0x7FFE), store(0x7FFF, 2), load(0x7FFD, 5)],
        dict(slow_cross=3, page_cross=3, misaligned=2, slow_misaligned=0, tlb_fills=4, table_lines=2),
        "Load: pages 7 and 8 miss. Store: the first store to each page misses. 5 bytes: crossing, both hit. "
        "Lines: only the first byte's entry (page 7, line 0; page 8 would be line 1), in the read and write table.",
    ),
    Case(
        "crossing from page 0xfffff to page 0", "softmmu", "user", [load(0xFFFFFFFE), load(0), load(0xFFFFF000)],
        dict(slow_cross=1, tlb_fills=2, table_lines=2),
        "Pages 0xfffff (set 255, line 31) and 0 (set 0, line 0) are entered by the first load; the others hit.",
    ),
    Case(
        "device memory", "softmmu", "system", [io_load(0x5FFE), io_store(0x5001), io_store(0x5000)],
        dict(slow_io=3, slow_cross=0, slow_misaligned=0, tlb_fills=0, slow_code=0, faults=0, table_lines=0,
             io_accesses=3, misaligned=2, page_cross=1, pages=0),
        "IO counts slow_io and nothing else, even when it crosses or is misaligned; the shape still sees it.",
    ),
    Case(
        "kernel and user have tables of their own", "softmmu", "system",
        [map_(0x1000, 0x10)] + [op(0x1000, 4, flags) for op in (load, store, load) for flags in (0, USER)],
        dict(tlb_fills=4, mode_switches=5, table_lines=4),
        "Load K: fill. Load U: fill. Store K: fill. Store U: the user's write side is invalid, for the page was clean "
        "when it was filled: fill. The loads hit. K U K U K U: 5 switches. Line 0 of each of the four tables.",
    ),
    Case(
        "a user-mode trace runs in user mode", "softmmu", "user", [load(0x1000, 4, 0), load(0x1000, 4, USER)],
        dict(tlb_fills=1, mode_switches=1, table_lines=1),
        "The flag of the first row is wrong; the user tables serve it anyway. mode_switches goes by the flags.",
    ),
    Case(
        "FLUSH and FLUSH_PAGE", "softmmu", "user",
        [load(0x1000), load(0x2000), flush_page(0x1FFF), load(0x1000), load(0x2000), flush_page(0x101000),
         load(0x1000), flush(), load(0x1000), load(0x2000)],
        dict(tlb_fills=5, flushes=1, page_flushes=2),
        "Fills 1, 2; FLUSH_PAGE drops page 1 alone: fill 3, page 2 hits. Page 0x101 shares set 1 but is not there: "
        "page 1 hits. FLUSH drops both: fills 4, 5.",
    ),
    Case(
        "FLUSH_PAGE reaches all four tables", "softmmu", "system",
        [map_(0x1000, 0x10), load(0x1000, 4, 0), load(0x1000), store(0x1000, 4, 0), store(0x1000),
         flush_page(0x1000), map_(0x1000, 0x11), store(0x1000, 4, 0), store(0x1000), load(0x1000, 4, 0), load(0x1000)],
        dict(tlb_fills=6),
        "4 fills as kernel and user, load and store. All gone: 2 fills by the stores, which enter the read sides too.",
    ),
    Case(
        "data beside code: ten walks, then the bitmap", "softmmu", "user",
        [exec_(0x1000)] + [_DATA] * 12 + [store(0x1008), _DATA, exec_(0x1000), _DATA],
        dict(tlb_fills=1, slow_code=14, code_page_data_stores=13, smc_stores=1, code_list_walks=12, translations=2,
             translated_insns=8, host_calls=None, searched_blocks=12),
        "12 data stores: 12 helpers, 10 walks. The store on the block: helper 13, walk 11; the block goes, the page "
        "is not a code page: the next store is plain. Translated again, count gone: helper 14, data 13, walk 12.",
    ),
    Case(
        "a store on a block walks, bitmap or not", "softmmu", "user",
        [exec_(0x1000), exec_(0x1040)] + [_DATA] * 11 + [store(0x1000)] + [_DATA] * 11,
        dict(slow_code=23, code_page_data_stores=22, smc_stores=1, code_list_walks=21, translations=2,
             searched_blocks=32),
        "10 walks of 11; the hit walks (11) and drops the first block, so the bitmap goes, but 0x1040 still lies "
        "there: 10 walks of the next 11. 11 go through two blocks, 10 through one.",
    ),
    Case(
        "the bitmap goes when a crossing block comes or goes", "softmmu", "user",
        [exec_(0x1FFC, 8), exec_(0x2100)] + [store(0x2800)] * 11 + [store(0x1FFC)] + [store(0x2800)] * 11
        + [exec_(0x1FF8, 16), store(0x2800)],
        dict(code_list_walks=22, slow_code=24, code_page_data_stores=23, smc_stores=1, translations=3, tlb_fills=2,
             searched_blocks=33),
        "Page 2: 10 walks of 11. The store to page 1 drops the crossing block (walk 11): page 2's bitmap goes: 10 "
        "walks of 11 (21). A new crossing block is added through page 1: again a walk (22). Two pages stored to. "
        "Blocks: 10 * 2, page 1's own, 10 * 1, 2.",
    ),
    Case(
        "only the blocks that the store overlaps are dropped", "softmmu", "user",
        [exec_(0x1000, 16, 4), exec_(0x1008, 16, 3), exec_(0x1010, 16, 2), store(0x100C, 4), exec_(0x1000, 16, 4),
         exec_(0x1008, 16, 3), exec_(0x1010, 16, 2)],
        dict(translations=5, translated_insns=16, smc_stores=1, slow_code=1, code_list_walks=1, blocks_dropped=2,
             retranslated_insns=7),
        "Bytes 0xc..0xf lie in the first and second block, and end before the third: 4 + 3 + 2 and again 4 + 3.",
    ),
    Case(
        "a crossing store to two code pages", "softmmu", "user", [exec_(0x1F00), exec_(0x2000), store(0x1FFE)],
        dict(slow_cross=1, slow_code=2, tlb_fills=2, smc_stores=1, code_page_data_stores=1, code_list_walks=2,
             searched_blocks=2),
        "Page 1: fill, helper, beside its block, walk. Page 2: fill, helper, bytes 0 and 1 hit its block, walk.",
    ),
    Case(
        "the low page's drop frees the high page", "softmmu", "user", [exec_(0x1FF8, 16), store(0x1FFE), exec_(0x1FF8)],
        dict(slow_cross=1, slow_code=1, tlb_fills=2, smc_stores=1, code_page_data_stores=0, code_list_walks=1,
             translations=2),
        "Page 1 is finished first: the only block goes, from page 2 as well, no code page when its turn comes.",
    ),
    Case(
        "a store through another virtual page", "softmmu", "system",
        [map_(0x1000, 0x50), map_(0x2000, 0x50), store(0x2100), exec_(0x1000), store(0x2004), exec_(0x2000),
         exec_(0x1000)],
        dict(tlb_fills=1, slow_code=1, smc_stores=1, code_list_walks=1, translations=2),
        "Code is kept by physical page: the entry of page 2, made before, now leads to the helper; block dropped. "
        "Translated through page 2, it is there for page 1.",
    ),
    Case(
        "a block over two virtual pages of one physical page", "softmmu", "system",
        [map_(0x1000, 0x50), map_(0x2000, 0x50), exec_(0x1FF8, 16), store(0x1000), exec_(0x1FF8, 16), store(0x2FFC)],
        dict(translations=2, smc_stores=2, slow_code=2, code_list_walks=2, tlb_fills=2, searched_blocks=4),
        "It lies in frame 0x50 twice, at 0xff8..0xfff and 0..7, and so in its list: both stores hit it.",
    ),
]  # fmt: skip
