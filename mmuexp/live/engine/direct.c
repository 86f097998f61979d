/* What fastmem and views share: the fault handler, pages that are mapped ahead, and what is looked at beside rows. */
#include "direct.h"

struct direct direct;
size_t view_at_work;
uint64_t direct_limit;

struct part { /* of an access, in one page */
    uint64_t page, vaddr, first, last;
};

static uint64_t place_of(uint64_t vaddr)
{
    return direct_address(vaddr);
}

void direct_start(size_t views)
{
    direct_limit = parameter("guest_limit");
    if (direct_limit < UINT64_C(1) << ADDRESS_BITS)
        moved_address = place_of;
    if (views)
        reserve_views(views, (direct_limit >> PAGE_BITS) + 1);
    else
        reserve_start(direct_limit >> PAGE_BITS, PAGE_BYTES);
    tlb_start(DIRECT_TLB_BITS);
}

uint64_t direct_base(void)
{
    return (uint64_t)reserve + (view_at_work << PAGE_BITS);
}

static size_t window_of(uint64_t page)
{
    return view_at_work + page;
}

static int64_t shown_of(uint64_t page)
{
    return has_window(page) ? shown(window_of(page)) : -1;
}

static enum counter cause_of(const struct row *row, uint64_t page)
{
    return needed(row, window_of(page), frame_of(page));
}

/* One page that needs it. Does it keep code, so that the store to it is the handler's? */
static bool serve(const struct row *row, const struct part *part, enum counter cause)
{
    if (cause == COUNT_faults_unmapped && direct.make_room)
        direct.make_room();
    return serve_page(row, window_of(part->page), frame_of(part->page), part->first, part->last, cause);
}

/* The fault ends in a patch. Under code=block the store, with what it drops, is then the slow access's. */
static void serve_patched(const struct row *row, const struct part *part, enum counter cause)
{
    uint32_t frame = frame_of(part->page);
    if (!row->store || code_policy != CODE_BLOCK || !is_code_page(frame)) {
        serve(row, part, cause);
        return;
    }
    dirty[frame] = 1;
    if (cause == COUNT_faults_unmapped) {
        count[COUNT_mmap_calls]++;
        show_page(window_of(part->page), frame, false);
    }
}

/* The page behind one that keeps code is served in the same run, without a fault of its own. */
static void serve_behind(const struct row *row, const struct part *part)
{
    enum counter cause = cause_of(row, part->page);
    if (cause != NOT_NEEDED)
        serve(row, part, cause);
}

static void complete_above(const struct row *row, long long *registers)
{
    enum counter cause = row->vaddr < direct_limit ? COUNT_faults_cross : COUNT_faults_softmmu;
    fault_counted(cause, row, row->vaddr);
    if (direct.patches && direct.patches(row, cause)) {
        direct.patch(row, registers);
        return;
    }
    if (row->store) {
        note_store(frame_of(row->page), row->first, row->last);
        if (row->crosses)
            note_store(frame_of(row->second), 0, row->second_last);
    }
    complete(row, registers);
}

static void device(const struct row *row, long long *registers)
{
    fault_counted(COUNT_faults_io, row, row->vaddr);
    reveal();
    if (direct.patches && direct.patches(row, COUNT_faults_io))
        direct.patch(row, registers);
    else
        complete(row, registers);
}

/* One fault, one page: the first in address order that needs it. Where one keeps code, the row is done whole. */
bool direct_fault(const struct row *row, uintptr_t address, long long *registers)
{
    uintptr_t low = direct_base() + direct_address(row->vaddr);
    if (address < low || address >= low + row->size)
        return false;
    if (row->io) {
        device(row, registers);
        return true;
    }
    if (direct.accessed)
        direct.accessed(row);
    if (row->vaddr > direct_limit - row->size) {
        complete_above(row, registers);
        return true;
    }
    const struct part parts[] = {{row->page, row->vaddr, row->first, row->last},
                                 {row->second, row->second << PAGE_BITS, 0, row->second_last}};
    for (unsigned i = 0; i < (row->crosses ? 2 : 1); i++) {
        enum counter cause = cause_of(row, parts[i].page);
        if (cause == NOT_NEEDED)
            continue;
        fault_counted(cause, row, parts[i].vaddr);
        if (direct.patches && direct.patches(row, cause)) {
            serve_patched(row, &parts[i], cause);
            direct.patch(row, registers);
            return true;
        }
        bool keeps = serve(row, &parts[i], cause);
        if (keeps && !i && row->crosses)
            serve_behind(row, &parts[1]);
        if (keeps || shown(window_of(row->page)) < 0) /* room was made of the page below */
            complete(row, registers);
        return true;
    }
    return false;
}

/* As by a load, without a fault. */
void map_ahead(uint64_t page, uint32_t frame)
{
    if (!has_window(page) || shown(window_of(page)) >= 0)
        return;
    count[COUNT_mmap_calls]++;
    show_page(window_of(page), frame, writable_for_load(frame));
}

/* A FLUSH that keeps the view: the guest's page tables behind it, and their directory, are compared with a copy. */
void compare_tables(size_t view, unsigned compared)
{
    if (tables_shown(view))
        count[compared] += tables_shown(view) + 1;
}

/* A MAP row tells what that comparison found. */
void compared_page(uint64_t page, uint32_t frame, unsigned kept, unsigned stale)
{
    int64_t before = shown_of(page);
    if (before < 0)
        return;
    count[before == frame ? kept : stale]++;
    if (before != frame && planted != PLANT_STALE_PAGE)
        unmap_windows(window_of(page), 1);
}

void direct_flush_page(uint64_t page)
{
    if (shown_of(page) >= 0)
        unmap_windows(window_of(page), 1);
    tlb_flush_page(page);
}

void direct_protect(uint32_t frame)
{
    protect_windows(frame);
    tlb_protect(frame);
}

bool look_before(uint32_t i)
{
    uint64_t page = rows.vaddr[i] >> PAGE_BITS;
    if (direct.maps_first && !system_mode) {
        struct row row = current_row();
        map_ahead(page, frame_of(page));
        if (row.crosses)
            map_ahead(row.second, frame_of(row.second));
    }
    if (direct.is_slow && direct.is_slow(i))
        return true;
    if (rows.flags[i] & FLAG_IO && shown_of(page) >= 0)
        conceal(window_of(page));
    return false;
}
