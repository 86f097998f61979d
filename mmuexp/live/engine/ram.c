/*
 * Guest RAM: guest-physical memory in a sparse memfd, at its physical address; beside it a flat reference, by frame.
 * Neighbours in physical memory are so neighbours in the file, and the kernel merges their mappings as it should.
 *
 * Each store writes bytes that name its row. A load must give what the reference holds, and at the end both are
 * compared byte for byte, so that a wrong translation cannot hide behind right counts.
 */
#define _GNU_SOURCE
#include "engine.h"

#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

int ram_fd;
uint8_t *ram, row_bytes[MAX_SIZE];
uint64_t ram_pages = PAGES;
volatile bool row_done;
static uint8_t *reference;
static uint8_t stored[PAGES]; /* frames that a store reached: the others are zero in both */

#ifdef WIDE
/*
 * More than a host has address space for: the file is as large, and what is always accessible is mapped where something
 * lies, a region at a time, with a page of the next behind it (page-table,detect=off reads on there).
 */
enum { REGION_PAGES = 1 << 18, REGIONS = 1 << 22 };
static uint8_t *region[REGIONS];
static const uint64_t FILE_PAGES = UINT64_C(1) << 40;

static uint64_t file_page(uint32_t frame)
{
    return system_mode ? physical(frame) : physical(frame) & (ADDRESS_PAGES - 1);
}

off_t ram_offset(uint32_t frame)
{
    return (off_t)file_page(frame) << PAGE_BITS;
}

static uint8_t *file_at(uint64_t page)
{
    uint8_t **found = &region[page / REGION_PAGES];
    if (!*found) {
        size_t bytes = (size_t)(REGION_PAGES + 1) << PAGE_BITS;
        off_t from = (off_t)(page - page % REGION_PAGES) << PAGE_BITS;
        *found = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_NORESERVE, ram_fd, from);
        if (*found == MAP_FAILED)
            fail("no address space for another GiB of guest RAM: %m");
    }
    return *found + (page % REGION_PAGES << PAGE_BITS);
}

uint8_t *ram_at(uint32_t frame)
{
    return file_at(file_page(frame));
}

static void map_ram(void)
{
    ram_pages = FILE_PAGES;
    if (ftruncate(ram_fd, (off_t)(FILE_PAGES + 1) << PAGE_BITS))
        fail("no file for the guest's RAM: %m");
}

static int64_t frame_at(uint64_t page)
{
    if (system_mode)
        return frame_named(page);
    uint64_t sign = page >> (ADDRESS_BITS - PAGE_BITS - 1); /* as the guest has it, all above alike */
    return frame_named(sign ? page | (LAST_PAGE & ~(ADDRESS_PAGES - 1)) : page);
}
#else
static uint8_t *file_at(uint64_t page)
{
    return ram + (page << PAGE_BITS);
}

static void map_ram(void)
{
    if (system_mode)
        ram_pages = UINT64_C(1) << 32; /* as far as a MAP row can reach; 16 TiB of addresses, if the host has them */
    for (;; ram_pages >>= 4) {
        ram = MAP_FAILED;
        size_t mapped = (ram_pages + 1) << PAGE_BITS; /* page-table,detect=off reads on behind the last page */
        if (!ftruncate(ram_fd, mapped))
            ram = mmap(NULL, mapped, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_NORESERVE, ram_fd, 0);
        if (ram != MAP_FAILED || ram_pages <= PAGES)
            break;
    }
    if (ram == MAP_FAILED)
        fail("no address space for the guest's %d MiB: %m", PAGES >> (20 - PAGE_BITS));
}

static int64_t frame_at(uint64_t page)
{
    return frame_named(page);
}
#endif

void ram_start(void)
{
    ram_fd = memfd_create("guest-ram", MFD_CLOEXEC);
    if (ram_fd < 0)
        fail("no memory for guest RAM: %m");
    map_ram();
    if (checked)
        reference = zeroed((size_t)PAGES << PAGE_BITS);
}

static uint8_t *page_of_reference(uint32_t frame)
{
    return reference + ((off_t)frame << PAGE_BITS);
}

static void copy(uint8_t *page_at(uint32_t frame), const struct row *row, void *bytes, bool store)
{
    uint32_t done = 0, low = row->crosses ? PAGE_BYTES - row->first : row->size;
    for (unsigned part = 0; part < 2 && done < row->size; part++) {
        uint32_t frame = frame_of(part ? row->second : row->page), length = part ? row->size - low : low;
        uint8_t *place = page_at(frame) + (part ? 0 : row->first);
        if (store) {
            memcpy(place, (uint8_t *)bytes + done, length);
            stored[frame] = 1;
        } else {
            memcpy((uint8_t *)bytes + done, place, length);
        }
        done += length;
    }
}

void store_bytes(const struct row *row, const void *bytes)
{
    copy(ram_at, row, (void *)bytes, true);
}

void load_bytes(const struct row *row, void *bytes)
{
    copy(ram_at, row, bytes, false);
}

/* A handler or a helper does the access, all of it, with the data register as it is; gives what it is then. */
uint64_t whole_row(const struct row *row, uint64_t data)
{
    row_done = true;
    if (row->io) {
        memset(row_bytes, 0, sizeof row_bytes);
        return row->store ? data : 0;
    }
    if (row->store && !checked)
        memcpy(row_bytes, &data, 8);
    copy(ram_at, row, row_bytes, row->store);
    if (!row->store)
        memcpy(&data, row_bytes, 8);
    return data;
}

static uint64_t mix(uint64_t x)
{
    x = (x ^ x >> 31) * 0x9e3779b97f4a7c15;
    x = (x ^ x >> 29) * 0xbf58476d1ce4e5b9;
    return x ^ x >> 32;
}

/* The data of a row: what it will store, or (size 0) nothing that a load could be taken for. */
void name_row(uint64_t number, unsigned size)
{
    if (!size) {
        memset(row_bytes, 0xee, sizeof row_bytes);
        return;
    }
    for (unsigned at = 0; at < size; at += 8) {
        uint64_t name = mix(number * 8 + at / 8 + 1);
        memcpy(row_bytes + at, &name, 8);
    }
}

void check_row(const struct row *row)
{
    uint8_t wanted[MAX_SIZE];
    if (row->io)
        return;
    if (row->store) {
        copy(page_of_reference, row, row_bytes, true);
        count[COUNT_checked_stores]++;
        return;
    }
    copy(page_of_reference, row, wanted, false);
    count[COUNT_checked_loads]++;
    for (unsigned i = 0; i < row->size; i++)
        if (row_bytes[i] != wanted[i]) {
            header->failed_row = row->number;
            wrong("wrong data: the load at %#lx gave %#04x in byte %u, guest memory holds %#04x",
                  (unsigned long)row->vaddr, row_bytes[i], i, wanted[i]);
        }
}

void check_ram(void)
{
    for (uint32_t frame = 0; frame < PAGES; frame++)
        if (stored[frame] && memcmp(ram_at(frame), page_of_reference(frame), PAGE_BYTES))
            wrong("wrong data: at the end, guest-physical page %#lx is not what the stores made of it",
                  (unsigned long)physical(frame));
    /* what no store reached must not hold data: a store that went astray leaves some */
    off_t at = 0, end = (off_t)ram_pages << PAGE_BITS;
    while ((at = lseek(ram_fd, at, SEEK_DATA)) >= 0 && at < end) {
        uint64_t page = at >> PAGE_BITS;
        int64_t frame = frame_at(page);
        static const uint8_t zeros[PAGE_BYTES];
        if ((frame < 0 || !stored[frame]) && memcmp(file_at(page), zeros, PAGE_BYTES))
            wrong("wrong data: at the end, guest-physical page %#lx holds what no row stored there",
                  (unsigned long)page);
        at = (off_t)(page + 1) << PAGE_BITS;
    }
}
