/*
 * Rows that begin at a guest address: until then rows are passed over, as if all were to be.
 *
 * Copyright (C) 2026 The mmuexp developers
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef MMUEXP_START_H
#define MMUEXP_START_H

#include "rows.h"

static void start_here(void)
{
    if (r.start != NO_START) {
        r.start = NO_START;
        r.skip = r.skipped;
    }
}

static bool holds_start(struct qemu_plugin_tb *tb)
{
    if (r.start_in_code) { /* known since the program was loaded */
        r.start += qemu_plugin_start_code();
        r.start_in_code = false;
    }
    struct qemu_plugin_insn *last = qemu_plugin_tb_get_insn(tb, qemu_plugin_tb_n_insns(tb) - 1);
    uint64_t first = (vaddr_t)qemu_plugin_tb_vaddr(tb);
    return r.start - first < qemu_plugin_insn_vaddr(last) + qemu_plugin_insn_size(last) - first;
}

#endif
