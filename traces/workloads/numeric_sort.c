/* Heapsort of 8,111 32-bit integers (as many as the benchmark of 1995 sorts): data-dependent jumps over 32 KB.
 * Right when the result ascends and has the sum and the xor of the input. */
#include "tiny.h"

#define COUNT 8111

static int numbers[COUNT];

static void sift(int *heap, u32 root, u32 count)
{
    int value = heap[root];
    for (u32 child; (child = 2 * root + 1) < count; root = child) {
        if (child + 1 < count && heap[child + 1] > heap[child])
            child++;
        if (heap[child] <= value)
            break;
        heap[root] = heap[child];
    }
    heap[root] = value;
}

int run(void)
{
    u32 sum = 0, all = 0;
    for (u32 i = 0; i < COUNT; i++) {
        numbers[i] = (int)random32();
        sum += (u32)numbers[i];
        all ^= (u32)numbers[i];
    }
    for (u32 i = COUNT / 2; i-- > 0;)
        sift(numbers, i, COUNT);
    for (u32 last = COUNT - 1; last > 0; last--) {
        int top = numbers[0];
        numbers[0] = numbers[last];
        numbers[last] = top;
        sift(numbers, 0, last);
    }
    for (u32 i = 0; i < COUNT; i++) {
        sum -= (u32)numbers[i];
        all ^= (u32)numbers[i];
        if (i && numbers[i - 1] > numbers[i])
            return 1;
    }
    return sum || all;
}
