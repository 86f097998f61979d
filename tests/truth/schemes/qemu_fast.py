"""Hand-worked: qemu-fast (MODEL.md 6). In user mode the limit is set low, 0x3000, where a case needs a spell."""

from truth.oracle.mmap import QemuFast
from truth.rows import Case, exec_, flush, flush_page, io_load, io_store, load, map_, note, store

ORACLE = QemuFast
EMPTY = ["faults_block", "faults_cross", "faults_io", "evictions"]
ALWAYS_ZERO = ["table_bytes", "table_lines", "table_resident_bytes"]

SPECS = [
    "qemu-fast", "qemu-fast,guest_limit=0x100000000", "qemu-fast,kernel_offset=0x30000000",
    "qemu-fast,guest_limit=0x100000000,kernel_offset=0x30000000",
]  # fmt: skip
TIGHT = ["qemu-fast,guest_limit=0x40001000"]

_LOW = "qemu-fast,guest_limit=0x3000"
_PATCHED = "qemu-fast,kernel_offset=0x30000000"
_WIDE = "qemu-fast,guest_limit=0x100000000,kernel_offset=0x30000000"
_MAPS = [map_(0x1000, 0x50), map_(0x2000, 0x51)]

CASES = [
    Case(
        "load, store, crossing", "qemu-fast", "user",
        [load(0x1000), load(0x1FFC), store(0x1008), store(0x2000), load(0x2FFE), load(0x2FFE)],
        dict(faults=4, faults_unmapped=3, faults_write=1, faults_code=0, faults_softmmu=0, maps=3, unmaps=0,
             host_calls=4, mmap_calls=3, mprotect_calls=1, munmap_calls=0, protects=0, peak_mappings=4, tlb_fills=0,
             slow_misaligned=0, slow_cross=0, slow_io=0, slow_code=0, code_list_walks=0, searched_blocks=0,
             softmmu_accesses=0,
             table_bytes=0, table_lines=0, reserved_bytes=0xA8000000,
             faults_block=None, faults_cross=None, faults_io=None, evictions=None),
        "Page 1 by a load, its first store, page 2 by a store, page 3 by the crossing load, whose page 2 is mapped. "
        "VMAs at the end: page 0, 1w 2w, 3, rest.",
    ),
    Case(
        "a crossing access can fault twice", "qemu-fast", "user", [load(0x1FFE), store(0x1FFE), store(0x1FFE)],
        dict(faults=4, faults_unmapped=2, faults_write=2, maps=2, host_calls=4),
        "Once for each page: unmapped, then read-only.",
    ),
    Case(
        "the low page's drop frees the high page", "qemu-fast", "user",
        [load(0x1000), load(0x2000), exec_(0x1FF8), store(0x1FFE), exec_(0x1FF8)],
        dict(faults_unmapped=2, faults_code=1, faults_write=1, smc_stores=1, code_page_data_stores=0, translations=2,
             translated_insns=8, protects=2, host_calls=6),
        "faults_code for page 1 drops the crossing block; page 2 is read-only, no code: faults_write. 2 protects.",
    ),
    Case(
        "stores and execution alternate on a page", "qemu-fast", "user",
        [store(0x1100), exec_(0x1000), exec_(0x1800), store(0x1104), exec_(0x1000), exec_(0x1800), store(0x1004)],
        dict(faults=3, faults_unmapped=1, faults_code=2, protects=2, translations=4, code_page_data_stores=1,
             smc_stores=1, host_calls=5),
        "Each faults_code drops both blocks; the first EXEC after it protects, the second finds a code page.",
    ),
    Case(
        "mprotect amid a mapping splits it, and joins it again", "qemu-fast", "user",
        [store(0x1000), store(0x2000), store(0x3000), exec_(0x2000), store(0x2000), exec_(0x1000), exec_(0x3000),
         store(0x3000)],
        dict(faults=5, faults_unmapped=3, faults_code=2, protects=3, mprotect_calls=5, split_mappings=7,
             peak_mappings=5),
        "Pages 1w 2w 3w are one mapping. Page 2 read-only: two mappings more, and two less when it is opened. Page 1 "
        "has an inaccessible one below: one more. So page 3, and one less when it is opened: 2+2+1+1+1.",
    ),
    Case(
        "a page with a mapping of its own stays one", "qemu-fast", "user",
        [store(0x1000), exec_(0x1000), store(0x1000)],
        dict(faults=2, faults_code=1, protects=1, mprotect_calls=2, split_mappings=0, peak_mappings=3), "",
    ),
    Case(
        "two windows of one physical page", "qemu-fast", "system",
        [map_(0x1000, 0x50), map_(0x2000, 0x50), store(0x1000), store(0x2000), exec_(0x1F00), store(0x1000),
         store(0x2000)],
        dict(faults=4, faults_unmapped=2, faults_code=1, faults_write=1, protects=2, host_calls=6, mprotect_calls=4),
        "Both protected; the first store drops the block and opens its window, the other one faults as read-only.",
    ),
    Case(
        "FLUSH: one munmap if anything is mapped", "qemu-fast", "user",
        [flush(), load(0x1000), load(0x2000), load(0x9000), flush(), flush(), flush_page(0x1000)],
        dict(flushes=3, page_flushes=1, maps=3, unmaps=3, host_calls=4, munmap_calls=1),
        "Only the second finds pages, three of them; FLUSH_PAGE finds none.",
    ),
    Case(
        "a spell", "qemu-fast", "system",
        [*_MAPS, exec_(0x1000, 16, 3), load(0x1100), io_load(0x5000), load(0x1104), note(), load(0x1108),
         map_(0x3000, 0x53), io_store(0x5FFE), exec_(0x1000, 16, 3), load(0x110C), io_load(0x5FFE), load(0x1100)],
        dict(faults=3, faults_unmapped=1, faults_softmmu=2, softmmu_accesses=6, tlb_fills=1, slow_io=3, slow_cross=0,
             slow_misaligned=0, translations=1, translated_insns=3, maps=1, host_calls=1, io_accesses=3),
        "Direct, fault; IO begins a spell (1), TLB fill (2), hit (3), IO without a fault (4); neither annotation nor "
        "MAP ends it. EXEC ends it: direct, mapped. IO begins the second (5); the TLB lives on: hit (6). What is "
        "retranslated for a spell is not a translation.",
    ),
    Case(
        "FLUSH inside a spell", "qemu-fast", "system",
        [*_MAPS, load(0x1000), io_load(0x5000), load(0x1000), flush(), map_(0x1000, 0x52), load(0x1000),
         exec_(0x1000), load(0x1000)],
        dict(faults=3, faults_unmapped=2, faults_softmmu=1, softmmu_accesses=3, tlb_fills=2, maps=2, unmaps=1,
             host_calls=3, munmap_calls=1),
        "IO (1), fill (2). FLUSH unmaps the page and empties the TLB; the spell goes on: fill (3), no fault. After "
        "EXEC the page is unmapped.",
    ),
    Case(
        "FLUSH_PAGE inside a spell", "qemu-fast", "system",
        [*_MAPS, load(0x1000), load(0x2000), io_load(0x5000), load(0x1000), load(0x2000), flush_page(0x1000),
         map_(0x1000, 0x52), load(0x2000), load(0x1000), exec_(0x2000), load(0x1000), load(0x2000)],
        dict(faults=4, faults_unmapped=3, faults_softmmu=1, softmmu_accesses=5, tlb_fills=3, maps=3, unmaps=1,
             host_calls=4),
        "Fills for 1 and 2; FLUSH_PAGE takes page 1 from host and TLB: 2 hits, 1 fills. After EXEC 1 faults.",
    ),
    Case(
        "at the limit and above it", "qemu-fast", "user",
        [load(0xA7FFFFFC), load(0xA7FFFFFD), exec_(0x1000), load(0xA7FFFFFF, 1), load(0xA8000000), load(0xA8000002)],
        dict(faults=3, faults_unmapped=1, faults_softmmu=2, softmmu_accesses=3, slow_cross=1, slow_misaligned=1,
             tlb_fills=2, maps=1, host_calls=1),
        "The first ends at the limit: direct. The second ends above: spell, one crossing, two fills, although its "
        "first page is mapped. EXEC; the last byte below is direct. 0xa8000000: spell, hit; then a misaligned hit.",
    ),
    Case(
        "0xffffffff: the sum is not wrapped", "qemu-fast,guest_limit=0x100000000", "user",
        [load(0xFFFFFFFC), load(0xFFFFFFFE), exec_(0x1000), load(0xFFFFFFFF, 2)],
        dict(faults=3, faults_unmapped=1, faults_softmmu=2, softmmu_accesses=2, slow_cross=2, tlb_fills=2, maps=1,
             reserved_bytes=0x100000000),
        "The first ends at 2**32, the limit. The others end above it: pages 0xfffff and 0, filled once.",
    ),
    Case(
        "stores in a spell follow softmmu", _LOW, "user",
        [store(0x1100), exec_(0x1000), exec_(0x1040), load(0x3000), store(0x1100), store(0x1004), store(0x1046),
         store(0x1000), exec_(0x1000), exec_(0x1040), store(0x1100), exec_(0x1000), exec_(0x1040)],
        dict(faults=3, faults_unmapped=1, faults_softmmu=1, faults_code=1, softmmu_accesses=5, tlb_fills=2,
             slow_code=3, slow_misaligned=1, code_list_walks=3, smc_stores=2, code_page_data_stores=2, translations=6,
             translated_insns=24, searched_blocks=5, protects=2, host_calls=4, mprotect_calls=3, blocks_dropped=4,
             retranslated_insns=16),
        "Mapped writable, protected (1). Spell: fill; store at 0x1100: fill, beside code, walk; 0x1004 drops the first "
        "block, walk; 0x1046, misaligned, the second, walk; then no code page: plain. EXEC twice: translations 3, 4; "
        "the window is still read-only: no protect. Direct store: faults_code, both go. EXEC: 5, protect (2), 6.",
    ),
    Case(
        "a spell makes a page dirty but opens no window", _LOW, "user",
        [load(0x1000), load(0x3000), store(0x1000), exec_(0x2000), store(0x1004), flush_page(0x1000), load(0x1000),
         store(0x1000)],
        dict(faults=4, faults_unmapped=2, faults_softmmu=1, faults_write=1, softmmu_accesses=2, tlb_fills=2,
             host_calls=4, unmaps=1),
        "Window read-only; the spell's store makes the page dirty. Direct store: read-only still, faults_write. Mapped "
        "anew by a load the dirty page is writable.",
    ),
    Case(
        "ten walks, over several spells", _LOW, "user",
        [exec_(0x1000), load(0x3000)] + [store(0x1100)] * 11 + [exec_(0x2000), load(0x3000), store(0x1100)]
        + [exec_(0x1200), load(0x3000), store(0x1100)],
        dict(faults_softmmu=3, softmmu_accesses=16, slow_code=13, code_page_data_stores=13, code_list_walks=11,
             searched_blocks=12, tlb_fills=2, translations=3),
        "10 walks of 11; the second spell finds the bitmap; a block added to the page takes it away: walk 11, of two "
        "blocks.",
    ),
    Case(
        "a direct store's drop resets the count too", _LOW, "user",
        [exec_(0x1000), load(0x3000)] + [store(0x1100)] * 11 + [exec_(0x1000), store(0x1100), exec_(0x1000),
         load(0x3000), store(0x1100)],
        dict(faults=3, faults_softmmu=2, faults_unmapped=1, softmmu_accesses=14, slow_code=12, code_list_walks=11,
        searched_blocks=11,
             code_page_data_stores=13, translations=2, protects=1),
        "10 walks of 11. Direct store to the unmapped code page: block dropped. Translated again, the page protected; "
        "the next spell's store walks (11).",
    ),
    Case(
        "kernel_offset: the limit applies to where it moved", _PATCHED, "user",
        [load(0x90000000), load(0xD7FFFFFC), load(0xA8000000), load(0xD8000000), exec_(0x1000), load(0xD7FFFFFD),
         flush_page(0x90000000), exec_(0x1000), load(0x90000000), load(0x8FFFF000)],
        dict(faults=7, faults_unmapped=5, faults_softmmu=2, softmmu_accesses=2, tlb_fills=2, slow_cross=1, maps=5,
             unmaps=1, host_calls=6),
        "Host 0x60000, 0xa7fff (ends at the limit), 0x78000: direct. 0xd8000000 lies at the limit: spell, TLB page "
        "0xd8000 (not moved). 0xd7fffffd ends above: spell, fill 0xd7fff, 0xd8000 hits. FLUSH_PAGE unmaps host "
        "0x60000: faults again. 0x8ffff does not move.",
    ),
    Case(
        "kernel_offset: the first byte decides", _PATCHED, "user",
        [load(0x8FFFFFFE), load(0x90000000), store(0x90000000), flush_page(0x90000FFF), load(0x8FFFF000)],
        dict(faults=4, faults_unmapped=3, faults_write=1, maps=3, unmaps=2, host_calls=6, munmap_calls=2),
        "Host 0x8ffff and, not moved, 0x90000. Page 0x90000 by itself: host 0x60000, a second window; the store opens "
        "that one. FLUSH_PAGE reaches both places; 0x8ffff stays.",
    ),
    Case(
        "kernel_offset: page 0 after the moved last page", _WIDE, "user",
        [load(0xFFFFFFFE), load(0), load(0xFFFFFFFE), flush_page(0), load(0xFFFFF000)],
        dict(faults=3, faults_unmapped=3, faults_softmmu=0, maps=3, unmaps=2, host_calls=5),
        "0xcffffffe + 4 lies below the limit: host 0xcffff, and page 0 at host 0xd0000. Page 0 at host 0 as well. "
        "FLUSH_PAGE of page 0: both.",
    ),
    Case(
        "kernel_offset: a page with two windows is protected twice", _WIDE, "user",
        [store(0x8FFFFFFE), store(0x90000000), exec_(0x90000100), store(0x90000000)],
        dict(faults=4, faults_unmapped=3, faults_code=1, protects=2, code_page_data_stores=1, host_calls=6),
        "Host 0x8ffff, 0x90000, 0x60000, all writable; page 0x90000 becomes code: 2 protects. The store opens one.",
    ),
    Case(
        "peak_mappings", "qemu-fast,guest_limit=0x8000", "user",
        [load(0), load(0x7000), load(0x2000), load(0x1000), store(0x1000), load(0x4000), exec_(0x1000), flush()],
        dict(peak_mappings=7, protects=1, reserved_bytes=0x8000),
        "0....... 2; 0......7 3; 0.2....7 5; 012....7 3; 0|1w|2|....|7 5; 0|1w|2|.|4|..|7 7; then 012|.|4|..|7 5.",
    ),
    Case(
        "peak_mappings: neighbours must be physical neighbours", "qemu-fast,guest_limit=0x4000", "system",
        [map_(0, 0x50), map_(0x1000, 0x51), map_(0x2000, 0x51), map_(0x3000, 0x50), load(0), load(0x1000),
         load(0x2000), load(0x3000)],
        dict(peak_mappings=3, maps=4),
        "50... 2; 50 51.. 2; 50 51|51|. 3; 50 51|51|50 3: frames must rise by one.",
    ),
    Case(
        "crossing IO begins one spell", "qemu-fast", "system", [io_load(0x5FFE), io_load(0x5001)],
        dict(faults=1, faults_softmmu=1, softmmu_accesses=2, slow_io=2, slow_cross=0, slow_misaligned=0, tlb_fills=0),
        "IO counts slow_io and nothing else, in a spell as under softmmu.",
    ),
]  # fmt: skip
