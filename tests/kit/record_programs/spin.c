/* Writes "ready", then loads and stores for ever (or argv[1] million times), then writes "end" and exits with 3. */
#include <stdio.h>
#include <stdlib.h>

int main(int argc, char **argv)
{
    volatile int cell = 0;
    long long rounds = argc > 1 ? atoll(argv[1]) * 1000000 : -1;
    setvbuf(stdout, NULL, _IONBF, 0);
    puts("ready");
    while (rounds-- != 0)
        cell++;
    puts("end");
    return 3;
}
