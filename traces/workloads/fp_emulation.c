/* Floating point in integers: add and multiply of numbers with a 32-bit mantissa (its top bit set), an exponent and a
 * sign, unpacked into structures in memory as an emulator's registers are. Sums a geometric series and multiplies by
 * inverses. Right when 1 + 1/2 + 1/4 ... is just below 2, and x * 3 * (1/3) is x within 8 units in the last place. */
#include "tiny.h"

typedef struct {
    u32 sign, mantissa; /* mantissa 0 = zero, else its top bit is set; value = mantissa * 2^exponent */
    int exponent;
} number;

static number slots[256]; /* operands live in memory */

static number normal(u32 sign, u64 mantissa, int exponent)
{
    number r = {sign, 0, 0};
    if (!mantissa)
        return r;
    while (mantissa >> 32) {
        mantissa >>= 1;
        exponent++;
    }
    while (!(mantissa & 0x80000000u)) {
        mantissa <<= 1;
        exponent--;
    }
    r.mantissa = (u32)mantissa;
    r.exponent = exponent;
    return r;
}

static void __attribute__((noinline)) multiply(number *r, const number *a, const number *b)
{
    *r = normal(a->sign ^ b->sign, (u64)a->mantissa * b->mantissa, a->exponent + b->exponent);
}

static void __attribute__((noinline)) add(number *r, const number *a, const number *b)
{
    if (!a->mantissa || (b->mantissa && b->exponent > a->exponent)) {
        const number *swap = a;
        a = b;
        b = swap;
    }
    int shift = a->exponent - b->exponent;
    u64 x = (u64)a->mantissa << 16, y = shift < 48 && b->mantissa ? ((u64)b->mantissa << 16) >> shift : 0;
    if (a->sign == b->sign)
        *r = normal(a->sign, x + y, a->exponent - 16);
    else if (x >= y)
        *r = normal(a->sign, x - y, a->exponent - 16);
    else
        *r = normal(b->sign, y - x, a->exponent - 16);
}

int run(void)
{
    const number one = {0, 0x80000000u, -31}, half = {0, 0x80000000u, -32}, three = {0, 0xc0000000u, -30};
    const number third = {0, 0xaaaaaaabu, -33}, minus_two = {1, 0x80000000u, -30};
    for (u32 round = 0; round < 45; round++) {
        number sum = {0, 0, 0}, term = one, rest;
        for (u32 i = 0; i < 40; i++) {
            slots[i] = term;
            add(&sum, &sum, &slots[i]);
            multiply(&term, &slots[i], &half);
        }
        add(&rest, &sum, &minus_two); /* 0 or about -2^-31 */
        if (rest.mantissa && rest.exponent > -31 - 28)
            return 1;
        for (u32 i = 0; i < 128; i++) {
            number x = normal(i & 1, random32() | 1, (int)(i % 40) - 20), y;
            slots[i] = x;
            multiply(&slots[i + 128], &slots[i], &three);
            multiply(&slots[i], &slots[i + 128], &third);
            x.sign ^= 1;
            add(&y, &slots[i], &x);
            if (y.mantissa && y.exponent + 31 > x.exponent + 3)
                return 2;
        }
    }
    return 0;
}
