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
static uint8_t quiet_stores[PAGES];
static uint32_t bitmap_of[PAGES]; /* 0: none */
static struct bitmap *bitmap;
static uint32_t bitmaps = 1, free_bitmap[PAGES], free_bitmaps;

static void *zeroed(size_t bytes)
{
    void *memory = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (memory == MAP_FAILED)
        fail("no address space for %zu MiB of block tables: %m", bytes >> 20);
    return memory;
}

bool is_code_page(uint32_t frame)
{
    return page_list[frame];
}

void touch_code_tables(uint32_t frame)
{
    touch(&page_list[frame]);
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
        page_changed(frame);
    }
    b->dropped = true;
    count[COUNT_blocks_dropped]++;
    entered[b->remembered - 1].epoch = 0;
}

/* Its caller remembers it as entered at `vaddr`. At another address it was entered before, it is not remembered. */
static void remembered_at(struct block *b, uint32_t vaddr)
{
    uint16_t slot = entered_at(vaddr) - entered + 1;
    if (b->remembered && b->remembered != slot)
        entered[b->remembered - 1].epoch = 0;
    b->remembered = slot;
}

void execute_block(uint32_t vaddr, uint32_t size, uint32_t insns)
{
    uint32_t page = vaddr >> PAGE_BITS, offset = vaddr & PAGE_MASK;
    uint64_t start = (uint64_t)frame_of(page) << PAGE_BITS | offset;
    int32_t second = offset + size > PAGE_BYTES ? (int32_t)frame_of((page + 1) & (PAGES - 1)) : NO_FRAME;
    uint32_t *head = &bucket[bucket_of(start, size)], number = *head;
    while (number && (block[number].start != start || block[number].size != size || block[number].second != second))
        number = block[number].in_bucket;
    if (number && !block[number].dropped) {
        remembered_at(block + number, vaddr);
        return;
    }
    count[COUNT_translations]++;
    count[COUNT_translated_insns] += insns;
    if (number) {
        count[COUNT_retranslated_insns] += insns;
        block[number].dropped = false;
    } else {
        if (!block)
            block = zeroed((size_t)MAX_BLOCKS * sizeof *block);
        if ((number = used++) >= MAX_BLOCKS)
            fail("more than %d different blocks are translated", MAX_BLOCKS);
        block[number] = (struct block){.start = start, .second = second, .size = size, .in_bucket = *head};
        *head = number;
    }
    remembered_at(block + number, vaddr);
    uint32_t frames[2] = {start >> PAGE_BITS, second};
    bool fresh[2] = {false, false};
    for (unsigned part = 0; part < (second == NO_FRAME ? 1 : 2); part++) {
        fresh[part] = !page_list[frames[part]];
        block[number].in_page[part] = page_list[frames[part]];
        page_list[frames[part]] = number * 2 + part;
        page_changed(frames[part]);
    }
    if (planted == PLANT_NO_PROTECT && (count[COUNT_translations] & 7) == 7)
        return;
    for (unsigned part = 0; part < 2; part++)
        if (fresh[part] && scheme.protect) {
            settle_peak();
            scheme.protect(frames[part]);
        }
}

static uint32_t overlapped(uint32_t frame, uint32_t first, uint32_t last)
{
    for (uint32_t at = page_list[frame]; at; at = block[at / 2].in_page[at & 1]) {
        uint32_t from, end;
        extent(block + at / 2, at & 1, &from, &end);
        if (first < end && last >= from)
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

/* softmmu's helper saw a store to a code page. It sees bytes: by its bitmap, once there is one, else by the list. */
void store_to_code_by_helper(uint32_t frame, uint32_t first, uint32_t last)
{
    count[COUNT_slow_code]++;
    if (bitmap_of[frame] && !bitmap_hit(frame, first, last)) {
        count[COUNT_code_page_data_stores]++;
        return;
    }
    count[COUNT_code_list_walks]++;
    if (!drop_overlapped(frame, first, last) && ++quiet_stores[frame] >= WALKS_BEFORE_BITMAP)
        build_bitmap(frame);
}

void store_to_code_by_list(uint32_t frame, uint32_t first, uint32_t last)
{
    count[COUNT_slow_code]++;
    drop_overlapped(frame, first, last);
}

void store_to_code_unseen(uint32_t frame, uint32_t first, uint32_t last)
{
    if (overlapped(frame, first, last))
        drop_overlapped(frame, first, last);
}
