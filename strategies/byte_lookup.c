/*
 * byte-lookup, run for real: a byte for each guest page, and windows of two host pages. See byte_lookup.py.
 *
 * An access that crosses must meet the inaccessible page behind its window. Where a row of several pieces crosses
 * between two of them, none would: it begins with two bytes around the border.
 */
#define _GNU_SOURCE
#include "engine.h"
#include "paths.h"

#include <ucontext.h>

enum { MAX_ENTRIES = 255 };

static uint64_t entries;
static uint32_t hand;
static uint64_t owner[MAX_ENTRIES + 1]; /* guest page + 1 that has the window */
static uint8_t *none;
#ifdef WIDE /* address space, of which the host gives what is used; signed, so the pointer leads to the middle */
static uint8_t *byte_lookup;
#else
__attribute__((used, aligned(64))) static uint8_t byte_lookup[PAGES];
#endif
__attribute__((used, aligned(64))) static uint8_t *byte_base[MAX_ENTRIES + 1];

/* clang-format off */
#ifdef WIDE
#define INDEX "movq %%rcx, %%rax\n sarq $12, %%rax\n movzbl (%[lookup], %%rax), %%eax\n"
#define LOOKUP , [lookup] "r"(CONTEXT)
#undef CONTEXT
#define CONTEXT byte_lookup
#else
#define INDEX "movl %%ecx, %%eax\n shrl $12, %%eax\n movzbl byte_lookup(%%rax), %%eax\n"
#define LOOKUP
#endif
/* clang-format on */
#define LOOK_UP                                                                                                        \
    BEGIN                                                                                                              \
    INDEX                                                                                                              \
    "movq byte_base(, %%rax, 8), %%rax\n"                                                                              \
    "movl %k[access], %%esi\n"                                                                                         \
    "andl $4095, %%esi\n"
#define LOAD(n, vaddr, at)                                                                                             \
    ({                                                                                                                 \
        uint64_t data_;                                                                                                \
        asm volatile(LOOK_UP CAN_FAULT LOAD_##n " (%%rax, %%rsi), " INTO_##n "\n" END(0, n)                            \
                     : "=&d"(data_)                                                                                    \
                     : "c"(vaddr), [access] "r"(at)LOOKUP                                                              \
                     : "rax", "rsi", "cc", "memory");                                                                  \
        data_;                                                                                                         \
    })
#define STORE(n, vaddr, at, data)                                                                                      \
    asm volatile(LOOK_UP CAN_FAULT STORE_##n " " FROM_##n ", (%%rax, %%rsi)\n" END(1, n)                               \
                 :                                                                                                     \
                 : "c"(vaddr), [access] "r"(at), "d"(data)LOOKUP                                                       \
                 : "rax", "rsi", "cc", "memory")

#define BORDER (vaddr | PAGE_MASK)
#define PIECES_FIRST                                                                                                   \
    if ((vaddr & PAGE_MASK) + size > PAGE_BYTES) {                                                                     \
        if (store)                                                                                                     \
            STORE(2, vaddr, BORDER, 0);                                                                                \
        else                                                                                                           \
            (void)LOAD(2, vaddr, BORDER);                                                                              \
    }
#include "loop.h"
#include "translate.h"

static uint64_t context(bool user)
{
    return (uint64_t)byte_lookup;
}

static void run(void)
{
    run_translated(run_rows);
}

static size_t page_of(uint32_t window)
{
    return 2 * (window - 1); /* its second page stays inaccessible */
}

static void start(void)
{
    entries = parameter("entries");
    code_start(COUNT_extra_0);
#ifdef WIDE
    byte_lookup = (uint8_t *)zeroed(ADDRESS_PAGES) + ADDRESS_PAGES / 2;
#endif
    reserve_start(2 * entries, 0);
    byte_base[0] = none = inaccessible(2 * PAGE_BYTES);
    for (uint32_t window = 1; window <= entries; window++)
        byte_base[window] = reserve + (page_of(window) << PAGE_BITS);
}

/* Strict round robin: the handler never sees hits, so it knows nothing better. */
static bool give_window(const struct row *row)
{
    uint32_t window = hand = hand % (entries - (planted == PLANT_SMALL_POOL && entries > 1)) + 1;
    if (owner[window]) {
        count[COUNT_evictions]++;
        byte_lookup[page_index(owner[window] - 1)] = 0;
        replace_page(page_of(window));
    }
    owner[window] = row->page + 1;
    byte_lookup[page_index(row->page)] = window;
    return serve_page(row, page_of(window), frame_of(row->page), row->first, row->last, COUNT_faults_unmapped);
}

/* Its window is there: a store may need more. */
static bool serve(const struct row *row)
{
    size_t window = page_of(byte_lookup[page_index(row->page)]);
    enum counter cause = needed(row, window, frame_of(row->page));
    if (cause == COUNT_faults_unmapped || cause == NOT_NEEDED)
        wrong("the byte of page %#lx names a window that does not show it", (unsigned long)row->page);
    fault_counted(cause, row, row->vaddr);
    return serve_page(row, window, frame_of(row->page), row->first, row->last, cause);
}

static bool fault(const struct row *row, uintptr_t address, long long *registers)
{
    bool keeps_code = false;
    if (!in_reserve(address) && address - (uintptr_t)none >= 2 * PAGE_BYTES)
        return false;
    if (row->io) {
        fault_counted(COUNT_faults_io, row, row->vaddr);
        complete(row, registers);
    } else if (row->crosses) {
        fault_counted(COUNT_faults_cross, row, row->vaddr);
        if (row->store) {
            note_store(frame_of(row->page), row->first, row->last);
            note_store(frame_of(row->second), 0, row->second_last);
        }
        complete(row, registers);
    } else if (!byte_lookup[page_index(row->page)]) {
        fault_counted(COUNT_faults_unmapped, row, row->vaddr);
        keeps_code = give_window(row);
        registers[REG_RAX] = (uintptr_t)byte_base[byte_lookup[page_index(row->page)]];
    } else {
        keeps_code = serve(row);
    }
    if (keeps_code)
        complete(row, registers);
    return true;
}

static void take_back(uint32_t window)
{
    unmap_windows(page_of(window), 1);
    if (planted != PLANT_STALE_ENTRY)
        byte_lookup[page_index(owner[window] - 1)] = 0;
    owner[window] = 0;
}

static void flush(void)
{
    for (uint32_t window = 1; window <= entries; window++)
        if (owner[window])
            take_back(window);
    hand = 0;
}

static void flush_page(uint64_t page)
{
    if (byte_lookup[page_index(page)])
        take_back(byte_lookup[page_index(page)]);
}

static void touch_tables(uint64_t page)
{
    touch(&byte_lookup[page_index(page)]);
}

const struct scheme scheme = {
    .start = start,
    .run = run,
    .context = context,
    .fault = fault,
    .protect = protect_windows,
    .flush = flush,
    .flush_page = flush_page,
    .touch_tables = touch_tables,
};
