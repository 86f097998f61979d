/*
 * How the callback of a program's block knows the block: all that its EXEC row tells travels in a pointer. A 32-bit
 * program's fits into the pointer itself, so nothing is allocated; a 64-bit program's lives until QEMU drops all blocks.
 *
 * Copyright (C) 2026 The mmuexp developers
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef MMUEXP_PROGRAM_BLOCKS_H
#define MMUEXP_PROGRAM_BLOCKS_H

#include <stdlib.h>

#include "rows.h"

/* A block, or a part of 255 instructions of a long one. */
struct block {
    vaddr_t vaddr;
    uint16_t size;
    uint8_t insns;
};

#if GUEST_BITS == 32

_Static_assert(sizeof(void *) == 8, "a block is packed into a pointer");

static void *pack_block(struct block block)
{
    return (void *)(block.vaddr | (uint64_t)block.size << 32 | (uint64_t)block.insns << 48);
}

static inline struct block block_of(void *packed)
{
    uint64_t bits = (uintptr_t)packed;
    return (struct block){.vaddr = bits, .size = bits >> 32, .insns = bits >> 48};
}

static void free_blocks_with_qemus(qemu_plugin_id_t id)
{
    (void)id;
}

#else

#define ARENA_BLOCKS 16384

/* Blocks are translated one at a time, whatever the thread, and dropped while no thread runs: no lock is needed. */
static struct arena {
    struct arena *next;
    uint32_t used;
    struct block blocks[ARENA_BLOCKS];
} *arenas;

static void *pack_block(struct block block)
{
    if (!arenas || arenas->used == ARENA_BLOCKS) {
        struct arena *arena = malloc(sizeof *arena);
        if (!arena)
            abort();
        arena->next = arenas;
        arena->used = 0;
        arenas = arena;
    }
    arenas->blocks[arenas->used] = block;
    return &arenas->blocks[arenas->used++];
}

static inline struct block block_of(void *packed)
{
    return *(struct block *)packed;
}

static void on_all_blocks_dropped(qemu_plugin_id_t id)
{
    (void)id;
    while (arenas) {
        struct arena *arena = arenas;
        arenas = arena->next;
        free(arena);
    }
}

static void free_blocks_with_qemus(qemu_plugin_id_t id)
{
    qemu_plugin_register_flush_cb(id, on_all_blocks_dropped);
}

#endif

#endif
