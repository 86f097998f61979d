/* Rows that are no access: blocks, and what moves pages. And which frame is behind a page. */
#include "engine.h"

static struct {
    uint32_t frame, era; /* known if the era is the present one */
} known[PAGES];
static uint32_t era = 1;
uint8_t dirty[PAGES];

static uint64_t number[PAGES]; /* by frame: the physical page */
static uint32_t frames;
static uint32_t slot[2 * PAGES]; /* hash table of physical pages: frame + 1 */

static struct {
    uint64_t page[2];
    uint32_t pages;
    uint64_t row;
} learned; /* user mode: pages of a row become known with the next one */

#ifdef WIDE
static uint64_t page_of_number[PAGES];
static uint32_t page_slot[2 * PAGES], numbered; /* hash table of pages: number + 1 */

static uint32_t *slot_of_page(uint64_t page)
{
    uint32_t at = (uint32_t)(page ^ page >> 32) * 0x9e3779b1u >> 11;
    while (page_slot[at] && page_of_number[page_slot[at] - 1] != page)
        at = (at + 1) & (2 * PAGES - 1);
    return &page_slot[at];
}

int64_t page_number_if_any(uint64_t page)
{
    return (int64_t)*slot_of_page(page) - 1;
}

uint32_t page_number(uint64_t page)
{
    uint32_t *found = slot_of_page(page);
    if (*found)
        return *found - 1;
    if (numbered == PAGES)
        fail("more than %d pages are touched", PAGES);
    page_of_number[numbered] = page;
    *found = ++numbered;
    return numbered - 1;
}

static uint64_t user_page(uint32_t frame)
{
    return page_of_number[frame];
}
#else
static uint64_t user_page(uint32_t frame)
{
    return frame;
}
#endif

static void learn(uint64_t page, uint32_t frame)
{
    uint32_t at = page_number(page);
    known[at].frame = frame;
    known[at].era = era;
}

static void learn_earlier_row(uint64_t row)
{
    if (learned.row == row)
        return;
    for (uint32_t i = 0; i < learned.pages; i++)
        learn(learned.page[i], page_number(learned.page[i]));
    learned.pages = 0;
}

/* Called by handlers alone: a page that never faulted was never touched. */
void touched(const struct row *row)
{
    if (system_mode)
        return;
    learn_earlier_row(row->number);
    if (learned.pages)
        return; /* the same row again */
    learned.row = row->number;
    learned.page[learned.pages++] = row->page;
    if (row->crosses)
        learned.page[learned.pages++] = row->second;
}

int64_t known_frame(uint64_t page)
{
    int64_t at = page_number_if_any(page);
    return at >= 0 && known[at].era == era ? (int64_t)known[at].frame : -1;
}

uint32_t frame_of(uint64_t page)
{
    uint32_t at = page_number(page);
    if (!system_mode)
        return at;
    if (known[at].era != era)
        fail("touches page %#lx, which no MAP row told", (unsigned long)page);
    return known[at].frame;
}

static uint32_t *slot_of(uint64_t page)
{
    uint32_t at = (uint32_t)(page ^ page >> 32) * 0x9e3779b1u >> 11;
    while (slot[at] && number[slot[at] - 1] != page)
        at = (at + 1) & (2 * PAGES - 1);
    return &slot[at];
}

uint32_t frame_of_map(uint64_t page)
{
    uint32_t *found = slot_of(page);
    if (*found)
        return *found - 1;
    if (frames == PAGES)
        fail("more than %d physical pages are named", PAGES);
    if (page >= ram_pages)
        fail("physical page %#lx lies above the %lu MiB of guest RAM that this host has address space for",
             (unsigned long)page, (unsigned long)(ram_pages >> (20 - PAGE_BITS)));
    number[frames] = page;
    *found = ++frames;
    return frames - 1;
}

uint64_t physical(uint32_t frame)
{
    return system_mode ? number[frame] : user_page(frame);
}

int64_t frame_named(uint64_t page)
{
    return system_mode ? (int64_t)*slot_of(page) - 1 : page_number_if_any(page);
}

static void touch_page(uint64_t page, uint32_t frame)
{
    touch(ram_at(frame));
    touch((uint8_t *)&known[page_number(page)]);
    touch(&dirty[frame]);
    touch_code_tables(frame);
    touch_reserve_tables(frame);
    if (scheme.touch_tables)
        scheme.touch_tables(page);
}

/* Untimed, where addresses have more bits than a table can be filled for. */
void prepare_tables(uint32_t n)
{
    if (ADDRESS_BITS == 32)
        return;
    for (uint32_t i = 0; i < n; i++) {
        uint64_t vaddr = rows.vaddr[i], sign = vaddr >> (ADDRESS_BITS - 1);
        if (rows.op[i] == OP_FLUSH || rows.op[i] > OP_MAP)
            continue; /* its address is none */
        row_at = i;
        if (sign && sign != UINT64_MAX >> (ADDRESS_BITS - 1))
            fail("address %#lx takes more than %d bits, and the tables of a live engine are for %d",
                 (unsigned long)vaddr, ADDRESS_BITS, ADDRESS_BITS);
        if (scheme.prepare && rows.op[i] <= OP_STORE)
            scheme.prepare(vaddr);
    }
    row_at = 0;
}

/*
 * For time: the host allocates the guest's memory, and our own tables of it, before anything is measured, as it has in
 * an emulator that runs a while. A first fault would take 20 of the host's for these, and no price is theirs.
 */
void populate(uint32_t n)
{
    static uint8_t populated[PAGES];
    for (uint32_t i = 0; i < n; i++) {
        uint64_t page = rows.vaddr[i] >> PAGE_BITS;
        uint32_t frame;
        if (system_mode && rows.op[i] == OP_MAP)
            frame = frame_of_map(rows.page[i]);
        else if (system_mode || rows.op[i] > OP_EXEC)
            continue;
        else
            frame = page_number(page);
        if (!populated[frame]) {
            touch_page(page, frame);
            populated[frame] = 1;
        }
    }
}

static uint64_t insns_before[CHUNK_ROWS]; /* at FLUSH rows of the chunk: guest instructions of the trace so far */

void count_insns(uint32_t n)
{
    static uint64_t total;
    for (uint32_t i = 0; i < n; i++)
        if (rows.op[i] == OP_EXEC)
            total += rows.insns[i];
        else if (rows.op[i] == OP_FLUSH)
            insns_before[i] = total;
}

uint64_t guest_insns(void)
{
    return insns_before[row_at];
}

struct row current_row(void)
{
    uint32_t i = row_at + run_access.row, kind = run_access.kind - 1u;
    uint32_t size = run_access.kind ? 1u << (kind >> 1) : rows.size[i];
    uint64_t vaddr = rows.vaddr[i], first = vaddr & PAGE_MASK;
    bool crosses = first + size > PAGE_BYTES;
    return (struct row){
        .number = rows_before + i,
        .vaddr = vaddr,
        .size = size,
        .page = vaddr >> PAGE_BITS,
        .second = ((vaddr >> PAGE_BITS) + 1) & LAST_PAGE,
        .first = first,
        .last = crosses ? PAGE_MASK : first + size - 1,
        .second_last = first + size - 1 - PAGE_BYTES,
        .store = run_access.kind ? kind & 1 : rows.op[i] == OP_STORE,
        .io = system_mode && rows.flags[i] & FLAG_IO,
        .user = !system_mode || rows.flags[i] & FLAG_USER,
        .crosses = crosses,
    };
}

void other_row(uint32_t i)
{
    uint64_t vaddr = rows.vaddr[i], page = vaddr >> PAGE_BITS;
    switch (rows.op[i]) {
    case OP_EXEC:
        learn_earlier_row(rows_before + i);
        if (fetches[i])
            fetch_block(i);
        uint32_t block = execute_block(vaddr, rows.size[i], rows.insns[i]);
        *entered_at(vaddr) =
            (struct entered){vaddr, rows.size[i], code_epoch | (is_checked(block) ? CHECKED : 0), block};
        if (!system_mode) {
            learn(page, page_number(page));
            if ((vaddr & PAGE_MASK) + rows.size[i] > PAGE_BYTES)
                learn((page + 1) & LAST_PAGE, page_number((page + 1) & LAST_PAGE));
        }
        break;
    case OP_FLUSH:
        settle_peak();
        if (scheme.flush)
            scheme.flush();
        if (system_mode)
            era++, code_epoch++;
        break;
    case OP_FLUSH_PAGE:
        settle_peak();
        if (scheme.flush_page)
            scheme.flush_page(page);
        if (system_mode)
            known[page_number(page)].era = 0, code_epoch++;
        break;
    case OP_MAP:
        uint32_t frame = frame_of_map(rows.page[i]);
        bool was_known = known[page_number(page)].era == era;
        learn(page, frame);
        if (scheme.mapped && !was_known)
            scheme.mapped(page, frame);
        break;
    }
}
