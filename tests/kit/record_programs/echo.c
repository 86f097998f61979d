/* Copies stdin to stdout, says "done" on stderr, exits with 7. */
#include <stdio.h>

int main(void)
{
    int c;
    while ((c = getchar()) != EOF)
        putchar(c);
    fputs("done\n", stderr);
    return 7;
}
