/*
 * A parent that stores 1000 times at `parent_cell` after its child stored 100000 times at `child_cell`. The two are
 * marked by size: the child's stores, and only they, are of 2 bytes at an address that is printed.
 */
#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>

static volatile unsigned short child_cell;
static volatile unsigned parent_cell;

int main(void)
{
    int status;
    printf("%lu %lu\n", (unsigned long)&parent_cell, (unsigned long)&child_cell);
    fflush(stdout);
    pid_t child = fork();
    if (child == 0) {
        for (int i = 0; i < 100000; i++)
            child_cell = i;
        _exit(5);
    }
    waitpid(child, &status, 0);
    for (int i = 0; i < 1000; i++)
        parent_cell = i;
    return WEXITSTATUS(status);
}
