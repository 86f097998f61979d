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

#include "qemu_plugin.h"
#include "ring.h"

#define MAX_INSN_BYTES 16

/* The bytes of an instruction; `place` is where they are put if QEMU copies them. */
static inline const uint8_t *bytes_of(const struct qemu_plugin_insn *insn, uint8_t place[MAX_INSN_BYTES])
{
#if PLUGIN_API == 1
    (void)place;
    return qemu_plugin_insn_data(insn);
#else
    qemu_plugin_insn_data(insn, place, MAX_INSN_BYTES);
    return place;
#endif
}

static bool is_prefix(uint8_t byte)
{
    return byte == 0x66 || byte == 0x67 || byte == 0xf2 || byte == 0xf3 || (byte & 0xe7) == 0x26 || byte == 0x64 ||
           byte == 0x65;
}

/*
 * How many prefixes an instruction begins with. LOCK is none here: with a control register it means CR8. In code of 64
 * bits 0x40 to 0x4f before the opcode are the prefix REX; in other code they are instructions of one byte, so whether
 * anything follows tells the two apart.
 */
static size_t prefixes(const uint8_t *bytes, size_t size)
{
    size_t n = 0;
    while (n < size && is_prefix(bytes[n]))
        n++;
    return GUEST_BITS == 64 && n + 1 < size && (bytes[n] & 0xf0) == 0x40 ? n + 1 : n;
}

#define REX_W 8u /* an operand of 64 bits */
#define REX_R 4u /* bit 3 of the register's number; X of the index's, B of the operand's or the base's */
#define REX_X 2u
#define REX_B 1u

/* The bits of the prefix REX, 0 without one; `at` is where the opcode begins. */
static inline uint8_t rex_before(const uint8_t *bytes, size_t at)
{
    return GUEST_BITS == 64 && at && (bytes[at - 1] & 0xf0) == 0x40 ? bytes[at - 1] & 15 : 0;
}

static bool has_prefix(const uint8_t *bytes, size_t size, uint8_t prefix)
{
    for (size_t i = prefixes(bytes, size); i--;)
        if (bytes[i] == prefix)
            return true;
    return false;
}

enum kind {
    HARMLESS,
    MOVE, /* mov to CR0, CR3 or CR4 */
    LMSW,
    JUMP, /* far jump: it may switch tasks, as the next three may */
    CALL,
    RETURN,    /* iret */
    INTERRUPT, /* int */
    RESUME,    /* what loads several control registers at once: rsm, SVM */
    OUT,       /* to a device: A20 and rearranged memory at once, an SMI when the block has ended */
};

#define MEMORY 16u /* in place of a general register's number */

/* What an instruction may do to all translations at once. */
struct suspect {
    uint8_t kind;    /* enum kind */
    uint8_t reason;  /* MOVE, LMSW: of the FLUSH row */
    uint8_t control; /* MOVE: number of the control register */
    uint8_t source;  /* MOVE, LMSW: number of the general register, or MEMORY */
    uint8_t bytes;   /* OUT: how many it writes in 32-bit code; 0 where memory has them */
    int16_t port;    /* OUT to a constant port; -1 where %dx has it */
};

static inline struct suspect suspect_of_0f(const uint8_t *code, size_t rest, uint8_t rex)
{
    uint8_t second = code[1], third = rest > 2 ? code[2] : 0;
    static const uint8_t reasons[16] = {FLUSH_CR0, 0, 0, FLUSH_CR3, FLUSH_CR4};
    uint8_t control = (third >> 3 & 7) | (rex & REX_R ? 8 : 0), source = (third & 7) | (rex & REX_B ? 8 : 0);
    if (second == 0x22 && rest > 2 && reasons[control])
        return (struct suspect){.kind = MOVE, .reason = reasons[control], .control = control, .source = source};
    if (second == 0x01 && rest > 2 && (third >> 3 & 7) == 6)
        return (struct suspect){.kind = LMSW, .reason = FLUSH_CR0, .source = third >> 6 == 3 ? source : MEMORY};
    if (second == 0xaa || (second == 0x01 && (third == 0xd8 || third == 0xd9))) /* rsm, vmrun, vmmcall */
        return (struct suspect){.kind = RESUME};
    return (struct suspect){.kind = HARMLESS};
}

static inline struct suspect suspect_of(const uint8_t *bytes, size_t size)
{
    size_t at = prefixes(bytes, size);
    uint8_t word = has_prefix(bytes, size, 0x66) ? 2 : 4;
    const uint8_t *code = bytes + at;
    if (at + 1 > size)
        return (struct suspect){.kind = HARMLESS};
    uint8_t next = at + 1 < size ? code[1] : 0;
    switch (code[0]) {
    case 0x0f:
        return at + 1 < size ? suspect_of_0f(code, size - at, rex_before(bytes, at))
                             : (struct suspect){.kind = HARMLESS};
    case 0xea:
        return (struct suspect){.kind = JUMP};
    case 0x9a:
        return (struct suspect){.kind = CALL};
    case 0xff: /* through memory */
        return (struct suspect){.kind = (next >> 3 & 7) == 5 ? JUMP : (next >> 3 & 7) == 3 ? CALL : HARMLESS};
    case 0xcf:
        return (struct suspect){.kind = RETURN};
        /* clang-format off */
    case 0xcc: case 0xcd: case 0xce:
        return (struct suspect){.kind = INTERRUPT};
    case 0xe6: case 0xe7:
        return (struct suspect){.kind = OUT, .bytes = code[0] & 1 ? word : 1, .port = next};
    case 0xee: case 0xef:
        return (struct suspect){.kind = OUT, .bytes = code[0] & 1 ? word : 1, .port = -1};
    case 0x6e: case 0x6f:
        /* clang-format on */
        return (struct suspect){.kind = OUT, .port = -1};
    }
    return (struct suspect){.kind = HARMLESS};
}

/*
 * True where virtual pages may show other physical pages after it: what drops translations or loads CR3 beside moves to
 * control registers, and the ways to a device, which may rearrange memory (SMM, A20, shadowed ROM, banks).
 */
static inline bool may_move_pages(const uint8_t *bytes, size_t size)
{
    size_t at = prefixes(bytes, size);
    if (at + 1 > size)
        return false;
    uint8_t next = at + 1 < size ? bytes[at + 1] : 0, third = at + 2 < size ? bytes[at + 2] : 0;
    switch (bytes[at]) {
        /* clang-format off */
    case 0x6c: case 0x6d: case 0x6e: case 0x6f: /* ins, outs */
    case 0xe4: case 0xe5: case 0xe6: case 0xe7: /* in, out */
    case 0xec: case 0xed: case 0xee: case 0xef:
    case 0x9a: case 0xea: case 0xca: case 0xcb: /* task switches: far call, jump and return, int, iret */
    case 0xcc: case 0xcd: case 0xce: case 0xcf:
        /* clang-format on */
        return true;
    case 0xff:
        return (next >> 3 & 7) == 3 || (next >> 3 & 7) == 5;
    case 0x0f:
        return (next == 0x01 && (third >> 3 & 7) >= 3 && third != 0xca && third != 0xcb &&
                third < 0xf8) || /* invlpg, lmsw, SVM; not swapgs, rdtscp */
               next == 0x30 ||
               next == 0xaa || (next == 0x38 && third == 0x82); /* wrmsr, rsm, invpcid */
    }
    return false;
}

/*
 * True where an access may be the processor's own, made with the kernel's rights at every privilege level: loads of
 * segment registers, far transfers, task switches, the I/O permission bitmap.
 */
static inline bool reads_tables(const uint8_t *bytes, size_t size, bool is_long)
{
    size_t at = prefixes(bytes, size);
    if (at + 1 > size)
        return false;
    uint8_t next = at + 1 < size ? bytes[at + 1] : 0;
    switch (bytes[at]) {
        /* clang-format off */
    case 0x07: case 0x17: case 0x1f:            /* pop %es, %ss, %ds */
    case 0x6c: case 0x6d: case 0x6e: case 0x6f: /* ins, outs */
    case 0x8e:                                  /* mov to a segment register */
    case 0x9a: case 0xea:                       /* far call and jump */
    case 0xca: case 0xcb: case 0xcf:            /* far return, iret */
    case 0xcc: case 0xcd: case 0xce:            /* int3, int, into */
    case 0xe4: case 0xe5: case 0xe6: case 0xe7: /* in, out */
    case 0xec: case 0xed: case 0xee: case 0xef:
        /* clang-format on */
        return true;
    case 0xc4:
    case 0xc5: /* les, lds; VEX where the code is of 64 bits, or the next byte has these bits set */
        return !is_long && next < 0xc0;
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
