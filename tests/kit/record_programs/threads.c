/* Stores 1000 times at `cell` (its address is printed), starts a thread, joins it, prints what it left, exits with 4. */
#include <pthread.h>
#include <stdio.h>

static volatile unsigned cell;

static void *work(void *unused)
{
    for (int i = 0; i < 3000000; i++)
        cell++;
    return unused;
}

int main(void)
{
    pthread_t thread;
    printf("%lu\n", (unsigned long)&cell);
    fflush(stdout);
    for (int i = 0; i < 1000; i++)
        cell = i;
    pthread_create(&thread, NULL, work, NULL);
    pthread_join(thread, NULL);
    printf("%u\n", cell);
    return 4;
}
