/*
 * fastmem, run for real: the guest's address space is a stretch of the host's, and a fault may patch its access.
 * See fastmem.py for the scheme.
 *
 * In translated code the patched instruction is overwritten by a jump to a stub (translate.c). The loop over rows has
 * one instruction for all accesses, so it asks whether a site is slow and takes the TLB's path then.
 */
#define _GNU_SOURCE
#include "direct_rows.h"

#include <ucontext.h>

enum { PATCHES = COUNT_extra_0, KEPT_PAGES, STALE_PAGES, COMPARED_TABLES, CHECKED_ENTRIES };
enum causes { NEVER, DEVICE, MEMORY, CODE, ALWAYS };
enum ahead { ON_FAULT, KNOWN, ACCESSED };

static enum causes patch;
static enum ahead ahead;
static bool by_block, diff;
static uint8_t accessed[PAGES]; /* frames, by data */

static void run(void)
{
    run_translated(run_direct_rows);
}

static uint64_t context(bool user)
{
    stub_context = (uint64_t)&tlb[user];
    return direct_base();
}

static bool slow(uint32_t row)
{
    return is_slow(at_work[row], rows.insns[row], rows.op[row]);
}

static uint32_t row_in_chunk(const struct row *row)
{
    return row->number - rows_before;
}

static bool patches(const struct row *row, enum counter cause)
{
    uint32_t i = row_in_chunk(row);
    if (patch == NEVER || !at_work[i] || !rows.insns[i])
        return false; /* or it has no site */
    switch (cause) {
    case COUNT_faults_io:
    case COUNT_faults_softmmu:
        return true;
    case COUNT_faults_cross:
        return false;
    case COUNT_faults_code:
        return patch == CODE || patch == ALWAYS;
    default:
        return patch == MEMORY || patch == ALWAYS;
    }
}

static void patch_and_do(const struct row *row, long long *registers)
{
    if (patch_site(row_in_chunk(row)))
        count[PATCHES]++;
    if (by_block)
        drop_block(at_work[row_in_chunk(row)]); /* to be compiled again; until then the site is as it was */
    else if (in_translated_code(registers[REG_RIP]))
        return; /* to where the jump to its stub is now */
    count[COUNT_softmmu_accesses]++;
    tlb_helper(row);
    complete(row, registers);
}

static void note_accessed(const struct row *row)
{
    accessed[frame_of(row->page)] = 1;
    if (row->crosses)
        accessed[frame_of(row->second)] = 1;
}

static void serve_slow(const struct row *row)
{
    if (!row->io)
        note_accessed(row);
    tlb_serve(row);
}

static void start(void)
{
    patch = parameter("patch");
    by_block = parameter("how");
    ahead = parameter("map");
    diff = parameter("flush");
    every_page_dirty = parameter("dirty");
    direct = (struct direct){
        .is_slow = slow,
        .patches = patches,
        .patch = patch_and_do,
        .accessed = note_accessed,
        .maps_first = ahead == KNOWN,
    };
    tlb_helper = serve_slow;
    if (ahead == KNOWN)
        plan_first_accesses(!diff);
    code_start(CHECKED_ENTRIES);
    sites_start(parameter("remember"), by_block);
    direct_start(0);
}

static void flush(void)
{
    if (diff)
        compare_tables(0, COMPARED_TABLES);
    else if (any_shown())
        unmap_windows(0, direct_limit >> PAGE_BITS);
    tlb_flush();
}

static void mapped(uint64_t page, uint32_t frame)
{
    if (diff)
        compared_page(page, frame, KEPT_PAGES, STALE_PAGES);
    if (ahead == KNOWN || (ahead == ACCESSED && accessed[frame]))
        map_ahead(page, frame);
}

static void touch_tables(uint64_t page)
{
    if (!system_mode)
        touch(&accessed[frame_of(page)]);
    if (ADDRESS_BITS != 32 && has_window(page))
        touch_window_tables(page);
}

const struct scheme scheme = {
    .start = start,
    .run = run,
    .context = context,
    .fault = direct_fault,
    .protect = direct_protect,
    .flush = flush,
    .flush_page = direct_flush_page,
    .mapped = mapped,
    .touch_tables = touch_tables,
    .knows_blocks = true,
    .has_sites = true,
    .translated = sites_of_translated,
};
