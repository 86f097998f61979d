/*
 * Virtual pages of a whole guest by number, for tables that hold something of each. A 32-bit guest's page has its own
 * number; a 64-bit guest's pages are numbered from 0 in the order in which they are touched, page 0 first of all.
 *
 * Copyright (C) 2026 The mmuexp developers
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef MMUEXP_VPAGES_H
#define MMUEXP_VPAGES_H

#include <stdlib.h>

#include "rows.h"

#define PAGE_BITS 12

#if GUEST_BITS == 32

#define VPAGES (1u << 20)

static inline uint32_t vpage_of(vaddr_t vaddr)
{
    return vaddr >> PAGE_BITS;
}

static inline vaddr_t address_of_vpage(uint32_t vpage)
{
    return vpage << PAGE_BITS;
}

/* All numbers that are in use, by address; how many they are. */
static uint32_t in_order(const uint32_t **numbers)
{
    *numbers = NULL; /* each is its own place */
    return VPAGES;
}

#else

#define VPAGES (1u << 22) /* 16 GiB of pages; more end the recording */
#define RECENT (1u << 12)

static struct {
    struct {
        uint64_t page; /* address >> PAGE_BITS */
        uint32_t vpage;
    } recent[RECENT]; /* by a page's low bits */
    uint32_t others;  /* numbers that are in use beside 0, page 0's */
    uint64_t page[VPAGES];
    uint32_t hashed[2 * VPAGES]; /* 0 none: page 0 is not in it */
    uint32_t sorted[VPAGES];
} v;

static uint32_t __attribute__((noinline)) find_vpage(uint64_t page)
{
    uint32_t slot = page * 0x9e3779b97f4a7c15ull >> 41; /* 23 bits */
    while (page && v.hashed[slot] && v.page[v.hashed[slot]] != page)
        slot = (slot + 1) % (2 * VPAGES);
    if (page && !v.hashed[slot]) {
        if (v.others == VPAGES - 1) {
            finish(ENDED_VPAGES);
            return 0;
        }
        v.page[++v.others] = page;
        v.hashed[slot] = v.others;
    }
    v.recent[page % RECENT].page = page;
    v.recent[page % RECENT].vpage = page ? v.hashed[slot] : 0;
    return v.recent[page % RECENT].vpage;
}

static inline uint32_t vpage_of(vaddr_t vaddr)
{
    uint64_t page = vaddr >> PAGE_BITS;
    return LIKELY(v.recent[page % RECENT].page == page) ? v.recent[page % RECENT].vpage : find_vpage(page);
}

static inline vaddr_t address_of_vpage(uint32_t vpage)
{
    return v.page[vpage] << PAGE_BITS;
}

static int by_address(const void *one, const void *other)
{
    uint64_t a = v.page[*(const uint32_t *)one], b = v.page[*(const uint32_t *)other];
    return a < b ? -1 : a > b;
}

static uint32_t in_order(const uint32_t **numbers)
{
    for (uint32_t i = 0; i <= v.others; i++)
        v.sorted[i] = i;
    qsort(v.sorted, v.others + 1, sizeof *v.sorted, by_address);
    *numbers = v.sorted;
    return v.others + 1;
}

#endif

#endif
