"""Hand-worked: map-block (MODEL.md 5). A guest block is 16 pages by default: 0x10000 begins block 1."""

from truth.oracle.mmap import MapBlock
from truth.oracle.softmmu import COLUMNS as TLB_COLUMNS
from truth.rows import Case, exec_, flush, flush_page, io_load, io_store, load, map_, store

ORACLE = MapBlock
EMPTY = ["faults_cross", "faults_softmmu", "softmmu_accesses", *TLB_COLUMNS]

SPECS = [
    "map-block", "map-block,map_block_bits=13,pool_blocks=1", "map-block,map_block_bits=13,pool_blocks=2,evict=lifo",
    "map-block,map_block_bits=13,pool_blocks=3,evict=random,pointer_bytes=8", "map-block,map_block_bits=22,pool_mib=9",
    "map-block,map_block_bits=20,map_pages=16,pool_blocks=2", "map-block,map_block_bits=13,map_pages=1024",
]  # fmt: skip
TIGHT = [
    "map-block,map_block_bits=14,pool_blocks=2,map_pages=2",
    "map-block,map_block_bits=12,pool_blocks=3,evict=lifo",
]
TIGHT += ["map-block,map_block_bits=16,pool_blocks=2,evict=random"]

B1, B2, B3, B4, B5, B6, B7, B8 = (load(n << 16) for n in range(1, 9))
_ORDER = [B1, B2, B3, B1, B2, B1, B3]

CASES = [
    Case(
        "load, store, another page, another block", "map-block", "user",
        [B1, load(0x11000), store(0x10004), store(0x12000), B2, load(0x12004)],
        dict(faults=5, faults_block=2, faults_unmapped=2, faults_write=1, faults_code=0, faults_io=0, maps=4, unmaps=0,
             host_calls=5, mmap_calls=4, mprotect_calls=1, munmap_calls=0, evictions=0, protects=0, peak_mappings=6,
             split_mappings=1,
             table_bytes=262144, table_lines=1, table_resident_bytes=4096, reserved_bytes=4456448,
             faults_cross=None, faults_softmmu=None, tlb_fills=None, slow_misaligned=None, slow_cross=None,
             slow_io=None, slow_code=None, code_list_walks=None, searched_blocks=None, softmmu_accesses=None),
        "A fresh block's fault maps the page too. VMAs: 10w, 11r, 12w, rest, 20r, rest = 6. Table 2**16 * 4; "
        "entries 1 and 2 share a line. Reserve 64 * 17 pages. 10r 11r were one mapping until the store opened page 10.",
    ),
    Case(
        "crossing inside a block, and at its end", "map-block", "user",
        [load(0x10FFE), load(0x10FFE), load(0x1FFFE), B2, store(0x20000), store(0x1FFFE), flush_page(0x20000)],
        dict(faults=8, faults_block=2, faults_unmapped=3, faults_write=3, maps=5, unmaps=2, host_calls=10,
             mmap_calls=5, mprotect_calls=3, munmap_calls=2, page_flushes=1),
        "0x10ffe: block fault, then page 0x11 unmapped; the second time free. 0x1fffe: page 0x1f, and the extra page. "
        "Page 0x20 in its own block: block fault. Its store opens that window only; the crossing store finds page "
        "0x1f and the extra page read-only. FLUSH_PAGE unmaps page 0x20 twice.",
    ),
    Case(
        "a code page mapped twice is protected twice", "map-block", "user",
        [store(0x20000), store(0x1FFFF, 2), exec_(0x20100), store(0x20004), store(0x1FFFF, 2)],
        dict(faults=5, faults_block=2, faults_unmapped=1, faults_code=1, faults_write=1, protects=2, translations=1,
             code_page_data_stores=1, smc_stores=0, host_calls=7, mmap_calls=3, mprotect_calls=4),
        "Own window and extra page, both writable: 2 protects. The store to the own window drops the block and opens "
        "it alone; the extra page is read-only, no longer code: faults_write. Page 0x1f stayed writable.",
    ),
    Case(
        "the extra page of the last block is page 0", "map-block", "user", [load(0xFFFFFFFE), load(0), flush_page(0)],
        dict(faults_block=2, faults_unmapped=1, maps=3, unmaps=2, host_calls=5, table_lines=2),
        "Block 0xffff and its extra page; block 0. FLUSH_PAGE of 0: twice. Entry 0xffff is in the last line, 0 in the "
        "first.",
    ),
    Case(
        "MAP_BLOCK_BITS=12: each page has an extra page", "map-block,MAP_BLOCK_BITS=12", "user",
        [load(0x1FFE), load(0x2000), load(0x2FFF, 1)],
        dict(faults_block=2, faults_unmapped=1, maps=3, table_bytes=4194304, reserved_bytes=64 * 2 * 4096),
        "Block 1: page 1, then the extra page 2. Block 2 is another block. Entries: 2**20 * 4 bytes.",
    ),
    Case(
        "evict=fifo", "map-block,pool_blocks=2", "user", [B1, load(0x11000), *_ORDER[1:]],
        dict(faults_block=6, faults_unmapped=1, evictions=4, maps=7, unmaps=5, host_calls=11, mmap_calls=7,
             munmap_calls=4),
        "1 and 2 fill the pool. 3 evicts 1 (two pages). 1 evicts 2, 2 evicts 3, 1 hits, 3 evicts 1 (one page): 4 "
        "evictions, each one munmap; 2 + 1 + 1 + 1 pages.",
    ),
    Case(
        "evict=lifo", "map-block,pool_blocks=2,evict=lifo", "user", [B1, load(0x11000), *_ORDER[1:]],
        dict(faults_block=5, faults_unmapped=1, evictions=3, maps=6, unmaps=3, host_calls=9),
        "3 takes the slot given last: evicts 2. 1 hits. 2 evicts 3. 1 hits. 3 evicts 2. One page each.",
    ),
    Case(
        "evict=random", "map-block,pool_blocks=4,evict=random", "user",
        [B1, B2, B3, B4, B5, B6, B7, B8, B4, B5, B6, B8, B7],
        dict(faults_block=9, evictions=5, unmaps=5),
        "x = 1015568748, 1586005467, 2165703038, 3027450565, 217083232; x * 4 / 2**32 = 0.9, 1.5, 2.0, 2.8, 0.2: slots "
        "0 1 2 2 0. 5 evicts 1, 6 evicts 2, 7 evicts 3, 8 evicts 7. Then 4 5 6 8 hit, and 7 evicts 5.",
    ),
    Case(
        "FLUSH leaves the random state alone", "map-block,pool_blocks=4,evict=random", "user",
        [B1, B2, B3, B4, B5, flush(), B1, B2, B3, B4, B5, B1, B2],
        dict(faults_block=11, evictions=3, unmaps=7, host_calls=18, munmap_calls=7),
        "5 takes slot 0. FLUSH: 4 pages, 4 blocks. Again slots 0 1 2 3, then x is at its second value: slot 1, so 2 "
        "goes and 1 hits; 2 comes back over slot 2. 11 mmap, 3 + 4 munmap.",
    ),
    Case(
        "FLUSH_PAGE leaves the block, an eviction takes it empty", "map-block,pool_blocks=1", "user",
        [B1, flush_page(0x10000), load(0x10000), flush_page(0x10FFF), flush_page(0x10000), B2],
        dict(faults_block=2, faults_unmapped=1, evictions=1, maps=3, unmaps=2, host_calls=6, mmap_calls=3,
             munmap_calls=3, page_flushes=3, peak_mappings=2),
        "The block stays: faults_unmapped. The third FLUSH_PAGE finds nothing. Block 2 evicts 1: a call, no page.",
    ),
    Case(
        "FLUSH: a call for each block in use", "map-block", "user",
        [flush(), B1, load(0x11000), B2, flush_page(0x20000), flush(), B1],
        dict(faults_block=3, faults_unmapped=1, maps=4, unmaps=3, host_calls=7, munmap_calls=3, evictions=0, flushes=2),
        "The first FLUSH finds no block. 3 pages, one goes by FLUSH_PAGE; FLUSH: 2 blocks in use, one of them empty.",
    ),
    Case(
        "FLUSH begins at slot 0 again", "map-block,map_block_bits=12,pool_blocks=2", "user",
        [load(0x1000), flush(), load(0x2000)], dict(peak_mappings=2),
        "Host page 0, then the rest: 2 VMAs. (In slot 1, host page 2, it would be 3.)",
    ),
    Case(
        "map_pages: what an earlier row touched comes along", "map-block,map_pages=4", "user",
        [load(0x11000), load(0x12000), flush(), load(0x10000), load(0x11000), load(0x12000), store(0x11000), flush(),
         load(0x10000), store(0x11004)],
        dict(faults=5, faults_block=3, faults_unmapped=1, faults_write=1, maps=8, unmaps=5, host_calls=7,
             mmap_calls=4, mprotect_calls=1, munmap_calls=2),
        "0x11: alone, nothing else is known. 0x12: unmapped; 0x11 stays as it is. FLUSH: 2 pages. 0x10: brings 0x11 "
        "and 0x12, read-only: the loads are free, the store faults. FLUSH: 3 pages. 0x10 brings both; 0x11 is dirty, "
        "so writable: the store is free.",
    ),
    Case(
        "map_pages: what is MAPped comes along, unless forgotten", "map-block,map_pages=4", "system",
        [map_(0x10000, 1), map_(0x11000, 2), map_(0x13000, 4), load(0x10000), load(0x11000), store(0x13000),
         flush_page(0x11000), map_(0x12000, 3), load(0x12000), map_(0x11000, 2), load(0x11000)],
        dict(faults=4, faults_block=1, faults_unmapped=2, faults_write=1, maps=5, unmaps=1, host_calls=5),
        "0x10 brings 0x11 and 0x13 (never touched, but known). FLUSH_PAGE forgets 0x11: 0x12 comes alone; 0x11 faults.",
    ),
    Case(
        "map_pages: no group reaches past its block", "map-block,map_block_bits=13,map_pages=8", "system",
        [map_(0x4000, 4), map_(0x5000, 5), map_(0x6000, 6), load(0x4000), load(0x5FFE), load(0x6000)],
        dict(faults=3, faults_block=2, faults_unmapped=1, maps=4, host_calls=3),
        "Block 2 is pages 4 and 5: mapped together. Page 6 is its extra page, its own group: unmapped. Block 3: 6.",
    ),
    Case(
        "map_pages: the extra page brings nothing along", "map-block,map_block_bits=13,map_pages=8", "system",
        [map_(0x5000, 5), load(0x5000), map_(0x4000, 4), map_(0x6000, 6), load(0x5FFE), load(0x4000)],
        dict(faults=3, faults_block=1, faults_unmapped=2, maps=3, host_calls=3),
        "Page 5 alone is known. The crossing load finds 5 mapped and maps the extra page 6 alone, though 4 is known by "
        "now: page 4 faults.",
    ),
    Case(
        "map_pages: the page that faulted is finished first", "map-block,map_pages=2", "system",
        [map_(0x10000, 0x50), map_(0x11000, 0x50), exec_(0x10100), store(0x10800), store(0x11000)],
        dict(faults=1, faults_block=1, maps=2, host_calls=1, code_page_data_stores=1, protects=0),
        "The store drops the block and makes frame 0x50 dirty; its alias then is mapped as by a load: writable.",
    ),
    Case(
        "pool_mib", "map-block,pool_mib=1", "user", [B1], dict(reserved_bytes=15 * 17 * 4096, faults_block=1),
        "2**20 / (17 * 4096) = 15.06 blocks.",
    ),
    Case(
        "pool_mib counts before pool_blocks", "map-block,map_block_bits=20,pool_mib=4,pool_blocks=9", "user",
        [load(n << 20) for n in (1, 2, 3, 4, 2)],
        dict(reserved_bytes=3 * 257 * 4096, evictions=1, faults_block=4, table_bytes=16384),
        "2**22 / (257 * 4096) = 3.98: 3 blocks. The fourth evicts the first; the second is still there.",
    ),
    Case(
        "pointer_bytes=4", "map-block", "user", [B7, B8, load(0xF0000)], dict(table_lines=1, table_bytes=262144),
        "Entries 7, 8, 15 at bytes 28, 32, 60: one line.",
    ),
    Case(
        "pointer_bytes=8", "map-block,pointer_bytes=8", "user", [B7, B8, load(0xF0000), load(0x100000)],
        dict(table_lines=3, table_bytes=524288), "Entries 7, 8, 15, 16 at bytes 56, 64, 120, 128: lines 0, 1, 1, 2.",
    ),
    Case(
        "device memory", "map-block", "system", [io_load(0x50000), io_store(0x5FFFE), io_load(0x50002)],
        dict(faults=3, faults_io=3, faults_block=0, maps=0, host_calls=0, evictions=0, table_lines=0, peak_mappings=1),
        "Each faults, crossing or not; no block is allocated for it.",
    ),
    Case(
        "the low page's drop frees the high page", "map-block", "user",
        [load(0x10000), load(0x11000), exec_(0x10FF8), store(0x10FFE), exec_(0x10FF8)],
        dict(faults=4, faults_block=1, faults_unmapped=1, faults_code=1, faults_write=1, smc_stores=1,
             code_page_data_stores=0, translations=2, protects=2, host_calls=6),
        "Both read-only. Low page: faults_code, the crossing block goes. High page: read-only and no longer code: "
        "faults_write. The next EXEC protects both writable windows. Calls: 2 mmap, 2 + 2 mprotect.",
    ),
    Case(
        "a store to an unmapped code page is one fault", "map-block", "user",
        [exec_(0x10000), exec_(0x10100), store(0x10004), exec_(0x10000), exec_(0x10100), load(0x10000)],
        dict(faults=1, faults_block=1, smc_stores=1, translations=4, translated_insns=16, protects=1, host_calls=2,
             blocks_dropped=2, retranslated_insns=8),
        "The handler sees pages, not bytes: both blocks go though one is hit. Protected once, by the first.",
    ),
    Case(
        "peak_mappings", "map-block,map_block_bits=13,pool_blocks=2", "user",
        [load(0x4000), load(0x5FFE), load(0x6000), load(0x7000), store(0x5000), store(0x6000), flush()],
        dict(peak_mappings=6, faults_block=2, faults_unmapped=3, faults_write=2),
        "Slots of 3 host pages. 4..... 2; 456... 2 (adjacent frames, one VMA); 456|6.. 3; 456|67. 3; 4|5w|6|67|. 5; "
        "4|5w|6|6w|7|. 6.",
    ),
    Case(
        "an extra page may join the next slot's mapping", "map-block,map_block_bits=12,pool_blocks=2", "user",
        [load(0x1FFE), load(0x3000)], dict(peak_mappings=2, maps=3),
        "Host pages 1 2 | 3 .: frames 1, 2, 3 are adjacent and read-only: one VMA, and the last page.",
    ),
]  # fmt: skip
