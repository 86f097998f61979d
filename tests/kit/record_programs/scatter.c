/* Writes "ready", then argv[1] million times stores somewhere in 16 MiB, where exactly is hard to foresee (so that the
 * trace does not compress well), then writes "end" and exits with 3. */
#include <stdio.h>
#include <stdlib.h>

static volatile unsigned cells[1 << 22];

int main(int argc, char **argv)
{
    unsigned state = 1;
    long rounds = argc > 1 ? atol(argv[1]) * 1000000 : 0;
    setvbuf(stdout, NULL, _IONBF, 0);
    puts("ready");
    while (rounds-- > 0) {
        state = state * 1664525 + 1013904223;
        cells[state >> 10] = state;
    }
    puts("end");
    return 3;
}
