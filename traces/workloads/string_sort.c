/* Sorts 440 strings of 4 to 35 bytes that lie packed behind their length bytes, by insertion: each insertion moves a
 * tail of the packed text by the length of a string, 4 bytes at a time at whatever address that is. So most moves
 * are misaligned, and those that straddle a page boundary cross it. Right when the strings ascend and their bytes
 * have the sum of the input. */
#include "tiny.h"

#define COUNT 440
#define LONGEST 36

static u8 packed[COUNT * LONGEST], sorted[COUNT * LONGEST];

/* Moves bytes up, the last first: 4 at a time, then the rest. Regions may overlap. */
static void move_up(u8 *to, const u8 *from, u32 bytes)
{
    while (bytes >= 4) {
        bytes -= 4;
        *(volatile u32 *)(to + bytes) = *(const volatile u32 *)(from + bytes);
    }
    while (bytes > 0) {
        bytes--;
        *(volatile u8 *)(to + bytes) = *(const volatile u8 *)(from + bytes);
    }
}

static int after(const u8 *a, const u8 *b) /* both begin with their length */
{
    u32 shorter = a[0] < b[0] ? a[0] : b[0];
    for (u32 i = 1; i <= shorter; i++)
        if (a[i] != b[i])
            return a[i] > b[i];
    return a[0] > b[0];
}

int run(void)
{
    u32 sum = 0, bytes = 0;
    for (u32 i = 0; i < COUNT; i++) {
        u32 length = 4 + (random32() & 31);
        packed[bytes++] = (u8)length;
        for (u32 j = 0; j < length; j++)
            sum += packed[bytes++] = (u8)('a' + (random32() & 15));
    }
    u32 end = 0;
    for (u32 at = 0; at < bytes; at += packed[at] + 1u) {
        u32 size = packed[at] + 1u, place = 0;
        while (place < end && !after(sorted + place, packed + at))
            place += sorted[place] + 1u;
        move_up(sorted + place + size, sorted + place, end - place);
        move_up(sorted + place, packed + at, size);
        end += size;
    }
    u32 strings = 0;
    for (u32 at = 0, before = 0; at < end; before = at, at += sorted[at] + 1u, strings++) {
        if (at && after(sorted + before, sorted + at))
            return 1;
        for (u32 j = 1; j <= sorted[at]; j++)
            sum -= sorted[at + j];
    }
    return sum || end != bytes || strings != COUNT;
}
