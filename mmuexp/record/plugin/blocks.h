/*
 * Translated blocks, and the privilege level at which they run. The interface does not tell it for blocks, but a block
 * is translated for one level. Where its page does not tell at translation (mode_of_page), its first data access
 * settles it for good. Until then, and for blocks without accesses, it is a guess: what the page's other blocks run at,
 * else what ran last.
 *
 * Copyright (C) 2026 The mmuexp developers
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef MMUEXP_BLOCKS_H
#define MMUEXP_BLOCKS_H

#include <stdlib.h>

#include "pages.h"

#define NOT_ESTABLISHED 0xff

enum mode_of_code { KERNEL = 0, USER = 1, NOT_YET = 2 };

/* A block, or a part of 255 instructions of a long one. It lives until QEMU drops all blocks. */
struct block {
    vaddr_t vaddr;
    uint16_t size;
    uint8_t insns;
    uint8_t mode;     /* a block belongs to one privilege level; its first access tells which */
    uint64_t host[2]; /* host pages; the second is 0 where it does not cross */
    vaddr_t eip;      /* where_v3.h: what %eip was when it was translated for `vaddr` */
};

#define ARENA_BLOCKS 16384
struct arena {
    struct arena *next;
    uint32_t used;
    struct block blocks[ARENA_BLOCKS];
};

static struct {
    struct arena *arenas;
    struct block *pending; /* the last EXEC row's block, while its privilege level is a guess */
    uint8_t *pending_flags;
    uint8_t mode;              /* of what ran last */
    vaddr_t shift;             /* how far from where it was translated for the block lies that runs */
    uint8_t user_index;        /* MMU index of privilege level 3, for code of 32 bits */
    uint8_t page_mode[VPAGES]; /* of the code in a virtual page, as its blocks told last */
} g;                           /* set in qemu_plugin_install, as p: what is set here is stored with all its arrays */

static void __attribute__((noinline, cold)) learn_mode(uint8_t mode)
{
    struct block *block = g.pending;
    g.pending = NULL;
    block->mode = mode;
    g.page_mode[vpage_of(block->vaddr)] = mode;
    *g.pending_flags = mode ? FLAG_USER : 0;
    __atomic_store_n(r.shared_rows, r.rows, __ATOMIC_RELEASE);
}

static struct block *new_block(void)
{
    if (!g.arenas || g.arenas->used == ARENA_BLOCKS) {
        struct arena *arena = malloc(sizeof *arena);
        if (!arena)
            abort();
        arena->next = g.arenas;
        arena->used = 0;
        g.arenas = arena;
    }
    return &g.arenas->blocks[g.arenas->used++];
}

static void on_all_blocks_dropped(qemu_plugin_id_t id)
{
    (void)id;
    g.pending = NULL;
    while (g.arenas) {
        struct arena *arena = g.arenas;
        g.arenas = arena->next;
        free(arena);
    }
}

#endif
