/* Rows that are no access: blocks, and what moves pages. And which frame is behind a page. */
#include "engine.h"

static struct {
    uint32_t frame, era; /* known if the era is the present one */
} known[PAGES];
static uint32_t era = 1;
uint8_t dirty[PAGES];

static uint32_t number[PAGES], frames; /* by frame: the physical page */
static uint32_t slot[2 * PAGES];       /* hash table of physical pages: frame + 1 */

static struct {
    uint32_t page[2], pages;
    uint64_t row;
} learned; /* user mode: pages of a row become known with the next one */

static void learn(uint32_t page, uint32_t frame)
{
    known[page].frame = frame;
    known[page].era = era;
}

static void learn_earlier_row(uint64_t row)
{
    if (learned.row == row)
        return;
    for (uint32_t i = 0; i < learned.pages; i++)
        learn(learned.page[i], learned.page[i]);
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

int64_t known_frame(uint32_t page)
{
    return known[page].era == era ? (int64_t)known[page].frame : -1;
}

uint32_t frame_of(uint32_t page)
{
    if (!system_mode)
        return page;
    if (known[page].era != era)
        fail("touches page %#x, which no MAP row told", page);
    return known[page].frame;
}

static uint32_t *slot_of(uint32_t page)
{
    uint32_t at = page * 0x9e3779b1u >> 11;
    while (slot[at] && number[slot[at] - 1] != page)
        at = (at + 1) & (2 * PAGES - 1);
    return &slot[at];
}

uint32_t frame_of_map(uint32_t page)
{
    uint32_t *found = slot_of(page);
    if (*found)
        return *found - 1;
    if (frames == PAGES)
        fail("more than %d physical pages are named", PAGES);
    if (page >= ram_pages)
        fail("physical page %#x lies above the %lu MiB of guest RAM that this host has address space for", page,
             (unsigned long)(ram_pages >> (20 - PAGE_BITS)));
    number[frames] = page;
    *found = ++frames;
    return frames - 1;
}

uint64_t physical(uint32_t frame)
{
    return system_mode ? number[frame] : frame;
}

int64_t frame_named(uint64_t page)
{
    return system_mode ? (int64_t)*slot_of(page) - 1 : (int64_t)page;
}

static void touch_page(uint32_t page, uint32_t frame)
{
    touch(ram + (physical(frame) << PAGE_BITS));
    touch(&known[page]);
    touch(&dirty[frame]);
    touch_code_tables(frame);
    touch_reserve_tables(frame);
    if (scheme.touch_tables)
        scheme.touch_tables(page);
}

/*
 * For time: the host allocates the guest's memory, and our own tables of it, before anything is measured, as it has in
 * an emulator that runs a while. A first fault would take 20 of the host's for these, and no price is theirs.
 */
void populate(uint32_t n)
{
    static uint8_t populated[PAGES];
    for (uint32_t i = 0; i < n; i++) {
        uint32_t page = rows.vaddr[i] >> PAGE_BITS, frame = page;
        if (system_mode && rows.op[i] == OP_MAP)
            frame = frame_of_map(rows.page[i]);
        else if (system_mode || rows.op[i] > OP_STORE)
            continue;
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
    uint32_t i = row_at + run_row, vaddr = rows.vaddr[i], size = rows.size[i], first = vaddr & PAGE_MASK;
    bool crosses = first + size > PAGE_BYTES;
    return (struct row){
        .number = rows_before + i,
        .vaddr = vaddr,
        .size = size,
        .page = vaddr >> PAGE_BITS,
        .second = ((vaddr >> PAGE_BITS) + 1) & (PAGES - 1),
        .first = first,
        .last = crosses ? PAGE_MASK : first + size - 1,
        .second_last = first + size - 1 - PAGE_BYTES,
        .store = rows.op[i] == OP_STORE,
        .io = rows.flags[i] & FLAG_IO,
        .user = !system_mode || rows.flags[i] & FLAG_USER,
        .crosses = crosses,
    };
}

void other_row(uint32_t i)
{
    uint32_t vaddr = rows.vaddr[i], page = vaddr >> PAGE_BITS;
    switch (rows.op[i]) {
    case OP_EXEC:
        learn_earlier_row(rows_before + i);
        if (fetches[i])
            fetch_block(i);
        uint32_t block = execute_block(vaddr, rows.size[i], rows.insns[i]);
        *entered_at(vaddr) =
            (struct entered){vaddr, rows.size[i], code_epoch | (is_checked(block) ? CHECKED : 0), block};
        if (!system_mode) {
            learn(page, page);
            if ((vaddr & PAGE_MASK) + rows.size[i] > PAGE_BYTES)
                learn((page + 1) & (PAGES - 1), (page + 1) & (PAGES - 1));
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
            known[page].era = 0, code_epoch++;
        break;
    case OP_MAP:
        uint32_t frame = frame_of_map(rows.page[i]);
        bool was_known = known[page].era == era;
        learn(page, frame);
        if (scheme.mapped && !was_known)
            scheme.mapped(page, frame);
        break;
    }
}
