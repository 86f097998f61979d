"""Hand-worked: byte-lookup (MODEL.md 4). Page N means the load or store at N * 0x1000."""

from truth.oracle.mmap import ByteLookup
from truth.oracle.softmmu import COLUMNS as TLB_COLUMNS
from truth.rows import Case, exec_, flush, flush_page, io_load, io_store, load, map_, store

ORACLE = ByteLookup
EMPTY = ["faults_block", "faults_softmmu", "softmmu_accesses", *TLB_COLUMNS]
ALWAYS_ZERO = ["split_mappings"]  # each window lies between inaccessible ones

SPECS = ["byte-lookup", "byte-lookup,entries=1"]
TIGHT = ["byte-lookup,entries=3"]

_ALIAS = [map_(0x1000, 0x50), map_(0x2000, 0x50)]

CASES = [
    Case(
        "load, store, store", "byte-lookup", "user",
        [load(0x1000), load(0x1004), store(0x1008), store(0x100C), store(0x2000), load(0x2000)],
        dict(faults=3, faults_unmapped=2, faults_write=1, faults_code=0, faults_cross=0, faults_io=0, maps=2, unmaps=0,
             host_calls=3, mmap_calls=2, mprotect_calls=1, munmap_calls=0, evictions=0, protects=0, peak_mappings=4,
             table_bytes=1049600, table_lines=2, table_resident_bytes=8192, reserved_bytes=2088960,
             faults_block=None, faults_softmmu=None, tlb_fills=None, slow_misaligned=None, slow_cross=None,
             slow_io=None, slow_code=None, code_list_walks=None, searched_blocks=None, softmmu_accesses=None),
        "Load 1: fault, mapped read-only, for it is clean. Store 1: faults_write, one mprotect. Store 2: one fault, "
        "writable at once. VMAs: page, guard, page, all the rest: 4. Tables 2**20 + 256 * 4 bytes; lines: bytes 1 and "
        "2 share one, bases 0 to 2 another; so do pages. Reserve 255 * 2 pages.",
    ),
    Case(
        "two windows, round robin", "byte-lookup,entries=2", "user",
        [load(0x1000), load(0x2000), load(0x3000), load(0x1000), load(0x3000), load(0x2000)],
        dict(faults_unmapped=5, evictions=3, maps=5, unmaps=3, host_calls=5, mmap_calls=5, munmap_calls=0,
             peak_mappings=4, reserved_bytes=16384),
        "1 in window 1, 2 in 2, 3 in 1 (evicts 1), 1 in 2 (evicts 2), 3 hits, 2 in 1 (evicts 3). A new mapping lies "
        "over the old: no call of its own. VMAs: page, guard, page, guard.",
    ),
    Case(
        "one window", "byte-lookup,entries=1", "user", [load(0x1000), store(0x2000), load(0x1000), load(0x1004)],
        dict(faults_unmapped=3, evictions=2, maps=3, unmaps=2, peak_mappings=2, faults_write=0),
        "The hand comes back to window 1 every time. VMAs: page, guard.",
    ),
    Case(
        "the hand does not care for a freed window", "byte-lookup,entries=3", "user",
        [load(0x1000), load(0x2000), load(0x3000), flush_page(0x2000), flush_page(0x9000), load(0x4000), load(0x5000),
         load(0x1000), load(0x2000)],
        dict(faults_unmapped=7, evictions=3, maps=7, unmaps=4, host_calls=8, mmap_calls=7, munmap_calls=1,
             page_flushes=2),
        "Windows 1 2 3 hold 1 2 3. FLUSH_PAGE frees window 2 (page 9 is nowhere: no call). 4 takes window 1, where "
        "the hand stands: evicts 1. 5 takes window 2, free: no eviction. 1 takes 3: evicts 3. 2 takes 1: evicts 4.",
    ),
    Case(
        "FLUSH begins at window 1 again", "byte-lookup,entries=2", "user",
        [flush(), load(0x1000), flush(), load(0x2000), load(0x3000), flush()],
        dict(faults_unmapped=3, maps=3, unmaps=3, host_calls=6, munmap_calls=3, evictions=0, peak_mappings=4),
        "The first FLUSH finds no used window, the second 1, the third 2: a munmap for each.",
    ),
    Case(
        "where the window after a FLUSH is", "byte-lookup,entries=2", "user", [load(0x1000), flush(), load(0x2000)],
        dict(peak_mappings=2, host_calls=3),
        "Window 1 again: page, the rest: 2. (In window 2 it would be: rest, page, guard: 3.)",
    ),
    Case(
        "peak_mappings", "byte-lookup,entries=4", "user",
        [load(0x1000), load(0x2000), flush_page(0x1000), load(0x3000), load(0x4000), flush()],
        dict(peak_mappings=7, host_calls=8),
        "m page, g guard, . free: mg...... 2, mgmg.... 4, ..mg.... 3 (the free window, the page, one run after it), "
        "..mgmg.. 5, ..mgmgmg 7. FLUSH: 1, and the peak stays. Calls: 4 mmap, 1 + 3 munmap.",
    ),
    Case(
        "a crossing access faults every time", "byte-lookup", "user",
        [load(0x1FFE), load(0x1FFE), load(0x1000), load(0x2000), load(0x1FFE), store(0x1FFE), store(0x1000),
         store(0x2000)],
        dict(faults=8, faults_cross=4, faults_unmapped=2, faults_write=2, maps=2, host_calls=4, mprotect_calls=2),
        "4 crossing rows, mapped or not, map nothing and make no call. The crossing store leaves both windows "
        "read-only, though the pages are dirty now: the next store to each faults.",
    ),
    Case(
        "a crossing store makes both pages dirty", "byte-lookup", "user",
        [store(0x1FFE), load(0x1000), load(0x2000), store(0x1000), store(0x2000)],
        dict(faults=3, faults_cross=1, faults_unmapped=2, faults_write=0),
        "Both pages are dirty before they are mapped, so the loads map them writable.",
    ),
    Case(
        "a crossing store drops all blocks of both pages", "byte-lookup", "user",
        [exec_(0x1100), exec_(0x2000), exec_(0x2F00), store(0x1FFE), exec_(0x1100), exec_(0x2000), exec_(0x2F00)],
        dict(faults_cross=1, faults=1, smc_stores=1, code_page_data_stores=1, translations=6, translated_insns=24,
             faults_code=0, host_calls=0, protects=0, blocks_dropped=3, retranslated_insns=12),
        "Page 1: beside its block. Page 2: bytes 0 and 1 hit 0x2000; 0x2f00 goes too. All three are translated again.",
    ),
    Case(
        "the low page's drop frees the high page", "byte-lookup", "user", [exec_(0x1FF8), store(0x1FFE), exec_(0x1FF8)],
        dict(smc_stores=1, code_page_data_stores=0, translations=2, faults=1, faults_cross=1),
        "The crossing block goes with page 1; page 2 is not a code page when its turn comes, so it counts nothing.",
    ),
    Case(
        "stores and execution alternate on a page", "byte-lookup", "user",
        [store(0x1100), exec_(0x1000), store(0x1104), exec_(0x1000), store(0x1004), exec_(0x1000), load(0x1000)],
        dict(faults=3, faults_unmapped=1, faults_code=2, protects=3, translations=3, translated_insns=12,
             code_page_data_stores=1, smc_stores=1, host_calls=6, mmap_calls=1, mprotect_calls=5),
        "Store: mapped writable. Each EXEC translates and protects (3). Each later store: faults_code, block dropped "
        "whether hit (0x1004) or not (0x1104). Calls: 1 mmap, 2 + 3 mprotect.",
    ),
    Case(
        "a store to an unmapped code page is one fault", "byte-lookup", "user",
        [exec_(0x1000), store(0x1800), exec_(0x1000), flush_page(0x1000), load(0x1100), store(0x1004)],
        dict(faults=3, faults_unmapped=2, faults_code=1, faults_write=0, code_page_data_stores=1, smc_stores=1,
             translations=2, protects=1, host_calls=5, unmaps=1),
        "Store: faults_unmapped, the block goes, writable at once. EXEC: protects. After FLUSH_PAGE the load maps a "
        "dirty code page: read-only. Store: faults_code. Calls: 2 mmap, 1 + 1 mprotect, 1 munmap.",
    ),
    Case(
        "two windows of one physical page", "byte-lookup", "system",
        [*_ALIAS, store(0x1000), store(0x2000), exec_(0x1F00), store(0x1000), load(0x2000), store(0x2000)],
        dict(faults=4, faults_unmapped=2, faults_code=1, faults_write=1, protects=2, code_page_data_stores=1,
             host_calls=6, mmap_calls=2, mprotect_calls=4),
        "Both windows writable; EXEC protects both (2). The store drops the block and opens window 1 alone; window 2 "
        "stays read-only, its page no longer code: faults_write.",
    ),
    Case(
        "dirty is kept for the physical page", "byte-lookup", "system",
        [*_ALIAS, map_(0x3000, 0x50), load(0x1000), load(0x2000), store(0x1000), store(0x2000), load(0x3000),
         store(0x3000)],
        dict(faults=5, faults_unmapped=3, faults_write=2),
        "Both read-only windows fault at their own first store; the third is mapped when the page is dirty: writable.",
    ),
    Case(
        "device memory", "byte-lookup", "system", [io_load(0x5000), io_store(0x5FFE), io_load(0x5000)],
        dict(faults=3, faults_io=3, faults_cross=0, maps=0, host_calls=0, table_lines=0, peak_mappings=1),
        "Each faults, the crossing one too, and is completed in the handler; nothing is mapped, no table line counts.",
    ),
    Case(
        "table_lines", "byte-lookup", "user", [load(k * 0x40000) for k in range(16)] + [load(0x0103FFFE)],
        dict(table_lines=19, faults_unmapped=16, faults_cross=1),
        "Pages 0, 0x40, ... 0x3c0: 16 lines of bytes. Bases 0 (read before each fault) to 15 are one line, base 16 a "
        "second. The crossing row reads the byte of page 0x103f (line 64; not of 0x1040, line 65) and base 0: 19.",
    ),
]  # fmt: skip
