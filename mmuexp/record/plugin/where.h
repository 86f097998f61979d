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
 * Which MMU index is ring 3's: the first access after power-on is the kernel's, without SMAP. QEMU 7.2 as released
 * numbers the MMU indexes 0 kernel with SMAP, 1 user, 2 kernel; its later corrections and QEMU 8.2 have 1, 3, 5 for
 * 32-bit code, and one less each for 64-bit code; there the first two would not tell the two kinds of code apart.
 */
static void __attribute__((noinline, cold)) establish_user_index(uint32_t index)
{
    if (index == 2 && GUEST_BITS == 32)
        g.user_index = 1;
    else if (index == 5)
        g.user_index = 3;
    else
        finish(ENDED_QEMU);
}

static inline bool is_users(uint32_t index)
{
    return (GUEST_BITS == 64 ? index | 1 : index) == g.user_index;
}

#if PLUGIN_API == 1
#include "where_v1.h"
#else
#include "where_v3.h"
#endif

#endif
