/*
 * What a move to a control register writes, as far as the instructions of its block tell, bit by bit: a constant, the
 * bit that the control register held, or that one turned. It is asked where QEMU itself cannot be (flush_v1.h).
 *
 * Copyright (C) 2026 The mmuexp developers
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef MMUEXP_VALUES_H
#define MMUEXP_VALUES_H

#include <string.h>

#include "instructions.h"

/* Bit by bit: not known; or `bits`; or, where `same`, what control register `control` holds xor `bits`. */
struct value {
    uint32_t known, same, bits;
    uint32_t control;
};

enum verdict { NOT_SO, IS_SO, OPEN };

static void set_bits(struct value *value, uint32_t mask, uint32_t bits)
{
    value->known |= mask;
    value->same &= ~mask;
    value->bits = (value->bits & ~mask) | (bits & mask);
}

static void forget_bits(struct value *value, uint32_t mask)
{
    value->known &= ~mask;
    value->same &= ~mask;
}

/* or, and, xor (numbers 1, 4, 6) with a constant, of which the bits of `mask` are there. */
static void combine(struct value *value, uint32_t operation, uint32_t mask, uint32_t constant)
{
    if (operation == 1)
        set_bits(value, mask & constant, ~0u);
    else if (operation == 4)
        set_bits(value, mask & ~constant, 0);
    else if (operation == 6)
        value->bits ^= mask & constant;
    else if (operation != 7) /* compare changes nothing */
        forget_bits(value, ~0u);
}

/* A constant of `size` bytes, and which bits of a register an instruction with such a one changes. */
static uint32_t constant_of(const uint8_t *bytes, size_t size, uint32_t *mask)
{
    uint32_t constant = 0;
    memcpy(&constant, bytes, size);
    *mask = size < 4 ? (1u << 8 * size) - 1 : ~0u;
    return constant;
}

/*
 * What the general registers hold after an instruction. Whether code is of 16 or 32 bits is told by the size of its
 * constants alone; what either reading leaves open is not known, and so is everything after any other instruction.
 */
static void follow(struct value *registers, const uint8_t *bytes, size_t size)
{
    size_t at = prefixes(bytes, size), rest = size - at;
    uint8_t rex = rex_before(bytes, at), high = rex & REX_B ? 8 : 0; /* of the operand's register */
    const uint8_t *code = bytes + at;
    uint8_t first = rest ? code[0] : 0, second = rest > 1 ? code[1] : 0;
    struct value *rm = &registers[(second & 7) | high];
    bool of_register = second >> 6 == 3;
    uint32_t operation = second >> 3 & 7, mask = 0, constant;
    if (first == 0x0f && second == 0x20 && rest == 3) { /* mov %crN, %reg */
        uint32_t control = (code[2] >> 3 & 7) | (rex & REX_R ? 8 : 0);
        registers[(code[2] & 7) | high] = (struct value){.known = ~0u, .same = ~0u, .control = control};
    } else if (first == 0x0f && second == 0x01 && rest == 3 && (code[2] & 0xf8) == 0xe0) { /* smsw %reg */
        registers[(code[2] & 7) | high] = (struct value){.known = 0xffff, .same = 0xffff};
    } else if (first == 0x0f && second == 0xba && rest == 4 && code[2] >= 0xe8) { /* bts, btr, btc */
        static const uint8_t like[] = {1, 4, 6};
        uint32_t bit = rex & REX_W && code[3] & 32 ? 0 : 1u << (code[3] & 31);
        operation = like[(code[2] >> 3 & 7) - 5];
        combine(&registers[(code[2] & 7) | high], operation, bit, operation == 4 ? 0 : bit);
    } else if ((first & 0xf8) == 0xb8 && (rest == 3 || rest == 5 || rest == 9)) { /* mov $constant, %reg */
        constant = constant_of(code + 1, rest < 5 ? rest - 1 : 4, &mask);
        set_bits(&registers[(first & 7) | high], mask, constant);
    } else if ((first == 0x0c || first == 0x24 || first == 0x34) && rest == 2) { /* or, and, xor with %al */
        combine(registers, first >> 3, 0xff, second);
    } else if ((first == 0x0d || first == 0x25 || first == 0x35) && (rest == 3 || rest == 5)) { /* with %eax */
        constant = constant_of(code + 1, rest - 1, &mask);
        combine(registers, first >> 3, mask, constant);
    } else if (first == 0x80 && of_register && rest == 3) { /* with a register of 8 bits */
        uint32_t shift = second & 4 && !rex ? 8 : 0;        /* %ah and the like; with REX %spl and the like */
        combine(rex ? rm : &registers[second & 3], operation, 0xffu << shift, (uint32_t)code[2] << shift);
    } else if (first == 0x81 && of_register && (rest == 4 || rest == 6)) {
        constant = constant_of(code + 2, rest - 2, &mask);
        combine(rm, operation, mask, constant);
    } else if (first == 0x83 && of_register && rest == 3) { /* a byte whose sign is extended, over 16 bits or 32 */
        constant = (uint32_t)(int8_t)code[2];
        if (operation != 7 && constant >> 31 != (operation == 4))
            forget_bits(rm, 0xffff0000u);
        combine(rm, operation, 0xffff, constant);
    } else if (!((first & 0xfe) == 0x84 || (first & 0xf8) == 0x38 || first == 0x90 || (first & 0xf8) == 0x50 ||
                 ((first == 0x88 || first == 0x89 || first == 0xc6 || first == 0xc7) && !of_register) ||
                 (first == 0x0f &&
                  second == 0x06))) { /* test, cmp, nop, push, mov to memory, clts change no register */
        memset(registers, 0, MEMORY * sizeof *registers);
    }
}

/* The same, where bits of other control registers are not known. */
static struct value as_of(struct value value, uint32_t control)
{
    if (value.control != control)
        forget_bits(&value, value.same);
    return value;
}

/* What `lmsw` writes: the low four bits of its operand, PE set but never cleared, and the rest as it was. */
static struct value of_lmsw(struct value operand)
{
    struct value value = {.known = ~15u, .same = ~15u};
    operand = as_of(operand, 0);
    uint32_t constant = operand.known & ~operand.same;
    if (operand.known & 1) { /* set, or as it was: also where the operand is 0 there */
        value.known |= 1;
        value.same |= !(constant & operand.bits & 1);
        value.bits |= constant & operand.bits & 1;
    }
    return value;
}

/* Does it change one of the bits of `mask` in a control register that holds `old`? The latter is told as a value. */
static inline enum verdict changes(struct value new, struct value old, uint32_t mask)
{
    uint32_t by_constant = new.known & ~new.same & old.known, by_same = new.known &new.same;
    uint32_t turned = (by_constant & (new.bits ^ old.bits)) | (by_same & new.bits);
    if (turned & mask)
        return IS_SO;
    return mask & ~(by_constant | by_same) ? OPEN : NOT_SO;
}

/* What the control register holds then. */
static inline struct value after_write(struct value new, struct value old)
{
    uint32_t known = new.known & (~new.same | old.known);
    return (struct value){.known = known, .bits = (new.same & old.bits) ^ new.bits};
}

#endif
