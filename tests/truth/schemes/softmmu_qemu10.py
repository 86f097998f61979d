"""Hand-worked: softmmu-qemu10. Its tables begin with 256 sets: pages 1, 0x101, 0x201 and so on meet in set 1."""

from truth.oracle.guest import USER
from truth.oracle.reserve import COLUMNS as HOST_COLUMNS
from truth.oracle.softmmu_qemu10 import SoftmmuQemu10
from truth.rows import Case, Row, exec_, flush, flush_page, io_load, io_store, load, map_, store

ORACLE = SoftmmuQemu10
EMPTY = [*HOST_COLUMNS, "softmmu_accesses", "slow_misaligned", "code_list_walks"]
OWN = ["victim_hits", "tlb_resizes", "flushed_entries", "scanned_entries", "code_fetches", "code_fills", "io_fills"]
ALWAYS_ZERO = ["faults"]

SPECS = ["softmmu-qemu10", "softmmu-qemu10,window_insns=0"]
TIGHT = ["softmmu-qemu10,window_insns=3000,min_bits=1,first_bits=2,max_bits=4"]
TIGHT += ["softmmu-qemu10,window_insns=20000,min_bits=2,first_bits=3,max_bits=5"]

_DATA = store(0x1100)  # beside the block 0x1000..0x100f
_CODE = 0x900000


def _pages(count: int, first: int = 0) -> list[Row]:
    """Loads of so many neighbouring pages."""
    return [load((first + i) * 0x1000) for i in range(count)]


def _set_one(number: int) -> int:
    """The address of the page that is this one of those in set 1."""
    return 0x1000 + number * 0x100000


def _wait(insns: int) -> Row:
    """So much time passes, by the guest's clock."""
    return exec_(_CODE, 16, insns)


def _case(name: str, rows: list[Row], expect: dict, why: str, mode: str = "user", **options: int) -> Case:
    settings = "".join(f",{key}={value}" for key, value in options.items())
    return Case(name, "softmmu-qemu10" + settings, mode, rows, expect, why)


CASES = [
    _case(
        "load, then first store: one fill",
        [load(0x1000), load(0x1004), store(0x1008), store(0x100C), load(0x1000)],
        dict(tlb_fills=1, victim_hits=0, tlb_resizes=0, flushed_entries=0, scanned_entries=0, slow_cross=0,
             code_fetches=0, code_fills=0, io_fills=0, slow_io=0, slow_code=0,
             table_bytes=16384, table_lines=1, table_resident_bytes=4096, faults=0, translations=0,
             slow_misaligned=None, code_list_walks=None, softmmu_accesses=None, faults_unmapped=None,
             faults_block=None, faults_write=None, faults_code=None, faults_cross=None, faults_io=None,
             faults_softmmu=None, maps=None, unmaps=None, host_calls=None, protects=None, evictions=None,
             peak_mappings=None, reserved_bytes=None, mmap_calls=None, mprotect_calls=None, munmap_calls=None,
             split_mappings=None),
        "The load misses, and its fill enters the write side too. 2 tables * 256 entries * 32 bytes; read and write "
        "side lie in one entry, so in one line.",
    ),
    _case(
        "misaligned within a page is a hit",
        [load(0x1000), load(0x1002), load(0x1001, 3), load(0x1004, 8), store(0x1001, 2), load(0x1FC1, 63)],
        dict(tlb_fills=1, misaligned=3, slow_cross=0),
        "The first load misses; misalignment counts in the shape alone. 0x1fc1 + 63 ends the page.",
    ),
    _case(
        "a copy between two pages of one set lives on the victims",
        [load(_set_one(0)), store(_set_one(1)), load(_set_one(0)), store(_set_one(1)), load(_set_one(0))],
        dict(tlb_fills=2, victim_hits=3),
        "Each is filled once. Then they trade places: load 1, store 0x101, load 1.",
    ),
    _case(
        "eight victims, the oldest goes",
        [load(_set_one(i)) for i in (*range(10), 0, 8, 1)], dict(tlb_fills=12, victim_hits=1),
        "10 fills push pages 0..7 into victims 0..7, page 8 into victim 0 again: page 0 is lost. Load 0: fill, which "
        "pushes 9 into victim 1, page 1 is lost. Load 8: in victim 0, swap. Load 1: fill.",
    ),
    _case(
        "a page that was only loaded serves stores as a victim",
        [load(_set_one(0)), load(_set_one(1)), store(_set_one(0)), load(_set_one(1)), load(_set_one(0))],
        dict(tlb_fills=2, victim_hits=3), "Two fills; the store swaps, and so do the loads.",
    ),
    _case(
        "a store to a code page finds no victim",
        [exec_(0x1000), _DATA, load(0x101000), _DATA, load(0x101000), load(0x1104)],
        dict(tlb_fills=2, code_fills=1, victim_hits=2, slow_code=2, code_page_data_stores=2),
        "The block's fill serves the first store. Page 0x101: fill, page 1 is a victim, marked as code: the store is a "
        "fill, and a helper. The loads swap, for the mark is for stores.",
    ),
    _case(
        "crossing: both pages looked up each time", [load(0x7FFE), store(0x7FFF, 2), load(0x7FFD, 5)],
        dict(slow_cross=3, page_cross=3, tlb_fills=2, table_lines=1),
        "Load: 7 and 8 miss. Then hits. The hit path read entry 7 alone.",
    ),
    _case(
        "crossing from page 0xfffff to page 0, and both are there", [load(0xFFFFFFFE), load(0), load(0xFFFFF000)],
        dict(slow_cross=1, tlb_fills=2, table_lines=2), "Sets 255 and 0: lines 127 and 0.",
    ),
    _case(
        "device memory", [io_load(0x5FFE), io_store(0x5001), io_store(0x5000), flush()],
        dict(slow_io=3, slow_cross=0, tlb_fills=0, io_fills=1, slow_code=0, table_lines=0, io_accesses=3,
             flushed_entries=256),
        "The helper each time; its page is filled once, into the kernel's table, which is flushed.", "system",
    ),
    _case(
        "kernel and user have tables of their own",
        [map_(0x1000, 0x10)] + [op(0x1000, 4, flags) for op in (load, store, load) for flags in (0, USER)],
        dict(tlb_fills=2, mode_switches=5, table_lines=2), "The first load of each misses.", "system",
    ),
    _case(
        "a mode has victims of its own",
        [map_(0x1000, 0x10), map_(0x101000, 0x11), load(0x1000), load(0x101000), load(0x1000, 4, 0), load(0x1000)],
        dict(tlb_fills=3, victim_hits=1), "The kernel does not find the user's victim: fill. The user does.", "system",
    ),
    _case(
        "a user-mode trace runs in user mode", [load(0x1000, 4, 0), load(0x1000, 4, USER)],
        dict(tlb_fills=1, mode_switches=1), "The flag of the first row is wrong; the user's table serves it.",
    ),
    _case(
        "a helper for every store to a code page, while it is one",
        [exec_(0x1000)] + [_DATA] * 12 + [store(0x1008), _DATA, exec_(0x1000), _DATA],
        dict(tlb_fills=0, code_fills=1, code_fetches=1, slow_code=14, code_page_data_stores=13, smc_stores=1,
             translations=2, translated_insns=8, scanned_entries=1056, searched_blocks=14),
        "The block filled the page. 12 data stores, 1 on the block, which goes: the next store is plain. Translated "
        "again: helper 14. It becomes a code page twice: 2 * (256 + 256 + 8 + 8) entries are looked at.",
    ),
    _case(
        "the blocks of both pages are searched, each before its own go",
        [exec_(0x1000), exec_(0x1040), exec_(0x1FF8, 16), exec_(0x2100), exec_(0x2200), store(0x1100), store(0x1FFE),
         store(0x2300)],
        dict(slow_code=4, slow_cross=1, smc_stores=1, code_page_data_stores=3, blocks_dropped=1, searched_blocks=10,
             translations=5, tlb_fills=0, code_fills=2),
        "Page 1 has three blocks, page 2 three, for one lies in both. 3 beside code; the crossing store drops that one "
        "from page 1 after 3, so page 2 has 2, beside which it stores; again 2.",
    ),
    _case(
        "what a page that becomes a code page costs grows with the tables",
        [exec_(0x1FF8, 16), exec_(0x1000), *_pages(182), flush(), exec_(0x5000)],
        dict(scanned_entries=1840, translations=3),
        "The block lies in pages 1 and 2: 2 * 528; page 1 is a code page already. With 512 user entries: 784 more.",
    ),
    _case(
        "only the blocks that the store overlaps are dropped",
        [exec_(0x1000, 16, 4), exec_(0x1008, 16, 3), exec_(0x1010, 16, 2), store(0x100C, 4), exec_(0x1000, 16, 4),
         exec_(0x1008, 16, 3), exec_(0x1010, 16, 2)],
        dict(translations=5, translated_insns=16, smc_stores=1, slow_code=1, blocks_dropped=2, retranslated_insns=7),
        "4 + 3 + 2 and again 4 + 3.",
    ),
    _case(
        "the low page's drop frees the high page", [exec_(0x1FF8, 16), store(0x1FFE), exec_(0x1FF8)],
        dict(slow_cross=1, slow_code=1, tlb_fills=0, code_fills=2, smc_stores=1, code_page_data_stores=0,
             translations=2),
        "Pages 1 and 2 are filled for the block, which goes with the store to page 1: page 2 is not a code page when "
        "its turn comes.",
    ),
    _case(
        "FLUSH_PAGE reaches entry and victim of both modes",
        [map_(0x1000, 0x10), map_(0x101000, 0x11)]
        + [load(page, 4, flags) for flags in (0, USER) for page in (0x1000, 0x101000)]
        + [flush_page(0x1FFF), map_(0x1000, 0x12), load(0x1000, 4, 0), load(0x1000), load(0x101000, 4, 0),
           flush_page(0x101000), map_(0x101000, 0x11), load(0x101000, 4, 0), load(0x101000)],
        dict(tlb_fills=8, victim_hits=1, page_flushes=2, flushed_entries=0),
        "4 fills; page 1 is a victim in both: 2 fills, which push 0x101 out; the kernel swaps it back. Dropped: from "
        "the kernel's table, from the user's victims: 2 fills.", "system",
    ),
    _case(
        "FLUSH drops victims too",
        [load(_set_one(0)), load(_set_one(1)), flush(), load(_set_one(1)), load(_set_one(0)), flush()],
        dict(tlb_fills=4, victim_hits=0, flushed_entries=512, tlb_resizes=0), "256 entries are cleared, twice.",
    ),
    _case(
        "a clean mode is not flushed",
        [map_(0x1000, 0x10), load(0x1000, 4, 0), flush(), flush(), map_(0x1000, 0x10), load(0x1000), flush()],
        dict(flushes=3, tlb_fills=2, flushed_entries=512), "The kernel's 256, nothing, the user's 256.", "system",
    ),
    _case(
        "182 of 256 entries: it doubles",
        [*_pages(182), flush(), load(0x1000), load(0x101000), load(0x1000)],
        dict(tlb_fills=184, victim_hits=0, tlb_resizes=1, flushed_entries=512, table_bytes=24576, table_lines=92),
        "18200 / 256 is 71 in whole numbers. 512 sets are cleared, pages 1 and 0x101 no longer meet. 256 + 512 entries "
        "of 32 bytes. Lines: 91 for pages 0..181, page 1's is one of them, 0x101's is new.",
    ),
    _case(
        "181 of 256 entries: it stays", [*_pages(181), flush(), load(0x1000), load(0x101000), load(0x1000)],
        dict(tlb_fills=183, victim_hits=1, tlb_resizes=0, flushed_entries=256, table_bytes=16384),
        "18100 / 256 is 70, which is not above 70.",
    ),
    _case(
        "a fill that drops the page's own victim counts one less",
        [exec_(0x1000), load(_set_one(1)), _DATA, load(_set_one(1)), _DATA, flush()],
        dict(tlb_fills=3, code_fills=1, victim_hits=1, slow_code=2, tlb_resizes=1, flushed_entries=512),
        "The block: 1 in use. Page 0x101: pushed out, filled: 1. The store finds no victim: 1 less for the victim that "
        "it drops, 1 less for 0x101, 1 more: 0. A swap: 0. The store again: -1, which reads as full: it doubles.",
    ),
    _case(
        "an entry that is pushed out counts no more", [load(i * 0x1000) for i in range(300)] + [flush(), *_pages(300)],
        dict(tlb_fills=600, tlb_resizes=1, victim_hits=0, flushed_entries=512),
        "300 fills, 44 pushed out: all 256 are in use, so it doubles; then 300 pages fit.",
    ),
    _case(
        "a table grows no further than max_bits", [*_pages(182), flush(), *_pages(182), flush()],
        dict(tlb_resizes=0, flushed_entries=512, tlb_fills=364), "max_bits=8: it stays at 256.", max_bits=8,
    ),
    _case(
        "46 entries in the window: 128 sets", [*_pages(46), _wait(11), flush(), flush()],
        dict(tlb_resizes=1, flushed_entries=128, table_bytes=16384),
        "4600 / 256 is 17, and 11 instructions are more than 10. 64 sets would be 71 % full: 128. Nothing was filled "
        "before the second FLUSH. The largest was 256 + 256 entries.", window_insns=10,
    ),
    _case(
        "45 entries in the window: 64 sets", [*_pages(45), _wait(11), flush(), *_pages(46), flush()],
        dict(tlb_resizes=2, flushed_entries=192), "4500 / 64 is 70: 64 sets. 46 of 64 are 71 %: it doubles at once, "
        "whatever the window.", window_insns=10,
    ),
    _case(
        "nothing shrinks below min_bits", [*_pages(1), _wait(11), flush(), *_pages(1), _wait(11), flush()],
        dict(tlb_resizes=1, flushed_entries=128), "One entry would do; 64 is the least.", window_insns=10,
    ),
    _case(
        "nothing shrinks before the window is over", [*_pages(45), _wait(10), flush()],
        dict(tlb_resizes=0, flushed_entries=256), "10 instructions are not more than 10.", window_insns=10,
    ),
    _case(
        "at 30 % it stays, a window later it does not",
        [*_pages(77), _wait(11), flush(), *_pages(76), _wait(11), flush(), *_pages(1), _wait(11), flush()],
        dict(tlb_resizes=1, flushed_entries=640),
        "7700 / 256 is 30: it stays, and a window begins with 77. FLUSH 2 ends it (22 > 11 + 10): 77 is its most. "
        "The next begins with 76: 29 % at FLUSH 3, and 76 of 128 are 59 %. 256 + 256 + 128.", window_insns=10,
    ),
    _case(
        "the most in use of a whole window counts",
        [*_pages(100), flush(), _wait(11), *_pages(1), flush(), _wait(11), *_pages(1), flush()],
        dict(tlb_resizes=1, flushed_entries=576),
        "FLUSH 1 at 0 instructions: 100 in use. FLUSH 2 at 11: the most is 100, 39 %, stays; the window is over, a new "
        "one begins with 1. FLUSH 3 at 22: over again, the most is 1: 64 sets. 256 + 256 + 64.", window_insns=10,
    ),
    _case(
        "a resize begins a window", [*_pages(182), _wait(11), flush(), _wait(10), *_pages(1), flush(), _wait(1),
                                     *_pages(1), flush()],
        dict(tlb_resizes=2, flushed_entries=1088),
        "512 sets from 11 on. At 21 the window is not over; at 22 it is, with 1 entry at most: 64. 512 + 512 + 64.",
        window_insns=10,
    ),
    _case(
        "blocks that are entered again pass the time too", [*_pages(1), *[_wait(4)] * 3, flush()],
        dict(tlb_resizes=1, translations=1, scanned_entries=528), "4 + 4 + 4 is more than 11.", window_insns=11,
    ),
    _case(
        "QEMU's count of entries in use goes below zero",
        [load(_set_one(0)), load(_set_one(1)), flush_page(_set_one(0)), flush_page(_set_one(1)), flush()],
        dict(tlb_fills=2, tlb_resizes=1, flushed_entries=512),
        "1; pushed out and filled: 1; the victim is dropped and taken off again: 0; the entry: -1, which is unsigned "
        "and so above 70 %: it doubles.",
    ),
    _case(
        "two sets: neighbours never meet", [load(0x1FFE), load(0x1000), load(0x2000), load(0x3000), load(0x1000)],
        dict(slow_cross=1, tlb_fills=3, victim_hits=1, table_bytes=128, table_lines=1),
        "Pages 1 and 2 fill sets 1 and 0; page 3 pushes 1 out; it comes back. 2 * 2 * 32 bytes, a line a mode.",
        first_bits=1, min_bits=1,
    ),
]  # fmt: skip

# Which blocks are looked up, and what code and devices do to the entries of data. The place of a block in the jump
# cache: group (page ^ page >> 6) % 64, in it (vaddr ^ vaddr >> 6) % 64. So 0x1000 and 0x40000 share one: page 0x40 is
# in group 0 ^ 1, as page 1 is.
CASES += [
    _case(
        "a page is looked up when it is entered, and not while code stays in it",
        [exec_(0x1000), exec_(0x1010), exec_(0x1000), exec_(0x1020), load(0x1100), store(0x1100)],
        dict(code_fetches=1, code_fills=1, tlb_fills=0, slow_code=1),
        "The first block enters page 1. The fill enters the sides for loads and stores, too.",
    ),
    _case(
        "what data filled serves code", [store(0x1100), exec_(0x1000)], dict(tlb_fills=1, code_fetches=1, code_fills=0),
        "The lookup finds the page in its set.",
    ),
    _case(
        "jumps between pages that are remembered need no lookup",
        [exec_(0x1000), exec_(0x2000), exec_(0x1000), exec_(0x2000), exec_(0x1010)],
        dict(code_fetches=3, code_fills=2),
        "Two pages entered. 0x1000 and 0x2000 are held; 0x1010 comes from page 2 and is not.",
    ),
    _case(
        "what was entered inside its page is not remembered",
        [exec_(0x1000), exec_(0x1010), exec_(0x2000), exec_(0x1010), exec_(0x2000), exec_(0x1010)],
        dict(code_fetches=3, code_fills=2), "Pages 1 and 2, then 0x1010 from page 2: from there on it is held.",
    ),
    _case(
        "two blocks at one place of the jump cache push each other out",
        [exec_(0x1000), exec_(0x40000)] * 3 + [exec_(0x1041), exec_(0x40000), exec_(0x2000), exec_(0x40000)],
        dict(code_fetches=9, code_fills=3),
        "0x1000 and 0x40000: 6 lookups. 0x41 ^ 1 is 64, place 0 again: 0x1041 pushes 0x40000 out, and that comes back: "
        "8. Page 2 is new: 9; 0x40000 is held.",
    ),
    _case(
        "FLUSH forgets pages and jumps",
        [exec_(0x1000), exec_(0x2000), flush(), exec_(0x2000), exec_(0x1000), exec_(0x2000)],
        dict(code_fetches=4, code_fills=4, flushed_entries=256), "2 before it, 2 behind it; the last one is held.",
    ),
    _case(
        "FLUSH_PAGE forgets the page, also where code stays in it",
        [exec_(0x1000), flush_page(0x1000), exec_(0x1010)], dict(code_fetches=2, code_fills=2),
        "The entry is gone, and the page counts as not entered.",
    ),
    _case(
        "FLUSH_PAGE forgets jumps to the page before and to its own group, and no others",
        [exec_(0x1000), exec_(0x5000), flush_page(0x2000), exec_(0x1000), exec_(0x5000), flush_page(0x41000),
         exec_(0x1000), exec_(0x5000), flush_page(0x44000), exec_(0x1000), exec_(0x5000)],
        dict(code_fetches=5, code_fills=2),
        "Two pages entered. Groups 2 and 1: 0x1000 is looked up, 0x5000 not. Pages 0x41 and 0x40, groups 0 and 1: the "
        "same. Pages 0x44 and 0x43, groups 5 and 2: 0x5000 is looked up, 0x1000 not.",
    ),
    _case(
        "each mode enters a page for itself, and they share the jump cache",
        [map_(0x1000, 0x10), map_(0x2000, 0x11), exec_(0x1000, flags=0), exec_(0x1000), exec_(0x1000, flags=0),
         exec_(0x1010, flags=0), exec_(0x2000), exec_(0x1000)],
        dict(code_fetches=3, code_fills=3),
        "The kernel and the user enter page 1, the user page 2; 0x1000 is held.", "system",
    ),
    _case(
        "a block that crosses looks both pages up",
        [exec_(0x1FF8), exec_(0x2010), exec_(0x1FF8), exec_(0x2010), exec_(0x1FF8)],
        dict(code_fetches=3, code_fills=2, translations=2),
        "Pages 1 and 2, filled. It began in page 1: page 2 is entered only now, and found. Then both are held.",
    ),
    _case(
        "a block that crosses from page 0xfffff into page 0", [exec_(0xFFFFFFF8), load(0), exec_(0x10)],
        dict(code_fetches=3, code_fills=2, tlb_fills=0), "Both pages are filled; page 0 is entered, and found.",
    ),
    _case(
        "code pushes data out, and data code",
        [load(_set_one(0)), exec_(_set_one(1)), load(_set_one(0)), exec_(0x5000), exec_(_set_one(1) + 16)],
        dict(tlb_fills=1, code_fills=2, code_fetches=3, victim_hits=2),
        "Page 0x101 pushes 1 out; the load swaps it back. From page 5 a block of 0x101 that is not held: it swaps.",
    ),
    _case(
        "a code page's victim serves code, marked as it is",
        [exec_(_set_one(0)), load(_set_one(1)), exec_(0x5000), exec_(_set_one(0) + 16), store(_set_one(0) + 64)],
        dict(tlb_fills=1, code_fills=2, code_fetches=3, victim_hits=1, slow_code=1),
        "The mark is for stores. After the swap the page is in its set: the store calls the helper, without a fill.",
    ),
    _case(
        "code that is looked up makes its mode one to flush",
        [map_(0x1000, 0x10), exec_(0x1000, flags=0), flush(), flush()], dict(flushed_entries=256, tlb_fills=0),
        "The kernel's table, once.", "system",
    ),
    _case(
        "each mode has its own entry for a device", [io_load(0x5000), io_store(0x5000, flags=USER), io_load(0x5008)],
        dict(io_fills=2, slow_io=3, tlb_fills=0, pages=0), "One for the kernel, one for the user.", "system",
    ),
    _case(
        "a device's entry pushes others out, and serves nobody as a victim",
        [map_(0x101000, 0x11), load(0x101000, flags=0), io_load(0x1000), load(0x101000, flags=0), io_load(0x1000),
         load(0x101000, flags=0)],
        dict(tlb_fills=1, io_fills=2, victim_hits=2),
        "Page 1 pushes 0x101 out, which swaps; now the device is a victim, and is filled anew: 0x101 is pushed out "
        "again, and swaps.", "system",
    ),
    _case(
        "an access to a device that crosses fills its first page", [io_load(0x5FFE), io_load(0x5000), io_load(0x6000)],
        dict(io_fills=2, slow_io=3, slow_cross=0), "Page 5, and then page 6.", "system",
    ),
    _case(
        "MAP drops the device's entry of both modes, in its set and among the victims",
        [io_load(0x1000), io_load(0x1000, flags=USER), io_load(0x101000, flags=USER), map_(0x1000, 0x10),
         load(0x1000, flags=0), load(0x1000), map_(0x1000, 0x10), load(0x1000), flush()],
        dict(io_fills=3, tlb_fills=2, victim_hits=0, flushed_entries=512, tlb_resizes=0),
        "Kernel: 1 in use, dropped, filled. User: page 1 is a victim, dropped. The load fills, and pushes 0x101 out. A "
        "MAP of what is known drops nothing.", "system",
    ),
    _case(
        "MAP, device, MAP: each time a fill",
        [map_(0x1000, 0x10), load(0x1000, flags=0), flush_page(0x1000), io_load(0x1000)] * 3,
        dict(tlb_fills=3, io_fills=3, victim_hits=0), "FLUSH_PAGE drops the RAM's entry, MAP the device's.", "system",
    ),
]  # fmt: skip
