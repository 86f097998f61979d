"""Hand-worked: which blocks softmmu-qemu10 looks up, and what code and devices do to the entries of data.

The place of a block in the jump cache: group (page ^ page >> 6) % 64, in it (vaddr ^ vaddr >> 6) % 64. So 0x1000 and
0x40000 share one: page 0x40 is in group 0 ^ 1, as page 1 is.
"""

from kit.traces import exec_, flush, flush_page, io_load, io_store, load, map_, store

from truth.oracle.guest import USER
from truth.schemes.softmmu_qemu10 import _case, _set_one

CASES = [
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
