/*
 * INVLPG: is an instruction one, and which address it names, packed into 64 bits: that is what a callback is given.
 *
 * Copyright (C) 2026 The mmuexp developers
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef MMUEXP_INVLPG_H
#define MMUEXP_INVLPG_H

#include "where.h"

static bool is_invlpg(const uint8_t *bytes, size_t size)
{
    size_t at = prefixes(bytes, size);
    return size >= at + 3 && bytes[at] == 0x0f && bytes[at + 1] == 0x01 && (bytes[at + 2] >> 3 & 7) == 7 &&
           bytes[at + 2] < 0xc0; /* with a register it is another instruction */
}

#if PLUGIN_API == 1

static uint64_t operand_of_invlpg(const uint8_t *bytes, size_t size, bool is_long)
{
    (void)bytes, (void)size, (void)is_long;
    return 0;
}

static bool may_invalidate(void)
{
    return false;
}

static vaddr_t linear_address(uint64_t operand, vaddr_t after)
{
    (void)operand;
    return after;
}

#else

#define NO_REGISTER 16u
#define AFTER 17u /* the address of the next instruction, in place of a register */
enum segment { IN_ES, IN_CS, IN_SS, IN_DS, IN_FS, IN_GS };

struct address {
    uint32_t displacement;
    uint8_t base, index, scale, segment; /* registers, NO_REGISTER for none; log2; enum segment */
    uint8_t width;                       /* of the address: enum width */
};

enum width { BITS_32, BITS_16, BITS_64 };

#define PACK_ADDRESS(o)                                                                                                \
    ((uint64_t)(o).displacement << 32 | (o).base << 16 | (o).index << 11 | (o).scale << 8 | (o).segment << 4 |         \
     (o).width)

/* The bytes after the opcode, read as a 32-bit or 64-bit address. How many bytes that takes. */
static size_t read_long(const uint8_t *code, uint8_t rex, bool is_long, struct address *o)
{
    uint8_t mod = code[0] >> 6, rm = code[0] & 7;
    size_t at = 1;
    o->base = rm;
    o->index = NO_REGISTER;
    if (rm == 4) {
        uint8_t sib = code[at++], index = (sib >> 3 & 7) | (rex & REX_X ? 8 : 0);
        o->base = sib & 7;
        o->index = index == ESP ? NO_REGISTER : index;
        o->scale = sib >> 6;
    }
    size_t bytes = mod == 1 ? 1 : mod == 2 ? 4 : 0;
    if (mod == 0 && o->base == EBP) {
        o->base = is_long && rm == EBP ? AFTER : NO_REGISTER;
        bytes = 4;
    } else if (rex & REX_B) {
        o->base += 8;
    }
    if (bytes == 1)
        o->displacement = (int8_t)code[at];
    else if (bytes)
        memcpy(&o->displacement, code + at, bytes);
    o->segment = o->base == ESP || o->base == EBP ? IN_SS : IN_DS;
    return at + bytes;
}

/* The same, as a 16-bit one. */
static size_t read_short(const uint8_t *code, struct address *o)
{
    static const uint8_t bases[] = {EBX, EBX, EBP, EBP, NO_REGISTER, NO_REGISTER, EBP, EBX};
    static const uint8_t indexes[] = {ESI, EDI, ESI, EDI, ESI, EDI, NO_REGISTER, NO_REGISTER};
    uint8_t mod = code[0] >> 6, rm = code[0] & 7;
    size_t bytes = mod;
    o->base = bases[rm];
    o->index = indexes[rm];
    if (mod == 0 && rm == 6) {
        o->base = NO_REGISTER;
        bytes = 2;
    }
    if (bytes == 1)
        o->displacement = (int8_t)code[1];
    else if (bytes)
        o->displacement = code[1] | code[2] << 8;
    o->segment = o->base == EBP ? IN_SS : IN_DS;
    o->width = BITS_16;
    return 1 + bytes;
}

/*
 * Whether code is of 16 or 32 bits no register tells in protected mode. The length of the instruction does, unless both
 * readings are as long: then it is the code of nearly everybody, 16 bits in real mode, 32 in protected mode.
 */
static uint64_t operand_of_invlpg(const uint8_t *bytes, size_t size, bool is_long)
{
    static const uint8_t overrides[] = {0x26, 0x2e, 0x36, 0x3e, 0x64, 0x65};
    size_t at = prefixes(bytes, size);
    const uint8_t *code = bytes + at + 2;
    struct address wide = {0}, narrow = {0};
    bool is_wide = read_long(code, rex_before(bytes, at), is_long, &wide) == size - at - 2;
    bool is_short = !is_long && read_short(code, &narrow) == size - at - 2;
    if (is_wide && is_short)
        is_short = is_real_mode() != has_prefix(bytes, size, 0x67);
    struct address *operand = is_short ? &narrow : &wide;
    if (is_long && !has_prefix(bytes, size, 0x67))
        operand->width = BITS_64;
    for (size_t i = 0; i < at; i++)
        for (uint8_t segment = IN_ES; segment <= IN_GS; segment++)
            if (bytes[i] == overrides[segment])
                operand->segment = segment;
    return PACK_ADDRESS(*operand);
}

/* The processor refuses it where code of the user's runs. */
static bool may_invalidate(void)
{
    return privilege() == KERNEL;
}

/*
 * Where a segment begins. Protected mode has that in descriptors, of which %fs and %gs alone are shown: the others are
 * taken to begin at 0, as they do in every system that has pages but few, and in all code of 64 bits.
 */
static vaddr_t base_of(uint8_t segment)
{
    if (segment >= IN_FS)
        return read_register(FS_BASE + segment - IN_FS);
    return is_real_mode() ? read_register(ES + segment) << 4 : 0;
}

static vaddr_t linear_address(uint64_t packed, vaddr_t after)
{
    uint8_t base = packed >> 16 & 31, index = packed >> 11 & 31, width = packed & 15;
    vaddr_t offset = (int64_t)packed >> 32;
    if (base == AFTER)
        offset += after;
    else if (base != NO_REGISTER)
        offset += read_register(base);
    if (index != NO_REGISTER)
        offset += read_register(index) << (packed >> 8 & 7);
    if (width != BITS_64)
        offset &= width == BITS_16 ? 0xffff : 0xffffffff;
    vaddr_t linear = base_of(packed >> 4 & 15) + offset;
    return width == BITS_64 ? linear : (uint32_t)linear;
}

#endif

#endif
