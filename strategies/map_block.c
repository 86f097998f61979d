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

enum {
    PATCH_SHIFT = 2,
    GUEST_BLOCKS = 1 << 20,
    ENTRIES_OF_A_PAGE = PAGE_BYTES / sizeof(uintptr_t),
    MOST_BLOCKS = 1 << 21
};
enum evict { FIFO, LIFO, RANDOM };

/* guest_pages: of a block, without the extra one */
static uint32_t block_bits, guest_pages, block_pages, pool, group_pages;
static enum evict evict;
static uint32_t used, hand, seed = 1;
static int64_t owner[MOST_BLOCKS]; /* guest block that has the host block */
static uint8_t owned[MOST_BLOCKS];
static uint8_t *none;
#ifdef WIDE /* address space, of which the host gives what is used; signed, so the pointer leads to the middle */
static uintptr_t *block_table;
#else
__attribute__((used, aligned(64))) static uintptr_t block_table[GUEST_BLOCKS];
#endif

/* clang-format off */
#ifdef WIDE
#define INDEX "movq %%rcx, %%rax\n sarq $31, %%rax\n" PATCHED(2, 1) "movq (%[table], %%rax, 8), %%rax\n"
#define TABLE , [table] "r"(CONTEXT)
#undef CONTEXT
#define CONTEXT block_table
#else
#define INDEX "movl %%ecx, %%eax\n shrl $31, %%eax\n" PATCHED(2, 1) "movq block_table(, %%rax, 8), %%rax\n"
#define TABLE
#endif
#define LOOK_UP                                                                                                        \
    BEGIN                                                                                                              \
    INDEX
/* clang-format on */
#define LOAD(n, vaddr, at)                                                                                             \
    ({                                                                                                                 \
        uint64_t data_;                                                                                                \
        asm volatile(LOOK_UP CAN_FAULT LOAD_##n " (%%rax, %[access]), " INTO_##n "\n" END(0, n)                        \
                     : "=&d"(data_)                                                                                    \
                     : "c"(vaddr), [access] "r"(at)TABLE                                                               \
                     : "rax", "cc", "memory");                                                                         \
        data_;                                                                                                         \
    })
#define STORE(n, vaddr, at, data)                                                                                      \
    asm volatile(LOOK_UP CAN_FAULT STORE_##n " " FROM_##n ", (%%rax, %[access])\n" END(1, n)                           \
                 :                                                                                                     \
                 : "c"(vaddr), [access] "r"(at), "d"(data)TABLE                                                        \
                 : "rax", "cc", "memory")
#include "loop.h"
#include "translate.h"

static uint64_t context(bool user)
{
    return (uint64_t)block_table;
}

static void run(void)
{
    run_translated(run_rows);
}

static int64_t block_of_address(uint64_t vaddr)
{
    return ADDRESS_BITS == 32 ? (int64_t)(vaddr >> block_bits) : (int64_t)vaddr >> block_bits;
}

static uintptr_t entry_of(int64_t guest_block, uint8_t *block)
{
    return (uintptr_t)block - ((uintptr_t)guest_block << block_bits);
}

static bool has_block(int64_t guest_block)
{
    return block_table[guest_block] && block_table[guest_block] != entry_of(guest_block, none);
}

/* The windows of its host block begin here. */
static size_t first_window(int64_t guest_block)
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
    code_start(COUNT_extra_0);
    reserve_start((size_t)pool * block_pages, 0);
    none = inaccessible((size_t)block_pages << PAGE_BITS);
#ifdef WIDE
    uint64_t entries = (ADDRESS_PAGES << PAGE_BITS >> block_bits) + 2 * ENTRIES_OF_A_PAGE; /* and some at either end */
    block_table = (uintptr_t *)zeroed(entries * sizeof *block_table) + entries / 2;
#else
    for (int64_t guest_block = 0; guest_block < 1 << (ADDRESS_BITS - block_bits); guest_block++)
        block_table[guest_block] = entry_of(guest_block, none);
#endif
    patch_paths(PATCH_SHIFT, block_bits);
}

#ifdef WIDE
/* The page of the table that an access will read: what leads to no block, leads to the inaccessible one. */
static void prepare(uint64_t vaddr)
{
    uintptr_t *page = (uintptr_t *)((uintptr_t)&block_table[block_of_address(vaddr)] & ~(uintptr_t)PAGE_MASK);
    for (unsigned i = 0; i < ENTRIES_OF_A_PAGE && !page[i]; i++)
        page[i] = entry_of(page + i - block_table, none);
}
#endif

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

static void take_block(int64_t guest_block)
{
    uint32_t block = choose_block();
    if (owned[block]) {
        int64_t before = owner[block];
        count[COUNT_evictions]++;
        unmap_windows((size_t)block * block_pages, block_pages);
        block_table[before] = entry_of(before, none);
    }
    owner[block] = guest_block;
    owned[block] = 1;
    block_table[guest_block] = entry_of(guest_block, reserve + (((size_t)block * block_pages) << PAGE_BITS));
}

/* The aligned group around a page comes along, as by a load: what is known and not mapped yet. */
static void map_group(int64_t guest_block, uint32_t place)
{
    if (group_pages == 1 || place == guest_pages)
        return; /* the extra page is a group of its own */
    uint32_t from = place & ~(group_pages - 1);
    for (uint32_t other = from; other < from + group_pages && other < guest_pages; other++) {
        int64_t frame = known_frame((guest_block * guest_pages + other) & LAST_PAGE);
        if (frame >= 0 && shown(first_window(guest_block) + other) < 0)
            show_page(first_window(guest_block) + other, frame, writable_for_load(frame));
    }
}

/* One page of the access: page `place` of its block, and the bytes in it. */
struct part {
    uint64_t page, place, vaddr, first, last;
};

/* Does it keep code, so that the store to it is the handler's? */
static bool serve(const struct row *row, const struct part *part, enum counter cause)
{
    int64_t guest_block = block_of_address(row->vaddr);
    size_t window = first_window(guest_block) + part->place;
    bool mapped = shown(window) < 0;
    bool keeps = serve_page(row, window, frame_of(part->page), part->first, part->last, cause);
    if (mapped)
        map_group(guest_block, part->place);
    return keeps;
}

static enum counter cause_of(const struct row *row, const struct part *part)
{
    int64_t guest_block = block_of_address(row->vaddr);
    if (!has_block(guest_block))
        return COUNT_faults_block;
    return needed(row, first_window(guest_block) + part->place, frame_of(part->page));
}

/* One fault, one page: the first in address order that needs it. Where one keeps code, the row is done whole. */
static bool fault(const struct row *row, uintptr_t address, long long *registers)
{
    uint32_t place = row->page & (guest_pages - 1);
    uintptr_t expected = block_table[block_of_address(row->vaddr)] + row->vaddr;
    if (address < expected || address >= expected + row->size)
        return false;
    if (row->io) {
        fault_counted(COUNT_faults_io, row, row->vaddr);
        complete(row, registers);
        return true;
    }
    touched(row);
    const struct part parts[] = {{row->page, place, row->vaddr, row->first, row->last},
                                 {row->second, place + 1, row->second << PAGE_BITS, 0, row->second_last}};
    unsigned i = 0, n = row->crosses ? 2 : 1;
    enum counter cause = cause_of(row, parts);
    while (cause == NOT_NEEDED && ++i < n)
        cause = cause_of(row, &parts[i]);
    if (i == n)
        return false;
    settle_peak();
    fault_counted(cause, row, parts[i].vaddr);
    if (cause == COUNT_faults_block)
        take_block(block_of_address(row->vaddr));
    bool keeps = serve(row, &parts[i], cause);
    if (keeps && ++i < n && (cause = cause_of(row, &parts[i])) != NOT_NEEDED)
        serve(row, &parts[i], cause); /* in the same run, without a fault of its own */
    registers[REG_RAX] = block_table[block_of_address(row->vaddr)];
    if (keeps)
        complete(row, registers);
    return true;
}

static void flush(void)
{
    for (uint32_t block = 0; block < used; block++) {
        unmap_windows((size_t)block * block_pages, block_pages);
        if (planted != PLANT_STALE_ENTRY)
            block_table[owner[block]] = entry_of(owner[block], none);
        owned[block] = 0;
    }
    used = hand = 0;
}

static void unmap_page(int64_t guest_block, uint32_t place)
{
    if (has_block(guest_block) && shown(first_window(guest_block) + place) >= 0)
        unmap_windows(first_window(guest_block) + place, 1);
}

static void flush_page(uint64_t page)
{
    int64_t guest_block = block_of_address(page << PAGE_BITS), place = page % guest_pages, before = guest_block - 1;
    unmap_page(guest_block, place);
    if (place == 0) /* also the extra page of the block before */
        unmap_page(ADDRESS_BITS == 32 ? before & ((1 << (ADDRESS_BITS - block_bits)) - 1) : before, guest_pages);
}

const struct scheme scheme = {
    .start = start,
    .run = run,
    .context = context,
    .fault = fault,
    .protect = protect_windows,
    .flush = flush,
    .flush_page = flush_page,
#ifdef WIDE
    .prepare = prepare,
#endif
};
