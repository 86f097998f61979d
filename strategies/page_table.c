/*
 * page-table, run for real: two tables of 8 MiB, and the listing with the helper's call out of line. See page_table.py.
 *
 * A listing is its parameters' own, so there is a program for each form and detect. Beside the tables stands which page
 * is in them: the pointer of a code page is null for stores although the page is in the table. With tables=1 stores have
 * pointers of their own here, too, for somebody must notice those to code pages; there is one list of pages.
 */
#include "engine.h"
#include "paths.h"
#include "tlb.h" /* the stub that calls a helper */

#include <string.h>

enum form { ABSOLUTE, OFFSET, VTLB }; /* call has no engine: its listing is a subroutine */
enum detect { CROSS, ANY, OFF };
enum { FLUSHED_ENTRIES = COUNT_extra_0, SCANNED_ENTRIES };
#ifndef FORM
#define FORM 0
#define DETECT 0
#endif

/* What no pointer is: it has the sign where that says `handler`. */
#define NO_PAGE(page) (FORM == VTLB ? INT64_MIN - (ADDRESS_BITS == 32 ? 0 : (int64_t)((page) << PAGE_BITS)) : 0)
/* For loads, for stores: what the hit path reads. */
#ifdef WIDE /* address space, of which the host gives what is used; signed, so the pointers lead to the middle */
static int64_t *page_table[2];
#else
__attribute__((used)) int64_t page_table[2][PAGES];
#endif

static struct list {
    uint64_t page[PAGES]; /* by slot: page + 1 that was entered there */
    uint32_t slot[PAGES]; /* by number of the page: slot + 1, 0: not in the table */
    uint32_t hand, used, valid;
} lists[2];
static uint32_t live; /* 0: no ring */
static bool one_table, whole;

/* clang-format off */
#define TEST_1 ""
#if DETECT == 2
#define TEST_2 ""
#define TEST_4 ""
#define TEST_8 ""
#else
#define TEST_2 TEST(2)
#define TEST_4 TEST(4)
#define TEST_8 TEST(8)
#endif

#ifdef WIDE
#define VADDR "movq %%rcx, %%rax\n"
#define TEST(n) "testq $" #n "-1, %%rcx\n" LEAVE("jne", "call *tlb_slow_vector")
#define ENTRY(side) "sarq $12, %%rax\n movq (%[table], %%rax, 8), %%rax\n"
#define OFFSET_IN_PAGE "movq %q[access], %%rsi\n andl $4095, %%esi\n"
#define ADDRESS_OF "movq %q[access], %%rsi\n movq %%rsi, %%rax\n"
#define TABLE(context) , [table] "r"(context)
#undef CONTEXT
#define CONTEXT page_table[0]
#define STORES_CONTEXT page_table[1]
#else
#define VADDR "movl %%ecx, %%eax\n"
#define TEST(n) "testl $" #n "-1, %%ecx\n" LEAVE("jne", "call *tlb_slow_vector")
#define OFFSET_IN_PAGE "movl %k[access], %%esi\n andl $4095, %%esi\n"
#define ADDRESS_OF "movl %k[access], %%esi\n movl %%esi, %%eax\n"
#define TABLE(context)
#define ENTRY(side)                                                                                                    \
    "shrl $12, %%eax\n"                                                                                                \
    "movq page_table" side "(, %%rax, 8), %%rax\n"
#endif
#define NOT_NULL "testq %%rax, %%rax\n" LEAVE("je", "call *tlb_slow_vector")
#if FORM == 0
#define LOOK_UP_PAGE(side) VADDR ENTRY(side) NOT_NULL
#define PLACE "(%%rax, %[access])"
#elif FORM == 1
#define LOOK_UP_PAGE(side) VADDR ENTRY(side) NOT_NULL OFFSET_IN_PAGE
#define PLACE "(%%rax, %%rsi)"
#else
#define LOOK_UP_PAGE(side)                                                                                             \
    ADDRESS_OF ENTRY(side)                                                                                             \
    "addq %%rax, %%rsi\n" LEAVE("js", "call *tlb_slow_vector")
#define PLACE "(%%rsi)"
#endif
/* clang-format on */
#define FOR_LOADS ""
#define FOR_STORES "+8*1048576"

/* Data that must be right are not read behind the end of a page, whatever the listing trusts. */
#define ASIDE(n, vaddr) (DETECT == OFF && checked && ((vaddr) & PAGE_MASK) + (n) > PAGE_BYTES)
#define LOAD(n, vaddr, at)                                                                                             \
    ({                                                                                                                 \
        uint64_t data_;                                                                                                \
        if (ASIDE(n, vaddr))                                                                                           \
            data_ = tlb_slow_row(0, 0, 0);                                                                             \
        else                                                                                                           \
            asm volatile(BEGIN TEST_##n LOOK_UP_PAGE(FOR_LOADS) CAN_FAULT LOAD_##n " " PLACE ", " INTO_##n             \
                         "\n" END(0, n)                                                                                \
                         : "=&d"(data_)                                                                                \
                         : "c"(vaddr), [access] "r"(at)TABLE(CONTEXT)                                                  \
                         : "rax", "rsi", "cc", "memory");                                                              \
        data_;                                                                                                         \
    })
#define STORE(n, vaddr, at, data)                                                                                      \
    do {                                                                                                               \
        uint64_t data_ = (data); /* the helper leaves something else in rdx */                                         \
        if (ASIDE(n, vaddr))                                                                                           \
            tlb_slow_row(data_, 0, 0);                                                                                 \
        else                                                                                                           \
            asm volatile(BEGIN TEST_##n LOOK_UP_PAGE(FOR_STORES) CAN_FAULT STORE_##n " " FROM_##n ", " PLACE           \
                                                                                                  "\n" END(1, n)       \
                         : "+d"(data_)                                                                                 \
                         : "c"(vaddr), [access] "r"(at)TABLE(STORES_CONTEXT)                                           \
                         : "rax", "rsi", "cc", "memory");                                                              \
    } while (0)
#define MISALIGNED(vaddr, size) (!((size) & ((size) - 1)) && (vaddr) & ((size) - 1))
#define PIECES_FIRST                                                                                                   \
    if ((vaddr & PAGE_MASK) + size > PAGE_BYTES || (DETECT == ANY && MISALIGNED(vaddr, size)))                         \
    tlb_slow_row(0, 0, 0)
#include "loop.h"
#include "translate.h"

static void run(void)
{
    run_translated(run_rows);
}

static int64_t pointer_to(uint64_t page, uint32_t frame)
{
    return (int64_t)ram_at(frame) - (FORM == OFFSET ? 0 : (int64_t)(page << PAGE_BITS));
}

/* What the hit path shall find for a page that may be in the tables. */
static void show(uint64_t page, uint32_t frame)
{
    bool loads = lists[0].slot[page_number(page)], stores = lists[!one_table].slot[page_number(page)];
    page_table[0][page_index(page)] = loads ? pointer_to(page, frame) : NO_PAGE(page);
    page_table[1][page_index(page)] = stores && !is_code_page(frame) ? pointer_to(page, frame) : NO_PAGE(page);
}

static void hide(unsigned side, uint64_t page)
{
    page_table[side][page_index(page)] = NO_PAGE(page);
    if (one_table)
        page_table[1][page_index(page)] = NO_PAGE(page);
}

static void enter(unsigned side, uint64_t page)
{
    struct list *l = &lists[side];
    if (l->slot[page_number(page)])
        return;
    uint32_t at = l->hand;
    uint64_t out = live ? l->page[at] : 0;
    if (out && l->slot[page_number(out - 1)] == at + 1) {
        count[COUNT_evictions]++;
        l->slot[page_number(out - 1)] = 0;
        l->valid--;
        hide(side, out - 1);
    }
    l->page[at] = page + 1;
    l->slot[page_number(page)] = ++at;
    l->valid++;
    if (l->used < at)
        l->used = at;
    l->hand = at == live ? 0 : at;
}

static void leave(unsigned side, uint64_t page)
{
    struct list *l = &lists[side];
    uint32_t slot = l->slot[page_number(page)];
    if (!slot)
        return;
    hide(side, page);
    l->slot[page_number(page)] = 0;
    l->valid--;
    if (live)
        return;
    uint64_t last = l->page[--l->used];
    l->hand = l->used;
    l->page[l->used] = 0;
    if (last - 1 != page) {
        l->page[slot - 1] = last;
        l->slot[page_number(last - 1)] = slot;
    }
}

static void null_all(unsigned side)
{
    for (uint64_t page = 0; page < PAGES; page++)
        page_table[side][page_index(page)] = NO_PAGE(page);
}

static void flush(void)
{
    for (unsigned side = 0; side < 2; side++) {
        struct list *l = &lists[side];
        bool table = !side || !one_table;
        count[FLUSHED_ENTRIES] += whole && table ? ADDRESS_PAGES : l->valid;
        for (uint32_t at = planted == PLANT_STALE_ENTRY; at < l->used; at++) {
            uint64_t page = l->page[at] - 1;
            if (!l->page[at])
                continue;
            if (l->slot[page_number(page)] == at + 1) {
                l->slot[page_number(page)] = 0;
                hide(side, page);
            }
            l->page[at] = 0;
        }
        l->hand = l->used = l->valid = 0;
        if (whole && ADDRESS_BITS == 32 && planted != PLANT_STALE_ENTRY)
            null_all(side);
    }
}

static void flush_page(uint64_t page)
{
    leave(0, page);
    leave(1, page);
}

static void mark(uint64_t page, uint32_t frame)
{
    if (lists[!one_table].slot[page_number(page)] && frame_of(page) == frame)
        page_table[1][page_index(page)] = NO_PAGE(page);
}

static void protect(uint32_t frame)
{
    struct list *l = &lists[!one_table];
    if (!one_table)
        count[SCANNED_ENTRIES] += whole ? ADDRESS_PAGES : l->valid;
    if (whole && ADDRESS_BITS == 32)
        for (uint64_t page = 0; page < PAGES; page++)
            mark(page, frame);
    else
        for (uint32_t at = 0; at < l->used; at++)
            if (l->page[at])
                mark(l->page[at] - 1, frame);
}

static void look_up(bool store, uint64_t page)
{
    uint32_t frame = frame_of(page);
    if (!lists[store && !one_table].slot[page_number(page)]) {
        count[COUNT_tlb_fills]++;
        if (planted == PLANT_LOST_FILL && (count[COUNT_tlb_fills] & 31) == 31)
            return;
        if (store || one_table)
            dirty[frame] = 1;
        enter(0, page);
        if (dirty[frame] && !one_table)
            enter(1, page);
    }
    show(page, frame);
}

static void store_to(uint64_t page, uint32_t first, uint32_t last)
{
    uint32_t frame = frame_of(page);
    if (!is_code_page(frame))
        return;
    if (one_table)
        store_to_code_unseen(frame, first, last);
    else
        store_to_code_by_list(frame, first, last);
    show(page, frame); /* its last block may be gone */
}

static void serve(const struct row *row)
{
    bool crosses = row->crosses && DETECT != OFF;
    if (row->io) {
        count[COUNT_slow_io]++;
        return;
    }
    if (crosses)
        count[COUNT_slow_cross]++;
    else if (DETECT == ANY && MISALIGNED(row->vaddr, row->size))
        count[COUNT_slow_misaligned]++;
    look_up(row->store, row->page);
    if (crosses)
        look_up(row->store, row->second);
    if (row->store)
        store_to(row->page, row->first, row->last);
    if (row->store && crosses)
        store_to(row->second, 0, row->second_last);
}

static uint64_t context(bool user)
{
    return (uint64_t)page_table[0];
}

#ifdef WIDE
static void prepare(uint64_t vaddr)
{
    uint64_t page = vaddr >> PAGE_BITS;
    for (unsigned side = 0; side < 2 && NO_PAGE(page); side++)
        if (!page_table[side][page_index(page)])
            page_table[side][page_index(page)] = NO_PAGE(page);
}
#endif

static void start(void)
{
    live = parameter("live") < PAGES ? parameter("live") : 0;
    one_table = parameter("tables") == 1;
    whole = parameter("clear");
#ifdef WIDE
    for (unsigned side = 0; side < 2; side++)
        page_table[side] = (int64_t *)zeroed(ADDRESS_PAGES * sizeof(int64_t)) + ADDRESS_PAGES / 2;
    stores_context = (uint64_t)page_table[1];
#else
    for (unsigned side = 0; side < 2 && NO_PAGE(0); side++)
        null_all(side);
#endif
    tlb_helper = serve;
}

const struct scheme scheme = {
    .start = start,
    .run = run,
    .context = context,
#ifdef WIDE
    .prepare = prepare,
#endif
    .protect = protect,
    .flush = flush,
    .flush_page = flush_page,
};
