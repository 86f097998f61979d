/*
 * softmmu-qemu10, run for real: a table for each mode that is made anew when it is resized, victims, and the listing
 * with the helper's call out of line. See softmmu_qemu10.py.
 */
#include "engine.h"
#include "paths.h"
#include "tlb.h" /* the stub that calls a helper */

#include <stdlib.h>
#include <string.h>

/* Below the page's address, where no compare of the hit path lets it through. */
enum { VICTIMS = 8, LONG_ENTRY_BITS = 5, NOT_DIRTY = 1 << 10, DEVICE = 1 << 11 };
enum { VICTIM_HITS = COUNT_extra_0, TLB_RESIZES, FLUSHED_ENTRIES, SCANNED_ENTRIES, CODE_FETCHES, CODE_FILLS, IO_FILLS };
static const uint64_t EMPTY = -1; /* equal to the page of no 32-bit address */

struct long_entry {
    uint64_t address[2]; /* for loads, for stores */
    uint64_t code;
    uint64_t addend;
};

static struct mode {
    uint64_t mask; /* these two the hit path reads */
    struct long_entry *table;
    uint64_t used, most, began; /* entries used, most of them in the window, guest instructions when it began */
    uint32_t next_victim;
    bool filled;
    struct long_entry victim[VICTIMS];
} modes[2]; /* kernel, user */
static uint64_t window_insns, least_entries, most_entries;

/* clang-format off */
#ifdef WIDE
#define LOOK_UP_10(n, side)                                                                                            \
    BEGIN                                                                                                              \
    "movq %%rcx, %%rax\n"                                                                                              \
    "shrq $12 - 5, %%rax\n"                                                                                            \
    "andq (%[mode]), %%rax\n"                                                                                          \
    "addq 8(%[mode]), %%rax\n"                                                                                         \
    "leaq " #n "-1(%%rcx), %%rsi\n"                                                                                    \
    "andq $-4096, %%rsi\n"                                                                                             \
    "cmpq " side "(%%rax), %%rsi\n" LEAVE("jne", "call *tlb_slow_vector")                                              \
    "movq 24(%%rax), %%rax\n"
#else
#define LOOK_UP_10(n, side)                                                                                            \
    BEGIN                                                                                                              \
    "movl %%ecx, %%eax\n"                                                                                              \
    "shrl $12 - 5, %%eax\n"                                                                                            \
    "andl (%[mode]), %%eax\n"                                                                                          \
    "addq 8(%[mode]), %%rax\n"                                                                                         \
    "leal " #n "-1(%%rcx), %%esi\n"                                                                                    \
    "andl $0xfffff000, %%esi\n"                                                                                        \
    "cmpl " side "(%%rax), %%esi\n" LEAVE("jne", "call *tlb_slow_vector")                                              \
    "movq 24(%%rax), %%rax\n"
#endif
/* clang-format on */

#define CONTEXT (&modes[!system_mode || rows.flags[row_at] & FLAG_USER])
#define LOAD(n, vaddr, at)                                                                                             \
    ({                                                                                                                 \
        uint64_t data_;                                                                                                \
        asm volatile(LOOK_UP_10(n, "0") CAN_FAULT LOAD_##n " (%%rax, %[access]), " INTO_##n "\n" END(0, n)             \
                     : "=&d"(data_)                                                                                    \
                     : "c"(vaddr), [access] "r"(at), [mode] "r"(CONTEXT)                                               \
                     : "rax", "rsi", "cc", "memory");                                                                  \
        data_;                                                                                                         \
    })
#define STORE(n, vaddr, at, data)                                                                                      \
    do {                                                                                                               \
        uint64_t data_ = (data); /* the helper leaves something else in rdx */                                         \
        asm volatile(LOOK_UP_10(n, "8") CAN_FAULT STORE_##n " " FROM_##n ", (%%rax, %[access])\n" END(1, n)            \
                     : "+d"(data_)                                                                                     \
                     : "c"(vaddr), [access] "r"(at), [mode] "r"(CONTEXT)                                               \
                     : "rax", "rsi", "cc", "memory");                                                                  \
    } while (0)
#define PIECES_FIRST                                                                                                   \
    if ((vaddr & PAGE_MASK) + size > PAGE_BYTES)                                                                       \
    tlb_slow_row(0, 0, 0)
#include "loop.h"
#include "translate.h"

static void run(void)
{
    run_translated(run_rows);
}

static uint64_t context(bool user)
{
    return (uint64_t)&modes[user];
}

static uint64_t entries_of(const struct mode *m)
{
    return (m->mask >> LONG_ENTRY_BITS) + 1;
}

static void make_table(struct mode *m, uint64_t entries)
{
    free(m->table);
    m->table = malloc(entries << LONG_ENTRY_BITS);
    if (!m->table)
        fail("no memory for a TLB of %lu entries", (unsigned long)entries);
    m->mask = (entries - 1) << LONG_ENTRY_BITS;
}

static void clear(struct mode *m, uint64_t from)
{
    memset(m->table + from, -1, (entries_of(m) - from) << LONG_ENTRY_BITS);
    memset(m->victim, -1, sizeof m->victim);
    m->used = m->next_victim = m->filled = 0;
}

static uint64_t rate(uint64_t most, uint64_t entries)
{
    return most * 100 / entries;
}

static uint64_t wanted_entries(const struct mode *m, bool over)
{
    uint64_t entries = entries_of(m), wanted = 1;
    if (rate(m->most, entries) > 70)
        return entries < most_entries ? entries * 2 : entries;
    if (rate(m->most, entries) >= 30 || !over)
        return entries;
    while (wanted < m->most)
        wanted *= 2;
    if (rate(m->most, wanted) > 70)
        wanted *= 2;
    return wanted > least_entries ? wanted : least_entries;
}

static void flush_mode(struct mode *m)
{
    bool over = guest_insns() > m->began + window_insns;
    if (m->used > m->most)
        m->most = m->used;
    uint64_t wanted = wanted_entries(m, over);
    bool resized = wanted != entries_of(m);
    if (resized) {
        count[TLB_RESIZES]++;
        make_table(m, wanted);
    }
    if (resized || over) {
        m->began = guest_insns();
        m->most = resized ? 0 : m->used;
    }
    count[FLUSHED_ENTRIES] += wanted;
    clear(m, planted == PLANT_STALE_ENTRY && !resized);
}

static void flush(void)
{
    for (unsigned i = 0; i < 2; i++)
        if (modes[i].filled)
            flush_mode(&modes[i]);
}

static bool holds(const struct long_entry *entry, uint64_t page)
{
    return entry->code == (uint64_t)page << PAGE_BITS;
}

static struct long_entry *entry_of(struct mode *m, uint64_t page)
{
    return &m->table[page & (entries_of(m) - 1)];
}

static void drop(struct mode *m, struct long_entry *entry, uint64_t page)
{
    if (holds(entry, page)) {
        memset(entry, -1, sizeof *entry);
        m->used--;
    }
}

static void flush_page(uint64_t page)
{
    for (unsigned i = 0; i < 2; i++) {
        drop(&modes[i], entry_of(&modes[i], page), page);
        for (unsigned j = 0; j < VICTIMS; j++)
            drop(&modes[i], &modes[i].victim[j], page);
    }
}

static uint64_t addend_of(uint64_t page, uint32_t frame)
{
    return (uint64_t)ram_at(frame) - (page << PAGE_BITS);
}

static void mark(struct long_entry *entry, uint32_t frame)
{
    if (entry->address[1] != EMPTY && entry->addend == addend_of(entry->address[1] >> PAGE_BITS, frame))
        entry->address[1] |= NOT_DIRTY;
}

static void protect(uint32_t frame)
{
    for (unsigned i = 0; i < 2; i++) {
        count[SCANNED_ENTRIES] += entries_of(&modes[i]) + VICTIMS;
        for (uint64_t set = 0; set < entries_of(&modes[i]); set++)
            mark(&modes[i].table[set], frame);
        for (unsigned j = 0; j < VICTIMS; j++)
            mark(&modes[i].victim[j], frame);
    }
}

static bool swap_with_victim(struct mode *m, struct long_entry *entry, uint64_t page)
{
    for (unsigned j = 0; j < VICTIMS; j++) {
        if (!holds(&m->victim[j], page))
            continue;
        struct long_entry out = *entry;
        *entry = m->victim[j];
        m->victim[j] = out;
        count[VICTIM_HITS]++;
        return true;
    }
    return false;
}

static void fill(struct mode *m, struct long_entry *entry, uint64_t page, uint64_t flags, uint64_t addend)
{
    m->filled = true;
    for (unsigned j = 0; j < VICTIMS; j++)
        drop(m, &m->victim[j], page);
    if (entry->code != EMPTY) {
        m->victim[m->next_victim++ % VICTIMS] = *entry;
        m->used--;
    }
    entry->code = (uint64_t)page << PAGE_BITS;
    entry->address[0] = entry->code | (flags & DEVICE);
    entry->address[1] = entry->code | flags;
    entry->addend = addend;
    m->used++;
}

static void look_up(struct mode *m, uint64_t page, bool store, unsigned fills)
{
    struct long_entry *entry = entry_of(m, page);
    uint32_t frame = frame_of(page);
    if (holds(entry, page) || (!(store && is_code_page(frame)) && swap_with_victim(m, entry, page)))
        return;
    count[fills]++;
    if (planted == PLANT_LOST_FILL && (count[fills] & 31) == 31)
        return;
    fill(m, entry, page, is_code_page(frame) ? NOT_DIRTY : 0, addend_of(page, frame));
}

static void look_up_device(struct mode *m, uint64_t page)
{
    struct long_entry *entry = entry_of(m, page);
    if (holds(entry, page))
        return;
    count[IO_FILLS]++;
    fill(m, entry, page, DEVICE, 0);
}

static void fetch(uint64_t page, bool user)
{
    count[CODE_FETCHES]++;
    look_up(&modes[user], page, false, CODE_FILLS);
}

static void store_to(struct mode *m, uint64_t page, uint32_t first, uint32_t last)
{
    uint32_t frame = frame_of(page);
    struct long_entry *entry = entry_of(m, page);
    if (is_code_page(frame))
        store_to_code_by_list(frame, first, last);
    if (!is_code_page(frame) && holds(entry, page))
        entry->address[1] &= ~(uint64_t)NOT_DIRTY; /* its last block is gone */
}

static void serve(const struct row *row)
{
    struct mode *m = &modes[row->user];
    if (row->io) {
        count[COUNT_slow_io]++;
        look_up_device(m, row->page);
        return;
    }
    look_up(m, row->page, row->store, COUNT_tlb_fills);
    if (row->crosses) {
        count[COUNT_slow_cross]++;
        look_up(m, row->second, row->store, COUNT_tlb_fills);
    }
    if (row->store)
        store_to(m, row->page, row->first, row->last);
    if (row->store && row->crosses)
        store_to(m, row->second, 0, row->second_last);
}

static void start(void)
{
    window_insns = parameter("window_insns");
    least_entries = 1ull << parameter("min_bits");
    most_entries = 1ull << parameter("max_bits");
    for (unsigned i = 0; i < 2; i++) {
        make_table(&modes[i], 1ull << parameter("first_bits"));
        clear(&modes[i], 0);
    }
    tlb_helper = serve;
}

/* All that stands for a page that was not known is a device's. */
static void mapped(uint64_t page, uint32_t frame)
{
    flush_page(page);
}

const struct scheme scheme = {
    .start = start,
    .run = run,
    .context = context,
    .protect = protect,
    .flush = flush,
    .flush_page = flush_page,
    .fetch = fetch,
    .mapped = mapped,
};
