/*
 * QEMU 5.2 to 8.0: where an access went, and what is known of a block's pages and of the privilege level at which it
 * runs.
 *
 * Copyright (C) 2026 The mmuexp developers
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef MMUEXP_WHERE_V1_H
#define MMUEXP_WHERE_V1_H

/*
 * How QEMU 5.2 to 8.0 hold what qemu_plugin_get_hwaddr answers. The interface tells an address only, and for ROM one
 * that no block can be matched with; so the place in QEMU's memory is read from here. check() compares it with what the
 * interface says, for each page of RAM that is new.
 */
struct where {
    bool is_io, is_store;
    void *host;
};

/* Place of the page of an address that was just accessed, 0 for device memory. */
static inline uint64_t host_page(uint32_t info, vaddr_t vaddr)
{
    const struct where *where = (const void *)qemu_plugin_get_hwaddr(info, vaddr);
    return where->is_io ? 0 : (uintptr_t)where->host >> PAGE_BITS;
}

/* The interface and our reading of its memory must say the same: else we know nothing. */
static void __attribute__((noinline, cold)) check(uint32_t info, vaddr_t vaddr)
{
    const struct qemu_plugin_hwaddr *opaque = qemu_plugin_get_hwaddr(info, vaddr);
    const struct where *where = (const void *)opaque;
    uint64_t host = (uintptr_t)where->host;
    if (qemu_plugin_hwaddr_is_io(opaque) != where->is_io ||
        ((host >> PAGE_BITS) - p.ram_first < p.ram_pages &&
         qemu_plugin_hwaddr_phys_addr(opaque) != host - (p.ram_first << PAGE_BITS)))
        finish(ENDED_QEMU);
}

static uint64_t place_of_code(const void *host, vaddr_t vaddr, uint8_t mode, bool is_long)
{
    (void)mode, (void)is_long;
    return host ? (uintptr_t)host >> PAGE_BITS : NO_PLACE | vpage_of(vaddr);
}

/*
 * Host page of a block's second page, in which none of its instructions begins: QEMU tells no address then. But it has
 * just fetched from it, so some MMU index holds it; those that hold it agree.
 */
static uint64_t place_of_second_page(vaddr_t vaddr, uint64_t first, uint8_t mode, bool is_long)
{
    (void)mode;
    for (uint32_t index = 0; index < 6; index++) {
        uint64_t host = host_page(LOAD_INFO(index), vaddr);
        if (host)
            return host;
    }
    return first & NO_PLACE ? place_of_code(NULL, vaddr, NOT_YET, is_long) : first + 1; /* no such case was seen */
}

/*
 * The privilege level of a block that is being translated: the fetch has just entered its page under the MMU index that
 * is in force. So a page that the user's index does not hold is the kernel's, and one that it alone holds is the
 * user's. One that both hold is left to the block's accesses.
 */
static bool holds(uint32_t index, vaddr_t vaddr)
{
    return host_page(LOAD_INFO(index), vaddr) || (GUEST_BITS == 64 && host_page(LOAD_INFO(index - 1), vaddr));
}

static uint8_t mode_of_code(const void *host, vaddr_t vaddr)
{
    if (!host)
        return NOT_YET;
    if (g.user_index == NOT_ESTABLISHED)
        return KERNEL; /* no access yet since power-on */
    if (!holds(g.user_index, vaddr))
        return KERNEL;
    bool kernels = holds(g.user_index == 1 ? 0 : 1, vaddr) || holds(g.user_index == 1 ? 2 : 5, vaddr);
    return kernels ? NOT_YET : USER;
}

/*
 * Is the code that is being translated of 64 bits? The fetch has just entered its page under an index of its own. A page
 * that both kinds hold is taken for one of 64 bits: a guest comes from the other kind, and does not go back.
 */
static bool is_long_code(vaddr_t vaddr, uint8_t mode)
{
    if (GUEST_BITS == 32 || g.user_index == NOT_ESTABLISHED)
        return false;
    bool users = host_page(LOAD_INFO(2), vaddr),
         kernels = host_page(LOAD_INFO(0), vaddr) || host_page(LOAD_INFO(4), vaddr);
    if (mode != NOT_YET)
        return mode == USER ? users : kernels;
    return users || !host_page(LOAD_INFO(3), vaddr);
}

static bool learn_registers(void)
{
    return true; /* this version of the interface shows none */
}

#define CONTROL_CALLBACK QEMU_PLUGIN_CB_NO_REGS

/* Where a block lies: these versions translate code for each place anew. */
static inline vaddr_t address_of(const struct block *block)
{
    return block->vaddr;
}

static vaddr_t eip_at_translation(void)
{
    return 0;
}

#endif
