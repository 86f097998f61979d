/* IDEA (Lai and Massey 1991), 8.5 rounds over 16-bit words: encrypts 4,000 bytes and decrypts them. Right when the
 * published test vector comes out (key 1..8, plaintext 0..3) and the text comes back. */
#include "tiny.h"

#define KEYS 52
#define BYTES 4000

static u16 encryption[KEYS], decryption[KEYS];
static u16 text[BYTES / 2], copy[BYTES / 2];

static u16 multiply(u32 a, u32 b) /* modulo 65537, 0 stands for 65536 */
{
    if (!a)
        return (u16)(1 - b);
    if (!b)
        return (u16)(1 - a);
    u32 product = a * b, low = product & 0xffff, high = product >> 16;
    return (u16)(low - high + (low < high));
}

static u16 inverse(u16 x) /* x to the 65535th: modulo the prime 65537 that is 1 / x */
{
    u16 result = 1;
    for (int i = 0; i < 16; i++) {
        result = multiply(result, x);
        x = multiply(x, x);
    }
    return result;
}

static void expand(const u16 *key)
{
    for (int i = 0; i < KEYS; i++) { /* the 128-bit key, turned left by 25 bits after every 8 words */
        u32 bit = (u32)(i / 8 * 25 + i % 8 * 16) % 128;
        u32 pair = (u32)key[bit / 16] << 16 | key[(bit / 16 + 1) % 8];
        encryption[i] = (u16)(pair >> (16 - bit % 16));
    }
    for (int round = 0; round < 9; round++) { /* backwards, each word inverted */
        const u16 *from = encryption + (8 - round) * 6;
        u16 *to = decryption + round * 6;
        int swapped = round > 0 && round < 8;
        to[0] = inverse(from[0]);
        to[1] = (u16)-from[swapped ? 2 : 1];
        to[2] = (u16)-from[swapped ? 1 : 2];
        to[3] = inverse(from[3]);
        if (round < 8) {
            to[4] = from[-2];
            to[5] = from[-1];
        }
    }
}

static void __attribute__((noinline)) cipher(u16 *x, const u16 *key)
{
    u16 a = x[0], b = x[1], c = x[2], d = x[3], swap;
    for (int round = 0; round < 8; round++, key += 6) {
        a = multiply(a, key[0]);
        b = (u16)(b + key[1]);
        c = (u16)(c + key[2]);
        d = multiply(d, key[3]);
        u16 e = multiply(a ^ c, key[4]), f = multiply((u16)((b ^ d) + e), key[5]);
        e = (u16)(e + f);
        a ^= f;
        d ^= e;
        swap = b ^ e;
        b = c ^ f;
        c = swap;
    }
    x[0] = multiply(a, key[0]);
    x[1] = (u16)(c + key[1]);
    x[2] = (u16)(b + key[2]);
    x[3] = multiply(d, key[3]);
}

int run(void)
{
    static const u16 known_key[8] = {1, 2, 3, 4, 5, 6, 7, 8};
    u16 block[4] = {0, 1, 2, 3}, key[8];
    expand(known_key);
    cipher(block, encryption);
    if (block[0] != 0x11fb || block[1] != 0xed2b || block[2] != 0x0198 || block[3] != 0x6de5)
        return 1;
    for (int i = 0; i < 8; i++)
        key[i] = (u16)random32();
    expand(key);
    for (int i = 0; i < BYTES / 2; i++)
        copy[i] = text[i] = (u16)random32();
    for (int round = 0; round < 4; round++) {
        u32 same = 0;
        for (int i = 0; i < BYTES / 2; i += 4)
            cipher(text + i, encryption);
        for (int i = 0; i < BYTES / 2; i++)
            same += text[i] == copy[i];
        if (same > 10)
            return 2;
        for (int i = 0; i < BYTES / 2; i += 4)
            cipher(text + i, decryption);
        for (int i = 0; i < BYTES / 2; i++)
            if (text[i] != copy[i])
                return 3;
    }
    return 0;
}
