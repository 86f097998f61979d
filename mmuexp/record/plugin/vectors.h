/*
 * Vector instructions: how many bytes one of them reads or writes, and the join of the pieces in which QEMU does it.
 *
 * QEMU 7.2 makes 16 or 32 bytes in pieces of 8, newer ones in pieces of 16; the processor makes one access, and so does
 * a row. The rule: an SSE or AVX instruction whose memory operand is one stretch of 16 or 32 bytes makes one row of
 * that size, and cmpxchg16b one for its load and one for its store. (QEMU has no AVX-512.) Everything else stays as QEMU makes it: operands up to 8 bytes, MMX and x87 (80 bits are 8 and 2 bytes),
 * what saves or loads many registers (fxsave, xsave, pusha), what picks its elements (maskmovdqu, vmaskmov, gathers),
 * and each element of a rep.
 *
 * Where a piece faults, those before it make no row, as no scalar access that faults does: the instruction begins anew
 * or never ends, and the processor has not performed the access.
 *
 * Copyright (C) 2026 The mmuexp developers
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef MMUEXP_VECTORS_H
#define MMUEXP_VECTORS_H

#include "instructions.h"
#include "qemu_plugin.h"

/* The prefix that selects one of the instructions of an opcode. */
enum selector { NO = 1, P66 = 2, PF3 = 4, PF2 = 8 };
/* Bytes of the memory operand without and with VEX.L. */
enum operand { FULL = 16 | 32 << 8, HALF = 8 | 16 << 8, XMM = 16 | 16 << 8, LANES = 8 | 32 << 8 };
enum opcode_map { MAP_0F = 1, MAP_0F38 = 2, MAP_0F3A = 3 };

/* Opcodes `first` to `last` of a map, with one of these selectors. */
struct vector_opcodes {
    uint8_t map, first, last, selectors;
    uint16_t operand;
};

static const struct vector_opcodes vector_opcodes[] = {
    {MAP_0F, 0x10, 0x11, NO | P66, FULL},        /* movups */
    {MAP_0F, 0x12, 0x12, PF3, FULL},             /* movsldup */
    {MAP_0F, 0x12, 0x12, PF2, LANES},            /* movddup */
    {MAP_0F, 0x14, 0x15, NO | P66, FULL},        /* unpcklps, unpckhps */
    {MAP_0F, 0x16, 0x16, PF3, FULL},             /* movshdup */
    {MAP_0F, 0x28, 0x29, NO | P66, FULL},        /* movaps */
    {MAP_0F, 0x2b, 0x2b, NO | P66, FULL},        /* movntps */
    {MAP_0F, 0x2c, 0x2d, P66, XMM},              /* cvttpd2pi, cvtpd2pi */
    {MAP_0F, 0x51, 0x51, NO | P66, FULL},        /* sqrtps */
    {MAP_0F, 0x52, 0x53, NO, FULL},              /* rsqrtps, rcpps */
    {MAP_0F, 0x54, 0x59, NO | P66, FULL},        /* andps to mulps */
    {MAP_0F, 0x5a, 0x5a, P66, FULL},             /* cvtpd2ps */
    {MAP_0F, 0x5a, 0x5a, NO, HALF},              /* cvtps2pd */
    {MAP_0F, 0x5b, 0x5b, NO | P66 | PF3, FULL},  /* cvtdq2ps and back */
    {MAP_0F, 0x5c, 0x5f, NO | P66, FULL},        /* subps to maxps */
    {MAP_0F, 0x60, 0x6d, P66, FULL},             /* punpcklbw to punpckhqdq */
    {MAP_0F, 0x6f, 0x6f, P66 | PF3, FULL},       /* movdqa, movdqu */
    {MAP_0F, 0x70, 0x70, P66 | PF3 | PF2, FULL}, /* pshufd */
    {MAP_0F, 0x74, 0x76, P66, FULL},             /* pcmpeqb */
    {MAP_0F, 0x7c, 0x7d, P66 | PF2, FULL},       /* haddps */
    {MAP_0F, 0x7f, 0x7f, P66 | PF3, FULL},       /* movdqa, movdqu */
    {MAP_0F, 0xc2, 0xc2, NO | P66, FULL},        /* cmpps */
    {MAP_0F, 0xc6, 0xc6, NO | P66, FULL},        /* shufps */
    {MAP_0F, 0xd0, 0xd0, P66 | PF2, FULL},       /* addsubps */
    {MAP_0F, 0xd1, 0xd3, P66, XMM},              /* psrlw: the count has 16 bytes */
    {MAP_0F, 0xd4, 0xd5, P66, FULL},
    {MAP_0F, 0xd8, 0xe0, P66, FULL},
    {MAP_0F, 0xe1, 0xe2, P66, XMM}, /* psraw */
    {MAP_0F, 0xe3, 0xe5, P66, FULL},
    {MAP_0F, 0xe6, 0xe6, P66 | PF2, FULL}, /* cvtpd2dq */
    {MAP_0F, 0xe6, 0xe6, PF3, HALF},       /* cvtdq2pd */
    {MAP_0F, 0xe7, 0xef, P66, FULL},       /* movntdq, psubsb to pxor */
    {MAP_0F, 0xf0, 0xf0, PF2, FULL},       /* lddqu */
    {MAP_0F, 0xf1, 0xf3, P66, XMM},        /* psllw */
    {MAP_0F, 0xf4, 0xf6, P66, FULL},
    {MAP_0F, 0xf8, 0xfe, P66, FULL},
    {MAP_0F38, 0x00, 0x10, P66, FULL}, /* pshufb to pblendvb */
    {MAP_0F38, 0x13, 0x13, P66, HALF}, /* vcvtph2ps */
    {MAP_0F38, 0x14, 0x17, P66, FULL}, /* blendvps to ptest */
    {MAP_0F38, 0x1a, 0x1a, P66, XMM},  /* vbroadcastf128 */
    {MAP_0F38, 0x1c, 0x1e, P66, FULL}, /* pabsb */
    {MAP_0F38, 0x20, 0x20, P66, HALF}, /* pmovsxbw */
    {MAP_0F38, 0x23, 0x23, P66, HALF}, /* pmovsxwd */
    {MAP_0F38, 0x25, 0x25, P66, HALF}, /* pmovsxdq */
    {MAP_0F38, 0x28, 0x2d, P66, FULL}, /* pmuldq to packusdw, vmaskmovps as a load */
    {MAP_0F38, 0x30, 0x30, P66, HALF}, /* pmovzxbw */
    {MAP_0F38, 0x33, 0x33, P66, HALF}, /* pmovzxwd */
    {MAP_0F38, 0x35, 0x35, P66, HALF}, /* pmovzxdq */
    {MAP_0F38, 0x36, 0x40, P66, FULL}, /* vpermd to pmulld */
    {MAP_0F38, 0x41, 0x41, P66, XMM},  /* phminposuw */
    {MAP_0F38, 0x45, 0x47, P66, FULL}, /* vpsrlvd */
    {MAP_0F38, 0x5a, 0x5a, P66, XMM},  /* vbroadcasti128 */
    {MAP_0F38, 0x8c, 0x8c, P66, FULL}, /* vpmaskmovd as a load */
    {MAP_0F38, 0x96, 0x9f, P66, FULL}, /* vfmaddsub132ps to vfnmsub132sd; see is_scalar */
    {MAP_0F38, 0xa6, 0xaf, P66, FULL},
    {MAP_0F38, 0xb6, 0xbf, P66, FULL},
    {MAP_0F38, 0xc8, 0xcd, NO, XMM},   /* sha1nexte to sha256msg2 */
    {MAP_0F38, 0xcf, 0xcf, P66, FULL}, /* gf2p8mulb */
    {MAP_0F38, 0xdb, 0xdf, P66, FULL}, /* aesimc to aesdeclast */
    {MAP_0F3A, 0x00, 0x09, P66, FULL}, /* vpermq to roundpd */
    {MAP_0F3A, 0x0c, 0x0f, P66, FULL}, /* blendps to palignr */
    {MAP_0F3A, 0x18, 0x19, P66, XMM},  /* vinsertf128, vextractf128 */
    {MAP_0F3A, 0x1d, 0x1d, P66, HALF}, /* vcvtps2ph */
    {MAP_0F3A, 0x38, 0x39, P66, XMM},  /* vinserti128, vextracti128 */
    {MAP_0F3A, 0x40, 0x40, P66, FULL}, /* dpps */
    {MAP_0F3A, 0x41, 0x41, P66, XMM},  /* dppd */
    {MAP_0F3A, 0x42, 0x4c, P66, FULL}, /* mpsadbw to vpblendvb */
    {MAP_0F3A, 0x60, 0x63, P66, XMM},  /* pcmpestrm to pcmpistri */
    {MAP_0F3A, 0xcc, 0xcc, NO, XMM},   /* sha1rnds4 */
    {MAP_0F3A, 0xce, 0xcf, P66, FULL}, /* gf2p8affineqb */
    {MAP_0F3A, 0xdf, 0xdf, P66, XMM},  /* aeskeygenassist */
};

/* vfmadd132ss and its like: 4 bytes, or 8 with VEX.W; QEMU 7.2 reads a whole register of them. */
static bool is_scalar(uint8_t map, uint8_t opcode)
{
    return map == MAP_0F38 && 0x96 <= opcode && opcode <= 0xbf && (opcode & 9) == 9;
}

static bool is_cmpxchg16b(const uint8_t *bytes, size_t size)
{
    size_t at = 0;
    while (at < size && (bytes[at] == 0xf0 || is_prefix(bytes[at])))
        at++;
    at += at < size && (bytes[at] & 0xf0) == 0x40;
    return at + 3 <= size && rex_before(bytes, at) & REX_W && bytes[at] == 0x0f && bytes[at + 1] == 0xc7 &&
           (bytes[at + 2] >> 3 & 7) == 1;
}

/*
 * Bytes of the memory operand of a vector instruction of the table, 0 for any other instruction. `is_long`: the code is
 * of 64 bits, which has VEX where other code has les and lds.
 */
static uint32_t vector_bytes(const uint8_t *bytes, size_t size, bool is_long)
{
    static const uint8_t selectors[] = {NO, P66, PF3, PF2}; /* as VEX numbers them */
    size_t at = prefixes(bytes, size);
    uint8_t map = 0, selector = NO, wide = 0, scalar = 4;
    if (at + 3 > size) /* an opcode map, an opcode and an operand have 3 bytes */
        return 0;
    if (bytes[at] == 0x0f) {
        map = MAP_0F;
        for (size_t i = 0; i < at; i++)
            if (bytes[i] == 0xf3 || bytes[i] == 0xf2)
                selector = bytes[i] == 0xf3 ? PF3 : PF2; /* the last one counts, and more than 66 */
            else if (bytes[i] == 0x66 && selector == NO)
                selector = P66;
        at++;
        if (bytes[at] == 0x38 || bytes[at] == 0x3a)
            map = bytes[at++] == 0x38 ? MAP_0F38 : MAP_0F3A;
    } else if ((bytes[at] == 0xc4 || bytes[at] == 0xc5) && (is_long || bytes[at + 1] >= 0xc0)) { /* VEX */
        map = bytes[at] == 0xc5 ? MAP_0F : bytes[at + 1] & 31;
        at += bytes[at] == 0xc5 ? 1 : 2;
        scalar = bytes[at] >> 7 ? 8 : 4; /* W, where there is one */
        selector = selectors[bytes[at] & 3];
        wide = bytes[at++] >> 2 & 1;
    }
    for (size_t i = 0; map && at < size && i < sizeof vector_opcodes / sizeof *vector_opcodes; i++) {
        const struct vector_opcodes *these = &vector_opcodes[i];
        if (these->map == map && these->first <= bytes[at] && bytes[at] <= these->last && these->selectors & selector)
            return is_scalar(map, bytes[at]) ? scalar : these->operand >> (wide ? 8 : 0) & 0xff;
    }
    return GUEST_BITS == 64 && is_cmpxchg16b(bytes, size) ? 16 : 0;
}

/* The access of a vector instruction, as far as its pieces have come; 0 bytes: there is none. */
static __thread struct {
    uint32_t insn; /* the low half of its address: a block is shorter */
    uint32_t bytes;
    vaddr_t vaddr;
    bool is_store;
} pieces;

/* What travels to the callbacks of a vector instruction in a pointer. */
/* clang-format off */
#define PACK_VECTOR(insn, position, bytes) \
    ((void *)((uint64_t)(insn) << 32 | (uint64_t)(bytes) << 16 | (uint64_t)(position)))
/* clang-format on */
#define VECTOR_POSITION(packed) ((uint32_t)(packed) & 0xffff)
#define VECTOR_BYTES(packed) ((uint32_t)(packed) >> 16)

/*
 * One more piece of the access of a vector instruction. True: it is whole now, and `pieces` tells where it lies. A piece
 * that does not adjoin those before it is the first one of an instruction that begins anew. What QEMU reads beyond the
 * operand (7.2: vpsrlw %ymm with a count in memory, cvtdq2pd) belongs to no row.
 */
static bool join(qemu_plugin_meminfo_t info, vaddr_t vaddr, uint64_t packed)
{
    uint32_t insn = packed >> 32, whole = VECTOR_BYTES(packed), bytes = 1u << qemu_plugin_mem_size_shift(info);
    bool is_store = qemu_plugin_mem_is_store(info);
    bool same = pieces.bytes && pieces.insn == insn && pieces.is_store == is_store;
    uint32_t before = pieces.bytes;
    if (!same || vaddr != pieces.vaddr + pieces.bytes) {
        before = same && vaddr + bytes == pieces.vaddr && pieces.bytes < whole ? pieces.bytes : 0;
        pieces.insn = insn;
        pieces.vaddr = vaddr;
        pieces.is_store = is_store;
    }
    pieces.bytes = before + bytes;
    return before < whole && pieces.bytes >= whole;
}

/* At the begin of a block with vector instructions: what one of them left unfinished goes on nowhere. */
static void on_vector_block(unsigned int vcpu, void *userdata)
{
    (void)vcpu, (void)userdata;
    pieces.bytes = 0;
}

#endif
