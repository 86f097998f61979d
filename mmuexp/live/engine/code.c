/*
 * Translated blocks and code pages. A block is its physical start, size, and second frame if it crosses; there is no
 * host code behind it, only what decides when it must go.
 */
#include "engine.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

enum { MAX_BLOCKS = 1 << 22, BUCKETS = 1 << 20, NO_FRAME = -1, WALKS_BEFORE_BITMAP = 10 };

struct block {
    uint64_t start; /* of its first byte: frame and offset */
    int32_t second; /* frame of its second page, NO_FRAME */
    uint16_t size;
    uint16_t remembered; /* slot + 1 of `entered` that may hold it */
    bool dropped;        /* until it is translated again; it keeps its place in the bucket */
    bool before;         /* it was translated once */
    bool changed;        /* code=check: a store overlapped it since it was translated */
    uint64_t copy;       /* code=check: where its source is kept */
    uint32_t in_bucket;  /* next in the hash bucket */
    uint32_t in_page[2]; /* next in the list of its first page, and of its second: block * 2 + part */
};

struct bitmap {
    uint8_t covered[PAGE_BYTES / 8];
};

struct entered entered[ENTERED];
uint64_t code_epoch = 1;
static struct block *block; /* block 0 is none */
static uint32_t used = 1;
static uint32_t bucket[BUCKETS];
static uint32_t page_list[PAGES]; /* block * 2 + part of the first block of a code page; 0: no code page */
static uint32_t list_length[PAGES];
static uint8_t quiet_stores[PAGES];
static uint32_t bitmap_of[PAGES]; /* 0: none */
static struct bitmap *bitmap;
static uint32_t bitmaps = 1, free_bitmap[PAGES], free_bitmaps;

void *zeroed(size_t bytes)
{
    void *memory = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (memory == MAP_FAILED)
        fail("no address space for %zu MiB of tables: %m", bytes >> 20);
    return memory;
}

static void make_room_for_blocks(void)
{
    if (!block)
        block = zeroed((size_t)MAX_BLOCKS * sizeof *block);
}

bool is_code_page(uint32_t frame)
{
    return page_list[frame];
}

void touch_code_tables(uint32_t frame)
{
    touch(&page_list[frame]);
    touch(&list_length[frame]);
    touch(&quiet_stores[frame]);
    touch(&bitmap_of[frame]);
}

/* Those of so many blocks, once: what is touched again and again pushes out what the guest has in the caches. */
void touch_block_tables(uint32_t blocks)
{
    static uint32_t touched;
    for (size_t at = 0; at < BUCKETS && !touched; at += PAGE_BYTES / sizeof *bucket)
        touch(&bucket[at]);
    make_room_for_blocks();
    for (; touched <= blocks && touched < MAX_BLOCKS; touched += PAGE_BYTES / sizeof *block)
        touch(&block[touched]);
}

static uint32_t bucket_of(uint64_t start, uint32_t size)
{
    return (start * 0x9e3779b97f4a7c15 ^ (uint64_t)size * 0xff51afd7ed558ccd) >> 44;
}

/* Its blocks changed: the bitmap of the page's code bytes, and the count that led to it, are void. */
static void page_changed(uint32_t frame)
{
    quiet_stores[frame] = 0;
    if (bitmap_of[frame]) {
        free_bitmap[free_bitmaps++] = bitmap_of[frame];
        bitmap_of[frame] = 0;
    }
}

static uint32_t frame_of_part(const struct block *b, unsigned part)
{
    return part ? (uint32_t)b->second : b->start >> PAGE_BITS;
}

/* Bytes of the block in its page `part`: [*first, *end) */
static void extent(const struct block *b, unsigned part, uint32_t *first, uint32_t *end)
{
    uint32_t offset = b->start & PAGE_MASK, over = offset + b->size;
    *first = part ? 0 : offset;
    *end = part ? over - PAGE_BYTES : over < PAGE_BYTES ? over : PAGE_BYTES;
}

static void drop(uint32_t number)
{
    struct block *b = block + number;
    for (unsigned part = 0; part < 2; part++) {
        if (part && b->second == NO_FRAME)
            continue;
        uint32_t frame = frame_of_part(b, part), *link = &page_list[frame];
        while (*link != number * 2 + part)
            link = &block[*link / 2].in_page[*link & 1];
        *link = b->in_page[part];
        list_length[frame]--;
        page_changed(frame);
    }
    b->dropped = true;
    count[COUNT_blocks_dropped]++;
    entered[b->remembered - 1].epoch = 0;
}

/* Its caller remembers it as entered at `vaddr`. At another address it was entered before, it is not remembered. */
static void remembered_at(struct block *b, uint64_t vaddr)
{
    uint16_t slot = entered_at(vaddr) - entered + 1;
    if (b->remembered && b->remembered != slot)
        entered[b->remembered - 1].epoch = 0;
    b->remembered = slot;
}

/* Parameter `code`. A frame is checked once it took so many faults_code: nobody watches it, its blocks do. */
enum code code_policy;
bool stores_pass;
static uint32_t check_after;
static unsigned checks;            /* of the counters, the first of three */
static uint8_t code_faults[PAGES]; /* by frame */
static uint8_t *sources;           /* of translated blocks, as they were */
static uint64_t sources_used;

enum { SOURCE_GIB = 32 };

void code_start(unsigned first)
{
    code_policy = parameter("code");
    check_after = parameter("check_after");
    checks = first;
    stores_pass = code_policy == CODE_CHECK || code_policy == CODE_FREE;
    if (code_policy == CODE_CHECK)
        sources = zeroed((size_t)SOURCE_GIB << 30);
}

static bool checked_frame(uint32_t frame)
{
    return code_policy == CODE_CHECK && code_faults[frame] >= check_after;
}

bool noticed(uint32_t frame)
{
    return is_code_page(frame) && code_policy != CODE_FREE && !checked_frame(frame);
}

bool is_checked(uint32_t number)
{
    const struct block *b = block + number;
    return code_policy == CODE_CHECK &&
           (checked_frame(frame_of_part(b, 0)) || (b->second != NO_FRAME && checked_frame(b->second)));
}

/* Does the guest's memory hold what it held? */
static bool same_source(const struct block *b)
{
    const uint8_t *source = sources + b->copy;
    for (unsigned part = 0; part < (b->second == NO_FRAME ? 1 : 2); part++) {
        uint32_t first, end;
        extent(b, part, &first, &end);
        if (memcmp(source, ram_at(frame_of_part(b, part)) + first, end - first))
            return false;
        source += end - first;
    }
    return true;
}

static void keep_source(struct block *b)
{
    if (code_policy != CODE_CHECK)
        return;
    if (!b->copy) {
        b->copy = sources_used += 8; /* 0: none */
        if ((sources_used += b->size) >> 30 >= SOURCE_GIB)
            fail("the source of the blocks takes more than %d GiB", SOURCE_GIB);
    }
    uint8_t *source = sources + b->copy;
    for (unsigned part = 0; part < (b->second == NO_FRAME ? 1 : 2); part++) {
        uint32_t first, end;
        extent(b, part, &first, &end);
        memcpy(source, ram_at(frame_of_part(b, part)) + first, end - first);
        source += end - first;
    }
    b->changed = false;
}

/* A store that left the bytes as they were counts as a change; a change that no store was seen to make is none of ours. */
static bool is_unchanged(const struct block *b)
{
    if (!same_source(b) && !b->changed)
        wrong("the source of the block at physical %#lx changed, and no store was seen to do it",
              (unsigned long)(physical(b->start >> PAGE_BITS) << PAGE_BITS | (b->start & PAGE_MASK)));
    return !b->changed || planted == PLANT_NOT_COMPARED;
}

static void count_check(const struct block *b)
{
    count[checks]++;
    count[checks + 1] += b->size;
}

static bool passes_check(const struct block *b)
{
    count_check(b);
    if (is_unchanged(b))
        return true;
    count[checks + 2]++;
    return false;
}

bool checked_entry(struct entered *entry)
{
    if (entry->epoch != (code_epoch | CHECKED) || !is_unchanged(block + entry->block))
        return false;
    count_check(block + entry->block);
    return true;
}

bool drop_block(uint32_t number)
{
    if (block[number].dropped)
        return false;
    drop(number);
    return true;
}

uint32_t block_of(uint64_t start, uint32_t size, int32_t second)
{
    uint32_t *head = &bucket[bucket_of(start, size)], number = *head;
    while (number && (block[number].start != start || block[number].size != size || block[number].second != second))
        number = block[number].in_bucket;
    if (number)
        return number;
    make_room_for_blocks();
    if ((number = used++) >= MAX_BLOCKS)
        fail("more than %d different blocks are translated", MAX_BLOCKS);
    block[number] = (struct block){.start = start, .second = second, .size = size, .in_bucket = *head, .dropped = true};
    return *head = number;
}

uint32_t execute_block(uint64_t vaddr, uint32_t size, uint32_t insns)
{
    uint64_t page = vaddr >> PAGE_BITS, offset = vaddr & PAGE_MASK;
    uint64_t start = (uint64_t)frame_of(page) << PAGE_BITS | offset;
    int32_t second = offset + size > PAGE_BYTES ? (int32_t)frame_of((page + 1) & LAST_PAGE) : NO_FRAME;
    uint32_t number = block_of(start, size, second);
    struct block *b = block + number;
    if (!b->dropped && is_checked(number) && !passes_check(b))
        drop(number);
    if (!b->dropped) {
        remembered_at(b, vaddr);
        return number;
    }
    count[COUNT_translations]++;
    count[COUNT_translated_insns] += insns;
    count[COUNT_retranslated_insns] += b->before ? insns : 0;
    b->dropped = false;
    b->before = true;
    remembered_at(b, vaddr);
    uint32_t frames[2] = {start >> PAGE_BITS, second};
    bool fresh[2] = {false, false};
    for (unsigned part = 0; part < (second == NO_FRAME ? 1 : 2); part++) {
        fresh[part] = !page_list[frames[part]];
        b->in_page[part] = page_list[frames[part]];
        page_list[frames[part]] = number * 2 + part;
        list_length[frames[part]]++;
        page_changed(frames[part]);
    }
    keep_source(b);
    if (scheme.translated)
        scheme.translated(number);
    if (planted == PLANT_NO_PROTECT && (count[COUNT_translations] & 7) == 7)
        return number;
    for (unsigned part = 0; part < 2; part++)
        if (fresh[part] && scheme.protect && noticed(frames[part])) {
            settle_peak();
            scheme.protect(frames[part]);
        }
    return number;
}

static bool reaches(uint32_t at, uint32_t first, uint32_t last)
{
    uint32_t from, end;
    extent(block + at / 2, at & 1, &from, &end);
    return first < end && last >= from;
}

static uint32_t overlapped(uint32_t frame, uint32_t first, uint32_t last)
{
    for (uint32_t at = page_list[frame]; at; at = block[at / 2].in_page[at & 1]) {
        if (reaches(at, first, last))
            return at;
    }
    return 0;
}

/* A handler saw a store to a code page. It sees pages, not bytes. */
void store_drops_page(uint32_t frame, uint32_t first, uint32_t last)
{
    count[overlapped(frame, first, last) ? COUNT_smc_stores : COUNT_code_page_data_stores]++;
    while (page_list[frame])
        drop(page_list[frame] / 2);
}

static void build_bitmap(uint32_t frame)
{
    if (!bitmap)
        bitmap = zeroed((size_t)(PAGES + 1) * sizeof *bitmap);
    uint32_t number = free_bitmaps ? free_bitmap[--free_bitmaps] : bitmaps++;
    uint8_t *covered = bitmap[number].covered;
    memset(covered, 0, sizeof bitmap->covered);
    for (uint32_t at = page_list[frame]; at; at = block[at / 2].in_page[at & 1]) {
        uint32_t from, end;
        extent(block + at / 2, at & 1, &from, &end);
        for (; from < end; from++)
            covered[from / 8] |= 1 << (from & 7);
    }
    bitmap_of[frame] = number;
}

static bool bitmap_hit(uint32_t frame, uint32_t first, uint32_t last)
{
    for (; first <= last; first++)
        if (bitmap[bitmap_of[frame]].covered[first / 8] & 1 << (first & 7))
            return true;
    return false;
}

static bool drop_overlapped(uint32_t frame, uint32_t first, uint32_t last)
{
    uint32_t at = overlapped(frame, first, last);
    bool dropped = at;
    count[dropped ? COUNT_smc_stores : COUNT_code_page_data_stores]++;
    for (; at; at = overlapped(frame, first, last))
        drop(at / 2);
    return dropped;
}

/* A helper begins to walk this page's list. With data it goes through it once more: the length that is kept is right. */
static void count_searched(uint32_t frame)
{
    if (checked) {
        uint32_t blocks = 0;
        for (uint32_t at = page_list[frame]; at; at = block[at / 2].in_page[at & 1])
            blocks++;
        if (blocks != list_length[frame])
            wrong("the list of a code page has %u blocks, and %u are counted", blocks, list_length[frame]);
    }
    count[COUNT_searched_blocks] += list_length[frame];
}

/* softmmu's helper saw a store to a code page. It sees bytes: by its bitmap, once there is one, else by the list. */
void store_to_code_by_helper(uint32_t frame, uint32_t first, uint32_t last)
{
    count[COUNT_slow_code]++;
    if (bitmap_of[frame] && !bitmap_hit(frame, first, last)) {
        count[COUNT_code_page_data_stores]++;
        return;
    }
    count[COUNT_code_list_walks]++;
    count_searched(frame);
    if (!drop_overlapped(frame, first, last) && ++quiet_stores[frame] >= WALKS_BEFORE_BITMAP)
        build_bitmap(frame);
}

void store_to_code_by_list(uint32_t frame, uint32_t first, uint32_t last)
{
    count[COUNT_slow_code]++;
    count_searched(frame);
    drop_overlapped(frame, first, last);
}

void store_to_code_unseen(uint32_t frame, uint32_t first, uint32_t last)
{
    if (overlapped(frame, first, last))
        drop_overlapped(frame, first, last);
}

/* A handler serves a store to this page, by the policy. Does the page keep a block, so that it must stay closed? */
bool store_keeps_code(uint32_t frame, uint32_t first, uint32_t last, bool code_fault)
{
    dirty[frame] = 1;
    if (code_policy == CODE_BLOCK) {
        if (is_code_page(frame))
            drop_overlapped(frame, first, last);
        return is_code_page(frame);
    }
    if (noticed(frame))
        store_drops_page(frame, first, last);
    if (code_fault && code_faults[frame] < UINT8_MAX)
        code_faults[frame]++;
    return false;
}

static void passed(uint32_t frame, uint32_t first, uint32_t last)
{
    if (code_policy == CODE_FREE) {
        store_to_code_unseen(frame, first, last);
        return;
    }
    for (uint32_t at = page_list[frame]; at; at = block[at / 2].in_page[at & 1])
        if (reaches(at, first, last))
            block[at / 2].changed = true;
}

void store_passed(uint32_t i)
{
    if (rows.flags[i] & FLAG_IO)
        return;
    struct row row = current_row();
    passed(frame_of(row.page), row.first, row.last);
    if (row.crosses)
        passed(frame_of(row.second), 0, row.second_last);
}
