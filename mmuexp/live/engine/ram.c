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

void ram_start(void)
{
    size_t bytes = (size_t)PAGES << PAGE_BITS;
    ram_fd = memfd_create("guest-ram", MFD_CLOEXEC);
    if (ram_fd < 0)
        fail("no memory for guest RAM: %m");
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
    reference =
        checked ? mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0) : NULL;
    if (ram == MAP_FAILED || reference == MAP_FAILED)
        fail("no address space for the guest's %zu MiB: %m", bytes >> 20);
}

static uint8_t *page_in(const uint8_t *memory, uint32_t frame)
{
    return (uint8_t *)memory + (memory == ram ? ram_offset(frame) : (off_t)frame << PAGE_BITS);
}

static void copy(uint8_t *memory, const struct row *row, void *bytes, bool store)
{
    uint32_t done = 0, low = row->crosses ? PAGE_BYTES - row->first : row->size;
    for (unsigned part = 0; part < 2 && done < row->size; part++) {
        uint32_t frame = frame_of(part ? row->second : row->page), length = part ? row->size - low : low;
        uint8_t *place = page_in(memory, frame) + (part ? 0 : row->first);
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
    copy(ram, row, (void *)bytes, true);
}

void load_bytes(const struct row *row, void *bytes)
{
    copy(ram, row, bytes, false);
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
    copy(ram, row, row_bytes, row->store);
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
        copy(reference, row, row_bytes, true);
        count[COUNT_checked_stores]++;
        return;
    }
    copy(reference, row, wanted, false);
    count[COUNT_checked_loads]++;
    for (unsigned i = 0; i < row->size; i++)
        if (row_bytes[i] != wanted[i]) {
            header->failed_row = row->number;
            wrong("wrong data: the load at %#x gave %#04x in byte %u, guest memory holds %#04x", row->vaddr,
                  row_bytes[i], i, wanted[i]);
        }
}

void check_ram(void)
{
    for (uint32_t frame = 0; frame < PAGES; frame++)
        if (stored[frame] && memcmp(page_in(ram, frame), page_in(reference, frame), PAGE_BYTES))
            wrong("wrong data: at the end, guest-physical page %#lx is not what the stores made of it",
                  (unsigned long)physical(frame));
    /* what no store reached must not hold data: a store that went astray leaves some */
    off_t at = 0, end = (off_t)ram_pages << PAGE_BITS;
    while ((at = lseek(ram_fd, at, SEEK_DATA)) >= 0 && at < end) {
        uint64_t page = at >> PAGE_BITS;
        int64_t frame = frame_named(page);
        static const uint8_t zeros[PAGE_BYTES];
        if ((frame < 0 || !stored[frame]) && memcmp(ram + (page << PAGE_BITS), zeros, PAGE_BYTES))
            wrong("wrong data: at the end, guest-physical page %#lx holds what no row stored there",
                  (unsigned long)page);
        at = (off_t)(page + 1) << PAGE_BITS;
    }
}
