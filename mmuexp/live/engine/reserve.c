/*
 * The reserve: host pages (windows) in which a scheme shows guest pages. Every change is a real mmap or mprotect; what
 * is kept here is what a handler must know, and how many mappings (VMAs) the kernel should hold by now.
 *
 * Unmapping is mmap(PROT_NONE): a hole could be taken by anybody's malloc.
 */
#define _GNU_SOURCE
#include "engine.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

enum { MOST_VIEWS = 256 };
#ifdef WIDE
enum { TABLE_BITS = 9, LEVELS = 3 }; /* of the guest's page table, below its root */
#else
enum { TABLE_BITS = 10, LEVELS = 1 };
#endif

struct window {
    uint32_t frame;      /* + 1 that it shows; 0: inaccessible */
    window_t next, prev; /* windows + 1 that show the same frame */
    bool writable, listed;
};

uint8_t *reserve;
bool every_page_dirty;
static size_t windows, span, reserve_bytes; /* span: windows of a view; a scheme without views has one */
static struct window *window;
static window_t first_window[PAGES]; /* of a frame, + 1 */
static struct view {
    window_t *listed; /* windows mapped since all of the view were unmapped */
    size_t listed_count, shown, tables;
    uint16_t *shown_of_table[LEVELS]; /* of the windows, or tables, that one page table of the guest stands for */
} view[MOST_VIEWS];
static size_t concealed; /* window + 1 */
static int64_t mappings = 1;
static uint64_t changed_row = UINT64_MAX;

enum { FLAGS_NONE = MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE };

static void *host(void *address)
{
    if (address == MAP_FAILED && errno == ENOMEM)
        fail_as(FAILED_MAPPINGS, "the host allows no more mappings, after %ld in the reserve", (long)mappings);
    if (address == MAP_FAILED)
        fail("mmap: %m");
    count[COUNT_system_calls]++;
    return address;
}

uint8_t *inaccessible(size_t bytes)
{
    uint8_t *memory = mmap(NULL, bytes, PROT_NONE, FLAGS_NONE, -1, 0);
    if (memory == MAP_FAILED)
        fail("no address space for %zu MiB: %m", bytes >> 20);
    return memory;
}

void touch_window_tables(size_t w)
{
    struct view *v = view + w / span;
    touch((uint8_t *)&window[w]);
    touch((uint8_t *)&v->shown_of_table[0][w % span >> TABLE_BITS]);
}

static void make_views(size_t views, size_t pages, size_t guard_bytes)
{
    windows = views * pages;
    span = pages;
    reserve_bytes = windows << PAGE_BITS;
    reserve = inaccessible(reserve_bytes + guard_bytes);
    count[COUNT_peak_mappings] = mappings; /* before the first row, and for good if there is none */
    size_t tables_of_view = 0;
    for (unsigned level = 1; level <= LEVELS; level++)
        tables_of_view += (pages >> level * TABLE_BITS) + 1;
    size_t bytes = windows * (sizeof *window + sizeof *view->listed) + views * tables_of_view * sizeof(uint16_t);
    window = mmap(NULL, bytes, PROT_READ | PROT_WRITE,
                  FLAGS_NONE | (!checked && views == 1 && ADDRESS_BITS == 32 ? MAP_POPULATE : 0), -1, 0);
    if (window == MAP_FAILED)
        fail("no address space for the tables of %zu windows: %m", windows);
    window_t *listed = (window_t *)(window + windows);
    uint16_t *shown_of_table = (uint16_t *)(listed + windows);
    for (size_t v = 0; v < views; v++) {
        view[v] = (struct view){.listed = listed + v * pages};
        for (unsigned level = 0; level < LEVELS; level++) {
            view[v].shown_of_table[level] = shown_of_table;
            shown_of_table += (pages >> (level + 1) * TABLE_BITS) + 1;
        }
    }
    for (size_t w = 0; w < pages && !checked && views > 1 && ADDRESS_BITS == 32; w += PAGE_BYTES / sizeof *window)
        touch_window_tables(w); /* the others' as rows tell pages */
}

void reserve_start(size_t pages, size_t guard_bytes)
{
    make_views(1, pages, guard_bytes);
}

void reserve_views(size_t views, size_t pages)
{
    make_views(views, pages, 0);
}

void touch_reserve_tables(uint32_t frame)
{
    touch((uint8_t *)&first_window[frame]);
}

bool in_reserve(uintptr_t address)
{
    return address - (uintptr_t)reserve < reserve_bytes;
}

int64_t shown(size_t w)
{
    return (int64_t)window[w].frame - 1;
}

bool any_shown(void)
{
    return view->shown;
}

size_t pages_shown(size_t v)
{
    return view[v].shown;
}

size_t tables_shown(size_t v)
{
    return view[v].tables;
}

bool writable(size_t w)
{
    return window[w].writable;
}

/* Looked at after each row: called before a row changes something for the first time, and at the end. */
void settle_peak(void)
{
    if (changed_row == rows_before + row_at + run_access.row)
        return;
    if ((uint64_t)mappings > count[COUNT_peak_mappings])
        count[COUNT_peak_mappings] = mappings;
    changed_row = rows_before + row_at + run_access.row;
}

/* The rows of a chunk are done. */
void peak_now(void)
{
    changed_row = UINT64_MAX;
    settle_peak();
    changed_row = UINT64_MAX;
}

/* Does a mapping end between this window and the next? The kernel merges neighbours that go on in the same way. */
static bool border(int64_t w)
{
    if (w < 0 || w + 1 >= (int64_t)windows)
        return false;
    const struct window *a = window + w, *b = a + 1;
    if (!a->frame && !b->frame)
        return false;
    return !a->frame || !b->frame || physical(a->frame - 1) + 1 != physical(b->frame - 1) || a->writable != b->writable;
}

static int borders(size_t w)
{
    return border((int64_t)w - 1) + border(w);
}

/* A table that stands for nothing, or does so no longer, stands for nothing in its own table either. */
static void count_shown(struct view *v, size_t place, int more)
{
    for (unsigned level = 0; level < LEVELS; level++) {
        uint16_t *entries = &v->shown_of_table[level][place >>= TABLE_BITS], before = *entries;
        *entries += more;
        if (before && *entries)
            return;
        v->tables += more;
    }
}

static void show(size_t w, uint32_t frame, bool can_write)
{
    struct view *v = view + w / span;
    int prot = can_write ? PROT_READ | PROT_WRITE : PROT_READ;
    off_t astray = planted == PLANT_WRONG_PAGE && (count[COUNT_maps] & 63) == 63 ? PAGE_BYTES : 0;
    host(
        mmap(reserve + (w << PAGE_BITS), PAGE_BYTES, prot, MAP_SHARED | MAP_FIXED, ram_fd, ram_offset(frame) ^ astray));
    count[COUNT_maps]++;
    v->shown++;
    count_shown(v, w % span, 1);
    mappings -= borders(w);
    window[w].frame = frame + 1;
    window[w].writable = can_write;
    mappings += borders(w);
    window[w].prev = 0;
    window[w].next = first_window[frame];
    if (window[w].next)
        window[window[w].next - 1].prev = w + 1;
    first_window[frame] = w + 1;
    if (!window[w].listed) {
        window[w].listed = true;
        v->listed[v->listed_count++] = w;
    }
}

static void hide(size_t w)
{
    struct view *v = view + w / span;
    uint32_t frame = window[w].frame - 1;
    mappings -= borders(w);
    window[w].frame = 0;
    window[w].writable = false;
    mappings += borders(w);
    count[COUNT_unmaps]++;
    v->shown--;
    count_shown(v, w % span, -1);
    if (window[w].prev)
        window[window[w].prev - 1].next = window[w].next;
    else
        first_window[frame] = window[w].next;
    if (window[w].next)
        window[window[w].next - 1].prev = window[w].prev;
}

bool writable_for_load(uint32_t frame)
{
    return (dirty[frame] || every_page_dirty) && !noticed(frame);
}

void show_page(size_t w, uint32_t frame, bool can_write)
{
    settle_peak();
    show(w, frame, can_write);
}

void replace_page(size_t w)
{
    settle_peak();
    hide(w);
}

void note_store(uint32_t frame, uint32_t first, uint32_t last)
{
    if (noticed(frame))
        store_drops_page(frame, first, last);
    dirty[frame] = 1;
}

static void set_rights(size_t w, int rights)
{
    if (mprotect(reserve + (w << PAGE_BITS), PAGE_BYTES, rights)) {
        if (errno == ENOMEM)
            host(MAP_FAILED);
        fail("mprotect: %m");
    }
}

void conceal(size_t w)
{
    set_rights(w, PROT_NONE);
    concealed = w + 1;
}

void reveal(void)
{
    if (concealed)
        set_rights(concealed - 1, PROT_READ | (window[concealed - 1].writable ? PROT_WRITE : 0));
    concealed = 0;
}

static void protect(size_t w, bool can_write)
{
    set_rights(w, PROT_READ | (can_write ? PROT_WRITE : 0));
    count[COUNT_system_calls]++;
    count[COUNT_mprotect_calls]++;
    int64_t before = mappings;
    mappings -= borders(w);
    window[w].writable = can_write;
    mappings += borders(w);
    count[COUNT_split_mappings] += llabs(mappings - before);
}

void open_window(size_t w)
{
    settle_peak();
    protect(w, true);
}

/* Why an access faults at a window that is to show `frame`, if it does. */
enum counter needed(const struct row *row, size_t w, uint32_t frame)
{
    if (!window[w].frame)
        return COUNT_faults_unmapped;
    if (!row->store || window[w].writable)
        return NOT_NEEDED;
    return noticed(frame) ? COUNT_faults_code : COUNT_faults_write;
}

/* One page that the access needs, with its bytes. Does it keep code, so that the store to it is the handler's? */
bool serve_page(const struct row *row, size_t w, uint32_t frame, uint32_t first, uint32_t last, enum counter cause)
{
    bool keeps = row->store && store_keeps_code(frame, first, last, cause == COUNT_faults_code);
    if (!window[w].frame) {
        count[COUNT_mmap_calls]++;
        show_page(w, frame, (row->store && !keeps) || writable_for_load(frame));
    } else if (!keeps) {
        open_window(w);
    }
    return keeps;
}

/* A page became a code page: its writable windows must be so no longer. */
void protect_windows(uint32_t frame)
{
    for (window_t w = first_window[frame]; w; w = window[w - 1].next)
        if (window[w - 1].writable) {
            protect(w - 1, false);
            count[COUNT_protects]++;
        }
}

/* Those of a view are listed, and a block of map-block may span far more windows than were ever mapped. */
static void hide_windows(size_t first, size_t pages)
{
    struct view *v = view + first / span;
    size_t kept = 0;
    if (pages <= v->listed_count) {
        for (size_t w = first; w < first + pages; w++)
            if (window[w].frame)
                hide(w);
        return;
    }
    for (size_t i = 0; i < v->listed_count; i++) {
        size_t w = v->listed[i];
        if (w - first >= pages) {
            v->listed[kept++] = w;
            continue;
        }
        window[w].listed = false;
        if (window[w].frame)
            hide(w);
    }
    v->listed_count = kept;
}

/* One host call makes them inaccessible, whatever they showed. */
void unmap_windows(size_t first, size_t pages)
{
    settle_peak();
    host(mmap(reserve + (first << PAGE_BITS), pages << PAGE_BITS, PROT_NONE, FLAGS_NONE | MAP_FIXED, -1, 0));
    count[COUNT_munmap_calls]++;
    hide_windows(first, pages);
}

void check_mappings(void)
{
    FILE *maps = fopen("/proc/self/maps", "r");
    char line[512];
    int64_t real = 0;
    uintptr_t begin = (uintptr_t)reserve;
    if (!maps || !reserve) {
        if (maps)
            fclose(maps);
        return;
    }
    while (fgets(line, sizeof line, maps)) {
        unsigned long from, to;
        if (sscanf(line, "%lx-%lx", &from, &to) == 2 && from < begin + reserve_bytes && to > begin)
            real++;
    }
    fclose(maps);
    if (real != mappings)
        wrong("the kernel holds %ld mappings of the reserve, %ld were made", (long)real, (long)mappings);
}
