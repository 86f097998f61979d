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
#define NO_PAGE (FORM == VTLB ? INT64_MIN : 0)
__attribute__((used)) int64_t page_table[2][PAGES]; /* for loads, for stores: what the hit path reads */

static struct list {
    uint32_t page[PAGES]; /* by slot: page + 1 that was entered there */
    uint32_t slot[PAGES]; /* by page: slot + 1, 0: not in the table */
    uint32_t hand, used, valid;
} lists[2];
static uint32_t live; /* 0: no ring */
static bool one_table, whole;

/* clang-format off */
#define TEST_1 ""
#define TEST(n) "testl $" #n "-1, %%ecx\n" LEAVE("jne", "call *tlb_slow_vector")
#if DETECT == 2
#define TEST_2 ""
#define TEST_4 ""
#define TEST_8 ""
#else
#define TEST_2 TEST(2)
#define TEST_4 TEST(4)
#define TEST_8 TEST(8)
#endif

#define ENTRY(side)                                                                                                    \
    "shrl $12, %%eax\n"                                                                                                \
    "movq page_table" side "(, %%rax, 8), %%rax\n"
#define NOT_NULL "testq %%rax, %%rax\n" LEAVE("je", "call *tlb_slow_vector")
#if FORM == 0
#define LOOK_UP_PAGE(side) "movl %%ecx, %%eax\n" ENTRY(side) NOT_NULL
#define PLACE "(%%rax, %[access])"
#elif FORM == 1
#define LOOK_UP_PAGE(side) "movl %%ecx, %%eax\n" ENTRY(side) NOT_NULL "movl %k[access], %%esi\n andl $4095, %%esi\n"
#define PLACE "(%%rax, %%rsi)"
#else
#define LOOK_UP_PAGE(side)                                                                                             \
    "movl %k[access], %%esi\n movl %%esi, %%eax\n" ENTRY(side)                                                         \
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
                         : "c"(vaddr), [access] "r"(at)                                                                \
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
                         : "c"(vaddr), [access] "r"(at)                                                                \
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

static int64_t pointer_to(uint32_t page, uint32_t frame)
{
    return (int64_t)ram + ram_offset(frame) - (FORM == OFFSET ? 0 : (int64_t)page << PAGE_BITS);
}

/* What the hit path shall find for a page that may be in the tables. */
static void show(uint32_t page, uint32_t frame)
{
    bool loads = lists[0].slot[page], stores = lists[!one_table].slot[page];
    page_table[0][page] = loads ? pointer_to(page, frame) : NO_PAGE;
    page_table[1][page] = stores && !is_code_page(frame) ? pointer_to(page, frame) : NO_PAGE;
}

static void hide(unsigned side, uint32_t page)
{
    page_table[side][page] = NO_PAGE;
    if (one_table)
        page_table[1][page] = NO_PAGE;
}

static void enter(unsigned side, uint32_t page)
{
    struct list *l = &lists[side];
    if (l->slot[page])
        return;
    uint32_t at = l->hand, out = live ? l->page[at] : 0;
    if (out && l->slot[out - 1] == at + 1) {
        count[COUNT_evictions]++;
        l->slot[out - 1] = 0;
        l->valid--;
        hide(side, out - 1);
    }
    l->page[at] = page + 1;
    l->slot[page] = ++at;
    l->valid++;
    if (l->used < at)
        l->used = at;
    l->hand = at == live ? 0 : at;
}

static void leave(unsigned side, uint32_t page)
{
    struct list *l = &lists[side];
    uint32_t slot = l->slot[page];
    if (!slot)
        return;
    hide(side, page);
    l->slot[page] = 0;
    l->valid--;
    if (live)
        return;
    uint32_t last = l->page[--l->used];
    l->hand = l->used;
    l->page[l->used] = 0;
    if (last - 1 != page) {
        l->page[slot - 1] = last;
        l->slot[last - 1] = slot;
    }
}

static void null_all(unsigned side)
{
    for (uint32_t page = 0; page < PAGES; page++)
        page_table[side][page] = NO_PAGE;
}

static void flush(void)
{
    for (unsigned side = 0; side < 2; side++) {
        struct list *l = &lists[side];
        bool table = !side || !one_table;
        count[FLUSHED_ENTRIES] += whole && table ? PAGES : l->valid;
        for (uint32_t at = planted == PLANT_STALE_ENTRY; at < l->used; at++) {
            uint32_t page = l->page[at] - 1;
            if (!l->page[at])
                continue;
            if (l->slot[page] == at + 1) {
                l->slot[page] = 0;
                hide(side, page);
            }
            l->page[at] = 0;
        }
        l->hand = l->used = l->valid = 0;
        if (whole && planted != PLANT_STALE_ENTRY)
            null_all(side);
    }
}

static void flush_page(uint32_t page)
{
    leave(0, page);
    leave(1, page);
}

static void mark(uint32_t page, uint32_t frame)
{
    if (lists[!one_table].slot[page] && frame_of(page) == frame)
        page_table[1][page] = NO_PAGE;
}

static void protect(uint32_t frame)
{
    struct list *l = &lists[!one_table];
    if (!one_table)
        count[SCANNED_ENTRIES] += whole ? PAGES : l->valid;
    if (whole)
        for (uint32_t page = 0; page < PAGES; page++)
            mark(page, frame);
    else
        for (uint32_t at = 0; at < l->used; at++)
            if (l->page[at])
                mark(l->page[at] - 1, frame);
}

static void look_up(bool store, uint32_t page)
{
    uint32_t frame = frame_of(page);
    if (!lists[store && !one_table].slot[page]) {
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

static void store_to(uint32_t page, uint32_t first, uint32_t last)
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

static void start(void)
{
    live = parameter("live") < PAGES ? parameter("live") : 0;
    one_table = parameter("tables") == 1;
    whole = parameter("clear");
    for (unsigned side = 0; side < 2 && NO_PAGE; side++)
        null_all(side);
    tlb_helper = serve;
}

const struct scheme scheme = {
    .start = start,
    .run = run,
    .protect = protect,
    .flush = flush,
    .flush_page = flush_page,
};
