/* Stores 1000 times at `cell` (its address is printed), then waits for a signal. */
#include <stdio.h>
#include <unistd.h>

static volatile unsigned cell;

int main(void)
{
    for (int i = 0; i < 1000; i++)
        cell = i;
    printf("%lu\n", (unsigned long)&cell);
    fflush(stdout);
    pause();
    return 0;
}
