/*
 * map-block, run for real: the indirection table, a pool of host blocks with an extra page each. See map_block.py.
 *
 * An entry is a host address less the guest address of its block. Blocks of the guest that have none lead to one
 * shared inaccessible block. The shift is an immediate, written into the instructions at start.
 */
#define _GNU_SOURCE
#include "engine.h"
#include "paths.h"

#include <ucontext.h>

enum { PATCH_SHIFT = 2, GUEST_BLOCKS = 1 << 20, MOST_BLOCKS = 1 << 21 };
enum evict { FIFO, LIFO, RANDOM };

/* guest_pages: of a block, without the extra one */
static uint32_t block_bits, guest_pages, block_pages, pool, group_pages;
static enum evict evict;
static uint32_t used, hand, seed = 1;
static uint32_t owner[MOST_BLOCKS]; /* guest block + 1 that has the host block */
static uint8_t *none;
__attribute__((used, aligned(64))) static uintptr_t block_table[GUEST_BLOCKS];

/* clang-format off */
#define LOOK_UP                                                                                                        \
    BEGIN                                                                                                              \
    "movl %%ecx, %%eax\n"                                                                                              \
    "shrl $31, %%eax\n" PATCHED(2, 1)                                                                                  \
    "movq block_table(, %%rax, 8), %%rax\n"
/* clang-format on */
#define LOAD(n, vaddr, at)                                                                                             \
    ({                                                                                                                 \
        uint64_t data_;                                                                                                \
        asm volatile(LOOK_UP CAN_FAULT LOAD_##n " (%%rax, %[access]), " INTO_##n "\n" END(0, n)                        \
                     : "=&d"(data_)                                                                                    \
                     : "c"(vaddr), [access] "r"(at)                                                                    \
                     : "rax", "cc", "memory");                                                                         \
        data_;                                                                                                         \
    })
#define STORE(n, vaddr, at, data)                                                                                      \
    asm volatile(LOOK_UP CAN_FAULT STORE_##n " " FROM_##n ", (%%rax, %[access])\n" END(1, n)                           \
                 :                                                                                                     \
                 : "c"(vaddr), [access] "r"(at), "d"(data)                                                             \
                 : "rax", "cc", "memory")
#include "loop.h"
#include "translate.h"

static void run(void)
{
    run_translated(run_rows);
}

static uintptr_t entry_of(uint32_t guest_block, uint8_t *block)
{
    return (uintptr_t)block - ((uintptr_t)guest_block << block_bits);
}

static bool has_block(uint32_t guest_block)
{
    return block_table[guest_block] != entry_of(guest_block, none);
}

/* The windows of its host block begin here. */
static size_t first_window(uint32_t guest_block)
{
    uintptr_t block = block_table[guest_block] + ((uintptr_t)guest_block << block_bits);
    return (block - (uintptr_t)reserve) >> PAGE_BITS;
}

static void start(void)
{
    uint64_t mib = parameter("pool_mib");
    block_bits = parameter("map_block_bits");
    guest_pages = 1u << (block_bits - PAGE_BITS);
    block_pages = guest_pages + 1;
    pool = mib ? (mib << 20) / ((uint64_t)block_pages << PAGE_BITS) : parameter("pool_blocks");
    group_pages = parameter("map_pages");
    evict = parameter("evict");
    reserve_start((size_t)pool * block_pages, 0);
    none = inaccessible((size_t)block_pages << PAGE_BITS);
    for (uint32_t guest_block = 0; guest_block < 1u << (32 - block_bits); guest_block++)
        block_table[guest_block] = entry_of(guest_block, none);
    patch_paths(PATCH_SHIFT, block_bits);
}

static uint32_t choose_block(void)
{
    uint32_t size = pool - (planted == PLANT_SMALL_POOL && pool > 1), chosen;
    if (used < size)
        return used++;
    switch (evict) {
    case LIFO:
        return size - 1;
    case RANDOM:
        seed = seed * 1664525 + 1013904223;
        return (uint64_t)seed * size >> 32;
    default:
        chosen = hand;
        hand = (hand + 1) % size;
        return chosen;
    }
}

static void take_block(uint32_t guest_block)
{
    uint32_t block = choose_block();
    if (owner[block]) {
        uint32_t before = owner[block] - 1;
        count[COUNT_evictions]++;
        unmap_windows((size_t)block * block_pages, block_pages);
        block_table[before] = entry_of(before, none);
    }
    owner[block] = guest_block + 1;
    block_table[guest_block] = entry_of(guest_block, reserve + (((size_t)block * block_pages) << PAGE_BITS));
}

/* The aligned group around a page comes along, as by a load: what is known and not mapped yet. */
static void map_group(uint32_t guest_block, uint32_t place)
{
    if (group_pages == 1 || place == guest_pages)
        return; /* the extra page is a group of its own */
    uint32_t from = place & ~(group_pages - 1);
    for (uint32_t other = from; other < from + group_pages && other < guest_pages; other++) {
        int64_t frame = known_frame(guest_block * guest_pages + other);
        if (frame >= 0 && shown(first_window(guest_block) + other) < 0)
            map_page(first_window(guest_block) + other, frame, false, 0, 0);
    }
}

/* Page `place` of the block: true if it was what the access needed. */
static bool serve(const struct row *row, uint32_t page, uint32_t place, uint32_t vaddr, uint32_t first, uint32_t last)
{
    uint32_t guest_block = row->vaddr >> block_bits;
    bool fresh = !has_block(guest_block);
    if (fresh) {
        settle_peak();
        fault_counted(COUNT_faults_block, row, vaddr);
        take_block(guest_block);
    }
    size_t window = first_window(guest_block) + place;
    if (shown(window) < 0) {
        if (!fresh)
            fault_counted(COUNT_faults_unmapped, row, vaddr);
        count[COUNT_mmap_calls]++;
        map_page(window, frame_of(page), row->store, first, last);
        map_group(guest_block, place);
        return true;
    }
    if (!row->store || writable(window))
        return false;
    allow_store(row, vaddr, window, first, last);
    return true;
}

/* One fault, one page: the first in address order that needs it. */
static bool fault(const struct row *row, uintptr_t address, long long *registers)
{
    uint32_t place = row->page & (guest_pages - 1);
    uintptr_t expected = block_table[row->vaddr >> block_bits] + row->vaddr;
    if (address < expected || address >= expected + row->size)
        return false;
    if (row->io) {
        fault_counted(COUNT_faults_io, row, row->vaddr);
        complete(row, registers);
        return true;
    }
    touched(row);
    if (!serve(row, row->page, place, row->vaddr, row->first, row->last) &&
        !(row->crosses && serve(row, row->second, place + 1, row->second << PAGE_BITS, 0, row->second_last)))
        return false;
    registers[REG_RAX] = block_table[row->vaddr >> block_bits];
    return true;
}

static void flush(void)
{
    for (uint32_t block = 0; block < used; block++) {
        unmap_windows((size_t)block * block_pages, block_pages);
        if (planted != PLANT_STALE_ENTRY)
            block_table[owner[block] - 1] = entry_of(owner[block] - 1, none);
        owner[block] = 0;
    }
    used = hand = 0;
}

static void unmap_page(uint32_t guest_block, uint32_t place)
{
    if (has_block(guest_block) && shown(first_window(guest_block) + place) >= 0)
        unmap_windows(first_window(guest_block) + place, 1);
}

static void flush_page(uint32_t page)
{
    uint32_t guest_block = page / guest_pages, place = page % guest_pages, blocks = 1u << (32 - block_bits);
    unmap_page(guest_block, place);
    if (place == 0) /* also the extra page of the block before */
        unmap_page((guest_block - 1) & (blocks - 1), guest_pages);
}

const struct scheme scheme = {
    .start = start,
    .run = run,
    .fault = fault,
    .protect = protect_windows,
    .flush = flush,
    .flush_page = flush_page,
};
