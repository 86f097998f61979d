/*
 * What the plugin must know of an instruction, from its bytes: does it write a control register that drops
 * translations, and does the processor itself read or write memory for it (descriptor tables, task state).
 *
 * Copyright (C) 2026 The mmuexp developers
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef MMUEXP_INSTRUCTIONS_H
#define MMUEXP_INSTRUCTIONS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "ring.h"

/* How many prefixes an instruction begins with. LOCK is none here: with a control register it means CR8. */
static size_t prefixes(const uint8_t *bytes, size_t size)
{
    size_t n = 0;
    while (n < size && (bytes[n] == 0x66 || bytes[n] == 0x67 || bytes[n] == 0xf2 || bytes[n] == 0xf3 ||
                        (bytes[n] & 0xe7) == 0x26 || bytes[n] == 0x64 || bytes[n] == 0x65))
        n++;
    return n;
}

/* Of what control_write() answers: why translations are dropped, and the number of the general register. */
#define REASON(control) ((control) & 0xff)
#define SOURCE(control) ((control) >> 9)

/* Reason of the FLUSH row after `mov %reg, %crN` (0F 22 /N) and its register, 0 for any other instruction. */
static uint32_t control_write(const uint8_t *bytes, size_t size)
{
    size_t at = prefixes(bytes, size);
    if (at + 3 > size || bytes[at] != 0x0f || bytes[at + 1] != 0x22)
        return 0;
    uint32_t source = (bytes[at + 2] & 7) << 9; /* above MAY_MOVE */
    switch (bytes[at + 2] >> 3 & 7) {
    case 0:
        return FLUSH_CR0 | source;
    case 3:
        return FLUSH_CR3 | source;
    case 4:
        return FLUSH_CR4 | source;
    }
    return 0;
}

/*
 * True where virtual pages may show other physical pages after it: what drops translations or loads CR3 beside moves to
 * control registers, and the ways to a device, which may rearrange memory (SMM, A20, shadowed ROM, banks).
 */
static bool may_move_pages(const uint8_t *bytes, size_t size)
{
    size_t at = prefixes(bytes, size);
    if (at + 1 > size)
        return false;
    uint8_t next = at + 1 < size ? bytes[at + 1] : 0, third = at + 2 < size ? bytes[at + 2] : 0;
    switch (bytes[at]) {
    case 0x6c: case 0x6d: case 0x6e: case 0x6f: /* ins, outs */
    case 0xe4: case 0xe5: case 0xe6: case 0xe7: /* in, out */
    case 0xec: case 0xed: case 0xee: case 0xef:
    case 0x9a: case 0xea: case 0xca: case 0xcb: /* task switches: far call, jump and return, int, iret */
    case 0xcc: case 0xcd: case 0xce: case 0xcf:
        return true;
    case 0xff:
        return (next >> 3 & 7) == 3 || (next >> 3 & 7) == 5;
    case 0x0f:
        return (next == 0x01 && (third >> 3 & 7) >= 3 && third != 0xca && third != 0xcb) || /* invlpg, lmsw, SVM */
               next == 0x30 || next == 0xaa || (next == 0x38 && third == 0x82);              /* wrmsr, rsm, invpcid */
    }
    return false;
}

/*
 * True where an access may be the processor's own, made with the kernel's rights at every privilege level: loads of
 * segment registers, far transfers, task switches, the I/O permission bitmap.
 */
static bool reads_tables(const uint8_t *bytes, size_t size)
{
    size_t at = prefixes(bytes, size);
    if (at + 1 > size)
        return false;
    uint8_t next = at + 1 < size ? bytes[at + 1] : 0;
    switch (bytes[at]) {
    case 0x07: case 0x17: case 0x1f:            /* pop %es, %ss, %ds */
    case 0x6c: case 0x6d: case 0x6e: case 0x6f: /* ins, outs */
    case 0x8e:                                  /* mov to a segment register */
    case 0x9a: case 0xea:                       /* far call and jump */
    case 0xc4: case 0xc5:                       /* les, lds */
    case 0xca: case 0xcb: case 0xcf:            /* far return, iret */
    case 0xcc: case 0xcd: case 0xce:            /* int3, int, into */
    case 0xe4: case 0xe5: case 0xe6: case 0xe7: /* in, out */
    case 0xec: case 0xed: case 0xee: case 0xef:
        return true;
    case 0xff: /* far call and jump through memory */
        return (next >> 3 & 7) == 3 || (next >> 3 & 7) == 5;
    case 0x0f:
        return next == 0x00 || next == 0x02 || next == 0x03 || /* lldt, ltr, verr, verw; lar; lsl */
               next == 0xa1 || next == 0xa9 ||                 /* pop %fs, %gs */
               next == 0xb2 || next == 0xb4 || next == 0xb5;   /* lss, lfs, lgs */
    }
    return false;
}

#endif
