/*
 * What QEMU tells of an access and of where it went, and what follows from it for code: the place of a block's pages
 * and the privilege level at which it runs.
 *
 * Copyright (C) 2026 The mmuexp developers
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef MMUEXP_WHERE_H
#define MMUEXP_WHERE_H

#include "blocks.h"

#define MMU_INDEX(info) ((info) & 15)
#define SIZE(info) (1u << ((info) >> 4 & 7))
#define RW(info) ((info) >> 16 & QEMU_PLUGIN_MEM_RW)
#define LOAD_INFO(index) ((uint32_t)QEMU_PLUGIN_MEM_R << 16 | (index))

/*
 * How QEMU 5.2 to 8.0 hold what qemu_plugin_get_hwaddr answers. The interface tells an address only, and for ROM one
 * that no block can be matched with; so the place in QEMU's memory is read from here. check() compares it with what the
 * interface says, for each page of RAM that is new.
 */
struct where {
    bool is_io, is_store;
    void *host;
};

/*
 * Which MMU index is ring 3's: the first access after power-on is the kernel's, without SMAP. QEMU 7.2 as released
 * numbers the MMU indexes 0 kernel with SMAP, 1 user, 2 kernel; its later corrections and QEMU 8.2 have 1, 3, 5 for
 * 32-bit code.
 */
static void __attribute__((noinline, cold)) establish_user_index(uint32_t index)
{
    if (index == 2)
        g.user_index = 1;
    else if (index == 5)
        g.user_index = 3;
    else
        finish(ENDED_QEMU);
}

/* The interface and our reading of its memory must say the same: else we know nothing. */
static void __attribute__((noinline, cold)) check(const struct where *where)
{
    uint64_t host = (uintptr_t)where->host;
    const struct qemu_plugin_hwaddr *opaque = (const void *)where;
    if (qemu_plugin_hwaddr_is_io(opaque) != where->is_io ||
        ((host >> PAGE_BITS) - p.ram_first < p.ram_pages &&
         qemu_plugin_hwaddr_phys_addr(opaque) != host - (p.ram_first << PAGE_BITS)))
        finish(ENDED_QEMU);
}

/* Host page of an address that was just accessed, 0 for device memory. */
static inline uint64_t host_page(uint32_t info, uint32_t vaddr, const struct where **where)
{
    *where = (const void *)qemu_plugin_get_hwaddr(info, vaddr);
    return (*where)->is_io ? 0 : (uintptr_t)(*where)->host >> PAGE_BITS;
}

static uint64_t place(const void *host, uint32_t vaddr)
{
    return host ? (uintptr_t)host >> PAGE_BITS : NO_PLACE | vaddr >> PAGE_BITS;
}

/*
 * Host page of a block's second page, in which none of its instructions begins: QEMU tells no address then. But it has
 * just fetched from it, so some MMU index holds it; those that hold it agree.
 */
static uint64_t place_of_second_page(uint32_t vaddr, uint64_t first)
{
    for (uint32_t index = 0; index < 6; index++) {
        const struct where *where;
        uint64_t host = host_page(LOAD_INFO(index), vaddr, &where);
        if (host)
            return host;
    }
    return first & NO_PLACE ? place(NULL, vaddr) : first + 1; /* no such case was seen */
}

/*
 * The privilege level of a block that is being translated: the fetch has just entered its page under the MMU index that
 * is in force. So a page that the user's index does not hold is the kernel's, and one that it alone holds is the
 * user's. One that both hold is left to the block's accesses.
 */
static uint8_t mode_of_page(uint32_t vaddr)
{
    const struct where *where;
    if (g.user_index == NOT_ESTABLISHED)
        return KERNEL; /* no access yet since power-on */
    if (!host_page(LOAD_INFO(g.user_index), vaddr, &where))
        return KERNEL;
    bool smap = host_page(LOAD_INFO(g.user_index == 1 ? 0 : 1), vaddr, &where);
    bool no_smap = host_page(LOAD_INFO(g.user_index == 1 ? 2 : 5), vaddr, &where);
    return smap || no_smap ? NOT_YET : USER;
}

#endif
