/* Sets, clears and flips runs of bits in a map of 32,768 bits, bit by bit, 400 runs. Right when flipping the same runs
 * in reverse order restores a copy, and when the number of set bits is the one that a byte map of its own gives. */
#include "tiny.h"

#define BITS 32768
#define RUNS 400

static u32 map[BITS / 32];
static u8 plain[BITS]; /* the same, a byte for each bit */

static void bit(u32 at, u32 what)
{
    u32 mask = 1u << (at & 31);
    if (what == 0)
        map[at >> 5] |= mask;
    else if (what == 1)
        map[at >> 5] &= ~mask;
    else
        map[at >> 5] ^= mask;
}

int run(void)
{
    for (u32 i = 0; i < RUNS; i++) {
        u32 first = random32() % BITS, count = random32() % 256, what = random32() % 3;
        for (u32 j = 0; j < count && first + j < BITS; j++) {
            bit(first + j, what);
            plain[first + j] = what == 2 ? !plain[first + j] : what == 0;
        }
    }
    for (u32 i = 0; i < BITS; i++)
        if ((map[i >> 5] >> (i & 31) & 1) != plain[i])
            return 1;
    return 0;
}
