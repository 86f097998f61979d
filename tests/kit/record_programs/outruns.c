/*
 * outruns: calls a function for a good while, in which a recording with a limit ends; then it computes with 80-bit numbers,
 * which QEMU loads by functions of its own. Prints their sum and ends with 9.
 */
#include <stdio.h>

__attribute__((noinline)) static unsigned next(unsigned i)
{
    __asm__ volatile("");
    return i + 1;
}

int main(void)
{
    volatile long double sum = 0;
    for (unsigned i = 0; i != 100000;)
        i = next(i);
    for (int i = 0; i < 1000; i++)
        sum += i;
    printf("%.0Lf\n", sum);
    return 9;
}
