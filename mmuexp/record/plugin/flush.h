/*
 * Does an instruction make QEMU drop every translation? A FLUSH row stands where it does, and nowhere else: a write of
 * CR0 that turns TS alone drops nothing, nor does one of CR3 while paging is off.
 *
 * An instruction that may is watched: begin_watch() runs before it, end_watch() when the next block begins, and says the
 * reason of the FLUSH row or 0. What they can ask differs with QEMU's version: flush_v1.h and flush_v3.h.
 *
 * Copyright (C) 2026 The mmuexp developers
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef MMUEXP_FLUSH_H
#define MMUEXP_FLUSH_H

#include <stdlib.h>

#include "values.h"
#include "where.h"

/* QEMU drops translations when one of these bits changes (cpu_x86_update_cr0 and cpu_x86_update_cr4 in QEMU) */
#define CR0_PG (1u << 31)
#define CR0_PAGING (CR0_PG | 1u << 16 | 1u)                                       /* PG, WP, PE */
#define CR4_PAGING (1u << 4 | 1u << 5 | 1u << 7 | 1u << 12 | 1u << 20 | 1u << 21) /* PSE PAE PGE LA57 SMEP SMAP */

/* System management mode begins at the start of such a piece of memory, but for the segment's base: SMBASE + 0x8000 */
#define SMM_ENTRY_ALIGN 0x8000u

/* An instruction that is watched. It lives until QEMU drops all blocks. */
struct watch {
    struct watch *next;
    struct suspect suspect;
    struct value value; /* what a move to a control register writes, as far as its block tells */
    vaddr_t after;      /* address of the instruction that follows */
    uint64_t operand;   /* of INVLPG (invlpg.h) */
};

static struct watch *watches;

static struct watch *new_watch(struct suspect suspect, vaddr_t after)
{
    struct watch *watch = malloc(sizeof *watch);
    if (!watch)
        abort();
    *watch = (struct watch){.next = watches, .suspect = suspect, .after = after};
    watches = watch;
    return watch;
}

#if PLUGIN_API == 1
#include "flush_v1.h"
#else
#include "flush_v3.h"
#endif

/* QEMU has dropped all blocks. The one that is under way is a copy, so that its end is still seen. */
static void drop_watches(void)
{
    while (watches) {
        struct watch *watch = watches;
        watches = watch->next;
        free(watch);
    }
}

#endif
