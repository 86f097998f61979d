/*
 * views, run for real: the guest's address space is a stretch of the host's for each value of CR3, a guard behind each,
 * and a write to CR3 changes the base. See views.py for the scheme.
 */
#include "direct_rows.h"

enum { KEPT_PAGES = COUNT_extra_0, STALE_PAGES, COMPARED_TABLES, VIEW_SWITCHES };
enum { MOST_VIEWS = 256, REASON_CR3 = 1 };

static uint64_t views, drop_maps, span;
static bool slow_kernel;
static struct {
    uint64_t space, last_used;
} view[MOST_VIEWS] = {{0, 1}}; /* space 0 is at work at first */
static uint64_t at_work_view, used = 1, turn = 1;

static void run(void)
{
    run_translated(run_direct_rows);
}

static bool by_tlb(bool user)
{
    return slow_kernel && !user;
}

static bool slow(uint32_t row)
{
    return by_tlb(!system_mode || rows.flags[row] & FLAG_USER);
}

static uint64_t context(bool user)
{
    return by_tlb(user) ? (uint64_t)&tlb[user] : direct_base();
}

static void empty(uint64_t v)
{
    if (pages_shown(v))
        unmap_windows(v * span, span);
}

static void make_room(void)
{
    if (pages_shown(at_work_view) < drop_maps)
        return;
    count[COUNT_evictions]++;
    empty(at_work_view);
}

static void start(void)
{
    views = parameter("views");
    drop_maps = parameter("drop_maps");
    slow_kernel = parameter("kernel");
    direct = (struct direct){.is_slow = slow, .make_room = drop_maps ? make_room : NULL};
    direct_start(views);
    span = (direct_limit >> PAGE_BITS) + 1;
}

/* Its own, else one that was never used, else the least recently used. */
static uint64_t view_of(uint64_t space)
{
    uint64_t oldest = 0;
    for (uint64_t v = 0; v < used; v++) {
        if (view[v].space == space)
            return v;
        if (view[v].last_used < view[oldest].last_used)
            oldest = v;
    }
    if (used < views)
        return used++;
    count[COUNT_evictions]++;
    empty(oldest);
    return oldest;
}

static void flush(void)
{
    uint64_t space = rows.vaddr[row_at];
    tlb_flush();
    if (rows.size[row_at] != REASON_CR3) {
        for (uint64_t v = 0; v < used; v++)
            empty(v);
        return;
    }
    count[VIEW_SWITCHES] += view[at_work_view].space != space;
    at_work_view = view_of(space);
    view[at_work_view].space = space;
    view[at_work_view].last_used = ++turn;
    view_at_work = at_work_view * span;
    compare_tables(at_work_view, COMPARED_TABLES);
}

static void mapped(uint64_t page, uint32_t frame)
{
    compared_page(page, frame, KEPT_PAGES, STALE_PAGES);
}

static void touch_tables(uint64_t page)
{
    for (uint64_t v = ADDRESS_BITS == 32; v < views && system_mode && has_window(page); v++)
        touch_window_tables(v * span + page);
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
    .by_tlb = by_tlb,
};
