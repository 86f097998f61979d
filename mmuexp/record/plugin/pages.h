/*
 * Which physical page a virtual page shows: what the last rows told, and the MAP and FLUSH_PAGE rows for what is new.
 *
 * Pages are known by their place in QEMU's own memory, which data accesses and blocks both tell: so they agree on a
 * page, ROM too, whatever QEMU calls its address. Guest RAM is one shared mapping, found by /proc/self/maps: a page of
 * it has its number in RAM. Any other page that QEMU reads and writes as memory (ROM, video memory) gets a number from
 * OTHER_FIRST up, in the order in which they are touched. Code in device memory has no place: 0x80000000 + virtual page,
 * by its number (vpages.h).
 * QEMU from 9.1 on tells no such place, but guest-physical numbers (where_v3.h), one for ROM and for the RAM that may
 * replace it: ROM gets another there (shadow_v3.h).
 *
 * Copyright (C) 2026 The mmuexp developers
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef MMUEXP_PAGES_H
#define MMUEXP_PAGES_H

#include <stdio.h>
#include <string.h>

#include "vpages.h"

#define PAGES (1u << (GUEST_BITS == 64 ? 28 : 20)) /* of RAM: 1 TiB, 4 GiB */
#define MOST_NUMBERED (1u << (GUEST_BITS == 64 ? 22 : 20))
#define HOST_BITS 36 /* of a host page's number: 48-bit addresses */
#define HOST_MASK ((1ull << HOST_BITS) - 1)
#define NO_PLACE (1ull << (HOST_BITS - 1))   /* above user space: code in device memory */
#define GUEST_PAGE (1ull << (HOST_BITS - 2)) /* where_v3.h: no host page but the guest-physical number */
#define ROM_PAGE (1u << 30)                  /* shadow_v3.h: added to the number of ROM that RAM may replace */
#define OTHER_FIRST PAGES
#define OTHER_SLOTS (1u << 18) /* 1 GiB of ROM and video memory, less what a hash table must leave free */

static struct {
    uint64_t generation;           /* of `seen`, in the bits above HOST_BITS: a FLUSH is one addition */
    uint64_t seen[VPAGES];         /* virtual page -> generation and host page that rows told last */
    uint64_t ram_first, ram_pages; /* host pages; 0, 0: not found yet */
    uint64_t other[OTHER_SLOTS];   /* hash table of host pages outside RAM */
    uint32_t other_number[OTHER_SLOTS];
    uint32_t others;
    uint64_t named[3][PAGES / 64]; /* pages of RAM, without a place, of ROM_PAGE: those that have been numbered */
    uint32_t numbered;             /* physical pages */
    vaddr_t cr3;                   /* for the FLUSH row that is due; 0 not known */
    bool unsure;                   /* nobody knows whether what makes the FLUSH row dropped anything */
    bool moved;                    /* the last block held what may move pages */
    bool skipping;                 /* rows are counted, not written */
    uint8_t no_flags;              /* where the flags of a skipped row go */
    uint32_t epoch;                /* raised wherever pages may move; 0 is none */
    uint32_t asked[VPAGES][4];     /* epoch in which QEMU was asked about a page, by QEMU_PLUGIN_MEM_R or _W */
} p;

static bool __attribute__((noinline, cold)) system_turn(void);

/* `publish` false: the encoder does not see the row before the next one, because its flags may still change */
static inline __attribute__((always_inline)) uint8_t *put_row(vaddr_t vaddr, uint32_t page, uint16_t size,
                                                              uint8_t insns, uint8_t op, uint8_t flags, bool publish)
{
    if (!LIKELY(r.rows != r.end) && !system_turn())
        return NULL;
    uint64_t row = r.rows;
    uint8_t *place = &p.no_flags;
    if (LIKELY(!p.skipping)) {
        struct chunk *chunk = r.chunk;
        uint32_t at = row & (CHUNK_ROWS - 1);
        chunk->vaddr[at] = vaddr;
        chunk->page[at] = page;
        chunk->size[at] = size;
        chunk->insns[at] = insns;
        chunk->op[at] = op;
        place = &chunk->flags[at];
        *place = flags;
    }
    r.rows = row + 1;
    if (publish)
        __atomic_store_n(r.shared_rows, row + 1, __ATOMIC_RELEASE);
    return place;
}

static void count_page(void)
{
    if (p.numbered++ == MOST_NUMBERED)
        finish(ENDED_PAGES);
}

static uint32_t count_once(uint64_t *named, uint32_t page)
{
    if (!(named[page / 64] >> page % 64 & 1)) {
        named[page / 64] |= 1ull << page % 64;
        count_page();
    }
    return page;
}

/* The number of a host page in MAP rows. It may end the recording; put_row() writes nothing then. */
static uint32_t number_of(uint64_t host)
{
    if (PLUGIN_API > 1 && host & GUEST_PAGE) {
        count_once(p.named[host & ROM_PAGE ? 2 : 0], host % PAGES);
        return host & (GUEST_PAGE - 1);
    }
    if (host - p.ram_first < p.ram_pages)
        return count_once(p.named[0], (host - p.ram_first) % PAGES);
    if (host & NO_PLACE)
        return 0x80000000u | count_once(p.named[1], host % PAGES);
    uint32_t slot = (host * 0x9e3779b97f4a7c15ull) >> 46; /* 18 bits */
    while (p.other[slot] && p.other[slot] != host)
        slot = (slot + 1) % OTHER_SLOTS;
    if (!p.other[slot]) {
        if (p.others == OTHER_SLOTS / 4 * 3) {
            finish(ENDED_PAGES);
            return 0;
        }
        count_page();
        p.other[slot] = host;
        p.other_number[slot] = OTHER_FIRST + p.others++;
    }
    return p.other_number[slot];
}

static inline bool is_known(uint32_t vpage)
{
    return p.seen[vpage] >> HOST_BITS == p.generation >> HOST_BITS;
}

/*
 * Recording asks QEMU at each access where its page lies, skipping once in an epoch. What can move a page begins one:
 * instructions that drop translations, task switches, device accesses, and a page that is seen to have moved. So both
 * count the same rows, but for a guest that changes a page's entry, drops no translation and goes on using the page:
 * the processor may show it the old page or the new one. (Asked at each of 6.4 G accesses that were not to be asked
 * about, in two Linux boots on pc and q35, GRUB and SeaBIOS, under QEMU 7.2 and 10.0: none had moved.)
 */
static void new_epoch(void)
{
    if (!++p.epoch) {
        memset(p.asked, 0, sizeof p.asked);
        p.epoch = 1;
    }
}

static void __attribute__((noinline, cold)) forget(uint32_t vpage)
{
    new_epoch();
    put_row(address_of_vpage(vpage), 0, 0, 0, OP_FLUSH_PAGE, 0, true);
    p.seen[vpage] = 0; /* after the row: where skipping ends with it, the page is still known before it */
}

static void __attribute__((noinline)) show(uint32_t vpage, uint64_t host)
{
    if (is_known(vpage))
        forget(vpage);
    put_row(address_of_vpage(vpage), number_of(host), 0, 0, OP_MAP, 0, true);
    p.seen[vpage] = p.generation | host;
}

/* The next row touches this page. True: it was not known to show that host page. */
static inline bool touch(uint32_t vpage, uint64_t host)
{
    if (LIKELY(p.seen[vpage] == (p.generation | host)))
        return false;
    show(vpage, host);
    return true;
}

static void flush_all(uint32_t reason)
{
    bool written = put_row(reason == FLUSH_CR3 ? p.cr3 : 0, 0, reason, 0, OP_FLUSH, 0, true);
    if (p.unsure && written && !p.skipping)
        r.header->flushes_unsure++;
    p.unsure = false;
    p.generation += 1ull << HOST_BITS;
    if (!p.generation) { /* after 2**28 of them */
        memset(p.seen, 0, sizeof p.seen);
        p.generation = 1ull << HOST_BITS;
    }
}

/* Skipping is over: from here on rows are kept, and before them stands what is known. */
static void begin_rows(void)
{
    p.skipping = false;
    __atomic_store_n(&r.header->skipped, r.rows, __ATOMIC_RELEASE);
    r.rows = r.end = 0;
    r.shared_rows = &r.header->rows;
    uint64_t known = 0;
    const uint32_t *numbers;
    uint32_t vpages = in_order(&numbers);
    for (uint32_t vpage = 0; vpage < vpages; vpage++)
        known += is_known(vpage);
    __atomic_store_n(&r.header->prefix, known, __ATOMIC_RELEASE);
    if (r.limit < UINT64_MAX - known)
        r.limit += known;
    for (uint32_t i = 0; i < vpages; i++) {
        uint32_t vpage = numbers ? numbers[i] : i;
        if (is_known(vpage))
            put_row(address_of_vpage(vpage), number_of(p.seen[vpage] & HOST_MASK), 0, 0, OP_MAP, 0, true);
    }
}

static bool system_turn(void)
{
    if (!r.over && p.skipping)
        begin_rows();
    return r.rows != r.end || turn();
}

/* Finds guest RAM: the largest shared mapping that can be written, but for the ring. */
static bool find_ram(void)
{
    FILE *maps = fopen("/proc/self/maps", "r");
    char line[512];
    uint64_t last = 0, first = 0, file = 0;
    bool shared = false;
    while (maps && fgets(line, sizeof line, maps)) {
        uint64_t begin, end, inode;
        char rights[5];
        if (sscanf(line, "%lx-%lx %4s %*s %*s %lu", &begin, &end, rights, &inode) != 4)
            continue;
        bool this_one = rights[1] == 'w' && rights[3] == 's' && begin != (uintptr_t)r.header;
        bool goes_on = shared && begin == last && inode == file; /* pieces of one; another's may lie beside it */
        first = this_one && goes_on ? first : begin;
        shared = this_one;
        last = end;
        file = inode;
        if (shared && (end - first) >> PAGE_BITS > p.ram_pages) {
            p.ram_first = first >> PAGE_BITS;
            p.ram_pages = (end - first) >> PAGE_BITS;
        }
    }
    if (maps)
        fclose(maps);
    return p.ram_pages;
}

#endif
